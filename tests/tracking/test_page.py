"""The page of a search: one file that loads nothing, with the numbers of its report, in which text stays text."""

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parents[1]))

from made_reports import SCRIPT, made_report

from xa_search.records.report import ReportSection, SearchReport
from xa_search.tracking.page.drawing import draw_page, in_page
from xa_search.tracking.page.utterances import pieces_of

MEGABYTE = 1_000_000
SMALL = made_report(trials=1, targets=("th",))


class Page(HTMLParser):
    """What a browser would make of a page: its elements, their ids, the text of each script, and all other text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "input"):
            self._open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            self.scripts[-1] += data
        elif self._open and self._open[-1] != "style":
            self.text.append(data)

    @property
    def ids(self) -> list[str]:
        return [str(attributes["id"]) for _, attributes in self.elements if "id" in attributes]

    def data(self) -> list[SearchReport]:
        """The reports that stand in the page."""
        kinds = [attributes for tag, attributes in self.elements if tag == "script"]
        found = [text for kind, text in zip(kinds, self.scripts, strict=True) if kind.get("type") == "application/json"]
        return [SearchReport.model_validate_json(text) for text in found]


def test_the_page_holds_the_report_and_loads_nothing() -> None:
    report = made_report()
    text = draw_page([report])
    page = Page(text)
    assert page.data() == [report]
    assert len(page.ids) == len(set(page.ids))
    assert {"summary", "languages", "trials", "heat", "curves", "weakest", "data", "cost", "next"} <= set(page.ids)
    assert not {"audit", "confirm"} & set(page.ids)
    loaded = [attributes for _, attributes in page.elements if {"src", "srcset", "action"} & set(attributes)]
    links = [attributes["href"] for _, attributes in page.elements if "href" in attributes]
    assert loaded == []
    assert all(str(link).startswith(("#", "data:")) for link in links)
    (policy,) = (str(one["content"]) for _, one in page.elements if one.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "connect-src 'none'" in policy
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)


def test_the_numbers_on_the_page_are_those_of_the_report() -> None:
    report = made_report()
    told = " ".join(Page(draw_page([report])).text)
    for row in report.languages:
        for metric in report.metrics:
            one = row.winner[metric]
            assert f"{one.value:.1f} [{one.low:.1f}, {one.high:.1f}]" in told
    assert all(trial.ending in told for trial in report.trials)
    assert "80 %" in told
    assert "xa-search promote xa-search-made 3 --home '/a b'" in told


def test_text_from_outside_stays_text() -> None:
    """Utterances, intents and slot types come from other people's files."""
    text = draw_page([made_report()])
    page = Page(text)
    assert sum(tag == "script" for tag, _ in page.elements) == 2
    assert "<script>alert" not in text
    assert any(SCRIPT in piece for piece in page.text)
    assert page.data()[0].weakest[0].mistakes.examples[0].words[-1] == SCRIPT
    directions = {attributes.get("lang"): attributes.get("dir") for tag, attributes in page.elements if tag == "bdi"}
    assert directions["th"] == directions["hi"] == directions["ar"] == "auto"


@given(st.text())
def test_no_text_ends_the_element_that_holds_the_data(text: str) -> None:
    clean = text.encode("utf-8", "replace").decode()
    report = SMALL.model_copy(update={"notes": (clean,)})
    written = in_page(report)
    assert not set("<>&\u2028\u2029") & set(written)
    assert json.loads(written)["notes"] == [clean]


def test_a_large_search_stays_small() -> None:
    languages = tuple(f"l{number:02}" for number in range(51))
    report = made_report(trials=200, targets=languages)
    assert len(in_page(report).encode()) < MEGABYTE
    assert len(draw_page([report]).encode()) < MEGABYTE


def test_sections_of_later_commands_appear_when_they_are_there() -> None:
    section = ReportSection(sentences=("It holds.",), columns=("seed", "gain"), rows=(("2", "+1.5"),))
    page = Page(draw_page([made_report().model_copy(update={"audit": section, "confirm": section})]))
    assert {"audit", "confirm"} <= set(page.ids)
    assert "+1.5" in page.text


def test_searches_stand_side_by_side() -> None:
    one, other = made_report(), made_report(name="other-1", targets=("th", "de"))
    page = Page(draw_page([one, other]))
    assert page.data() == [one, other]
    assert "side-by-side" in page.ids
    assert len(page.ids) == len(set(page.ids))
    assert "de" in page.text


def test_a_running_search_has_a_page_without_tests() -> None:
    report = made_report().model_copy(
        update={"winner": None, "baseline": None, "metrics": {}, "languages": (), "weakest": (), "cost": None}
    )
    page = Page(draw_page([report], live=True))
    assert "weakest" not in page.ids
    assert any("connect-src 'self'" in str(attributes.get("content")) for _, attributes in page.elements)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (("B-a", "I-a", "O", "B-a"), [("x y", "a"), ("z", ""), ("w", "a")]),
        (("B-a", "B-a", "I-b", "O"), [("x", "a"), ("y", "a"), ("z", "b"), ("w", "")]),
        ((), [("x y z w", "")]),
    ],
)
def test_words_are_cut_where_spans_begin_and_end(tags: tuple[str, ...], expected: list[tuple[str, str]]) -> None:
    pieces = pieces_of(("x", "y", "z", "w"), tags, {"a": 0, "b": 1})
    assert [(piece.text, piece.slot) for piece in pieces] == expected
