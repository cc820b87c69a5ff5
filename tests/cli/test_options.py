"""What several commands share: one way to name a search, a corpus, languages, durations and sizes."""

import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import xa_search
from xa_search.cli.main import ui
from xa_search.cli.options import (
    DEFAULT_HOME,
    absolute,
    corpus_of,
    is_default_home,
    languages_of,
    one_of,
    parse_duration,
    parse_size,
)
from xa_search.config.version import commit
from xa_search.errors import UsageError
from xa_search.workflows import models, translate

Command = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("8h", 28_800), ("1d", 86_400), ("1h30m", 5400), ("1.5h", 5400), ("1d2h3m4s", 93_784)],
)
def test_a_duration_is_numbers_with_units(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "90", "soon", "0s", "-5m", "1h 30m", "1w", "h"])
def test_any_other_duration_is_an_error_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="write a number above 0 and s, m, h or d, for example 30m or 1h30m"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"), [("500MB", 500 * 10**6), ("20GB", 20 * 10**9), ("1.5TB", 1500 * 10**9), ("2GiB", 2 * 2**30)]
)
def test_a_size_is_a_number_with_a_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "20", "20 ", "0GB", "-1GB", "GB", "20 apples"])
def test_any_other_size_is_an_error_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="write a number above 0 and MB, GB or TB, for example 20GB"):
        parse_size(text)


def test_languages_may_be_repeated_and_separated_by_commas() -> None:
    assert languages_of(["de,th", "fr", " de "]) == ("de", "th", "fr")
    assert languages_of(None) == ()


def test_what_may_be_given_in_two_ways_is_given_once() -> None:
    assert one_of("new", None, "the search") == one_of(None, "new", "the search") == one_of("new", "new", "x") == "new"
    assert one_of(None, None, "the search") is None
    with pytest.raises(UsageError, match="the search is given twice, as one and as other; give it once"):
        one_of("one", "other", "the search")
    with pytest.raises(UsageError, match="--corpus: which corpus is meant"):
        corpus_of(None, None)


@pytest.mark.parametrize("part", ["check", "stats", "translate"])
def test_a_command_about_a_corpus_asks_for_it(command: Command, part: str) -> None:
    ended, printed, said = command("data", part)
    assert (ended, printed) == (2, "")
    assert said.startswith("error: --corpus: which corpus is meant?")


def test_the_corpus_is_an_option_and_may_still_be_an_argument(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    stats = command("data", "stats", "--corpus", "mtop-mini")
    assert stats[0] == 0
    assert "train en" in stats[1]
    assert command("data", "stats", "mtop-mini") == stats
    ended, _, said = command("data", "stats", "mtop-mini", "--corpus", "mtop")
    assert ended == 2
    assert "the corpus is given twice, as mtop and as mtop-mini" in said
    asked = []
    made = translate.TranslatedCorpus(lang="de", path=Path("de.txt"), model="m", rows=2, blank=0)
    monkeypatch.setattr(
        translate, "translate_corpus", lambda corpus, lang, *rest: asked.append((corpus.name, lang)) or made
    )
    assert command("data", "translate", "--corpus", "mtop-mini", "--lang", "de,th")[0] == 0
    assert command("data", "translate", "mtop-mini", "--to", "de", "--to", "th")[0] == 0
    assert asked == [("mtop-mini", "de"), ("mtop-mini", "th")] * 2
    ended, _, said = command("data", "translate", "--corpus", "mtop-mini")
    assert ended == 2
    assert said.startswith("error: --lang: which languages are meant? type --lang de")


def test_evaluate_still_answers_to_its_earlier_names(command: Command) -> None:
    now = command("evaluate", "toy", "--corpus", "mtop-mini", "--lang", "de")
    assert now[0] == 2
    assert "holds no search yet" in now[2]
    assert command("test", "toy", "--corpus", "mtop-mini", "--languages", "de") == now
    assert "  test " not in command("--help")[1]
    assert "--languages" not in command("evaluate", "--help")[1]
    assert command("evaluate", "toy")[2].startswith("error: --corpus: which corpus is meant?")


def test_the_version_is_the_package_s(command: Command) -> None:
    assert command("--version") == (0, f"xa-search {xa_search.__version__} (commit {commit()})\n", "")
    assert importlib.metadata.version("xa-search") == xa_search.__version__


def test_debug_may_stand_before_or_after_the_command(command: Command) -> None:
    for arguments in (("--debug", "run", "mtop-mni"), ("run", "mtop-mni", "--debug")):
        with pytest.raises(UsageError, match="did you mean 'mtop-mini'"):
            command(*arguments)
    assert command("run", "mtop-mni")[0] == 2


def test_only_what_can_be_resumed_says_so(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(models, "predict_texts", interrupted)
    assert command("predict", "hello") == (130, "", "stopped\n")
    monkeypatch.setattr(translate, "translate_corpus", interrupted)
    ended, _, said = command("data", "translate", "--corpus", "mtop-mini", "--lang", "de")
    assert (ended, said) == (75, "stopped; the same command resumes it\n")


def completed(words: str, home: Path) -> tuple[set[str], str]:
    """Press Tab in a shell; return what it proposes, and the heavy libraries that were imported for that."""
    check = (
        "import sys; sys.argv = ['xa-search']\n"
        "from xa_search.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'ray', 'optuna', 'mlflow', 'transformers', 'datasets'} & set(sys.modules)))"
    )
    last = words.rpartition(" ")[2]
    environment = {"_XA_SEARCH_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": words, "COMP_WORDS": words}
    environment |= {"COMP_CWORD": str(words.count(" ")), "XA_SEARCH_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True, env={**os.environ, **environment}
    )
    *proposed, heavy = done.stdout.splitlines()
    found = {word for line in proposed for word in line.replace('"', " ").replace("'", " ").split()}
    return {word for word in found if word.startswith(last)}, heavy


def test_a_shell_completes_spaces_corpora_and_searches(tmp_path: Path) -> None:
    (tmp_path / "searches" / "toy-01234567").mkdir(parents=True)
    for words, wanted in (
        ("xa-search run mtop-m", "mtop-mini"),
        ("xa-search data check --corpus mas", "massive"),
        ("xa-search status to", "toy-01234567"),
        ("xa-search explain 3 to", "toy-01234567"),
    ):
        found, heavy = completed(words, tmp_path)
        assert wanted in found, words
        assert heavy == "[]"


def test_columns_and_languages_of_own_data(command: Command, tmp_path: Path) -> None:
    for split in ("train", "dev", "test"):
        for lang in ("en", "de", "th"):
            (tmp_path / f"{split}.{lang}.csv").write_text(f"utt,label\n{lang} {split},go\n")
    options = ("--corpus", "own", "--data", str(tmp_path))
    named = ("--columns", "text=utt,intent=label")
    ended, printed, _ = command("data", "check", *options, *named, "--lang", "de,en", "--json")
    checked = json.loads(printed)
    assert (ended, checked["source"], checked["targets"]) == (0, "en", ["de"])
    assert checked["notes"] == ["no training row of en has a slot: intents alone are learned"]
    assert {split["rows"] for split in checked["splits"]} == {1}
    ended, printed, _ = command("data", "stats", *options, *named, "--lang", "th", "--json")
    assert (ended, {split["lang"] for split in json.loads(printed)["splits"]}) == (0, {"th"})
    for wrong, said in (
        (("--columns", "text"), "--columns 'text': write FIELD=COLUMN, with commas between: text=utt,intent=label"),
        (("--columns", "txt=utt"), "--columns: 'txt' is no field of a row: did you mean text?"),
        (
            ("--columns", "text=utt", "--corpus", "mtop-mini"),
            "--columns: mtop-mini has columns of its own",
        ),
    ):
        ended, _, printed = command("data", "check", *options, *wrong)
        assert ended == 2
        assert said in printed


def test_a_home_that_nobody_has_is_asked_for_only_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(path: str) -> str:
        return path

    monkeypatch.setattr(os.path, "expanduser", nobody)
    assert not is_default_home(Path("/data"))
    assert absolute(Path("/data")) == Path("/data")
    with pytest.raises(UsageError, match="this user has no home folder; give --home FOLDER, or set XA_SEARCH_HOME"):
        absolute(DEFAULT_HOME)


def test_no_module_looks_for_a_home_when_it_is_imported() -> None:
    package = Path(xa_search.__file__).parent
    assert [path for path in package.rglob("*.py") if "Path.home()" in path.read_text(encoding="utf-8")] == []


def test_the_page_of_a_server_is_printed_without_its_password(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://anna:secret@mlflow.example.org")
    monkeypatch.setattr(models.registry, "list_models", lambda uri: ())
    ui(home=tmp_path)
    assert capsys.readouterr().out == "MLflow UI: http://mlflow.example.org (its server serves it)\n"
