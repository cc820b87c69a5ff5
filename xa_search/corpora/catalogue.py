"""The corpora that a search may name. In: their modules. Out: one entry each, by name.

What is imported here is registered: one line each.
"""
# ruff: noqa: F401, I001 (an import is a registration, and the order is that of messages)

from collections.abc import Mapping
from dataclasses import replace

from xa_search.corpora.mtop import MTOP_MINI, MTOP
from xa_search.corpora.mtod import MTOD
from xa_search.corpora.multiatis import MULTIATIS
from xa_search.corpora.massive import MASSIVE
from xa_search.corpora.xsid import XSID
from xa_search.corpora.pawsx import PAWSX
from xa_search.corpora.own import OWN
from xa_search.corpora.rows import CatalogueEntry
from xa_search.records import registered

JSONL = replace(OWN, name="jsonl")
"""What OWN was called when it read nothing else."""
CATALOGUE: Mapping[str, CatalogueEntry] = registered(CatalogueEntry, globals())
CORPORA: tuple[str, ...] = tuple(name for name in CATALOGUE if name != JSONL.name)
