"""Changes to valid input. In: a random generator, bytes or JSON values. Out: the same with a few things gone wrong."""

import json
import random
import re
from typing import Any

PIECES = (
    *(b"\t", b"\n", b"\n\n", b"\r", b"\r\n", b"\0", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b" ", b"  "),
    *("\u200b", "\u200d", "\u00a0", "\u2028", "\u0085", "\u0301", "\u202e", "\u3000", "\u0e48", "\U000e0041", "\uff0c"),
    *(b'"', b"'", b"[", b"]", b"{", b"}", b":", b",", b";", b"#", b"# ", b"\\", b"|||", b"=", b"&a ", b"*a", b"- "),
    *(b"O", b"B-", b"I-x", b"E-x", b"x-B", b"NoLabel", b"SL:", b"IN:", b"NS", b"id", b"[/b]", b"null", b"NaN"),
    *(b"-1", b"0", b"1e999", b"99999999999999999999", b"7.0", b"\\ud800", b"\\u0000", b"!!python/name:os", b"'''"),
    *(b"[" * 3000, b'{"a":' * 3000, b"a" * 300),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 7, 1.5, 7.0, 1e308, float("nan"), float("inf"), 2**70, -(2**63), 10**400),
    *(
        "",
        " ",
        "\u200b",
        "\ud800",
        "a\u0301",
        "e\u00a0f",
        "[/b]",
        "O",
        "B-t",
        "I-t",
        "U-t",
        "t-B",
        "train",
        "nan",
        "yes",
    ),
    *("a" * 300, "|||", "\0", "7", "7.0", "[1", '["a", "b"]', "../x", "x\ny", "low", "1e-4", "~", "{", "en", "mtop"),
    *([], {}, [None], [[]], ["a"], ["O"], [0, 4, "t"], {"a": 1}, {"start": 0, "end": 1, "label": "t"}, ["a", 1]),
)
NUMBER = re.compile(rb"\d+")
DEEP = 300


def mutated(rng: random.Random, content: bytes) -> bytes:
    """Return some bytes with one to three changes."""
    for _ in range(rng.randint(1, 3)):
        content = rng.choice((_inserted, _inserted, _cut, _flipped, _lines, _lines, _cells, _number, _doubled))(
            rng, content
        )
    return content


def _piece(rng: random.Random) -> bytes:
    piece = rng.choice(PIECES)
    return piece if isinstance(piece, bytes) else piece.encode()


def _inserted(rng: random.Random, content: bytes) -> bytes:
    place = rng.randint(0, len(content))
    return content[:place] + _piece(rng) + content[place + rng.choice((0, 0, 1, 3)) :]


def _cut(rng: random.Random, content: bytes) -> bytes:
    first = rng.randint(0, len(content))
    return content[:first] if rng.random() < 0.1 else content[:first] + content[first + rng.randint(1, 30) :]


def _flipped(rng: random.Random, content: bytes) -> bytes:
    if not content:
        return content
    place = rng.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << rng.randrange(8)]) + content[place + 1 :]


def _lines(rng: random.Random, content: bytes) -> bytes:
    lines = content.split(b"\n")
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(4):
        case 0:
            lines[one], lines[other] = lines[other], lines[one]
        case 1:
            lines.insert(one, lines[other])
        case 2:
            del lines[one]
        case _:
            lines.insert(one, b"")
    return b"\n".join(lines)


def _cells(rng: random.Random, content: bytes) -> bytes:
    """Put one cell of a table in the place of another, or leave one out."""
    lines = [line.split(b"\t") for line in content.split(b"\n")]
    row, other = rng.choice(lines), rng.choice(lines)
    place = rng.randrange(len(row))
    row[place : place + 1] = rng.choice(([rng.choice(other)], [], [_piece(rng)], [row[place]] * 2))
    return b"\n".join(b"\t".join(line) for line in lines)


def _number(rng: random.Random, content: bytes) -> bytes:
    found = list(NUMBER.finditer(content))
    if not found:
        return content
    one = rng.choice(found)
    new = rng.choice((0, 1, 10**6, 2**31, 2**63, 10**30, int(one[0][:9]) + 1, max(0, int(one[0][:9]) - 1)))
    return content[: one.start()] + str(new).encode() + content[one.end() :]


def _doubled(rng: random.Random, content: bytes) -> bytes:
    first = rng.randint(0, len(content))
    part = content[first : first + rng.randint(1, 200)]
    return content[:first] + part * rng.randint(2, 3) + content[first + len(part) :]


def any_value(rng: random.Random) -> Any:
    """Return a value such as JSON may hold, and some that it may not."""
    if rng.random() < 0.03:
        deep: Any = []
        for _ in range(DEEP):
            deep = [deep]
        return deep
    if rng.random() < 0.1:
        return [any_value(rng) for _ in range(rng.randint(0, 3))]
    return rng.choice(VALUES)


def changed(rng: random.Random, value: Any) -> Any:
    """Return a JSON value with one place in it changed, dropped or added to."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        if rng.random() < 0.1:
            return {one: other for one, other in value.items() if one != key}
        if rng.random() < 0.1:
            return {**value, str(rng.choice(VALUES[14:])): any_value(rng)}
        return {**value, key: changed(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.7:
        place = rng.randrange(len(value))
        return [*value[:place], changed(rng, value[place]), *value[place + 1 :]]
    return any_value(rng)


def json_bytes(value: Any) -> bytes:
    """Write a value as JSON; a lone surrogate as an escape or as bytes that are not UTF-8."""
    return json.dumps(value).encode()
