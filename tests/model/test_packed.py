"""Packed encoding gives what a padded, masked batch gives, for every architecture and embedding, gradients too."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xa_search.encoding.batches import Batch, Collator
from xa_search.encoding.table import EncodedRow
from xa_search.model.encoder import load_encoder, prepare_encoder
from xa_search.model.joint import JointModel
from xa_search.model.packed import (
    Dropout,
    PaddedBlock,
    attend_in_few_kernels,
    drop,
    encode_packed,
    encode_padded,
    packed_attention,
    use_packed_attention,
)

pytestmark = pytest.mark.usefixtures("offline")

PACKED = (("XLMRobertaModel", "XLMRobertaConfig"), ("BertModel", "BertConfig"))
PADDED = (("DebertaV2Model", "DebertaV2Config"), ("ModernBertModel", "ModernBertConfig"))
LENGTHS = (3, 9, 4, 4, 7)


def a_batch(lengths: tuple[int, ...], rows_a_block: int) -> Batch:
    generator = np.random.default_rng(7)
    rows = [
        EncodedRow(
            id=str(number),
            words=["w"] * (length - 2),
            input_ids=generator.integers(4, 20, length),
            positions=np.arange(1, length - 1),
            intent="A",
            slots=["O"] * (length - 2),
        )
        for number, length in enumerate(lengths)
    ]
    return Collator(["A", "B"], ["O", "B-x"], rows_a_block)(rows)


@pytest.fixture(params=PACKED, ids=lambda pair: pair[0])
def encoder(request: pytest.FixtureRequest, local_model: Callable[..., Path], tmp_path: Path) -> torch.nn.Module:
    return load_encoder(prepare_encoder(str(local_model(*request.param)), tmp_path))


@pytest.mark.parametrize("rows_a_block", [1, 2, 100])
def test_packed_is_padded(encoder: torch.nn.Module, rows_a_block: int) -> None:
    batch = a_batch(LENGTHS, rows_a_block)
    padded = encode_padded(encoder, batch)
    expected = torch.autograd.grad(padded.square().sum(), list(encoder.parameters()), allow_unused=True)
    assert use_packed_attention(encoder)
    packed = encode_packed(encoder, batch)
    assert torch.allclose(packed, padded, atol=1e-5)
    found = torch.autograd.grad(packed.square().sum(), list(encoder.parameters()), allow_unused=True)
    for left, right in zip(found, expected, strict=True):
        assert (left is None) == (right is None)
        assert left is None or torch.allclose(left, right, atol=1e-4)


def test_few_kernels_give_what_many_do() -> None:
    """What a GPU is asked gives the numbers of what a CPU is asked, gradients too."""
    batch = a_batch(LENGTHS, 100)
    query, key, value = (torch.randn(1, 2, sum(LENGTHS), 8, requires_grad=True) for _ in range(3))
    padded = [PaddedBlock(block) for block in batch.blocks]
    many, _ = packed_attention(None, query, key, value, None, blocks=batch.blocks, padded=padded)
    few = attend_in_few_kernels([one[0].transpose(0, 1) for one in (query, key, value)], padded[0], 0.0, None)[None]
    assert torch.allclose(few, many, atol=1e-6)
    weights = torch.randn_like(many)
    expected, found = (torch.autograd.grad((one * weights).sum(), (query, key, value)) for one in (many, few))
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(found, expected, strict=True))
    bias = padded[0].bias(torch.float32)
    assert bias.shape == (5, 1, 1, 9)
    assert bias.stride(0) == 16


@settings(max_examples=20)
@given(lengths=st.lists(st.integers(3, 12), min_size=1, max_size=6), other=st.integers(3, 12))
def test_an_utterance_does_not_see_its_neighbours(lengths: list[int], other: int, tiny_joint: JointModel) -> None:
    alone = tiny_joint(a_batch((lengths[0],), 16)).sentence[0]
    beside = tiny_joint(a_batch((*lengths, other), 16)).sentence[0]
    assert torch.allclose(alone, beside, atol=1e-5)


@pytest.fixture(scope="module")
def tiny_joint(shared_home: Path) -> JointModel:
    files = prepare_encoder("tiny", shared_home)
    return JointModel(load_encoder(files), "mean", 2, 2, 0.1).eval()


@pytest.mark.parametrize("classes", PADDED, ids=lambda pair: pair[0])
def test_other_architectures_run_padded(
    classes: tuple[str, str], local_model: Callable[..., Path], tmp_path: Path
) -> None:
    encoder = load_encoder(prepare_encoder(str(local_model(*classes)), tmp_path))
    assert not use_packed_attention(encoder)
    model = JointModel(encoder, "mean", 2, 2, 0.0).eval()
    together = model(a_batch(LENGTHS, 16))
    assert torch.allclose(together.sentence[0], model(a_batch(LENGTHS[:1], 16)).sentence[0], atol=1e-5)
    assert together.slot_logits.shape == (sum(LENGTHS) - 2 * len(LENGTHS), 2)


@pytest.mark.parametrize("embedding", ["cls", "mean"])
def test_the_sentence_embedding_is_taken_from_the_utterances_own_tokens(
    embedding: str, encoder: torch.nn.Module
) -> None:
    batch = a_batch(LENGTHS, 2)
    model = JointModel(encoder, embedding, 2, 2, 0.0).eval()
    pieces = encode_packed(encoder, batch).split(LENGTHS)
    expected = [piece.mean(0) if embedding == "mean" else piece[0] for piece in pieces]
    assert torch.allclose(model(batch).sentence, torch.stack(expected), atol=1e-5)


def test_packed_attention_drops_in_training_only(encoder: torch.nn.Module) -> None:
    batch = a_batch(LENGTHS, 2)
    model = JointModel(encoder, "mean", 2, 2, 0.1)
    model.train()
    assert not torch.equal(model(batch).sentence, model(batch).sentence)
    model.eval()
    assert torch.equal(model(batch).sentence, model(batch).sentence)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_dropout_drops_its_share_and_keeps_the_mean(share: float, dtype: torch.dtype) -> None:
    torch.manual_seed(3)
    ones = torch.ones(401, 1003, dtype=dtype, requires_grad=True)
    dropped = drop(ones, share)
    zeros = float((dropped == 0).float().mean())
    assert abs(zeros - share) < 5 * (share * (1 - share) / ones.numel()) ** 0.5
    kept = dropped[dropped != 0].float()
    assert torch.allclose(kept, torch.full_like(kept, 1 / (1 - share)), rtol=1e-2)
    dropped.float().sum().backward()
    assert ones.grad is not None
    assert torch.equal(ones.grad == 0, dropped == 0)
    rows = (dropped == 0).float()
    neighbours = float((rows[:, 1:] * rows[:, :-1]).mean())
    assert abs(neighbours - share**2) < 0.005


def test_dropout_is_fixed_by_the_seed_and_off_in_evaluation() -> None:
    layer, tensor = Dropout(0.3), torch.randn(50, 50)
    torch.manual_seed(1)
    first = layer(tensor)
    torch.manual_seed(1)
    assert torch.equal(layer(tensor), first)
    assert layer.eval()(tensor) is tensor
