"""What a running search shows: on a terminal, without one, and as JSON."""

import fcntl
import json
import math
import os
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from io import StringIO
from pathlib import Path
from threading import Thread

import pytest
from rich.console import Console
from searches import plan_of
from terminal import Terminal

from xa_search.cli.display import SearchDisplay, ended_of
from xa_search.cli.json_progress import JsonProgress
from xa_search.cli.search_log import LOG
from xa_search.records import EpochReport, TrialRecord, TrialSettings

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


TRIALS, SLOTS, LINES = 200, 40, 24


def play(display: SearchDisplay, trials: int = TRIALS) -> Iterator[tuple[set[int], int]]:
    """Run trials of one epoch, 40 at once; give after each event which ones run and how many have ended."""
    running: dict[int, TrialRecord] = {}
    begun = ended = 0
    while ended < trials:
        while begun < trials and len(running) < SLOTS:
            params = {"learning_rate": 1e-4, "align_weight": 1.0 + begun}
            running[begun] = replace(ENDED, number=begun, state="RUNNING", scores=(), params=params)
            display.trial_started(running[begun])
            begun += 1
            yield set(running), ended
        number = min(running)
        score = number / TRIALS
        running[number] = replace(running[number], scores=(score,))
        report = EpochReport(epoch=1, score=score, best_score=score, best_epoch=1, final=True, metrics={})
        display.epoch_reported(running[number], report)
        yield set(running), ended
        done = running.pop(number)
        ended += 1
        display.trial_ended(replace(done, state="COMPLETE"))
        yield set(running), ended


def test_two_hundred_trials_on_twenty_four_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ended trials scroll away above; what runs, the best and the time left are always seen."""
    written, terminal = StringIO(), Terminal(LINES)
    monkeypatch.setenv("TERM", "xterm")
    wide = Console(file=written, height=LINES, width=100, force_terminal=True, highlight=False, soft_wrap=True)
    monkeypatch.setattr("xa_search.cli.display.console", wide)
    plan = plan_of(tmp_path, trials=TRIALS)
    plan.directory.mkdir(parents=True)
    with SearchDisplay(plan) as display:
        for running, ended in play(display):
            terminal.write(written.getvalue())
            written.seek(0)
            written.truncate()
            seen = "\n".join(terminal.screen)
            assert len(terminal.screen) <= LINES
            assert f"{ended} of 200 trials have ended" in seen
            assert "best so far: " in seen
            assert (", about " in seen) == (ended > 0)
            if running:
                assert f"{len(running)} running" in seen
                assert f"│ {max(running):>5} │" in seen
    lines = [*terminal.scrolled, *terminal.screen]
    told = [int(found[1]) for line in lines if (found := re.match(r"\[\d+:\d+\] trial (\d+) COMPLETE", line))]
    assert told == list(range(TRIALS))
    assert sum("best so far: " in line for line in lines) == 1, "what was shown before is left above"
    log = (plan.directory / LOG).read_text(encoding="utf-8").splitlines()
    assert sum(" starts: " in line for line in log) == sum(" COMPLETE: " in line for line in log) == TRIALS
    assert sum(" epoch " in line for line in log) == TRIALS


SHOW = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from searches import plan_of
from test_display import play
from xa_search.cli.display import SearchDisplay

with SearchDisplay(plan_of(Path(sys.argv[1]), trials=50)) as display:
    for _ in play(display, 50):
        pass
"""


def shown_by_a_process(folder: Path, out: int) -> None:
    """Show the trials to whatever is at the other end of a file."""
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "search")]
    environment = {name: value for name, value in os.environ.items() if name not in ("LINES", "COLUMNS", "NO_COLOR")}
    command = [sys.executable, "-c", SHOW, str(folder), *paths]
    with subprocess.Popen(command, stdin=out, stdout=out, stderr=out, env=environment | {"TERM": "xterm"}):
        os.close(out)


def test_on_a_real_terminal_and_without_one(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, 100, 0, 0))
    written: list[str] = []

    def read() -> None:
        # As Linux says that nobody has the other end open any more.
        with suppress(OSError), os.fdopen(ours, encoding="utf-8", newline="") as screen:
            while text := screen.read(1024):
                written.append(text)

    reader = Thread(target=read)
    reader.start()
    shown_by_a_process(tmp_path, theirs)
    reader.join()
    terminal = Terminal(LINES)
    terminal.write("".join(written))
    lines = [*terminal.scrolled, *terminal.screen]
    assert sum(" COMPLETE: " in line for line in lines) == 50
    assert sum("50 of 50 trials have ended" in line for line in lines) == 1
    with (tmp_path / "piped").open("wb") as piped:
        shown_by_a_process(tmp_path, os.dup(piped.fileno()))
    plain = (tmp_path / "piped").read_text(encoding="utf-8")
    assert "\x1b" not in plain
    assert len(plain.splitlines()) == 3 * 50
    assert all(re.match(r"\[\d+:\d\d\] trial \d+ ", line) for line in plain.splitlines())


def test_progress_as_json_is_an_object_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = plan_of(tmp_path, trials=TRIALS)
    with JsonProgress(plan) as progress:
        progress.note("pairs: de 1,100\x1b[2J")
        progress.resumed([ENDED, replace(ENDED, number=1, state="PAUSED")])
        progress.epoch_reported(
            ENDED,
            EpochReport(epoch=1, score=math.nan, best_score=0.1, best_epoch=1, final=False, metrics={"loss": math.inf}),
        )
        progress.trial_ended(ENDED)
    printed = capsys.readouterr().out
    events = [json.loads(line) for line in printed.splitlines()]
    assert [event["event"] for event in events] == ["note", "resumed", "epoch", "trial_ended"]
    assert events[0]["text"] == "pairs: de 1,100\x1b[2J"
    assert "\x1b" not in printed
    assert (events[1]["ended"], events[1]["wanted"]) == (1, TRIALS)
    assert (events[2]["trial"], events[2]["report"]["score"]) == (0, None)
    assert events[3]["trial"]["score"] == 0.2
