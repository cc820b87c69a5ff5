"""What each method learns from, and how little it reads and computes for it."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rooms import ROOMS, VERBS, RoomCorpus
from safetensors.torch import load_file

from xa_search.encoding.batches import Batch
from xa_search.encoding.store import encode_corpus, encode_split
from xa_search.encoding.table import EncodedTable
from xa_search.errors import DataError
from xa_search.model.joint import JointModel, JointOutput
from xa_search.records import Split, Translation, TrialJob, Utterance
from xa_search.training.checkpoint import restore_model
from xa_search.training.data import held_out_pairs, load_trial_data, trial_split
from xa_search.training.objective import LossTerms, compute_losses
from xa_search.training.registry import METHODS
from xa_search.training.steps import StepBatch, step_batches
from xa_search.training.trainer import Trainer, build_trainer
from xa_search.training.trial import best_weights, train_trial

MakeJob = Callable[..., TrialJob]


def first_step(trainer: Trainer) -> StepBatch:
    trainer.model.train()
    return next(step_batches(trainer.data, trainer.collator, trainer.job.settings, 0))


def losses_of(trainer: Trainer, step: StepBatch) -> LossTerms:
    with torch.no_grad():
        return compute_losses(trainer.model, step, trainer.job.settings, trainer.micro_batches.weights.factors())


def remember_passes(monkeypatch: pytest.MonkeyPatch) -> list[JointOutput]:
    """Return the list that the output of each pass through the model is added to."""
    real, outputs = JointModel.forward, []

    def remember(model: JointModel, batch: Batch) -> JointOutput:
        outputs.append(real(model, batch))
        return outputs[-1]

    monkeypatch.setattr(JointModel, "forward", remember)
    return outputs


# ---- english_only


@pytest.mark.parametrize("pairing", ["shared", "independent"])
def test_english_only_pairs_each_utterance_with_itself(make_job: MakeJob, pairing: str) -> None:
    trainer = build_trainer(make_job(method="english_only", pairing=pairing))
    rows = first_step(trainer).rows
    sources = rows.sources if pairing == "independent" else rows.task
    assert [row.id for row in rows.partners] == [row.id for row in sources]
    assert {row.id for row in rows.partners} <= {row.id for row in trainer.data.source.rows(trainer.data.train)}
    assert len(rows.partners) == 8


def test_english_only_aligns_two_dropout_views_of_one_pass(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = build_trainer(make_job(method="english_only", dropout=0.2))
    step = first_step(trainer)
    outputs = remember_passes(monkeypatch)
    losses = losses_of(trainer, step)
    (output,) = outputs
    one, other = output.sentence.split(len(step.rows.task))
    assert float(losses.terms["align"]) == pytest.approx(float(((one - other) ** 2).sum() / one.numel()))
    assert float(losses.terms["align"]) > 0
    assert float(losses.total) == pytest.approx(float(sum(losses.terms.values())))


def test_without_dropout_the_two_views_are_one(make_job: MakeJob) -> None:
    trainer = build_trainer(make_job(method="english_only", dropout=0.0))
    assert float(losses_of(trainer, first_step(trainer)).terms["align"]) < 1e-12


def test_a_short_english_only_trial(make_job: MakeJob) -> None:
    reports = list(train_trial(make_job(method="english_only", align_weight=10.0)))
    assert reports[-1].final
    assert reports[-1].metrics["train_loss_align"] > 0


# ---- cross_aligner

FOUR = {"align", "contrastive", "translate_intent", "slot_presence"}


@pytest.mark.parametrize("pairing", ["shared", "independent"])
def test_cross_aligner_sums_its_losses_from_one_pass(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, pairing: str
) -> None:
    weights = {"align_weight": 2.0, "contrastive_weight": 3.0, "translate_intent_weight": 5.0}
    trainer = build_trainer(make_job(method="cross_aligner", pairing=pairing, **weights))
    step = first_step(trainer)
    passes = remember_passes(monkeypatch)
    losses = losses_of(trainer, step)
    assert len(passes) == 1
    assert losses.terms.keys() == {"intent", "slot"} | FOUR
    assert all(float(term) > 0 for term in losses.terms.values())
    factors = {"align": 2, "contrastive": 3, "translate_intent": 5}
    parts = sum(factors.get(name, 1) * float(term) for name, term in losses.terms.items())
    assert float(losses.total) == pytest.approx(parts, rel=1e-5)


@pytest.mark.parametrize("pairing", ["shared", "independent"])
def test_each_pair_carries_the_labels_of_its_source(make_job: MakeJob, pairing: str) -> None:
    trainer = build_trainer(make_job(method="cross_aligner", pairing=pairing))
    step = first_step(trainer)
    intents, corpus = {row.id: row.intent for row in trainer.data.source.rows(trainer.data.train)}, trainer.job.corpus
    assert len(step.partners) == 8
    assert [corpus.intents[number] for number in step.intents] == [intents[row.id] for row in step.rows.partners]
    assert step.slot_presence.tolist() == [[1.0]] * 8
    assert {row.words[0] for row in step.rows.partners} <= {"putze", "beleuchte", "ทำ", "เปิดไฟ"}


def test_the_pairs_teach_the_task_heads_no_slots(make_job: MakeJob) -> None:
    losses = []
    for method in ("zero_shot", "cross_aligner"):
        trainer = build_trainer(make_job(method=method, dropout=0.0))
        losses.append(losses_of(trainer, first_step(trainer)).terms)
    for name in ("intent", "slot"):
        assert float(losses[0][name]) == pytest.approx(float(losses[1][name]), rel=1e-5)


@pytest.mark.parametrize("left_out", sorted(FOUR))
def test_a_weight_of_zero_leaves_a_loss_out(make_job: MakeJob, left_out: str) -> None:
    trainer = build_trainer(make_job(method="cross_aligner", **{f"{left_out}_weight": 0}))
    terms = losses_of(trainer, first_step(trainer)).terms
    assert {name for name in FOUR if float(terms.get(name, 0)) > 0} == FOUR - {left_out}
    assert (trainer.model.presence_head is None) == (left_out == "slot_presence")


def test_without_any_loss_between_pairs_no_translation_is_read(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = build_trainer(make_job(method="cross_aligner", **{f"{name}_weight": 0 for name in FOUR}))
    monkeypatch.setattr(type(trainer.data), "paired_translations", lambda *_: pytest.fail("read a translation"))
    assert not len(first_step(trainer).partners)


@pytest.mark.parametrize("loss_weighting", ["fixed", "coefficient_of_variation"])
def test_a_short_cross_aligner_trial(make_job: MakeJob, loss_weighting: str) -> None:
    job = make_job(method="cross_aligner", loss_weighting=loss_weighting)
    metrics = list(train_trial(job))[-1].metrics
    assert {f"train_loss_{name}" for name in FOUR} < metrics.keys()
    shares = [metrics[f"loss_share_{name}"] for name in FOUR] if loss_weighting != "fixed" else [1.0]
    assert sum(shares) == pytest.approx(1)
    assert len(set(shares)) == len(shares)


def test_what_only_training_needs_is_not_in_the_weights(make_job: MakeJob) -> None:
    job = make_job(method="cross_aligner", epochs=1)
    list(train_trial(job))
    assert not [name for name in load_file(best_weights(job.directory)) if "presence" in name]
    restored = restore_model(job.encoder, job.corpus, job.settings, best_weights(job.directory))
    assert restored.presence_head is None


# ---- target and target_english


@pytest.mark.parametrize(("method", "languages"), [("target", {"de", "th"}), ("target_english", {"en", "de", "th"})])
def test_target_methods_learn_from_labelled_utterances_of_these_languages(
    make_job: MakeJob, method: str, languages: set[str]
) -> None:
    trainer = build_trainer(make_job(method=method, epochs=3))
    trainer.model.train()
    steps = list(step_batches(trainer.data, trainer.collator, trainer.job.settings, 0))
    rows = [row for step in steps for row in step.rows.task]
    assert {lang for row in rows for lang in VERBS["clean"] if row.words[1] in ROOMS[lang]} == languages
    assert len(rows) == len({tuple(row.words) for row in rows}) == len(trainer.data.task_rows(METHODS[method]))
    assert not any(len(step.partners) for step in steps)
    assert all(step.batch.intents.min() >= 0 and step.batch.slots.min() >= 0 for step in steps)
    assert trainer.steps == 3 * len(steps)


def test_no_target_utterance_trains_whose_text_is_a_held_out_translation(make_job: MakeJob) -> None:
    job = make_job(method="target", validation_fraction=0.3)
    data = build_trainer(job).data
    halves = held_out_pairs(job.corpus, trial_split(job.corpus, job.settings))
    for lang in ("de", "th"):
        table, rows = data.target_train[lang]
        trained = {tuple(row.words) for row in table.rows(rows)}
        held_out = {tuple(row.words) for half in halves for row in half.read(lang)[1]}
        assert held_out
        assert trained.isdisjoint(held_out)
        assert len(trained) + len(held_out) == 60


def test_the_train_limit_counts_each_languages_utterances(make_job: MakeJob) -> None:
    job = make_job(method="target_english", train_limit=20, validation_fraction=0.3)
    data = build_trainer(job).data
    assert len(trial_split(job.corpus, job.settings).of_training) == 20
    assert all(5 < len(rows) <= 20 for _, rows in data.target_train.values())


def test_a_target_without_labelled_utterances_is_a_data_error(
    make_job: MakeJob, room_corpus: Any, tiny_tokenizer: Any, tmp_path: Path
) -> None:
    job = make_job(method="target")
    for path in job.corpus.directory.glob("*.arrow"):
        shutil.copy(path, tmp_path)
    corpus = replace(job.corpus, directory=tmp_path)
    (tmp_path / "train.th.arrow").unlink()
    encode_split(corpus, EmptyCorpus(), tiny_tokenizer, 64, "train", ("th",))
    with pytest.raises(DataError, match="none of the 0 th training utterances is left"):
        load_trial_data(corpus, job.settings)


class EmptyCorpus(RoomCorpus):
    def utterances(self, lang: str, split: Split) -> Iterator[Utterance]:
        return iter(())


@pytest.mark.parametrize("method", ["zero_shot", "cross_aligner", "translate_train", "target"])
def test_only_target_methods_open_the_targets_training_tables(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    opened: set[str] = set()
    real = EncodedTable.__init__

    def recording(table: EncodedTable, path: Path) -> None:
        opened.add(path.name)
        real(table, path)

    monkeypatch.setattr(EncodedTable, "__init__", recording)
    list(train_trial(make_job(method=method, epochs=1)))
    labelled = {"train.de.arrow", "train.th.arrow"}
    assert opened & labelled == (labelled if method == "target" else set())


def test_the_targets_training_splits_are_encoded_only_if_asked(tiny_tokenizer: Any, tmp_path: Path) -> None:
    read: set[tuple[str, str]] = set()

    class Recorder(RoomCorpus):
        def utterances(self, lang: str, split: Split) -> Iterator[Utterance]:
            read.add((lang, split))
            return super().utterances(lang, split)

        def translations(self, lang: str) -> Iterator[Translation]:
            return iter([Translation(source_id="train-0", lang=lang, words=("x",), running_text=False)])

    corpus = Recorder()
    for asked in (False, True):
        read.clear()
        encoded = encode_corpus(
            corpus,
            tiny_tokenizer,
            "tiny",
            max_tokens=64,
            with_target_dev=False,
            with_target_train=asked,
            home=tmp_path,
        )
        assert ({("de", "train"), ("th", "train")} <= read) == asked
        assert (encoded.directory / "train.th.arrow").exists() == asked


def test_a_short_target_trial(make_job: MakeJob) -> None:
    reports = list(train_trial(make_job(method="target", epochs=8, learning_rate=5e-3, selection="target_dev")))
    assert reports[-1].metrics["dev_intent_acc_de"] > 0.8


# ---- translate_train


def test_translate_train_learns_from_source_utterances_and_labelled_translations(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = build_trainer(make_job(method="translate_train"))
    step = first_step(trainer)
    source, translated = step.rows.task[:8], step.rows.task[8:]
    assert [row.id for row in translated] == [row.id for row in source]
    assert [row.intent for row in translated] == [row.intent for row in source]
    assert {row.words[1] for row in translated} <= {*ROOMS["de"], *ROOMS["th"]}
    assert all(len(row.slots or []) == len(row.words) for row in translated)
    assert len(step.batch.intents) == 16
    assert int(step.batch.intents.min()) >= 0
    passes = remember_passes(monkeypatch)
    losses = losses_of(trainer, step)
    assert len(passes) == 1
    assert float(losses.total) == pytest.approx(float(losses.terms["intent"] + losses.terms["slot"]))


def test_a_trial_that_labels_the_translations_gives_the_numbers_of_one_that_finds_them_labelled(
    make_job: MakeJob, tmp_path: Path
) -> None:
    job = make_job(method="translate_train", epochs=1)
    for path in job.corpus.directory.glob("*.*"):
        if not path.name.startswith("projected-"):
            shutil.copy(path, tmp_path)
    first = replace(job, corpus=replace(job.corpus, directory=tmp_path), directory=tmp_path / "first")
    again = replace(first, directory=tmp_path / "again")
    (labelling,), (reading,) = train_trial(first), train_trial(again)
    assert len(list(tmp_path.glob("projected-*.arrow"))) == 2
    assert labelling.score == reading.score
    assert labelling.metrics["train_loss_total"] == reading.metrics["train_loss_total"]


def test_a_short_translate_train_trial_counts_what_became_of_the_spans(make_job: MakeJob) -> None:
    reports = list(train_trial(make_job(method="translate_train", epochs=8, learning_rate=5e-3)))
    metrics = reports[-1].metrics
    for lang in ("de", "th"):
        assert metrics[f"projected_spans_{lang}"] > 0
        assert metrics[f"projected_spans_{lang}"] + metrics[f"dropped_spans_{lang}"] == 60
    assert metrics["held_out_intent_acc_de"] > 0.8
