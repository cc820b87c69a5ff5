"""A search's report, put together from records and files that a test makes: nothing is trained."""

import json
import shlex
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from xa_search.errors import UsageError
from xa_search.records import FairBaseline, FloorScore, Plan, SearchRecord, Spent, StoppedAt, TrialRecord, TrialSettings
from xa_search.records.report import Mistakes, ReportSection, SearchReport
from xa_search.records.search import trial_directory
from xa_search.search.history import SearchHistory
from xa_search.training.final_test import Outcomes, write_outcomes
from xa_search.training.mistakes import write_mistakes
from xa_search.workflows.comparisons import COMPARISONS
from xa_search.workflows.next_commands import RegisteredName, run_arguments
from xa_search.workflows.plan import make_plan
from xa_search.workflows.report_page import current_report, write_report_files
from xa_search.workflows.search_report import REPORT, report_of

LANGUAGES, TARGETS = ("en", "de", "th"), ("de", "th")
MODEL = RegisteredName(name="xa-search-mtop-mini", version=3, is_champion=False)


def outcomes(right: int, of: int = 40) -> Outcomes:
    hits = np.arange(of) < right
    counts = hits.astype(np.int64)
    ones = np.ones(of, dtype=np.int64)
    return Outcomes(ids=tuple(map(str, range(of))), intent=hits, exact=hits, correct=counts, found=ones, gold=ones)


def scores_of(right: int) -> dict[str, float]:
    kinds = ("intent_acc", "slot_f1", "exact_match")
    return {f"test_{kind}_{lang}": right / 40 for kind in kinds for lang in (*LANGUAGES, "mean")}


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return make_plan("mtop-mini", ("targets=[de, th]", "trials=4", "params.align_weight.high=50"), home=tmp_path)


@pytest.fixture
def trials() -> tuple[TrialRecord, ...]:
    settings = TrialSettings(model_size="tiny", epochs=4)
    first = TrialRecord(
        number=0,
        role="baseline",
        settings=settings.model_copy(update={"method": "zero_shot"}),
        params={"learning_rate": 2e-4},
        state="COMPLETE",
        scores=(0.4, 0.5, 0.5, 0.5),
        best_epoch=2,
        metrics={"held_out_intent_acc_de": 0.9, "held_out_intent_acc_th": 0.12345, "dev_intent_acc_en": float("nan")},
    )
    stopped = StoppedAt(epoch=1, score=0.2, cutoff=0.45, rank=3, competitors=3)
    searched = replace(first, role="searched", settings=settings, params={"learning_rate": 1e-4, "align_weight": 2.0})
    return (
        first,
        replace(searched, number=1, scores=(0.5, 0.7, 0.6, 0.6)),
        replace(searched, number=2, state="PRUNED", scores=(0.2,), stopped_at=stopped),
        replace(searched, number=3, state="FAIL", scores=(), failure="collapsed", failure_text="one embedding"),
    )


@pytest.fixture
def search(plan: Plan, trials: tuple[TrialRecord, ...]) -> SearchHistory:
    return SearchHistory(
        directory=plan.directory, plan=plan, trials=trials, wanted=4, ended=4, keep=3, spent=Spent(), identity={},
        folders=(), driver="", changed=0.0,
    )  # fmt: skip


@pytest.fixture
def record(plan: Plan, trials: tuple[TrialRecord, ...]) -> SearchRecord:
    """What the end found, and the files that it left."""
    for folder, right in ((0, 20), (1, 30)):
        write_outcomes(dict.fromkeys(LANGUAGES, outcomes(right)), trial_directory(plan.directory, folder))
    write_outcomes(dict.fromkeys(LANGUAGES, outcomes(28)), plan.directory / COMPARISONS / "1")
    found = Mistakes(utterances=40, wrong=10, intents=(), slots=(), examples=())
    write_mistakes(dict.fromkeys(LANGUAGES, found), trial_directory(plan.directory, 1))
    settings = trials[0].settings
    return SearchRecord(
        search_id=plan.search_id,
        source="en",
        targets=TARGETS,
        selection="label_free",
        trials=trials,
        winner=1,
        baseline=0,
        test_metrics={
            0: scores_of(20),
            1: scores_of(30) | {"test_intent_ece_th": 0.125, "test_raw_intent_ece_th": 0.2},
        },
        importances={"learning_rate": 1.0},
        fair_baseline=FairBaseline(settings=settings, score=0.6, best_epoch=1, seconds=1.0, test_metrics=scores_of(28)),
        floors=(FloorScore(name="the most frequent intent", score=0.1, test_metrics=scores_of(4)),),
        data=("pairs: de 1,100",),
    )


def test_scores_and_gains_have_the_intervals_of_their_utterances(search: SearchHistory, record: SearchRecord) -> None:
    report = report_of(search, record, [MODEL])
    assert [row.lang for row in report.languages] == [*LANGUAGES, "mean"]
    mean = report.languages[-1]
    for one, value in ((mean.winner["slot_f1"], 75), (mean.gain["slot_f1"], 25), (mean.fair_gain["slot_f1"], 5)):
        assert one.value == pytest.approx(value)
        assert one.low is not None
        assert one.high is not None
        assert one.low < one.value < one.high
    assert "won, with a mean over the targets' test sets of intent accuracy 75.0 [" in report.sentences[1]
    assert "over the zero-shot trial intent accuracy +25.0 [" in report.sentences[2]
    assert "over its own settings without alignment intent accuracy +5.0 [" in report.sentences[2]
    assert report.sentences[0].endswith("of 4 trials wanted, 2 used the full budget, 1 stopped early, 1 failed.")


def test_all_that_was_found_is_in_the_report(search: SearchHistory, record: SearchRecord) -> None:
    report = report_of(search, record, [MODEL])
    assert (report.winner, report.baseline, report.state, report.at_floor) == (1, 0, "over", "")
    assert report.floors[0].mean["intent_accuracy"] == pytest.approx(10)
    assert report.calibration[0].after == {"intent": 12.5}
    assert [weak.lang for weak in report.weakest] == list(TARGETS)
    assert report.failure_regions[0].text.startswith("collapsed: 1 trial, align_weight 2")
    assert report.trials[0].by_language == {"held_out_intent_acc": (None, 90.0, 12.35)}
    assert report.trial_languages == LANGUAGES
    assert "rank 3 of 3" in report.trials[2].ending
    assert report.rungs == (1, 2)
    assert "try a lower align_weight" in report.trials[3].ending
    commands = {one.command.split()[1] for one in report.commands}
    assert commands == {"promote", "predict", "serve", "export", "run", "report"}


def test_the_winner_gains_nothing_over_itself(search: SearchHistory, record: SearchRecord) -> None:
    alone = replace(record, winner=0, fair_baseline=None, no_fair_baseline="no fair baseline: it aligned nothing")
    report = report_of(search, replace(alone, test_metrics={0: scores_of(20)}), [])
    assert "over the zero-shot trial nothing, as it won itself" in report.sentences[2]
    assert report.languages[0].gain["slot_f1"].low is None
    assert any("was not kept" in note for note in report.notes)


def test_what_was_written_is_read_again_until_the_search_goes_on(search: SearchHistory, record: SearchRecord) -> None:
    report = report_of(search, record, [MODEL])
    write_report_files(report, search.directory / REPORT)
    assert current_report(search) == report
    section = ReportSection(sentences=("It holds.",))
    (search.directory / REPORT / "audit.json").write_text(section.model_dump_json(), encoding="utf-8")
    assert current_report(search).audit == section
    going_on = replace(search, driver="1 on here")
    assert current_report(going_on).winner is None
    longer = replace(search, trials=(*search.trials, replace(search.trials[0], number=4)))
    assert current_report(longer).winner is None


def test_an_earlier_versions_file_is_no_report(search: SearchHistory) -> None:
    folder = search.directory / REPORT
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps({"search_id": "x", "winner": 1}), encoding="utf-8")
    assert current_report(search).languages == ()
    assert "the same `xa-search run` adds them" in current_report(search).notes[0]
    with pytest.raises(UsageError, match="kept no plan"):
        current_report(replace(search, plan=None))


def test_a_running_search_tells_its_best_trial(search: SearchHistory) -> None:
    report = report_of(replace(search, driver="1 on here"))
    assert report.state == "running"
    assert report.sentences[1].startswith(
        "Found so far: trial 1 (xeroalign, learning_rate 0.0001, align_weight 2) leads"
    )
    assert (report.languages, report.weakest, report.winner) == ((), (), None)


def test_the_command_that_extends_a_search_names_that_search(plan: Plan) -> None:
    words = run_arguments(plan)
    assert words is not None
    changes = tuple(words[place + 1] for place, word in enumerate(words) if word == "--set")
    assert changes
    assert make_plan("mtop-mini", changes, home=plan.home).search_id == plan.search_id
    assert run_arguments(plan.model_copy(update={"name": "nowhere"})) is None


def test_the_report_is_one_record(search: SearchHistory, record: SearchRecord) -> None:
    report = report_of(search, record, [MODEL])
    assert SearchReport.model_validate_json(report.model_dump_json()) == report
    assert all(shlex.split(one.command)[0] == "xa-search" for one in report.commands)
    assert asdict(record)["winner"] == report.winner
