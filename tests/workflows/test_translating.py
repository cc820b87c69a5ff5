"""Machine translations of a corpus: made once, found again, and the same file however often the run was killed."""

import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tiny_translators import write_nllb

from xa_search.cli import main as cli
from xa_search.corpora import Corpus, check_corpus, open_corpus
from xa_search.errors import DataError, UsageError
from xa_search.model.translator import Translator, find_translation_model
from xa_search.training.device import trial_device
from xa_search.workflows import translate as translating

WINDOW = 4
ROWS = 18


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_nllb(tmp_path_factory.mktemp("translator") / "model")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An xSID with a training file, as a zip; row 3 cannot be used."""

    def block(number: int) -> str:
        words = ["wake", "me", "at", "abcdefgh"[: 1 + number % 5], str(number)]
        intent = "" if number == 2 else "alarm/set_alarm"
        return "".join(f"{i}\t{word}\t{intent}\tO\n" for i, word in enumerate(words, 1)) + "\n"

    path = tmp_path_factory.mktemp("data") / "xsid.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("en.train", "en.valid", "en.test", "de.test", "nl.test"):
            archive.writestr(f"{name}.conll", "".join(map(block, range(ROWS))))
    return path


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translating, "ROWS_A_WINDOW", WINDOW)


def opened(data: Path, home: Path) -> Corpus:
    return open_corpus("xsid", source="en", targets=("de", "nl"), data=data, home=home)


def translate(data: Path, home: Path, model: Path, lang: str = "de") -> translating.TranslatedCorpus:
    return translating.translate_corpus(opened(data, home), lang, str(model), home, lambda *_: None)


@pytest.fixture(scope="module")
def whole(data: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a run that nothing disturbed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(translating, "ROWS_A_WINDOW", WINDOW)
        return translate(data, tmp_path_factory.mktemp("whole"), model).path.read_bytes()


def test_a_pair_is_translated_sentence_by_sentence(model: Path) -> None:
    translator = Translator(find_translation_model(str(model)), "en", "de", trial_device())
    first, second = translator.translate(["wake me", "stop"])
    texts = ["wake me ||| stop", "", "stop"]
    assert translating._translated(translator, texts, pairs=True) == [f"{first} ||| {second}", "", second]
    (whole,) = translator.translate([texts[0]])
    assert translating._translated(translator, texts, pairs=False) == [whole, "", second]


def test_what_was_translated_is_found_for_this_training_file_alone(
    data: Path, model: Path, whole: bytes, tmp_path: Path
) -> None:
    before = opened(data, tmp_path)
    with pytest.raises(
        DataError, match=r"no translations of xsid into de .*: add translations.de.txt.* data translate"
    ):
        list(before.translations("de"))
    made = translate(data, tmp_path, model)
    corpus = opened(data, tmp_path)
    lines = whole.decode().splitlines()
    assert (made.rows, len(lines), lines[2]) == (ROWS, ROWS, "")
    found = {pair.source_id: " ".join(pair.words) for pair in corpus.translations("de")}
    assert len(found) == ROWS - made.blank
    assert list(found.values()) == [line for line in lines if line]
    assert corpus.fingerprint() != before.fingerprint()
    checked, missing = check_corpus(corpus).translations
    assert (checked.translations, checked.missing, checked.where) == (len(found), ROWS - 1 - len(found), str(made.path))
    assert (missing.translations, missing.where) == (0, "")
    card = json.loads(made.path.with_suffix(".json").read_text())
    assert (card["model"], card["rows"], card["blank"], card["source"]) == (str(model), ROWS, made.blank, "en")
    assert card["revision"]
    assert card["begun"] <= card["finished"]
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(data) as old, zipfile.ZipFile(other, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name) + b"\n1\tmore\tx\tO\n")
    with pytest.raises(DataError, match="no translations of xsid into de"):
        list(opened(other, tmp_path).translations("de"))


def test_twice_changes_nothing(data: Path, model: Path, tmp_path: Path) -> None:
    made = translate(data, tmp_path, model)
    states = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in made.path.parent.iterdir()}
    assert translate(data, tmp_path, Path("another-model")) == made
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in made.path.parent.iterdir()} == states


@pytest.mark.parametrize("share", [0.0, 0.3, 0.55, 0.99, 1.0])
def test_a_torn_file_is_gone_on_with(data: Path, model: Path, whole: bytes, tmp_path: Path, share: float) -> None:
    path = translate(data, tmp_path, model).path
    part = path.with_suffix(".part")
    path.unlink()
    part.write_bytes(whole[: int(share * len(whole))])
    assert not list(opened(data, tmp_path).files.names(".part"))
    assert translate(data, tmp_path, model).path.read_bytes() == whole
    assert not part.exists()


RUN = """
import sys
from pathlib import Path
sys.path.append(sys.argv[1])
from xa_search.workflows import translate as translating
from xa_search.corpora import open_corpus
translating.ROWS_A_WINDOW = int(sys.argv[5])
home = Path(sys.argv[3])
corpus = open_corpus("xsid", source="en", targets=("de", "nl"), data=Path(sys.argv[2]), home=home)
def progress(done, rows):
    print(done, flush=True)
    if done == 12:
        sys.stdin.read()
translating.translate_corpus(corpus, "de", sys.argv[4], home, progress)
"""


def test_a_killed_run_is_gone_on_with(data: Path, model: Path, whole: bytes, tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", RUN, str(Path(__file__).parent), str(data), str(tmp_path), str(model)]
    with subprocess.Popen(
        [*arguments, str(WINDOW)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(4)] == ["0\n", "4\n", "8\n", "12\n"]
        with pytest.raises(UsageError, match=rf"process {process.pid} on \S+ writes .*de.part"):
            translate(data, tmp_path, model)
        os.kill(process.pid, signal.SIGKILL)
    (part,) = tmp_path.rglob("de.part")
    assert part.read_bytes().count(b"\n") == 12
    done = []
    corpus = opened(data, tmp_path)
    made = translating.translate_corpus(corpus, "de", str(model), tmp_path, lambda *counts: done.append(counts))
    assert done == [(12, ROWS), (16, ROWS), (18, ROWS)]
    assert made.path.read_bytes() == whole


def test_lines_of_two_models_are_not_mixed(data: Path, model: Path, whole: bytes, tmp_path: Path) -> None:
    path = translate(data, tmp_path, model).path
    path.rename(path.with_suffix(".part"))
    other = write_nllb(tmp_path / "other", seed=2)
    with pytest.raises(UsageError, match=r"de.part was begun with .*model, revision .*delete that file") as caught:
        translate(data, tmp_path, other)
    assert "\n" not in str(caught.value)


def test_the_command(
    data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def command(*arguments: str) -> tuple[int, str, str]:
        common = ["--data", str(data), "--home", str(tmp_path)]
        monkeypatch.setattr(sys, "argv", ["xa-search", "data", *arguments, *common])
        with pytest.raises(SystemExit) as end:
            cli.main()
        printed = capsys.readouterr()
        return int(end.value.code or 0), printed.out, printed.err

    ended, printed, _ = command("translate", "--corpus", "xsid", "--lang", "de", "--model", str(model))
    assert ended == 0
    assert printed.startswith(f"de: 0 of {ROWS} rows\n")
    assert re.search(rf"de: \d+ of {ROWS} rows translated by {re.escape(str(model))}: .*/de.txt\n$", printed)
    assert re.search(r"translations de: \d+, missing \d+, .*/de.txt", command("check", "xsid")[1])
    ended, _, said = command("translate", "xsid", "--to", "fr", "--model", str(model))
    assert (ended, len(said.splitlines())) == (2, 1)
    assert "--lang fr: xsid has no such target; it has ar, da, de" in said
    ended, _, said = command("translate", "xsid", "--to", "nl")
    assert ended == 3
    assert "facebook/nllb-200-distilled-600M is not in the hub's cache" in said
