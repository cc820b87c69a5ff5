"""What a search would hold out. In: a plan, and the corpus if it is at hand. Out: counts, or a refusal.

The counts of a plan are made from the raw files, without a tokenizer, by the keys that the encoded tables have.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from xa_search.corpora import CATALOGUE, Corpus
from xa_search.corpora.corpus import find_translations
from xa_search.corpora.dev_translations import dev_translations
from xa_search.corpora.opening import place_at_hand
from xa_search.encoding.held_out import HeldOutCounts, HeldOutSplit, SplitKeys, split_rows_held_out
from xa_search.encoding.private_folders import private_folder
from xa_search.encoding.store import RowIndex, held_out_counts
from xa_search.encoding.template import template_key, text_key
from xa_search.errors import DataError
from xa_search.records import OUTSIDE, Plan, Split, Translation
from xa_search.search.budgets import folder_bytes
from xa_search.training.data import trial_split
from xa_search.workflows.preflight import Prepared, open_plan_corpus

NOT_AT_HAND = "held out: known once the corpus is here"
TOO_LARGE = "held out: said before the first trial; the corpus is too large to be read for a plan"
MOST_BYTES = 12_000_000
"""A plan is to be there in seconds: MTOP is smaller, MASSIVE three times as large."""


def is_large(plan: Plan) -> bool:
    """Whether the plan's corpus takes too long to be read for a plan."""
    place = plan.data or place_at_hand(plan.space.corpus, plan.home)
    if place is None or not place.exists():
        return False
    return (place.stat().st_size if place.is_file() else folder_bytes(place)) > MOST_BYTES


def planned_held_out(plan: Plan) -> str:
    """Say what a search would hold out, before anything is encoded. Raises DataError where that is too little."""
    generate = CATALOGUE[plan.space.corpus].generate
    if generate is not None and plan.data is None:
        with private_folder() as folder:  # a plan writes nothing into the home
            return planned_held_out(plan.model_copy(update={"data": generate(folder / plan.space.corpus)}))
    if plan.data is None and place_at_hand(plan.space.corpus, plan.home) is None:
        return NOT_AT_HAND
    if is_large(plan):
        return TOO_LARGE
    corpus = open_plan_corpus(plan)
    aligned = tuple(lang for lang in corpus.targets if find_translations(corpus, lang) is not None)
    corpus = replace(corpus, targets=aligned)
    settings = plan.trial_settings({})
    keys: dict[Split, SplitKeys] = {
        "train": split_keys(corpus, "train", corpus.translations),
        "dev": split_keys(corpus, "dev", lambda lang: dev_translations(corpus, lang)),
    }
    split = split_rows_held_out(
        keys["train"], keys["dev"], settings.train_limit, settings.dev_limit, settings.validation_fraction
    )
    counts = _counts(corpus.source, keys[split.origin], split)
    refuse_too_few(plan, counts)
    return str(counts)


def told_held_out(plan: Plan, prepared: Prepared) -> str:
    """Say what a prepared search holds out. Raises DataError where that is too little."""
    encoded = next(iter(prepared.encoded.values()))
    counts = held_out_counts(encoded, trial_split(encoded, plan.trial_settings({})))
    refuse_too_few(plan, counts)
    return str(counts)


def refuse_too_few(plan: Plan, counts: HeldOutCounts) -> None:
    """Raise DataError with what to change."""
    found, least = counts.selecting + counts.kept, plan.space.least_held_out
    if found >= least:
        return
    settings = plan.trial_settings({})
    share = f"fixed.validation_fraction (now {settings.validation_fraction:g})"
    limit = "" if settings.train_limit is None else f" or fixed.train_limit (now {settings.train_limit})"
    raise DataError(
        f"{plan.name}: {found} utterances with translations can be held out in whole templates, {least} are needed to "
        f"tell trials apart: raise {share}{limit}, give a dev split with translations, or say that fewer will do: "
        f"--set least_held_out={max(2, found)}"
    )


def split_keys(corpus: Corpus, split: Split, translations: Callable[[str], Iterable[Translation]]) -> SplitKeys:
    """Read a split of the source, with these translations into the targets, as an encoded table would have it."""
    rows = list(corpus.utterances(corpus.source, split))
    index = RowIndex([[row.id for row in rows]])
    numbers: dict[tuple[str, str], int] = {}
    labels = [
        (place, numbers.setdefault(label, len(numbers)))
        for place, row in enumerate(rows)
        for label in {("intent", row.intent), *(("slot", tag[2:]) for tag in row.slots if tag != OUTSIDE)}
    ]
    found = {}
    for lang in corpus.targets:
        pairs = [(pair.source_id, text_key(pair.words)) for pair in translations(lang)]
        of = index.find([source_id for source_id, _ in pairs])
        texts = np.array([key for _, key in pairs], dtype=np.int64)
        found[lang] = of[of >= 0], texts[of >= 0]
    of_labels, label_numbers = np.array(labels, dtype=np.int64).reshape(-1, 2).T
    return SplitKeys(
        texts=np.array([text_key(row.words) for row in rows], dtype=np.int64),
        templates=np.array([template_key(row.words, row.slots) for row in rows], dtype=np.int64),
        labels=(of_labels, label_numbers),
        translations=found,
    )


def _counts(source: str, keys: SplitKeys, split: HeldOutSplit) -> HeldOutCounts:
    selecting, kept = (
        min((int(np.isin(rows, of).sum()) for of, _ in keys.translations.values()), default=0)
        for rows in (split.selecting, split.kept)
    )
    return HeldOutCounts(
        origin=split.origin,
        source=source,
        train=len(split.train),
        selecting=selecting,
        kept=kept,
        templates=split.templates,
    )
