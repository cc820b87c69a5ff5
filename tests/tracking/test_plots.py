from dataclasses import replace
from pathlib import Path

import pytest

from xa_search.records import SearchRecord
from xa_search.tracking.plots import (
    Scale,
    gain_figure,
    parallel_coordinates_figure,
    selection_score_figure,
    write_plots,
)

PNG = b"\x89PNG\r\n\x1a\n"


def test_three_pictures_are_written(search_record: SearchRecord, tmp_path: Path) -> None:
    paths = write_plots(search_record, {"learning_rate"}, tmp_path / "plots")
    assert [path.name for path in paths] == ["selection_score.png", "parallel_coordinates.png", "gain_by_language.png"]
    for path in paths:
        content = path.read_bytes()
        assert content.startswith(PNG)
        assert len(content) > 10_000


def test_a_search_of_one_trial_is_drawn_too(search_record: SearchRecord, tmp_path: Path) -> None:
    alone = replace(search_record.trials[1], params={"model_size": "tiny", "align_weight": 1.0})
    record = replace(search_record, trials=(alone,), baseline=1)
    assert len(write_plots(record, {"align_weight"}, tmp_path)) == 3


def test_the_pictures_name_what_they_show(search_record: SearchRecord) -> None:
    scores, gains = selection_score_figure(search_record), gain_figure(search_record)
    assert scores.axes[0].get_ylabel() == "selection score (%)"
    legend = {text.get_text() for text in scores.legends[0].get_texts()}
    assert legend == {"best so far", "stopped early", "failed", "zero-shot baseline", "published recipe"}
    assert [axes.get_title(loc="left") for axes in gains.axes] == ["intent accuracy", "slot F1"]
    assert "+25.0" in {text.get_text() for text in gains.axes[1].texts}
    settings = parallel_coordinates_figure(search_record, {"learning_rate"}).axes[0]
    assert [label.get_text() for label in settings.get_xticklabels()] == ["align weight", "learning rate (log)"]


def test_scales() -> None:
    log = Scale(title="x", low=1e-4, high=1e-2, is_log=True, choices=())
    assert log.place(1e-3) == pytest.approx(0.5)
    assert [label for _, label in log.ticks()] == ["1e-4", "0.01", "0.001"]
    words = Scale(title="x", low=0, high=1, is_log=False, choices=("base", "large", "small"))
    assert words.place("large") == 0.5
    assert Scale(title="x", low=3, high=3, is_log=False, choices=()).place(3) == 0.5
