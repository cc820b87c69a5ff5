"""Precision, decided once; losses that it does not touch; and algorithms that give the same bits each time."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from xa_search.encoding.batches import Batch, Collator, Padding
from xa_search.encoding.table import EncodedRow
from xa_search.model.encoder import load_encoder
from xa_search.model.joint import JointOutput
from xa_search.records import EncoderFiles, TrialJob, TrialSettings
from xa_search.training import device
from xa_search.training.device import (
    FeedForward,
    PrecisionProbe,
    choose_precision,
    resolve_precision,
    set_determinism,
    trial_precision,
)
from xa_search.training.inspection import TOKENS_A_BATCH, embed_layers
from xa_search.training.objective import compute_losses
from xa_search.training.steps import StepRows
from xa_search.training.trainer import build_trainer
from xa_search.training.trial import train_trial

CPU = torch.device("cpu")
CONFIG = SimpleNamespace(hidden_size=32, intermediate_size=64)
BLOCK = FeedForward.of(CONFIG)
MakeJob = Callable[..., TrialJob]


def test_the_choice_is_measured_once_and_kept(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    first = choose_precision(CPU, 1, tmp_path, BLOCK)
    assert first.precision == ("bf16" if first.bf16_seconds * 1.15 < first.fp32_seconds else "fp32")
    assert choose_precision(CPU, 1, tmp_path, BLOCK) == first
    assert resolve_precision("auto", CPU, 1, tmp_path, CONFIG) == first.precision
    assert torch.get_num_threads() == threads


def test_what_is_asked_for_is_not_measured(tmp_path: Path) -> None:
    assert resolve_precision("fp32", CPU, 1, tmp_path, CONFIG) == "fp32"
    assert list(tmp_path.iterdir()) == []


def test_a_search_decides_once_for_each_size_whatever_other_nodes_measure(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[FeedForward] = []

    def measure(_device: torch.device, _threads: int, dimensions: FeedForward) -> PrecisionProbe:
        measured.append(dimensions)
        precision = "bf16" if len(measured) == 1 else "fp32"
        return PrecisionProbe(precision=precision, fp32_seconds=1.0, bf16_seconds=1.0)

    monkeypatch.setattr(device, "measure_precision", measure)
    jobs = [replace(make_job(name=name, precision="auto"), search=tmp_path / "search") for name in ("one", "other")]
    assert [trial_precision(job, CPU, CONFIG) for job in jobs] == ["bf16", "bf16"]
    monkeypatch.setattr(device.platform, "node", lambda: "another-node")
    assert trial_precision(jobs[1], CPU, CONFIG) == "bf16", "it is the search's, not the node's"
    large = SimpleNamespace(hidden_size=1024, intermediate_size=4096)
    assert trial_precision(jobs[1], CPU, large) == "fp32"
    assert measured == [BLOCK, FeedForward(hidden=1024, inner=4096)]
    assert trial_precision(replace(jobs[0], search=tmp_path / "next"), CPU, CONFIG) == "fp32"


class GivenEmbeddings:
    """A model whose sentence embeddings are given: two utterances and their translations."""

    def __init__(self, sentences: torch.Tensor) -> None:
        self.sentences = sentences
        self.decoder = None

    def __call__(self, batch: Batch) -> JointOutput:
        return JointOutput(
            sentence=self.sentences,
            intent_logits=torch.zeros(len(batch.lengths), 2),
            slot_logits=torch.zeros(len(batch.words), 1),
        )


def a_row(name: str) -> EncodedRow:
    return EncodedRow(id=name, words=["w"], input_ids=np.arange(3), positions=np.array([1]), intent="A", slots=["O"])


@pytest.mark.parametrize("distance", ["mse", "cosine"])
def test_losses_are_computed_in_fp32_under_autocast(distance: str) -> None:
    """Autocast turns the products of the cosines to bf16: small losses read 0.0, and gradients are off by a tenth."""
    settings = TrialSettings.model_validate(
        {"method": "cross_aligner", "align_distance": distance, "slot_presence_weight": 0, "translate_intent_weight": 0}
    )
    names = ("align", "contrastive")
    rows = [a_row("one"), a_row("other")]
    step = StepRows(task=rows, places=[0, 1], sources=[], partners=rows).collate(Collator(["A", "B"], ["O"]), names)
    source = torch.randn(2, 64, generator=torch.Generator().manual_seed(3))
    close = source + 0.01 * torch.randn(2, 64, generator=torch.Generator().manual_seed(4))

    def losses(*, bf16: bool) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        sentences = torch.cat([source, close]).requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            model: Any = GivenEmbeddings(sentences)
            found = compute_losses(model, step, settings, dict.fromkeys(names, 1.0))
        found.total.backward()  # type: ignore[no-untyped-call]
        assert sentences.grad is not None
        return found.terms, sentences.grad

    (exact, gradient), (under_autocast, its_gradient) = losses(bf16=False), losses(bf16=True)
    assert 0 < exact["align"].item() < 1e-3
    for name in names:
        assert under_autocast[name].item() == pytest.approx(exact[name].item(), rel=1e-5)
    assert torch.allclose(its_gradient, gradient, rtol=1e-4, atol=1e-9)


@pytest.fixture
def any_algorithms() -> Iterator[None]:
    yield
    set_determinism(wanted=False)


@pytest.mark.usefixtures("any_algorithms")
def test_a_deterministic_trial_uses_deterministic_algorithms_and_another_does_not(make_job: MakeJob) -> None:
    build_trainer(replace(make_job(name="deterministic"), deterministic=True))
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.is_deterministic_algorithms_warn_only_enabled()
    build_trainer(make_job(name="another"))
    assert not torch.are_deterministic_algorithms_enabled()
    reports = list(train_trial(replace(make_job(name="whole", epochs=1), deterministic=True)))
    assert reports[-1].final, "every operation of a trial has a deterministic algorithm"


def test_inspection_batches_count_the_padding_that_is_attended(tiny_encoder: EncoderFiles) -> None:
    """Short rows that are padded to 200 tokens: 81,800 of them once stood in one batch."""
    sizes: list[int] = []

    class Watched(Collator):
        def __call__(self, rows: Any, unscored: Any = ()) -> Batch:
            batch = super().__call__(rows, unscored)
            sizes.append(len(batch.input_ids))
            return batch

    rows = [replace(a_row(str(number)), input_ids=np.array([0, 5, 2])) for number in range(50)]
    embed_layers(load_encoder(tiny_encoder), "cls", Watched([], [], padding=Padding(length=200, token=1)), rows)
    assert sum(sizes) == 50 * 200
    assert max(sizes) <= TOKENS_A_BATCH
