"""A small valid corpus for each reader. In: nothing. Out: its files by name, and how many rows a file holds."""

import contextlib
import csv
import io
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow
import pyarrow.parquet
from raw_samples import conll_block, massive_line, mtop_line, pawsx_lines, tokens_json, xsid_block

from fuzzing.mutations import changed, json_bytes, mutated

SAID = {"en": "wake me at 7 am", "de": "weck mich um 7 Uhr", "es": "despiértame a las 7 horas"}
ROWS = 4
Count = Callable[[bytes], int | None]


@dataclass(frozen=True, slots=True)
class Sample:
    """A corpus in one form. `count` tells without the program how many rows a file has; None where it cannot."""

    corpus: str
    files: Mapping[str, bytes]
    count: Count
    columns: Mapping[str, str] = field(default_factory=dict)
    target: str = "de"
    change: Callable[[random.Random, bytes], bytes] = mutated

    def mutated(self, rng: random.Random) -> dict[str, bytes]:
        """Return the files, one or two of them changed."""
        files = dict(self.files)
        for name in rng.sample(sorted(files), rng.randint(1, 2)):
            files[name] = self.change(rng, files[name])
        return files


def text_lines(content: bytes) -> list[str]:
    """Return the lines of a file, less the blank ones at its end."""
    lines = [
        line.decode("utf-8", "surrogateescape").rstrip("\r\n") for line in content.removesuffix(b"\n").split(b"\n")
    ]
    lines[0] = lines[0].removeprefix("\ufeff")
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def lines_in(content: bytes) -> int:
    """Count lines."""
    return len(text_lines(content))


def below_header(content: bytes) -> int:
    """Count the lines below a header."""
    lines = text_lines(content)
    return len(lines) - bool(lines and lines[0].split("\t")[0].strip().lower() == "id")


def below_exact_header(content: bytes) -> int:
    """Count the lines below a header that begins with `id`, in these letters."""
    lines = text_lines(content)
    return len(lines) - bool(lines and lines[0].split("\t")[0].strip() == "id")


def blocks_in(content: bytes) -> int:
    """Count the runs of lines that are not blank."""
    before, count = "", 0
    for line in text_lines(content):
        count += bool(line.strip()) and not before.strip()
        before = line
    return count


def json_rows(content: bytes) -> int | None:
    """Count the lines, or the elements of an array; none where it is a broken one."""
    if content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] != b"[":
        return lines_in(content)
    try:
        return len(json.loads(content.decode("utf-8-sig", "surrogateescape")))
    except (ValueError, RecursionError):
        return None


def parquet_rows(content: bytes) -> int | None:
    """Count the rows of a Parquet file; none where it is broken."""
    try:
        return pyarrow.parquet.ParquetFile(io.BytesIO(content)).metadata.num_rows
    except Exception:
        return None


def unknown(_content: bytes) -> None:
    """Leave the count open."""


def own_rows(lang: str, split: str) -> list[dict[str, Any]]:
    """Return rows of a user's own corpus."""
    words = SAID[lang].split()
    first = ("train", "dev", "test").index(split) * ROWS
    return [
        {
            "id": str(first + i),
            "tokens": [*words, str(i)],
            "intent": f"set{i % 2}",
            "slots": ["O"] * 3 + ["B-t", "I-t", "O"],
        }
        for i in range(ROWS)
    ]


def spanned(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row with a text and character spans."""
    text = " ".join(row["tokens"])
    start, end = len(" ".join(row["tokens"][:3])) + 1, len(" ".join(row["tokens"][:5]))
    span = {"start": start, "end": end, "label": "t"}
    return {"id": row["id"], "utt": text, "label": row["intent"], "entities": [span]}


def _jsonl(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json_bytes(row) + b"\n" for row in rows)


def _array(rows: list[dict[str, Any]]) -> bytes:
    return json.dumps(rows, indent=1).encode()


def _table(rows: list[dict[str, Any]], delimiter: str) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    writer.writerow(rows[0])
    writer.writerows([" ".join(one) if isinstance(one, list) else one for one in row.values()] for row in rows)
    return out.getvalue().encode()


def _conll(rows: list[dict[str, Any]]) -> bytes:
    blocks = []
    for row in rows:
        head = f"# id: {row['id']}\n# intent: {row['intent']}\n"
        blocks.append(head + "".join(f"{word}\t{tag}\n" for word, tag in zip(row["tokens"], row["slots"], strict=True)))
    return "\n".join(blocks).encode()


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), out)
    return out.getvalue()


def _arrow(rows: list[dict[str, Any]]) -> bytes:
    out, table = io.BytesIO(), pyarrow.Table.from_pylist(rows)
    with pyarrow.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


def changed_lines(rng: random.Random, content: bytes) -> bytes:
    """Change a value in a line of JSON; or bytes."""
    if rng.random() < 0.4:
        return mutated(rng, content)
    lines = content.splitlines()
    place = rng.randrange(len(lines))
    lines[place] = json_bytes(changed(rng, json.loads(lines[place])))
    return b"\n".join(lines)


def changed_array(rng: random.Random, content: bytes) -> bytes:
    """Change a value in a JSON array; or bytes."""
    return mutated(rng, content) if rng.random() < 0.4 else json_bytes(changed(rng, json.loads(content)))


def changed_columns(write: Callable[[list[dict[str, Any]]], bytes]) -> Callable[[random.Random, bytes], bytes]:
    """Write changed rows in a form with types; where that cannot hold them, change bytes."""

    def change(rng: random.Random, content: bytes) -> bytes:
        for _ in range(rng.choice((0, 3, 3))):
            rows = own_rows("en", "train")
            column = rng.choice(list(rows[0]))
            other = changed(rng, rows[0][column])
            values = [rng.choice((row[column], other, None)) for row in rows] if rng.random() < 0.5 else [other] * ROWS
            with contextlib.suppress(pyarrow.ArrowException, OverflowError, UnicodeError, RecursionError, TypeError):
                return write([{**row, column: value} for row, value in zip(rows, values, strict=True)])
        return mutated(rng, content)

    return change


def _named(
    names: str, write: Callable[[str, str], bytes], stems: Mapping[str, str] | None = None, target: str = "de"
) -> dict[str, bytes]:
    stems = stems or {split: split for split in ("train", "dev", "test")}
    return {
        names.format(lang=lang, LANG=lang.upper(), split=stem): write(lang, split)
        for lang in ("en", target)
        for split, stem in stems.items()
    }


def _mtop(lang: str, row_id: bool) -> bytes:
    start, end = len(" ".join(SAID[lang].split()[:3])) + 1, len(SAID[lang])
    lines = (
        mtop_line(f"{SAID[lang]} {i}", f"{start}:{end}:SL:TIME", row_id=str(i) if row_id else None) for i in range(ROWS)
    )
    return "".join(lines).encode()


def _mtod_tsv(lang: str) -> bytes:
    text, start = SAID[lang], len(" ".join(SAID[lang].split()[:3])) + 1
    return "".join(
        f"alarm/set\t{start}:{start + 1}:datetime\t{text}\t{lang}_XX\t{tokens_json(text)}\n" for _ in range(ROWS)
    ).encode()


def _blocks(lang: str, write: Callable[..., str], outside: str) -> bytes:
    tags = [outside] * 3 + ["B-time", "I-time"]
    return "".join(write(*zip(SAID[lang].split(), tags, strict=True)) for _ in range(ROWS)).encode()


def _multiatis(lang: str) -> bytes:
    rows = [f"{i}\t{SAID[lang]} {i}\tO O O B-t I-t O\tatis_{i % 2}" for i in range(ROWS)]
    return "\n".join(["id\tutterance\tslot_labels\tintent", *rows, ""]).encode()


def _pawsx(lang: str) -> bytes:
    return pawsx_lines(*((str(i), SAID[lang], f"{SAID[lang]} {i}", str(i % 2)) for i in range(1, ROWS))).encode()


def _massive(lang: str) -> bytes:
    words = SAID[lang].split()
    rows = [
        massive_line(f"{' '.join(words[:3])} [time : {' '.join(words[3:])}] {i}", id=str(i), partition=split)
        for i, split in enumerate(("train", "dev", "test", "train"))
    ]
    return "".join(rows).encode()


EVAL = {"train": "train", "dev": "eval", "test": "test"}
BY_LINE = {"translations.de.txt": b"weck mich\num 7 Uhr\nbitte\njetzt\n"}
SAMPLES: dict[str, Sample] = {
    "mtop, 8 columns": Sample("mtop", _named("{lang}/{split}.txt", lambda lang, _: _mtop(lang, True), EVAL), lines_in),
    "mtop, 7 columns": Sample(
        "mtop", _named("{lang}/{split}.txt", lambda lang, _: _mtop(lang, False), EVAL) | BY_LINE, lines_in
    ),
    "mtod, TSV": Sample(
        "mtod",
        _named("{lang}/{split}-{lang}.tsv", lambda lang, _: _mtod_tsv(lang), target="es")
        | {"es/train.tsv": BY_LINE["translations.de.txt"]},
        lines_in,
        target="es",
    ),
    "mtod, CoNLL": Sample(
        "mtod",
        _named("{lang}/{split}-{lang}.conllu", lambda lang, _: _blocks(lang, conll_block, "NoLabel"), target="es"),
        blocks_in,
        target="es",
    ),
    "multiatis": Sample("multiatis", _named("{split}_{LANG}.tsv", lambda lang, _: _multiatis(lang)), below_header),
    "multiatis, authors'": Sample(
        "multiatis",
        _named("{lang}/{split}.txt", lambda lang, _: _multiatis(lang))
        | {"de/train.tsv": BY_LINE["translations.de.txt"]},
        below_header,
    ),
    "pawsx": Sample(
        "pawsx",
        _named(
            "{lang}/{split}.tsv", lambda lang, _: _pawsx(lang), {"train": "train", "dev": "dev_2k", "test": "test_2k"}
        ),
        below_exact_header,
    ),
    "massive": Sample(
        "massive",
        {"data/en-US.jsonl": _massive("en"), "data/de-DE.jsonl": _massive("de")},
        lines_in,
        change=changed_lines,
    ),
    "xsid": Sample(
        "xsid",
        _named("{lang}.{split}.conll", lambda lang, _: _blocks(lang, xsid_block, "O"), EVAL | {"dev": "valid"})
        | {"translations/de.txt": BY_LINE["translations.de.txt"]},
        blocks_in,
    ),
    "own, JSONL": Sample(
        "own",
        _named("{split}.{lang}.jsonl", lambda lang, split: _jsonl(own_rows(lang, split))),
        json_rows,
        change=changed_lines,
    ),
    "own, JSON": Sample(
        "own",
        _named("{lang}/{split}.json", lambda lang, split: _array(own_rows(lang, split))),
        json_rows,
        change=changed_array,
    ),
    "own, spans": Sample(
        "own",
        _named("{split}.{lang}.jsonl", lambda lang, split: _jsonl([spanned(row) for row in own_rows(lang, split)])),
        json_rows,
        columns={"text": "utt", "intent": "label"},
        change=changed_lines,
    ),
    "own, one file": Sample(
        "own",
        {
            f"{split}.jsonl": _jsonl(
                [{"locale": lang, **row} for lang in ("en", "de") for row in own_rows(lang, split)]
            )
            for split in ("train", "dev", "test")
        },
        unknown,
        columns={"lang": "locale"},
        change=changed_lines,
    ),
    "own, CSV": Sample(
        "own", _named("{split}.{lang}.csv", lambda lang, split: _table(own_rows(lang, split), ",")), unknown
    ),
    "own, TSV": Sample(
        "own", _named("{split}.{lang}.tsv", lambda lang, split: _table(own_rows(lang, split), "\t")), unknown
    ),
    "own, CoNLL": Sample(
        "own", _named("{split}.{lang}.conll", lambda lang, split: _conll(own_rows(lang, split))), unknown
    ),
    "own, Parquet": Sample(
        "own",
        _named("{split}.{lang}.parquet", lambda lang, split: _parquet(own_rows(lang, split))),
        parquet_rows,
        change=changed_columns(_parquet),
    ),
    "own, saved": Sample(
        "own",
        _named("{lang}/{split}/data-00000-of-00001.arrow", lambda lang, split: _arrow(own_rows(lang, split))),
        unknown,
        change=changed_columns(_arrow),
    ),
}
