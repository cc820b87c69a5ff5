"""The rules that rank trials. In: an epoch's metrics. Out: the selection score.

`label_free` sees the held-out source utterances and their translations, `source_dev` the source dev split, `guarded`
both, `target_dev` the targets' labelled dev splits (not zero-shot). No rule sees a test split. A new rule stands
here, or in a module of its own, and is registered by its import in `registry`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import fmean

from xa_search.records import EncodedCorpus


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionRule:
    """`score` takes the metrics of an epoch, by their flat names, and the corpus; the highest wins.

    With `reads_target_labels` the targets' labelled dev splits are scored too, and the search is not zero-shot. At a
    rung within an epoch nothing is measured that a rule says it does not read. With a `gate`, the highest wins among
    the trials whose gate lies within one standard error of the highest gate: the score alone is what the sampler and
    early stopping see, as the gate needs all trials.
    """

    name: str
    score: Callable[[Mapping[str, float], EncodedCorpus], float]
    reads_target_labels: bool = False
    reads_held_out: bool = True
    reads_source_dev: bool = True
    gate: Callable[[Mapping[str, float], EncodedCorpus], float] | None = None


GATE, ROWS = "selection_gate", "held_out_rows"
"""The metrics of an epoch that say what a gated rule compares, and of how many held-out utterances it is the score."""


def label_free_names(corpus: EncodedCorpus, lang: str) -> list[str]:
    """Return the names of what is measured on the translations into a target of held-out source utterances."""
    kinds = ("intent_acc", "slot_type_f1") if corpus.has_slots else ("accuracy",)
    return [f"held_out_{kind}_{lang}" for kind in kinds]


def dev_names(corpus: EncodedCorpus, lang: str) -> list[str]:
    """Return the names of what is measured on a labelled dev split."""
    return [f"dev_{kind}_{lang}" for kind in (("intent_acc", "slot_f1") if corpus.has_slots else ("accuracy",))]


def _label_free(metrics: Mapping[str, float], corpus: EncodedCorpus) -> float:
    return fmean(metrics[name] for lang in corpus.aligned for name in label_free_names(corpus, lang))


def _source_dev(metrics: Mapping[str, float], corpus: EncodedCorpus) -> float:
    return fmean(metrics[name] for name in dev_names(corpus, corpus.source))


def _guarded(metrics: Mapping[str, float], corpus: EncodedCorpus) -> float:
    """`label_free` is blind to where slots begin and end, `source_dev` to transfer: they err nearly independently.

    The gate keeps out what transfers badly, which English dev alone would choose.
    """
    return (_label_free(metrics, corpus) + _source_dev(metrics, corpus)) / 2


def _target_dev(metrics: Mapping[str, float], corpus: EncodedCorpus) -> float:
    return fmean(metrics[name] for lang in corpus.targets for name in dev_names(corpus, lang))


LABEL_FREE = SelectionRule(name="label_free", score=_label_free, reads_source_dev=False)
SOURCE_DEV = SelectionRule(name="source_dev", score=_source_dev, reads_held_out=False)
GUARDED = SelectionRule(name="guarded", score=_guarded, gate=_label_free)
TARGET_DEV = SelectionRule(
    name="target_dev", score=_target_dev, reads_target_labels=True, reads_held_out=False, reads_source_dev=False
)
