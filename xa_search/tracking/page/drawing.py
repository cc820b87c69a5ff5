"""The page of one search, or of several side by side. In: SearchReports. Out: one HTML file that loads nothing.

The template escapes all text; what the scripts draw they read from the report that stands in the page, and put in as
text. A policy in the page forbids any other script and any request.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from xa_search.records.report import LanguageScores, Measured, SearchReport
from xa_search.tracking.page.utterances import marked_examples
from xa_search.tracking.report import MEAN, language_label

LIVE_SECONDS = 5
"""How often the page of a running search asks for news."""
_FILES = files("xa_search.tracking.page")
_IN_JSON = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
"""What could end the element that holds the data, in the form that JSON has for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedLanguage:
    """A language's scores in several searches, and gains over zero-shot; none where a search has it not."""

    label: str
    scores: tuple[Measured | None, ...]
    gains: tuple[Measured | None, ...]


def draw_page(reports: Sequence[SearchReport], *, live: bool = False) -> str:
    """Return the page of a search, or of several side by side; a live one asks where it came from for news."""
    scripts = _text("charts.js") + _text("page.js")
    environment = Environment(
        loader=DictLoader({"page.html": _text("page.html")}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "points": _points,
        "gain": _gain,
        "share": _share,
        "short": _short,
        "label": _label,
        "examples": marked_examples,
    }
    return environment.get_template("page.html").render(
        reports=reports,
        title=" · ".join(report.search_id for report in reports),
        style=Markup(_text("page.css")),
        scripts=Markup(scripts),
        policy=_policy(scripts, live=live),
        data=[Markup(in_page(report)) for report in reports],
        compared=compared_languages(reports) if len(reports) > 1 else {},
        live=LIVE_SECONDS if live else 0,
    )


def in_page(report: SearchReport) -> str:
    """Return a report as JSON that can stand in a page: nothing in it ends the element."""
    text = report.model_dump_json()
    for character, written in _IN_JSON.items():
        text = text.replace(character, written)
    return text


def compared_languages(reports: Sequence[SearchReport]) -> dict[str, tuple[ComparedLanguage, ...]]:
    """Return by metric's heading each language that one of the searches has; the mean is over its own targets."""
    metrics = {name: heading for report in reports for name, heading in report.metrics.items()}
    languages = [row.lang for report in reports for row in report.languages if row.lang != MEAN]
    by_language = [{row.lang: row for row in report.languages} for report in reports]
    return {
        heading: tuple(
            ComparedLanguage(
                label=lang,
                scores=tuple(rows[lang].winner.get(name) if lang in rows else None for rows in by_language),
                gains=tuple(rows[lang].gain.get(name) if lang in rows else None for rows in by_language),
            )
            for lang in (*dict.fromkeys(languages), MEAN)
        )
        for name, heading in metrics.items()
    }


def _policy(scripts: str, *, live: bool) -> str:
    """Let the page run its own script alone, and ask nobody; a live one asks where it came from."""
    digest = base64.b64encode(hashlib.sha256(scripts.encode()).digest()).decode()
    asks = "'self'" if live else "'none'"
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        f"connect-src {asks}; base-uri 'none'; form-action 'none'"
    )


def _text(name: str) -> str:
    return _FILES.joinpath(name).read_text(encoding="utf-8")


def _points(one: Measured | float | None) -> str:
    """Return a score with its interval."""
    return _measured(one, ".1f")


def _gain(one: Measured | float | None) -> str:
    """Return a gain with its sign and interval."""
    return _measured(one, "+.1f")


def _measured(one: Measured | float | None, shape: str) -> str:
    if one is None:
        return "–"
    if isinstance(one, float):
        return format(one, shape)
    return f"{one.value:{shape}}" if one.low is None else f"{one.value:{shape}} [{one.low:{shape}}, {one.high:{shape}}]"


def _share(share: float) -> str:
    return f"{100 * share:.0f} %"


def _short(value: object) -> str:
    """Return a setting's value as a reader wants it."""
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _label(row: LanguageScores) -> str:
    return language_label(row.lang, unseen=row.unseen)
