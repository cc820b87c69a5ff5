import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import unicodedata
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML

from xa_search.corpora import open_corpus
from xa_search.errors import ModelError, TrackerAwayError, XaSearchError
from xa_search.records import FloorScore, SearchRecord, TrialJob
from xa_search.tracking import isolated_process as fresh_process
from xa_search.tracking import registration, registry
from xa_search.tracking.bundle import trial_answers, trial_bundle
from xa_search.tracking.events import SearchStarted, TrialEnded, trial_ended, trial_started
from xa_search.tracking.registration import KeptScores, Registration, load_registered, promote, register_winner
from xa_search.tracking.registry import find_version, list_models
from xa_search.tracking.spool import Spool
from xa_search.tracking.store import connect, environment, find_runs, open_experiment
from xa_search.tracking.tracker import Tracker
from xa_search.training.final_test import trained_predictor
from xa_search.training.kept import Evidence, KeptOutcomes
from xa_search.workflows.doctor import models_without_files
from xa_search.workflows.evaluate import model_or_trial, score_on_corpus
from xa_search.workflows.models import predict_texts

pytestmark = pytest.mark.long
MakeTrial = Callable[..., tuple[TrialJob, Path]]
TEXTS = ("clean the kitchen", "putze die Küche", "เปิดไฟในครัว", "झाड़ू लगाओ now", "")
REPOSITORY = Path(registration.__file__).resolve().parents[2]
DEADLINE_SECONDS = 600


@dataclass(frozen=True)
class Found:
    """A finished search, as the driver has it when it registers the winner."""

    record: SearchRecord
    job: TrialJob
    weights: Path
    uri: str

    def register(self, corpus: str, fingerprint: str = "data-1", target: str | None = None) -> Registration:
        with fresh_process.IsolatedProcess(self.uri) as fresh:
            return register_winner(
                self.record,
                self.job,
                self.weights,
                corpus=corpus,
                corpus_fingerprint=fingerprint,
                texts=TEXTS,
                expected=lambda: trial_answers(self.job, TEXTS, trained_predictor(self.job, self.weights)),
                kept=self.kept,
                uri=self.uri,
                fresh=fresh,
                target=target,
            )

    @property
    def kept(self) -> KeptScores:
        """What is right of a hundred made-up rows: the winner's selection score, and half for the zero-shot trial."""
        right = round(100 * (self.record.trial(self.record.winner).score or 0.0))
        return KeptScores(winner=made_up(right), rivals={"the zero-shot trial": made_up(50)})


def made_up(right: int) -> Evidence:
    counts = np.stack([np.arange(100) < right, np.ones(100, dtype=bool)], axis=1).astype(np.int64)
    run = KeptOutcomes(ids=tuple(map(str, range(100))), names=("intent_acc_th",), counts=counts)
    return Evidence(runs={"1": run}, registered="1")


def finalize_search(
    record: SearchRecord, search_id: str, score: float, trial: tuple[TrialJob, Path], uri: str
) -> Found:
    """Tell MLflow of the winner's trial."""
    winner = replace(record.trials[1], scores=(score,))
    record = replace(record, search_id=search_id, trials=(record.trials[0], winner, *record.trials[2:]))
    tracker = Tracker(Spool(trial[0].directory / "spool.jsonl"), uri, search_id, record.study_id)
    tracker.record(SearchStarted(search_id=search_id))
    tracker.record(trial_started(winner))
    tracker.record(trial_ended(winner))
    tracker.record(TrialEnded(number=1, status="FINISHED", metrics=record.test_metrics[1]))
    assert tracker.sync().left == 0
    return Found(record, *trial, uri)


@pytest.fixture(scope="module")
def found(search_record: SearchRecord, make_trial: MakeTrial, uri: str) -> Found:
    return finalize_search(search_record, "happy", 0.7, make_trial(), uri)


@pytest.fixture(scope="module")
def champion(found: Found) -> Registration:
    """Registered for real, checked by a process that may not use the program's own folder."""
    with pytest.MonkeyPatch.context() as patch:
        guard = f"import xa_search; assert not xa_search.__file__.startswith({str(REPOSITORY)!r}), xa_search.__file__\n"
        patch.setattr(fresh_process, "PROGRAM", fresh_process.PROGRAM + guard)
        return found.register("happy")


@pytest.fixture
def no_fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer in this process, where a test is about something else: a new process takes ten seconds."""

    class ThisProcess(contextlib.AbstractContextManager["ThisProcess"]):
        def __init__(self, uri: str) -> None:
            self.uri = uri

        def __exit__(self, *_: Any) -> None: ...

        def predict(self, model: str, texts: Any, _threads: int) -> list[dict[str, Any]]:
            _, name, version = model.split("/")
            return [parsed.record() for parsed in load_registered(self.uri, name, version).predict(texts)]

    monkeypatch.setattr(fresh_process, "IsolatedProcess", ThisProcess)


def test_the_winner_is_registered_checked_and_the_first_champion(champion: Registration, found: Found) -> None:
    assert champion.is_new
    assert champion.is_champion
    version = champion.version
    assert (version.name, version.version, version.aliases) == ("xa-search-happy", 1, ("candidate", "champion"))
    assert version.checked
    assert version.search_id == "happy"
    assert version.selection_score == pytest.approx(0.7)
    assert version.test_metrics["test_slot_f1_th"] == pytest.approx(0.75)
    assert version.tokenizer_fingerprint == found.job.encoder.tokenizer_fingerprint
    bundle = load_registered(found.uri, "xa-search-happy")
    assert bundle.predict(TEXTS) == trial_bundle(found.job, found.weights).predict(TEXTS)
    assert bundle.provenance["trial"] == "1"


def test_models_of_single_targets_have_names_and_scores_of_their_own(
    search_record: SearchRecord, make_trial: MakeTrial, uri: str, no_fresh_process: None
) -> None:
    found = finalize_search(search_record, "each", 0.7, make_trial(), uri)
    versions = {}
    for number, lang in enumerate(("de", "th")):
        job, weights = make_trial(seed=number)
        job = replace(job, corpus=replace(job.corpus, targets=(lang,)))
        metrics = {f"held_out_{kind}_{lang}": 0.2 + number for kind in ("intent_acc", "slot_type_f1")}
        winner = replace(found.record.trials[1], metrics=metrics)
        trials = (found.record.trials[0], winner, *found.record.trials[2:])
        one = replace(found, record=replace(found.record, trials=trials), job=job, weights=weights)
        assert one.register("each", target=lang).is_new
        assert not one.register("each", target=lang).is_new
        versions[lang] = find_version(uri, f"xa-search-each-{lang}", "champion")
        answers = load_registered(uri, f"xa-search-each-{lang}").predict(TEXTS)
        assert answers == trial_bundle(job, weights).predict(TEXTS)
    assert [round(version.selection_score, 6) for version in versions.values()] == [0.2, 1.2]
    thai = versions["th"].test_metrics
    assert thai["test_slot_f1_mean"] == thai["test_slot_f1_th"] == pytest.approx(0.75)
    assert "test_slot_f1_de" not in thai


def test_the_model_carries_all_it_needs_and_no_pickle(champion: Registration, found: Found) -> None:
    from mlflow.models import get_model_info

    source = connect(found.uri).get_model_version_download_uri(champion.version.name, "1").removeprefix("file://")
    files = {path.relative_to(source).as_posix() for path in Path(source).rglob("*") if path.is_file()}
    assert {"served_model.py", "code/xa_search/tracking/bundle.py", "artifacts/bundle/model.safetensors"} <= files
    assert not [name for name in files if name.endswith((".pkl", ".bin", ".pyc"))]
    needed = (Path(source) / "requirements.txt").read_text().split()
    assert {line.partition("==")[0] for line in needed} >= {"mlflow", "torch", "transformers", "seqeval"}
    assert all("==" in line for line in needed)
    with environment({"MLFLOW_TRACKING_URI": found.uri}):
        info = get_model_info("models:/xa-search-happy/1")
    assert [column.name for column in info.signature.outputs] == [*("intent", "intent_probability", "slots", "error")]
    assert info.saved_input_example_info
    logged = connect(found.uri).get_logged_model(info.model_id)
    assert {metric.key for metric in logged.metrics} >= {"test_slot_f1_th", "selection_score"}


def test_registering_the_same_winner_again_makes_no_second_version(champion: Registration, found: Found) -> None:
    again = found.register("happy")
    assert not again.is_new
    assert again.version == champion.version
    assert len([version for version in list_models(found.uri) if version.name == "xa-search-happy"]) == 1


@pytest.mark.usefixtures("no_fresh_process")
def test_the_champion_moves_only_to_a_better_version(
    search_record: SearchRecord, make_trial: MakeTrial, uri: str
) -> None:
    results = [
        finalize_search(search_record, f"climb-{score}", score, make_trial(seed), uri).register("climb")
        for seed, score in enumerate((0.6, 0.5, 0.8))
    ]
    assert [result.is_champion for result in results] == [True, False, True]
    assert "not shown to be better than version 1, the champion on 100 kept rows: -10.0 points" in results[1].reason
    assert "shown to be better than version 1, the champion on 100 kept rows: +20.0 points" in results[2].reason
    assert [result.version.challenged for result in results] == ["none", "1", "1"]
    assert [result.version.verdict for result in results] == [result.reason for result in results]
    aliases = {version.version: version.aliases for version in list_models(uri) if version.name == "xa-search-climb"}
    assert aliases == {1: (), 2: (), 3: ("candidate", "champion")}
    assert promote(uri, "xa-search-climb", 2).aliases == ("champion",)
    assert find_version(uri, "xa-search-climb", "champion").version == 2
    assert find_version(uri, "xa-search-climb", None).version == 2
    connect(uri).delete_registered_model_alias("xa-search-climb", "champion")
    assert find_version(uri, "xa-search-climb", None).version == 3, "without a champion, the candidate answers"


@pytest.mark.usefixtures("no_fresh_process")
def test_a_winner_at_the_floor_is_a_candidate_and_no_champion(
    search_record: SearchRecord, make_trial: MakeTrial, uri: str
) -> None:
    floor = FloorScore(name="the most frequent intent", score=0.72, test_metrics={})
    record = replace(search_record, floors=(floor,))
    results = [
        finalize_search(record, f"floor-{score}", score, make_trial(seed), uri).register("floor")
        for seed, score in enumerate((0.7, 0.8))
    ]
    assert [result.version.aliases for result in results] == [("candidate",), ("candidate", "champion")]
    assert results[0].reason.startswith(
        "the winner is at the floor: its selection score is 70.0, and the most frequent"
    )


@pytest.mark.usefixtures("no_fresh_process")
def test_a_better_champion_that_another_home_made_during_the_check_stays(
    search_record: SearchRecord, make_trial: MakeTrial, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worse, better = (finalize_search(search_record, f"race-{score}", score, make_trial(), uri) for score in (0.6, 0.9))
    elsewhere = replace(better, job=replace(better.job, home=tmp_path))
    answer = fresh_process.IsolatedProcess.predict
    with monkeypatch.context() as patch:

        def answer_late(*question: Any) -> list[dict[str, Any]]:
            patch.undo()
            assert elsewhere.register("race").is_champion
            return answer(*question)

        patch.setattr(fresh_process.IsolatedProcess, "predict", answer_late)
        late = worse.register("race")
    assert (late.is_champion, late.version.version) == (False, 1)
    assert "not shown to be better than version 2, the champion" in late.reason


def test_no_alias_moves_to_a_model_that_answers_otherwise(
    search_record: SearchRecord, make_trial: MakeTrial, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = finalize_search(search_record, "odd", 0.7, make_trial(), uri)
    answer = {"intent": "sing", "intent_probability": 0.5, "slots": []}
    monkeypatch.setattr(
        fresh_process.IsolatedProcess, "predict", lambda _, __, texts, ___: [dict(answer) for _ in texts]
    )
    with pytest.raises(XaSearchError, match="no alias was moved") as caught:
        search.register("odd")
    assert "\n" not in str(caught.value)
    version = find_version(uri, "xa-search-odd", "1")
    assert (version.aliases, version.checked) == ((), False)
    with pytest.raises(ModelError, match="never loaded back"):
        promote(uri, "xa-search-odd", 1)
    expected = [parsed.record() for parsed in trial_bundle(search.job, search.weights).predict(TEXTS)]
    monkeypatch.setattr(fresh_process.IsolatedProcess, "predict", lambda *_: expected)
    repaired = search.register("odd")
    assert (repaired.version.version, repaired.is_champion) == (1, True)


@pytest.mark.usefixtures("no_fresh_process")
def test_promote_refuses_a_version_from_other_data(
    search_record: SearchRecord, make_trial: MakeTrial, uri: str
) -> None:
    finalize_search(search_record, "first", 0.6, make_trial(), uri).register("changed", "data-1")
    other = finalize_search(search_record, "second", 0.9, make_trial(2), uri).register("changed", "data-2")
    assert not other.is_champion
    with pytest.raises(ModelError, match="other data than the champion"):
        promote(uri, "xa-search-changed", 2)


@pytest.mark.parametrize(
    ("name", "version", "reason"),
    [
        ("xa-search-happy", "9", r"no version or alias '9'; valid: 1, candidate, champion"),
        ("xa-search-happy", "Champion", "valid: 1, candidate, champion"),
        ("xa-search-nothing", "1", "not registered; name one of: .*xa-search-happy"),
    ],
)
@pytest.mark.usefixtures("champion")
def test_a_wrong_name_or_version_gets_the_valid_ones(name: str, version: str, reason: str, uri: str) -> None:
    with pytest.raises(ModelError, match=reason) as caught:
        find_version(uri, name, version)
    assert "\n" not in str(caught.value)


def test_a_name_is_needed_only_where_there_are_several(
    champion: Registration, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(champion.version, name="xa-search-other")
    for versions, reason in (((), "no model is registered yet"), ((champion.version, other), "name one of")):
        monkeypatch.setattr(registry, "list_models", lambda uri, versions=versions: versions)
        with pytest.raises(ModelError, match=reason):
            find_version(uri, None, "champion")
    monkeypatch.setattr(registry, "list_models", lambda uri: (champion.version,))
    assert find_version(uri, None, "champion") == champion.version


def test_a_registry_that_is_away_is_one_line(closed_uri: str) -> None:
    with pytest.raises(TrackerAwayError) as caught:
        list_models(closed_uri)
    remedy = "does not answer; start it, or check MLFLOW_TRACKING_URI, then run this again"
    assert str(caught.value) == f"MLflow at {closed_uri} {remedy}"


def test_a_winner_whose_run_is_missing(search_record: SearchRecord, make_trial: MakeTrial, uri: str) -> None:
    with pytest.raises(XaSearchError, match="no run of trial 1"):
        Found(replace(search_record, search_id="untold"), *make_trial(), uri).register("untold")
    assert not [version for version in list_models(uri) if version.name == "xa-search-untold"]


@dataclass(frozen=True)
class Server:
    """A process of MLflow's that serves the champion, and the address where it is asked."""

    process: "subprocess.Popen[bytes]"
    address: str

    def answers(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = _ask(self, body)["predictions"]
        return found


@pytest.fixture(scope="module")
def server(champion: Registration, found: Found, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("serve")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", f"models:/{champion.version.name}@champion"]
    command += ["--env-manager", "local", "--port", str(port), "--workers", "1"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # mlflow looks for uvicorn there
    variables = {**os.environ, "MLFLOW_TRACKING_URI": found.uri, "HF_HUB_OFFLINE": "1", "PATH": path}
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(command, env=variables, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        yield Server(process, f"http://127.0.0.1:{port}/invocations")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_mlflow_serves_the_champion_over_http(found: Found, server: Server) -> None:
    expected = [parsed.record() for parsed in trial_bundle(found.job, found.weights).predict(TEXTS)]
    bodies = ({"inputs": TEXTS}, {"dataframe_split": {"columns": ["text"], "data": [[text] for text in TEXTS]}})
    for body in bodies:
        assert without_probability(server.answers(body)) == without_probability(expected)
    null = {"error": "null is no text; send a string in its place"}
    empty = {"intent": None, "intent_probability": 0.0, "slots": []}
    odd = [TEXTS[0], None, "\u200b", 5, [1]]
    for body in ({"inputs": odd}, {"dataframe_split": {"columns": ["text"], "data": [[one] for one in odd]}}):
        first, *others = server.answers(body)
        assert first["intent"] == expected[0]["intent"]
        assert others[:2] == [null, empty]
        assert [one["error"].partition(" is no text")[0] for one in others[2:]] == ["5", "[1]"]


def without_probability(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out what may differ by its last digit between processes, of intents and of slots."""
    plain: list[dict[str, Any]] = json.loads(json.dumps(answers))
    for answer in plain:
        for one in (answer, *answer.get("slots", ())):
            one.pop("intent_probability", None)
            one.pop("probability", None)
    return plain


def test_a_test_set_full_of_marks_is_answered_alike_by_predict_evaluate_and_http(
    server: Server, mlflow_home: Path, tmp_path: Path
) -> None:
    model = "xa-search-happy"
    mini = open_corpus("mtop-mini", source="en", targets=("de", "fr", "hi"), data=None, home=tmp_path)
    plain, marked = tmp_path / "plain", tmp_path / "marked"
    for lang in (mini.source, *mini.targets):
        texts = [" ".join(row.words) for row in islice(mini.utterances(lang, "test"), 20)]
        odd = [with_marks(text, place) for place, text in enumerate(texts)]
        as_typed, predicted = predict_texts(mlflow_home, model, texts), predict_texts(mlflow_home, model, odd)
        assert [words_and_labels(one) for one in predicted] == [words_and_labels(one) for one in as_typed]
        assert all(
            one["text"][slot["start"] : slot["end"]] == slot["value"] for one in predicted for slot in one["slots"]
        )
        served = [{"text": text, **one} for text, one in zip(odd, server.answers({"inputs": odd}), strict=True)]
        assert without_probability(served) == without_probability(predicted)
        # What was predicted is the truth now: `evaluate` finds each row right only if it reads as `predict` does.
        for folder, answers in ((plain, as_typed), (marked, predicted)):
            folder.mkdir(exist_ok=True)
            rows = "".join(json.dumps(as_own_row(one)) + "\n" for one in answers)
            (folder / f"test.{lang}.jsonl").write_text(rows, encoding="utf-8")
    for folder in (plain, marked):
        asked = open_corpus("own", source="en", targets=mini.targets, data=folder, home=tmp_path, to_train=False)
        test = score_on_corpus(model_or_trial(mlflow_home, model, None, lambda _: None), asked, None)
        found = {score.lang: (score.rows, score.exact_match.value, score.slot_f1.value) for score in test.languages}
        assert found == dict.fromkeys(("en", "de", "fr", "hi"), (20, 1.0, 1.0))
    assert any(note.startswith("data: test fr: ") and "invisible_character" in note for note in test.notes)


def with_marks(text: str, seed: int) -> str:
    """Write a text as keyboards, web pages and other systems do: what the text policy undoes, and nothing else."""
    rng = random.Random(seed)
    spaces, marks = ("\u00a0", "\u202f", "\u3000", "  "), ("\u200b", "\ufeff", "\u00ad", "\u200e")
    words = [unicodedata.normalize("NFD", word) for word in text.split()]
    cuts = [rng.randrange(len(word) + 1) for word in words]
    words = [word[:cut] + rng.choice(marks) + word[cut:] for word, cut in zip(words, cuts, strict=True)]
    return "".join(word + rng.choice(spaces) for word in words)


def words_and_labels(answer: dict[str, Any]) -> tuple[object, ...]:
    """Return what is the same however a text is typed."""
    return answer["intent"], [(slot["slot"], slot["start_word"], slot["end_word"]) for slot in answer["slots"]]


def as_own_row(answer: dict[str, Any]) -> dict[str, Any]:
    spans = [[slot["start"], slot["end"], slot["slot"]] for slot in answer["slots"]]
    return {"text": answer["text"], "intent": answer["intent"], "spans": spans}


def _ask(server: Server, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(server.address, data=json.dumps(body).encode(), headers=headers)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as response:
                answer: dict[str, Any] = json.load(response)
                return answer
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from error
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"the server does not answer, its exit code is {server.process.poll()}")


@pytest.mark.usefixtures("no_fresh_process")
def test_a_registration_that_was_killed_goes_on_with_its_logged_model(
    search_record: SearchRecord, make_trial: MakeTrial, uri: str
) -> None:
    found = finalize_search(search_record, "halfway", 0.7, make_trial(), uri)
    client, first = connect(uri), found.register("halfway")
    client.delete_model_version("xa-search-halfway", str(first.version.version))
    assert found.register("halfway").is_new
    run = find_runs(client, open_experiment(client), "halfway")[1]
    logged = client.search_logged_models([open_experiment(client)], filter_string=f"source_run_id = '{run.run_id}'")
    assert len(logged) == 1
    assert len(client.get_run(run.run_id).outputs.model_outputs) == 1
    assert load_registered(uri, "xa-search-halfway").predict(TEXTS) == trial_bundle(found.job, found.weights).predict(
        TEXTS
    )


@pytest.mark.usefixtures("no_fresh_process")
def test_what_was_registered_is_looked_at_and_not_believed(
    search_record: SearchRecord, make_trial: MakeTrial, uri: str
) -> None:
    found = finalize_search(search_record, "gone", 0.7, make_trial(), uri)
    first = found.register("gone")
    heads = Path(connect(uri).get_model_version_download_uri("xa-search-gone", "1").removeprefix("file://"))
    heads = heads / "artifacts" / "bundle" / "heads.safetensors"
    heads.unlink()
    (finding,) = (one for one in models_without_files(uri) if "xa-search-gone" in one.found)
    assert finding.found == "xa-search-gone version 1 lacks heads.safetensors"
    again = found.register("gone")
    assert again.reason.startswith("its files were gone: uploaded and checked again")
    assert (again.is_new, again.version.version, again.version.aliases) == (False, 1, first.version.aliases)
    assert heads.exists()
    assert not [one for one in models_without_files(uri) if "xa-search-gone" in one.found]
    assert "its files are there" in found.register("gone").reason


@pytest.mark.usefixtures("no_fresh_process")
def test_what_a_person_put_into_the_registry_is_left_alone(
    search_record: SearchRecord, make_trial: MakeTrial, uri: str
) -> None:
    client = connect(uri)
    client.create_registered_model("xa-search-shared")
    theirs = client.create_model_version("xa-search-shared", "/somewhere", tags={"search_id": "mine", "note": "hi"})
    client.set_registered_model_alias("xa-search-shared", "champion", theirs.version)
    mine = finalize_search(search_record, "shared", 0.7, make_trial(), uri).register("shared")
    assert (mine.version.version, mine.is_champion, mine.version.aliases) == (2, False, ("candidate",))
    assert "version 1, the champion, is none of xa-search's" in mine.reason
    client.set_model_version_tag("xa-search-shared", "2", "test_notes", "looks good on my phone")
    versions = [version for version in list_models(uri) if version.name == "xa-search-shared"]
    assert [version.version for version in versions] == [2]
    assert "test_notes" not in versions[0].test_metrics
    assert promote(uri, "xa-search-shared", 2).aliases == ("candidate", "champion")


@pytest.mark.usefixtures("no_fresh_process")
def test_two_homes_with_searches_of_one_name_have_a_version_each(
    search_record: SearchRecord, make_trial: MakeTrial, uri: str
) -> None:
    versions = []
    for study_id in ("home 1", "home 2", "home 1"):
        found = finalize_search(replace(search_record, study_id=study_id), "twins", 0.7, make_trial(), uri)
        versions.append(found.register("twins").version)
    assert [(version.version, version.study_id) for version in versions] == [
        (1, "home 1"),
        (2, "home 2"),
        (1, "home 1"),
    ]


@pytest.mark.usefixtures("champion")
def test_the_search_links_its_model_which_says_what_it_is(found: Found) -> None:
    client = connect(found.uri)
    search = client.get_run(find_runs(client, open_experiment(client), "happy")[None].run_id)
    version = client.get_model_version("xa-search-happy", "1")
    assert [output.model_id for output in search.outputs.model_outputs] == [version.source.removeprefix("models:/")]
    assert search.data.tags["registered_model"] == "models:/xa-search-happy/1"
    source = Path(client.get_model_version_download_uri("xa-search-happy", "1").removeprefix("file://"))
    card = (source / "README.md").read_text(encoding="utf-8")
    assert card == (source / "artifacts" / "bundle" / "README.md").read_text(encoding="utf-8")
    _, front, text = card.split("---\n", 2)
    fields = YAML(typ="safe").load(front)
    assert fields["language"] == ["en", "de", "th"]
    assert fields["license"] == "apache-2.0"
    scores = {
        one["dataset"]["config"]: {m["type"]: m["value"] for m in one["metrics"]}
        for one in fields["model-index"][0]["results"]
    }
    assert scores["th"]["test_slot_f1"] == 0.75
    for heading in ("What it learned from", "Licences", "Scores on the test splits", "Limits"):
        assert f"## {heading}" in text
    assert "Corpus: unknown." in text
