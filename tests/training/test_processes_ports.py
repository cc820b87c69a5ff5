"""The processes of one trial meet where nobody else of the network is."""

from pathlib import Path
from socket import AF_INET

import psutil
import pytest
from torch import distributed

from xa_search.training.distributed import meet


def listening() -> set[tuple[str, int]]:
    found = psutil.Process().net_connections()
    return {(one.laddr.ip.removeprefix("::ffff:"), one.laddr.port) for one in found if one.status == psutil.CONN_LISTEN}


def other_interfaces() -> list[str]:
    """Return the interfaces of this machine that others reach."""
    inner = {
        name: [one.address for one in found if one.family == AF_INET] for name, found in psutil.net_if_addrs().items()
    }
    return [name for name, found in inner.items() if found and "127.0.0.1" not in found]


def test_they_listen_on_the_loopback_address_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the machine's name, or its user, sends them to another one."""
    for name in other_interfaces()[:1]:
        monkeypatch.setenv("GLOO_SOCKET_IFNAME", name)
    monkeypatch.setenv("NCCL_SOCKET_IFNAME", "")  # to be put back, too
    before = listening()
    meet(0, 1, tmp_path / "meeting")
    try:
        opened = listening() - before
    finally:
        distributed.destroy_process_group()
    assert {address for address, _ in opened} == {"127.0.0.1"}
