"""Pairs are checked, however they are joined: what agrees no better than by chance is refused, with the figures."""

import random

import pytest
from raw_samples import mtop_line

from xa_search.corpora import check_corpus, open_corpus

CITIES = ("paris", "berlin", "rome", "oslo", "lima", "kyoto", "quito", "delhi")
INTENTS = ("fly", "stop", "book")


def rows(count, lang):
    """Give words, slot labels and intents as MultiATIS++ has them: names and numbers are those of every language."""
    rng = random.Random(7)
    filler = {"en": "please", "de": "bitte", "ja": "\u304a\u9858\u3044"}[lang]
    found = []
    for number in range(count):
        intent, city = rng.choice(INTENTS), rng.choice(CITIES)
        words = [
            lang + intent,
            *([filler] * rng.randrange(7)),
            f"{number}",
            city if lang != "ja" else f"\u90fd{number % 5}",
        ]
        tags = ["O"] * (len(words) - 1) + [f"B-{rng.choice('abcd')}"]
        found.append((" ".join(words), " ".join(tags), intent))
    return found


def table(found, ids):
    lines = ("\t".join((str(own), *row)) for own, row in zip(ids, found, strict=True))
    return "id\tutterance\tslot_labels\tintent\n" + "".join(f"{line}\n" for line in lines)


def multiatis(write, lang, ids, count=400):
    files = {f"{split}_EN.tsv": table(rows(count, "en"), range(count)) for split in ("train", "dev", "test")}
    files |= {f"{split}_{lang.upper()}.tsv": table(rows(count, lang), ids) for split in ("train", "test")}
    return open_corpus("multiatis", source="en", targets=(lang,), data=write(files), home=write({"x": ""}, "home"))


def pairs_of(corpus):
    (found,) = check_corpus(corpus, ("train",)).translations
    return found


def shuffled(count):
    ids = list(range(count))
    random.Random(3).shuffle(ids)
    return ids


@pytest.mark.parametrize("lang", ["de", "ja"])
def test_pairs_that_belong_together_are_above_chance(write, lang):
    found = pairs_of(multiatis(write, lang, range(400)))
    assert (found.translations, found.fault) == (400, "")
    shown = {one.sign: one for one in found.agreements}
    assert {"intents", "slot types", "numbers", "lengths"} <= shown.keys()
    assert all(one.above_chance for one in shown.values())
    assert (shown["intents"].agreement, 0.2 < shown["intents"].by_chance < 0.5) == (1.0, True)


def test_ids_that_mean_other_rows_are_refused_with_the_figures(write):
    fault = pairs_of(multiatis(write, "ja", shuffled(400))).fault
    assert fault.startswith("ja: intents agree in 3")
    assert ", by chance 3" in fault
    assert "slot types agree in" in fault
    assert fault.endswith(
        "the ids of multiatis ja are not those of en; give translations by line instead: translations.ja.txt, "
        "one line for each row of the en training file"
    )


def by_line(write, lines, count=600):
    english = "".join(mtop_line(text, row_id=None) for text, _, _ in rows(count, "en"))
    files = {f"en/{split}.txt": english for split in ("train", "eval", "test")}
    root = write(files | {"de/test.txt": english, "translations/de.txt": "".join(f"{line}\n" for line in lines)})
    return open_corpus("mtop", source="en", targets=("de",), data=root, home=root)


def test_lines_in_another_order_are_refused(write):
    lines = [text for text, _, _ in rows(600, "de")]
    assert pairs_of(by_line(write, lines)).fault == ""
    mixed = [lines[place] for place in shuffled(600)]
    fault = pairs_of(by_line(write, mixed)).fault
    assert "lengths correlate by" in fault
    assert "translations/de.txt is not the translation of its en row" in fault


def test_lines_that_are_shifted_from_some_line_on_are_refused(write):
    lines = [text for text, _, _ in rows(600, "de")]
    shifted = [*lines[:350], *lines[351:], "noch eins"]
    found = pairs_of(by_line(write, shifted))
    assert all(one.above_chance for one in found.agreements), "as a whole, it looks well"
    assert "de: in part 5 of 6, en-train-401 to en-train-500, numbers agree in" in found.fault


def test_too_few_pairs_are_not_judged(write):
    lines = [text for text, _, _ in rows(60, "de")]
    assert pairs_of(by_line(write, lines[::-1], 60)).fault == ""


def test_labels_of_another_scheme_do_not_count(write):
    """A target may name its intents otherwise: only its words are used, and they are right."""
    files = {f"{split}_EN.tsv": table(rows(200, "en"), range(200)) for split in ("train", "dev", "test")}
    german = [(words, tags, f"de-{intent}") for words, tags, intent in rows(200, "de")]
    root = write(files | {"train_DE.tsv": table(german, range(200)), "test_DE.tsv": table(german, range(200))})
    found = pairs_of(open_corpus("multiatis", source="en", targets=("de",), data=root, home=root))
    assert (found.fault, "intents" in {one.sign for one in found.agreements}) == ("", False)
