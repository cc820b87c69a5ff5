"""How a trial may learn. In: nothing. Out: each method, as what it reads and which losses it adds.

What a method's words mean is computed in `steps`, `data` and `trainer`. A new method stands here, or in a module of its
own, and is registered by its import in `registry`.
"""

from dataclasses import dataclass
from typing import Literal

from xa_search.records import TrialSettings, is_weight
from xa_search.records.trial import WEIGHT


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A way of training; the task loss is always there.

    `pair_losses` are added to it, with the factors of the settings: these, or with `all` any that is registered.
    `partner` is what an utterance is paired with: its translation, or itself under another dropout.
    `source_rows`, `target_rows`: whose labelled training utterances it learns from; the targets' are not zero-shot.
    `labelled_translations`: it learns from the translations, too, with the source's intents and the slot tags of the
    words that match.
    `learns_from_targets`: what it learns depends on the targets, so that there may be a model for each.
    """

    name: str
    pair_losses: tuple[str, ...] | Literal["all"] = ()
    partner: Literal["translation", "itself"] = "translation"
    source_rows: bool = True
    target_rows: bool = False
    labelled_translations: bool = False
    learns_from_targets: bool = True

    def adds(self, loss: str) -> bool:
        """Whether the method may add a loss between pairs."""
        return self.pair_losses == "all" or loss in self.pair_losses

    def reads(self, setting: str) -> bool:
        """Whether a setting can change what the method learns; one that it does not read makes no other trial."""
        if is_weight(setting):
            return self.adds(setting.removesuffix(WEIGHT))
        if setting in ("pairing", "loss_weighting"):
            return bool(self.pair_losses)
        if setting == "align_distance":
            return self.adds("align")
        return self.learns_from_targets if setting == "models" else True

    def weights(self, settings: TrialSettings) -> dict[str, float]:
        """Return the losses between pairs that the method adds, and the factor before each; none is 0."""
        return {name: weight for name, weight in settings.weights.items() if weight > 0 and self.adds(name)}


ZERO_SHOT = Method(name="zero_shot", learns_from_targets=False)
"""From the labelled source utterances alone."""
ENGLISH_ONLY = Method(name="english_only", pair_losses=("align",), partner="itself", learns_from_targets=False)
"""And aligns each with itself: what alignment gains without a second language."""
XEROALIGN = Method(name="xeroalign", pair_losses=("align",))
"""And aligns them with their translations."""
CROSS_ALIGNER = Method(name="cross_aligner", pair_losses="all")
"""And adds any of the losses between them and their translations."""
TRANSLATE_TRAIN = Method(name="translate_train", labelled_translations=True)
"""And from their translations."""
TARGET = Method(name="target", source_rows=False, target_rows=True)
"""From the targets' labelled training utterances alone."""
TARGET_ENGLISH = Method(name="target_english", target_rows=True)
"""From the source's and the targets'."""
