"""Every corpus x method cell, end to end with the tiny encoder: raw files, a trained trial, its test scores."""

import json
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tiny_corpora import WRITERS, write_corpus

from xa_search.corpora import CORPORA
from xa_search.errors import DataError, UsageError
from xa_search.records import EpochReport, Plan
from xa_search.training.registry import METHODS
from xa_search.training.trial import train_trial
from xa_search.workflows.held_out import planned_held_out, told_held_out
from xa_search.workflows.plan import make_plan
from xa_search.workflows.preflight import Prepared, prepare_search
from xa_search.workflows.run import train_alone
from xa_search.workflows.trials import make_trial_job, score_trial_on_test

SPACE = (
    "params.model_size.choices=[tiny]",
    "baseline=null",
    "published=null",
    "fixed={epochs: 1, batch_size: 8, validation_fraction: 0.3, precision: fp32}",
    "fixed.train_limit=100",
    "fixed.dev_limit=20",
    "fixed.test_limit=20",
    "targets=[de]",
    "least_held_out=2",
)
WITHOUT_SLOTS = {"pawsx"}
MORE_SETTINGS: list[tuple[str, str, dict[str, Any]]] = [
    ("mtop-mini", "cross_aligner", {"loss_weighting": "coefficient_of_variation"}),
    ("mtop-mini", "cross_aligner", {"pairing": "independent"}),
    ("pawsx", "cross_aligner", {"slot_presence_weight": 0}),
    ("mtop-mini", "xeroalign", {"models": "each"}),
    ("mtop-mini", "translate_train", {"models": "each"}),
]
CELLS = [(corpus, method, {}) for corpus in CORPORA for method in METHODS] + MORE_SETTINGS


def plan_of(corpus: str, home: Path, data: Path | None, targets: tuple[str, ...], *changes: str) -> Plan:
    named = (*SPACE, f"corpus={corpus}", f"targets=[{', '.join(targets)}]")
    return make_plan("mtop-mini", (*named, *changes), home=home, data=data, local=True)


@pytest.fixture(scope="module")
def prepared(shared_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return what prepares a corpus once, for all methods."""

    @cache
    def prepare(corpus: str) -> tuple[Plan, Prepared]:
        data, targets = None, ("de", "th")
        if corpus in WRITERS:
            data = tmp_path_factory.mktemp(corpus)
            targets = write_corpus(corpus, data)
        changes = (f"params.method={{choices: [{', '.join(METHODS)}]}}",)
        if corpus in WITHOUT_SLOTS:
            changes += ("fixed.slot_presence_weight=0",)
        plan = plan_of(corpus, shared_home, data, targets, *changes)
        return plan, prepare_search(plan, ("tiny",), lambda _: None)

    return prepare


@pytest.mark.parametrize(("corpus", "method", "settings"), CELLS)
def test_a_cell(prepared: Any, corpus: str, method: str, settings: dict[str, Any]) -> None:
    plan, data = prepared(corpus)
    values = {"method": method, "model_size": "tiny", "learning_rate": 1e-3, "align_weight": 1.0, **settings}
    job = make_trial_job(plan, data, plan.trial_settings(values), f"{corpus}-{method}-{len(settings)}")
    if corpus in WITHOUT_SLOTS and method == "cross_aligner" and not settings:
        refused = plan_of(corpus, plan.home, plan.data, plan.space.targets, "method=cross_aligner")
        with pytest.raises(
            UsageError, match=f"{corpus} has no slots, .*: --set fixed.slot_presence_weight=0"
        ) as caught:
            prepare_search(refused, ("tiny",), lambda _: None)
        assert "\n" not in str(caught.value)
        return
    (report,) = train_trial(job)
    assert report.final
    assert 0 <= report.score <= 1
    assert report.metrics["train_loss_total"] > 0
    metrics = score_trial_on_test(plan, data, job)
    kind = "accuracy" if corpus in WITHOUT_SLOTS else "intent_acc"
    assert {f"test_{kind}_{lang}" for lang in (plan.space.source, *plan.space.targets, "mean")} <= metrics.keys()
    assert any("slot" in name for name in metrics) == (corpus not in WITHOUT_SLOTS)


@pytest.mark.parametrize(("corpus", "where"), [("mtop-mini", "dev"), ("mtod", "training"), ("pawsx", "training")])
def test_a_plan_tells_of_the_rows_that_the_search_will_hold_out(prepared: Any, corpus: str, where: str) -> None:
    plan, data = prepared(corpus)
    told = planned_held_out(plan)
    assert told == told_held_out(plan, data)
    assert told.startswith(f"held out of the en {where} split, with translations: ")
    assert "points are not told apart" in told
    if corpus != "mtop-mini":
        usual = plan.model_copy(update={"space": plan.space.model_copy(update={"least_held_out": 80})})
        for tell in (planned_held_out, lambda plan: told_held_out(plan, data)):
            with pytest.raises(
                DataError, match=r"80 are needed .*: raise fixed.validation_fraction \(now 0.3\)"
            ) as few:
                tell(usual)
            assert "--set least_held_out=" in str(few.value)
            assert "\n" not in str(few.value)


def test_a_trial_alone_may_have_another_method_than_its_space(shared_home: Path) -> None:
    plan = make_plan("mtop-mini", SPACE, home=shared_home, local=True)
    params = {"method": "target_english", "model_size": "tiny", "learning_rate": 1e-3, "align_weight": 1.0}
    reports: list[EpochReport] = []
    train_alone(plan, params, reports.append, with_test=False)
    assert [report.epoch for report in reports] == [1]


@pytest.mark.parametrize(("method", "fault"), [("xeroalign", ""), ("target", "jsonl has no train file of de")])
def test_only_target_methods_ask_for_labelled_target_training_files(
    shared_home: Path, tmp_path: Path, method: str, fault: str
) -> None:
    row = {"tokens": ["wake", "me"], "intent": "wake", "slots": ["O", "B-who"]}
    rows = "".join(json.dumps({"id": str(number), **row}) + "\n" for number in range(12))
    for name in ("train.en", "dev.en", "test.en", "test.de"):
        (tmp_path / f"{name}.jsonl").write_text(rows)
    texts = "".join(json.dumps({"id": str(number), "text": "weck mich"}) + "\n" for number in range(12))
    (tmp_path / "translations.de.jsonl").write_text(texts)
    changes = (*SPACE, "corpus=jsonl", f"method={method}")
    plan = make_plan("mtop-mini", changes, home=shared_home, data=tmp_path, local=True)
    with pytest.raises(DataError, match=fault) if fault else nullcontext():
        prepare_search(plan, ("tiny",), lambda _: None)
