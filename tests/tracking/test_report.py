import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from xa_search.records import FailureClass, SearchRecord
from xa_search.tracking.failure_regions import failure_regions
from xa_search.tracking.plots import gain_figure
from xa_search.tracking.report import (
    language_rows,
    language_table,
    trial_rows,
    trial_table,
    write_report,
)
from xa_search.training.registry import is_zero_shot


def test_language_rows_are_percentages_with_gains(search_record: SearchRecord) -> None:
    rows = language_rows(search_record)
    assert [row.lang for row in rows] == ["en", "de", "th", "mean"]
    thai, mean = rows[2], rows[3]
    assert (thai.zero_shot["slot_f1"], thai.winner["slot_f1"]) == (50, 75)
    assert thai.gain["slot_f1"] == pytest.approx(25)
    assert mean.gain["intent_accuracy"] == pytest.approx((10 + 25) / 2)
    assert "| th | 50.0 | 75.0 | +25.0 |" in language_table(rows)


def test_a_corpus_without_slots_has_one_metric(search_record: SearchRecord, tmp_path: Path) -> None:
    only_accuracy = {
        number: {
            f"test_accuracy_{lang}": value for lang, value in (("en", 0.5), ("de", 0.5), ("th", 0.25 + number / 2))
        }
        for number in search_record.test_metrics
    }
    record = replace(search_record, test_metrics=only_accuracy)
    write_report(record, tmp_path)
    text = (tmp_path / "report.md").read_text("utf-8")
    assert "| language | accuracy: zero-shot | accuracy: winner | accuracy: gain |" in text
    assert "| th | 25.0 | 75.0 | +50.0 |" in text
    assert "slot" not in text
    assert len(gain_figure(record).axes) == 1


def test_an_untested_source_has_no_row(search_record: SearchRecord) -> None:
    only_targets = {
        number: {name: value for name, value in metrics.items() if not name.endswith("_en")}
        for number, metrics in search_record.test_metrics.items()
    }
    rows = language_rows(replace(search_record, test_metrics=only_targets))
    assert [row.lang for row in rows] == ["de", "th", "mean"]


def test_an_unseen_language_has_a_row_and_no_part_in_the_mean(search_record: SearchRecord, tmp_path: Path) -> None:
    record = replace(search_record, targets=("de",), unseen_languages=("th",))
    rows = language_rows(record)
    assert [row.label for row in rows] == ["en", "de", "th (unseen)", "mean"]
    assert rows[3].winner["slot_f1"] == pytest.approx(60)
    write_report(record, tmp_path)
    assert "| th (unseen) | 50.0 | 75.0 | +25.0 |" in (tmp_path / "report.md").read_text("utf-8")
    assert "Unseen languages, neither aligned nor selected on: th." in (tmp_path / "report.md").read_text("utf-8")


def test_trial_rows(search_record: SearchRecord) -> None:
    rows = trial_rows(search_record)
    assert [row.state for row in rows] == ["COMPLETE", "COMPLETE", "PRUNED", "FAIL"]
    assert rows[1].is_winner
    assert rows[1].score == pytest.approx(70)
    assert rows[3].score is None
    assert "non_finite" in trial_table(rows)


def test_the_files_hold_the_same_numbers(search_record: SearchRecord, tmp_path: Path) -> None:
    paths = {path.name: path for path in write_report(search_record, tmp_path / "report")}
    assert "+25.0" in paths["report.md"].read_text()
    with paths["languages.csv"].open() as file:
        thai = list(csv.DictReader(file))[2]
    assert (thai["language"], thai["slot_f1_gain"]) == ("th", "+25.0")
    assert len(paths["trials.csv"].read_text().splitlines()) == 5


def failing(record: SearchRecord, failure: FailureClass, count: int, **params: Any) -> SearchRecord:
    """Add trials that failed, with each parameter's values spread evenly."""
    added = [
        replace(record.trials[3], number=len(record.trials) + one, failure=failure, params=values)
        for one in range(count)
        for values in [{name: spread[one] for name, spread in params.items()}]
    ]
    return replace(record, trials=(*record.trials, *added))


def test_the_region_where_trials_failed_stands_beside_the_complete_ones(
    search_record: SearchRecord, tmp_path: Path
) -> None:
    record = failing(search_record, "collapsed", 3, learning_rate=(9e-4, 4e-4, 5e-4), align_weight=(30.0, 30.0, 30.0))
    assert [str(region) for region in failure_regions(record.trials)] == [
        "non_finite: 1 trial, align_weight 3 (complete: 1)",
        "non_finite: 1 trial, learning_rate 0.01 (complete: 0.0001 to 0.0002)",
        "collapsed: 3 trials, align_weight 30 (complete: 1)",
        "collapsed: 3 trials, learning_rate 0.0004 to 0.0009 (complete: 0.0001 to 0.0002)",
    ]
    paths = {path.name: path for path in write_report(record, tmp_path)}
    assert "- collapsed: 3 trials, learning_rate 0.0004 to 0.0009 (comp" in paths["report.md"].read_text("utf-8")
    assert failure_regions(record.trials)[3].failed == (4e-4, 5e-4, 9e-4)


def test_choices_are_listed_and_what_settings_did_not_cause_is_left_out(search_record: SearchRecord) -> None:
    others = failing(search_record, "code", 2, learning_rate=(1.0, 2.0))
    record = failing(others, "oom", 2, model_size=("large", "base"))
    found = [str(region) for region in failure_regions(record.trials) if region.failure != "non_finite"]
    assert found == ["oom: 2 trials, model_size base, large (complete: none)"]


@pytest.mark.parametrize(("selection", "marked"), [("label_free", False), ("source_dev", False), ("target_dev", True)])
def test_a_search_that_read_target_labels_is_marked(
    search_record: SearchRecord, tmp_path: Path, selection: str, marked: bool
) -> None:
    write_report(replace(search_record, selection=selection), tmp_path)
    assert ("not zero-shot" in (tmp_path / "report.md").read_text(encoding="utf-8")) == marked


def test_a_winner_that_learned_from_target_labels_is_marked(search_record: SearchRecord, tmp_path: Path) -> None:
    baseline, winner, *others = search_record.trials
    trained = replace(winner, settings=winner.settings.model_copy(update={"method": "target"}))
    record = replace(search_record, trials=(baseline, trained, *others))
    assert not is_zero_shot(record.selection, [record.trial(record.winner).settings.method])
    write_report(record, tmp_path)
    assert "trained by `target` on labelled target data: not zero-shot" in (tmp_path / "report.md").read_text("utf-8")


def test_without_a_baseline_no_gain_is_told_and_the_reason_is(search_record: SearchRecord, tmp_path: Path) -> None:
    """The winner is not held against itself."""
    failed = replace(search_record.trials[3], number=0, role="baseline", failure_text="loss is nan")
    record = replace(search_record, trials=(failed, *search_record.trials[1:]), baseline=None)
    record = replace(record, test_metrics={1: record.test_metrics[1]})
    assert record.no_baseline == "no baseline: trial 0 failed (loss is nan)"
    paths = {path.name: path for path in write_report(record, tmp_path)}
    text = paths["report.md"].read_text("utf-8")
    assert "No baseline: trial 0 failed (loss is nan)." in text
    assert "| th | - | 75.0 | - |" in text
    assert "+0.0" not in text
    assert len(gain_figure(record).axes) == 2
