"""Registered versions, wherever they are read from. In: what a store has noted of them. Out: the version that is meant.

`champion` is the version that answers; `candidate` is the newest one that was checked, which answers while there is no
champion. Only these spellings exist. MLflow is not imported here: a reader of its SQLite file needs none of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from xa_search.errors import ModelError

PREFIX = "xa-search-"
MODELS = "models:/"
CHAMPION = "champion"
CANDIDATE = "candidate"
CHECKED_TAG = "loaded_back"
CHALLENGED_TAG, VERDICT_TAG = "challenged", "verdict"
OUR_TAGS = {
    *("search_id", "trial", "corpus", "corpus_fingerprint", "selection", "selection_score", "tokenizer_fingerprint"),
}
"""What every version has that this program registered."""


class Noted(Protocol):
    """What a store has noted of a version, besides its tags and aliases."""

    @property
    def name(self) -> str:
        """The registered model's name."""

    @property
    def version(self) -> str | int:
        """Its number."""

    @property
    def creation_timestamp(self) -> int:
        """When it was made, in milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredVersion:
    """One version of a registered model, with what is needed to compare it with others.

    `checked` says that it was loaded in a fresh process and gave the same answers there.
    """

    name: str
    version: int
    aliases: tuple[str, ...]
    created: int
    checked: bool
    search_id: str
    study_id: str
    trial: int
    corpus: str
    corpus_fingerprint: str
    selection: str
    zero_shot: bool
    selection_score: float
    tokenizer_fingerprint: str
    test_metrics: dict[str, float]
    challenged: str = ""
    """The version that was the champion when this one was held against it; empty where an earlier version registered
    it."""
    verdict: str = ""
    """Why it became the champion, or did not."""


def registered_version(version: Noted, tags: Mapping[str, str], aliases: Mapping[str, str]) -> RegisteredVersion | None:
    """Return a version that this program registered; none for what somebody else put under the name."""
    if not OUR_TAGS.issubset(tags):
        return None
    trial, score = _number(tags["trial"]), _number(tags["selection_score"])
    if trial is None or score is None:
        return None
    tests = {name: _number(value) for name, value in tags.items() if name.startswith("test_")}
    return RegisteredVersion(
        name=version.name,
        version=int(version.version),
        aliases=tuple(sorted(alias for alias, number in aliases.items() if int(number) == int(version.version))),
        created=version.creation_timestamp,
        checked=tags.get(CHECKED_TAG) == "yes",
        search_id=tags["search_id"],
        study_id=tags.get("study_id", ""),
        trial=int(trial),
        corpus=tags["corpus"],
        corpus_fingerprint=tags["corpus_fingerprint"],
        selection=tags["selection"],
        zero_shot=tags.get("zero_shot", "no" if tags["selection"] == "target_dev" else "yes") == "yes",
        selection_score=score,
        tokenizer_fingerprint=tags["tokenizer_fingerprint"],
        test_metrics={name: value for name, value in tests.items() if value is not None},
        challenged=tags.get(CHALLENGED_TAG, ""),
        verdict=tags.get(VERDICT_TAG, ""),
    )


def _number(text: str) -> float | None:
    """Return the number that a tag holds; none where a person wrote something else there."""
    try:
        return float(text)
    except ValueError:
        return None


def in_order(versions: Sequence[RegisteredVersion | None]) -> tuple[RegisteredVersion, ...]:
    """Return the versions that this program registered, by name, the newest first."""
    return tuple(sorted(filter(None, versions), key=lambda version: (version.name, -version.version)))


def chosen_version(
    versions: tuple[RegisteredVersion, ...], name: str | None, alias_or_version: str | None
) -> RegisteredVersion:
    """Return one version: where none is said the champion, or the candidate where there is no champion.

    Raises ModelError with the valid names, versions and aliases.
    """
    names = sorted({version.name for version in versions})
    if not names:
        raise ModelError("no model is registered yet; run `xa-search run mtop-mini` to get one")
    if name is None and len(names) > 1:
        raise ModelError(f"several models are registered; name one of: {', '.join(names)}")
    chosen = name or names[0]
    versions = tuple(version for version in versions if version.name == chosen)
    if not versions:
        raise ModelError(f"model {chosen!r} is not registered; name one of: {', '.join(names)}")
    for wanted in (CHAMPION, CANDIDATE) if alias_or_version is None else (alias_or_version,):
        for registered in versions:
            if wanted == str(registered.version) or wanted in registered.aliases:
                return registered
    valid = [str(version.version) for version in versions] + sorted({a for v in versions for a in v.aliases})
    raise ModelError(f"{chosen} has no version or alias {alias_or_version or CHAMPION!r}; valid: {', '.join(valid)}")
