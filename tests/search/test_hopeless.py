"""When a search ends without a winner, and when it gives up before all its trials ran."""

from collections.abc import Iterator
from pathlib import Path

import fake_trainers
import pytest
from searches import plan_of, run, states

from xa_search.errors import XaSearchError
from xa_search.records import EpochReport, FailureClass, TrialJob
from xa_search.search.controller import Outcome, abort_reason
from xa_search.search.failures import Failure
from xa_search.search.study import open_study
from xa_search.search.winner import choose_winner

WELL = Outcome(is_aligned=True)
ZERO_SHOT = Outcome(is_aligned=False)


def failed(failure: FailureClass, frame: str = "") -> Outcome:
    return Outcome(is_aligned=True, failure=Failure(failure=failure, line="why", frame=frame))


LOST, BUG, OTHER_BUG = failed("lost_worker"), failed("code", "align.py:3"), failed("code", "data.py:5")


def not_aligning(job: TrialJob) -> Iterator[EpochReport]:
    """A bug in the alignment path: the zero-shot trial alone goes well."""
    if job.settings.method != "zero_shot":
        raise KeyError("the alignment path")
    yield from fake_trainers.rising(job)


def without_memory_to_align(job: TrialJob) -> Iterator[EpochReport]:
    if job.settings.method != "zero_shot":
        raise MemoryError("too large a step")
    yield from fake_trainers.rising(job)


@pytest.mark.parametrize(
    ("outcomes", "gives_up"),
    [
        ([ZERO_SHOT, BUG, BUG, BUG], "the first 3 trials all failed: why (align.py:3); correct this code"),
        ([BUG, LOST, ZERO_SHOT, BUG, ZERO_SHOT, BUG], "the first 3 trials all failed"),
        ([WELL, BUG, BUG, BUG], ""),
        ([BUG, BUG, OTHER_BUG, BUG], ""),
        ([LOST, LOST, *[WELL] * 50, LOST, *[WELL] * 3, LOST], ""),
        ([*[WELL] * 50, LOST, LOST, LOST], "3 trials in a row lost their workers for good"),
    ],
)
def test_a_search_gives_up_when_going_on_cannot_help(outcomes: list[Outcome], gives_up: str) -> None:
    reasons = [abort_reason(outcomes[: count + 1]) for count in range(len(outcomes))]
    assert not any(reasons[:-1])
    assert reasons[-1].startswith(gives_up)
    assert bool(reasons[-1]) == bool(gives_up)


def test_a_bug_in_the_alignment_path_ends_the_search_after_three_trials(tmp_path: Path) -> None:
    with pytest.raises(XaSearchError, match=r"the first 3 trials all failed: KeyError"):
        run(plan_of(tmp_path, trials=20), not_aligning)
    assert states(open_study(plan_of(tmp_path, trials=20))) == {"COMPLETE": 1, "FAIL": 3}


def test_the_zero_shot_trial_is_no_winner_where_nothing_aligned(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, trials=6)
    said = r"none of the 5 trials that align used its full budget \(5 oom\), so there is no winner; trial 5: "
    with pytest.raises(XaSearchError, match=said) as caught:
        run(plan, without_memory_to_align)
    assert caught.value.exit_code == 1
    with pytest.raises(XaSearchError, match="so there is no winner"):
        choose_winner(open_study(plan).trials())


def test_a_search_of_zero_shot_trials_has_a_winner(tmp_path: Path) -> None:
    study, _ = run(plan_of(tmp_path, trials=4, method="zero_shot"), without_memory_to_align)
    assert choose_winner(study.trials()).settings.method == "zero_shot"
