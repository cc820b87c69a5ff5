"""What a search may name: registered by one import, checked before anything starts, and then really used."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from xa_search.corpora import CATALOGUE
from xa_search.corpora import catalogue as corpora
from xa_search.corpora.rows import CatalogueEntry
from xa_search.errors import UsageError
from xa_search.model import registry as losses
from xa_search.model.losses import COSINE
from xa_search.model.pairs import Distance, PairLoss, Pairs
from xa_search.records import EncodedCorpus, TrialJob, TrialSettings, look_up, registered
from xa_search.search import registry as stopping
from xa_search.search.early_stopping import ASHA, StoppingRule
from xa_search.training import registry as methods
from xa_search.training.methods import CROSS_ALIGNER, XEROALIGN, Method
from xa_search.training.objective import compute_losses
from xa_search.training.registry import is_zero_shot, one_model_a_target, pair_losses, selection_rule
from xa_search.training.selection import SelectionRule
from xa_search.training.steps import step_batches
from xa_search.training.trainer import build_trainer
from xa_search.workflows.plan import checked_settings, make_plan

MakeJob = Callable[..., TrialJob]


def doubled(pairs: Pairs) -> torch.Tensor:
    source, partner = pairs.sentences
    return 2 * pairs.distance.function(source, partner)


TOY_LOSS = PairLoss(name="toy", function=doubled)
TOY_DISTANCE = Distance(name="farthest", function=lambda source, partner: (source - partner).abs().max())


@pytest.mark.parametrize(
    ("module", "kind", "registry"),
    [
        (corpora, CatalogueEntry, corpora.CATALOGUE),
        (losses, Distance, losses.DISTANCES),
        (losses, PairLoss, losses.PAIR_LOSSES),
        (methods, Method, methods.METHODS),
        (methods, SelectionRule, methods.SELECTION_RULES),
        (stopping, StoppingRule, stopping.SCHEDULERS),
    ],
)
def test_an_import_is_a_registration(module: ModuleType, kind: type[Any], registry: Mapping[str, Any]) -> None:
    assert registry
    assert all(name == entry.name for name, entry in registry.items())
    added = replace(next(iter(registry.values())), name="toy")
    assert list(registered(kind, {**vars(module), "TOY": added})) == [*registry, "toy"]


def test_an_unknown_name_is_answered_with_the_nearest_and_all() -> None:
    with pytest.raises(UsageError) as caught:
        look_up(losses.DISTANCES, "align_distance", "cosin")
    assert str(caught.value) == "align_distance: 'cosin' is unknown; did you mean 'cosine'? valid: mse, cosine"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("corpus=mtopp", "corpus: 'mtopp' is unknown; did you mean 'mtop'? valid: mtop-mini, mtop, "),
        ("method=zeroshot", "method: 'zeroshot' is unknown; did you mean 'zero_shot'? valid: zero_shot, "),
        ("selection=labelfree", "selection: 'labelfree' is unknown; did you mean 'label_free'? valid: label_free, "),
        ("fixed.align_distance=l1", "fixed.align_distance: 'l1' is unknown; valid: mse, cosine"),
        ("params.align_distance={choices: [mse, l1]}", "params.align_distance.align_distance: 'l1' is unknown"),
        ("params.method={choices: [xeroalign, x]}", "params.method.method: 'x' is unknown; valid: zero_shot, "),
        ("fixed.toy_weight=1", "fixed.toy_weight: unknown setting; did you mean "),
        ("scheduler={ashaa: {}}", "scheduler.ashaa: unknown key; did you mean 'asha'?"),
        ("scheduler={toy: {}}", "scheduler.toy: unknown key; valid: asha"),
        ("params.toy_weight={low: 0.1, high: 1}", "params.toy_weight: unknown setting; did you mean "),
    ],
)
def test_a_space_names_only_what_is_registered(change: str, fault: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        make_plan("mtop-mini", (change,), home=tmp_path)
    assert f"mtop-mini.yaml: {fault}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("params", "fault"),
    [
        ({"method": "xero"}, "mtop-mini: params.method: 'xero' is unknown; did you mean 'xeroalign'?"),
        ({"toy_weight": 1}, "mtop-mini: params.toy_weight: weighs no loss; valid: align, contrastive, "),
        ({"epocs": 1}, "mtop-mini: params.epocs: 1: extra inputs are not permitted"),
    ],
)
def test_a_trial_alone_names_only_what_is_registered(params: dict[str, Any], fault: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        checked_settings(make_plan("mtop-mini", home=tmp_path), params)
    assert str(caught.value).startswith(fault)


def test_every_corpus_says_what_it_is() -> None:
    assert all(entry.licence and entry.expects and entry.title for entry in CATALOGUE.values())
    assert [name for name, entry in CATALOGUE.items() if not entry.languages] == ["own", "jsonl"]


@pytest.mark.parametrize(
    ("method", "losses_added", "each", "zero_shot"),
    [
        ("zero_shot", (), False, True),
        ("english_only", ("align",), False, True),
        ("xeroalign", ("align",), True, True),
        ("cross_aligner", ("align", "contrastive", "translate_intent", "slot_presence"), True, True),
        ("translate_train", (), True, True),
        ("target_english", (), True, False),
        ("target", (), True, False),
    ],
)
def test_what_a_method_is(method: str, losses_added: tuple[str, ...], each: bool, zero_shot: bool) -> None:
    settings = TrialSettings(method=method, models="each")
    assert tuple(pair_losses(settings)) == losses_added
    assert tuple(pair_losses(settings.model_copy(update={"align_weight": 0.0}))) == losses_added[1:]
    assert one_model_a_target(settings) == each
    assert is_zero_shot("label_free", [method]) == zero_shot
    assert not is_zero_shot("target_dev", [method])


CORPUS = EncodedCorpus(
    directory=Path(), source="en", targets=("de", "th"), intents=("a",), slot_tags=("O", "B-x", "I-x")
)
SCORES = {
    "held_out_intent_acc_de": 0.1,
    "held_out_slot_type_f1_de": 0.2,
    "held_out_intent_acc_th": 0.3,
    "held_out_slot_type_f1_th": 0.4,
    "dev_intent_acc_en": 0.5,
    "dev_slot_f1_en": 0.7,
    "dev_intent_acc_de": 0.8,
    "dev_slot_f1_de": 0.8,
    "dev_intent_acc_th": 0.9,
    "dev_slot_f1_th": 0.9,
}


@pytest.mark.parametrize(("rule", "score"), [("label_free", 0.25), ("source_dev", 0.6), ("target_dev", 0.85)])
def test_what_a_selection_rule_scores(rule: str, score: float) -> None:
    assert selection_rule(rule).score(SCORES, CORPUS) == pytest.approx(score)
    without_slots = replace(CORPUS, slot_tags=("O",))
    accuracy = {f"{split}_accuracy_{lang}": 0.5 for split in ("held_out", "dev") for lang in ("en", "de", "th")}
    assert selection_rule(rule).score(accuracy, without_slots) == pytest.approx(0.5)


def test_a_registered_loss_has_a_weight_of_its_own() -> None:
    settings = TrialSettings.model_validate({"method": "cross_aligner", "toy_weight": 0.5})
    assert CROSS_ALIGNER.weights(settings)["toy"] == 0.5
    assert "toy" not in XEROALIGN.weights(settings)
    assert "toy" not in pair_losses(TrialSettings(method="cross_aligner"))
    assert TrialSettings.model_validate(settings.model_dump()) == settings


@pytest.mark.parametrize("bad", [{"toy_weight": -1}, {"toy_weight": "much"}, {"toys": 1}])
def test_other_settings_than_weights_stay_unknown(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        TrialSettings.model_validate(bad)


def test_a_registered_loss_and_distance_are_trained_on(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(losses.PAIR_LOSSES, "toy", TOY_LOSS)
    monkeypatch.setitem(losses.DISTANCES, "farthest", TOY_DISTANCE)
    weights = {"contrastive_weight": 0, "translate_intent_weight": 0, "slot_presence_weight": 0, "toy_weight": 3}
    trainer = build_trainer(make_job(method="cross_aligner", align_distance="farthest", dropout=0.0, **weights))
    step = next(step_batches(trainer.data, trainer.collator, trainer.job.settings, 0))
    found = compute_losses(trainer.model, step, trainer.job.settings, trainer.micro_batches.weights.factors())
    assert {*found.terms} == {"intent", "slot", "align", "toy"}
    align = float(found.terms["align"].detach())
    assert align > 0
    assert float(found.terms["toy"].detach()) == pytest.approx(2 * align)
    task = float((found.terms["intent"] + found.terms["slot"]).detach())
    assert float(found.total.detach()) == pytest.approx(task + align + 3 * 2 * align)


def test_a_registered_loss_is_searched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(losses.PAIR_LOSSES, "toy", replace(TOY_LOSS, divided=False))
    toy = "params.toy_weight={low: 0.1, high: 10, log: true}"
    plan = make_plan("mtop-mini", (toy, "method=cross_aligner"), home=tmp_path)
    assert plan.trial_settings({"toy_weight": 2.0}).weights["toy"] == 2
    with pytest.raises(UsageError, match="the toy loss of cross_aligner sets each pair against all others"):
        make_plan("mtop-mini", (toy, "method=cross_aligner", "gpus_per_trial=2"), home=tmp_path)


def test_the_distances_are_those_of_the_settings() -> None:
    assert {*losses.DISTANCES} == {"mse", "cosine"}
    assert losses.DISTANCES[COSINE.name] is COSINE
    assert TrialSettings().align_distance in losses.DISTANCES
    assert TrialSettings().method in methods.METHODS


def test_a_registered_scheduler_is_checked_and_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    each = replace(ASHA, name="each", rungs=lambda _, epochs: list(range(1, epochs)))
    monkeypatch.setitem(stopping.SCHEDULERS, "each", each)
    plan = make_plan("mtop-mini", ("scheduler={each: {reduction: 2}}",), home=tmp_path)
    chosen = stopping.chosen_rule(plan.space.scheduler)
    assert chosen is not None
    assert (chosen.rungs(4), chosen.one_in) == ([1, 2, 3], 2)
    faults = {"{each: {reduction: 1}}": "scheduler.each.reduction: 1: ", "{each: {}, asha: {}}": "keep one"}
    for change, fault in faults.items():
        with pytest.raises(UsageError, match=fault):
            make_plan("mtop-mini", (f"scheduler={change}",), home=tmp_path)
    assert stopping.chosen_rule(make_plan("mtop-mini", ("scheduler={}",), home=tmp_path).space.scheduler) is None
