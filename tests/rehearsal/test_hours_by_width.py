"""The hours of a plan, by how many trials run at a time."""

from pathlib import Path

from xa_search.rehearsal.forecast import SizeForecast, StepTime
from xa_search.rehearsal.search_forecast import SearchForecast, forecast_disk, wall_hours, width_lines
from xa_search.workflows.outlook import plan_outlook
from xa_search.workflows.plan import make_plan


def outlook_of(home: Path, *changes: str, hours: float = 40.0) -> SearchForecast:
    plan = make_plan("mtop-mini", ("trials=40", *changes), home=home)
    size = SizeForecast(
        size="small",
        trials=40,
        steps=100,
        step=StepTime(utterances=32, seconds=0.5, on_gpu=True, source="given"),
        hours_a_trial=2.0,
        hours=hours,
        most_hours=80.0,
    )
    disk = forecast_disk(plan, 40)
    return SearchForecast(
        plan=plan, sizes=(size,), unknown=(), disk=disk, mean_tokens=9.0, gpus=1.0, at_once=40, price=None
    )


def test_the_plan_has_its_hours_at_its_own_width_and_with_all_trials_at_a_time(tmp_path: Path) -> None:
    outlook = outlook_of(tmp_path)
    assert wall_hours(list(outlook.sizes), 10) == 4.0
    assert wall_hours(list(outlook.sizes), 40) == 2.0
    first, second = width_lines(outlook)
    assert first.startswith("hours: at least 4 h on GPUs like these, with 10 of 40 trials at a time (max_concurrent)")
    assert second.startswith("hours: at least 2 h with all at a time")
    (only,) = width_lines(outlook_of(tmp_path, "max_concurrent=40"))
    assert only.startswith("hours: at least 2 h on GPUs like these, with 40 of 40 trials")
    assert forecast_disk(outlook.plan, 40).trials_at_once == 10


def test_nothing_is_downloaded_to_print_a_plan(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (line,) = plan_outlook(make_plan("mtop", home=home))
    assert line == "hours: not forecast without the corpus; --data says where mtop is"
    assert not home.exists()
