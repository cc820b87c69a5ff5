"""The encoders that a search may name. In: a name. Out: what to load, pinned to a commit where it comes from the hub.

Imports neither torch nor transformers, so that a plan can be checked fast.
"""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from xa_search.errors import ModelError

EMBEDDINGS = ("cls", "mean", "pooler")

MB = 10**6
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_LOOKS_LIKE_PATH = re.compile(r"[./~\\]|[A-Za-z]:")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSize:
    """One encoder by name, and the sentence embedding it uses unless a search says otherwise.

    `revision` is the commit that a hub model is pinned to; None means: the commit found at the first download,
    recorded beside the files. `directory` is set for an encoder in a local directory only.
    `disk` is what its files take, in bytes, and `trial_disk` a trial's weights, whose vocabulary is trimmed to the
    corpus; None where nobody has measured them. `licence` is empty where it is not known.
    """

    name: str
    hub_id: str | None
    revision: str | None
    embedding: str
    directory: Path | None = None
    disk: int | None = None
    trial_disk: int | None = None
    licence: str = ""


_BUILT_IN = {
    size.name: size
    for size in (
        ModelSize(
            name="tiny", hub_id=None, revision=None, embedding="mean", disk=MB, trial_disk=MB, licence="Apache-2.0"
        ),
        ModelSize(
            name="small",
            hub_id="intfloat/multilingual-e5-small",
            revision="614241f622f53c4eeff9890bdc4f31cfecc418b3",
            embedding="mean",
            disk=480 * MB,
            trial_disk=120 * MB,
            licence="MIT",
        ),
        ModelSize(
            name="base",
            hub_id="FacebookAI/xlm-roberta-base",
            revision="e73636d4f797dec63c3081bb6ed5c7b0bb3f2089",
            embedding="cls",
            disk=1120 * MB,
            trial_disk=400 * MB,
            licence="MIT",
        ),
        ModelSize(
            name="large",
            hub_id="FacebookAI/xlm-roberta-large",
            revision="c23d21b0620b635a76227c604d44e43a9f0ee389",
            embedding="cls",
            disk=2250 * MB,
            trial_disk=1300 * MB,
            licence="MIT",
        ),
    )
}


def licence_of(name: str) -> tuple[str, str]:
    """Return the licence and the hub's id of an encoder that was used under this name; each empty where not known."""
    known = _BUILT_IN.get(name)
    if known is not None:
        return known.licence, known.hub_id or ""
    is_hub_id = _HUB_ID.fullmatch(name) is not None and not Path(name).is_dir()
    return "", name if is_hub_id else ""


def resolve_size(name: str) -> ModelSize:
    """Return the size called `name`: tiny, small, base, large, a local directory, or a hub id such as `org/name`.

    A built-in name wins over a directory of that name (write `./base` for the directory), and a directory wins
    over a hub id. Raises ModelError for anything else.
    """
    if name in _BUILT_IN:
        return _BUILT_IN[name]
    directory = Path(name).expanduser()
    if name and directory.is_dir():
        return ModelSize(name=name, hub_id=None, revision=None, embedding="cls", directory=directory.resolve())
    if _LOOKS_LIKE_PATH.match(name):
        raise ModelError(f"model_size {name!r}: there is no such directory; give one that holds config.json")
    if _HUB_ID.fullmatch(name):
        return ModelSize(name=name, hub_id=name, revision=None, embedding="cls")
    close = get_close_matches(name.lower(), _BUILT_IN, n=1)
    hint = f"did you mean {close[0]!r}?" if close else "type one of these, or a hub id such as org/name, or a directory"
    raise ModelError(f"model_size {name!r} is unknown (known: {', '.join(_BUILT_IN)}); {hint}")
