"""Whether a new version becomes the champion. In: versions, and what is right of kept rows. Out: a verdict, in words.

`champion` moves only to what is shown to be better: the one-sided lower bound of the difference, on rows that selected
no trial, is above 0. With no champion yet, the difference to the zero-shot trial and to each floor. The level of the
k-th search since the alias last moved is 0.05 / k, so that searching again until luck strikes does not move it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xa_search.records.evidence import KeptDifference
from xa_search.tracking.versions import CHALLENGED_TAG, VERDICT_TAG, RegisteredVersion
from xa_search.training.kept import LEVEL, Evidence, kept_difference

NOBODY = "none"
"""What a version's tag says that was held against no champion."""
TRIES_TAG = "searches_since_champion_moved"
BOUND_TAG, LEVEL_TAG, ROWS_TAG, SEEDS_TAG = "lower_bound", "lower_bound_level", "kept_rows", "kept_seeds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """A new version, what is known of it, and what it is held against.

    `rivals` are the zero-shot trial and what takes no training, by name; `no_rival` says why the zero-shot trial is not
    among them. `tries` is how many searches have been held against this champion, this one included.
    """

    new: RegisteredVersion
    evidence: Evidence
    champion: RegisteredVersion | None
    of_champion: Evidence | None
    rivals: Mapping[str, Evidence]
    no_rival: str
    tries: int

    @property
    def level(self) -> float:
        """The share of cases, at most, in which what is no better would be taken for better."""
        return LEVEL / self.tries


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether the alias moves, and why; `differences` are those that decided it."""

    moves: bool
    reason: str
    differences: tuple[KeptDifference, ...] = ()


def champion_verdict(challenge: Challenge) -> Verdict:
    """Tell whether a new version becomes the champion, and why."""
    champion, new = challenge.champion, challenge.new
    if champion is None:
        return _first(challenge)
    if champion.version == new.version:
        return Verdict(moves=True, reason="it is the champion already")
    old = f"version {champion.version}, the champion,"
    reason = ""
    if champion.corpus_fingerprint != new.corpus_fingerprint:
        reason = f"{old} learned from other data, so that their scores cannot be compared"
    elif champion.selection != new.selection:
        reason = f"{old} was chosen by {champion.selection}, not by {new.selection}"
    elif champion.zero_shot and not new.zero_shot:
        reason = f"{old} is zero-shot, and the new one learned from labelled target data"
    elif challenge.of_champion is None:
        reason = f"{old} has no scores on kept rows: an earlier version of xa-search registered it"
    if reason or challenge.of_champion is None:
        return Verdict(moves=False, reason=f"{reason}; {_by_hand(new)}")
    difference = kept_difference(challenge.evidence, challenge.of_champion, old.strip(","), challenge.level)
    if difference is None:
        return Verdict(moves=False, reason=f"{old} keeps other rows, so that nothing compares the two; {_by_hand(new)}")
    return _decided(challenge, (difference,))


def shown_over(evidence: Evidence, rivals: Mapping[str, Evidence], level: float = LEVEL) -> tuple[KeptDifference, ...]:
    """Return the difference to each rival that can be told, the zero-shot trial first."""
    found = [kept_difference(evidence, rival, name, level) for name, rival in rivals.items()]
    return tuple(one for one in found if one is not None)


def tries_against(versions: Sequence[RegisteredVersion], champion: RegisteredVersion | None, new: int) -> int:
    """Return the how-manieth version `new` is, of those that were held against this champion."""
    holder = NOBODY if champion is None else str(champion.version)
    return 1 + sum(version.challenged == holder and version.version != new for version in versions)


def verdict_tags(challenge: Challenge, verdict: Verdict) -> dict[str, str]:
    """Return what a version says of how it was held against the champion."""
    tags = {
        CHALLENGED_TAG: NOBODY if challenge.champion is None else str(challenge.champion.version),
        TRIES_TAG: str(challenge.tries),
        VERDICT_TAG: verdict.reason,
    }
    if verdict.differences:
        lowest = min(verdict.differences, key=lambda one: one.bound)
        tags |= {
            BOUND_TAG: f"{lowest.bound:.4f}",
            LEVEL_TAG: f"{lowest.level:.4g}",
            ROWS_TAG: str(lowest.rows),
            SEEDS_TAG: str(lowest.seeds),
        }
    return tags


def _first(challenge: Challenge) -> Verdict:
    differences = shown_over(challenge.evidence, challenge.rivals, challenge.level)
    if challenge.no_rival:
        reason = f"there is no zero-shot score to be better than ({challenge.no_rival}); {_by_hand(challenge.new)}"
        return Verdict(moves=False, reason=reason, differences=differences)
    if len(differences) < len(challenge.rivals) or not differences:
        reason = f"too few rows are kept to tell it from the zero-shot trial; {_by_hand(challenge.new)}"
        return Verdict(moves=False, reason=reason, differences=differences)
    return _decided(challenge, differences)


def _decided(challenge: Challenge, differences: tuple[KeptDifference, ...]) -> Verdict:
    """Let the difference decide that is shown least."""
    least = min(differences, key=lambda one: one.bound)
    if least.is_shown:
        first = f"{challenge.new.name} had no champion before, and " if challenge.champion is None else ""
        return Verdict(moves=True, reason=f"{first}it is {least.sentence}", differences=differences)
    again = f"; {challenge.tries} searches have been held against it" if challenge.tries > 1 else ""
    reason = f"it is {least.sentence}{again}; {_by_hand(challenge.new)}"
    return Verdict(moves=False, reason=reason, differences=differences)


def _by_hand(new: RegisteredVersion) -> str:
    return f"xa-search promote {new.name} {new.version} moves it by hand"
