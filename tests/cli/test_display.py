"""What a running search says in one line."""

from dataclasses import replace
from pathlib import Path

import pytest
from searches import plan_of

from xa_search.cli.display import SearchDisplay, ended_of
from xa_search.records import TrialRecord, TrialSettings

ENDED = TrialRecord(
    number=0, role="searched", settings=TrialSettings(epochs=2), params={}, state="COMPLETE", scores=(0.1, 0.2)
)


def test_how_many_trials_have_ended_of_those_asked_for() -> None:
    assert ended_of(3, 8) == "3 of 8 trials have ended"
    assert ended_of(8, 8) == "8 of 8 trials have ended"
    assert ended_of(11, 8) == "11 trials have ended, 8 were asked for"


def test_a_resumed_search_says_where_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = plan_of(tmp_path, trials=2)
    with SearchDisplay(plan) as display:
        display.resumed([replace(ENDED, number=number) for number in range(3)])
        display.trial_ended(replace(ENDED, number=3, state="PAUSED", interruption="it was interrupted"))
    printed = capsys.readouterr().out
    assert "resumes: 3 trials have ended, 2 were asked for; best so far 20.0 (trial 0)" in printed
    assert "trial 3 PAUSED (it was interrupted; it resumes with the search): score 20.0" in printed
