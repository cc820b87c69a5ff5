"""A model that answers the commonest intent to everything, from a real command: it is named so while it runs."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xa_search.cli import main as cli
from xa_search.tracking.address import tracking_uri
from xa_search.tracking.registry import list_models
from xa_search.tracking.store import TRIAL_TAG, connect, open_experiment

pytestmark = pytest.mark.long
ROWS = 80
SPACE = """
corpus: own
targets: [de]
params:
  align_weight: {low: 0.1, high: 1, log: true}
  learning_rate: {choices: [1.0e-3, 2.0e-3]}
fixed: {model_size: tiny, epochs: 2, batch_size: 16, precision: fp32}
baseline: {trials: 2}
published: {align_weight: 1}
trials: 2
least_held_out: 2
"""
SAID = {"en": "say that again", "de": "sag das noch einmal"}


def rows(lang: str, split: str) -> list[dict[str, Any]]:
    """Three in four have one intent, and nothing in a text tells which: all that can be learned is the commonest."""
    found: list[dict[str, Any]] = []
    for number in range(ROWS):
        words = [f"{split}{chr(97 + number % 26)}{chr(97 + number // 26)}", *SAID[lang].split()]
        intent = "alarm" if number % 4 == 0 else "weather"
        found.append({"id": str(number), "tokens": words, "intent": intent, "slots": ["O"] * len(words)})
    return found


def write_corpus(folder: Path) -> None:
    folder.mkdir()
    for name in ("train.en", "dev.en", "test.en", "test.de"):
        split, lang = name.split(".")
        lines = [json.dumps(row) for row in rows(lang, split)]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    translated = [" ".join(row["tokens"]) for row in rows("de", "train")]
    (folder / "translations.de.txt").write_text("\n".join(translated) + "\n", encoding="utf-8")


def test_a_majority_model_is_no_champion_and_every_place_says_so(
    tmp_path: Path,
    with_tables: Callable[[Path], Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home = with_tables(tmp_path / "home")
    write_corpus(tmp_path / "data")
    space = tmp_path / "skewed.yaml"
    space.write_text(SPACE, encoding="utf-8")
    command = ["run", str(space), "--data", str(tmp_path / "data"), "--home", str(home), "--local"]
    monkeypatch.setattr(sys, "argv", ["xa-search", *command])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    printed = capsys.readouterr().out
    assert ended.value.code in (0, None), printed
    lines = printed.splitlines()
    assert sum(" epoch " in line and "(at the floor, " in line for line in lines) == 6, printed
    assert sum(" COMPLETE: score " in line and "(at the floor, " in line for line in lines) == 3
    result = next(number for number, line in enumerate(lines) if line.startswith("Test scores in percent"))
    assert lines[result - 1].startswith("no champion: the winner is at the floor: its selection score is ")
    assert any(line.startswith("registered: xa-search-own version 1, candidate: the winner is at") for line in lines)
    (directory,) = (home / "searches").iterdir()
    assert "(at the floor, " in (directory / "search.log").read_text(encoding="utf-8")
    report = json.loads((directory / "report" / "report.json").read_text(encoding="utf-8"))
    assert {row["winner"]["accuracy"]["value"] for row in report["languages"]} == {75.0}, (
        "the commonest intent, for everything"
    )
    roles = ["baseline", "paper_values", "zero_shot"]
    assert [(trial["role"], trial["at_floor"]) for trial in report["trials"]] == [(role, True) for role in roles]
    zero_shot = [trial for trial in report["trials"] if trial["role"] != "paper_values"]
    assert report["baseline"] == max(zero_shot, key=lambda trial: trial["score"])["number"], "the best zero-shot trial"
    assert len({trial["params"]["learning_rate"] for trial in zero_shot}) == 2
    assert f"zero-shot: trial {report['baseline']}, the best of 2 zero-shot trials by selection score" in lines
    (model,) = list_models(tracking_uri(home))
    assert model.aliases == ("candidate",)
    client = connect(tracking_uri(home))
    runs = client.search_runs([open_experiment(client)], f"tags.`{TRIAL_TAG}` != ''")
    assert {(run.data.tags["role"], run.data.tags["at_floor"]) for run in runs} == {(role, "yes") for role in roles}
    assert "trial-002-zero_shot" in {run.info.run_name for run in runs}
