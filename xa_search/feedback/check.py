"""Feedback as it is used. In: lines of feedback files, a model's labels. Out: judgements that can train, counts.

One policy, in this order. What it leaves out or changes is counted, and has a line with its file and line:

- A line without a verdict waits; it is no fault.
- Labels are cleaned as all text is; a tag that continues nothing begins a slot.
- Tags of another tokenisation than `tokens` judge nothing: they are left out, and of a correction that part. Where a
  line has no `tokens`, the words of its text stand for them.
- A predicted label that the model does not have drops the part it is in; in a correction it leaves the verdict alone.
- A thumb up with another answer, or a thumb down whose correction is the prediction, contradicts itself: dropped.
- Of several verdicts of one judge on one answer the last one counts, by `at` where both have it, else by its line.
- Judges who disagree: the majority decides; where there is none, all of that answer are dropped. Of several
  corrections the one that most gave, where one is; else the thumb down stands alone.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xa_search.corpora.repair import legal_tags
from xa_search.corpora.text import clean_label, clean_words
from xa_search.feedback.files import FeedbackLine, FeedbackLines
from xa_search.feedback.judgements import Judgement, Parse
from xa_search.records import OUTSIDE

Labels = tuple[Sequence[str], Sequence[str]]
"""The intents and the slot tags that a model has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackCheck:
    """What feedback files come to. `languages` has by language how many judgements say up and down.

    `corrected` counts those with a correction. `dropped` and `repaired` count lines by reason, `waiting` those without
    a verdict. `remarks` has a line for each of them.
    """

    files: tuple[str, ...]
    judgements: tuple[Judgement, ...]
    lines: int
    waiting: int
    languages: dict[str, dict[str, int]]
    corrected: int
    dropped: dict[str, int]
    repaired: dict[str, int]
    remarks: tuple[str, ...]


class _Book:
    """What is said of the lines."""

    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()
        self.repaired: Counter[str] = Counter()
        self.remarks: list[str] = []

    def drop(self, line: FeedbackLine, reason: str, what: str) -> None:
        self.dropped[reason] += 1
        self.remarks.append(f"{line.where}: {what}; dropped")

    def repair(self, line: FeedbackLine, reason: str, what: str) -> None:
        self.repaired[reason] += 1
        self.remarks.append(f"{line.where}: {what}")


def check_feedback(read: FeedbackLines, labels: Labels | None = None) -> FeedbackCheck:
    """Apply the policy to feedback. Without labels of a model every label is taken for one."""
    book = _Book()
    waiting = [line for line in read.lines if line.judgement.verdict is None]
    found: list[FeedbackLine] = [line for line in read.lines if line.judgement.verdict is not None]
    steps: tuple[Callable[[FeedbackLine, _Book], FeedbackLine | None], ...] = (
        _clean,
        _fit_words,
        lambda line, book: line if labels is None else _know(line, book, labels),
        _agree_with_itself,
    )
    for step in steps:
        found = [kept for line in found if (kept := step(line, book)) is not None]
    judgements = [line.judgement for line in _of_judges(_last_of_each(found, book), book)]
    for fault in read.faults:
        book.dropped["unreadable"] += 1
        book.remarks.append(fault)
    languages: dict[str, dict[str, int]] = {}
    for one in judgements:
        counts = languages.setdefault(one.lang, {"up": 0, "down": 0})
        counts[one.verdict or ""] += 1
    return FeedbackCheck(
        files=read.files,
        judgements=tuple(judgements),
        lines=len(read.lines) + len(read.faults),
        waiting=len(waiting),
        languages=dict(sorted(languages.items())),
        corrected=sum(one.corrected is not None for one in judgements),
        dropped=dict(book.dropped),
        repaired=dict(book.repaired),
        remarks=tuple(book.remarks),
    )


def _with(line: FeedbackLine, **changed: object) -> FeedbackLine:
    return FeedbackLine(where=line.where, judgement=line.judgement.model_copy(update=changed))


def _clean(line: FeedbackLine, book: _Book) -> FeedbackLine:
    one = line.judgement
    predicted, corrected = _cleaned(one.predicted), None if one.corrected is None else _cleaned(one.corrected)
    if (predicted, corrected) == (one.predicted, one.corrected):
        return line
    book.repair(line, "labels_cleaned", "labels cleaned, or a tag that continues nothing made to begin a slot")
    return _with(line, predicted=predicted, corrected=corrected)


def _cleaned(parse: Parse) -> Parse:
    return Parse(
        intent=None if parse.intent is None else clean_label(parse.intent),
        slots=None if parse.slots is None else legal_tags(tuple(map(clean_label, parse.slots))),
    )


def _fit_words(line: FeedbackLine, book: _Book) -> FeedbackLine | None:
    """Let every tag have its word, or leave the tags out."""
    one = line.judgement
    if one.predicted.slots is not None and not one.tokens:
        line = _with(line, tokens=clean_words(one.text))
        book.repair(line, "words_of_text", "no tokens: the words of the text stand for them")
        one = line.judgement
    words = len(one.tokens)
    if one.predicted.slots is not None and len(one.predicted.slots) != words:
        what = f"{len(one.predicted.slots)} predicted tags for {words} tokens"
        if one.part == "slots" or (one.verdict == "down" and one.corrected is None):
            book.drop(line, "other_tokenisation", what)
            return None
        book.repair(line, "slots_left_out", f"{what}: the slots are left out")
        line = _with(line, predicted=Parse(intent=one.predicted.intent), part="intent")
        one = line.judgement
    if one.corrected is not None and one.corrected.slots is not None and len(one.corrected.slots) != words:
        book.repair(
            line,
            "correction_left_out",
            f"corrected.slots: {len(one.corrected.slots)} tags for {words} tokens: that part is left out",
        )
        line = _with(line, corrected=_or_none(Parse(intent=one.corrected.intent)))
    return line


def _know(line: FeedbackLine, book: _Book, labels: Labels) -> FeedbackLine | None:
    """Keep what is said of labels that the model has."""
    one = line.judgement
    unknown = _unknown(one.predicted, labels)
    if unknown:
        book.drop(line, "unknown_label", f"predicted: {', '.join(unknown)}: no label of the model")
        return None
    if one.corrected is not None and (unknown := _unknown(one.corrected, labels)):
        book.repair(
            line,
            "correction_left_out",
            f"corrected: {', '.join(unknown)}: no label of the model: the correction is left out",
        )
        line = _with(line, corrected=None)
    return line


def _unknown(parse: Parse, labels: Labels) -> list[str]:
    intents, tags = labels
    found = [] if parse.intent is None or parse.intent in intents else [parse.intent]
    return found + sorted({tag for tag in parse.slots or () if tag != OUTSIDE and tag not in tags})


def _agree_with_itself(line: FeedbackLine, book: _Book) -> FeedbackLine | None:
    one = line.judgement
    if one.corrected is None:
        return line
    differs = _differs(one)
    if one.verdict == "up" and differs:
        book.drop(line, "contradiction", "a thumb up with another answer as the correction")
        return None
    if one.verdict == "down" and not differs:
        book.drop(line, "contradiction", "a thumb down whose correction is the prediction")
        return None
    return line if one.verdict == "down" else _with(line, corrected=None)


def _differs(one: Judgement) -> bool:
    """Tell whether a correction changes what is judged."""
    right = one.corrected or Parse()
    intent = one.judges_intent and right.intent is not None and right.intent != one.predicted.intent
    return intent or (one.judges_slots and right.slots is not None and right.slots != one.predicted.slots)


def _or_none(parse: Parse) -> Parse | None:
    return None if parse == Parse() else parse


def _last_of_each(lines: Sequence[FeedbackLine], book: _Book) -> list[FeedbackLine]:
    """Keep the last verdict of each judge on each answer; one without a judge is a judge of its own by its id."""
    last: dict[tuple[object, ...], FeedbackLine] = {}
    for line in lines:
        judge = line.judgement.judge or f"id {line.judgement.id}"
        key = (judge, *_answer(line.judgement))
        earlier = last.get(key)
        if earlier is None:
            last[key] = line
            continue
        old, new = (earlier, line) if _is_later(line.judgement, earlier.judgement) else (line, earlier)
        book.drop(old, "duplicate", f"the same judge judges this answer again at {new.where}")
        last[key] = new
    return list(last.values())


def _is_later(one: Judgement, earlier: Judgement) -> bool:
    return one.at is None or earlier.at is None or one.at >= earlier.at


def _answer(one: Judgement) -> tuple[object, ...]:
    return one.lang, one.tokens or one.text, one.part, one.predicted


def _of_judges(lines: Sequence[FeedbackLine], book: _Book) -> list[FeedbackLine]:
    """Return one judgement an answer."""
    groups: dict[tuple[object, ...], list[FeedbackLine]] = {}
    for line in lines:
        groups.setdefault(_answer(line.judgement), []).append(line)
    return [kept for group in groups.values() if (kept := _majority(group, book)) is not None]


def _majority(group: Sequence[FeedbackLine], book: _Book) -> FeedbackLine | None:
    if len(group) == 1:
        return group[0]
    verdicts = Counter(line.judgement.verdict for line in group).most_common()
    if len(verdicts) > 1 and verdicts[0][1] == verdicts[1][1]:
        for line in group:
            book.drop(line, "judges_disagree", f"{len(group)} judges, as many up as down")
        return None
    agreed = [line for line in group if line.judgement.verdict == verdicts[0][0]]
    for line in group:
        if line not in agreed:
            book.drop(line, "outvoted", f"{len(agreed)} of {len(group)} judges say {verdicts[0][0]}")
    for line in agreed[1:]:
        book.repair(line, "merged", f"the same verdict as at {agreed[0].where}: both count once")
    corrections = Counter(line.judgement.corrected for line in agreed if line.judgement.corrected is not None)
    ranked = corrections.most_common()
    if len(ranked) > 1 and ranked[0][1] == ranked[1][1]:
        book.repair(agreed[0], "correction_left_out", "judges correct otherwise: the thumb down stands alone")
        return _with(agreed[0], corrected=None)
    return _with(agreed[0], corrected=ranked[0][0] if ranked else None)
