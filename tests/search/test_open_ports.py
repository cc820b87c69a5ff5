"""What this machine's own Ray opens: a stranger gets nothing there. The short form of benchmarks/open_ports.py."""

import os
import sys
from pathlib import Path

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from open_ports import LOOPBACK, answers_to_a_stranger, is_refused, open_ports, said, sockets_of

pytestmark = pytest.mark.long


def module_of(name: str) -> tuple[str, str]:
    """Return where a worker finds a module, and where it stands."""
    from importlib.util import find_spec

    found = find_spec(name)
    return str(found and found.origin), str(Path.cwd())


def test_a_stranger_is_refused_by_every_port_of_a_local_ray(local_ray: Path, tmp_path: Path) -> None:
    import ray

    found, stands_in = ray.get(ray.remote(module_of).remote("seqeval"))
    assert "seqeval" in found
    assert local_ray not in Path(found).parents, "the folder that a search is started from is on its workers' path"
    driver = psutil.Process()
    processes = [driver, *driver.children(recursive=True)]
    ports, sockets = open_ports(processes), sockets_of(processes)
    names = {port.process.rstrip(":") for port in ports}
    assert {"gcs_server", "raylet", "ray::RuntimeEnvAgent"} <= names
    assert {port.address for port in ports} <= set(LOOPBACK)
    answers = answers_to_a_stranger(ports, sockets, tmp_path)
    assert {port: said(answers, port) for port in ports if not is_refused(said(answers, port))} == {}
    private = Path(os.environ["RAY_TMPDIR"])
    assert {path.name for path in map(Path, sockets) if private in path.parents} == {"plasma_store", "raylet"}
    assert (private.stat().st_mode & 0o777, stands_in) == (0o700, str(private / "empty"))


def test_the_token_is_nowhere_on_disk(local_ray: Path) -> None:
    token = os.environ["RAY_AUTH_TOKEN"].encode()
    files = [path for path in Path(os.environ["RAY_TMPDIR"]).rglob("*") if path.is_file()]
    assert [path.name for path in files if token in path.read_bytes()] == []
    assert len(files) > 5
