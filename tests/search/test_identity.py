"""Whether a plan goes on with the search that the user means: changed spaces, changed corpora, old studies."""

from pathlib import Path

import fake_trainers
import pytest
from searches import PARAMS, Recorder, job_maker, plan_of

from xa_search.errors import StoppedEarly, UsageError
from xa_search.records import Plan
from xa_search.search.history import changed_code, check_same_search, find_search, newest_of
from xa_search.search.runner import run_trials
from xa_search.search.study import open_study

HERE = {"corpus": "3f2a", "tokenizer of tiny": "77", "code": "0" * 64}


def begin(plan: Plan) -> None:
    """Begin a search and interrupt it in its third trial."""
    study = open_study(plan, HERE)
    with pytest.raises(StoppedEarly):
        run_trials(plan, study, job_maker(plan), Recorder(), fake_trainers.interrupting_at_two)


def test_the_same_plan_goes_on_and_more_trials_change_nothing(tmp_path: Path) -> None:
    check_same_search(plan_of(tmp_path), HERE)
    begin(plan_of(tmp_path))
    check_same_search(plan_of(tmp_path), HERE)
    check_same_search(plan_of(tmp_path, trials=99, cpus_per_trial=2, time_budget=60), HERE)
    check_same_search(plan_of(tmp_path, name="other", fixed={"epochs": 3}), HERE)


def test_each_field_that_differs_from_an_unfinished_search_is_named(tmp_path: Path) -> None:
    begin(plan_of(tmp_path))
    params = {**PARAMS, "learning_rate": {"low": 1e-6, "high": 1e-3, "log": True}}
    with pytest.raises(UsageError) as caught:
        check_same_search(plan_of(tmp_path, params=params, seed=2, selection="source_dev"), HERE)
    text = str(caught.value)
    assert text.startswith(
        f"search {plan_of(tmp_path).search_id} in {plan_of(tmp_path).directory} is unfinished (2 of 8"
    )
    assert "has params.learning_rate.high 0.01, now 0.001; seed 1, now 2; selection not set, now source_dev; " in text
    assert text.endswith("type --new to begin another search, or the old value to resume that one")
    assert "\n" not in text


def test_new_begins_another_search_and_both_go_on(tmp_path: Path) -> None:
    begin(plan_of(tmp_path))
    check_same_search(plan_of(tmp_path, seed=2, new=True), HERE)
    begin(plan_of(tmp_path, seed=2, new=True))
    for seed in (1, 2):
        check_same_search(plan_of(tmp_path, seed=seed), HERE)


def test_a_finished_search_and_one_without_trials_bar_nobody(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    run_trials(plan, open_study(plan, HERE), job_maker(plan), Recorder(), fake_trainers.rising)
    open_study(plan_of(tmp_path, seed=3), HERE)
    check_same_search(plan_of(tmp_path, seed=2), HERE)


def test_a_corpus_that_changed_on_disk_is_named(tmp_path: Path) -> None:
    begin(plan_of(tmp_path))
    with pytest.raises(
        UsageError, match=r"began with corpus 3f2a, now 9b1c; restore this .* type --seed 2 --new to begin"
    ):
        check_same_search(plan_of(tmp_path), {**HERE, "corpus": "9b1c"})
    with pytest.raises(UsageError, match="began with corpus 3f2a, now 9b1c"):
        check_same_search(plan_of(tmp_path, new=True), {**HERE, "corpus": "9b1c"})
    check_same_search(plan_of(tmp_path), {**HERE, "tokenizer of large": "88"})


def test_a_search_that_noted_no_identity_is_taken_as_it_is(tmp_path: Path) -> None:
    open_study(plan_of(tmp_path)).propose()
    check_same_search(plan_of(tmp_path), HERE)
    assert open_study(plan_of(tmp_path), HERE).keep("identity", {}) == HERE


def test_other_code_is_told_and_bars_nobody(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    assert changed_code(plan.directory, HERE) == ""
    begin(plan)
    assert changed_code(plan.directory, HERE) == ""
    edited = {**HERE, "code": "f" * 64}
    check_same_search(plan, edited)
    told = changed_code(plan.directory, edited)
    assert told.startswith("this search began with other code of xa-search (000000000000, now ffffffffffff)")
    assert "\n" not in told


def test_new_on_a_search_that_is_over_begins_another(tmp_path: Path) -> None:
    plan, new = plan_of(tmp_path, trials=2), plan_of(tmp_path, trials=2, new=True)
    assert newest_of(new) == new
    run_trials(plan, open_study(plan, HERE), job_maker(plan), Recorder(), fake_trainers.rising)
    assert newest_of(plan) == plan
    second = newest_of(new)
    assert second.search_id != plan.search_id
    assert second.space == plan.space
    open_study(second, HERE).propose()
    assert newest_of(new) == second, "the same command resumes the new one"
    assert newest_of(plan).search_id == second.search_id, "and so does the one without --new"
    search = find_search(tmp_path, second.search_id)
    assert search.plan is not None
    assert (search.plan.search_id, search.plan.repeat) == (second.search_id, 1)
    first = find_search(tmp_path, plan.search_id)
    assert first.study_id != search.study_id
    assert len(first.study_id) == len(search.study_id) == 32


def test_what_decides_a_search_is_read_back(tmp_path: Path) -> None:
    paths = {"translations": tmp_path / "translations", "data": tmp_path / "data"}
    plan = plan_of(tmp_path, deterministic=True).model_copy(update=paths)
    open_study(plan, HERE).propose()
    found = find_search(tmp_path, None)
    assert found.plan is not None
    assert found.plan.search_id == plan.search_id
