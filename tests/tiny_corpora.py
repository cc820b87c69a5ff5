"""Each corpus in its own raw format, a handful of utterances or pairs in two languages: enough to train on."""

import json
from collections.abc import Callable
from pathlib import Path

from raw_samples import conll_block, massive_line, mtop_line, pawsx_lines, xsid_block

from xa_search.records import SPLITS, Split

ROWS: dict[Split, int] = {"train": 24, "dev": 4, "test": 4}
VERBS = {"en": ("wake", "stop"), "de": ("weck", "halt"), "es": ("despierta", "para")}
INTENTS = ("alarm/set_alarm", "alarm/cancel_alarm")


def numbers(split: Split) -> range:
    first = 100 * SPLITS.index(split)
    return range(first, first + ROWS[split])


def words_of(lang: str, number: int) -> tuple[str, str]:
    """Return a verb that no other row has, so that each row is a template of its own, and a time."""
    letters = "".join("abcdefghij"[int(digit)] for digit in str(number))
    return f"{VERBS[lang][number % 2]}{letters}", f"um{number}"


def intent_of(number: int) -> str:
    return INTENTS[number % 2]


def write_corpus(name: str, folder: Path) -> tuple[str, ...]:
    """Write a corpus's raw files; return its targets. The rows of every language have the same numbers."""
    target = "es" if name == "mtod" else "de"
    for path, text in WRITERS[name](target).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return (target,)


def _split_files(target: str, path: str, row: Callable[[str, int], str], **stems: str) -> dict[str, str]:
    return {
        path.format(lang=lang, LANG=lang.upper(), split=stems.get(split, split)): "".join(
            row(lang, number) for number in numbers(split)
        )
        for lang in ("en", target)
        for split in SPLITS
    }


def _mtop(target: str) -> dict[str, str]:
    def row(lang: str, number: int) -> str:
        verb, time = words_of(lang, number)
        span = f"{len(verb) + 1}:{len(verb) + 1 + len(time)}:SL:TIME"
        return mtop_line(f"{verb} {time}", span, f"IN:{intent_of(number)}", str(number))

    return _split_files(target, "{lang}/{split}.txt", row, dev="eval")


def _mtod(target: str) -> dict[str, str]:
    def row(lang: str, number: int) -> str:
        verb, time = words_of(lang, number)
        return conll_block((verb, "NoLabel"), (time, "B-time"), intent=intent_of(number))

    translations = "".join(" ".join(words_of(target, number)) + "\n" for number in numbers("train"))
    return {**_split_files(target, "{lang}/{split}-{lang}.conllu", row), f"{target}/train.tsv": translations}


def _xsid(target: str) -> dict[str, str]:
    def row(lang: str, number: int) -> str:
        verb, time = words_of(lang, number)
        return xsid_block((verb, "O"), (time, "B-datetime"), intent=intent_of(number))

    translations = "".join(" ".join(words_of(target, number)) + "\n" for number in numbers("train"))
    return {
        **_split_files(target, "{lang}.{split}.conll", row, dev="valid"),
        f"translations/{target}.txt": translations,
    }


def _multiatis(target: str) -> dict[str, str]:
    def row(lang: str, number: int) -> str:
        return f"{number}\t{' '.join(words_of(lang, number))}\tO B-time\t{intent_of(number)}\n"

    return _split_files(target, "{split}_{LANG}.tsv", row)


def _massive(target: str) -> dict[str, str]:
    def file(lang: str) -> str:
        return "".join(
            massive_line(
                "{} [time : {}]".format(*words_of(lang, number)),
                intent=intent_of(number),
                id=str(number),
                partition=split,
            )
            for split in SPLITS
            for number in numbers(split)
        )

    return {"en-US.jsonl": file("en"), f"{target}-{target.upper()}.jsonl": file(target)}


def _pawsx(target: str) -> dict[str, str]:
    def file(lang: str, split: Split) -> str:
        rows = []
        for number in numbers(split):
            verb, time = words_of(lang, number)
            second = f"{time} {verb if number % 2 else VERBS[lang][1]}"
            rows.append((str(number), f"{verb} {time}", second, str(number % 2)))
        return pawsx_lines(*rows, ("9001", "NS", "NS", "0"), ("9002", "", "x", "1"))

    files = {f"{lang}/{split}_2k.tsv": file(lang, split) for lang in ("en", target) for split in ("dev", "test")}
    return {**files, "en/train.tsv": file("en", "train"), f"{target}/translated_train.tsv": file(target, "train")}


def _own(target: str) -> dict[str, str]:
    def row(lang: str, number: int) -> str:
        found = {"id": str(number), "tokens": words_of(lang, number), "intent": intent_of(number)}
        return json.dumps(found | {"slots": ["O", "B-time"]}) + "\n"

    return _split_files(target, "{split}.{lang}.jsonl", row)


WRITERS = {
    "mtop": _mtop,
    "mtod": _mtod,
    "multiatis": _multiatis,
    "massive": _massive,
    "xsid": _xsid,
    "pawsx": _pawsx,
    "own": _own,
}
