"""Slot tags of any scheme in use. In: the tags of a whole file. Out: what scheme they are in; the same slots in IOB2.

Read are IO, IOB1, IOB2, BIOES and BILOU, in either case, as `B-city` or `city-B`; bare types (`city`) are IO.
A scheme is recognised over all rows of a file, never row by row: `I-city I-city` alone could be any of four.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from xa_search.records import OUTSIDE

Form = Literal["prefix", "suffix", "bare"]
Scheme = Literal["none", "IO", "IOB1", "IOB2", "BIOES", "BILOU"]

PREFIX = re.compile(r"([BIOESLU])-(.+)", re.IGNORECASE)
SUFFIX = re.compile(r"(.+)-([BIOESLU])", re.IGNORECASE)
ENDS, SINGLES = {"E", "L"}, {"S", "U"}
LETTERS: dict[Scheme, str] = {"none": "BI", "IO": "I", "IOB1": "BI", "IOB2": "BI", "BIOES": "BIES", "BILOU": "BILU"}


@dataclass(frozen=True, slots=True)
class TagScheme:
    """What the tags of a file are: where the letter stands, and which letters there are."""

    form: Form
    scheme: Scheme

    @property
    def is_iob2(self) -> bool:
        """Whether the tags already stand as this program keeps them."""
        return self.form == "prefix" and self.scheme == "IOB2"

    def __str__(self) -> str:
        where = {"prefix": "", "suffix": " (type-B)", "bare": " (bare types)"}[self.form]
        return "no slots" if self.scheme == "none" else f"{self.scheme}{where}"


@dataclass(slots=True)
class TagSurvey:
    """Counts what the tags of a file look like, row by row, to recognise their scheme at the end."""

    prefixed: int = 0
    suffixed: int = 0
    tagged: int = 0
    by_form: dict[Form, "_Letters"] = field(default_factory=lambda: {"prefix": _Letters(), "suffix": _Letters()})

    def add(self, tags: Sequence[str]) -> None:
        """Enter the tags of one row."""
        found = [tag for tag in tags if tag and not is_outside(tag)]
        if not found:
            return
        self.tagged += len(found)
        self.prefixed += sum(PREFIX.fullmatch(tag) is not None for tag in found)
        self.suffixed += sum(SUFFIX.fullmatch(tag) is not None for tag in found)
        for form, letters in self.by_form.items():
            letters.add([_parted(tag, form) for tag in tags])

    def scheme(self) -> TagScheme:
        """Return the scheme: the form that most tags have, and the scheme that their letters and neighbours show."""
        if not self.tagged:
            return TagScheme("prefix", "none")
        if 2 * max(self.prefixed, self.suffixed) < self.tagged:
            return TagScheme("bare", "IO")
        form: Form = "prefix" if self.prefixed >= self.suffixed else "suffix"
        return TagScheme(form, self.by_form[form].scheme())


@dataclass(slots=True)
class _Letters:
    counts: Counter[str] = field(default_factory=Counter)
    opening_i: int = 0  # an I that follows no word of its type
    opening_b: int = 0  # a B that follows no word of its type

    def add(self, tags: Sequence[tuple[str, str] | None]) -> None:
        before = ""
        for tag in tags:
            letter, kind = tag or (OUTSIDE, "")
            self.counts[letter] += tag is not None
            if kind != before:
                self.opening_i += letter == "I"
                self.opening_b += letter == "B"
            before = kind

    def scheme(self) -> Scheme:
        # Every slot of BIOES and BILOU has a letter that ends it: a few of them among many B are slips, no scheme.
        enough = max(1.0, self.counts["B"] / 2)
        if self.counts["E"] + self.counts["S"] >= enough:
            return "BIOES"
        if self.counts["L"] + self.counts["U"] >= enough:
            return "BILOU"
        if not self.counts["B"]:
            return "IO"
        return "IOB1" if self.opening_i and not self.opening_b else "IOB2"


def recognise(rows: Iterable[Sequence[str]]) -> TagScheme:
    """Return the scheme of the tags of all rows of a file."""
    survey = TagSurvey()
    for tags in rows:
        survey.add(tags)
    return survey.scheme()


def is_outside(tag: str) -> bool:
    """Tell whether a tag says that a word belongs to no slot."""
    return tag.upper() == OUTSIDE


def to_iob2(tags: Sequence[str], scheme: TagScheme) -> tuple[tuple[str, ...], bool] | None:
    """Return the tags in IOB2, and whether a slot was begun or ended wrongly and repaired; None where one is no tag.

    A word that continues nothing begins a slot; one that follows the end of a slot begins another.
    """
    converted: list[str] = []
    before, ended, repaired = "", True, False
    for tag in tags:
        if is_outside(tag):
            repaired |= _is_cut_off(scheme, before, ended)
            converted.append(OUTSIDE)
            before, ended = "", True
            continue
        parted = _parted(tag, scheme.form)
        if parted is None or parted[0] not in LETTERS[scheme.scheme]:
            return None
        letter, kind = parted
        continues = kind == before and not ended and letter not in {"B", *SINGLES}
        repaired |= not continues and _should_continue(scheme, letter)
        converted.append(f"{'I' if continues else 'B'}-{kind}")
        before, ended = kind, letter in ENDS | SINGLES
    return tuple(converted), repaired


def _should_continue(scheme: TagScheme, letter: str) -> bool:
    """Whether a letter that begins a slot has no business to: an I or E of a scheme that opens slots with B."""
    return letter in {"I", *ENDS} and scheme.scheme in ("IOB2", "BIOES", "BILOU")


def _is_cut_off(scheme: TagScheme, before: str, ended: bool) -> bool:
    """Whether a slot stops without the letter that has to end it."""
    return scheme.scheme in ("BIOES", "BILOU") and before != "" and not ended


def _parted(tag: str, form: Form) -> tuple[str, str] | None:
    """Part a tag into its letter and its type; None where it has no letter in this form."""
    if form == "bare":
        return ("I", tag) if tag else None
    if form == "prefix":
        found = PREFIX.fullmatch(tag)
        letter, kind = (found[1], found[2]) if found else ("", "")
    else:
        found = SUFFIX.fullmatch(tag)
        letter, kind = (found[2], found[1]) if found else ("", "")
    return (letter.upper(), kind) if found and letter.upper() != OUTSIDE else None
