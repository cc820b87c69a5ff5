"""The Hugging Face hub. In: a hub id and a commit. Out: a local directory with that commit's files, or a clear error.

Also silence while transformers loads.

A model in the local cache is used without a request; a hub that does not answer is given up after seconds.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

from huggingface_hub import HfApi, errors, snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError
from transformers.utils import logging

from xa_search.errors import ModelError

_TIMEOUT_SECONDS = 5.0
_TRUE = {"1", "ON", "YES", "TRUE"}
_SAFE_WEIGHTS = ("model.safetensors", "model-*.safetensors", "model.safetensors.index.json")
_PICKLED_WEIGHTS = ("pytorch_model.bin", "pytorch_model-*.bin", "pytorch_model.bin.index.json")
_TOKENIZERS = ("tokenizer.json", "sentencepiece.bpe.model", "spm.model", "source.spm", "vocab.txt")
_SMALL_FILES = (
    "config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.txt", "vocab.json", "merges.txt", "sentencepiece.bpe.model", "spm.model", "source.spm", "target.spm",
    "generation_config.json",
)  # fmt: skip


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Hold back transformers' warnings and progress bars; afterwards both are as they were."""
    verbosity = logging.get_verbosity()
    had_bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if had_bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


class HubUnreachableError(ModelError):
    """The hub does not answer, or is switched off by HF_HUB_OFFLINE."""


def fetch(hub_id: str, revision: str | None) -> tuple[Path, str]:
    """Return the directory of a model's files in the hub's cache, and the commit they are of.

    Downloads what is missing. Raises HubUnreachableError where that takes a network that is not there, and
    ModelError where the hub answers but does not have, or does not give, the model.
    """
    try:
        cached = _cached(hub_id, revision)
        if cached is not None:
            return cached, cached.name
        if is_offline():
            raise HubUnreachableError(f"{hub_id} is not in the hub's cache, and HF_HUB_OFFLINE is set")
        return _download(hub_id, revision)
    except ModelError:
        raise
    except errors.GatedRepoError as error:
        raise ModelError(f"model {hub_id!r} is gated; ask for access on its page, then type: hf auth login") from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.HFValidationError) as error:
        at = f" at commit {revision}" if revision else ""
        raise ModelError(f"the hub has no model {hub_id!r}{at}, and no directory has that name; check it") from error
    except Exception as error:  # which HTTP client raises what differs between versions of huggingface_hub
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise HubUnreachableError(f"{hub_id} cannot be fetched from the hub ({reason})") from error


def is_offline() -> bool:
    """Tell whether the environment forbids requests to the hub."""
    return any(os.environ.get(name, "").upper() in _TRUE for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))


def _cached(hub_id: str, revision: str | None) -> Path | None:
    try:
        directory = Path(snapshot_download(hub_id, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    names = [path.name for path in directory.iterdir() if path.exists()]
    has_tokenizer = any(name in names for name in _TOKENIZERS)
    return directory if "config.json" in names and has_tokenizer and _has_weights(directory, names) else None


def _has_weights(directory: Path, names: list[str]) -> bool:
    if "model.safetensors" in names or "pytorch_model.bin" in names:
        return True
    for index in (_SAFE_WEIGHTS[2], _PICKLED_WEIGHTS[2]):
        if index in names:
            shards = set(json.loads((directory / index).read_text())["weight_map"].values())
            if shards <= set(names):
                return True
    return False


def _download(hub_id: str, revision: str | None) -> tuple[Path, str]:
    info = HfApi().model_info(hub_id, revision=revision, timeout=_TIMEOUT_SECONDS)
    names = [sibling.rfilename for sibling in info.siblings or []]
    is_safe = any(fnmatch(name, pattern) for name in names for pattern in _SAFE_WEIGHTS)
    weights = _SAFE_WEIGHTS if is_safe else _PICKLED_WEIGHTS
    if info.sha is None:
        raise ModelError(f"the hub names no commit of model {hub_id!r}; download it elsewhere and give its directory")
    directory = snapshot_download(
        hub_id, revision=info.sha, allow_patterns=[*_SMALL_FILES, *weights], etag_timeout=_TIMEOUT_SECONDS
    )
    return Path(directory), info.sha
