"""What a cap leaves out gets no tokens; what trains and is held out is the same as where all rows have them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xa_search.encoding.held_out import sample_rows
from xa_search.encoding.store import TRANSLATIONS, encode_corpus, table_path
from xa_search.encoding.table import EncodedTable
from xa_search.records import EncodedCorpus, TrialSettings
from xa_search.training.data import TrialData, load_trial_data

CAP = 40


@pytest.fixture
def capped(encoded_rooms: EncodedCorpus, room_corpus: Any, tiny_tokenizer: Any, tmp_path: Path) -> EncodedCorpus:
    found = encode_corpus(
        room_corpus,
        tiny_tokenizer,
        "tiny",
        max_tokens=64,
        with_target_dev=True,
        with_target_train=True,
        home=tmp_path,
        train_limit=CAP,
    )
    assert replace(found, directory=encoded_rooms.directory) == encoded_rooms
    return found


def test_only_rows_under_the_cap_have_tokens(capped: EncodedCorpus) -> None:
    source = EncodedTable(table_path(capped, "train", capped.source))
    read = sample_rows(len(source), CAP)
    assert len(read) < len(source)
    assert np.flatnonzero(source.lengths).tolist() == read.tolist()
    for lang in capped.targets:
        translations = EncodedTable(table_path(capped, TRANSLATIONS, lang))
        with_tokens = translations.source_rows[translations.lengths > 0]
        known = translations.source_rows[np.isin(translations.source_rows, read)]
        assert with_tokens.tolist() == known.tolist()
        labelled = EncodedTable(table_path(capped, "train", lang))
        assert np.flatnonzero(labelled.lengths).tolist() == sample_rows(len(labelled), CAP).tolist()


@pytest.mark.parametrize("method", ["xeroalign", "target_english"])
def test_a_trial_reads_the_same_rows(capped: EncodedCorpus, encoded_rooms: EncodedCorpus, method: str) -> None:
    settings = TrialSettings(method=method, model_size="tiny", train_limit=CAP)
    ours, whole = (load_trial_data(corpus, settings) for corpus in (capped, encoded_rooms))
    assert ours.train.tolist() == whole.train.tolist()
    assert ours.selecting.rows.tolist() == whole.selecting.rows.tolist()
    assert _read(ours) == _read(whole)


def _read(data: TrialData) -> list[tuple[str, list[int]]]:
    rows = data.source.rows(data.train)
    for lang in data.corpus.aligned:
        rows += [*data.selecting.read(lang)[0], *data.selecting.read(lang)[1]]
    for table, numbers in data.target_train.values():
        rows += table.rows(numbers)
    rows += [row for row in data.paired_translations(np.arange(len(data.train)), 0) if row is not None]
    return [(row.id, row.input_ids.tolist()) for row in rows]
