"""Every command that reads data says what it drops, and refuses to lose more than its space allows."""

from pathlib import Path

import pytest
from tiny_corpora import write_corpus

from xa_search.errors import DataError, UsageError
from xa_search.records import Plan
from xa_search.workflows.plan import make_plan
from xa_search.workflows.preflight import check_search, check_test_splits, open_plan_corpus, told_data
from xa_search.workflows.run import train_alone

BROKEN = "{broken\n"


def plan_of(data: Path, home: Path, *changes: str) -> Plan:
    named = (
        "corpus=jsonl",
        "targets=[de]",
        "params.model_size.choices=[tiny]",
        "baseline=null",
        "published=null",
        "least_held_out=2",
    )
    return make_plan("mtop-mini", (*named, *changes), home=home, data=data, local=True)


def spoil(path: Path) -> None:
    path.write_text(path.read_text() + BROKEN)


def test_a_search_tells_of_losses_and_refuses_great_ones(tmp_path: Path) -> None:
    data, home, notes = tmp_path / "raw", tmp_path / "home", list[str]()
    write_corpus("own", data)
    spoil(data / "train.de.jsonl")
    with pytest.raises(DataError, match=r"train de: 1 of 25 rows cannot be used .*--set max_lost=0.04") as caught:
        check_search(plan_of(data, home), ("tiny",), notes.append)
    assert caught.value.exit_code == 3
    told = [note for note in notes if note.startswith("data: ")]
    assert told == ["data: train de: 1 of 25 rows dropped (bad_json 1)"]
    check_search(plan_of(data, home, "max_lost=0.04"), ("tiny",), notes.append)


def test_test_splits_are_held_against_the_same_share_when_they_are_opened(tmp_path: Path) -> None:
    data, home, notes = tmp_path / "raw", tmp_path / "home", list[str]()
    write_corpus("own", data)
    spoil(data / "test.de.jsonl")
    plan, allowed = plan_of(data, home), plan_of(data, home, "max_lost=1")
    check_search(plan, ("tiny",), notes.append)
    assert not [note for note in notes if note.startswith("data: ")]
    with pytest.raises(DataError, match="test de: 1 of 5 rows cannot be used"):
        check_test_splits(plan, open_plan_corpus(plan), notes.append)
    check_test_splits(allowed, open_plan_corpus(allowed), notes.append)
    assert notes[-1] == "data: test de: 1 of 5 rows dropped (bad_json 1)"
    assert plan.search_id == allowed.search_id, "what is allowed changes no score: the search goes on"


def test_max_lost_is_a_share(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="max_lost"):
        plan_of(tmp_path, tmp_path, "max_lost=2")


def test_a_target_without_pairs_is_left_out_of_alignment_and_tested(shared_home: Path, tmp_path: Path) -> None:
    data, notes = tmp_path / "raw", list[str]()
    write_corpus("own", data)
    (data / "test.fr.jsonl").write_text((data / "test.de.jsonl").read_text())
    fixed = "fixed={epochs: 1, batch_size: 8, validation_fraction: 0.3, test_limit: 20, precision: fp32}"
    plan = plan_of(data, shared_home, "targets=[de, fr]", fixed)
    params = {"model_size": "tiny", "learning_rate": 1e-3, "align_weight": 1.0}
    metrics = train_alone(plan, params, lambda _: None, with_test=True, note=notes.append)
    assert {"test_intent_acc_de", "test_intent_acc_fr"} <= metrics.keys()
    assert "pairs: de 24, fr 0 of 24" in notes
    assert any(note.startswith("no pairs: fr is left out of alignment") for note in notes)
    alone = plan_of(data, shared_home, "targets=[fr]", fixed)
    with pytest.raises(DataError, match="no translations of jsonl into fr"):
        check_search(alone, ("tiny",), notes.append)


def write_shuffled(data: Path) -> None:
    """Write a corpus in which the ids of German and French mean other rows than those of English."""
    data.mkdir()
    for lang, place in (("en", 1), ("de", 7), ("fr", 7)):
        rows = [f'{{"id": {n}, "tokens": ["w{place * n % 100}"], "intent": "{place * n % 5}"' for n in range(100)]
        text = "".join(f'{row}, "slots": ["O"]}}\n' for row in rows)
        for split in ("train", "dev", "test"):
            (data / f"{split}.{lang}.jsonl").write_text(text)


def test_a_search_refuses_pairs_that_are_joined_at_chance_or_says_that_it_takes_them(tmp_path: Path) -> None:
    data, home, notes = tmp_path / "raw", tmp_path / "home", list[str]()
    write_shuffled(data)
    plan, allowed = plan_of(data, home), plan_of(data, home, "check_pairs=false")
    fault = r"de: intents agree in 20.0%, by chance .* ids of jsonl de are not those of en"
    with pytest.raises(DataError, match=f"{fault}.*if they are right all the same: --set check_pairs=false"):
        check_search(plan, ("tiny",), lambda _: None)
    checked = check_search(allowed, ("tiny",), notes.append)
    (told,) = (
        note for note in notes if note.startswith("pairs taken all the same, by check_pairs: false: de: intents")
    )
    assert told in told_data(checked.check, allowed), "the report says so, too"
    assert plan.search_id == allowed.search_id, "what is allowed changes no score: the search goes on"
    with pytest.raises(UsageError, match="check_pairs"):
        plan_of(data, home, "check_pairs=perhaps")


def test_pairs_of_unseen_languages_are_checked_too(tmp_path: Path) -> None:
    data, home, notes = tmp_path / "raw", tmp_path / "home", list[str]()
    write_shuffled(data)
    (data / "translations.de.txt").write_text("".join(f"w{n}\n" for n in range(100)))
    plan = plan_of(data, home, "unseen_languages=[fr]")
    with pytest.raises(DataError, match=r"^fr: intents agree in 20.0%"):
        check_search(plan, ("tiny",), notes.append)
    assert "pairs: de 100; into unseen languages, for `inspect` alone: fr 100" in notes


def test_the_published_recipe_keeps_what_the_paper_scored(tmp_path: Path) -> None:
    data, home = tmp_path / "raw", tmp_path / "home"
    write_corpus("pawsx", data)
    changes = ("corpus=pawsx", "method=xeroalign", "fixed.slot_presence_weight=0")
    ours, papers = plan_of(data, home, *changes), plan_of(data, home, *changes, "recipe=published")
    counts = [len(list(open_plan_corpus(plan).utterances("de", "test"))) for plan in (ours, papers)]
    assert counts == [4, 6]
