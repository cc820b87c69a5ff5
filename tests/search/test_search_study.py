"""The study on disk: roles, distinct proposals, states, orphans, what remains."""

import math
import os
import socket
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import optuna
import pytest
from fake_trainers import quality, report
from searches import PARAMS, charged, job_maker, plan_of, proposals, states

from xa_search.errors import XaSearchError
from xa_search.records import Plan, Spent, StoppedAt, TrialRecord
from xa_search.search.driver import driver_of, only_driver
from xa_search.search.failures import Failure
from xa_search.search.sampler import is_near
from xa_search.search.study import SearchStudy, open_study

HERE = f"{os.getpid()} on {socket.gethostname()}"


def complete(plan: Plan, study: SearchStudy, record: TrialRecord) -> None:
    study.report(record.number, report(4, quality(job_maker(plan)(record)), final=True))
    study.finish(record.number, "COMPLETE")


def test_the_first_two_trials_are_the_baseline_and_the_papers_values(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, baseline={"learning_rate": 1e-3})
    study = open_study(plan)
    baseline, paper, searched = study.propose(), study.propose(), study.propose()
    assert [one.role for one in (baseline, paper, searched)] == ["baseline", "paper_values", "searched"]
    assert baseline.settings.method == "zero_shot"
    assert baseline.params == {"learning_rate": 1e-3, "model_size": "tiny"}
    assert paper.settings.method == searched.settings.method == "xeroalign"
    assert paper.params == {"align_weight": 1, "learning_rate": 2e-5, "model_size": "tiny"}
    assert paper.settings.epochs == 4
    assert study.trials() == (baseline, paper, searched)


def test_the_second_trial_is_named_by_what_it_has(tmp_path: Path) -> None:
    """The whole recipe, the values that a space gives, or none: then nothing is made up."""
    for changes, role in (
        ({"recipe": "published"}, "published"),
        ({}, "paper_values"),
        ({"published": {}}, "searched"),
    ):
        study = open_study(plan_of(tmp_path / role, **changes))
        assert [study.propose().role for _ in range(2)] == ["baseline", role]


def test_what_an_earlier_version_called_published_is_not_run_again(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    study = open_study(plan)
    complete(plan, study, study.propose())
    second = study.propose()
    study._note(1, role="published")
    complete(plan, study, second)
    assert [trial.role for trial in open_study(plan).trials()] == ["baseline", "published"]
    assert open_study(plan).propose().role == "searched"


@pytest.mark.parametrize("choices", [["xeroalign", "target"], ["target", "zero_shot"]])
def test_a_searched_method_is_used_but_the_baseline_stays_zero_shot(tmp_path: Path, choices: list[str]) -> None:
    plan = plan_of(tmp_path, params={**PARAMS, "method": {"choices": choices}}, trials=12)
    study = open_study(plan)
    for _ in range(12):
        complete(plan, study, study.propose())
    baseline, *others = study.trials()
    assert baseline.settings.method == "zero_shot"
    assert baseline.params["method"] == ("zero_shot" if "zero_shot" in choices else choices[0])
    assert {trial.settings.method for trial in others} == set(choices)
    assert all(trial.settings.method == trial.params["method"] for trial in others)


def test_a_baseline_of_no_searched_method_tells_the_sampler_nothing(tmp_path: Path) -> None:
    """Two studies whose baselines alone differ, in their score, propose the same trials."""
    proposed = []
    for score in (0.1, 0.9):
        plan = plan_of(tmp_path / str(score), params={**PARAMS, "method": {"choices": ["xeroalign", "target"]}})
        study = open_study(plan)
        baseline = study.propose()
        study.report(baseline.number, report(4, score, final=True))
        study.finish(baseline.number, "COMPLETE")
        for _ in range(7):
            complete(plan, study, study.propose())
        proposed.append([trial.params for trial in study.trials()])
    assert proposed[0] == proposed[1]


def test_what_no_recipe_gives_is_the_middle_of_the_range(tmp_path: Path) -> None:
    params = {
        **PARAMS,
        "batch_size": {"low": 8, "high": 32},
        "align_distance": {"choices": ["cosine", "mse"]},
        "clip_norm": {"low": 0.5, "high": 1.5},
    }
    study = open_study(plan_of(tmp_path, params=params, published={"batch_size": 20}))
    study.propose()
    paper = study.propose()
    assert paper.params.pop("align_weight") == pytest.approx(1)
    assert paper.params.pop("learning_rate") == pytest.approx(1e-4)
    assert paper.params == {"model_size": "tiny", "batch_size": 20, "align_distance": "cosine", "clip_norm": 1.0}


def test_sixteen_proposals_in_flight_are_distinct(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, trials=24)
    study = open_study(plan)
    for _ in range(8):
        complete(plan, study, study.propose())
    in_flight = [study.propose().params for _ in range(16)]
    assert not any(is_near(plan.space, one, other) for one, other in combinations(in_flight, 2))


def test_a_small_space_is_walked_before_anything_repeats(tmp_path: Path) -> None:
    params = {"batch_size": {"choices": [1, 2, 3, 4]}}
    plan = plan_of(tmp_path, params=params, published={}, trials=40)
    study = open_study(plan)
    for _ in range(10):
        complete(plan, study, study.propose())
    assert {trial.params["batch_size"] for trial in study.trials()[1:]} == {1, 2, 3, 4}


def test_the_same_seed_proposes_the_same_and_another_seed_does_not(tmp_path: Path) -> None:
    def proposed(home: str, seed: int, reopen: bool) -> list[dict[str, object]]:
        plan = plan_of(tmp_path / home, seed=seed)
        study = open_study(plan)
        for _ in range(8):
            study = open_study(plan) if reopen else study
            complete(plan, study, study.propose())
        return proposals(study)

    first = proposed("first", 1, reopen=False)
    assert proposed("second", 1, reopen=True) == first
    assert proposed("third", 2, reopen=False)[2:] != first[2:]


def test_a_trial_is_rebuilt_from_the_disk_alone(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    study = open_study(plan)
    numbers = [study.propose().number for _ in range(4)]
    for number in numbers[:3]:
        assert study.report(number, report(1, 0.4, final=False), seconds=1.5)
        assert not study.report(number, report(1, 0.9, final=False), seconds=9)
    study.report(0, report(2, 0.6, final=False), seconds=3)
    study.finish(0, "COMPLETE")
    study.finish(1, "PRUNED")
    study.finish(2, "FAIL", Failure(failure="non_finite", line="the loss is not finite", frame="steps.py:3"))
    again = open_study(plan)
    assert again.trials() == study.trials()
    first, second, third, fourth = again.trials()
    assert (first.state, first.scores, first.best_epoch, first.metrics) == (
        "COMPLETE",
        (0.4, 0.6),
        2,
        {"held_out": 0.6},
    )
    assert (first.seconds, first.score) == (3, 0.6)
    assert (second.state, second.scores) == ("PRUNED", (0.4,))
    assert (third.state, third.failure, third.failure_text) == (
        "FAIL",
        "non_finite",
        "the loss is not finite (steps.py:3)",
    )
    assert third.failure_frame == "steps.py:3"
    assert fourth.state == "RUNNING"
    assert again.remaining(8) == 5


def test_orphans_go_on_under_their_numbers_from_what_they_reported(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    study = open_study(plan)
    begun = [study.propose() for _ in range(4)]
    complete(plan, study, begun[1])
    study.report(3, report(1, 0.1, final=False), seconds=7)
    again = open_study(plan)
    orphans = again.settle()
    assert [(one.number, one.state, one.interruptions, one.interruption) for one in orphans] == [
        (number, "PAUSED", 1, "the driver of the search died") for number in (0, 2, 3)
    ]
    assert again.settle() == ()
    assert again.remaining(8) == 7
    resumed = [open_study(plan).propose() for _ in range(3)]
    assert [(one.number, one.role, one.params) for one in resumed] == [
        (begun[number].number, begun[number].role, begun[number].params) for number in (0, 2, 3)
    ]
    assert (resumed[2].state, resumed[2].scores, resumed[2].seconds) == ("RUNNING", (0.1,), 7)
    assert open_study(plan).propose().number == 4
    assert [one.interruptions for one in open_study(plan).settle()] == [2, 2, 2, 1]


def test_a_proposal_that_was_cut_short_keeps_its_number(tmp_path: Path) -> None:
    """The driver died after Optuna began the trial and before the study noted what it is."""
    plan = plan_of(tmp_path)
    one, other = open_study(plan), open_study(plan_of(tmp_path / "whole"))
    for study in (one, other):
        for _ in range(3):
            study.propose()
    optuna_study = optuna.load_study(study_name=plan.search_id, storage=one._storage)
    assert optuna_study.ask().number == 3
    again = open_study(plan)
    again.settle()
    for _ in range(3):
        again.propose()
    proposed = again.propose()
    assert (proposed.number, proposed.params) == (3, other.propose().params)


def test_an_orphan_ends_as_was_decided_before_its_driver_died(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    study = open_study(plan)
    for _ in range(3):
        study.propose()
    for epoch in range(1, 5):
        study.report(0, report(epoch, epoch / 10, final=epoch == 4))
    stopped = StoppedAt(epoch=1, score=0.1, cutoff=0.2, rank=3, competitors=3)
    study.report(1, report(1, 0.1, final=False), stopped=stopped)
    study.report(2, report(1, 0.1, final=False))
    complete_one, pruned, paused = open_study(plan).settle()
    assert (complete_one.state, complete_one.score) == ("COMPLETE", 0.4)
    assert (pruned.state, pruned.stopped_at, pruned.interruptions) == ("PRUNED", stopped, 0)
    assert (paused.state, paused.stopped_at) == ("PAUSED", None)


def test_a_fixed_recipe_that_failed_has_another_chance_in_the_next_run(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    study = open_study(plan)
    complete(plan, study, study.propose())
    study.propose()
    study.finish(1, "FAIL", Failure(failure="code", line="a bug"))
    assert [study.propose().role, study.propose().role] == ["searched", "searched"]
    assert open_study(plan).propose().role == "paper_values"


def test_a_failed_baseline_has_a_second_chance_at_once_that_is_not_charged(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    study = open_study(plan)
    for number in range(2):
        assert study.propose().role == "baseline"
        study.finish(number, "FAIL", Failure(failure="code", line="a bug"))
    assert study.trial(0).params == study.trial(1).params
    assert [study.propose().role, study.propose().role] == ["paper_values", "searched"]
    assert study.remaining(8) == 7
    assert open_study(plan).propose().role == "baseline"


def test_a_half_written_line_is_cut_off(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    study = open_study(plan)
    complete(plan, study, study.propose())
    journal = plan.directory / "study.journal"
    with journal.open("ab") as file:
        file.write(b'{"op_code": 4, "work')
    again = open_study(plan)
    assert again.trials() == study.trials()
    complete(plan, again, again.propose())
    assert [trial.state for trial in open_study(plan).trials()] == ["COMPLETE", "COMPLETE"]


def test_an_unreadable_journal_is_one_clear_line(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    open_study(plan).propose()
    journal = plan.directory / "study.journal"
    journal.write_bytes(b"rubbish\n" + journal.read_bytes())
    with pytest.raises(XaSearchError, match=r"study\.journal: unreadable .* move this file elsewhere"):
        open_study(plan)


def test_more_trials_are_of_the_same_search(tmp_path: Path) -> None:
    study = open_study(plan_of(tmp_path))
    study.propose()
    assert open_study(plan_of(tmp_path, trials=99)).trials() == study.trials()


def test_only_one_process_runs_a_search(tmp_path: Path) -> None:
    one, other = only_driver(tmp_path), only_driver(tmp_path)
    with one, pytest.raises(XaSearchError, match=rf"already run by process {HERE}; wait"), other:
        pass
    with only_driver(tmp_path):
        pass


LOOKING = """
import sys
from pathlib import Path
from xa_search.search.driver import driver_of

print("looking", flush=True)
while driver_of(Path(sys.argv[1])) in ("", sys.argv[2]):
    pass
"""


def test_who_looks_for_a_driver_keeps_none_from_starting(tmp_path: Path) -> None:
    with only_driver(tmp_path):
        assert driver_of(tmp_path) == HERE
    looking = [sys.executable, "-c", LOOKING, str(tmp_path), HERE]
    with subprocess.Popen(looking, stdout=subprocess.PIPE, text=True) as looker:
        assert looker.stdout is not None
        assert looker.stdout.readline() == "looking\n"
        try:
            for _ in range(300):
                with only_driver(tmp_path):
                    pass
            assert looker.poll() is None
        finally:
            looker.kill()


def test_importances_count_early_stopped_trials_and_need_ten(tmp_path: Path) -> None:
    """Of twelve searched trials three use their full budget: all twelve tell what mattered, and nine would not."""
    plan = plan_of(tmp_path, trials=20)
    study = open_study(plan)
    for number in range(14):
        assert study.importances() == {} or number >= 12
        record = study.propose()
        study.report(record.number, report(1, quality(job_maker(plan)(record)), final=False))
        if number % 4:
            study.finish(record.number, "PRUNED")
        else:
            study.report(record.number, report(4, quality(job_maker(plan)(record)), final=True))
            study.finish(record.number, "COMPLETE")
    importances = study.importances()
    assert set(importances) == set(PARAMS)
    assert math.fsum(importances.values()) == pytest.approx(1)


def test_a_trial_that_lost_its_workers_is_not_charged_and_is_proposed_once_again(tmp_path: Path) -> None:
    study = open_study(plan_of(tmp_path))
    first = study.propose()
    study.finish(0, "FAIL", Failure(failure="lost_worker", line="gone"))
    assert study.remaining(8) == 8
    repeat = study.propose()
    assert (repeat.number, repeat.role, repeat.params) == (1, "baseline", first.params)
    assert [study.propose().role for _ in range(2)] == ["paper_values", "searched"]
    assert [trial.number for trial in charged(study)] == [1, 2, 3]
    assert states(study) == {"FAIL": 1, "RUNNING": 3}


def test_what_was_spent_is_kept(tmp_path: Path) -> None:
    assert open_study(plan_of(tmp_path)).spent() == Spent()
    spent = Spent(wall_seconds=3, trial_seconds=5, gpu_hours=0.5)
    open_study(plan_of(tmp_path)).note_spent(spent)
    assert open_study(plan_of(tmp_path)).spent() == spent
