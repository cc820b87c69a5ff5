"""What a winner is held against besides trials, as the report tells it."""

from dataclasses import replace
from pathlib import Path

import pytest

from xa_search.records import FairBaseline, FloorScore, SearchRecord
from xa_search.tracking.report import language_rows, language_table, write_report
from xa_search.training.comparisons import fair_settings

LANGUAGES = ("en", "de", "th")


def scores_of(value: float) -> dict[str, float]:
    return {
        f"test_{kind}_{lang}": value
        for kind in ("intent_acc", "slot_f1", "exact_match")
        for lang in (*LANGUAGES, "mean")
    }


@pytest.fixture
def compared(search_record: SearchRecord) -> SearchRecord:
    """A winner with 75% in Thai, 25 points above zero-shot and 5 above its own settings without alignment."""
    settings = fair_settings(search_record.trials[1].settings.model_copy(update={"method": "xeroalign"}))
    assert settings is not None
    fair = FairBaseline(settings=settings, score=0.6, best_epoch=2, seconds=9.0, test_metrics=scores_of(0.7))
    floor = FloorScore(name="the most frequent intent", score=0.1, test_metrics=scores_of(0.05))
    return replace(search_record, fair_baseline=fair, floors=(floor,))


def test_fair_settings_differ_in_the_alignment_alone(search_record: SearchRecord) -> None:
    winner = search_record.trials[1].settings.model_copy(update={"method": "xeroalign", "seed": 7, "epochs": 3})
    settings = fair_settings(winner)
    assert settings is not None
    changed = {name for name, value in settings if value != getattr(winner, name)}
    assert changed == {"method"}
    assert settings.method == "zero_shot"
    assert fair_settings(settings) is None


def test_the_smaller_of_two_gains_is_in_bold(compared: SearchRecord, tmp_path: Path) -> None:
    table = language_table(language_rows(compared))
    assert "| th | 50.0 | 70.0 | 75.0 | +25.0 | **+5.0** |" in table
    worse = replace(compared, test_metrics={**compared.test_metrics, 0: scores_of(0.74)})
    assert "| th | 74.0 | 70.0 | 75.0 | **+1.0** | +5.0 |" in language_table(language_rows(worse))
    paths = {path.name: path for path in write_report(compared, tmp_path)}
    assert "| the most frequent intent | 10.0 | 5.0 | 5.0 | 5.0 |" in paths["report.md"].read_text("utf-8")
    assert language_rows(compared)[2].fair_gain["slot_f1"] == pytest.approx(5)


def test_a_winner_that_is_not_above_a_floor_says_so_first(compared: SearchRecord, tmp_path: Path) -> None:
    assert compared.at_floor == ""
    equal = FloorScore(name="the frozen encoder", score=compared.trial(compared.winner).score or 0.0, test_metrics={})
    record = replace(compared, floors=(*compared.floors, equal))
    assert record.at_floor == (
        "the winner is at the floor: its selection score is 70.0, and the frozen encoder, "
        "for which nothing was trained, has 70.0"
    )
    paths = {path.name: path for path in write_report(record, tmp_path)}
    lines = paths["report.md"].read_text("utf-8").splitlines()
    assert lines[1] == f"No champion: {record.at_floor}."


def test_why_there_is_no_fair_baseline(search_record: SearchRecord, tmp_path: Path) -> None:
    record = replace(search_record, no_fair_baseline="no fair baseline: the winner itself aligned nothing")
    paths = {path.name: path for path in write_report(record, tmp_path)}
    assert "No fair baseline: the winner itself aligned nothing." in paths["report.md"].read_text("utf-8")
