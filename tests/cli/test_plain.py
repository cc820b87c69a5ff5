"""What comes from outside is shown as it is: no table reads it as markup, and no terminal obeys it."""

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xa_search.cli import main as cli
from xa_search.cli import tables
from xa_search.cli.display import SearchDisplay
from xa_search.cli.plain import OBEYED, echo_log, visible
from xa_search.search.runner import run_trials
from xa_search.search.study import JOURNAL, open_study
from xa_search.training.statistics import Interval
from xa_search.training.transfer import LanguageScore
from xa_search.workflows.evaluate import TransferTest

sys.path.append(str(Path(__file__).parents[1] / "search"))

import fake_trainers
from searches import Recorder, job_maker, plan_of

LABELS = ("[/b]", "[bold]", "[link=x]", ":bell:", "\x1b[31mred", "\x9b31m", "\u202eabc")


def run(*arguments: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["xa-search", *arguments])
        try:
            cli.main()
        except SystemExit as end:
            return int(end.code or 0)
    return 0


def shown(capsys: pytest.CaptureFixture[str]) -> str:
    printed = "".join(capsys.readouterr())
    assert not OBEYED.search(printed)
    return printed


@given(st.text())
def test_any_text_can_be_seen(text: str) -> None:
    assert not OBEYED.search(visible(text))
    assert visible(visible(text)) == visible(text)
    assert json.loads(visible(json.dumps(text, ensure_ascii=False))) == text


def test_letters_stay_letters() -> None:
    for text in ("क्‍ष", "می\u200cخواهم", "👨‍👩‍👧", "a\tb\nc", "[x]"):
        assert visible(text) == text


def test_labels_in_a_data_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "a [bold] folder"
    folder.mkdir()
    for split in ("train", "dev", "test"):
        for lang, labels in (("en", ("go",)), ("de", LABELS)):
            rows = [{"tokens": ["a"], "intent": label, "slots": [f"B-{label}"]} for label in labels]
            (folder / f"{split}.{lang}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for command in ("check", "stats"):
        assert run("data", command, "own", "--data", str(folder), "--home", str(tmp_path)) == 0
        printed = shown(capsys)
        if command == "check":
            assert all(label in printed for label in ("[/b]", "[bold]", "[link=x]", ":bell:"))
    assert run("data", "check", "own", "--data", str(tmp_path / "\x1b[31m[/b]"), "--home", str(tmp_path)) == 3
    assert r"no such folder or zip: " in (printed := shown(capsys))
    assert r"\u001b[31m[/b]" in printed


def test_labels_in_the_test_of_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    half = Interval(value=0.5, low=0.4, high=0.6)
    score = LanguageScore(lang="[/b]", rows=2, left_out=0, intent_accuracy=half, slot_f1=half, exact_match=half)
    tables.print_transfer("[/b]", TransferTest(corpus="\x1b[31m", has_slots=True, languages=(score,), notes=LABELS))
    printed = shown(capsys)
    assert r"[/b] on \u001b[31m, test" in printed
    assert all(visible(label) in printed for label in LABELS)


def test_settings_in_a_status_and_while_they_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = plan_of(tmp_path / "[x] home", name="a[bold]", trials=4)
    run_trials(plan, open_study(plan), job_maker(plan), Recorder(), fake_trainers.rising)  # type: ignore[arg-type]
    journal = plan.directory / JOURNAL
    journal.write_text(journal.read_text().replace("tiny", "[/b]").replace("small", "[bold]x"))
    assert run("status", plan.search_id, "--home", str(plan.home)) == 0
    printed = shown(capsys)
    assert f"{plan.search_id}: over" in printed
    assert "[/b]" in printed
    assert run("status", "--home", str(plan.home)) == 0
    assert "a[bold]" in shown(capsys)
    assert run("explain", "1", "--search", plan.search_id, "--home", str(plan.home)) == 0
    assert plan.search_id in shown(capsys)
    display = SearchDisplay(plan)
    for trial in open_study(plan).trials():
        display.trial_started(trial)
    assert "[/b]" in shown(capsys)


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line[:-3],
        lambda line: json.dumps([1, 2]),
        lambda line: line.replace('"wanted": 4', '"wanted": {"a": []}'),
        lambda line: line.replace('"ended"', '"x"').replace('"spent"', '"spent": {"bad": 1}, "y"'),
        lambda line: line.replace('"settings": {', '"settings": {"epochs": "many", '),
        lambda line: line.replace('"op_code": ', '"op_code": 9'),
        lambda line: line.replace('"decisive": {', '"decisive": [], "z": {'),
        lambda line: line.replace('"role"', '"r"'),
    ],
)
def test_a_home_that_nobody_wrote_so(tmp_path: Path, capsys: pytest.CaptureFixture[str], change) -> None:
    plan = plan_of(tmp_path, trials=4)
    run_trials(plan, open_study(plan), job_maker(plan), Recorder(), fake_trainers.rising)  # type: ignore[arg-type]
    journal = plan.directory / JOURNAL
    journal.write_text("".join(change(line) + "\n" for line in journal.read_text().splitlines()))
    for arguments in (("status",), ("status", plan.search_id), ("explain", "1", "--search", plan.search_id)):
        code = run(*arguments, "--home", str(tmp_path))
        printed = shown(capsys)
        assert code in (0, 2)
        assert "Traceback" not in printed
        assert "fault of xa-search" not in printed
        assert code == 0 or len(printed.splitlines()) == 1


def test_the_log_of_a_job_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    for piece in ("\x1b[36m(run pid=7)\x1b[0m trial 1 of 8\r\n", "label \x1b]0;owned\x07 [/b]", "\u202e\n"):
        echo_log(piece)
    assert capsys.readouterr().out == "(run pid=7) trial 1 of 8\nlabel \\u001b]0;owned\\u0007 [/b]\\u202e\n"
