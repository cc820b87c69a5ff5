"""The distances and the losses between pairs that a search may name. In: their modules. Out: a mapping of each kind.

What is imported here is registered: one line each. The encoders stand in `sizes`.
"""
# ruff: noqa: F401, I001 (an import is a registration, and the order is that of messages)

from collections.abc import Mapping

from xa_search.model.losses import MSE, COSINE
from xa_search.model.losses import ALIGN, CONTRASTIVE, TRANSLATE_INTENT, SLOT_PRESENCE
from xa_search.model.pairs import Distance, PairLoss
from xa_search.records import registered

DISTANCES: Mapping[str, Distance] = registered(Distance, globals())
PAIR_LOSSES: Mapping[str, PairLoss] = registered(PairLoss, globals())
