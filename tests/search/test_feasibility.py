"""What can be refused in seconds: a cluster that does not answer, a request that no node can meet."""

import socket
from pathlib import Path

import pytest

from xa_search.errors import InfeasibleError, UsageError
from xa_search.search.node_check import check_address, remedy_of_refusal


def test_rays_client_is_refused_with_the_way_to_do_it() -> None:
    with pytest.raises(UsageError, match=r"cannot hold a search; type --cluster FILE .* or --address auto on a node"):
        check_address("ray://127.0.0.1:10001")


@pytest.mark.parametrize(
    ("mode", "token", "remedy"),
    [
        (None, False, "where it asks for a token, have that in {place} and type RAY_AUTH_MODE=token"),
        ("token", False, "copy the cluster's token to {place}"),
        ("token", True, "the token in {place} is not this cluster's: copy it"),
    ],
)
def test_who_is_not_let_in_is_told_about_the_token(
    mode: str | None, token: bool, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "token"
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(place))
    if mode:
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
    if token:
        place.write_text("secret")
    assert remedy.format(place=place) in remedy_of_refusal("InvalidAuthToken")


@pytest.mark.parametrize("address", ["head", ":6379", "head:port"])
def test_an_address_of_another_form_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="not of the form HOST:PORT"):
        check_address(address)


def test_an_address_where_nobody_answers_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        check_address(f"127.0.0.1:{port}")
    with pytest.raises(InfeasibleError, match=r"no Ray answers .* leave --address out"):
        check_address(f"127.0.0.1:{port}")
