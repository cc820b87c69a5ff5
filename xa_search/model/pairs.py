"""What a loss between pairs is. In: nothing. Out: the types that each distance and each loss between pairs fills.

A new one stands in a module of its own, and is registered by its import in `registry`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from xa_search.model.joint import JointOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """How far apart the sentence embeddings of N pairs are: `function` takes both sides, [N, H], and gives a scalar."""

    name: str
    function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """N pairs as the model sees them: row `sources[i]` of its output belongs to row `partners[i]`.

    `intents` [N] and `slot_presence` [N, types] are the sources' labels, for a loss that says that it reads them.
    """

    output: "JointOutput"
    sources: torch.Tensor
    partners: torch.Tensor
    intents: torch.Tensor
    slot_presence: torch.Tensor
    distance: Distance

    @property
    def sentences(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The sentence embeddings of both sides, [N, H]."""
        return self.output.sentence.index_select(0, self.sources), self.output.sentence.index_select(0, self.partners)

    @property
    def partner_intent_logits(self) -> torch.Tensor:
        """The intent logits of the partners, [N, intents]."""
        return self.output.intent_logits.index_select(0, self.partners)

    @property
    def presence_logits(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The logits of which slot types both sides have, [N, types]."""
        presence = self.output.presence_logits
        assert presence is not None, "only a model with that head, while it trains, has them"
        return presence.index_select(0, self.sources), presence.index_select(0, self.partners)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairLoss:
    """A loss between pairs; the setting `NAME_weight` is the factor before it, and 0 leaves it out.

    `function` gives a mean over pairs. Where it sets each pair against all others of a step, the pairs cannot be
    `divided` between processes or pieces. With `reads_slot_presence` the model has a head that says which slot types an
    utterance has.
    """

    name: str
    function: Callable[[Pairs], torch.Tensor]
    divided: bool = True
    reads_intents: bool = False
    reads_slot_presence: bool = False
