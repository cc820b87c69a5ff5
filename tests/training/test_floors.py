"""The floors: scores by hand, and named as those of a trial."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from rooms import RoomCorpus

from xa_search.encoding.store import encode_split
from xa_search.encoding.table import EncodedRow
from xa_search.records import FLOOR, TrialJob
from xa_search.records.torn_files import take_torn
from xa_search.training.evaluation import labelled_metrics
from xa_search.training.floors import (
    CENTRED,
    FROZEN,
    MOST_FREQUENT,
    TURNED,
    floor_on_test,
    known_floor,
    measure_floors,
)
from xa_search.training.floors import most_frequent_intent as floor_of
from xa_search.training.trial import train_trial


def rows(*labels: tuple[str, list[str]]) -> list[EncodedRow]:
    return [
        EncodedRow(
            id=str(number),
            words=["w"] * len(slots),
            input_ids=np.arange(3),
            positions=np.arange(len(slots)),
            intent=intent,
            slots=slots,
        )
        for number, (intent, slots) in enumerate(labels)
    ]


def test_the_most_frequent_intent_by_hand() -> None:
    """Three of four test utterances have it; of these, two have no slot, so that all is right of them."""
    learned = rows(("call", ["O"]), ("wake", ["B-time"]), ("wake", ["O"]))
    tested = rows(("wake", ["O", "O"]), ("wake", ["B-time", "O"]), ("wake", ["O"]), ("call", ["O"]))
    found = labelled_metrics(tested, floor_of(learned)(tested), "test", "de")
    assert found["test_intent_acc_de"] == 0.75
    assert found["test_slot_f1_de"] == 0.0
    assert found["test_exact_match_de"] == 0.5


def test_floors_have_the_metrics_of_an_epoch_and_scores_of_their_own(
    make_job: Callable[..., TrialJob], room_corpus: RoomCorpus, tiny_tokenizer: Any, tmp_path: Path
) -> None:
    job = make_job(epochs=1)
    encode_split(job.corpus, room_corpus, tiny_tokenizer, 64, "test", ("en", "de", "th"))
    frequent, frozen, centred, turned = measure_floors(job)
    (report,) = train_trial(job)
    for floor, name in zip((frequent, frozen, centred, turned), (MOST_FREQUENT, FROZEN, CENTRED, TURNED), strict=True):
        assert floor.name == name
        assert floor.metrics.keys() == {metric for metric in report.metrics if metric.startswith(("held_out", "dev_"))}
    assert frequent.metrics["dev_intent_acc_en"] == 0.5, "two intents, as many utterances of each"
    assert frozen.metrics["dev_intent_acc_en"] > 0.5, "a random encoder tells two words apart"
    assert measure_floors(job)[1].metrics == frozen.metrics
    of_source = [name for name in frozen.metrics if name.endswith("_en")]
    for moved in (centred, turned):
        assert [moved.metrics[name] for name in of_source] == [frozen.metrics[name] for name in of_source]
        assert moved.metrics != frozen.metrics
    intents = fmean(frequent.metrics[f"held_out_intent_acc_{lang}"] for lang in ("de", "th"))
    assert frequent.score("label_free", job.corpus) == pytest.approx(intents / 2), "it finds no slot"
    assert known_floor(job) == {}, "a trial of no search has none"
    of_search = replace(job, search=tmp_path)
    higher = max(floor.score("label_free", job.corpus) for floor in (frequent, frozen))
    assert known_floor(of_search) == {FLOOR: higher}
    (kept,) = tmp_path.glob("floor-*.json")
    kept.write_text(json.dumps({FLOOR: 0.125}), encoding="utf-8")
    assert known_floor(of_search) == {FLOOR: 0.125}, "measured once a search"
    kept.write_text("{", encoding="utf-8")
    assert known_floor(of_search) == {FLOOR: higher}
    assert "the floors are measured again" in take_torn()[0]
    kept.write_text(json.dumps({FLOOR: 0.125}), encoding="utf-8")
    other = replace(of_search, settings=job.settings.model_copy(update={"learning_rate": 0.5, "seed": 9}))
    assert known_floor(other) == {FLOOR: 0.125}, "what a floor does not read makes no other one"
    metrics = floor_on_test(frequent, job, ("en", "de", "th"))
    assert metrics["test_intent_acc_mean"] == metrics["test_intent_acc_de"] == 0.5
