"""Zero-shot's own small search: outside `trials`, drawn apart, stopped among its like; what gains are over."""

from dataclasses import replace
from pathlib import Path

import pytest
from fake_trainers import report
from searches import plan_of

from xa_search.cli.display import print_plan
from xa_search.errors import UsageError
from xa_search.records import EpochReport, TrialRecord, TrialRole, TrialSettings
from xa_search.search.early_stopping import EarlyStopping
from xa_search.search.history import read_search
from xa_search.search.registry import chosen_rule
from xa_search.search.study import SearchStudy, open_study
from xa_search.search.winner import best_zero_shot, without_weights
from xa_search.workflows.plan import make_plan

OWN = {"baseline_trials": 4, "trials": 12}


def play(study: SearchStudy, trials: int, score: float = 0.5) -> list[TrialRecord]:
    """Let all trials end, one after the other."""
    while study.remaining(trials):
        record = study.propose()
        final = record.settings.epochs
        for epoch in range(1, final + 1):
            study.report(
                record.number,
                EpochReport(epoch=epoch, score=score, best_score=score, best_epoch=1, final=epoch == final, metrics={}),
            )
        study.finish(record.number, "COMPLETE")
    return list(study.trials())


def test_it_is_drawn_apart_outside_the_trials_and_evenly_among_them(tmp_path: Path) -> None:
    trials = play(open_study(plan_of(tmp_path / "own", **OWN)), 12)
    own = [trial for trial in trials if trial.role == "zero_shot"]
    assert len(trials) == 12 + 3
    assert [trial.number for trial in own] == [2, 5, 10]
    assert {trial.settings.method for trial in own} == {"zero_shot"}
    assert all("align_weight" not in trial.params for trial in own)
    baseline = trials[0]
    rates = {trial.settings.learning_rate for trial in (baseline, *own)}
    assert len(rates) == 4, "each tries a rate of its own"


def test_the_aligned_proposals_do_not_see_it(tmp_path: Path) -> None:
    """Whatever its trials score, the same settings are proposed: only their numbers, which seed a draw, are moved."""
    low, high = (
        [
            trial.params
            for trial in play_with_own(open_study(plan_of(tmp_path / str(score), **OWN)), score)
            if trial.role == "searched"
        ]
        for score in (0.01, 0.99)
    )
    assert low == high


def play_with_own(study: SearchStudy, own_score: float) -> list[TrialRecord]:
    while study.remaining(12):
        record = study.propose()
        score = own_score if record.role == "zero_shot" else record.settings.learning_rate
        for epoch in range(1, record.settings.epochs + 1):
            study.report(
                record.number,
                EpochReport(epoch=epoch, score=score, best_score=score, best_epoch=1, final=False, metrics={}),
            )
        study.finish(record.number, "COMPLETE")
    return list(study.trials())


def test_a_search_is_extended_by_more_zero_shot_trials(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, trials=4)
    play(open_study(plan), 4)
    longer = plan.model_copy(update={"space": plan.space.model_copy(update={"baseline_trials": 3})})
    assert longer.search_id == plan.search_id
    study = open_study(longer)
    assert study.remaining(4) == 2
    trials = play(study, 4)
    assert [trial.role for trial in trials[4:]] == ["zero_shot", "zero_shot"]
    history = read_search(longer.directory)
    assert history is not None
    assert (history.ended, history.wanted) == (6, 6)
    assert history.plan is not None
    assert (history.plan.space.trials, history.plan.space.baseline_trials) == (4, 3)


def test_a_paused_one_goes_on_under_its_number(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, **OWN)
    study = open_study(plan)
    begun = [study.propose() for _ in range(3)]
    assert begun[2].role == "zero_shot"
    study.settle("killed", {trial.number for trial in begun})
    resumed = [open_study(plan).propose() for _ in range(1)]
    again = open_study(plan)
    resumed += [again.propose() for _ in range(2)]
    assert [(one.number, one.role, one.params) for one in resumed] == [
        (one.number, one.role, one.params) for one in begun
    ]


def trial(number: int, role: TrialRole, score: float) -> TrialRecord:
    settings = TrialSettings(epochs=4, model_size="tiny")
    return TrialRecord(number=number, role=role, settings=settings, params={}, scores=(score,), state="COMPLETE")


def test_it_is_stopped_early_among_zero_shot_trials_alone() -> None:
    stopping = EarlyStopping(chosen_rule(plan_of(Path(), scheduler={"asha": {"reduction": 2}}).space.scheduler))
    for one in (trial(0, "baseline", 0.3), trial(1, "searched", 0.9), trial(2, "searched", 0.8)):
        stopping.enter(one)
    assert stopping.verdict(trial(3, "zero_shot", 0.4), report(1, 0.4, final=False)) is None, "better than the baseline"
    assert stopping.verdict(trial(4, "zero_shot", 0.2), report(1, 0.2, final=False)) is not None
    assert stopping.verdict(trial(5, "searched", 0.5), report(1, 0.5, final=False)) is not None, "held against theirs"


def test_gains_are_over_the_best_and_its_weights_stay() -> None:
    baseline, own, worse = trial(0, "baseline", 0.5), trial(3, "zero_shot", 0.6), trial(4, "zero_shot", 0.1)
    aligned = trial(2, "searched", 0.9)
    assert best_zero_shot((baseline, aligned)) == baseline
    assert best_zero_shot((baseline, aligned, own, worse)) == own
    assert best_zero_shot((aligned, replace(own, state="PRUNED"))) is None
    assert without_weights((baseline, aligned, own, worse), 1) == [baseline, worse]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (("baseline.trials=0",), "baseline.trials: 0: input should be greater than or equal to 1"),
        (("baseline.trials=some",), "baseline.trials: 'some'"),
        (
            ("baseline.trials=4", "params.learning_rate={choices: [2.0e-4, 1.0e-4]}", "published.learning_rate=1.0e-4"),
            "baseline.trials: 4 are more than the 2 different zero-shot trials",
        ),
    ],
)
def test_what_cannot_be_is_told(tmp_path: Path, changes: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message.replace(".", r"\.")):
        make_plan("mtop-mini", changes, home=tmp_path)


def test_a_space_file_says_it_below_baseline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = make_plan("mtop-mini", ("baseline.trials=4",), home=tmp_path).space
    assert (space.baseline_trials, space.all_trials) == (4, 23)
    assert "trials" not in space.baseline
    assert space.baseline["learning_rate"] == 2e-4
    print_plan(make_plan("mtop-mini", ("baseline.trials=4",), home=tmp_path), ())
    said = capsys.readouterr().out
    assert "at a time: at most 5 of 23 trials" in said
    assert "zero-shot: 4 trials, the baseline and 3 drawn for it alone, outside the 20" in said
