"""Regret of replayed searches: each cell once, also after an interruption, and an interval by Student's t."""

import json
import sys
from pathlib import Path

import pytest
from test_replay import write_curves

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import regret


def test_a_cell_is_replayed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    curves = write_curves(tmp_path / "curves.jsonl", [[0.3, 0.3, 0.1 * place] for place in range(6)])
    out = tmp_path / "regret.json"
    monkeypatch.setattr(regret, "TRIALS", 4)
    for repetitions, to_do in ((1, 12), (2, 12), (2, 0)):
        command = ["regret.py", str(curves), "--repetitions", str(repetitions), "--widths", "1", "4", "--out", str(out)]
        monkeypatch.setattr(sys, "argv", command)
        regret.main()
        printed = capsys.readouterr().out
        assert (f"{to_do} cells to replay" in printed) == bool(to_do)
    found = json.loads(out.read_text(encoding="utf-8"))
    assert len(found["cells"]) == 24
    assert {row["repetitions"] for row in found["rows"]} == {2}
    assert all(cell["trials"] == 4 and cell["regret"] >= 0 for cell in found["cells"])
    at_random = [row for row in found["rows"] if row["search"] == regret.RANDOM]
    assert all(row["gain over random"]["mean"] == 0 for row in at_random)


def test_an_interval_is_students() -> None:
    found = regret.interval([1.0, 2.0, 3.0])
    assert found["mean"] == 2
    assert found["high"] - found["mean"] == pytest.approx(4.302653 / 3**0.5)
