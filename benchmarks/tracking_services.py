"""The tracking server of cluster/tracking without containers. In: a folder, its Python. Out: its address, its database.

PostgreSQL is the system's, the S3 store is moto's; the server's command and environment are those of compose.yaml, but
for addresses: where the three listen, and where the accounts lie.
"""

import os
import secrets
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import yaml
from ports import free_port, wait_for

COMPOSE = Path(__file__).resolve().parents[1] / "cluster" / "tracking" / "compose.yaml"
DATABASE_USER = "postgres"
END_SECONDS = 20.0
CLIENT = "import boto3, os; store = boto3.client('s3', endpoint_url=os.environ['MLFLOW_S3_ENDPOINT_URL'])\n"
MAKE_BUCKET = CLIENT + "store.create_bucket(Bucket='mlflow')"
LIST_BUCKET = (
    CLIENT
    + "pages = store.get_paginator('list_objects_v2').paginate(Bucket='mlflow')\n"
    + "print(*[found['Size'] for page in pages for found in page.get('Contents', ())])"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Where the three listen; clients know `uri`, `user` and `password` and nothing else."""

    uri: str
    user: str
    password: str
    database: str
    log: Path
    storage_log: Path
    python: Path
    environment: dict[str, str]

    def query(self, statement: str) -> list[list[str]]:
        """Return the rows that PostgreSQL gives, past the server."""
        command = ["psql", self.database, "-At", "-F", "\t", "-c", statement]
        found = subprocess.run(command, capture_output=True, text=True, check=True)
        return [line.split("\t") for line in found.stdout.splitlines()]

    def object_bytes(self) -> list[int]:
        """Return the size of each object in the S3 store, past the server."""
        return [int(size) for size in with_keys(self.python, LIST_BUCKET, self.environment).split()]

    def direct_requests(self) -> int:
        """Return how often a client went to the S3 store itself, with an address that the server had signed."""
        return self.storage_log.read_text(errors="replace").count("X-Amz-Signature=")


@contextmanager
def services(folder: Path, python: Path) -> Iterator[Services]:
    """Start all three in `folder`; `python` is of an environment with what compose.yaml installs, and moto."""
    compose = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    database_port, storage_port, port = (free_port() for _ in range(3))
    given = {
        name: secrets.token_hex(24)
        for name in ("POSTGRES_PASSWORD", "STORAGE_ACCESS_KEY", "STORAGE_SECRET_KEY", "MLFLOW_ADMIN_PASSWORD")
    }
    given |= {"MLFLOW_SECRET_KEY": secrets.token_hex(24), "MLFLOW_ALLOWED_HOSTS": f"127.0.0.1:{port}"}
    places = {
        "database:5432": f"127.0.0.1:{database_port}",
        "storage:8333": f"127.0.0.1:{storage_port}",
        "--host 0.0.0.0 --port 5000": f"--host 127.0.0.1 --port {port}",
        "/etc/mlflow/basic_auth.ini": str(folder / "basic_auth.ini"),
        "sqlite:////accounts": f"sqlite:///{folder}",
    }
    (folder / "basic_auth.ini").write_text(filled(compose["configs"]["basic_auth"]["content"], given, places))
    described = compose["services"]["mlflow"]
    environment = {name: filled(value, given, places) for name, value in described["environment"].items()}
    command = [*bin_of(python), *shlex.split(filled(described["command"], given, places))]
    with ExitStack() as stack:
        stack.enter_context(postgresql(folder / "database", database_port, given["POSTGRES_PASSWORD"]))
        store = [str(python.parent / "moto_server"), "-H", "127.0.0.1", "-p", str(storage_port)]
        stack.enter_context(server(store, {}, storage_port, folder / "storage.log"))
        with_keys(python, MAKE_BUCKET, environment)
        stack.enter_context(server(command, environment, port, folder / "mlflow.log"))
        yield Services(
            uri=f"http://127.0.0.1:{port}",
            user=environment["MLFLOW_AUTH_ADMIN_USERNAME"],
            password=environment["MLFLOW_AUTH_ADMIN_PASSWORD"],
            database=environment["MLFLOW_BACKEND_STORE_URI"].replace("+psycopg2", ""),
            log=folder / "mlflow.log",
            storage_log=folder / "storage.log",
            python=python,
            environment=environment,
        )


def with_keys(python: Path, program: str, environment: dict[str, str]) -> str:
    """Run a program as the server's side does, with the keys of the S3 store; return what it prints."""
    command, environment = [str(python), "-c", program], os.environ | environment
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def bin_of(python: Path) -> list[str]:
    return ["env", f"PATH={python.parent}{os.pathsep}{os.environ['PATH']}"]


def filled(text: Any, given: dict[str, str], places: dict[str, str]) -> str:
    """Put values in the place of variables as compose does, and this machine's places in that of the containers'."""
    without_errors = str(text).replace(":?see env.example}", "}")
    text = Template(without_errors).substitute(given)
    for there, here in places.items():
        text = text.replace(there, here)
    return str(text)


@contextmanager
def postgresql(folder: Path, port: int, password: str) -> Iterator[None]:
    """Start PostgreSQL with the user and the database `mlflow`; as root, it runs as the user that owns it."""
    folder.mkdir()
    secret = folder.with_suffix(".password")
    secret.write_text(password)
    lower = [] if os.getuid() else ["setpriv", f"--reuid={DATABASE_USER}", f"--regid={DATABASE_USER}", "--init-groups"]
    if lower:
        for path in (folder, secret):
            shutil.chown(path, DATABASE_USER, DATABASE_USER)
    secret.chmod(0o600)
    make = ["initdb", "--username=mlflow", f"--pwfile={secret}", "--auth=scram-sha-256", "--no-sync", "-D", str(folder)]
    subprocess.run([*lower, *make], stdout=subprocess.DEVNULL, check=True, cwd="/")
    serve = ["postgres", "-D", str(folder), "-p", str(port), "-c", "listen_addresses=127.0.0.1", "-k", ""]
    with server([*lower, *serve], {}, port, folder.with_suffix(".log")):
        address = f"postgresql://mlflow:{password}@127.0.0.1:{port}/postgres"
        subprocess.run(["psql", "-q", address, "-c", "create database mlflow"], check=True)
        yield


@contextmanager
def server(command: list[str], environment: dict[str, str], port: int, log: Path) -> Iterator[None]:
    """Run a server in a session of its own until it is no longer needed."""
    with log.open("w") as said:
        process = subprocess.Popen(
            command, env=os.environ | environment, stdout=said, stderr=said, start_new_session=True, cwd="/"
        )
    try:
        wait_for("127.0.0.1", port, process, log)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
