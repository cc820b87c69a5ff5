"""The commands about feedback: what they say of files, and of options that mean nothing."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., tuple[int, str, str]]
LINE = {
    "id": "1",
    "lang": "de",
    "text": "weck mich",
    "tokens": ["weck", "mich"],
    "predicted": {"intent": "set_timer", "slots": ["O", "O"]},
    "verdict": "down",
    "corrected": {"intent": "set_alarm"},
}


@pytest.fixture
def feedback(tmp_path: Path) -> Path:
    rows = [LINE, LINE | {"id": "2", "verdict": None}, LINE | {"id": "3", "corrected": {"intent": "set_timer"}}]
    path = tmp_path / "feedback.de.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{\n", encoding="utf-8")
    return path


def test_check_counts_and_names_each_line(command: Command, feedback: Path) -> None:
    ended, printed, _ = command("feedback", "check", "--data", str(feedback))
    assert ended == 0
    assert "feedback.de.jsonl: 4 lines, 1 judgements, 1 waiting" in printed
    assert "de: 0 up, 1 down" in printed
    assert "dropped: contradiction 1, unreadable 1" in printed
    assert "feedback.de.jsonl:3: a thumb down whose correction is the prediction; dropped" in printed
    ended, printed, _ = command("feedback", "check", "--data", str(feedback.parent), "--json")
    found = json.loads(printed)
    assert (found["lines"], found["waiting"], found["dropped"]) == (4, 1, {"contradiction": 1, "unreadable": 1})
    assert found["judgements"][0]["corrected"]["intent"] == "set_alarm"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("check",), "--data: which feedback"),
        (("run", "mtop"), "--data or --simulate"),
        (("run", "mtop", "--simulate", "9", "--arm", "thai"), "--arm thai: there is none, english"),
        (("run", "mtop", "--simulate", "9", "--gold", "gold"), "--gold gold"),
        (("run", "mtop", "--simulate", "9", "--loss", "dpo"), "--loss dpo"),
    ],
)
def test_options_that_mean_nothing_are_usage_errors(command: Command, arguments: tuple[str, ...], said: str) -> None:
    ended, _, errors = command("feedback", *arguments)
    assert ended == 2
    assert said in errors
