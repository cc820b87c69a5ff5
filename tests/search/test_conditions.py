"""What a trial searches: settings that its method does not read, and conditions of the space."""

from pathlib import Path
from typing import Any

import pytest
from fake_trainers import report
from searches import PARAMS, plan_of

from xa_search.records import Parameter, SearchRecord, TrialRecord
from xa_search.search.conditions import effective_values, groups_of, searched_in
from xa_search.search.history import read_search
from xa_search.search.study import SearchStudy, open_study
from xa_search.tracking.plots import parallel_coordinates_figure
from xa_search.workflows.explain import explain

WEIGHT = {"low": 0.01, "high": 100, "log": True}
BY_METHOD: dict[str, Any] = {
    "method": {"choices": ["zero_shot", "xeroalign", "cross_aligner"]},
    "align_weight": WEIGHT,
    "contrastive_weight": WEIGHT,
    "learning_rate": {"choices": [1e-5, 1e-4]},
}
BY_SIZE: dict[str, Any] = {
    "model_size": {"choices": ["small", "tiny"]},
    "align_weight": {**WEIGHT, "when": {"model_size": "tiny"}},
    "learning_rate": [
        {"when": {"model_size": "small"}, "low": 1e-6, "high": 1e-5, "log": True},
        {"when": {"model_size": "tiny"}, "low": 1e-4, "high": 1e-2, "log": True},
    ],
}


def play(study: SearchStudy, trials: int, score: Any) -> list[TrialRecord]:
    for _ in range(trials):
        record = study.propose()
        study.report(record.number, report(4, score(record), final=True))
        study.finish(record.number, "COMPLETE")
    return list(study.trials())


def test_no_two_trials_differ_only_in_what_their_method_does_not_read(tmp_path: Path) -> None:
    """Zero-shot scores best here, and there are but two such trainings; the rest of the search goes elsewhere."""
    study = open_study(plan_of(tmp_path, params=BY_METHOD, published={}, trials=24))
    trials = play(study, 24, lambda record: 0.9 if record.settings.method == "zero_shot" else 0.3)
    zero_shot = [trial for trial in trials if trial.settings.method == "zero_shot"]
    assert sorted(trial.settings.learning_rate for trial in zero_shot) == [1e-5, 1e-4]
    read = {"zero_shot": set(), "xeroalign": {"align_weight"}, "cross_aligner": {"align_weight", "contrastive_weight"}}
    for trial in trials:
        assert trial.params.keys() == {"method", "learning_rate", *read[trial.settings.method]}


def test_conditional_settings_are_searched_where_their_condition_holds(tmp_path: Path) -> None:
    published = {"model_size": "tiny", "learning_rate": 1e-3}
    plan = plan_of(tmp_path, params=BY_SIZE, published=published, fixed={"align_weight": 7.0}, trials=16)
    trials = play(open_study(plan), 16, lambda record: 0.5 + record.settings.learning_rate)
    assert {trial.settings.model_size for trial in trials} == {"small", "tiny"}
    for trial in trials:
        is_tiny, rate = trial.settings.model_size == "tiny", trial.settings.learning_rate
        assert 1e-4 <= rate <= 1e-2 if is_tiny else 1e-6 <= rate <= 1e-5
        assert ("align_weight" in trial.params) == (is_tiny and trial.role != "baseline")
        assert is_tiny or trial.settings.align_weight == 7.0
    again = open_study(plan)
    assert again.trials() == tuple(trials)
    assert again.propose().number == 16


def test_the_sampler_learns_each_range_from_the_trials_that_searched_it(tmp_path: Path) -> None:
    """The best rate of each size lies at the lower end of that size's range; the other size's trials say nothing."""
    params = {**BY_SIZE, "align_weight": {"choices": [1.0]}}
    plan = plan_of(tmp_path, params=params, published={"model_size": "tiny", "learning_rate": 1e-3}, trials=60)
    lows = {"small": 1e-6, "tiny": 1e-4}
    trials = play(
        open_study(plan), 60, lambda record: 0.5 * lows[record.settings.model_size] / record.settings.learning_rate
    )
    late = [trial for trial in trials[30:] if trial.settings.learning_rate < 2 * lows[trial.settings.model_size]]
    assert len(late) >= 15


def test_the_baseline_is_no_aligned_trial_for_the_sampler(tmp_path: Path) -> None:
    """Two studies whose baselines alone differ, in their score, propose the same trials."""
    proposed = []
    for score in (0.0, 0.99):
        study = open_study(plan_of(tmp_path / str(score), params=PARAMS, trials=12))
        trials = play(study, 12, lambda record, score=score: score if record.role == "baseline" else 0.5)
        proposed.append([trial.params for trial in trials])
    assert proposed[0] == proposed[1]


def test_groups_of_settings_are_those_searched_in_the_same_trials(tmp_path: Path) -> None:
    assert groups_of(plan_of(tmp_path).space) == (("align_weight", "learning_rate", "model_size"),)
    by_method = plan_of(tmp_path, params=BY_METHOD).space
    assert groups_of(by_method) == (("method", "learning_rate"), ("align_weight",), ("contrastive_weight",))
    assert groups_of(plan_of(tmp_path, params=BY_SIZE).space)[0] == ("model_size",)


@pytest.mark.parametrize(
    ("method", "read"),
    [
        ("zero_shot", {"learning_rate"}),
        ("xeroalign", {"learning_rate", "align_weight", "pairing", "align_distance", "models"}),
        ("translate_train", {"learning_rate", "models"}),
        ("english_only", {"learning_rate", "align_weight", "pairing", "align_distance"}),
    ],
)
def test_a_method_reads_what_it_can_learn_from(tmp_path: Path, method: str, read: set[str]) -> None:
    params = {
        "learning_rate": {"choices": [1e-5, 1e-4]},
        "align_weight": WEIGHT,
        "contrastive_weight": WEIGHT,
        "pairing": {"choices": ["shared", "independent"]},
        "align_distance": {"choices": ["mse", "cosine"]},
        "models": {"choices": ["joint", "each"]},
    }
    space = plan_of(tmp_path, params=params).space
    assert searched_in(space, method, {}).keys() == read
    values = dict.fromkeys(params, "given")
    assert effective_values(space, method, values).keys() == read | {"method"}


def test_a_range_by_case_spans_all_its_cases() -> None:
    rate = Parameter.model_validate(BY_SIZE["learning_rate"])
    assert (rate.low, rate.high, rate.log, rate.conditions) == (1e-6, 1e-2, True, ("model_size",))
    assert Parameter.model_validate_json(rate.model_dump_json()) == rate
    assert rate.in_trial({"model_size": "base"}) is None


def test_trials_that_searched_different_settings_are_explained_and_drawn(tmp_path: Path) -> None:
    params = {**BY_METHOD, "learning_rate": BY_SIZE["learning_rate"], "model_size": BY_SIZE["model_size"]}
    published = {"method": "xeroalign", "model_size": "tiny", "learning_rate": 1e-3}
    plan = plan_of(tmp_path, params=params, published=published, trials=12)
    trials = play(open_study(plan), 12, lambda record: 1 / (2 + record.number))
    history = read_search(plan.directory)
    assert history is not None
    explained = [explain(history, trial.number) for trial in trials]
    assert all(one.neighbour is not None for one in explained[1:])
    record = SearchRecord(
        search_id=plan.search_id,
        source="en",
        targets=("th",),
        selection="label_free",
        trials=tuple(trials),
        winner=0,
        baseline=0,
        test_metrics={},
        importances={},
    )
    figure = parallel_coordinates_figure(record, {"learning_rate"})
    assert len(figure.axes[0].lines) >= len(trials)
