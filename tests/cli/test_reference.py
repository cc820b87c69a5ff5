"""docs/commands.md is what the command line says of itself."""

from pathlib import Path

from xa_search.cli.reference import reference

DOCS = Path(__file__).parents[2] / "docs"


def test_the_reference_is_what_the_command_line_says() -> None:
    """If this fails: python -m xa_search.cli.reference > docs/commands.md"""
    text = reference()
    assert (DOCS / "commands.md").read_text(encoding="utf-8") == text
    assert "## `xa-search explain`" in text
    assert "| `[SEARCH]` |" in text
    assert "--languages" not in text
    assert str(Path.home()) not in text
