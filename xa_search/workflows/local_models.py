"""Registered models of a home on this disk, asked without MLflow. In: a home, texts. Out: answers, or none: then
`models` asks MLflow for the model.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from xa_search.feedback.files import log_answers
from xa_search.tracking.address import tracking_uri
from xa_search.tracking.bundle import Bundle, as_shown, load_bundle
from xa_search.tracking.local_registry import bundle_here, versions_here
from xa_search.tracking.versions import CANDIDATE, CHAMPION, MODELS, RegisteredVersion, chosen_version


def predict_here(
    home: Path,
    model: str | None,
    texts: Sequence[str],
    threshold: float,
    note: Callable[[str], None],
    log: Path | None,
) -> list[dict[str, Any]] | None:
    """Return what `models.predict_texts` does, of a model that lies on this disk; else none, and nothing is noted.

    Raises ModelError as that does.
    """
    uri = tracking_uri(home)
    versions = versions_here(uri)
    if versions is None:
        return None
    name, alias_or_version = parts_of(model)
    version = chosen_version(versions, name, alias_or_version)
    folder = bundle_here(uri, version)
    if folder is None:
        return None
    if alias_or_version is None:
        note(told_version(version))
    return answers_of(load_bundle(folder), texts, threshold, log)


def answers_of(bundle: Bundle, texts: Sequence[str], threshold: float, log: Path | None) -> list[dict[str, Any]]:
    """Return a model's answer to each text, each beside the text as it can be shown; a log gets each, to be judged."""
    logged = None if log is None else partial(log_answers, log)
    answers = bundle.answer(texts, threshold, logged)
    return [{"text": as_shown(text), **answer} for text, answer in zip(texts, answers, strict=True)]


def parts_of(model: str | None) -> tuple[str | None, str | None]:
    """Return the name that somebody gave of a model, NAME, NAME@ALIAS or NAME/VERSION, and its alias or version.

    MLflow's own way to write it, models:/NAME@ALIAS, will do too.
    """
    model = model and model.removeprefix(MODELS)
    name, alias_or_version = model, None
    for separator in ("@", "/"):
        if model and separator in model:
            name, _, alias_or_version = model.partition(separator)
    return name, alias_or_version


def told_version(version: RegisteredVersion) -> str:
    """Say which version answers where somebody named a model alone."""
    is_champion = CHAMPION in version.aliases
    role = CHAMPION if is_champion else f"{CANDIDATE}, as there is no {CHAMPION}"
    return f"model: {version.name} version {version.version}, the {role}"
