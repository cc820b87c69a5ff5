"""How long an epoch may take, and what becomes of a process in which one takes longer."""

import subprocess
import sys
from pathlib import Path

from xa_search.search.trial_events import UNTIMED_SECONDS, EpochTimeout, TrialEvent, with_watchdog

HANGING = """
import re
from pathlib import Path
from xa_search.search.trial_events import EpochTimeout, TrialEvent, with_watchdog

def events():
    yield TrialEvent(seconds=0)
    re.match("(a+)+b", "a" * 99)

for event in with_watchdog(events(), EpochTimeout(epoch_seconds=None, least=0.2), Path({directory!r})):
    print("an event", flush=True)
"""


def test_every_epoch_has_a_limit_also_the_first_of_a_size_that_nobody_timed() -> None:
    assert EpochTimeout(epoch_seconds=None, least=600).seconds(None) == UNTIMED_SECONDS
    assert EpochTimeout(epoch_seconds=None, least=600).seconds(10) == 600
    assert EpochTimeout(epoch_seconds=300, least=600).seconds(None) == 900
    assert EpochTimeout(epoch_seconds=300, least=600).seconds(400) == 1200


def test_a_process_that_hangs_ends_and_leaves_its_traces(tmp_path: Path) -> None:
    worker = subprocess.run([sys.executable, "-c", HANGING.format(directory=str(tmp_path))], capture_output=True)
    assert worker.returncode == 1
    assert worker.stdout == b"an event\n"
    assert " in events" in (tmp_path / "hung.txt").read_text()


def test_events_in_time_pass_and_leave_nothing(tmp_path: Path) -> None:
    events = [TrialEvent(seconds=1), TrialEvent(seconds=2)]
    assert list(with_watchdog(iter(events), EpochTimeout(epoch_seconds=1, least=600), tmp_path)) == events
    assert list(tmp_path.iterdir()) == []
