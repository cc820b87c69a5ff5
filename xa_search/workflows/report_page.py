"""Reports and pages of searches. In: a search, or several. Out: report.json and index.html, written or as text."""

from collections.abc import Sequence
from pathlib import Path

from xa_search.encoding.files import write_whole
from xa_search.records import Plan, SearchRecord
from xa_search.records.report import SearchReport
from xa_search.search.history import SearchHistory, read_search
from xa_search.tracking.page.drawing import draw_page
from xa_search.tracking.registration import Registration
from xa_search.workflows.next_commands import RegisteredName
from xa_search.workflows.search_report import PAGE_FILE, REPORT, REPORT_FILE, read_report, report_of


def keep_report(plan: Plan, record: SearchRecord, registrations: Sequence[Registration]) -> tuple[Path, ...]:
    """Write what a search found as report.json and as a page into its folder; return their paths."""
    search = read_search(plan.directory)
    assert search is not None, "a search that has just ended has trials"
    models = [
        RegisteredName(name=one.version.name, version=one.version.version, is_champion=one.is_champion)
        for one in registrations
    ]
    return write_report_files(report_of(search, record, models), plan.directory / REPORT)


def write_report_files(report: SearchReport, folder: Path) -> tuple[Path, ...]:
    """Write a report's data and its page into a folder; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    return _write(folder / REPORT_FILE, f"{report.model_dump_json(indent=1)}\n"), write_page(
        [report], folder / PAGE_FILE
    )


def write_page(reports: Sequence[SearchReport], path: Path) -> Path:
    """Write the page of a search, or of several side by side."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return _write(path, draw_page(reports))


def current_report(search: SearchHistory) -> SearchReport:
    """Return what is known of a search now: what its end left, or while there is no end, its trials.

    Raises UsageError for a search whose plan nobody kept.
    """
    return read_report(search) or report_of(search)


def page_place(search: SearchHistory) -> Path:
    """Return where the page of a search lies."""
    return search.directory / REPORT / PAGE_FILE


def _write(path: Path, text: str) -> Path:
    write_whole(path, lambda partial: partial.write_text(text, encoding="utf-8"))
    return path
