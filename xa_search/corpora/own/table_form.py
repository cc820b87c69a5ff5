"""CSV and TSV. In: a file whose first line names its columns. Out: records, one at a time.

A comma, a semicolon or a tab parts the cells of a CSV file: whichever its first line has most of. In a TSV file a
quotation mark is one, unless it stands around a whole cell. An empty cell is no value.
"""

import csv
from collections.abc import Iterator

from xa_search.corpora.own.records import Record, record_of
from xa_search.corpora.raw_files import RawFiles

DELIMITERS = ",;\t"


def table_records(files: RawFiles, name: str) -> Iterator[Record]:
    """Yield a record for each row below the header; a row of another length is a fault."""
    rows = _tab_rows(files, name) if name.endswith(".tsv") else _csv_rows(files, name)
    header: list[str] | None = None
    for number, row in rows:
        if row is not None and row in ([], [""]):
            continue
        if header is None:
            header = [cell.strip() for cell in row or ()]
        elif row is None or len(row) != len(header):
            yield record_of(number, None, "wrong_columns")
        else:
            # An empty cell stays: the columns of a table are those of its header.
            values = {key: cell if cell.strip() else None for key, cell in zip(header, row, strict=True)}
            yield record_of(number, values)


def _csv_rows(files: RawFiles, name: str) -> Iterator[tuple[int, list[str] | None]]:
    first = next(files.lines(name), None)
    text = "" if first is None else first.text
    delimiter = max(DELIMITERS, key=text.count)
    reader = csv.reader((f"{line.text}\n" for line in files.lines(name)), delimiter=delimiter)
    while True:
        number = reader.line_num + 1
        try:
            yield number, next(reader)
        except StopIteration:
            return
        except csv.Error:  # a cell without an end; the reader goes on at the next line
            yield number, None


def _tab_rows(files: RawFiles, name: str) -> Iterator[tuple[int, list[str] | None]]:
    for line in files.lines(name):
        yield line.number, [_unquoted(cell) for cell in line.text.split("\t")]


def _unquoted(cell: str) -> str:
    inner = cell[1:-1]
    if len(cell) < 2 or cell[0] != '"' or cell[-1] != '"' or '"' in inner.replace('""', ""):
        return cell
    return inner.replace('""', '"')
