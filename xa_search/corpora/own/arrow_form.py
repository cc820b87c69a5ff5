"""Parquet, and what `datasets` saved (Arrow). In: a file. Out: records, a batch of rows in memory at a time.

Where `datasets` wrote down the names of numbered labels, a row has the names.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pyarrow
import pyarrow.ipc
import pyarrow.parquet

from xa_search.corpora.own.records import Record, record_of
from xa_search.corpora.raw_files import RawFiles
from xa_search.errors import DataError

BATCH_ROWS = 1024
NOT_READABLE = (pyarrow.ArrowException, ValueError, KeyError, TypeError, OverflowError, OSError)
Names = dict[str, list[str]]


def arrow_records(files: RawFiles, name: str) -> Iterator[Record]:
    """Yield a record for each row."""
    number = 0
    try:
        with _opened(files, name) as file:
            for batch, names in _batches(file, name):
                _check_places(batch)
                for values in _rows(batch):
                    number += 1
                    if values is None:
                        yield record_of(number, None, "not_utf8")
                    else:
                        yield record_of(number, _named(values, names))
    except NOT_READABLE as error:
        kind = "Arrow" if name.endswith(".arrow") else "Parquet"
        reason = " ".join(str(error).split())
        raise DataError(f"{files.where(name)}: not a readable {kind} file ({reason}); write it again") from None


@contextmanager
def _opened(files: RawFiles, name: str) -> Iterator[IO[bytes]]:
    """Open a file that is not read from front to back: what lies in an archive is copied out of it."""
    if files.is_folder:
        with Path(files.where(name)).open("rb") as file:
            yield file
        return
    with tempfile.TemporaryFile() as file:
        for chunk in files.chunks(name):
            file.write(chunk)
        file.seek(0)
        yield file


def _batches(file: IO[bytes], name: str) -> Iterator[tuple[Any, Names]]:
    if name.endswith(".arrow"):
        with pyarrow.ipc.open_stream(file) as reader:
            names = _label_names(reader.schema)
            for batch in reader:
                for start in range(0, batch.num_rows, BATCH_ROWS):
                    yield batch.slice(start, BATCH_ROWS), names
        return
    with pyarrow.parquet.ParquetFile(file) as table:
        names = _label_names(table.schema_arrow)
        read = 0
        for batch in table.iter_batches(batch_size=BATCH_ROWS):
            read += batch.num_rows
            yield batch, names
        if read != table.metadata.num_rows:  # pyarrow ends without a word where one column does
            raise ValueError(f"{read} of its {table.metadata.num_rows} rows can be read")


def _check_places(batch: Any) -> None:
    """Raise ArrowInvalid where a value lies outside the file: pyarrow looks at that only when asked, and crashes there.

    Texts are looked at as bytes: those that are not UTF-8 are faults of their rows.
    """
    for column in batch.columns:
        column.view(_as_bytes(column.type)).validate(full=True)


def _as_bytes(kind: Any) -> Any:
    """Return a type with bytes in place of texts."""
    if pyarrow.types.is_string(kind):
        return pyarrow.binary()
    if pyarrow.types.is_large_string(kind):
        return pyarrow.large_binary()
    if pyarrow.types.is_struct(kind):
        return pyarrow.struct([field.with_type(_as_bytes(field.type)) for field in kind])
    if pyarrow.types.is_list(kind):
        return pyarrow.list_(kind.value_field.with_type(_as_bytes(kind.value_type)))
    if pyarrow.types.is_large_list(kind):
        return pyarrow.large_list(kind.value_field.with_type(_as_bytes(kind.value_type)))
    return kind


def _rows(batch: Any) -> Iterator[dict[str, object] | None]:
    """Yield the rows of a batch; none for one with a text that is not UTF-8."""
    try:
        yield from batch.to_pylist()
    except UnicodeDecodeError:
        for row in range(batch.num_rows):
            try:
                yield batch.slice(row, 1).to_pylist()[0]
            except UnicodeDecodeError:
                yield None


def _label_names(schema: Any) -> Names:
    """Return the names of the numbered labels by column, as `datasets` notes them."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        found = {column: _names_in(feature) for column, feature in features.items()}
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return {}
    return {column: names for column, names in found.items() if names}


def _names_in(feature: Any) -> list[str]:
    inner = feature.get("feature", feature) if isinstance(feature, dict) else {}
    names = inner.get("names") if isinstance(inner, dict) and inner.get("_type") == "ClassLabel" else None
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else []


def _named(values: dict[str, object], names: Names) -> dict[str, object]:
    """Put the names of labels in place of their numbers."""
    for column in names.keys() & values.keys():
        value, known = values[column], names[column]
        values[column] = [_name(one, known) for one in value] if isinstance(value, list) else _name(value, known)
    return values


def _name(value: object, names: list[str]) -> object:
    return names[value] if type(value) is int and 0 <= value < len(names) else None if value == -1 else value
