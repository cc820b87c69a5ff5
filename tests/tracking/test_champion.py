"""When the champion moves, by made-up scores: the reasons, the level, the tags. No store, no model."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from xa_search.tracking.champion import Challenge, champion_verdict, tries_against, verdict_tags
from xa_search.tracking.registry import RegisteredVersion
from xa_search.training.kept import NO_SEED, Evidence, KeptOutcomes

OLD = RegisteredVersion(
    name="xa-search-mtop",
    version=1,
    aliases=("champion",),
    created=0,
    checked=True,
    search_id="mtop-1",
    study_id="",
    trial=3,
    corpus="mtop",
    corpus_fingerprint="data-1",
    selection="label_free",
    zero_shot=True,
    selection_score=0.8,
    tokenizer_fingerprint="1",
    test_metrics={},
)
NEW = replace(OLD, version=2, aliases=(), selection_score=0.7)
ROWS = 100


def evidence(right: int, seed: str = "1", rows: int = ROWS) -> Evidence:
    counts = np.stack([np.arange(rows) < right, np.ones(rows, dtype=bool)], axis=1).astype(np.int64)
    run = KeptOutcomes(ids=tuple(map(str, range(rows))), names=("intent_acc_th",), counts=counts)
    return Evidence(runs={seed: run}, registered=seed)


def challenge(
    right: int,
    champion: RegisteredVersion | None = OLD,
    of_champion: Evidence | None = None,
    rivals: Mapping[str, Evidence] | None = None,
    new: RegisteredVersion = NEW,
    no_rival: str = "",
    tries: int = 1,
) -> Challenge:
    return Challenge(
        new=new,
        evidence=evidence(right),
        champion=champion,
        of_champion=of_champion,
        rivals=rivals or {},
        no_rival=no_rival,
        tries=tries,
    )


def test_the_bound_on_kept_rows_decides_and_the_selection_score_does_not() -> None:
    better = champion_verdict(challenge(90, of_champion=evidence(70)))
    assert better.moves, "though its selection score is lower"
    assert better.reason.startswith(
        "it is shown to be better than version 1, the champion on 100 kept rows: +20.0 points, at least +1"
    )
    close = champion_verdict(challenge(71, of_champion=evidence(70), new=replace(NEW, selection_score=0.99)))
    assert not close.moves
    assert close.reason.startswith("it is not shown to be better than version 1, the champion on 100 kept rows: +1.0 ")
    assert close.reason.endswith("xa-search promote xa-search-mtop 2 moves it by hand")


def test_each_search_that_did_not_move_it_makes_the_level_stricter() -> None:
    by_tries = [champion_verdict(challenge(76, of_champion=evidence(70), tries=tries)) for tries in (1, 40)]
    assert [verdict.moves for verdict in by_tries] == [True, False]
    assert "40 searches have been held against it" in by_tries[1].reason
    tags = verdict_tags(challenge(76, of_champion=evidence(70), tries=40), by_tries[1])
    assert (tags["challenged"], tags["searches_since_champion_moved"]) == ("1", "40")
    assert float(tags["lower_bound"]) < 0
    assert (tags["lower_bound_level"], tags["kept_rows"], tags["kept_seeds"]) == ("0.00125", "100", "1")
    assert tags["verdict"] == by_tries[1].reason


def test_searches_are_counted_since_the_alias_moved() -> None:
    versions = [
        OLD,
        *(replace(OLD, version=number, challenged=held) for number, held in ((2, "1"), (3, "1"), (4, "3"))),
    ]
    assert tries_against(versions, OLD, 5) == 3
    assert tries_against(versions, versions[2], 5) == 2
    assert tries_against(versions, versions[3], 5) == 1
    assert tries_against(versions, None, 5) == 1
    assert tries_against(versions, OLD, 3) == 2, "one that is registered again is not counted twice"


def test_the_first_champion_is_shown_to_be_better_than_zero_shot_and_the_floors() -> None:
    rivals = {"the zero-shot trial": evidence(70), "the frozen encoder": evidence(60, NO_SEED)}
    first = champion_verdict(challenge(90, champion=None, rivals=rivals))
    assert first.moves
    assert "had no champion before, and it is shown to be better than the zero-shot trial" in first.reason
    assert len(first.differences) == 2
    floor = {**rivals, "the frozen encoder": evidence(89, NO_SEED)}
    below = champion_verdict(challenge(90, champion=None, rivals=floor))
    assert not below.moves
    assert "not shown to be better than the frozen encoder" in below.reason
    alone = champion_verdict(challenge(90, champion=None, no_rival="no baseline: trial 0 failed (oom)"))
    assert not alone.moves
    assert "no zero-shot score to be better than (no baseline: trial 0 failed (oom))" in alone.reason
    few = champion_verdict(challenge(90, champion=None, rivals={"the zero-shot trial": evidence(3, rows=5)}))
    assert not few.moves
    assert "too few rows" in few.reason


@pytest.mark.parametrize(
    ("champion", "new", "reason"),
    [
        (replace(OLD, corpus_fingerprint="data-2"), NEW, "learned from other data"),
        (replace(OLD, selection="target_dev"), NEW, "was chosen by target_dev, not by label_free"),
        (OLD, replace(NEW, zero_shot=False), "learned from labelled target data"),
    ],
)
def test_scores_are_compared_only_where_they_can_be(
    champion: RegisteredVersion, new: RegisteredVersion, reason: str
) -> None:
    verdict = champion_verdict(challenge(99, champion=champion, of_champion=evidence(10), new=new))
    assert not verdict.moves
    assert reason in verdict.reason


def test_what_is_not_zero_shot_gives_way_to_what_is() -> None:
    not_zero_shot = replace(OLD, zero_shot=False)
    for new in (NEW, replace(NEW, zero_shot=False)):
        assert champion_verdict(challenge(99, champion=not_zero_shot, of_champion=evidence(10), new=new)).moves


def test_a_champion_without_kept_rows_or_with_others_stays_and_the_reason_is_told() -> None:
    earlier = champion_verdict(challenge(99))
    assert (earlier.moves, "an earlier version of xa-search registered it" in earlier.reason) == (False, True)
    others = champion_verdict(challenge(99, of_champion=evidence(10, rows=5)))
    assert (others.moves, "keeps other rows" in others.reason) == (False, True)
    assert champion_verdict(challenge(0, champion=NEW)).reason == "it is the champion already"
