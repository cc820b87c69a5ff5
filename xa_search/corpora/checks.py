"""`xa-search data check` and `data stats`. In: a corpus. Out: rows, repairs, drops, unseen labels, sizes and
lengths.

Reads every file once and keeps counts only, with the first place of each kind of fault.

To find repeated utterances it keeps one number for each training utterance of one language at a time.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from xa_search.corpora.corpus import Corpus, find_translations
from xa_search.corpora.pairs import Agreement, check_pairs
from xa_search.corpora.rows import DROPS, LEFT_OUT_AS_PUBLISHED, NO_INTENT, NOT_LOST, REPAIRS, Row
from xa_search.records import OUTSIDE, SPLITS, Split


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The first row with a fault of one kind."""

    reason: str  # a key of REPAIRS or DROPS
    meaning: str
    where: str  # file:line
    example: str = ""  # what stands there, where that says more than the meaning


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitCheck:
    """One split of one language. A repaired row with two kinds of repair counts once in `repaired`."""

    split: Split
    lang: str
    rows: int
    repaired: int
    dropped: int
    reasons: Mapping[str, int]
    unseen_intents: tuple[str, ...]  # not in the source training set; none where there is no such set
    unseen_slot_types: tuple[str, ...]
    first_faults: tuple[Fault, ...]
    tags: str = ""  # the scheme of the file's tags, where they were not IOB2
    converted: int = 0  # rows whose tags were converted from it
    lost: int = 0  # rows dropped, less those left out as published or given twice
    left_out: int = 0  # rows left out as published
    slotted: int = 0  # rows to which the file gives slots, dropped or not
    slotted_lost: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslationCheck:
    """How many source training utterances have a translation."""

    lang: str
    translations: int
    missing: int
    where: str  # the file that holds them, with its folder where that is not the corpus's; empty where there is none
    unread: Mapping[str, int] = field(default_factory=dict)  # rows of that file that cannot be read, by keys of DROPS
    agreements: tuple[Agreement, ...] = ()
    fault: str = ""  # why these are no pairs: what of them agrees no better than by chance


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusCheck:
    """What is in a corpus and what was wrong with it."""

    name: str
    source: str
    targets: tuple[str, ...]
    splits: tuple[SplitCheck, ...]
    absent: tuple[tuple[Split, str], ...]  # splits of a language that have no file
    translations: tuple[TranslationCheck, ...]
    unseen_translations: tuple[TranslationCheck, ...] = ()  # into languages that nothing is trained or selected on
    notes: tuple[str, ...] = ()  # what the source training set has no labels for


def check_corpus(
    corpus: Corpus,
    splits: tuple[Split, ...] = SPLITS,
    progress: Callable[[int, int | None], None] | None = None,
    *,
    with_pairs: bool = True,
    unseen_languages: tuple[str, ...] = (),
) -> CorpusCheck:
    """Count rows, repairs and drops; the source training set is always read, for its labels, where there is one.

    Of `unseen_languages` only the translations are looked at, where there are any.
    `progress` is called with the splits of a language that are read, and how many there are to read.
    """
    languages = (corpus.source, *corpus.targets)
    whole = len(splits) * len(languages)
    there = corpus.file_of(corpus.source, "train") is not None
    first, known = _check_split(corpus, corpus.source, "train", None) if there else (None, None)
    found: list[SplitCheck] = []
    absent: list[tuple[Split, str]] = []
    for split in splits:
        for lang in languages:
            if progress is not None:
                progress(len(found) + len(absent), whole)
            if corpus.file_of(lang, split) is None:
                absent.append((split, lang))
            elif first is not None and (lang, split) == (corpus.source, "train"):
                found.append(first)
            else:
                found.append(_check_split(corpus, lang, split, known)[0])
    return CorpusCheck(
        name=corpus.name,
        source=corpus.source,
        targets=corpus.targets,
        splits=tuple(found),
        absent=tuple(absent),
        translations=_check_all(corpus, corpus.targets, known if with_pairs else None),
        unseen_translations=tuple(
            one for one in _check_all(corpus, unseen_languages, known if with_pairs else None) if one.where
        ),
        notes=_unlabelled(corpus.source, known) if known else (),
    )


def slot_types(tags: Iterable[str]) -> set[str]:
    """Give the slot types in some IOB2 tags."""
    return {tag[2:] for tag in tags if tag != OUTSIDE}


@dataclass(frozen=True, slots=True)
class _Known:
    """What a split has; that of the source training set is what can be learned."""

    utterances: int
    intents: frozenset[str]
    types: frozenset[str]


def _unlabelled(source: str, known: _Known) -> tuple[str, ...]:
    """Say what a corpus does not teach; nothing is said where it has no utterances at all."""
    notes = []
    if known.utterances and not known.types:
        notes.append(f"no training row of {source} has a slot: intents alone are learned")
    if known.intents == {NO_INTENT}:
        notes.append(
            f"no training row of {source} has an intent: slots alone are learned; `{NO_INTENT}` stands for each "
            "intent, so that intent accuracy says nothing"
        )
    return tuple(notes)


def _check_split(corpus: Corpus, lang: str, split: Split, known: _Known | None) -> tuple[SplitCheck, _Known]:
    rows = repaired = dropped = converted = slotted = slotted_lost = 0
    reasons: Counter[str] = Counter()
    faults: dict[str, Fault] = {}
    intents: set[str] = set()
    types: set[str] = set()
    name = corpus.file_of(lang, split)
    for row in corpus.rows(lang, split):
        rows += 1
        dropped += row.dropped is not None
        repaired += row.dropped is None and bool(row.repairs)
        converted += row.dropped is None and row.converted
        slotted += row.had_slots
        slotted_lost += row.had_slots and row.dropped is not None and row.dropped not in NOT_LOST
        for reason in _reasons(row):
            reasons[reason] += 1
            if reason not in faults:
                meaning = (REPAIRS | DROPS)[reason]
                where = f"{name}:{row.line}"
                faults[reason] = Fault(reason=reason, meaning=meaning, where=where, example=row.example)
        if row.dropped is None:
            intents.add(row.intent)
            types.update(slot_types(row.tags))
    check = SplitCheck(
        split=split,
        lang=lang,
        rows=rows,
        repaired=repaired,
        dropped=dropped,
        reasons=dict(reasons.most_common()),
        unseen_intents=tuple(sorted(intents - known.intents)) if known else (),
        unseen_slot_types=tuple(sorted(types - known.types)) if known else (),
        first_faults=tuple(faults.values()),
        tags=str(corpus.tag_scheme(lang, split)) if converted else "",
        converted=converted,
        lost=sum(count for reason, count in reasons.items() if reason in DROPS and reason not in NOT_LOST),
        left_out=sum(reasons[reason] for reason in LEFT_OUT_AS_PUBLISHED),
        slotted=slotted,
        slotted_lost=slotted_lost,
    )
    return check, _Known(rows - dropped, frozenset(intents), frozenset(types))


def _reasons(row: Row) -> tuple[str, ...]:
    return row.repairs if row.dropped is None else (row.dropped,)


def _check_all(corpus: Corpus, languages: tuple[str, ...], known: _Known | None) -> tuple[TranslationCheck, ...]:
    return tuple(_check_translations(corpus, lang, known.utterances) for lang in languages) if known else ()


def _check_translations(corpus: Corpus, lang: str, usable: int) -> TranslationCheck:
    found = find_translations(corpus, lang)
    if found is None:
        return TranslationCheck(lang=lang, translations=0, missing=usable, where="")
    where = found.name if found.files is corpus.files else found.files.where(found.name)
    pairs = check_pairs(corpus, lang)
    return TranslationCheck(
        lang=lang,
        translations=pairs.translations,
        missing=usable - pairs.translations,
        where=where,
        unread=pairs.unread,
        agreements=pairs.agreements,
        fault=pairs.fault,
    )


def told_pairs(check: CorpusCheck) -> str:
    """Say how many source training utterances have a translation, by language."""
    counts = ", ".join(map(_told_pairs, check.translations))
    unseen = ", ".join(map(_told_pairs, check.unseen_translations))
    return f"pairs: {counts or 'none'}" + (f"; into unseen languages, for `inspect` alone: {unseen}" if unseen else "")


def _told_pairs(one: TranslationCheck) -> str:
    whole = f" of {one.translations + one.missing:,}" if one.missing else ""
    unread = ", ".join(f"{reason} {count}" for reason, count in one.unread.items())
    return f"{one.lang} {one.translations:,}{whole}" + (f" (rows that cannot be read: {unread})" if unread else "")


def check_as_markdown(check: CorpusCheck) -> str:
    """Render a data check as Markdown, one row a split and language."""
    lines = [f"# {check.name}", "", "| split | language | rows | repaired | dropped | reasons | unseen labels |"]
    lines.append("|---|---|---|---|---|---|---|")
    for split in check.splits:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in split.reasons.items())
        unseen = ", ".join((*split.unseen_intents, *split.unseen_slot_types))
        counts = f"{split.rows} | {split.repaired} | {split.dropped}"
        lines.append(f"| {split.split} | {split.lang} | {counts} | {reasons} | {unseen} |")
    lines += [
        "",
        *(
            f"- {s.split} {s.lang}: tags: {s.tags}, converted in {s.converted} rows"
            for s in check.splits
            if s.converted
        ),
    ]
    pairs = (*check.translations, *check.unseen_translations)
    lines += [f"- {told_pairs(check)}"]
    lines += [f"- {t.lang}: {t.translations} translations, {t.missing} missing" for t in pairs]
    lines += [f"- {t.lang}: {one}" for t in pairs for one in t.agreements]
    lines += [f"- {t.fault}" for t in pairs if t.fault]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitStats:
    """One split of one language."""

    split: Split
    lang: str
    utterances: int
    words: int
    intents: int
    slot_types: int
    repeated: int | None  # utterances whose words stand in train too (in train: earlier in it); None without train

    @property
    def mean_words(self) -> float:
        """Give the mean number of words of an utterance."""
        return self.words / self.utterances if self.utterances else 0.0

    @property
    def share_in_train(self) -> float | None:
        """Give the share of utterances that stand in train too."""
        return None if self.repeated is None or not self.utterances else self.repeated / self.utterances


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusStats:
    """Numbers about a corpus."""

    name: str
    splits: tuple[SplitStats, ...]
    pairs: dict[str, int]  # by target language


def corpus_stats(corpus: Corpus) -> CorpusStats:
    """Count; splits that have no file are left out."""
    found: list[SplitStats] = []
    for lang in (corpus.source, *corpus.targets):
        train: set[int] | None = set() if corpus.file_of(lang, "train") is not None else None
        found += [
            _split_stats(corpus, lang, split, train) for split in SPLITS if corpus.file_of(lang, split) is not None
        ]
    pairs = {
        lang: sum(1 for _ in corpus.translations(lang)) if find_translations(corpus, lang) is not None else 0
        for lang in corpus.targets
    }
    order = sorted(found, key=lambda stats: SPLITS.index(stats.split))
    return CorpusStats(name=corpus.name, splits=tuple(order), pairs=pairs)


def _split_stats(corpus: Corpus, lang: str, split: Split, train: set[int] | None) -> SplitStats:
    """Count one split; reading train fills `train`."""
    utterances = words = repeated = 0
    intents: set[str] = set()
    types: set[str] = set()
    for utterance in corpus.utterances(lang, split):
        utterances += 1
        words += len(utterance.words)
        intents.add(utterance.intent)
        types.update(slot_types(utterance.slots))
        if train is not None:
            key = hash(utterance.words)
            repeated += key in train
            if split == "train":
                train.add(key)
    return SplitStats(
        split=split,
        lang=lang,
        utterances=utterances,
        words=words,
        intents=len(intents),
        slot_types=len(types),
        repeated=None if train is None else repeated,
    )
