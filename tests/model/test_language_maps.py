"""Maps between languages' embeddings, by hand and by property."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from xa_search.model.language_maps import centring, procrustes


def test_centring_moves_one_mean_to_the_other() -> None:
    states, source = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[10.0, 0.0], [20.0, 0.0], [30.0, 0.0]])
    assert centring(states, source)(states).tolist() == [[19.0, -1.0], [21.0, 1.0]]


@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_procrustes_finds_the_rotation_that_was_made(seed: int, size: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    sources = torch.randn(5 * size, size, generator=generator)
    turn, _ = torch.linalg.qr(torch.randn(size, size, generator=generator))
    translations = (sources - 3.0) @ turn + 7.0
    found = procrustes(translations, sources)
    assert found.turn is not None
    assert torch.allclose(found.turn @ found.turn.T, torch.eye(size), atol=1e-4)
    assert torch.allclose(found(translations), sources, atol=1e-3)
    noisy = translations + torch.randn(translations.shape, generator=generator)
    turned, moved = procrustes(noisy, sources)(noisy), centring(noisy, sources)(noisy)
    assert float((turned - sources).square().sum()) <= float((moved - sources).square().sum()) + 1e-3
