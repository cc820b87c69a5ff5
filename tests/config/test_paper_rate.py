"""The paper's rate for the steps at hand: its arithmetic, the spaces that come along, and what a plan says."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xa_search.config.paper_rate import NEAR_ENOUGH, paper_rate, paper_steps
from xa_search.rehearsal.forecast import RowCounts, paper_values_line
from xa_search.workflows.plan import make_plan

ROWS = {
    "mtop-mini": (1_100, 180),
    "mtod-small": (30_521, 0),
    "mtop": (15_667, 2_235),
    "mtod": (30_521, 0),
    "multiatis": (4_488, 490),
    "pawsx": (49_401, 2_000),
}


def rows_of(space: str, targets: tuple[str, ...]) -> RowCounts:
    train, dev = ROWS[space]
    return RowCounts(
        source="en",
        train={"en": train},
        dev={"en": dev},
        pairs=dict.fromkeys(targets, train),
        dev_pairs=dict.fromkeys(targets, dev),
    )


def test_the_papers_steps_have_the_papers_rate() -> None:
    assert [paper_steps(corpus) for corpus in ("mtop", "mtod", "pawsx")] == [15_667, 15_260, 123_502]
    assert paper_rate("mtop", 15_667) == pytest.approx(2e-5)
    assert paper_rate("mtop-mini", 276) == pytest.approx(1.5e-4, rel=0.01)


@given(st.integers(1, 10**6))
def test_steps_times_the_squared_rate_stay(steps: int) -> None:
    assert steps * paper_rate("mtod", steps) ** 2 == pytest.approx(15_260 * 5e-6**2)


@pytest.mark.parametrize("space", sorted(ROWS))
def test_the_spaces_give_a_rate_for_their_steps(space: str) -> None:
    plan = make_plan(space, home=Path("/nowhere"))
    assert plan.space.fixed_roles == ("baseline", "paper_values")
    assert paper_values_line(plan, rows_of(space, plan.space.targets)) == ""


def test_a_rate_for_other_steps_is_told_with_what_to_type() -> None:
    plan = make_plan("mtop-mini", ("published.learning_rate=2.0e-5",), home=Path("/nowhere"))
    line = paper_values_line(plan, rows_of("mtop-mini", plan.space.targets))
    assert line.startswith("paper's values: published.learning_rate is 2e-05; for about 276 steps")
    assert line.endswith("its rate is 0.00015: --set published.learning_rate=0.00015")
    changed = make_plan("mtop-mini", ("published.learning_rate=0.00015",), home=Path("/nowhere"))
    assert paper_values_line(changed, rows_of("mtop-mini", plan.space.targets)) == ""


def test_the_whole_recipe_keeps_the_papers_rate() -> None:
    plan = make_plan("mtop-mini", ("recipe=published",), home=Path("/nowhere"))
    assert plan.space.fixed_roles == ("baseline", "published")
    assert paper_values_line(plan, rows_of("mtop-mini", plan.space.targets)) == ""
    assert NEAR_ENOUGH > 1
