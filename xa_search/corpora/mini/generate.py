"""Generate mtop-mini. In: the sentence frames of frames/*.yaml. Out: `<lang>/{train,eval,test}.txt` in MTOP's
8-column format.

A template is text with slots in it: `set an alarm [DATE_TIME {at_time}]`; `{name}` stands for an entry of a list.

Words end at white space and at every slot's edges; in Thai also at `|`, which stands for no character.

`python -m xa_search.corpora.mini.generate OUT`. The same frames always give the same bytes; every row stands in all
languages under the same id; no frame and no utterance stands in two splits.
"""

import argparse
import hashlib
import json
import random
import re
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from xa_search.config.yaml_files import BrokenYamlError, load_yaml
from xa_search.errors import DataError

LANGUAGES = ("en", "de", "es", "fr", "hi", "th")
FRAMES = Path(__file__).parent / "frames"
SLOT = re.compile(r"\[([A-Z_]+) ([^\[\]]+)\]")
VALUE = re.compile(r"\{([a-z_0-9]+(?:#[0-9]+)?)\}")

Values = dict[str, list[dict[str, str]]]  # list name -> entries, each in all languages
PUNCTUATION = "?,.!¿¡।"
WORD = re.compile(r"\S+")
SIZES = {"train": 1100, "eval": 180, "test": 360}
SEED = "mtop-mini 1"
HASH_FILE = "generated-from.sha256"


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a template: literal text (slot None) or the inside of a slot."""

    slot: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Frame:
    """One sentence pattern. `uses` names the values to fill in, in a fixed order: `name` or `name#2`."""

    domain: str
    intent: str
    templates: dict[str, tuple[Piece, ...]]
    uses: tuple[str, ...]
    values: Values

    @property
    def key(self) -> str:
        """Name the frame: its English text."""
        return "".join(f"[{piece.slot} {piece.text}]" if piece.slot else piece.text for piece in self.templates["en"])

    @property
    def slot_types(self) -> set[str]:
        """Give the slot types in the frame."""
        return {piece.slot for piece in self.templates["en"] if piece.slot is not None}


@cache
def read_frames(folder: Path = FRAMES) -> tuple[Frame, ...]:
    """Read all frames, in the order of file names and of the lines in a file; once a process, as YAML takes long."""
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise DataError(f"no sentence frames in {folder}: install xa-search again")
    return tuple(frame for path in paths for frame in _read_file(path))


def _read_file(path: Path) -> list[Frame]:
    try:
        found: dict[str, Any] = load_yaml(path.read_text(encoding="utf-8"))
        return [_frame(found["domain"], found["values"], raw, path) for raw in found["frames"]]
    except (OSError, BrokenYamlError, KeyError, TypeError) as error:
        what = " ".join(str(error).split())
        raise DataError(f"{path}: not a file of sentence frames ({what}); see its neighbours for the form") from error


def _frame(domain: str, values: Values, raw: dict[str, str], path: Path) -> Frame:
    templates = {lang: _pieces(raw[lang]) for lang in LANGUAGES}
    uses = tuple(sorted(set(VALUE.findall(raw["en"]))))
    names = {name.split("#")[0] for name in uses}
    for lang in LANGUAGES:
        inside = VALUE.findall("".join(piece.text for piece in templates[lang] if piece.slot))
        if sorted(VALUE.findall(raw[lang])) != sorted(inside) or set(inside) != set(uses):
            raise DataError(f"{path}: {raw['en']!r} in {lang}: values must be those of English, each inside a slot")
    for name in names:
        if name not in values:
            raise DataError(f"{path}: {raw['en']!r} uses the value list {name!r}, which is not there; add it to values")
    return Frame(domain, raw["intent"], templates, uses, {name: values[name] for name in sorted(names)})


def _pieces(template: str) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    end = 0
    for match in SLOT.finditer(template):
        if match.start() > end:
            pieces.append(Piece(None, template[end : match.start()]))
        pieces.append(Piece(match[1], match[2].strip()))
        end = match.end()
    if end < len(template):
        pieces.append(Piece(None, template[end:]))
    return tuple(pieces)


@dataclass(frozen=True, slots=True)
class Rendered:
    """An utterance with the character spans of its tokens and its slots."""

    text: str
    tokens: tuple[tuple[int, int], ...]
    slots: tuple[tuple[int, int, str], ...]


def render(frame: Frame, draw: dict[str, int], lang: str) -> Rendered:
    """Fill a frame in; `draw` gives the entry's index for each of the frame's values."""
    text = ""
    tokens: list[tuple[int, int]] = []
    slots: list[tuple[int, int, str]] = []
    for piece in frame.templates[lang]:
        filled = VALUE.sub(lambda found: frame.values[found[1].split("#")[0]][draw[found[1]]][lang], piece.text)
        start = len(text)
        for part in filled.split("|") if lang == "th" else [filled]:
            tokens += _tokens(part, len(text))
            text += part
        if piece.slot is not None:
            slots.append((start, len(text), piece.slot))
    return Rendered(text, tuple(tokens), tuple(slots))


def mtop_row(row_id: int, frame: Frame, rendered: Rendered, lang: str) -> str:
    """Write a row as MTOP's files have it, without the line's end."""
    intent = f"IN:{frame.intent}"
    slots = ",".join(f"{start}:{end}:SL:{name}" for start, end, name in rendered.slots)
    words = [rendered.text[start:end] for start, end in rendered.tokens]
    spans = [{"start": start, "length": end - start} for start, end in rendered.tokens]
    tokens = json.dumps({"tokens": words, "tokenSpans": spans}, ensure_ascii=False, separators=(",", ":"))
    row = (str(row_id), intent, slots, rendered.text, frame.domain, f"{lang}_XX", _decoupled(intent, rendered), tokens)
    return "\t".join(row)


def _decoupled(intent: str, rendered: Rendered) -> str:
    parts = [f"[{intent}"]
    for start, end, name in rendered.slots:
        words = [rendered.text[first:last] for first, last in rendered.tokens if start <= first and last <= end]
        parts.append(f"[SL:{name} {' '.join(words)} ]")
    return " ".join([*parts, "]"])


def _tokens(text: str, offset: int) -> list[tuple[int, int]]:
    """Split at white space, and punctuation off a word's two ends; `p.m.` stays whole."""
    found: list[tuple[int, int]] = []
    for match in WORD.finditer(text):
        start, end = match.span()
        head = start
        while head < end and text[head] in PUNCTUATION:
            head += 1
        tail = end
        while tail > head and text[tail - 1] in PUNCTUATION:
            tail -= 1
        if text[tail:end] == "." and "." in text[head:tail]:
            tail = end
        found += [(i, i + 1) for i in range(start, head)]
        found += [(head, tail)] if head < tail else []
        found += [(i, i + 1) for i in range(tail, end)]
    return [(offset + start, offset + end) for start, end in found]


def generate(out: Path) -> None:
    """Write the corpus into a folder."""
    splits = split_frames(read_frames())
    seen: dict[str, set[str]] = {lang: set() for lang in LANGUAGES}
    row_id = 0
    for split, frames in splits.items():
        rows: dict[str, list[str]] = {lang: [] for lang in LANGUAGES}
        for frame, rendered in _draw(frames, SIZES[split], seen):
            for lang in LANGUAGES:
                rows[lang].append(mtop_row(row_id, frame, rendered[lang], lang))
            row_id += 1
        for lang in LANGUAGES:
            path = out / lang / f"{split}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{row}\n" for row in rows[lang]), encoding="utf-8", newline="\n")


def generate_once(folder: Path) -> Path:
    """Have the corpus in a folder: generated whole or not at all, anew when frames or generator have changed."""
    wanted = sources_hash()
    if _hash_in(folder) == wanted:
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as scratch:
            fresh = Path(scratch) / "fresh"
            generate(fresh)
            (fresh / HASH_FILE).write_text(wanted, encoding="utf-8")
            _put(fresh, folder, Path(scratch) / "old", wanted)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"cannot write {folder} ({reason}); free space or choose another --home") from error
    return folder


def sources_hash() -> str:
    """Hash the frames and the generator."""
    digest = hashlib.sha256()
    for path in [*sorted(FRAMES.glob("*.yaml")), *sorted(Path(__file__).parent.glob("*.py"))]:
        digest.update(f"{path.name}\n{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def split_frames(frames: tuple[Frame, ...]) -> dict[str, list[Frame]]:
    """Share out the frames of each intent, about 7 to 1 to 2, over the whole of its list (rarer ones stand last)."""
    by_intent: dict[str, list[Frame]] = defaultdict(list)
    for frame in frames:
        by_intent[frame.intent].append(frame)
    splits: dict[str, list[Frame]] = {split: [] for split in SIZES}
    for number, of_intent in enumerate(by_intent.values()):
        for place, frame in enumerate(of_intent):
            splits[_split_of((place + number) % 10)].append(frame)
    in_train = {name for frame in splits["train"] for name in frame.slot_types}
    for split in ("eval", "test"):
        strangers = [frame for frame in splits[split] if not frame.slot_types <= in_train]
        splits["train"] += strangers
        splits[split] = [frame for frame in splits[split] if frame not in strangers]
    return splits


def _split_of(place: int) -> str:
    return {4: "eval", 2: "test", 7: "test"}.get(place, "train")


def _draw(frames: list[Frame], size: int, seen: dict[str, set[str]]) -> Iterator[tuple[Frame, dict[str, Rendered]]]:
    """Take one new utterance of each frame in turn until there are enough or the frames are used up."""
    waiting = [(frame, _combinations(frame)) for frame in frames]
    taken = 0
    while waiting and taken < size:
        left: list[tuple[Frame, Iterator[dict[str, int]]]] = []
        for frame, draws in waiting:
            rendered = _next_new(frame, draws, seen)
            if rendered is None:
                continue
            left.append((frame, draws))
            yield frame, rendered
            taken += 1
            if taken == size:
                return
        waiting = left


def _next_new(frame: Frame, draws: Iterator[dict[str, int]], seen: dict[str, set[str]]) -> dict[str, Rendered] | None:
    """Render the next draw that gives an utterance nobody has, in every language."""
    for draw in draws:
        rendered = {lang: render(frame, draw, lang) for lang in LANGUAGES}
        if any(rendered[lang].text in seen[lang] for lang in LANGUAGES):
            continue
        for lang in LANGUAGES:
            seen[lang].add(rendered[lang].text)
        return rendered
    return None


def _combinations(frame: Frame) -> Iterator[dict[str, int]]:
    """Yield every combination of entries once, in an order fixed by the frame; `name` and `name#2` always differ."""
    sizes = [len(frame.values[name.split("#")[0]]) for name in frame.uses]
    total = 1
    for size in sizes:
        total *= size
    order = random.Random(f"{SEED} {frame.intent} {frame.key}")
    for number in order.sample(range(total), total):
        draw: dict[str, int] = {}
        for name, size in zip(frame.uses, sizes, strict=True):
            number, draw[name] = divmod(number, size)
        if len({(name.split("#")[0], entry) for name, entry in draw.items()}) == len(draw):
            yield draw


def _hash_in(folder: Path) -> str | None:
    try:
        return (folder / HASH_FILE).read_text(encoding="utf-8")
    except OSError:
        return None


def _put(fresh: Path, folder: Path, old: Path, wanted: str) -> None:
    """Swap the fresh folder in; another process may have been faster, and its work is as good."""
    try:
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
    except OSError:
        if _hash_in(folder) != wanted:
            raise
    shutil.rmtree(old, ignore_errors=True)


def main() -> None:
    """Generate the corpus into the folder that the command line names."""
    parser = argparse.ArgumentParser(description="Write mtop-mini in MTOP's file format.")
    parser.add_argument("out", type=Path, help="folder to write to")
    generate(parser.parse_args().out)


if __name__ == "__main__":
    main()
