"""A user's own corpus. In: files in the forms people have. Out: rows.

One form a module: json_form, table_form, conll_form, arrow_form. Each gives records, and rows reads those whatever form
they had; files finds which file holds what.
"""

from collections.abc import Mapping
from pathlib import Path

from xa_search.corpora.own.files import OwnFiles
from xa_search.corpora.own.rows import LAYOUT, read, read_translation_rows
from xa_search.corpora.raw_files import RawFiles
from xa_search.corpora.rows import CatalogueEntry

__all__ = ["LAYOUT", "OWN", "OwnFiles", "read", "read_translation_rows"]


def open_files(root: Path, columns: Mapping[str, str]) -> OwnFiles:
    """Open a folder or archive whose fields have the names of `columns`."""
    return OwnFiles.open_own(root, tuple(columns.items()))


def languages(files: RawFiles) -> tuple[str, ...]:
    """List the languages that have a split."""
    return (files if isinstance(files, OwnFiles) else OwnFiles.open_own(files.root)).languages


OWN = CatalogueEntry(
    name="own",
    title="your own corpus",
    licence="yours",
    layout=LAYOUT,
    expects="train.en.jsonl, dev.en.jsonl, test.en.jsonl (or en/train.jsonl), the same for each target, "
    "and translations.de.jsonl; or the same as JSON, CSV, TSV, CoNLL, Parquet or a saved `datasets` folder",
    find_languages=languages,
    open_files=open_files,
)
