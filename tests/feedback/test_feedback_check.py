"""Bad feedback files: every fault is counted and told with its place, and the rest is used."""

import json
from pathlib import Path
from typing import Any

import pytest

from xa_search.errors import DataError
from xa_search.feedback.check import FeedbackCheck, check_feedback
from xa_search.feedback.files import append_judgements, feedback_files, line_of, read_feedback
from xa_search.feedback.judgements import Judgement, Parse

LABELS = (("set_alarm", "set_timer"), ("O", "B-time", "I-time"))


def line(**changed: Any) -> dict[str, Any]:
    given = {
        "id": "1",
        "lang": "de",
        "text": "weck mich um 7",
        "tokens": ["weck", "mich", "um", "7"],
        "predicted": {"intent": "set_timer", "slots": ["O", "O", "O", "B-time"]},
        "verdict": "down",
    }
    return given | changed


def checked(folder: Path, *rows: dict[str, Any] | str) -> FeedbackCheck:
    text = "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows)
    (folder / "feedback.de.jsonl").write_text(text, encoding="utf-8")
    return check_feedback(read_feedback(folder), LABELS)


def test_a_line_that_cannot_be_read_is_told_with_its_place(tmp_path: Path) -> None:
    found = checked(tmp_path, line(), "{", line(verdict="maybe"), line(predicted={}), line(mood="good"))
    assert (found.lines, len(found.judgements), found.dropped) == (5, 1, {"unreadable": 4})
    assert [remark.split(" ")[0] for remark in found.remarks] == [f"feedback.de.jsonl:{n}:" for n in (2, 3, 4, 5)]
    assert "verdict" in found.remarks[1]


def test_a_line_without_a_verdict_waits(tmp_path: Path) -> None:
    found = checked(tmp_path, line(verdict=None), line(id="2", verdict="up"))
    assert (found.waiting, found.languages, found.remarks) == (1, {"de": {"up": 1, "down": 0}}, ())


@pytest.mark.parametrize(
    ("changed", "dropped"),
    [
        ({"predicted": {"intent": "fly", "slots": ["O"] * 4}}, "unknown_label"),
        ({"predicted": {"intent": "set_timer", "slots": ["B-city", "O", "O", "O"]}}, "unknown_label"),
        ({"predicted": {"intent": "set_timer", "slots": ["O"]}}, "other_tokenisation"),
        ({"part": "slots", "verdict": "up", "predicted": {"slots": ["O"]}}, "other_tokenisation"),
        ({"verdict": "up", "corrected": {"intent": "set_alarm"}}, "contradiction"),
        ({"corrected": {"intent": "set_timer"}}, "contradiction"),
    ],
)
def test_what_cannot_train_is_dropped_and_counted(tmp_path: Path, changed: dict[str, Any], dropped: str) -> None:
    found = checked(tmp_path, line(**changed))
    assert (found.judgements, found.dropped) == ((), {dropped: 1})
    assert found.remarks[0].startswith("feedback.de.jsonl:1: ")


def test_a_correction_that_cannot_be_used_leaves_the_verdict(tmp_path: Path) -> None:
    unknown = line(corrected={"intent": "fly"})
    said = {"intent": "set_timer", "slots": ["O"]}
    too_short = line(id="2", tokens=["weck"], predicted=said, corrected={"slots": []})
    found = checked(tmp_path, unknown, too_short)
    assert [one.corrected for one in found.judgements] == [None, None]
    assert found.repaired == {"correction_left_out": 2}


def test_labels_and_words_are_repaired_by_the_one_policy(tmp_path: Path) -> None:
    dirty = line(predicted={"intent": " set_timer", "slots": ["O", "O", "O", "I-time"]})
    without = line(id="2", text="um 7", tokens=[], predicted={"intent": "set_timer", "slots": ["O", "B-time"]})
    found = checked(tmp_path, dirty, without)
    assert found.judgements[0].predicted == Parse(intent="set_timer", slots=("O", "O", "O", "B-time"))
    assert found.judgements[1].tokens == ("um", "7")
    assert found.repaired == {"labels_cleaned": 1, "words_of_text": 1}


def test_the_last_verdict_of_a_judge_counts(tmp_path: Path) -> None:
    first = line(judge="a", at="2026-01-02", verdict="up")
    found = checked(tmp_path, first, line(judge="a", at="2026-01-01"), line(judge="a", at="2026-01-03"))
    assert [one.verdict for one in found.judgements] == ["down"]
    assert found.dropped == {"duplicate": 2}


def test_judges_who_disagree_are_resolved_by_the_majority_or_dropped(tmp_path: Path) -> None:
    right = {"intent": "set_alarm"}
    judges = [line(judge=name, id=name, corrected=right) for name in "ab"] + [line(judge="c", id="c", verdict="up")]
    found = checked(tmp_path, *judges)
    (one,) = found.judgements
    assert (one.verdict, one.corrected) == ("down", Parse(intent="set_alarm"))
    assert (found.dropped, found.repaired) == ({"outvoted": 1}, {"merged": 1})
    tied = checked(tmp_path, *judges[1:])
    assert (tied.judgements, tied.dropped) == ((), {"judges_disagree": 2})


def test_a_log_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    one = Judgement.model_validate(line(verdict=None))
    for _ in range(2):
        append_judgements(tmp_path / "logs" / "feedback.de.jsonl", [one])
    assert json.loads(line_of(one))["verdict"] is None
    found = read_feedback(tmp_path / "logs")
    assert [entry.judgement for entry in found.lines] == [one, one]


def test_no_feedback_is_an_error_that_says_how_it_begins(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="predict --log"):
        feedback_files(tmp_path)
    (tmp_path / "feedback.de.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="UTF-8"):
        read_feedback(tmp_path)
