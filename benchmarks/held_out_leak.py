"""What training has of the held-out rows. In: corpora. Out: which share of templates and of translations leaks.

    python benchmarks/held_out_leak.py --mtod mtod.zip --out benchmarks/results/held_out_leak.json

`before` holds out about a tenth of the distinct English texts, as xa-search 0.1.0 did; `after` is what it does now. A
held-out row leaks its template where training has the same words around the same slot types, its translation where
training has the same text in that language: word for word, and without case, punctuation and numbers. Nothing trains.
"""

import argparse
import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from results_file import command_line, write_json

from xa_search.corpora import CATALOGUE, Corpus, open_corpus
from xa_search.corpora.dev_translations import dev_translations
from xa_search.encoding.held_out import SplitKeys, sample_rows, split_rows_held_out
from xa_search.records import Split
from xa_search.workflows.held_out import split_keys

FRACTION = 0.1


def share_of_text(words: Sequence[str]) -> float:
    """Return the number from 0 to 1 by which 0.1.0 held a text out."""
    digest = hashlib.sha256(" ".join(words).casefold().encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def exact_texts(corpus: Corpus, split: Split) -> dict[str, dict[str, str]]:
    """Return the translations of a split, word for word, by language and source id."""
    read = corpus.translations if split == "train" else lambda lang: dev_translations(corpus, lang)
    return {lang: {one.source_id: " ".join(one.words) for one in read(lang)} for lang in corpus.targets}


def leaks(
    train: SplitKeys, held_out: SplitKeys, rows: np.ndarray, others: np.ndarray, exact: tuple[Any, Any], ids: Any
) -> dict[str, Any]:
    """Return which share of the held-out rows `others` has something that the training rows have."""
    found: dict[str, Any] = {
        "rows that train": len(rows),
        "rows held out": len(others),
        "templates": share(np.isin(held_out.templates[others], train.templates[rows])),
    }
    for lang, (of, texts) in held_out.translations.items():
        of_train, trained = train.translations[lang]
        chosen = np.isin(of, others)
        known = {exact[0][lang].get(ids[0][row]) for row in rows} - {None}
        own = [exact[1][lang][ids[1][row]] for row in others if ids[1][row] in exact[1][lang]]
        found[f"translations {lang}"] = share(np.isin(texts[chosen], trained[np.isin(of_train, rows)]))
        found[f"translations {lang}, word for word"] = share(np.array([text in known for text in own]))
    return found


def share(hits: np.ndarray) -> float:
    """Return the percentage, in one digit behind the point."""
    return round(100 * float(hits.mean()), 1) if len(hits) else 0.0


def measure(corpus: Corpus, limit: int | None) -> dict[str, Any]:
    """Return the leaks of a corpus before and after."""
    splits: tuple[Split, Split] = ("train", "dev")
    words = [[(row.id, row.words) for row in corpus.utterances(corpus.source, split)] for split in splits]
    ids = [[row_id for row_id, _ in rows] for rows in words]
    exact = [exact_texts(corpus, split) for split in splits]
    train = split_keys(corpus, "train", corpus.translations)
    dev = split_keys(corpus, "dev", lambda lang: dev_translations(corpus, lang))
    rows = sample_rows(len(train), limit)
    shares = np.array([share_of_text(text) for _, text in words[0]])[rows]
    held, rest = rows[shares < FRACTION], rows[shares >= FRACTION]
    before = leaks(train, train, rest, held, (exact[0], exact[0]), (ids[0], ids[0]))
    split = split_rows_held_out(train, dev, limit, None, FRACTION)
    place = splits.index(split.origin)
    halves = np.union1d(split.selecting, split.kept)
    after = leaks(train, (train, dev)[place], split.train, halves, (exact[0], exact[place]), (ids[0], ids[place]))
    between = leaks(
        (train, dev)[place],
        (train, dev)[place],
        split.selecting,
        split.kept,
        (exact[place], exact[place]),
        (ids[place], ids[place]),
    )
    after |= {"from": f"{split.origin} split", "templates of the kept half in the selecting one": between["templates"]}
    return {"before": before, "after": after}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mtod", type=Path, required=True, help="MTOD in CoNLL, with translations by line")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    result: dict[str, Any] = {"command": command_line()}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        generate = CATALOGUE["mtop-mini"].generate
        assert generate is not None
        mini, mtod = generate(home / "mtop-mini"), options.mtod.resolve()
        for name, data, targets, limit in (
            ("mtop-mini", mini, ("de", "es", "fr", "hi", "th"), None),
            ("mtod", mtod, ("es", "th"), 2000),
            ("mtod", mtod, ("es", "th"), None),
        ):
            corpus = open_corpus(name, source="en", targets=targets, data=data, home=home)
            title = name if limit is None else f"{name}, {limit:,} utterances"
            result[title] = measure(corpus, limit)
            for rule, figures in result[title].items():
                print(title, rule, figures, flush=True)
    write_json(options.out, result)


if __name__ == "__main__":
    main()
