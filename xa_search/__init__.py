"""xa-search: search for the best cross-lingually aligned language-understanding model."""

__version__ = "0.2.0"
