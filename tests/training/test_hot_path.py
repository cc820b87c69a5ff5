"""What a training step asks of a GPU: one copy to it, and nothing that waits for it. Counted where there is none.

On the meta device nothing is computed, so whatever would read a value raises; each operation is seen on its way.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AttentionInterface

from xa_search.errors import NonFiniteError
from xa_search.model.packed import (
    PACKED_ATTENTION,
    attend_in_few_kernels,
    encode_packed,
    encode_padded,
    packed_attention,
)
from xa_search.records import TrialJob
from xa_search.training.data import attended_padding, evaluation_collator
from xa_search.training.epoch import EpochTotals
from xa_search.training.micro_batches import MicroBatches
from xa_search.training.objective import LossTerms
from xa_search.training.steps import StepBatch, made_ahead, step_batches
from xa_search.training.trainer import Trainer, build_trainer

MakeJob = Callable[..., TrialJob]
META = torch.device("meta")
WAITING = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select", "unique", "_unique2", "bincount")
"""Operations whose result, or its size, the CPU has to know."""


class Operations(TorchDispatchMode):
    """Notes what is asked of a device: copies to it, copies from it, and operations that wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.to_device = 0
        self.kernels = 0
        self.waiting: list[str] = []
        self.names: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        found = function(*args, **(kwargs or {}))
        given = [one for one in args if isinstance(one, torch.Tensor)]
        moved = isinstance(found, torch.Tensor) and given and given[0].device != found.device
        if name == "copy_" and len(given) == 2:
            moved = given[0].device != given[1].device
        if moved:
            away = found.device.type == "cpu"
            self.waiting += [f"{name} to the CPU"] if away else []
            self.to_device += not away
            if not away and name == "_to_copy" and not (kwargs or {}).get("non_blocking"):
                self.waiting.append("a copy that waits")
        if name in WAITING or (name == "repeat_interleave" and (kwargs or {}).get("output_size") is None):
            self.waiting.append(name)
        self.names[name] += 1
        self.kernels += not function.is_view
        return found


def on_meta(trainer: Trainer) -> MicroBatches:
    """Move what learns to the meta device."""
    predictor = replace(trainer.predictor, model=trainer.model.to(META).train(), device=META)
    before = trainer.micro_batches
    return MicroBatches(
        predictor=predictor, collator=before.collator, settings=before.settings, weights=before.weights.to(META)
    )


@pytest.fixture
def without_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Autocast knows no meta device, and is none of what is counted."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())


@pytest.mark.usefixtures("without_autocast")
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"pairing": "independent", "align_distance": "cosine", "embedding": "mean"},
        {"method": "cross_aligner", "loss_weighting": "coefficient_of_variation"},
        {"method": "translate_train"},
        {"method": "english_only", "padding": "attended"},
    ],
)
def test_a_step_is_one_copy_and_waits_for_nothing(make_job: MakeJob, settings: dict[str, Any]) -> None:
    trainer = build_trainer(make_job(**settings))
    collator = evaluation_collator(trainer.job.corpus, attended_padding(trainer.job.settings, trainer.model.encoder))
    micro_batches, sums = on_meta(trainer), EpochTotals()
    for step in list(step_batches(trainer.data, collator, trainer.job.settings, 0))[:2]:
        with Operations() as seen:
            losses = micro_batches.accumulate_gradients(step)
            norm = torch.nn.utils.clip_grad_norm_(trainer.model.parameters(), 1.0)
            sums.add(losses, norm)
        assert seen.waiting == []
        assert seen.to_device == 1
        assert seen.names["mm"] + seen.names["addmm"] > 10


def in_few_kernels(module: Any, query: Any, key: Any, value: Any, mask: Any, **options: Any) -> tuple[Any, None]:
    """Attend on a CPU as a GPU is asked to."""
    heads = [one[0].transpose(0, 1) for one in (query, key, value)]
    return attend_in_few_kernels(heads, options["padded"][0], 0.0, options["scaling"])[None], None


def test_packed_attention_adds_three_kernels_a_layer_and_saves_the_padding(make_job: MakeJob) -> None:
    """Padding is put together and taken away again; the other layers see fewer tokens for it."""
    trainer = build_trainer(make_job())
    collator, encoder = evaluation_collator(trainer.job.corpus), trainer.model.encoder.eval()
    batch = next(step_batches(trainer.data, collator, trainer.job.settings, 0)).batch
    counts, outputs = [], []
    AttentionInterface.register(PACKED_ATTENTION, in_few_kernels)
    try:
        for encode, name in ((encode_packed, PACKED_ATTENTION), (encode_padded, "sdpa")):
            encoder.set_attn_implementation(name)
            with Operations() as seen, torch.inference_mode():
                outputs.append(encode(encoder, batch))
            counts.append(seen.kernels)
    finally:
        AttentionInterface.register(PACKED_ATTENTION, packed_attention)
    assert torch.allclose(*outputs, atol=1e-5)
    assert counts[0] - counts[1] <= 3 * encoder.config.num_hidden_layers
    assert len(batch.input_ids) < len(batch.lengths) * int(batch.lengths.max())


def test_what_waits_is_seen(make_job: MakeJob) -> None:
    trainer = build_trainer(make_job())
    step = next(step_batches(trainer.data, trainer.collator, trainer.job.settings, 0))
    with Operations() as seen:
        losses = trainer.micro_batches.accumulate_gradients(step)
        float(losses.total)
        torch.arange(3).repeat_interleave(torch.tensor([1, 2, 3]))
        torch.zeros(2).to(META)
    assert sorted(set(seen.waiting)) == ["_local_scalar_dense", "a copy that waits", "repeat_interleave"]


def test_what_comes_from_a_device_is_what_went_there(make_job: MakeJob) -> None:
    """Views of one copy have the numbers, shapes and types of the tensors that were copied."""
    trainer = build_trainer(make_job(method="cross_aligner"))
    step = next(step_batches(trainer.data, trainer.collator, trainer.job.settings, 0))
    moved = step.to(META)
    pairs = [
        (getattr(step, name), getattr(moved, name)) for name in ("sources", "partners", "intents", "slot_presence")
    ]
    for here, there in [*pairs, *zip(step.batch.tensors, moved.batch.tensors, strict=True)]:
        assert (here.shape, here.dtype) == (there.shape, there.dtype)


def test_the_next_step_is_made_while_one_is_used(make_job: MakeJob) -> None:
    trainer = build_trainer(make_job())
    drawn: list[int] = []

    def watched() -> Iterator[StepBatch]:
        for number, step in enumerate(step_batches(trainer.data, trainer.collator, trainer.job.settings, 0)):
            drawn.append(number)
            yield step

    plain = list(step_batches(trainer.data, trainer.collator, trainer.job.settings, 0))
    steps = made_ahead(watched())
    found = [next(steps)]
    found += list(steps)
    assert len(drawn) == len(found) == len(plain)
    for one, other in zip(plain, found, strict=True):
        for here, there in zip(one.batch.tensors, other.batch.tensors, strict=True):
            assert torch.equal(here, there)


def test_an_error_in_making_a_step_is_raised_where_it_is_used(make_job: MakeJob) -> None:
    def broken() -> Iterator[StepBatch]:
        raise MemoryError("no room for a batch")
        yield

    with pytest.raises(MemoryError, match="no room for a batch"):
        list(made_ahead(broken()))


def test_sums_are_the_means_and_tell_what_is_not_finite() -> None:
    totals = EpochTotals()
    for number in range(1, 4):
        terms = {"intent": torch.tensor(float(number)), "slot": torch.tensor(2.0)}
        totals.add(LossTerms(total=torch.tensor(number + 2.0), terms=terms), torch.tensor(0.5))
        totals.check(3)
    expected = {"train_loss_total": 4.0, "gradient_norm": 0.5, "train_loss_intent": 2.0, "train_loss_slot": 2.0}
    assert totals.means(3) == expected
    again = EpochTotals(steps=totals.steps, sums=totals.sums)
    terms = {"intent": torch.tensor(float("nan")), "slot": torch.tensor(2.0)}
    again.add(LossTerms(total=torch.tensor(float("inf")), terms=terms), torch.tensor(0.5))
    with pytest.raises(NonFiniteError, match=r"^train_loss_total, train_loss_intent not finite in epoch 3 by step 4$"):
        again.check(3)
