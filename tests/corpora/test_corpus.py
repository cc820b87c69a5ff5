"""A corpus as the rest of the program sees it: folders, zips, translations, fingerprint, check, stats."""

import json
import pickle

import pytest
from raw_samples import conll_block, massive_line, mtop_line, pawsx_lines, xsid_block
from tiny_corpora import WRITERS, write_corpus

from xa_search.corpora import check_corpus, corpus_stats, open_corpus
from xa_search.corpora.raw_files import RawFiles
from xa_search.errors import DataError
from xa_search.records import Translation, Utterance


def mtop_files(ids=True, **more):
    def line(number, text):
        return mtop_line(text, row_id=str(number) if ids else None)

    files = {
        "en/train.txt": line(1, "wake me") + line(2, "stop it") + line(3, "play"),
        "en/eval.txt": line(4, "wake up"),
        "en/test.txt": line(5, "wake her"),
        "de/eval.txt": line(4, "wach auf"),
        "de/test.txt": line(5, "weck sie"),
    }
    if ids:
        files["de/train.txt"] = line(2, "hör auf") + line(1, "weck mich") + line(9, "fremd") + line(1, "doppelt")
    return files | more


def opened(root, name="mtop", targets=("de",), tmp=None):
    return open_corpus(name, source="en", targets=targets, data=root, home=root / "none")


def test_folder_zip_and_top_folder_are_the_same_corpus(write, write_zip):
    files = mtop_files()
    topped = {f"mtop/{name}": text for name, text in files.items()}
    corpora = [
        opened(root) for root in (write(files), write_zip(files), write(topped, "b"), write_zip(topped, "b.zip"))
    ]
    seen = [
        (
            [list(corpus.utterances(lang, split)) for lang in ("en", "de") for split in ("train", "dev", "test")],
            list(corpus.translations("de")),
            corpus.fingerprint(),
            check_corpus(corpus),
            corpus_stats(corpus),
        )
        for corpus in corpora
    ]
    assert seen[0] == seen[1] == seen[2] == seen[3]
    assert seen[0][0][1] == [
        Utterance(id="4", lang="en", split="dev", words=("wake", "up"), intent="SET_ALARM", slots=("O", "O"))
    ]
    assert pickle.loads(pickle.dumps(corpora[1])) == corpora[1]


def test_pairs_by_shared_id_hold_no_labels(write):
    found = list(opened(write(mtop_files())).translations("de"))
    assert found == [
        Translation(source_id="2", lang="de", words=("hör", "auf"), running_text=False),
        Translation(source_id="1", lang="de", words=("weck", "mich"), running_text=False),
    ]


def test_labels_of_the_target_training_file_are_not_looked_at(write):
    bad = {"de/train.txt": mtop_line("hör auf", "banana", intent="", row_id="2")}
    found = list(opened(write(mtop_files(**bad))).translations("de"))
    assert [pair.words for pair in found] == [("hör", "auf")]


@pytest.mark.parametrize("name", ["de/train.tsv", "translations/de.txt", "translations.de.txt"])
def test_pairs_by_line(write, name):
    lines = "weck\u00a0mich bitte\r\n\r\nspiel\u200b was\r\n"
    found = list(opened(write(mtop_files(ids=False, **{name: lines}))).translations("de"))
    assert found == [
        Translation(source_id="en-train-1", lang="de", words=("weck", "mich", "bitte"), running_text=True),
        Translation(source_id="en-train-3", lang="de", words=("spiel", "was"), running_text=True),
    ]


def test_a_dropped_row_keeps_its_line(write):
    train = mtop_line("wake me", row_id=None) + "broken\n\n" + mtop_line("play", row_id=None)
    files = mtop_files(ids=False) | {"en/train.txt": train, "de/train.tsv": "eins\nzwei\ndrei\nvier\n\n"}
    found = list(opened(write(files)).translations("de"))
    assert [(pair.source_id, pair.words) for pair in found] == [("en-train-1", ("eins",)), ("en-train-4", ("vier",))]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({}, r"no translations of mtop into de in .*: add translations.de.txt, one line for each row of the en train"),
        ({"de/train.tsv": "eins\nzwei\n"}, r"de/train.tsv has fewer lines than en training rows .*line 3"),
        ({"de/train.tsv": "1\n2\n3\n4\n"}, r"de/train.tsv:4: a line too many, the en training file has 3 rows"),
    ],
)
def test_translations_that_do_not_fit(write, more, message):
    corpus = opened(write(mtop_files(ids=False, **more)))
    with pytest.raises(DataError, match=message) as caught:
        list(corpus.translations("de"))
    assert "\n" not in str(caught.value)


def test_ids_that_are_not_shared(write):
    corpus = opened(write(mtop_files() | {"de/train.txt": mtop_line("fremd", row_id="77")}))
    with pytest.raises(DataError, match=r"no translations of mtop into de: .*de/train.txt shares no id"):
        list(corpus.translations("de"))


def test_a_row_given_twice_is_dropped_and_other_words_of_its_id_stay(write):
    rows = [("a", "1"), ("b", "1"), ("a", "1"), ("b", "1"), ("c", "1"), ("d", "1#2"), ("e", "2")]
    corpus = opened(write(mtop_files() | {"en/train.txt": "".join(mtop_line(text, row_id=own) for text, own in rows)}))
    kept = [(row.id, row.words) for row in corpus.utterances("en", "train")]
    assert kept == [("1", ("a",)), ("1#2", ("b",)), ("1#3", ("c",)), ("1#2#2", ("d",)), ("2", ("e",))]
    train = check_corpus(corpus).splits[0]
    assert (train.rows, train.dropped, train.reasons) == (7, 2, {"duplicate_id": 2})


def test_of_several_translations_of_an_utterance_a_pair_takes_the_first(write):
    german = mtop_line("weck mich", row_id="1") + mtop_line("wecke mich", row_id="1") + mtop_line("halt", row_id="2")
    corpus = opened(write(mtop_files() | {"de/train.txt": german}))
    assert [row.id for row in corpus.utterances("de", "train")] == ["1", "1#2", "2"]
    assert [(pair.source_id, pair.words) for pair in corpus.translations("de")] == [
        ("1", ("weck", "mich")), ("2", ("halt",))
    ]  # fmt: skip


def test_rows_of_files_put_together_all_train(write):
    """Ids that restart are no reason to drop: each row keeps its words, and pairs go by the first."""
    lines = "".join(mtop_line(f"row {n}", row_id=str(n % 10)) for n in range(80))
    corpus = opened(write(mtop_files() | {"en/train.txt": lines, "de/train.txt": lines.replace("row", "zeile")}))
    read = list(corpus.utterances("en", "train"))
    assert (len(read), len({row.id for row in read})) == (80, 80)
    assert [pair.words[1] for pair in corpus.translations("de")] == [str(n) for n in range(10)]


def mtod_files():
    return {
        "en/train-en.conllu": conll_block(("wake", "NoLabel"), ("me", "I-who")) * 2 + "1\tx\n\n",
        "en/dev-en.conllu": conll_block(("wake", "NoLabel")),
        "en/test-en.conllu": conll_block(("wake", "NoLabel")),
        "en/train.tsv": "wake me\nwake me\nx\n",
        "es/train.tsv": "despiértame\n\nx\n",
        "es/test-es.conllu": conll_block(("pon", "B-otro"), ("me", "B-who"), intent="nuevo"),
    }


def test_check(write_zip):
    corpus = opened(write_zip(mtod_files()), "mtod", ("es",))
    check = check_corpus(corpus)
    train, dev, test, spanish = check.splits
    assert (train.rows, train.repaired, train.dropped) == (3, 0, 1)
    assert (train.tags, train.converted, train.reasons) == ("IO", 2, {"wrong_columns": 1})
    assert [fault.where for fault in train.first_faults] == ["en/train-en.conllu:13"]
    assert (dev.rows, dev.reasons, test.split) == (1, {}, "test")
    assert (spanish.lang, spanish.unseen_intents, spanish.unseen_slot_types) == ("es", ("nuevo",), ("otro",))
    assert check.absent == (("train", "es"), ("dev", "es"))
    (pairs,) = check.translations
    assert (pairs.lang, pairs.translations, pairs.missing) == ("es", 1, 1)


def test_a_corpus_without_training_files_can_be_looked_at_and_not_trained_on(write_zip):
    """As the release of xSID comes: tests and validation files only, dialects without validation here."""
    files = {f"xsid/{lang}.test.conll": xsid_block(("stop", "O")) for lang in ("en", "de", "gsw")}
    root = write_zip(files | {"xsid/en.valid.conll": xsid_block(("go", "O"), row_id=None)})
    with pytest.raises(DataError, match=r"xsid has no train file of en in .*: add en.train.conll, or give another"):
        opened(root, "xsid")
    targets = ("de", "gsw", "nap")
    corpus = open_corpus("xsid", source="en", targets=targets, data=root, home=root, to_train=False)
    check = check_corpus(corpus)
    assert [(split.split, split.lang, split.rows) for split in check.splits] == [
        ("dev", "en", 1), ("test", "en", 1), ("test", "de", 1), ("test", "gsw", 1)
    ]  # fmt: skip
    assert [lang for split, lang in check.absent if split == "test"] == ["nap"]
    assert check.translations == ()
    assert [split.lang for split in corpus_stats(corpus).splits] == ["en", "en", "de", "gsw"]
    with pytest.raises(DataError, match=r"mtop has no test file of en"):
        open_corpus("mtop", source="en", targets=("de",), data=root, home=root, to_train=False)


def massive_files():
    def line(number, text, partition="train", **changes):
        return massive_line(text, id=str(number), partition=partition, **changes)

    english = line(1, "wake me") + line(2, "stop [date : now]") + line(3, "go", "dev") + line(4, "go on", "test")
    german = line(4, "weiter", "test") + line(2, "hör [date : jetzt", "train") + line(1, "weck mich", intent="x")
    return {
        "data/en-US.jsonl": english + line(2, "stop it"),
        "data/de-DE.jsonl": german + line(3, "los", "dev"),
        "LICENSE": "",
    }


def test_massive_as_a_tar_a_zip_and_a_folder(write, write_zip, write_tar):
    """Pairs go by id, whatever is wrong with the target's labels; only training rows are pairs."""
    files = massive_files()
    topped = {f"1.1/{name}": text for name, text in files.items()}
    flat = {name.removeprefix("data/"): text for name, text in files.items()}
    for root in (
        write_tar(topped),
        write_tar({f"./{n}": text for n, text in flat.items()}, "flat.tgz"),
        write_zip(topped),
        write(flat),
    ):
        corpus = opened(root, "massive")
        assert [utterance.words for utterance in corpus.utterances("en", "train")] == [
            ("wake", "me"),
            ("stop", "now"),
            ("stop", "it"),
        ]
        assert [utterance.id for utterance in corpus.utterances("de", "test")] == ["4"]
        pairs = {pair.source_id: pair.words for pair in corpus.translations("de")}
        assert pairs["1"] == ("weck", "mich")
        assert pairs.keys() == {"1", "2"}
        check = check_corpus(corpus)
        assert [(split.rows, split.dropped, split.reasons) for split in check.splits[:2]] == [
            (3, 0, {}), (2, 1, {"bad_markup": 1})
        ]  # fmt: skip
        assert (check.translations[0].translations, check.translations[0].missing) == (2, 1)


PAWSX = {
    "en/train.tsv": pawsx_lines(
        ("1", "wake me", "wake up", "1"), ("2", "NS", "b", "0"), ("3", "go", "", "0"), ("4", "go", "stop", "0")
    ),
    "de/translated_train.tsv": pawsx_lines(("4", "los", "halt", ""), ("2", "c", "b", "0"), ("1", "NS", "auf", "1")),
    **{
        f"{lang}/{split}_2k.tsv": pawsx_lines(("1", "a", "b", "0"))
        for lang in ("en", "de")
        for split in ("dev", "test")
    },
}


def test_pawsx_pairs_go_by_id_and_what_is_not_translated_is_counted(write, write_zip, write_tar):
    topped = {f"x-final/{name}": text for name, text in PAWSX.items()}
    twice = {f"pawsx/{name}": text for name, text in topped.items()}
    for root in (write(PAWSX), write_zip(topped), write_tar(topped), write(twice, "b")):
        corpus = opened(root, "pawsx")
        assert [(row.id, row.intent) for row in corpus.utterances("en", "train")] == [("1", "1"), ("4", "0")]
        pairs = [(pair.source_id, " ".join(pair.words)) for pair in corpus.translations("de")]
        assert pairs == [("4", "los ||| halt")]
        check = check_corpus(corpus)
        english, german = check.splits[:2]
        assert english.reasons == {"not_translated": 2}
        assert english.first_faults[0].where == f"{corpus.file_of('en', 'train')}:3"
        assert (german.reasons, german.unseen_slot_types) == ({"bad_label": 1, "not_translated": 1}, ())
        assert (check.translations[0].translations, check.translations[0].missing) == (1, 1)


def test_stats(write):
    corpus = opened(write(mtod_files()), "mtod", ("es",))
    stats = corpus_stats(corpus)
    train, dev, _, spanish = stats.splits
    assert (train.utterances, train.words, train.mean_words) == (2, 4, 2.0)
    assert (train.intents, train.slot_types, train.share_in_train) == (1, 1, 0.5)
    assert (dev.repeated, spanish.share_in_train) == (0, None)
    assert stats.pairs == {"es": 1}


def test_no_test_file_is_opened_before_the_winner_is_chosen(write, monkeypatch):
    corpus = opened(write(mtop_files()))
    touched = []
    stream = RawFiles._stream
    monkeypatch.setattr(RawFiles, "_stream", lambda self, name: (touched.append(name), stream(self, name))[1])
    corpus.fingerprint()
    check_corpus(corpus, ("train", "dev"))
    assert touched
    assert not [name for name in touched if "test" in name]


def test_the_fingerprint_follows_what_is_trained_on(write):
    files = mtop_files()
    base = opened(write(files)).fingerprint()
    for name, changes in [(name, name != "en/test.txt" and name != "de/test.txt") for name in files]:
        changed = opened(write(files | {name: files[name] + mtop_line("more", row_id="50")}, f"x{name}"))
        assert (changed.fingerprint() != base) == changes, name


def test_only_a_search_that_learns_from_them_follows_the_targets_training_files(write):
    labelled = conll_block(("pon", "NoLabel"))
    corpus, other = (
        opened(write(mtod_files() | {"es/train-es.conllu": labelled * rows}, str(rows)), "mtod", ("es",))
        for rows in (1, 2)
    )
    assert corpus.fingerprint() == other.fingerprint()
    assert corpus.fingerprint(with_target_train=True) != other.fingerprint(with_target_train=True)


def test_utterances_are_produced_lazily(write, monkeypatch):
    lines = "".join(mtop_line(f"wake me {i}", row_id=str(i)) for i in range(5000))
    corpus = opened(write(mtop_files() | {"en/train.txt": lines}))
    served = 0
    real = RawFiles.lines

    def counted(self, name):
        nonlocal served
        for line in real(self, name):
            served += 1
            yield line

    monkeypatch.setattr(RawFiles, "lines", counted)
    utterances = corpus.utterances("en", "train")
    assert served == 0
    assert next(utterances).words == ("wake", "me", "0")
    assert served == 1


def jsonl_files(nested=False, **more):
    def line(number, *tokens):
        return json.dumps({"id": number, "tokens": tokens, "intent": "go", "slots": ["O"] * len(tokens)}) + "\n"

    files = {
        f"{lang}/{split}.jsonl" if nested else f"{split}.{lang}.jsonl": line(i, "a", lang, str(i))
        for lang in ("en", "de")
        for i, split in enumerate(("train", "dev", "test"))
    }
    return files | more


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("top", ["", "mine/"])
def test_own_corpus(write, write_zip, nested, top):
    files = {top + name: text for name, text in jsonl_files(nested).items()}
    for root in (write(files), write_zip(files)):
        corpus = opened(root, "jsonl")
        assert [utterance.words for utterance in corpus.utterances("de", "test")] == [("a", "de", "2")]
        assert list(corpus.translations("de")) == [
            Translation(source_id="0", lang="de", words=("a", "de", "0"), running_text=False)
        ]
        with pytest.raises(DataError, match=r"jsonl in .* has no language 'dee': did you mean de\?; it has de, en"):
            opened(root, "jsonl", ("dee",))


@pytest.mark.parametrize(
    ("row", "words", "running"),
    [({"id": "0", "text": "ein Satz"}, ("ein", "Satz"), True), ({"id": 0, "tokens": ["ein"]}, ("ein",), False)],
)
def test_own_translations(write, row, words, running):
    files = jsonl_files() | {"translations.de.jsonl": "broken\n" + json.dumps(row) + "\n"}
    assert list(opened(write(files), "jsonl").translations("de")) == [
        Translation(source_id="0", lang="de", words=words, running_text=running)
    ]


def test_own_corpus_without_ids_has_no_pairs(write):
    plain = json.dumps({"tokens": ["a"], "intent": "go", "slots": ["O"]})
    corpus = opened(write(jsonl_files() | {"train.en.jsonl": plain}), "jsonl")
    with pytest.raises(DataError, match=r"no translations of jsonl into de .*ids"):
        list(corpus.translations("de"))


def test_multiatis_pairs(write):
    def table(*rows):
        return "id\tutterance\tslot_labels\tintent\n" + "".join("\t".join(row) + "\n" for row in rows)

    files = {
        "train_EN.tsv": table(("1", "go home", "O O", "fly"), ("2", "stop", "O", "halt")),
        "dev_EN.tsv": table(("3", "go", "O", "fly")),
        "test_EN.tsv": table(("4", "go", "O", "fly")),
        "train_DE.tsv": table(("2", "halt ein", "O", "x"), ("3", "los", "O", "fly")),
        "test_DE.tsv": table(("4", "los", "O", "fly")),
    }
    lower = {f"{name[-6:-4].lower()}/{name.split('_')[0]}.tsv": text for name, text in files.items()}
    for root in (write(files), write(lower, "lower")):
        corpus = opened(root, "multiatis")
        assert [pair.words for pair in corpus.translations("de")] == [("halt", "ein")]
        assert check_corpus(corpus).splits[1].reasons == {"different_lengths": 1}


def test_multiatis_intents_joined_by_a_space_are_those_of_english(write):
    rows = {"EN": "atis_flight#atis_airfare", "HI": "atis_flight airfare", "TR": "atis_flight unknown"}
    files = {
        f"{split}_{lang}.tsv": f"1\tgo\tO\t{intent}\n" for lang, intent in rows.items() for split in ("train", "test")
    }
    corpus = opened(write(files | {"dev_EN.tsv": "1\tgo\tO\tx\n"}), "multiatis", ("hi", "tr"))
    found = {lang: next(corpus.rows(lang, "test")) for lang in ("en", "hi", "tr")}
    assert {lang: row.intent for lang, row in found.items()} == {
        "en": "atis_flight#atis_airfare", "hi": "atis_flight#atis_airfare", "tr": "atis_flight unknown"
    }  # fmt: skip
    assert {lang: row.repairs for lang, row in found.items()} == {"en": (), "hi": ("joined_intent",), "tr": ()}


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_every_corpus_takes_translations_by_line(tmp_path, name):
    """Beside the data or in a folder of their own; they come before rows that share an id."""
    root = tmp_path / "raw"
    (target,) = write_corpus(name, root)
    corpus = open_corpus(name, source="en", targets=(target,), data=root, home=tmp_path / "none")
    rows = list(corpus.rows("en", "train"))
    lines = "".join(f"zeile {number}\n" for number, _ in enumerate(rows))
    usable = [number for number, row in enumerate(rows) if row.dropped is None]
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / f"{target}.txt").write_text(lines)
    given = open_corpus(
        name, source="en", targets=(target,), data=root, home=tmp_path / "none", translations=tmp_path / "given"
    )
    (root / f"translations.{target}.txt").write_text(lines)
    beside = open_corpus(name, source="en", targets=(target,), data=root, home=tmp_path / "none")
    for one in (given, beside):
        assert [pair.words[1] for pair in one.translations(target)] == [str(number) for number in usable]
        assert one.fingerprint() != corpus.fingerprint()


def test_a_folder_without_translations_is_an_error(write):
    root, empty = write(mtop_files()), write({"fr.txt": "un\n"}, "given")
    with pytest.raises(DataError, match=r"--translations .*given: holds none of de.txt"):
        open_corpus("mtop", source="en", targets=("de",), data=root, home=root, translations=empty)


def test_multiatis_as_the_authors_of_xeroalign_give_it(write, write_zip):
    """`train.tsv` is no training set there, but one translation a line."""
    header = "id\tutterance\tslot_labels\tintent\n"
    english = header + "1\tgo home\tO B-place\tfly\n" + "2\tstop\tO\thalt\n"
    files = {f"en/{split}.txt": english for split in ("train", "dev", "test")}
    files |= {"hi/test.txt": header + "1\tghar jao\tB-place O\tfly\n", "hi/train.tsv": "ghar jao\nruko\n"}
    files |= {"tr/test.txt": files["hi/test.txt"], "tr/train.txt": header + "2\tdur\tO\thalt\n"}
    for root in (write(files), write_zip({f"m/atis/{name}": text for name, text in files.items()})):
        corpus = opened(root, "multiatis", ("hi", "tr"))
        assert [row.intent for row in corpus.utterances("en", "train")] == ["fly", "halt"]
        assert [row.slots for row in corpus.utterances("hi", "test")] == [("B-place", "O")]
        assert corpus.file_of("hi", "train") is None
        assert [(pair.source_id, pair.words) for pair in corpus.translations("hi")] == [
            ("1", ("ghar", "jao")), ("2", ("ruko",))
        ]  # fmt: skip
        assert [pair.words for pair in corpus.translations("tr")] == [("dur",)]
