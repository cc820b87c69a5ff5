"""A user's own corpus. In: files in the forms people have. Out: rows.

One form a module; each gives records, and `rows` reads those whatever form they had.
"""

from xa_search.corpora.own.files import OwnFiles
from xa_search.corpora.own.rows import LAYOUT, read, read_translation_rows

__all__ = ["LAYOUT", "OwnFiles", "read", "read_translation_rows"]
