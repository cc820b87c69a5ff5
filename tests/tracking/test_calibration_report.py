"""The report's part about how sure a model says it is."""

from dataclasses import replace
from pathlib import Path

from xa_search.records import SearchRecord
from xa_search.tracking.calibration_report import calibration_rows
from xa_search.tracking.report import write_report


def test_the_report_tells_the_calibration_error_by_language(search_record: SearchRecord, tmp_path: Path) -> None:
    tests = dict(search_record.test_metrics)
    errors = {"raw_intent_ece_th": 0.2, "intent_ece_th": 0.125, "raw_slot_ece_th": 0.4, "slot_ece_th": 0.05}
    tests[1] = tests[1] | {f"test_{name}": value for name, value in errors.items()}
    write_report(replace(search_record, test_metrics=tests), tmp_path)
    text = (tmp_path / "report.md").read_text("utf-8")
    assert "| language | intent: before | intent: after | slot: before | slot: after |" in text
    assert "| th | 20.0 | 12.5 | 40.0 | 5.0 |" in text
    (row,) = calibration_rows(tests[1], ("en", "de", "th"))
    assert (row.lang, row.before, row.after["intent"]) == ("th", {"intent": 20, "slot": 40}, 12.5)


def test_where_it_was_not_measured_the_report_says_nothing(search_record: SearchRecord, tmp_path: Path) -> None:
    write_report(search_record, tmp_path)
    assert "How sure" not in (tmp_path / "report.md").read_text("utf-8")
