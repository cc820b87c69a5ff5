"""In place of `xa-search run` in a rehearsal: real trials on a real Ray, which train nothing and leave no model.

Until the command is given a second time, each trial stands still after its first epoch. Workers import this module.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from fake_trainers import report
from searches import job_maker

from xa_search.cli.display import SearchDisplay
from xa_search.errors import StoppedEarly
from xa_search.records import EpochReport, Plan, TrialJob, TrialRecord
from xa_search.records.search import trial_directory
from xa_search.search.runner import run_trials
from xa_search.search.study import open_study
from xa_search.workflows.plan import make_plan

GOES_ON = "goes_on"


def standing_still(job: TrialJob) -> Iterator[EpochReport]:
    """Report scores that are lower the later a trial began; keep a file of the trial's open, as training does."""
    best, epochs = 1 / (1 + int(job.directory.name)), job.settings.epochs
    with (job.directory / "open").open("w"):
        for epoch in range(1, epochs + 1):
            yield report(epoch, best * epoch / epochs, final=epoch == epochs)
            while not (job.home / GOES_ON).exists():
                time.sleep(0.02)


class Display(SearchDisplay):
    """Says what the command says, but for where trials are placed."""

    def placed(self, lines: Sequence[str]) -> None:
        pass


def run(plan: Plan) -> None:
    def make_job(record: TrialRecord) -> TrialJob:
        job = replace(job_maker(plan)(record), directory=trial_directory(plan.directory, record.number))
        job.directory.mkdir(exist_ok=True)
        return job

    study = open_study(plan)
    if study.trials():
        (plan.home / GOES_ON).touch()
    with Display(plan) as display:
        run_trials(plan, study, make_job, display, standing_still)
        display.note("winner: trial 0; now the test splits")
        display.note("registering the winner")
    print(f"registered: xa-search-{plan.name} version 1, champion: it is the first")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("space")
    parser.add_argument("--home", type=Path)
    parser.add_argument("--set", action="append")
    options = parser.parse_args()
    try:
        run(make_plan(options.space, options.set, home=options.home))
    except StoppedEarly as error:
        sys.exit(error.exit_code)
