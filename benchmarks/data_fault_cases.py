"""The faults in data that were found, each with its input made here. In: nothing. Out: files, commands, tests by row.

A row is the number that the fault had when it was found. D23 (translations of held-out utterances among the training
pairs) is about fair comparison, not about reading.
"""

import io
import json
import unicodedata
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Files = Mapping[str, str | bytes]
SPLITS = ("train", "dev", "test")
SPACE = "mtop-mini"
OWN = (
    *("run", SPACE, "--local", "--data", "DATA", "--set", "corpus=own", "--set", "targets=[de]"),
    *("--set", "params.model_size.choices=[tiny]", "--set", "baseline=null", "--set", "published=null"),
)
DRY = ("run", "DATA/space.yaml", "--dry-run")
MODEL = "xa-search-mtop-mini/1"
PREDICT = ("predict", "--model", MODEL)
BILOU = ["O", "B-x", "L-x", "O", "U-y"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One input of a fault. In the command, DATA stands for the folder of the files."""

    row: str
    what: str
    command: tuple[str, ...]
    test: str
    files: Files = field(default_factory=dict)
    typed: bytes = b""
    served: tuple[object, ...] = ()  # asked of the served model, in place of a command


def own(words: str, tags: str | None, number: int | None = None, intent: str = "go") -> str:
    """Return a line of JSONL."""
    row: dict[str, object] = {} if number is None else {"id": number}
    row |= {"tokens": words.split(" "), "intent": intent} | ({} if tags is None else {"slots": tags.split()})
    return json.dumps(row) + "\n"


def everywhere(
    text: str, name: str = "{split}.{lang}.jsonl", languages: Iterable[str] = ("en", "de")
) -> dict[str, str]:
    """Return the same text as each split of each language."""
    return {name.format(split=split, lang=lang, LANG=lang.upper()): text for lang in languages for split in SPLITS}


def plain(count: int, tags: str = "O B-x") -> str:
    return "".join(own(f"go{number} on", tags, number, f"go{number % 5}") for number in range(count))


def atis(rows: Iterable[tuple[object, str, str, str]]) -> str:
    lines = ("\t".join(map(str, row)) + "\n" for row in rows)
    return "id\tutterance\tslot_labels\tintent\n" + "".join(lines)


def atis_rows(ids: Iterable[int], lang: str = "en") -> str:
    """Return rows whose intents, slot types and numbers follow their place, whatever their ids."""
    rows = []
    for place, own_id in enumerate(ids):
        length = place * 3 % 7
        words, tags = [f"{lang}fly", *["now"] * length, str(place)], [*["O"] * (length + 1), f"B-{'abcd'[place % 4]}"]
        rows.append((own_id, " ".join(words), " ".join(tags), f"atis_{'xyz'[place % 3]}"))
    return atis(rows)


def mtop(text: str, slots: str = "", number: int = 1) -> str:
    words = text.split()
    starts = [len(" ".join([*words[:place], ""])) for place in range(len(words))]
    spans = [{"start": start, "length": len(word)} for start, word in zip(starts, words, strict=True)]
    tokens = json.dumps({"tokens": words, "tokenSpans": spans}, ensure_ascii=False)
    return f"{number}\tIN:GO\t{slots}\t{text}\tx\ten_XX\t[x]\t{tokens}\n"


def massive(locale: str) -> str:
    rows = (
        {"id": str(number), "locale": locale, "partition": split, "intent": "go", "utt": f"go {number}",
         "annot_utt": f"go [time : {number}]"}
        for number, split in enumerate(SPLITS * 4)
    )  # fmt: skip
    return "".join(json.dumps(row) + "\n" for row in rows)


def pawsx(*rows: tuple[str, str, str, str]) -> str:
    return "".join("\t".join(row) + "\n" for row in (("id", "sentence1", "sentence2", "label"), *rows))


def zipped(files: Files, separator: str = "/") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("/", separator), content)
    return packed.getvalue()


def check(corpus: str, *more: str, data: str = "DATA") -> tuple[str, ...]:
    return ("data", "check", "--corpus", corpus, "--data", data, *more)


SHUFFLED = [place * 7 % 400 for place in range(400)]
MTOP_FILES = everywhere(mtop("wake me", "5:7:SL:X"), "{lang}/{split}.txt")
NS_ROWS = pawsx(("1", "a b", "b a", "1"), ("2", "NS", "b", "0"), ("3", "a", "", "0"), ("4", "c d", "d c", "0"))
NS_FILES = {
    **{f"{lang}/{split}_2k.tsv": NS_ROWS for lang in ("en", "de") for split in ("dev", "test")},
    "en/train.tsv": NS_ROWS,
    "de/translated_train.tsv": NS_ROWS,
}
SPACE_TEXT = """corpus: mtop-mini
targets: [de]
params: {learning_rate: {low: 1e-5, high: 1e-3}, model_size: {choices: [tiny]}}
"""

CASES = (
    Case(row="D1", what="BILOU tags in all 40 rows, half of them in lower case",
         files=everywhere("".join(own("go to new york now", " ".join(BILOU if n % 2 else [t.lower() for t in BILOU]), n)
                                  for n in range(40)).replace('"o"', '"O"')),
         command=check("own"), test="tests/corpora/test_tags.py::test_rows_of_any_scheme_are_kept_and_counted"),
    Case(row="D1", what="half of the rows have a tag of no scheme",
         files=everywhere(plain(20) + "".join(own(f"stay{n} on", "O city", n) for n in range(20, 40))),
         command=OWN, test="tests/corpora/test_lost_rows.py::"
         "test_a_share_of_the_rows_with_slots_is_refused_though_few_rows_are_lost"),
    Case(row="D2", what="80 rows put together of eight files: ids restart at 0",
         files=everywhere("".join(own(f"go{n} on{n}", "O B-x", n % 10) for n in range(80))),
         command=check("own"), test="tests/corpora/test_corpus.py::test_rows_of_files_put_together_all_train"),
    Case(row="D2", what="a search on 40 rows, 4 of them broken", files=everywhere(plain(36) + "{broken\n" * 4),
         command=OWN, test="tests/workflows/test_data_losses.py::test_a_search_tells_of_losses_and_refuses_great_ones"),
    Case(row="D3", what="MultiATIS++: two Hindi translations of each utterance under its id",
         files={f"{split}_{lang}.tsv": atis([(n // 2 if lang == "HI" else n, f"{lang}{n} fly", "B-x O", "atis_a")
                                             for n in range(20)]) for lang in ("EN", "HI") for split in SPLITS},
         command=check("multiatis", "--lang", "en,hi"),
         test="tests/corpora/test_corpus.py::test_a_row_given_twice_is_dropped_and_other_words_of_its_id_stay"),
    Case(row="D4", what="MultiATIS++: Japanese ids that mean other rows than the English ones",
         files={f"{split}_{lang}.tsv": atis_rows(SHUFFLED if lang == "JA" else range(400), lang.lower())
                for lang in ("EN", "JA") for split in SPLITS},
         command=("run", SPACE, "--local", "--data", "DATA", "--set", "corpus=multiatis", "--set", "targets=[ja]",
                  "--set", "params.model_size.choices=[tiny]", "--set", "baseline=null", "--set", "published=null"),
         test="tests/corpora/test_pairs.py::test_ids_that_mean_other_rows_are_refused_with_the_figures"),
    Case(row="D5", what="MultiATIS++ as XeroAlign's authors give it: LANG/train.txt, de/train.tsv by line",
         files=everywhere(atis_rows(range(40)), "{lang}/{split}.txt") | {"de/train.tsv": "los jetzt\n" * 40},
         command=check("multiatis", "--lang", "en,de"),
         test="tests/corpora/test_corpus.py::test_multiatis_as_the_authors_of_xeroalign_give_it"),
    Case(row="D5", what="MultiATIS++ with translations.de.txt beside it, 3 of 40 lines empty",
         files=everywhere(atis_rows(range(40)), "{split}_{LANG}.tsv", ("en",))
         | {"test_DE.tsv": atis_rows(range(40)), "translations.de.txt": "\n" * 3 + "los jetzt\n" * 37},
         command=check("multiatis", "--lang", "en,de"),
         test="tests/corpora/test_corpus.py::test_every_corpus_takes_translations_by_line"),
    Case(row="D6", what="a zip with the files four folders deep",
         files={"deep.zip": zipped({f"A/b/c/d/{name}": text for name, text in MTOP_FILES.items()})},
         command=check("mtop", "--lang", "en,de", data="DATA/deep.zip"),
         test="tests/corpora/test_raw_files.py::test_files_lie_at_any_depth_of_any_kind_of_archive"),
    Case(row="D6", what="a zip that holds the corpus twice",
         files={"two.zip": zipped({f"{top}/{name}": text for name, text in MTOP_FILES.items()
                                   for top in ("one", "two")})},
         command=check("mtop", "--lang", "en,de", data="DATA/two.zip"),
         test="tests/corpora/test_raw_files.py::test_two_files_at_different_depths_are_an_error_that_names_both"),
    Case(row="D7", what="French: a no-break space inside a word that has a slot",
         files=everywhere(own("vers 5\u00a0heures", "O B-time"), languages=("en", "fr")), command=check("own"),
         test="tests/corpora/test_text.py::test_no_break_spaces_split_a_french_row_and_its_slot_goes_on"),
    Case(row="D8", what="a zero-width space in a German tag, a German intent in decomposed letters",
         files=everywhere(own("go on", "O B-city", intent="caf\u00e9"), languages=("en",))
         | everywhere(own("los an", "O B-ci\u200bty", intent="cafe\u0301"), languages=("de",)), command=check("own"),
         test="tests/corpora/test_text.py::test_labels_that_look_the_same_are_the_same"),
    Case(row="D9", what="a text, and the same with a no-break space, a zero-width mark and decomposed letters",
         command=(*PREDICT, "wake me at 7 in the caf\u00e9",
                  "wake\u00a0me\u200b at 7 in the " + unicodedata.normalize("NFD", "caf\u00e9")),
         test="tests/tracking/test_registry.py::"
         "test_a_test_set_full_of_marks_is_answered_alike_by_predict_evaluate_and_http"),
    Case(row="D10", what="`</s>` and `<pad>` typed by a user", command=(*PREDICT, "wake me </s> <pad> at 7"),
         test="tests/model/test_plain_text.py::test_the_name_of_a_special_token_is_plain_text"),
    Case(row="D11", what="null, an empty text, a lone zero-width space, a number among texts, over HTTP",
         command=("mlflow", "models", "serve"), served=("wake me at 7", None, "", "\u200b", 5),
         test="tests/tracking/test_registry.py::test_mlflow_serves_the_champion_over_http"),
    Case(row="D12", what="one line of three is not UTF-8", command=PREDICT, typed=b"stop\ncaf\xe9\nwake me\n",
         test="tests/cli/test_commands.py::test_predict_answers_good_lines_and_says_which_are_not_utf8"),
    Case(row="D13", what="a search space in UTF-16", files={"space.yaml": SPACE_TEXT.encode("utf-16")}, command=DRY,
         test="tests/config/test_values.py::test_a_space_in_another_encoding"),
    Case(row="D14", what="a rate among choices is a word",
         files={"space.yaml": SPACE_TEXT.replace("{low: 1e-5, high: 1e-3}", "{choices: ['1e-4', fast]}")}, command=DRY,
         test="tests/config/test_values.py::test_a_wrong_value_is_named_before_anything_starts"),
    Case(row="D14", what="choices in quotes, as text",
         files={"space.yaml": SPACE_TEXT.replace("{low: 1e-5, high: 1e-3}", "{choices: ['1e-4', '1e-3']}")},
         command=DRY, test="tests/config/test_values.py::test_choices_take_the_type_of_their_setting"),
    Case(row="D15", what="`targets` is written twice", files={"space.yaml": SPACE_TEXT + "targets: [th]\n"},
         command=DRY,
         test="tests/config/test_yaml_files.py::test_a_key_that_is_written_twice_is_an_error_with_its_line"),
    Case(row="D16", what="all English rows have one tag too few; translations.de.jsonl is there",
         files=everywhere(own("go on", "O", 1) * 3) | {"translations.de.jsonl": '{"id": 1, "text": "los"}\n'},
         command=OWN,
         test="tests/corpora/test_lost_rows.py::"
         "test_where_no_source_row_can_be_used_that_is_said_and_nothing_else_advised"),
    Case(row="D17", what="`max_tokens: 600` for an encoder of 512 positions", files=everywhere(plain(20)),
         command=(*OWN, "--set", "fixed.max_tokens=600"),
         test="tests/config/test_values.py::test_no_more_tokens_than_the_encoder_has_positions_for"),
    Case(row="D18", what="`targets: de`", files={"space.yaml": SPACE_TEXT.replace("[de]", "de")}, command=DRY,
         test="tests/config/test_values.py::test_a_wrong_value_is_named_before_anything_starts"),
    Case(row="D18", what="`targets: [false]`", files={"space.yaml": SPACE_TEXT.replace("[de]", "[false]")}, command=DRY,
         test="tests/config/test_values.py::test_a_wrong_value_is_named_before_anything_starts"),
    Case(row="D19", what="MASSIVE: locales asked for as de-DE and zh-CN",
         files={f"{locale}.jsonl": massive(locale) for locale in ("en-US", "de-DE", "zh-CN")},
         command=check("massive", "--lang", "en,de-DE,zh-CN"),
         test="tests/corpora/test_opening.py::test_the_locales_of_massive_are_known_by_all_their_names"),
    Case(row="D19", what="MASSIVE: zh-HK, which it has not",
         files={f"{locale}.jsonl": massive(locale) for locale in ("en-US", "zh-CN")},
         command=check("massive", "--lang", "en,zh-HK"),
         test="tests/corpora/test_opening.py::test_a_language_is_proposed_by_its_language"),
    Case(row="D20", what="own data: a JSON array, `validation`, ids 1.0, in a zip with backslashes",
         files={"own.zip": zipped({f"x/{split}.{lang}.json": json.dumps(
             [{"id": 1.0, "tokens": ["go", "on"], "intent": "go", "slots": ["O", "B-x"]}])
             for lang in ("en", "de") for split in ("train", "validation", "test")}, "\\")},
         command=check("own", data="DATA/own.zip"), test="tests/corpora/test_own_forms.py::test_a_zip_from_windows"),
    Case(row="D20", what="own data: one row of two without `slots`",
         files=everywhere(own("go on", "O B-x", 1) + own("stop now", None, 2)), command=check("own"),
         test="tests/corpora/test_own_forms.py::test_slots_that_some_rows_lack_are_an_error_for_the_file"),
    Case(row="D21", what="MTOP: a full-width comma between two slots; a label with a comma inside",
         files=MTOP_FILES
         | {"en/train.txt": mtop("wake me", "0:4:SL:X\uff0c5:7:SL:Y") + mtop("wake me", "0:4:SL:A B", 2)},
         command=check("mtop", "--lang", "en,de"), test="tests/corpora/test_spans.py::test_slots_that_can_be_used"),
    Case(row="D22", what="MultiATIS++: Hindi `atis_flight airfare` for `atis_flight#atis_airfare`",
         files={f"{split}_{lang}.tsv": atis([(1, "fly now", "B-x O", intent)]) for split in SPLITS
                for lang, intent in (("EN", "atis_flight#atis_airfare"), ("HI", "atis_flight airfare"))},
         command=check("multiatis", "--lang", "en,hi"),
         test="tests/corpora/test_corpus.py::test_multiatis_intents_joined_by_a_space_are_those_of_english"),
    Case(row="D24", what="MASSIVE: two languages of three asked for; its real size is in massive_size.json",
         files={f"{locale}.jsonl": massive(locale) if locale != "th-TH" else "{broken\n"
                for locale in ("en-US", "de-DE", "th-TH")},
         command=check("massive", "--lang", "en,de"),
         test="tests/corpora/test_tar_index.py::test_the_last_file_is_read_from_near_its_place"),
    Case(row="D25", what="PAWS-X: 2 of 4 rows published untranslated (NS, or empty)", files=NS_FILES,
         command=check("pawsx", "--lang", "en,de"),
         test="tests/corpora/test_lost_rows.py::test_what_is_left_out_as_published_or_given_twice_is_no_loss"),
    Case(row="D25", what="the same with `recipe: published`, its dev file broken so that it ends there",
         files=NS_FILES | {"en/dev_2k.tsv": NS_ROWS + "broken\n"},
         command=("run", SPACE, "--local", "--data", "DATA", "--set", "corpus=pawsx", "--set", "targets=[de]",
                  "--set", "recipe=published", "--set", "params.learning_rate.low=1e-6"),
         test="tests/workflows/test_data_losses.py::test_the_published_recipe_keeps_what_the_paper_scored"),
)  # fmt: skip
