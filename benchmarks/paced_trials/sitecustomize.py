"""Lets trials take their time. In: PACED_SECONDS an epoch. Out: what each trial reported, in PACED_FOLDER.

Python imports this module at its start where its folder is on PYTHONPATH: in the driver and in Ray's workers alike.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from xa_search.records import EpochReport, TrialJob
from xa_search.search import events

SECONDS = float(os.environ["PACED_SECONDS"])
FOLDER = Path(os.environ["PACED_FOLDER"])


def paced(job: TrialJob) -> Iterator[EpochReport]:
    """Train, and write down each report before anybody hears of it; no epoch is shorter than asked for."""
    from xa_search.training.trial import train_trial

    begin = time.monotonic()
    with (FOLDER / f"{job.directory.name}.jsonl").open("a", encoding="utf-8") as reports:
        for report in train_trial(job):
            time.sleep(max(0.0, begin + SECONDS - time.monotonic()))
            begin = time.monotonic()
            metrics = {**report.metrics, "selection_score": report.score}
            reports.write(json.dumps({"epoch": report.epoch, "metrics": metrics}) + "\n")
            reports.flush()
            yield report


events._default_trainer = lambda: paced
