"""Files to give to the commands of behaviour.py. In: an empty folder. Out: small corpora, good and broken files."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
CLUSTERS = HERE.parent / "cluster"
VERBS = {"en": ("wake", "stop"), "de": ("weck", "halt"), "es": ("despierta", "para")}
INTENTS = ("alarm/set_alarm", "alarm/cancel_alarm")
FIRST_ROWS = {"train": 0, "dev": 100, "test": 200}
ROWS = 24

GOOD = """corpus: jsonl
source: en
targets: [de]
method: xeroalign
params:
  align_weight: {low: 0.1, high: 10, log: true}
  learning_rate: {low: 1.0e-4, high: 1.0e-2, log: true}
  model_size: {choices: [tiny]}
fixed: {epochs: 1}
trials: 2
"""
TEXTS = {
    "good.yaml": GOOD,
    "broken.yaml": "corpus: mtop\ntargets: [de\nmethod: xeroalign\n",
    "list.yaml": "- corpus\n- targets\n",
    "circle.yaml": "extends: circle\ntrials: 3\n",
    "odd name.yaml": GOOD,
    "missing_key.yaml": GOOD.replace("corpus: jsonl\n", "").replace("targets: [de]\n", ""),
    "unknown_parent.yaml": "extends: mtopp\ntrials: 3\n",
    "notes.txt": "no: cluster\n",
    "no_zip.zip": "x",
    "label_map.yaml": "intents: {CREATE_CALL: alarm/set_alarm, CREATE_ALARM: alarm/set_alarm, STRANGE: nothing}\n"
    "slots: {DATE_TIME: time, CONTACT: null}\n",
    "literature.yaml": "- {system: XLM-R, corpus: mtop, metric: intent, value: 90, languages: [de], source: a book}\n",
    "twice.yaml": 2 * "- {system: XLM-R, corpus: mtop, metric: intent, value: 90, languages: [de], source: a book}\n",
    "wrong_value.yaml": "- {system: XLM-R, corpus: mtop, metric: intents, value: 900, languages: [], source: a book}\n",
}


def write_inputs(folder: Path) -> None:
    """Write all that the commands are given."""
    _write(folder, TEXTS)
    (folder / "binary.yaml").write_bytes(b"\xff\xfe\x00\x81")
    (folder / "empty").mkdir()
    for name, texts in _corpora():
        _write(folder / name, texts)
    _write(folder / "clusters", dict(_clusters()))


def clusters(folder: Path) -> list[Path]:
    """Return the cluster files that were written, the good ones too."""
    return sorted((folder / "clusters").glob("*.yaml"))


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def _clusters() -> Iterator[tuple[str, str]]:
    """Return the files of cluster/, and each edit of one that breaks it."""
    good = {path.name: path.read_text(encoding="utf-8") for path in sorted(CLUSTERS.glob("*.yaml"))}
    yield from good.items()
    rows = yaml.safe_load((HERE / "broken_clusters.yaml").read_text(encoding="utf-8"))
    for number, row in enumerate(rows):
        text = good[row["file"]].replace(row["old"], row["new"], -1 if row.get("every") else 1)
        yield f"broken_{number:02d}.yaml", text


def _corpora() -> Iterator[tuple[str, dict[str, str]]]:
    """Return small corpora in their own formats, each with one row that is broken where the format lets one be."""
    mtop = _split_files("{lang}/{split}.txt", _mtop_line, ("en", "de", "es"), dev="eval")
    mtop["de/test.txt"] += "20\tIN:CREATE_CALL\t99:120:SL:CONTACT\tcall Ann\tcalling\tde_XX\t[x]\t{broken\n"
    mtop |= {f"{lang}/{split}.txt": mtop["en/test.txt"] for lang in ("fr", "hi", "th") for split in ("train", "test")}
    two = {name: text for name, text in mtop.items() if name[:2] in ("en", "de")}
    unnumbered = {name: _without_ids(text) if name.endswith("train.txt") else text for name, text in two.items()}
    yield "mtop", mtop
    yield "two_languages", two
    yield "without_translations", unnumbered
    yield "twice", {f"{part}/{name}": text for part in ("one", "two") for name, text in two.items()}
    yield (
        "mtod",
        _split_files("{lang}/{split}-{lang}.conllu", _conll_block, ("en", "es"))
        | {"es/train.tsv": "despierta um1\n" * ROWS},
    )
    yield "xsid", _split_files("{lang}.{split}.conll", _xsid_block, ("en", "de"), dev="valid")
    yield "multiatis", _split_files("{split}_{LANG}.tsv", _multiatis_line, ("en", "de"))
    yield (
        "massive",
        {
            f"{lang}-{region}.jsonl": "".join(
                _massive_line(lang, number, split) for split, first in FIRST_ROWS.items() for number in _rows(first)
            )
            + "{broken\n"
            for lang, region in (("en", "US"), ("de", "DE"))
        },
    )
    yield (
        "pawsx",
        {
            f"{lang}/{name}.tsv": "id\tsentence1\tsentence2\tlabel\n"
            + "".join(f"{number}\t{_text(lang, number)}\t{_text(lang, 1)}\t{number % 2}\n" for number in _rows(first))
            + "9001\tNS\tNS\t0\n9002\t\tx\t1\n"
            for lang, names in (
                ("en", ("train", "dev_2k", "test_2k")),
                ("de", ("translated_train", "dev_2k", "test_2k")),
            )
            for name, first in zip(names, FIRST_ROWS.values(), strict=True)
        },
    )
    yield "jsonl", _split_files("{split}.{lang}.jsonl", _json_line, ("en", "de"))


def _rows(first: int) -> range:
    return range(first, first + ROWS)


def _text(lang: str, number: int) -> str:
    return f"{VERBS[lang][number % 2]} um{number}"


def _split_files(path: str, row: Callable[[str, int], str], languages: tuple[str, ...], **stems: str) -> dict[str, str]:
    return {
        path.format(lang=lang, LANG=lang.upper(), split=stems.get(split, split)): "".join(
            row(lang, number) for number in _rows(first)
        )
        for lang in languages
        for split, first in FIRST_ROWS.items()
    }


def _without_ids(text: str) -> str:
    return "".join("\t".join(line.split("\t")[1:]) + "\n" for line in text.splitlines())


def _mtop_line(lang: str, number: int) -> str:
    verb, time = _text(lang, number).split()
    spans = [{"start": 0, "length": len(verb)}, {"start": len(verb) + 1, "length": len(time)}]
    tokens = json.dumps({"tokens": [verb, time], "tokenSpans": spans})
    slot = f"{len(verb) + 1}:{len(verb) + 1 + len(time)}:SL:TIME"
    intent = f"IN:{INTENTS[number % 2]}"
    return "\t".join([str(number), intent, slot, f"{verb} {time}", "alarm", f"{lang}_XX", "[x]", tokens]) + "\n"


def _conll_block(lang: str, number: int) -> str:
    verb, time = _text(lang, number).split()
    intent = INTENTS[number % 2]
    head = f"# text: {verb} {time}\n# intent: {intent}\n# slots: \n"
    return f"{head}1\t{verb}\t{intent}\tNoLabel\n2\t{time}\t{intent}\tB-time\n\n"


def _xsid_block(lang: str, number: int) -> str:
    verb, time = _text(lang, number).split()
    intent = INTENTS[number % 2]
    head = f"# id = {number}\n# text = {verb} {time}\n# intent = {intent}\n"
    return f"{head}1\t{verb}\t{intent}\tO\n2\t{time}\t{intent}\tB-datetime\n\n"


def _multiatis_line(lang: str, number: int) -> str:
    tags = "O" if number == FIRST_ROWS["test"] else "O B-time"
    return f"{number}\t{_text(lang, number)}\t{tags}\t{INTENTS[number % 2]}\n"


def _massive_line(lang: str, number: int, split: str) -> str:
    verb, time = _text(lang, number).split()
    row = {"id": str(number), "locale": f"{lang}-XX", "partition": split, "scenario": "alarm"}
    row |= {"intent": INTENTS[number % 2], "utt": f"{verb} {time}", "annot_utt": f"{verb} [time : {time}]"}
    return json.dumps(row | {"worker_id": "1"}) + "\n"


def _json_line(lang: str, number: int) -> str:
    tags = ["O"] if number == FIRST_ROWS["test"] + 1 else ["O", "B-time"]
    row = {"id": str(number), "tokens": _text(lang, number).split(), "intent": INTENTS[number % 2], "slots": tags}
    return json.dumps(row) + "\n"
