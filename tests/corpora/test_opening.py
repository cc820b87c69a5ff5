"""Names, languages, places and downloads: what goes wrong is said in one line."""

import functools
import hashlib
import http.server
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from raw_samples import conll_block, massive_line

from xa_search.corpora import CATALOGUE, CORPORA, open_corpus
from xa_search.errors import DataError, UsageError

MTOD = {
    f"mtod/{lang}/{split}-{lang}.conllu": conll_block(("wake", "NoLabel"))
    for lang in ("en", "es")
    for split in ("train", "dev", "test")
}


def attempt(name, home, targets=("es",), source="en", data=None, **more):
    return open_corpus(name, source=source, targets=targets, data=data, home=home, **more)


def test_catalogue():
    assert CORPORA == ("mtop-mini", "mtop", "mtod", "multiatis", "massive", "xsid", "pawsx", "own")
    assert replace(CATALOGUE["own"], name="jsonl") == CATALOGUE["jsonl"]
    assert all(entry.licence and entry.expects for entry in CATALOGUE.values())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": "mtopp"}, UsageError, r"unknown corpus 'mtopp': did you mean mtop\?; there are mtop-mini, mtop, "),
        ({"name": "mtod", "targets": ("e",)}, DataError, r"mtod has no language 'e'.*; it has en, es, th"),
        (
            {"name": "mtop", "targets": ("de", "xx")},
            DataError,
            r"mtop has no language 'xx'; it has en, de, es, fr, hi, th",
        ),
        ({"name": "mtod", "source": "zz"}, DataError, r"mtod has no language 'zz'"),
        ({"name": "mtod", "targets": ("en",)}, UsageError, r"en is the source language"),
        ({"name": "mtod", "targets": ("es", "es")}, UsageError, r"given twice in es, es"),
        ({"name": "multiatis"}, DataError, r"licensed by the LDC \(LDC2021T04\).*--data PATH.*train_EN.tsv"),
        ({"name": "own"}, DataError, r"own needs --data PATH.*train.en.jsonl"),
        ({"name": "jsonl"}, DataError, r"jsonl needs --data PATH.*train.en.jsonl"),
        ({"name": "mtod", "data": Path("/no/such.zip")}, DataError, r"no such folder or zip: /no/such.zip"),
    ],
)
def test_what_cannot_be_opened(tmp_path, arguments, error, message):
    with pytest.raises(error, match=message) as caught:
        attempt(home=tmp_path, **arguments)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("en/train-en", r"mtod has no train file of en in .*: add en/train-en.conllu or"),
        ("en/dev-en", r"mtod has no dev file of en"),
        ("es/test-es", r"mtod has no test file of es"),
    ],
)
def test_a_missing_file_is_named(write, tmp_path, gone, message):
    root = write({name: text for name, text in MTOD.items() if gone not in name})
    with pytest.raises(DataError, match=message):
        attempt("mtod", tmp_path, data=root)


def test_files_in_the_home_are_found(write, write_zip, tmp_path):
    (tmp_path / "a" / "corpora").mkdir(parents=True)
    write_zip(MTOD, "a/corpora/mtod.zip")
    write(MTOD, "b/corpora/mtod")
    for home in ("a", "b"):
        corpus = attempt("mtod", tmp_path / home)
        assert [utterance.words for utterance in corpus.utterances("es", "test")] == [("wake",)]


@pytest.fixture
def served(tmp_path):
    """Serve a folder on loopback; give its address and the folder."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def do_GET(self):
            if self.path != "/short.zip":
                return super().do_GET()
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            return self.wfile.write(b"only this")

    folder = tmp_path / "served"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", folder
    server.shutdown()
    server.server_close()
    thread.join()


def list_address(monkeypatch, name, **changes):
    monkeypatch.setitem(CATALOGUE, name, replace(CATALOGUE[name], **changes))


def test_download(served, write_zip, tmp_path, monkeypatch):
    address, folder = served
    raw = write_zip(MTOD, "served/data.zip").read_bytes()
    calls = []
    for number, sha256 in enumerate((None, hashlib.sha256(raw).hexdigest())):
        list_address(monkeypatch, "mtod", address=f"{address}/data.zip", sha256=sha256)
        home = tmp_path / f"home{number}"
        attempt("mtod", home, progress=lambda *call: calls.append(call))
        assert calls[-1] == (len(raw), len(raw))
        assert [path.name for path in (home / "corpora").iterdir()] == ["mtod.zip"]
        assert (home / "corpora" / "mtod.zip").read_bytes() == raw
    (folder / "data.zip").unlink()
    attempt("mtod", tmp_path / "home0")  # the second time without the network


def test_download_of_a_tar(served, write_tar, tmp_path, monkeypatch):
    line = massive_line() + massive_line(partition="dev") + massive_line(partition="test")
    write_tar({f"1.1/data/{locale}.jsonl": line for locale in ("en-US", "de-DE")}, "served/data.tar.gz")
    list_address(monkeypatch, "massive", address=f"{served[0]}/data.tar.gz", sha256=None)
    for _ in range(2):
        attempt("massive", tmp_path / "home", targets=("de",))
        assert [path.name for path in (tmp_path / "home" / "corpora").iterdir()] == ["massive.tar.gz"]
        (served[1] / "data.tar.gz").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("content", "changes", "message"),
    [
        (b"other bytes", {"sha256": "0" * 64}, r"has checksum [0-9a-f]{64}, not 0{64}: try again"),
        (b"<html>log in</html>", {"sha256": None}, r"is not a zip with en/train-en.conllu"),
        (
            None,
            {"sha256": None},
            r"cannot download mtod from http://127.0.0.1:\d+/data.zip \(.*404.*\): put that file at",
        ),
    ],
)
def test_a_wrong_download_leaves_nothing_behind(served, tmp_path, monkeypatch, content, changes, message):
    address, folder = served
    if content is not None:
        (folder / "data.zip").write_bytes(content)
    list_address(monkeypatch, "mtod", address=f"{address}/data.zip", **changes)
    with pytest.raises(DataError, match=message) as caught:
        attempt("mtod", tmp_path / "home")
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "home" / "corpora").iterdir()) == []


def test_a_download_that_breaks_off(served, tmp_path, monkeypatch):
    list_address(monkeypatch, "mtod", address=f"{served[0]}/short.zip")
    with pytest.raises(DataError, match=r"cannot download mtod from .*/short.zip \(.*9 of 1000 bytes.*\): put that"):
        attempt("mtod", tmp_path / "home")
    assert list((tmp_path / "home" / "corpora").iterdir()) == []


@pytest.mark.parametrize("name", ["mtop", "mtod"])
def test_unreachable(tmp_path, monkeypatch, name):
    list_address(monkeypatch, name, address="http://127.0.0.1:9/data.zip")
    with pytest.raises(DataError) as caught:
        attempt(name, tmp_path)
    message = str(caught.value)
    assert message.startswith(f"cannot download {name} from http://127.0.0.1:9/data.zip (")
    assert message.endswith(f"): put that file at {tmp_path}/corpora/{name}.zip, or give --data PATH")
    assert "\n" not in message


def test_a_home_that_cannot_be_written(tmp_path):
    (tmp_path / "corpora").write_text("in the way")
    for name in ("mtod", "mtop-mini"):
        with pytest.raises(DataError, match=r"cannot write .*corpora/.*another --home"):
            attempt(name, tmp_path)


def test_importing_corpora_is_light():
    heavy = "{'torch', 'transformers', 'datasets', 'ray', 'mlflow', 'optuna'}"
    code = f"import sys, xa_search.corpora; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", ["de-DE", "nb-NO", "zh-CN", "zh-TW", "fil-PH", "fil", "de", "no"])
def test_the_locales_of_massive_are_known_by_all_their_names(write, name):
    locale = {"fil": "tl-PH", "fil-PH": "tl-PH", "de": "de-DE", "no": "nb-NO"}.get(name, name)
    line = massive_line("ni hao", id="1", partition="test")
    root = write({"en-US.jsonl": line, f"{locale}.jsonl": line})
    corpus = attempt("massive", root, (name,), data=root, to_train=False)
    (row,) = corpus.rows(name, "test")
    assert row.words == ("ni", "hao")


@pytest.mark.parametrize(
    ("corpus", "lang", "near"),
    [("massive", "zh-HK", "zh or zh-TW"), ("massive", "de-AT", "de"), ("mtop", "fr-FR", "fr"), ("mtop", "dee", "de")],
)
def test_a_language_is_proposed_by_its_language(write, corpus, lang, near):
    with pytest.raises(DataError, match=f"has no language '{lang}': did you mean {near}[?]"):
        attempt(corpus, write({"a": ""}), (lang,))


def test_a_locale_given_by_two_names_is_given_twice(write):
    with pytest.raises(UsageError, match="a target language is given twice in de, de-DE"):
        attempt("massive", write({"a": ""}), ("de", "de-DE"))
