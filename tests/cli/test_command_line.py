"""What a user who makes a mistake sees: one clear line, the exit code, no traceback, nothing half-written."""

import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections import namedtuple
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from xa_search.cli import main as cli

Disk = namedtuple("Disk", "total used free")
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def mtop_row(lang: str, number: int) -> str:
    tokens = '{"tokens": ["call", "Ann"], "tokenSpans": [{"start": 0, "length": 4}, {"start": 5, "length": 3}]}'
    return f"{number}\tIN:CREATE_CALL\t5:8:SL:CONTACT\tcall Ann\tcalling\t{lang}_XX\t[x]\t{tokens}"


def mtop_folder(root: Path, languages: tuple[str, ...] = ("en", "de", "es", "fr", "hi", "th")) -> Path:
    for lang in languages:
        (root / lang).mkdir(parents=True)
        for split in ("train", "eval", "test"):
            rows = [mtop_row(lang, number) for number in range(20)]
            (root / lang / f"{split}.txt").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root


def without_translations(root: Path) -> Path:
    mtop_folder(root)
    rows = ["\t".join(mtop_row("de", number).split("\t")[1:]) for number in range(20)]
    for lang in ("en", "de"):
        (root / lang / "train.txt").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root


def zipped(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.txt")):
            archive.write(file, file.relative_to(folder))
    return path


TINY = ("--set", "params.model_size.choices=[tiny]", "--set", "baseline=null", "--set", "published=null")

USAGE = [
    (("run", "mtop-mni"), 2, "search space 'mtop-mni' is unknown; did you mean 'mtop-mini'?"),
    (("run", "nowhere.yaml"), 2, "no such file"),
    (("run", "mtop-mini", "--set", "fixed.epocs=3"), 2, "fixed.epocs: unknown setting; did you mean 'epochs'?"),
    (("run", "mtop-mini", "--set", "trails=3"), 2, "trails: unknown key; did you mean 'trials'?"),
    (("run", "mtop-mini", "--set", "params.align_weight={low: 9, high: 1}"), 2, "empty range: low 9.0 is not below"),
    (("run", "mtop-mini", "--set", "params.align_weight={low: 0, high: 1, log: true}"), 2, "starts above 0"),
    (("run", "mtop-mini", "--set", "params.model_size={choices: []}"), 2, "name at least one value"),
    (("run", "mtop-mini", "--set", "fixed.epochs=none"), 2, "fixed.epochs: 'none'"),
    (("run", "mtop-mini", "--set", "fixed.align_weight=1"), 2, "stands in both params and fixed"),
    (("run", "mtop-mini", "--set", "params.train_limit={low: 10, high: 20}"), 2, "cannot be searched"),
    (("run", "mtop-mini", "--set", "selection=test"), 2, "selection: 'test'"),
    (("run", "mtop-mini", "--set", "method=xero_align"), 2, "'xero_align' is unknown; did you mean 'xeroalign'?"),
    (("run", "mtop-mini", "--set", "params.method={choices: [target, other]}"), 2, "params.method.method: 'other'"),
    (("run", "mtop-mini", "--set", "params.method={low: 1, high: 2}"), 2, "params.method: takes no range"),
    (("run", "mtop-mini", "--set", "fixed.method=target"), 2, "write `method: target`"),
    (("run", "mtop-mini", "--set", "fixed.align_distance=contrastive"), 2, "align_distance: 'contrastive'"),
    (("run", "mtop-mini", "--set", "published.learning_rate=1"), 2, "lies outside params.learning_rate"),
    (("run", "mtop-mini", "--set", "targets=[en, de]"), 2, "without the source en"),
    (("run", "mtop-mini", "--set", "unseen_languages=[de]"), 2, "'de' is also a target, which is aligned; take it"),
    (("run", "mtop-mini", "--set", "unseen_languages=[en]"), 2, "unseen_languages: 'en' is the source"),
    (("run", "mtop-mini", "--set", "unseen_languages=hi"), 2, "unseen_languages: 'hi'"),
    (("run", "mtop-mini", "--set", "held_out=[hi]"), 2, "held_out: was renamed; write unseen_languages: [hi]"),
    (("run", "mtop-mini", "--set", "fixed.held_out=0.2"), 2, "fixed.held_out: was renamed; write validation_fraction"),
    (("run", "mtop-mini", "--set", "resources.larg.gpus=4"), 2, "resources.larg: no trial has this size"),
    (("run", "mtop-mini", "--set", "resources.small.gpu=4"), 2, "resources.small.gpu: unknown key; did you mean 'gpu"),
    (("run", "mtop-mini", "--set", "gpus_per_trial=1.5"), 2, "gpus_per_trial: 1.5: above 1 it is a whole number"),
    (("run", "mtop-mini", "--set", "method=cross_aligner", "--set", "gpus_per_trial=2"), 2, "and cannot be divided"),
    (("run", "mtop-mini", "--set", "fixed"), 2, "write KEY=VALUE"),
    (("run", "mtop-mini", "--time-budget", "soon"), 2, "write a number above 0 and s, m, h or d"),
    (("run", "mtop-mini", "--disk-budget", "20"), 2, "--disk-budget '20': write a number above 0 and MB, GB or TB, fo"),
    (("train", "mtop-mini", "--params", "{lr: 1"), 2, "not valid JSON"),
    (("run", "mtop-mini", "--trials", "1"), 2, "--trials"),
    (("run", "mtop-mini", "--tirals", "9"), 2, "No such option"),
    (("evaluate", "mtop-mini", "--corpus", "xsid", "--label-map", "mtod-to-xsit"), 2, "one of these: mtod-to-xsid"),
    (("serch",), 2, "No such command"),
]


@pytest.mark.parametrize(("arguments", "code", "says"), USAGE, ids=[" ".join(row[0]) for row in USAGE])
def test_wrong_usage(command: Command, tmp_path: Path, arguments: tuple[str, ...], code: int, says: str) -> None:
    ended, _, printed = command(*arguments)
    assert ended == code
    assert says in printed
    assert "Traceback" not in printed
    assert not (tmp_path / "home").exists()


DATA: list[tuple[str, Callable[[Path], tuple[str, ...]], int, str]] = [
    ("a missing file", lambda path: ("run", "mtop", "--data", str(path / "mtop.zip")), 3, "mtop.zip"),
    (
        "a zip that is none",
        lambda path: ((path / "mtop.zip").write_text("x"), ("run", "mtop", "--data", str(path / "mtop.zip")))[1],
        3,
        "mtop.zip",
    ),
    (
        "no translations",
        lambda path: ("run", "mtop", "--data", str(without_translations(path / "raw")), *TINY),
        3,
        "translation",
    ),
    (
        "an unknown language",
        lambda path: ("run", "mtop", "--data", str(mtop_folder(path / "raw")), *TINY, "--set", "targets=[xx]"),
        3,
        "'xx'",
    ),
    (
        "an unseen language that is unknown",
        lambda path: ("run", "mtop", "--data", str(mtop_folder(path / "raw")), *TINY, "--set", "unseen_languages=[xx]"),
        3,
        "mtop has no language 'xx'",
    ),
    (
        "an unseen language without a test file",
        lambda path: (
            *("run", "mtop", "--data", str(mtop_folder(path / "raw", ("en", "de"))), *TINY),
            *("--set", "targets=[de]", "--set", "unseen_languages=[hi]"),
        ),
        3,
        "mtop has no test file of hi",
    ),
    (
        "a model that cannot be had",
        lambda path: (
            ("run", "mtop", "--data", str(mtop_folder(path / "raw")))
            + ("--set", "params.model_size.choices=[base]", "--set", "baseline=null", "--set", "published=null")
        ),
        3,
        "base",
    ),
    (
        "a misspelt model size",
        lambda path: (
            ("run", "mtop", "--data", str(mtop_folder(path / "raw")))
            + ("--set", "params.model_size.choices=[smal]", "--set", "baseline=null", "--set", "published=null")
        ),
        3,
        "did you mean 'small'?",
    ),
    (
        "a disk budget that is too small",
        lambda path: ("run", "mtop", "--data", str(mtop_folder(path / "raw")), *TINY, "--disk-budget", "200MB"),
        3,
        "--disk-budget 200 MB: the search takes about 2",
    ),
    ("a licensed corpus", lambda path: ("run", "multiatis"), 3, "LDC"),
    ("an unknown corpus", lambda path: ("data", "check", "--corpus", "mtopp"), 2, "did you mean mtop"),
    ("a model that is not registered", lambda path: ("predict", "hello"), 3, "no model is registered yet"),
    ("an evaluation of nothing", lambda path: ("evaluate", "mtop", "--corpus", "mtop-mini"), 2, "holds no search yet"),
    (
        "a language without a test file",
        lambda path: (
            *("evaluate", "mtop", "--corpus", "mtop", "--lang", "de,fr"),
            *("--data", str(mtop_folder(path / "raw", ("en", "de")))),
        ),
        3,
        "mtop has no test file of fr",
    ),
    ("claims of nothing", lambda path: ("claims", "mtop"), 2, "holds no search yet"),
    (
        "claims with a file that is not there",
        lambda path: ("claims", "mtop", "--literature", str(path / "none.yaml")),
        2,
        "none.yaml: cannot be read as text",
    ),
    ("a look into no model", lambda path: ("inspect", "nothing"), 2, "holds no search yet"),
    ("a version that is not registered", lambda path: ("promote", "xa-search-mtop", "3"), 3, "no model is registered"),
]


@pytest.mark.parametrize(("arguments", "code", "says"), [row[1:] for row in DATA], ids=[row[0] for row in DATA])
def test_missing_or_unfit_data_and_models(
    command: Command, tmp_path: Path, arguments: Callable[[Path], tuple[str, ...]], code: int, says: str
) -> None:
    ended, _, printed = command(*arguments(tmp_path))
    assert says in printed
    assert ended == code
    assert all(line.startswith("error: ") for line in printed.splitlines())
    assert not list((tmp_path / "home").glob("searches/*"))


def test_a_full_disk_is_said_before_anything_is_written(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(10**9, 10**9 - 10**6, 10**6))
    ended, _, printed = command("run", "mtop", "--data", str(mtop_folder(tmp_path / "raw")), *TINY)
    assert ended == 3
    assert "1 MB free, the search needs about" in printed
    assert list((tmp_path / "home").iterdir()) == []


def test_all_faults_are_said_at_once(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(10**9, 10**9 - 10**6, 10**6))
    ended, _, printed = command("run", "mtop", "--data", str(tmp_path / "no.zip"), *TINY)
    assert ended == 3
    assert "1 MB free" in printed
    assert "no.zip" in printed


def test_a_broken_row_in_a_zip_is_counted_and_shown_not_fatal(command: Command, tmp_path: Path) -> None:
    folder = mtop_folder(tmp_path / "raw")
    with (folder / "de" / "test.txt").open("a", encoding="utf-8") as file:
        file.write("20\tIN:CREATE_CALL\t99:120:SL:CONTACT\tcall Ann\tcalling\tde_XX\t[x]\t{broken\n")
    archive = zipped(folder, tmp_path / "mtop.zip")
    ended, printed, _ = command("data", "check", "--corpus", "mtop", "--data", str(archive))
    assert ended == 0
    assert "test.txt:21" in printed


def test_dry_run_prints_the_plan_and_writes_nothing(command: Command, tmp_path: Path) -> None:
    ended, printed, _ = command("run", "mtop", "--dry-run", "--set", "fixed.epochs=3", "--trials", "7")
    assert ended == 0
    assert '"epochs": 3' in printed or "epochs: 3" in printed
    assert "trials: 7" in printed
    assert "held out: known once the corpus is here" in printed
    assert not (tmp_path / "home").exists()


class Unauthenticated(BaseHTTPRequestHandler):
    """Answers as MLflow does to a wrong password."""

    def do_GET(self) -> None:
        self.send_response(401)
        self.end_headers()
        self.wfile.write(b"You are not authenticated.\nPlease see the documentation.")

    def log_message(self, *arguments: object) -> None:
        pass


def test_a_tracking_server_that_refuses_ends_a_search_before_it_begins(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Unauthenticated) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://admin:secret@127.0.0.1:{server.server_port}")
        ended, _, error = command("run", "mtop", "--local", "--data", str(tmp_path / "nowhere"))
        server.shutdown()
    assert ended
    assert (
        f"error: MLflow at http://127.0.0.1:{server.server_port} refuses this user and password; "
        "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, then run this again"
    ) in error.splitlines()
    assert "nowhere" in error, "all faults at once"
    assert not list((tmp_path / "home").glob("searches/*"))


def test_help_imports_no_heavy_library() -> None:
    check = (
        "import sys, runpy; sys.argv = ['xa-search', '--help']\n"
        "from xa_search.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'ray', 'optuna', 'mlflow', 'transformers', 'datasets'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, env={**os.environ})
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_process_that_opens_no_encoder_loads_no_architecture() -> None:
    """They take longer than all else that a search loads; a driver and a worker begin with all that it loads."""
    check = "import sys, xa_search.search.runner; print('transformers.modeling_utils' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_options_are_those_we_know() -> None:
    """A new option is a decision: add it here."""
    import typer.main

    root = typer.main.get_command(cli.app)
    options = {
        name: {
            option
            for parameter in sub.params
            if not getattr(parameter, "hidden", False)
            for option in parameter.opts
            if option.startswith("--")
        }
        for name, sub in root.commands.items()  # type: ignore[attr-defined]
    }
    common = {"--debug", "--home"}
    run = {"--data", "--seed", "--set", "--trials", "--time-budget", "--gpu-hours", "--disk-budget", "--deterministic"}
    assert options["run"] == common | run | {
        "--translations",
        "--new",
        "--local",
        "--address",
        "--cluster",
        "--dry-run",
        "--json",
    }
    assert options["train"] == common | {"--data", "--params", "--seed", "--set", "--test", "--translations"}
    assert options["predict"] == common | {"--log", "--model", "--threshold"}
    assert options["evaluate"] == common | {
        "--columns",
        "--corpus",
        "--data",
        "--json",
        "--label-map",
        "--lang",
        "--max-lost",
        "--trial",
    }
    assert options["claims"] == common | {"--json", "--literature", "--out"}
    assert options["inspect"] == common | {"--data", "--json", "--out", "--space", "--trial"}
    assert options["ui"] == common | {"--port"}
    for name in ("status", "explain", "sync", "replay", "models"):
        assert options[name] == common | {"--json"}
