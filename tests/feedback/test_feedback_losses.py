"""Each loss of feedback against plain arithmetic on a case made by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xa_search.feedback.lessons import LessonBatch
from xa_search.feedback.losses import (
    answer_log_probability,
    binary_loss,
    intent_margins,
    preference_loss,
    slot_margins,
    sum_words,
    wrong_answer_loss,
)
from xa_search.feedback.objective import RewardShift, lesson_losses, lessons_of_step
from xa_search.records import IGNORED
from xa_search.records.feedback import FeedbackSettings

LOGITS = torch.tensor([[2.0, 0.5, -1.0], [0.0, 1.0, 0.0]])
REFERENCE = torch.tensor([[1.0, 1.0, -1.0], [0.0, 0.0, 0.5]])


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def log_softmax(row: list[float], place: int) -> float:
    return row[place] - math.log(sum(math.exp(one) for one in row))


def test_a_preference_between_intents_is_the_difference_of_differences_of_logits() -> None:
    chosen, rejected = torch.tensor([0, 1]), torch.tensor([1, IGNORED])
    margins = intent_margins(LOGITS, REFERENCE, chosen, rejected)
    by_hand = (2.0 - 0.5) - (1.0 - 1.0)
    assert margins.tolist() == pytest.approx([by_hand, 0.0])
    loss = preference_loss(margins, 0.4)
    assert loss.tolist() == pytest.approx([-math.log(sigmoid(0.4 * by_hand)), -math.log(0.5)], rel=1e-6)


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=3), st.lists(st.floats(-5, 5), min_size=3, max_size=3))
def test_a_preference_needs_no_partition(row: list[float], before: list[float]) -> None:
    chosen, rejected = torch.tensor([0]), torch.tensor([2])
    margin = intent_margins(torch.tensor([row]), torch.tensor([before]), chosen, rejected)
    ratios = [log_softmax(row, place) - log_softmax(before, place) for place in (0, 2)]
    assert float(margin) == pytest.approx(ratios[0] - ratios[1], abs=1e-4)


def test_a_preference_between_parses_is_the_mean_over_the_words_in_which_they_differ() -> None:
    # Two texts of two and one words; the first parse differs in its second word, the other parse nowhere.
    logits = torch.tensor([[1.0, 0.0], [3.0, 1.0], [0.0, 0.0]])
    reference = torch.tensor([[9.0, 0.0], [1.0, 2.0], [0.0, 0.0]])
    chosen, rejected = torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1])
    margins = slot_margins(logits, reference, chosen, rejected, torch.tensor([2, 1]))
    assert margins.tolist() == pytest.approx([(3.0 - 1.0) - (1.0 - 2.0), 0.0])
    # Where both words differ, the sum is divided by two.
    both = slot_margins(logits, reference, torch.tensor([0, 0, 1]), torch.tensor([1, 1, 1]), torch.tensor([2, 1]))
    assert both.tolist() == pytest.approx([((1.0 - 9.0) + 3.0) / 2, 0.0])


def test_a_verdict_alone_pushes_its_reward_over_the_shift_or_under_it() -> None:
    rewards, right = torch.tensor([0.3, 0.3]), torch.tensor([True, False])
    loss = binary_loss(rewards, right, 0.1)
    assert loss.tolist() == pytest.approx([-math.log(sigmoid(0.2)), -math.log(sigmoid(-0.2))], rel=1e-6)


def test_the_reward_shift_is_half_the_sum_of_the_running_means() -> None:
    shift = RewardShift()
    assert float(shift.value) == 0
    shift.learn(torch.tensor([1.0, 3.0, -2.0]), torch.tensor([True, True, False]))
    assert float(shift.value) == pytest.approx((0.1 * 2 + 0.1 * -2) / 2)
    shift.learn(torch.tensor([4.0]), torch.tensor([True]))
    assert float(shift.value) == pytest.approx((0.9 * 0.2 + 0.1 * 4 + 0.1 * -2) / 2)
    again = RewardShift()
    again.load_state_dict(shift.state_dict())
    assert float(again.value) == float(shift.value)


@given(st.floats(-60, -1e-3))
def test_a_parse_that_is_wrong_as_a_whole_costs_minus_log_of_what_is_left(log_probability: float) -> None:
    given_to = torch.tensor([log_probability], dtype=torch.float32, requires_grad=True)
    loss = wrong_answer_loss(given_to)
    assert float(loss.detach()) == pytest.approx(-math.log1p(-math.exp(log_probability)), rel=1e-3, abs=1e-12)
    (gradient,) = torch.autograd.grad(loss.sum(), given_to)
    assert bool(gradient.isfinite().all())


def test_a_parse_that_is_sure_and_wrong_has_a_finite_loss() -> None:
    sure = torch.tensor([0.0, -1e-12, -1e4], requires_grad=True)
    loss = wrong_answer_loss(sure)
    (gradient,) = torch.autograd.grad(loss.sum(), sure)
    assert bool(loss.isfinite().all())
    assert bool(gradient.isfinite().all())
    assert float(loss[2].detach()) == 0


class Words:
    """The one field of a batch that the losses read."""

    def __init__(self, counts: list[int]) -> None:
        self.word_counts = torch.tensor(counts)


def batch(chosen: int, rejected: int, tags: tuple[list[int], list[int]], *, whole: bool = False) -> LessonBatch:
    """One lesson of two words."""
    return LessonBatch(
        batch=Words([2]),  # type: ignore[arg-type]
        chosen_intents=torch.tensor([chosen]),
        rejected_intents=torch.tensor([rejected]),
        chosen_slots=torch.tensor(tags[0]),
        rejected_slots=torch.tensor(tags[1]),
        whole=torch.tensor([whole]),
        reference_intents=REFERENCE[:1],
        reference_slots=torch.zeros(2, 2),
    )


NONE = [IGNORED, IGNORED]
SLOTS = torch.tensor([[1.0, 0.0], [0.5, -0.5]])


def losses(lesson: LessonBatch, loss: str = "preference", beta: float = 0.4) -> dict[str, float]:
    settings = FeedbackSettings.model_validate({"arm": "english", "loss": loss, "beta": beta})
    found = lesson_losses(LOGITS[:1], SLOTS, lesson, settings, RewardShift())
    return {name.removeprefix("feedback_"): round(float(value), 5) for name, value in found.items()}


def test_each_kind_of_lesson_has_its_own_loss() -> None:
    log_p, log_p0 = log_softmax([2.0, 0.5, -1.0], 0), log_softmax([1.0, 1.0, -1.0], 0)
    reward = 0.4 * (log_p - log_p0)
    pair = {"intent": -math.log(sigmoid(0.4 * 1.5)), "slot": 0.0, "whole": 0.0}
    assert losses(batch(0, 1, (NONE, NONE))) == pytest.approx(pair, abs=1e-5)
    up = {"intent": -math.log(sigmoid(reward)), "slot": 0.0, "whole": 0.0}
    assert losses(batch(0, IGNORED, (NONE, NONE))) == pytest.approx(up, abs=1e-5)
    down = {"intent": -math.log(sigmoid(-reward)), "slot": 0.0, "whole": 0.0}
    assert losses(batch(IGNORED, 0, (NONE, NONE))) == pytest.approx(down, abs=1e-5)
    tags = sum(log_softmax(row, 0) for row in ([1.0, 0.0], [0.5, -0.5]))
    whole = {"intent": 0.0, "slot": 0.0, "whole": -math.log(1 - math.exp(log_p + tags))}
    assert losses(batch(IGNORED, 0, (NONE, [0, 0]), whole=True)) == pytest.approx(whole, abs=1e-5)
    tags_right = {"intent": 0.0, "slot": -math.log(sigmoid(0.4 * (tags - 2 * math.log(0.5)))), "whole": 0.0}
    assert losses(batch(IGNORED, IGNORED, ([0, 0], NONE))) == pytest.approx(tags_right, abs=1e-5)


def test_the_control_takes_a_correction_as_a_label() -> None:
    log_p = log_softmax([2.0, 0.5, -1.0], 0)
    assert losses(batch(0, 1, (NONE, NONE)), "sft")["intent"] == pytest.approx(-log_p, abs=1e-5)
    wrong = losses(batch(IGNORED, 0, (NONE, NONE)), "sft")["intent"]
    assert wrong == pytest.approx(-math.log(1 - math.exp(log_p)), abs=1e-5)
    tags = [log_softmax(row, 0) for row in ([1.0, 0.0], [0.5, -0.5])]
    assert losses(batch(IGNORED, IGNORED, ([0, 0], NONE)), "sft")["slot"] == pytest.approx(-sum(tags) / 2, abs=1e-5)


def test_sums_and_log_probabilities_leave_out_what_is_unknown() -> None:
    assert sum_words(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([2, 0, 1])).tolist() == [3.0, 0.0, 4.0]
    assert answer_log_probability(LOGITS, torch.tensor([IGNORED, 1]))[0] == 0


@given(st.integers(1, 9), st.integers(1, 7), st.integers(0, 3))
def test_every_lesson_comes_once_before_any_comes_again(count: int, size: int, seed: int) -> None:
    taken = [place for step in range(count) for place in lessons_of_step(count, step, size, seed)]
    assert len(taken) == count * size
    passes = [taken[start : start + count] for start in range(0, len(taken), count)]
    assert all(sorted(one) == list(range(count)) for one in passes)
