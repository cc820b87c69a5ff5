"""How good are projected slot tags, and from which layer? In: a corpus with shared ids. Out: F1 against the gold tags.

    python benchmarks/projected_tags.py mtop-mini --out benchmarks/results/projected_tags.json

The corpus's translations must be the targets' own training utterances, whose gold tags are then at hand. Only this
script looks at those; `translate_train` never does.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from results_file import command_line, write_json

from xa_search.encoding.store import NO_ROW, RowIndex, table_path
from xa_search.encoding.table import EncodedRow, EncodedTable
from xa_search.model.encoder import load_encoder
from xa_search.model.labelled_translations import WordEmbeddings, match_words, matching_layer, project_tags
from xa_search.records import EncodedCorpus
from xa_search.training.metrics import slot_f1
from xa_search.workflows.plan import make_plan
from xa_search.workflows.preflight import prepare_search

Triple = tuple[EncodedRow, EncodedRow, EncodedRow]


def draw_rows(corpus: EncodedCorpus, lang: str, count: int) -> list[Triple]:
    """Return some source utterances, their translations, and these once more with gold tags."""
    source, translations, gold = (
        EncodedTable(table_path(corpus, split, one))
        for split, one in (("train", corpus.source), ("translations", lang), ("train", lang))
    )
    ids = [row_id for piece in translations.ids() for row_id in piece]
    gold_rows = RowIndex(gold.ids()).find(ids)
    known = np.flatnonzero((translations.source_rows != NO_ROW) & (gold_rows != NO_ROW))
    chosen = np.random.default_rng(0).permutation(known)[:count]
    sides = source.rows(translations.source_rows[chosen]), translations.rows(chosen), gold.rows(gold_rows[chosen])
    return [triple for triple in zip(*sides, strict=True) if triple[1].words == triple[2].words]


def score(words: WordEmbeddings, rows: list[Triple]) -> dict[str, Any]:
    """Return the F1 of the projected spans, and how many of the source's were kept."""
    sources, translations, gold = zip(*rows, strict=True)
    projected = [
        project_tags(source.slots or [], match_words(here, there), len(translation.words))
        for source, translation, here, there in zip(
            sources, translations, words.embed(sources), words.embed(translations), strict=True
        )
    ]
    spans, kept = (
        sum(tag[0] == "B" for tags in side for tag in tags) for side in ([s.slots for s in sources], projected)
    )
    f1 = slot_f1([row.slots or [] for row in gold], projected)
    return {"utterances": len(rows), "spans": spans, "kept": kept, "f1": round(100 * f1, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--home", type=Path, default=Path.home() / ".xa-search")
    parser.add_argument("--encoder", default="small")
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--layers", type=int, nargs="*", default=[4, 6, 7, 8, 9, 10, 12])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    plan = make_plan(options.space, ("method=target",), home=options.home.absolute(), data=options.data)
    prepared = prepare_search(plan, (options.encoder,), lambda _: None)
    files = prepared.encoders[options.encoder]
    corpus = prepared.encoded[files.tokenizer_fingerprint]
    rows = {lang: draw_rows(corpus, lang, options.rows) for lang in corpus.targets}
    encoder = load_encoder(files)
    result = {
        "command": command_line(),
        "encoder": files.origin,
        "used": matching_layer(encoder.config.num_hidden_layers),
    }
    layers = {}
    for layer in options.layers:
        words = WordEmbeddings(encoder, layer, torch.device("cpu"))
        layers[str(layer)] = {lang: score(words, triples) for lang, triples in rows.items()}
        write_json(options.out, {**result, "layers": layers})


if __name__ == "__main__":
    main()
