"""Outcomes of kept rows: counted by hand, kept in a file, paired over the utterances that two models share."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xa_search.records import TrialJob
from xa_search.training.data import held_out_pairs, trial_split
from xa_search.training.floors import most_frequent_intent
from xa_search.training.kept import (
    LEAST_ROWS,
    NO_SEED,
    Evidence,
    KeptOutcomes,
    joined,
    kept_difference,
    kept_outcomes,
    read_kept,
    write_kept,
)


def outcomes(right: list[int], names: tuple[str, ...] = ("intent_acc_th",), first: int = 0) -> KeptOutcomes:
    counts = np.stack([np.array(right), np.ones(len(right))], axis=1).astype(np.int64)
    counts = np.concatenate([counts] * len(names), axis=1)
    ids = tuple(f"dev:{number + first}" for number in range(len(right)))
    return KeptOutcomes(ids=ids, names=names, counts=counts)


def alone(run: KeptOutcomes, seed: str = "1") -> Evidence:
    return Evidence(runs={seed: run}, registered=seed)


def test_what_predicts_is_scored_on_rows_that_neither_train_nor_select(make_job: Callable[..., TrialJob]) -> None:
    job = make_job()
    split = trial_split(job.corpus, job.settings)
    _, kept = held_out_pairs(job.corpus, split)
    sources, _ = kept.read("th")
    intents = [row.intent for row in sources]
    frequent = most_frequent_intent(sources)
    found = kept_outcomes(job, lambda _: frequent)
    assert len(found.ids) == len(split.kept)
    assert not set(found.ids) & {f"{split.origin}:{row.id}" for row in kept.source.rows(split.selecting)}
    assert found.names == ("intent_acc_de", "slot_type_f1_de", "intent_acc_th", "slot_type_f1_th")
    most = max(intents.count(intent) for intent in set(intents))
    assert found.counts.sum(axis=0).tolist() == [most, len(intents), 0, len(intents)] * 2, "no slot found of one each"


def test_a_difference_is_paired_over_the_rows_that_both_keep() -> None:
    new, old = outcomes([1] * 20), outcomes([1] * 10 + [0] * 10, first=5)
    found = kept_difference(alone(new), alone(old), "the champion", 0.05)
    assert found is not None
    assert (found.rows, found.seeds) == (15, 1)
    assert found.points == pytest.approx(5 / 15), "of the 15 rows that both have, the old one missed five"
    assert found.is_shown
    stricter = kept_difference(alone(new), alone(old), "the champion", 0.001)
    assert stricter is not None
    assert stricter.bound < found.bound


def test_nothing_is_told_of_too_few_rows_or_of_other_scores() -> None:
    new = alone(outcomes([1] * 20))
    assert kept_difference(new, alone(outcomes([0] * 20, first=20 - LEAST_ROWS + 1)), "it", 0.05) is None
    assert kept_difference(new, alone(outcomes([0] * 20, names=("intent_acc_de",))), "it", 0.05) is None


def test_three_common_seeds_are_compared_seed_by_seed_and_else_the_models_themselves() -> None:
    new = Evidence(runs={str(seed): outcomes([1] * 18 + [0] * 2) for seed in (101, 102, 103)}, registered="102")
    old = Evidence(runs={str(seed): outcomes([1] * 10 + [0] * 10) for seed in (101, 102, 103)}, registered="101")
    for other, seeds in ((old, 3), (alone(outcomes([0] * 20)), 1), (alone(outcomes([0] * 20), NO_SEED), 3)):
        found = kept_difference(new, other, "it", 0.05)
        assert found is not None
        assert found.seeds == seeds


@given(st.lists(st.integers(0, 1), min_size=LEAST_ROWS, max_size=60))
def test_a_model_is_never_shown_to_be_better_than_itself(right: list[int]) -> None:
    run = alone(outcomes(right))
    found = kept_difference(run, run, "itself", 0.05)
    assert found is not None
    assert found.points == 0
    assert not found.is_shown


def test_outcomes_come_back_from_their_file_for_the_weights_that_they_are_of(tmp_path: Path) -> None:
    path, run = tmp_path / "deep" / "kept.json", outcomes([1, 0, 1])
    write_kept(run, path, {"weights": 1})
    found = read_kept(path, {"weights": 1})
    assert found is not None
    assert (found.ids, found.names, found.counts.tolist()) == (run.ids, run.names, run.counts.tolist())
    assert read_kept(path, {"weights": 2}) is None
    path.write_text("{broken")
    assert read_kept(path, {"weights": 1}) is None
    with pytest.raises(ValueError, match="no outcomes"):
        Evidence.from_json("{}")


def test_models_of_one_target_each_are_joined_and_told_apart_again() -> None:
    one, other = outcomes([1, 0]), outcomes([0, 0], names=("intent_acc_de",))
    both = joined([one, other])
    assert both.names == ("intent_acc_th", "intent_acc_de")
    assert both.counts.tolist() == [[1, 1, 0, 1], [0, 1, 0, 1]]
    german = alone(both).in_language("de")
    assert german.runs["1"].names == ("intent_acc_de",)
    assert german.runs["1"].counts.tolist() == [[0, 1], [0, 1]]
