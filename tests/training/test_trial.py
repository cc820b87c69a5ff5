"""One trial on a small corpus: determinism, methods, selection, failures, checkpoints."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from xa_search.encoding.files import FOLDER
from xa_search.encoding.held_out import HeldOutSplit
from xa_search.encoding.store import encode_split, held_out_split, table_path
from xa_search.encoding.table import EncodedRow, EncodedTable
from xa_search.errors import DataError, NonFiniteError
from xa_search.records import EncodedCorpus, EpochReport, TrialJob
from xa_search.training.checkpoint import build_model, restore_model
from xa_search.training.data import (
    evaluation_collator,
    held_out_pairs,
    load_trial_data,
    source_dev_rows,
    split_rows,
    trial_split,
)
from xa_search.training.evaluation import Predictor
from xa_search.training.final_test import score_test
from xa_search.training.registry import SELECTION_RULES
from xa_search.training.selection import SelectionRule
from xa_search.training.steps import step_batches
from xa_search.training.trainer import build_trainer
from xa_search.training.trial import best_weights, train_trial

MakeJob = Callable[..., TrialJob]
TIMES = tuple(f"{part}_seconds" for part in ("start", "train", "evaluate", "save", "cpu"))


def numbers(reports: list[EpochReport]) -> list[dict[str, float]]:
    scores = [{"score": report.score, "best_score": report.best_score} for report in reports]
    return [
        score | {name: value for name, value in report.metrics.items() if name not in TIMES}
        for score, report in zip(scores, reports, strict=True)
    ]


@pytest.mark.parametrize("settings", [{}, {"pairing": "independent"}, {"method": "zero_shot"}, {"precision": "bf16"}])
def test_the_same_seed_gives_the_same_numbers(make_job: MakeJob, settings: dict[str, Any]) -> None:
    first = list(train_trial(make_job(name="first", **settings)))
    again = list(train_trial(make_job(name="again", **settings)))
    assert numbers(first) == numbers(again)
    assert (
        best_weights(make_job(name="first").directory).read_bytes()
        == best_weights(make_job(name="again").directory).read_bytes()
    )


def test_trials_of_a_node_share_its_copies_of_tables_and_weights(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = list(train_trial(make_job(name="far")))
    monkeypatch.setenv(FOLDER, str(tmp_path / "node"))
    assert numbers(list(train_trial(make_job(name="near")))) == numbers(far)
    copies = {path.name.partition("-")[2]: path.stat().st_ino for path in (tmp_path / "node").glob("*-*")}
    assert {"train.en.arrow", "dev.en.arrow", "translations.de.arrow", "translations.th.arrow"} < copies.keys()
    assert [name for name in copies if name.startswith("encoder-")]
    assert numbers(list(train_trial(make_job(name="next")))) == numbers(far)
    again = {path.name.partition("-")[2]: path.stat().st_ino for path in (tmp_path / "node").glob("*-*")}
    assert again == copies


def test_a_trial_that_measures_the_precision_gives_the_same_numbers_as_one_that_reads_it(
    make_job: MakeJob, tmp_path: Path
) -> None:
    job = dataclasses.replace(make_job(precision="auto"), search=tmp_path / "search")
    measured = list(train_trial(job))
    assert list((tmp_path / "search").glob("precision-*.json"))
    again = dataclasses.replace(job, directory=tmp_path / "again")
    assert numbers(list(train_trial(again))) == numbers(measured)


def test_another_seed_gives_other_numbers(make_job: MakeJob) -> None:
    first, other = (list(train_trial(make_job(seed=seed, name=f"seed-{seed}"))) for seed in (1, 2))
    assert numbers(first) != numbers(other)


def test_alignment_pulls_translations_together(make_job: MakeJob) -> None:
    aligned = list(train_trial(make_job(name="aligned", epochs=4, align_weight=10.0)))
    assert aligned[-1].metrics["train_loss_align"] < aligned[0].metrics["train_loss_align"]


@pytest.mark.parametrize(("method", "partners"), [("zero_shot", 0), ("english_only", 54)])
def test_these_methods_never_read_a_translation_in_training(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, method: str, partners: int
) -> None:
    job = make_job(method=method)
    data = load_trial_data(job.corpus, job.settings)
    monkeypatch.setattr(type(data), "paired_translations", lambda *_: pytest.fail("read a translation"))
    batches = list(step_batches(data, evaluation_collator(job.corpus), job.settings, 0))
    assert sum(len(step.partners) for step in batches) == partners


def test_the_targets_take_turns_over_the_epochs(make_job: MakeJob) -> None:
    data = load_trial_data(make_job().corpus, make_job().settings)
    (first,), (second,) = (data.paired_translations(np.array([0]), epoch) for epoch in (0, 1))
    assert first is not None
    assert second is not None
    assert first.words != second.words
    assert first.id == second.id == data.source.rows(data.train[:1])[0].id


def test_the_loss_terms_add_up(make_job: MakeJob) -> None:
    metrics = next(train_trial(make_job(align_weight=3.0))).metrics
    parts = metrics["train_loss_intent"] + metrics["train_loss_slot"] + 3 * metrics["train_loss_align"]
    assert metrics["train_loss_total"] == pytest.approx(parts, rel=1e-4)
    assert metrics["gradient_norm"] > 0


def test_a_trial_learns(make_job: MakeJob) -> None:
    job = make_job(epochs=20, learning_rate=5e-3, selection="source_dev")
    reports = list(train_trial(job))
    assert reports[-1].final
    assert reports[-1].metrics["train_loss_intent"] < 0.1
    assert max(report.metrics["dev_intent_acc_en"] for report in reports) > 0.8


@pytest.mark.parametrize(
    ("selection", "reads_target_labels"), [("label_free", False), ("source_dev", False), ("target_dev", True)]
)
def test_only_target_dev_scores_target_labels(make_job: MakeJob, selection: str, reads_target_labels: bool) -> None:
    metrics = next(train_trial(make_job(selection=selection))).metrics
    assert ("dev_intent_acc_th" in metrics) == reads_target_labels
    assert {"held_out_intent_acc_th", "held_out_slot_type_f1_de", "dev_exact_match_en"} <= set(metrics)


def test_the_best_epoch_is_kept_not_the_last(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([0.5, 0.9, 0.2])
    rule = SelectionRule(name="label_free", score=lambda *_: next(scores))
    monkeypatch.setitem(SELECTION_RULES, "label_free", rule)
    job = make_job(epochs=3)
    reports, kept = [], []
    for report in train_trial(job):
        reports.append(report)
        kept.append(best_weights(job.directory).read_bytes())
    assert [report.best_epoch for report in reports] == [1, 2, 2]
    assert reports[-1].score == 0.2
    assert reports[-1].best_score == 0.9
    assert kept[0] != kept[1]
    assert kept[1] == kept[2]


def test_a_diverging_trial_stops_as_non_finite(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xa_search.model.losses.align_loss", lambda source, *_: source.sum() * torch.tensor(math.nan))
    with pytest.raises(NonFiniteError, match="train_loss_total"):
        next(train_trial(make_job()))


def test_held_out_texts_never_train(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job(validation_fraction=0.3)
    data = load_trial_data(job.corpus, job.settings)
    trained = {" ".join(row.words) for row in data.source.rows(data.train)}
    selecting, kept = held_out_pairs(job.corpus, trial_split(job.corpus, job.settings))
    held_out = {" ".join(row.words) for half in (selecting, kept) for row in half.source.rows(half.rows)}
    assert trained.isdisjoint(held_out)
    assert data.selecting.rows.tolist() == selecting.rows.tolist()
    assert len(data.train) + len(selecting.rows) + len(kept.rows) == len(data.train) + len(held_out) == 60


def test_a_trial_reads_nothing_of_the_half_that_is_kept(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job(epochs=1, validation_fraction=0.3)
    read: set[str] = set()
    rows_of = EncodedTable.rows

    def rows(table: EncodedTable, indices: np.ndarray) -> list[EncodedRow]:
        found = rows_of(table, indices)
        read.update(row.id for row in found)
        return found

    monkeypatch.setattr(EncodedTable, "rows", rows)
    list(train_trial(job))
    monkeypatch.undo()
    selecting, kept = held_out_pairs(job.corpus, trial_split(job.corpus, job.settings))
    ids = [{row.id for row in half.source.rows(half.rows)} for half in (selecting, kept)]
    assert ids[0] <= read
    assert ids[1]
    assert ids[1].isdisjoint(read)


def test_dev_rows_that_are_kept_are_not_looked_at_as_dev_either(encoded_rooms: EncodedCorpus) -> None:
    nothing = np.zeros(0, dtype=np.int64)
    kept = np.array([1, 3, 5])
    split = HeldOutSplit(origin="dev", train=np.arange(60), selecting=nothing, kept=kept, templates=(0, 3))
    ids = [row.id for row in source_dev_rows(encoded_rooms, split, None)]
    assert ids == [f"dev-{number}" for number in range(12) if number not in (1, 3, 5)]
    assert len(source_dev_rows(encoded_rooms, dataclasses.replace(split, origin="train"), None)) == 12
    assert len(source_dev_rows(encoded_rooms, split, 4)) == 4


def test_a_cap_counts_the_held_out_rows_too_and_does_not_depend_on_the_seed(encoded_rooms: EncodedCorpus) -> None:
    rows = held_out_split(encoded_rooms, 30, None, 0.2)
    assert len(rows.train) + len(rows.selecting) + len(rows.kept) == len(rows.of_training) == 30
    assert np.array_equal(held_out_split(encoded_rooms, 30, None, 0.2).train, rows.train)


def test_too_few_utterances_are_a_data_error(encoded_rooms: EncodedCorpus, make_job: MakeJob) -> None:
    with pytest.raises(DataError, match="held out"):
        load_trial_data(encoded_rooms, make_job(train_limit=10, validation_fraction=1e-9).settings)


def test_a_table_that_is_gone_or_damaged_is_a_data_error(encoded_rooms: EncodedCorpus, tmp_path: Path) -> None:
    whole = table_path(encoded_rooms, "train", "en").read_bytes()
    for content in (None, b"", b"rubbish", whole[: len(whole) // 2]):
        if content is not None:
            (tmp_path / "train.en.arrow").write_bytes(content)
        with pytest.raises(DataError, match=r"train\.en\.arrow is unreadable \(.*\); remove its folder, and type"):
            EncodedTable(tmp_path / "train.en.arrow")


def test_the_restored_model_predicts_as_the_trials_own(
    make_job: MakeJob, encoded_rooms: EncodedCorpus, room_corpus: Any, tiny_tokenizer: Any
) -> None:
    job = make_job()
    list(train_trial(job))
    encode_split(encoded_rooms, room_corpus, tiny_tokenizer, 64, "test", ("th",))
    from safetensors.torch import load_file

    from xa_search.model.decoding import decoder_among

    tensors = load_file(best_weights(job.directory))
    trimmed, _ = build_model(job.encoder, job.corpus, job.settings, tensors.pop("kept_token_ids"))
    trimmed.decoder = decoder_among(tensors)
    trimmed.load_state_dict(tensors)
    full = restore_model(job.encoder, job.corpus, job.settings, best_weights(job.directory))
    rows = split_rows(job.corpus, "dev", "th", None)
    collate = evaluation_collator(job.corpus)
    trimmed.eval()
    full.eval()
    with torch.inference_mode():
        left, right = trimmed(collate(rows)), full(collate(rows))
    assert torch.equal(left.intent_logits, right.intent_logits)
    assert torch.equal(left.slot_logits, right.slot_logits)
    assert full.encoder.get_input_embeddings().num_embeddings > len(
        tensors["encoder.embeddings.word_embeddings.weight"]
    )


def test_test_metrics_have_every_language_and_their_means(
    make_job: MakeJob, encoded_rooms: EncodedCorpus, room_corpus: Any, tiny_tokenizer: Any
) -> None:
    job = make_job()
    list(train_trial(job))
    encode_split(encoded_rooms, room_corpus, tiny_tokenizer, 64, "test", ("en", "de", "th"))
    metrics = score_test(job, best_weights(job.directory), ("en", "de", "th"))
    assert metrics["test_intent_acc_mean"] == pytest.approx(
        (metrics["test_intent_acc_de"] + metrics["test_intent_acc_th"]) / 2
    )
    assert {f"test_slot_f1_{lang}" for lang in ("en", "de", "th", "mean")} <= set(metrics)


def test_a_cut_off_word_is_predicted_as_outside(make_job: MakeJob) -> None:
    job = make_job()
    original = split_rows(job.corpus, "dev", "en", 1)[0]
    model, _ = build_model(job.encoder, job.corpus, job.settings, torch.tensor(original.input_ids.tolist()))
    predictor = Predictor(
        model=model,
        collator=evaluation_collator(job.corpus),
        corpus=job.corpus,
        device=torch.device("cpu"),
        precision="fp32",
    )
    row = dataclasses.replace(original, words=["a", "b", "c", "d", "e"])
    prediction = predictor.predict([row])[0]
    assert len(prediction.slots) == 5
    assert prediction.slots[len(row.positions) :] == ("O",) * (5 - len(row.positions))


def test_training_opens_no_test_file(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    real = EncodedTable.__init__

    def recording(table: EncodedTable, path: Path) -> None:
        opened.append(path)
        real(table, path)

    monkeypatch.setattr(EncodedTable, "__init__", recording)
    list(train_trial(make_job(selection="target_dev")))
    assert any(path.name == "train.en.arrow" for path in opened)
    assert not [path for path in opened if path.name.startswith("test.")]


def test_heads_learn_at_a_multiple_of_the_learning_rate(make_job: MakeJob) -> None:
    trainer = build_trainer(make_job(learning_rate=1e-4, head_learning_rate_factor=7.0))
    trainer.schedule.optimizer.step()
    encoder, heads = (group["lr"] for group in trainer.optimizer.param_groups)
    assert heads == pytest.approx(7 * encoder)
    assert sum(len(group["params"]) for group in trainer.optimizer.param_groups) == len(
        list(trainer.model.parameters())
    )
