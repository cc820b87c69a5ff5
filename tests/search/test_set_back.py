"""A trial whose progress was lost says so: in the news of the search, in its record, in MLflow, in `explain`."""

from pathlib import Path

import fake_trainers
import pytest
from searches import Recorder, job_maker, plan_of

from xa_search.errors import StoppedEarly
from xa_search.records import EpochReport, TrialRecord
from xa_search.search.history import find_search
from xa_search.search.runner import run_trials
from xa_search.search.study import open_study
from xa_search.tracking.events import trial_ended
from xa_search.workflows.explain import explain


class Interrupting(Recorder):
    """Presses Ctrl-C once the first trial has reported three epochs."""

    def epoch_reported(self, record: TrialRecord, report: EpochReport) -> None:
        super().epoch_reported(record, report)
        if (record.number, report.epoch) == (0, 3):
            raise KeyboardInterrupt


def test_a_trial_that_begins_again_says_so_once(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, trials=2)
    study = open_study(plan)
    with pytest.raises(StoppedEarly):
        run_trials(plan, study, job_maker(plan), Interrupting(), fake_trainers.rising)
    recorder = Recorder()
    run_trials(plan, study, job_maker(plan), recorder, fake_trainers.rising)
    line = "it had reported 3 epochs, and goes on with epoch 1 again"
    assert recorder.torn == [f"trial 0: {line}"]
    assert recorder.epochs == {0: [4], 1: [1, 2, 3, 4]}, "what was reported before is no news"
    first, second = study.trials()
    assert (first.torn, second.torn) == ((line,), ())
    assert trial_ended(first).tags["torn_files"] == line
    assert "torn_files" not in trial_ended(second).tags
    assert line in explain(find_search(tmp_path, plan.search_id), 0).lines
