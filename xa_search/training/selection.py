"""The selection rules. In: the metrics of an epoch. Out: the selection score, which ranks epochs and trials.

`label_free` sees the held-out source utterances and their translations, `source_dev` the source dev split, `target_dev`
the targets' labelled dev splits (not zero-shot). No rule sees a test split.
"""

from statistics import fmean

from xa_search.records import EncodedCorpus, Selection


def scored_metrics(selection: Selection, corpus: EncodedCorpus) -> list[str]:
    """The names of the metrics whose mean is the selection score."""
    if selection == "label_free":
        split, languages, slots = "held_out", corpus.targets, "slot_type_f1"
    else:
        split, slots = "dev", "slot_f1"
        languages = (corpus.source,) if selection == "source_dev" else corpus.targets
    kinds = ("intent_acc", slots) if corpus.has_slots else ("accuracy",)
    return [f"{split}_{kind}_{lang}" for lang in languages for kind in kinds]


def selection_score(metrics: dict[str, float], selection: Selection, corpus: EncodedCorpus) -> float:
    """The mean of the metrics that the rule looks at."""
    return fmean(metrics[name] for name in scored_metrics(selection, corpus))


def reads_target_labels(selection: Selection) -> bool:
    """Tell whether the rule looks at labelled target data, so that the search is not zero-shot."""
    return selection == "target_dev"
