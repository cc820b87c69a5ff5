"""What a corpus loses. In: a data check. Out: lines that tell it, and an error where more is lost than is allowed.

Lost is a row that nothing of is used. Not lost are rows that the corpus is published to leave out, and a row that is
given twice. What is allowed holds for each split of each language by itself, so that a language cannot lose more than
that either, however many others are beside it; and for each file of translations.
"""

import math

from xa_search.corpora.checks import CorpusCheck, SplitCheck
from xa_search.corpora.rows import DROPS, LEFT_OUT_AS_PUBLISHED, REPAIRS
from xa_search.errors import DataError


def told_losses(check: CorpusCheck) -> tuple[str, ...]:
    """Return a line for each split and language in which a row was dropped, repaired or converted."""
    return tuple(line for split in check.splits if (line := _told(split)))


def losses_above(check: CorpusCheck, max_lost: float, setting: str = "--set max_lost=") -> tuple[str, ...]:
    """Return a line for each split that loses a greater share of its rows, or of those with slots, than `max_lost`.

    A split without any row has lost all of them; translations that cannot be read are held against the others.
    """
    lines = []
    for split in check.splits:
        if split.rows == 0 and max_lost < 1:
            lines.append(
                f"{check.name}: {split.split} {split.lang}: its file has no row of this language: mend the file, or "
                f"allow it by {setting}1"
            )
        shares = (
            (split.lost, split.rows - split.left_out, "rows"),
            (split.slotted_lost, split.slotted, "rows with slots"),
        )
        lost, rows, which = max(shares, key=lambda share: share[0] / max(1, share[1]))
        if lost > max_lost * rows:
            allowed = math.ceil(100 * lost / rows) / 100
            lines.append(
                f"{check.name}: {split.split} {split.lang}: {lost} of {rows} {which} cannot be used "
                f"({_reasons(split, DROPS)}; the first at {_first(split)}), more than max_lost {max_lost:g}: "
                f"mend the file, or allow it by {setting}{allowed:g}"
            )
    for one in (*check.translations, *check.unseen_translations):
        lost, rows = sum(one.unread.values()), one.translations + sum(one.unread.values())
        if lost > max_lost * rows:
            reasons = ", ".join(f"{reason} {count}" for reason, count in one.unread.items())
            lines.append(
                f"{check.name}: {one.where}: {lost} of {rows} translations into {one.lang} cannot be read ({reasons}), "
                f"more than max_lost {max_lost:g}: mend the file, or allow it by "
                f"{setting}{math.ceil(100 * lost / rows) / 100:g}"
            )
    return tuple(lines)


def refuse_losses(check: CorpusCheck, max_lost: float, setting: str = "--set max_lost=") -> None:
    """Raise DataError where a split loses a greater share than is allowed."""
    if lines := losses_above(check, max_lost, setting):
        raise DataError("\n".join(lines))


def _told(split: SplitCheck) -> str:
    parts = []
    if dropped := split.dropped - split.left_out:
        parts.append(f"{dropped} of {split.rows} rows dropped ({_reasons(split, DROPS)})")
    if split.left_out:
        parts.append(f"{split.left_out} of {split.rows} rows left out as published")
    if split.repaired:
        parts.append(f"{split.repaired} repaired ({_reasons(split, REPAIRS)})")
    if split.converted:
        parts.append(f"{split.converted} with {split.tags} tags converted")
    return f"data: {split.split} {split.lang}: {'; '.join(parts)}" if parts else ""


def _reasons(split: SplitCheck, kinds: dict[str, str]) -> str:
    examples = {fault.reason: f" as {fault.example!r}" for fault in split.first_faults if fault.example}
    counts = [
        f"{reason} {count}{examples.get(reason, '')}"
        for reason, count in split.reasons.items()
        if reason in kinds and reason not in LEFT_OUT_AS_PUBLISHED
    ]
    return ", ".join(counts)


def _first(split: SplitCheck) -> str:
    return next(fault.where for fault in split.first_faults if fault.reason in DROPS)
