"""Rehearsals as a user types them: nothing is left of them, whatever went wrong."""

import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from xa_search.cli import main as cli
from xa_search.corpora import open_corpus
from xa_search.errors import XaSearchError
from xa_search.records import TrialSettings
from xa_search.rehearsal.driver import Driver, processes_of
from xa_search.workflows.rehearse import RehearsalRequest

pytestmark = pytest.mark.long
CLUSTER = Path(__file__).resolve().parents[2] / "cluster" / "gpu.yaml"
SEARCH_TESTS = Path(__file__).resolve().parents[1] / "search"
UNTRAINED_RUN = Path(__file__).parent / "untrained_run.py"
OPTIONS = ("--set", "targets=[de]", "--cluster", str(CLUSTER), "--gpu-price", "2", "--set", "cpus_per_trial=1")
TINY = (
    "params.model_size.choices=[tiny]",
    "baseline.model_size=tiny",
    "published.model_size=tiny",
    "fixed.precision=fp32",
)
MARK = "XA_SEARCH_REHEARSAL_TEST"
STEPS = (
    "search space",
    "data check",
    "cluster file",
    "search",
    "killed worker",
    "interruption",
    "resume",
    "early stopping",
    "conclusion",
    "registration",
    "forecast",
)


@pytest.fixture
def user(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The user's folders: a home, an MLflow and a place for temporary files, in which nothing may be left."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    monkeypatch.setenv("XA_SEARCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/users.db")
    # A folder that PyTorch makes once a process, whoever is first to import that part of it.
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("inductor")))
    monkeypatch.setenv(MARK, str(tmp_path))
    yield tmp_path
    assert [path.name for path in tmp_path.rglob("*")] == ["scratch"]
    assert not marked_processes(f"{MARK}={tmp_path}")


def marked_processes(mark: str) -> list[str]:
    name, _, value = mark.partition("=")
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get(name) == value:
                found.append(process.name())
    return found


def rehearse(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["xa-search", "rehearse", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


def check_story(printed: str) -> None:
    """A worker dies, the driver is interrupted and goes on, a trial is stopped early, the winner registered."""
    lines = {line[:14].strip(): line for line in printed.splitlines() if re.search(r" ok \(\d+\.\d s\): ", line)}
    assert tuple(lines) == STEPS
    assert re.search(r"trial (\d) lost process \d+ after epoch \d, process \d+ took it up", lines["killed worker"])
    assert re.search(r"trial \d resumed with epoch \d, .*all 5 trials ended", lines["resume"])
    assert re.search(r"trial \d after epoch 2, rank \d of \d", lines["early stopping"])
    assert "xa-search-mtop-mini version 1, " in lines["registration"]
    assert "measured on 1 of this machine's" in printed
    assert "estimated for NVIDIA A10G" in printed
    assert re.search(r"^cost: [\d.e-]+ expected, [\d.e-]+ at most, at 2 an hour of a GPU$", printed, re.MULTILINE)


@pytest.mark.proof
def test_a_rehearsal_goes_well_and_leaves_nothing(
    user: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rehearse(monkeypatch, "mtop-mini", *OPTIONS) == 0
    check_story(capsys.readouterr().out)


def test_a_rehearsal_of_trials_that_train_nothing_goes_well_and_leaves_nothing(
    user: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Processes die and go on as in a real rehearsal; what they would train, test and register is made up."""
    found = [str(Path(__file__).parent), str(SEARCH_TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(found))

    def command(request: RehearsalRequest, changes: tuple[str, ...], home: Path) -> list[str]:
        settings = [word for change in (*request.changes, *changes) for word in ("--set", change)]
        return [sys.executable, str(UNTRAINED_RUN), request.space, "--home", str(home), *settings]

    monkeypatch.setattr("xa_search.workflows.rehearse._command", command)
    tiny = [word for change in TINY for word in ("--set", change)]
    assert rehearse(monkeypatch, "mtop-mini", *OPTIONS, *tiny) == 0
    check_story(capsys.readouterr().out)


def test_all_faults_are_told_at_once(
    user: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rehearse(monkeypatch, "mtod", "--data", "/nowhere.zip", "--cluster", "/nowhere.yaml") == 3
    printed = capsys.readouterr()
    assert [line.split(" (")[0].split() for line in printed.out.splitlines()[1:]] == [
        ["data", "check", "wrong"],
        ["cluster", "file", "wrong"],
    ]
    errors = printed.err.splitlines()
    assert errors[0].startswith("error: no such folder or zip: /nowhere.zip; give ")
    assert errors[1].startswith("error: /nowhere.yaml: No such file or directory; give ")


def test_a_run_that_ends_too_early_is_quoted_and_nothing_of_it_lives_on(tmp_path: Path) -> None:
    program = (
        "import subprocess, sys\n"
        "subprocess.Popen(['sleep', '600'])\n"
        "print('trial 3 epoch 2/4: score 1', flush=True)\n"
        "sys.stdin.read()\n"
        "print('error: no data; give --data PATH', file=sys.stderr)\n"
        "sys.exit(3)\n"
    )
    log = tmp_path / "log"
    with Driver([sys.executable, "-c", program], os.environ, log) as driver:
        session = driver.session
        with pytest.raises(XaSearchError, match=r"exit code 3, not as a search: no data; give --data PATH\nall that"):
            driver.wait_for(lambda: None, "as a search")
        assert driver.epochs() == {3: [2]}
        assert [process.name for process in processes_of(session)] == ["sleep"]
    assert processes_of(session) == []


@pytest.mark.parametrize("before", [signal.SIG_IGN, signal.default_int_handler])
def test_a_run_heeds_ctrl_c_even_where_the_rehearsal_does_not(tmp_path: Path, before: signal.Handlers) -> None:
    """A shell has the commands that it starts in the background ignore Ctrl-C, and their children with them."""
    found = signal.signal(signal.SIGINT, before)
    try:
        # A signal that comes just before a long sleep would be heeded after it.
        program = "import time; print('ready', flush=True)\nwhile True: time.sleep(0.02)"
        with Driver([sys.executable, "-c", program], os.environ, tmp_path / "log") as driver:
            driver.wait_for_words("ready", "with a word")
            driver.interrupt()
            driver.end(-signal.SIGINT, "of Ctrl-C")
        assert signal.getsignal(signal.SIGINT) is before
    finally:
        signal.signal(signal.SIGINT, found)


def test_a_run_that_stands_still_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xa_search.rehearsal.driver.SILENCE_SECONDS", 0.2)
    with Driver([sys.executable, "-c", "import time; time.sleep(600)"], os.environ, tmp_path / "log") as driver:
        assert driver.output == ""
        with pytest.raises(XaSearchError, match="has said nothing for 0 s, and did not end at all"):
            driver.end(0, "at all")


def test_a_step_is_timed_whole_or_by_two_shallow_models(tmp_path: Path) -> None:
    import torch

    from xa_search.rehearsal.step_time import KNOWN, Dimensions, measure_step, sample_texts

    corpus = open_corpus("mtop-mini", source="en", targets=("de", "th"), data=None, home=tmp_path)
    texts = sample_texts(corpus, 64, tmp_path)
    settings, threads, state = TrialSettings(batch_size=8), torch.get_num_threads(), torch.random.get_rng_state()
    whole = measure_step(settings, KNOWN["tiny"], texts, 1, tmp_path)
    deep = measure_step(settings, Dimensions(hidden=32, layers=8, heads=2, inner=64), texts, 1, tmp_path)
    assert 8 < texts.mean_tokens < 20
    assert (whole.utterances, whole.on_gpu) == (16, torch.cuda.is_available())
    assert whole.seconds > 0
    if not whole.on_gpu:
        assert deep.source.endswith("random weights, 2 and 4 of 8 layers")
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)
