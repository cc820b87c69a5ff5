import copy

import pytest
import torch
from transformers import XLMRobertaConfig, XLMRobertaModel

from xa_search.errors import ModelError
from xa_search.model.trimming import restore_vocabulary, trim_vocabulary

PAD = 1


def encoder() -> XLMRobertaModel:
    torch.manual_seed(0)
    config = XLMRobertaConfig(
        vocab_size=500,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=40,
        pad_token_id=PAD,
    )
    return XLMRobertaModel(config, add_pooling_layer=False)


def batches(steps: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    used = torch.tensor([0, 2, 7, 90, 91, 300, 499])
    rows = [used[torch.randint(len(used), (4, 9), generator=generator)] for _ in range(steps)]
    for row in rows:
        row[1, 6:] = PAD
    return rows


def train(model: XLMRobertaModel, steps: int = 8) -> list[float]:
    torch.manual_seed(5)
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for input_ids in batches(steps):
        hidden = model(input_ids=input_ids, attention_mask=(input_ids != PAD).long()).last_hidden_state
        loss = (hidden[:, 0] - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_training_with_a_trimmed_vocabulary_gives_the_same_losses_and_after_restoration_the_same_encoder() -> None:
    full = encoder()
    trimmed = copy.deepcopy(full)
    table = full.get_input_embeddings().weight.detach().clone()
    kept = trim_vocabulary(trimmed, torch.unique(torch.cat([b.flatten() for b in batches(8)])), [PAD])
    assert len(kept) < 10
    assert train(trimmed) == pytest.approx(train(full), rel=1e-6)
    restore_vocabulary(trimmed, table)
    for (name, left), (_, right) in zip(full.named_parameters(), trimmed.named_parameters(), strict=True):
        torch.testing.assert_close(left, right, msg=lambda text, name=name: f"{name}: {text}")


def test_rows_that_were_not_trained_are_the_pretrained_ones_after_restoration() -> None:
    model = encoder()
    table = model.get_input_embeddings().weight.detach().clone()
    kept = trim_vocabulary(model, torch.tensor([0, 2, 7, 90, 91, 300, 499]), [PAD])
    train(model)
    restore_vocabulary(model, table)
    restored = model.get_input_embeddings().weight.detach()
    untouched = torch.ones(500, dtype=torch.bool)
    untouched[kept] = False
    assert torch.equal(restored[untouched], table[untouched])
    assert not torch.equal(restored[7], table[7])


def test_an_id_that_was_not_kept_is_an_error_not_a_wrong_row() -> None:
    model = encoder()
    trim_vocabulary(model, torch.tensor([0, 2]), [PAD])
    with pytest.raises(IndexError):
        model(input_ids=torch.tensor([[0, 3, 2]]))


def test_a_tokenizer_with_more_ids_than_the_encoder_has_rows_is_refused() -> None:
    with pytest.raises(ModelError, match="do not belong together"):
        trim_vocabulary(encoder(), torch.tensor([500]), [PAD])
