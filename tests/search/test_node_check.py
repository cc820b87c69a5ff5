"""What a node is refused for: other code, another folder, a folder that it may not change."""

from dataclasses import replace
from pathlib import Path

from xa_search.search.node_check import code_hash, expected_of_nodes, fault_here


def test_the_drivers_own_node_has_no_fault_and_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "probe-of-a-killed-driver").touch()
    with expected_of_nodes(tmp_path) as expected:
        assert fault_here(expected) == ""
        assert [path.name for path in tmp_path.iterdir()] == [expected.probe.name]
    assert list(tmp_path.iterdir()) == []


def test_other_code_is_refused(tmp_path: Path) -> None:
    with expected_of_nodes(tmp_path) as expected:
        fault = fault_here(replace(expected, code="0123456789abcdef"))
    assert f"its xa_search is {code_hash()[:12]}, the driver's 0123456789ab; install the same wheel there" in fault
    assert fault.startswith("node ")
    assert "\n" not in fault


def test_a_folder_that_is_not_the_drivers_is_refused(tmp_path: Path) -> None:
    with expected_of_nodes(tmp_path / "drivers") as expected:
        elsewhere = replace(expected, probe=tmp_path / "own" / expected.probe.name)
        assert "is not shared with it (No such file or directory); give a --home" in fault_here(elsewhere)
        elsewhere.probe.parent.mkdir()
        elsewhere.probe.write_text("of another search", encoding="utf-8")
        assert f"{tmp_path / 'own'} is not the driver's" in fault_here(elsewhere)
