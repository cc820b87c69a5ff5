"""Every port that a running search opens, and what a stranger gets there. In: a folder. Out: a table in Markdown.

    python benchmarks/open_ports.py --out benchmarks/results/open_ports.md

A search of the tiny encoder runs with this machine's own Ray, and the MLflow UI beside it. The stranger has another
home, no token and, where this is run by root, another user's number. Then the same on a Ray without tokens, on all
addresses, where the same stranger is let in: what is refused here is not merely misunderstood.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from ports import free_port
from results_file import command_line

from xa_search.rehearsal.driver import Driver, processes_of
from xa_search.search import RAY_LOOPBACK

STRANGER = Path(__file__).with_name("stranger.py")
LOOPBACK = ("127.0.0.1", "::1")
KNOWN = (*LOOPBACK, "::", "0.0.0.0")
REFUSED = {"UNAUTHENTICATED", "401", "403"}
"""Answers of a server that knows the call, and does not let this process make it."""
NO_ANSWER = {"UNIMPLEMENTED", "closed", "no answer"}
"""Answers to a call that this port does not have, or in a language that it does not speak."""
CHANGES = (
    "params={align_weight: {low: 0.1, high: 10, log: true}}",
    "published={}",
    "baseline={}",
    "fixed={model_size: tiny, learning_rate: 1.0e-3, epochs: 400, train_limit: 200, dev_limit: 20, test_limit: 20}",
    "targets=[de]",
    "trials=2",
    "scheduler={}",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """Where a process listens."""

    process: str
    address: str
    number: int

    @property
    def host(self) -> str:
        """The address at which this machine's own processes reach it."""
        return "127.0.0.1" if self.address in ("::", "0.0.0.0", "::1") else self.address


def title_of(process: psutil.Process) -> str:
    """Return the name of a program, of a module that Python runs, or what Ray calls a worker."""
    words = process.cmdline() or [process.name()]
    program = words[0].split()[0].rpartition("/")[2]
    return words[words.index("-m") + 1] if program.startswith("python") and "-m" in words else program


def is_open(port: int) -> bool | None:
    """Return true once somebody listens at a port of this machine, none before."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return None
    return True


def open_ports(processes: Sequence[psutil.Process]) -> list[Port]:
    """Return the ports that processes listen at."""
    found = set()
    for process in processes:
        try:
            for one in process.net_connections(kind="inet"):
                if one.status == psutil.CONN_LISTEN:
                    found.add((title_of(process), one.laddr.ip, one.laddr.port))
        except psutil.NoSuchProcess:
            continue
    return [
        Port(process=name, address=address.removeprefix("::ffff:"), number=number)
        for name, address, number in sorted(found, key=str)
    ]


def other_addresses() -> list[str]:
    """Return this machine's addresses that others can reach."""
    own = [
        one.address for addresses in psutil.net_if_addrs().values() for one in addresses if one.family == socket.AF_INET
    ]
    return [address for address in own if not address.startswith("127.")]


def answers_to_a_stranger(ports: Sequence[Port], sockets: Sequence[str], home: Path) -> dict[str, Any]:
    """Let a stranger knock at ports, on the loopback address and on each other one, and at sockets."""
    asked = {
        "ports": [(host, port.number) for port in ports for host in {port.host, *other_addresses()}],
        "sockets": list(sockets),
    }
    done = subprocess.run(
        [sys.executable, "-I", str(STRANGER), json.dumps(asked)],
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


def said(answers: dict[str, Any], port: Port) -> dict[str, str]:
    """Return what a port answers: each call that it has, and whether another machine may knock."""
    here = answers["ports"][f"{port.host} {port.number}"]
    calls = {**here["grpc"], **here["http"]}
    found = {call: answer for call, answer in calls.items() if answer not in NO_ANSWER}
    for host in other_addresses():
        outside = answers["ports"][f"{host} {port.number}"]
        if any(
            answer not in ("Connection refused", "no answer") for one in outside.values() for answer in one.values()
        ):
            found["from outside"] = "connected"
    return found


def is_refused(answers: dict[str, str]) -> bool:
    """Tell whether a port that was found to be a server lets the stranger do nothing."""
    return bool(answers) and set(answers.values()) <= REFUSED


def table(ports: Sequence[Port], answers: dict[str, Any]) -> list[str]:
    """Return a line a port and a socket."""
    lines = ["| process | listens at | what a stranger gets | let in |", "|---|---|---|---|"]
    for port in ports:
        found = said(answers, port)
        shown = ", ".join(
            f"`{call.rpartition('.')[2] if '/ray' in call else call}` {answer}" for call, answer in found.items()
        )
        where = port.address if port.address in KNOWN else "its own address"
        let_in = "no" if is_refused(found) else "**yes**"
        lines.append(f"| {port.process} | {where} | {shown or 'nothing'} | {let_in} |")
    for path, answer in answers["sockets"].items():
        let_in = "**yes**" if answer == "connected" else "no"
        lines.append(f"| Ray's socket | `{Path(path).name}` (a file) | {answer} | {let_in} |")
    return lines


def sockets_of(processes: Sequence[psutil.Process]) -> list[str]:
    """Return the sockets in the file system that processes listen at."""
    found = set()
    for process in processes:
        try:
            found |= {str(one.laddr) for one in process.net_connections(kind="unix") if str(one.laddr).startswith("/")}
        except psutil.NoSuchProcess:
            continue
    return sorted(path for path in found if Path(path).is_socket())


def look(folder: Path, *, unguarded: bool) -> tuple[list[str], int]:
    """Run a search and the UI, and return the table's lines and the stranger's user number."""
    home, environment = folder / "home", {**os.environ, "PYTHONUNBUFFERED": "1"}
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_TMPDIR", *RAY_LOOPBACK):
        environment.pop(name, None)
    if unguarded:
        environment |= {"RAY_AUTH_MODE": "disabled", **dict.fromkeys(RAY_LOOPBACK, "1")}
    command = [sys.executable, "-P", "-m", "xa_search"]
    changes = [word for change in CHANGES for word in ("--set", change)]
    with Driver([*command, "run", "mtop-mini", "--home", str(home), *changes], environment, folder / "run.log") as run:
        run.wait_for(lambda: run.epochs() or None, "before its first epoch")
        number = free_port()
        with Driver([*command, "ui", "--home", str(home), "--port", str(number)], environment, folder / "ui.log") as ui:
            ui.wait_for(partial(is_open, number), "before it listens")
            processes = [psutil.Process(one.pid) for one in [*processes_of(run.session), *processes_of(ui.session)]]
            ports, sockets = open_ports(processes), sockets_of(processes)
            answers = answers_to_a_stranger(ports, sockets, folder / "stranger")
    return table(ports, answers), answers["user"]


def main() -> None:
    """Write the tables: of a search as it is, and of one whose Ray asks for nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    written = [f"`{command_line()}`"]
    for unguarded, heading in (
        (False, "A search and `xa-search ui`"),
        (True, "The same on a Ray that asks for nothing"),
    ):
        with tempfile.TemporaryDirectory() as folder:
            lines, user = look(Path(folder), unguarded=unguarded)
        who = "another user" if user != os.getuid() else "the same user"
        written += ["", f"## {heading}", f"The stranger is {who}, with a home of its own and no token.", "", *lines]
    options.out.write_text("\n".join([*written, ""]), encoding="utf-8")
    print("\n".join(written))


if __name__ == "__main__":
    main()
