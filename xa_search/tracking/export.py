"""A model for people without this program. In: a bundle. Out: a folder that answers with torch and transformers alone.

It has the encoder, the tokenizer and the heads as they are in the bundle, the labels, and `model.py` with the modules
that it needs: they are this program's own, so that text is cleaned, split and read as everywhere else.
"""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from xa_search.config.shipped import PACKAGE
from xa_search.corpora.text import clean_label
from xa_search.errors import UsageError
from xa_search.model.materialise import WITH_POOLER
from xa_search.records import BETWEEN, OUTSIDE
from xa_search.records.stored import stored_settings
from xa_search.records.whole_files import put_in_place
from xa_search.tracking.bundle import CARD

MODULES = {
    "xa_search.tracking.standalone": "model",
    "xa_search.corpora.text": "xa_text",
    "xa_search.encoding.plain_tokens": "xa_plain_tokens",
    "xa_search.encoding.tokenisation": "xa_tokenisation",
    "xa_search.model.decoding": "xa_decoding",
}
ONNX_MODULES = {
    "xa_search.tracking.standalone_onnx": "model_onnx",
    "xa_search.corpora.text": "xa_text",
    "xa_search.encoding.plain_tokens": "xa_plain_tokens",
    "xa_search.encoding.tokenisation": "xa_tokenisation",
}
"""Modules of this program that travel, and what they are called there."""
CONSTANTS = {"from xa_search.records import BETWEEN": f'BETWEEN = "{BETWEEN}"'}
"""Imports that are no module of theirs, and what stands there in their place."""
LABELS = "labels.json"


def export_bundle(bundle: Path, directory: Path) -> tuple[Path, ...]:
    """Write the model of a bundle to `directory`, whole or not at all, and return its files.

    Raises UsageError where something lies there already.
    """
    with new_folder(directory) as part:
        for path in sorted(bundle.iterdir()):
            if path.is_file() and path.name != CARD:
                shutil.copyfile(path, part / path.name)
        write_labels(part, labels_of(bundle))
        write_modules(part, MODULES)
    return tuple(sorted(directory.iterdir()))


@contextmanager
def new_folder(directory: Path) -> Iterator[Path]:
    """Give a folder to fill, which then takes the place of `directory`. Raises UsageError where that is not empty."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UsageError(f"{directory}: something lies there already; give a folder that is empty or does not exist")
    part = directory.with_name(f"{directory.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        put_in_place(part, directory)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_labels(folder: Path, labels: Mapping[str, Any]) -> None:
    """Write what a model has to know beside its weights."""
    text = json.dumps(labels, indent=2, ensure_ascii=False)
    (folder / LABELS).write_text(text + "\n", encoding="utf-8")


def write_modules(folder: Path, modules: Mapping[str, str]) -> None:
    """Write modules of this program under the names that they have where a model is exported."""
    for module, name in modules.items():
        (folder / f"{name}.py").write_text(standing_alone(module), encoding="utf-8")


def labels_of(bundle: Path) -> dict[str, Any]:
    """Return what the model of a bundle has to know beside its weights: its labels, and how it reads text."""
    card = json.loads((bundle / CARD).read_text(encoding="utf-8"))
    config = bundle / "config.json"
    settings = stored_settings(card["settings"])
    slot_tags = [clean_label(tag) for tag in card["slot_tags"]]
    return {
        "intents": [clean_label(intent) for intent in card["intents"]],
        "slot_tags": slot_tags,
        "has_slots": any(tag != OUTSIDE for tag in slot_tags),
        "embedding": card["embedding"],
        "pooling_layer": json.loads(config.read_text(encoding="utf-8"))["model_type"] in WITH_POOLER,
        "max_tokens": settings.max_tokens,
        "attended_padding": 0 if settings.padding == "none" else settings.max_tokens,
        "precision": card["precision"],
        "provenance": card["provenance"],
    }


def standing_alone(module: str) -> str:
    """Return a module's source with its imports from this program under their names beside it."""
    path = PACKAGE.parent.joinpath(*module.split(".")).with_suffix(".py")
    source, names = path.read_text(encoding="utf-8"), MODULES | ONNX_MODULES
    for line, replacement in CONSTANTS.items():
        source = source.replace(line, replacement)
    return re.sub(r"^from (xa_search[\w.]*) import", lambda found: f"from {names[found[1]]} import", source, flags=re.M)
