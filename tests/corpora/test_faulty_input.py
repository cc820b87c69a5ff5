"""What faulty input once did, found by `benchmarks/fuzz.py`: each ended in a crash, a traceback, or without a count."""

import io
import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from xa_search.corpora import check_corpus, open_corpus
from xa_search.corpora.own.arrow_form import arrow_records
from xa_search.corpora.raw_files import RawFiles
from xa_search.errors import DataError, UsageError
from xa_search.training.transfer import read_label_map
from xa_search.workflows.plan import make_plan

LONG = "a" * 5000
ROW = {"id": "1", "tokens": ["wake", "me"], "intent": "wake", "slots": ["O", "B-who"]}


def own(write, row, name="{split}.{lang}.jsonl", content=None):
    content = json.dumps(row) + "\n" if content is None else content
    names = [name.format(split=split, lang=lang) for split in ("train", "dev", "test") for lang in ("en", "de")]
    root = write(dict.fromkeys(names, content))
    return open_corpus("own", source="en", targets=("de",), data=root, home=root)


@pytest.mark.parametrize("tag", ["B-w\u200bho", "\u0000B-who", "B-who\ufeff"])
def test_a_tag_with_a_mark_is_a_repair_that_is_counted(write, tag):
    split = check_corpus(own(write, {**ROW, "slots": ["O", tag]})).splits[0]
    assert (split.reasons, split.repaired) == ({"cleaned_label": 1}, 1)


@pytest.mark.parametrize("ends", [(0, 1 << 30, 2), (0, -5, 2)])
def test_values_that_lie_outside_of_an_arrow_file_are_refused(write, ends):
    places = pyarrow.py_buffer(b"".join(end.to_bytes(4, "little", signed=True) for end in ends))
    texts = pyarrow.StringArray.from_buffers(2, places, pyarrow.py_buffer(b"ab"))
    batch, out = pyarrow.RecordBatch.from_arrays([texts], ["text"]), io.BytesIO()
    with pyarrow.ipc.new_stream(out, batch.schema) as writer:
        writer.write_batch(batch)
    with pytest.raises(DataError, match=r"data-00000-of-00001\.arrow: not a readable Arrow file"):
        own(write, ROW, "{lang}/{split}/data-00000-of-00001.arrow", out.getvalue())


def test_half_a_letter_in_a_text_with_slots_is_counted(write):
    row = {"id": "1", "text": "\ud800 wäke", "intent": "wake", "spans": [[1, 4, "t"]]}
    assert check_corpus(own(write, row)).splits[0].reasons == {"not_utf8": 1}


def test_a_name_that_no_file_can_have_is_that_of_none(tmp_path):
    with pytest.raises(DataError, match="File name too long"):
        RawFiles.open(Path(LONG))
    with pytest.raises(UsageError, match="no such file"):
        read_label_map(LONG)
    (tmp_path / "space.yaml").write_text(f"extends: {LONG}\n")
    for space in (LONG, f"{LONG}.yaml", str(tmp_path / "space.yaml")):
        with pytest.raises(UsageError, match=r"unknown|no such file"):
            make_plan(space, home=tmp_path)


def test_rows_that_a_damaged_parquet_file_leaves_out_are_not_lost_in_silence(write):
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"text": ["wake", "me", "up", "now"]}), out, compression="none")
    whole = out.getvalue()
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    ends = set()
    for place in range(4, footer):
        for bit in (1, 2, 8):
            damaged = whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :]
            files = RawFiles.open(write({"a.parquet": damaged}))
            try:
                ends.add(len(list(arrow_records(files, "a.parquet"))))
            except DataError as error:
                ends.add("left out" if "0 of its 4 rows" in str(error) else "refused")
    assert ends == {4, "left out", "refused"}
