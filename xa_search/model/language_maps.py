"""A language's embeddings moved to where the source's lie. In: embeddings of texts, no labels. Out: a map.

What a pretrained encoder says of a text depends on the language as well as on the meaning, and a good part of that is
one direction a language: centring takes it away (Libovický et al., arXiv 2004.05160). A rotation that brings
translations to their originals takes more (orthogonal Procrustes, Schönemann 1966). Neither trains anything.
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageMap:
    """Takes a language's mean [H] away, turns by an orthogonal matrix [H, H], if any, adds the source's mean [H]."""

    mean: torch.Tensor
    source_mean: torch.Tensor
    turn: torch.Tensor | None = None

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        """Return the states [N, H] as if they were of the source language."""
        moved = states.float() - self.mean
        return (moved if self.turn is None else moved @ self.turn) + self.source_mean


def centring(states: torch.Tensor, source: torch.Tensor) -> LanguageMap:
    """Return the map between the means of any states [N, H] and [M, H] of two languages."""
    return LanguageMap(mean=states.mean(0), source_mean=source.mean(0))


def procrustes(translations: torch.Tensor, sources: torch.Tensor) -> LanguageMap:
    """Return the map that brings translations [N, H] nearest to their sources, row by row, by a rotation.

    The turn is U V^T of the singular value decomposition of (X - mean)^T (Y - mean); reflections count as rotations.
    """
    map_ = centring(translations, sources)
    products = (translations - map_.mean).double().T @ (sources - map_.source_mean).double()
    left, _, right = torch.linalg.svd(products)
    return LanguageMap(mean=map_.mean, source_mean=map_.source_mean, turn=(left @ right).float())
