"""What the sampler learns from trials that failed and from trials that were stopped early."""

from collections.abc import Callable
from pathlib import Path

from fake_trainers import report
from searches import plan_of

from xa_search.records import FailureClass, TrialRecord
from xa_search.search.failures import Failure
from xa_search.search.study import SearchStudy, open_study

TOO_HIGH = 1e-4
Play = Callable[[SearchStudy, TrialRecord], None]


def too_high_proposals(home: Path, play: Play) -> int:
    """Play thirty trials; count those of the last twenty whose learning rate is too high."""
    study = open_study(plan_of(home, trials=30))
    for _ in range(30):
        play(study, study.propose())
    return sum(trial.settings.learning_rate > TOO_HIGH for trial in study.trials()[10:])


def complete(study: SearchStudy, record: TrialRecord) -> None:
    """End a trial with a score that depends on the alignment weight alone."""
    study.report(record.number, report(4, 1 / (2 + record.settings.align_weight), final=True))
    study.finish(record.number, "COMPLETE")


def failing_when_too_high(failure: FailureClass) -> Play:
    def play(study: SearchStudy, record: TrialRecord) -> None:
        if record.settings.learning_rate > TOO_HIGH:
            study.finish(record.number, "FAIL", Failure(failure=failure, line="too high"))
        else:
            complete(study, record)

    return play


def stopping_early_when_too_high(study: SearchStudy, record: TrialRecord) -> None:
    """Where the learning rate is too high, the first epoch looks better than all other trials ever get."""
    if record.settings.learning_rate > TOO_HIGH:
        study.report(record.number, report(1, 0.9, final=False))
        study.finish(record.number, "PRUNED")
    else:
        complete(study, record)


def test_the_sampler_leaves_where_the_settings_make_trials_fail(tmp_path: Path) -> None:
    classes: tuple[FailureClass, ...] = ("code", "collapsed", "non_finite", "oom")
    too_high = {failure: too_high_proposals(tmp_path / failure, failing_when_too_high(failure)) for failure in classes}
    assert too_high["code"] >= 8
    assert max(too_high["collapsed"], too_high["non_finite"], too_high["oom"]) <= 4
    study = open_study(plan_of(tmp_path / "collapsed", trials=30))
    assert {trial.state for trial in study.trials() if trial.failure == "collapsed"} == {"FAIL"}


def test_the_score_of_an_early_epoch_is_not_compared_with_that_of_a_full_budget(tmp_path: Path) -> None:
    assert too_high_proposals(tmp_path, stopping_early_when_too_high) <= 4


def test_a_space_of_choices_is_gone_through_before_a_trial_is_repeated(tmp_path: Path) -> None:
    rates = [1e-5, 2e-5, 4e-5, 8e-5]
    methods = ["zero_shot", "xeroalign", "english_only", "cross_aligner", "translate_train"]
    params = {"method": {"choices": methods}, "learning_rate": {"choices": rates}, "model_size": {"choices": ["tiny"]}}
    study = open_study(plan_of(tmp_path, trials=20, params=params))
    for _ in range(20):
        complete(study, study.propose())
    proposed = {(trial.settings.method, trial.settings.learning_rate) for trial in study.trials()}
    assert proposed == {(method, rate) for method in methods for rate in rates}
