"""How good an arm is. In: its trainer. Out: its task loss on English dev, and its scores on the test splits.

All arms are scored by the product's model and code, with padding masked, in fp32.
"""

from dataclasses import replace

import torch
from arms import AnyLearner
from published_step import PublishedLearner, predict_padded

from xa_search.model.encoder import load_encoder
from xa_search.model.joint import TEMPERATURES, JointModel
from xa_search.model.losses import intent_loss, slot_loss
from xa_search.records import IGNORED
from xa_search.training.checkpoint import save_checkpoint
from xa_search.training.data import evaluation_collator, split_rows
from xa_search.training.device import trial_device
from xa_search.training.evaluation import labelled_metrics, mean_over_targets
from xa_search.training.final_test import score_test
from xa_search.training.trainer import Trainer

ROWS_A_LOSS = 64


def joint_model(trainer: AnyLearner) -> tuple[JointModel, torch.Tensor]:
    """Return an arm's weights as the product's model, and the token ids that it has rows for."""
    if isinstance(trainer, Trainer):
        return trainer.model, trainer.kept_ids
    corpus, settings = trainer.job.corpus, trainer.job.settings
    with torch.random.fork_rng(devices=[]):  # new heads are drawn, and the run's own draws must not notice
        encoder = load_encoder(trainer.job.encoder)
        model = JointModel(encoder, "cls", len(corpus.intents), len(corpus.slot_tags), settings.dropout)
    model.load_state_dict({TEMPERATURES: model.temperatures, **trainer.model.state_dict()})
    return model.to(trainer.device), torch.arange(encoder.config.vocab_size)


@torch.inference_mode()
def task_loss(trainer: AnyLearner) -> float:
    """Return the mean intent loss plus the mean slot loss on the source's dev rows, in fp32, with padding masked."""
    model, device = joint_model(trainer)[0].eval(), trial_device()
    corpus, settings = trainer.job.corpus, trainer.job.settings
    rows = split_rows(corpus, "dev", corpus.source, settings.dev_limit)
    collate = evaluation_collator(corpus)
    intent_sum = slot_sum = 0.0
    labelled = words = 0
    for start in range(0, len(rows), ROWS_A_LOSS):
        batch = collate(rows[start : start + ROWS_A_LOSS]).to(device)
        output = model(batch)
        known, scored = int((batch.intents != IGNORED).sum()), int((batch.slots != IGNORED).sum())
        intent_sum += known * float(intent_loss(output, batch))
        slot_sum += scored * float(slot_loss(output, batch))
        labelled, words = labelled + known, words + scored
    return intent_sum / labelled + slot_sum / words


def score_on_test(trainer: AnyLearner) -> dict[str, float]:
    """Score the test splits by the product's code, and the published model also with the padding attended."""
    job = trainer.job
    corpus, limit = job.corpus, job.settings.test_limit
    weights = job.directory / "last.safetensors"
    save_checkpoint(*joint_model(trainer), weights)
    in_fp32 = replace(job, settings=job.settings.model_copy(update={"precision": "fp32"}))
    scores = score_test(in_fp32, weights, (corpus.source, *corpus.targets))
    weights.unlink()
    if isinstance(trainer, PublishedLearner):
        padded: dict[str, float] = {}
        for lang in (corpus.source, *corpus.targets):
            rows = split_rows(corpus, "test", lang, limit)
            padded |= labelled_metrics(rows, predict_padded(trainer, rows), "test_padded", lang)
        scores |= padded | mean_over_targets(padded, "test_padded", corpus.targets)
    return {name: round(value, 5) for name, value in scores.items()}
