"""The commands about searches that were begun, on real studies and spools; the trainers train nothing."""

import io
import json
import math
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from xa_search.encoding.table import EncodedRow
from xa_search.errors import StoppedEarly, UsageError
from xa_search.records import EncodedCorpus, FailureClass, Plan, TrialSettings
from xa_search.training.evaluation import Prediction

SEARCH_TESTS = Path(__file__).parents[1] / "search"
sys.path.append(str(SEARCH_TESTS))

import fake_trainers  # noqa: E402
from searches import ASHA, Recorder, job_maker, plan_of  # noqa: E402

Command = Callable[..., tuple[int, str, str]]


def search(plan: Plan, trainer: Callable[..., object] = fake_trainers.rising) -> Plan:
    """Run a search to its end, or to where it is interrupted."""
    from xa_search.search.runner import run_trials
    from xa_search.search.study import open_study

    with suppress(StoppedEarly):
        run_trials(plan, open_study(plan), job_maker(plan), Recorder(), trainer)  # type: ignore[arg-type]
    return plan


def study_id_of(plan: Plan) -> str:
    from xa_search.search.study import open_study

    return open_study(plan).study_id


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_status_lists_the_newest_search_first_and_changes_nothing(command: Command, home: Path) -> None:
    older = search(plan_of(home, name="older"))
    newer = search(plan_of(home, name="newer"), fake_trainers.interrupting_at_two)
    before = tree(home)
    ended, printed, _ = command("status")
    assert ended == 0
    assert printed.index(newer.search_id) < printed.index(older.search_id)
    assert "8/8" in printed
    assert "over" in printed
    assert "resumable" in printed
    assert tree(home) == before


def test_status_names_a_damaged_journal(command: Command, home: Path) -> None:
    whole, damaged = (search(plan_of(home, name=name, trials=2)) for name in ("whole", "damaged"))
    journal = damaged.directory / "study.journal"
    journal.write_text("no journal\n" + journal.read_text())
    ended, printed, _ = command("status")
    assert ended == 0
    assert whole.search_id in printed
    assert f"{damaged.directory}: no trial yet, or a damaged study.journal" in printed


def test_status_of_one_search(command: Command, home: Path) -> None:
    plan = search(plan_of(home, seed=3), fake_trainers.raising_at_three)
    ended, printed, _ = command("status", plan.search_id)
    assert ended == 0
    assert "8 of 8 trials have ended: 7 COMPLETE, 1 FAIL" in printed
    assert "failed [code] 1; the first, trial 3: ValueError: three is not a number" in printed
    assert "MLflow has everything" in printed
    assert command("status", "toy") == (ended, printed, "")


def test_status_of_nothing_and_of_an_unknown_search(command: Command, home: Path) -> None:
    assert "no search yet" in command("status")[1]
    ended, _, said = command("explain", "3")
    assert ended == 2
    assert "type `xa-search run mtop-mini`" in said
    plan = search(plan_of(home, trials=2))
    for arguments in (("status", "toi"), ("explain", "1", "toi")):
        ended, _, said = command(*arguments)
        assert ended == 2
        assert "search 'toi' is unknown" in said
        assert plan.search_id in said
        assert len(said.splitlines()) == 1


DRIVER = """
import sys
from pathlib import Path
from typing import get_args
sys.path.append(sys.argv[1])
import fake_trainers
from searches import Recorder, job_maker, plan_of
from xa_search.search.driver import only_driver
from xa_search.search.runner import run_trials
from xa_search.search.study import open_study

class Speaker(Recorder):
    def epoch_reported(self, record, report):
        print(record.number, report.epoch, flush=True)

plan = plan_of(Path(sys.argv[2]))
with only_driver(plan.directory):
    run_trials(plan, open_study(plan), job_maker(plan), Speaker(), fake_trainers.endless)
"""


def test_status_while_the_search_runs_and_after_its_driver_was_killed(command: Command, home: Path) -> None:
    plan = plan_of(home)
    arguments = [sys.executable, "-c", DRIVER, str(SEARCH_TESTS), str(home)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        assert driver.stdout.readline() == "0 1\n"
        assert f"running, process {driver.pid} on {socket.gethostname()}" in command("status", plan.search_id)[1]
        assert "is running" in command("explain", "0")[1]
        os.kill(driver.pid, signal.SIGKILL)
    printed = command("status", plan.search_id)[1]
    assert "stopped: the same `xa-search run` resumes it" in printed
    assert "its driver died" in command("explain", "0")[1]


def test_explain_an_early_stop_and_name_the_setting_that_differs_most(command: Command, home: Path) -> None:
    from xa_search.search.history import find_search

    plan = search(plan_of(home, trials=12, scheduler=ASHA, fixed={"epochs": 4, "model_size": "tiny"}, **ONE_RANGE))
    stopped = next(trial for trial in find_search(home, None).trials if trial.stopped_at is not None)
    at = stopped.stopped_at
    assert at is not None
    ended, printed, _ = command("explain", str(stopped.number))
    assert ended == 0
    assert f"trial {stopped.number} of {plan.search_id}" in printed
    assert f"stopped early after epoch {at.epoch} of 4: its score, {100 * at.score:.1f}" in printed
    assert f"rank {at.rank} of {at.competitors}" in printed
    better = [one for one in find_search(home, None).trials if (one.score or 0) > (stopped.score or 0)]
    learned = [one for one in better if one.settings.method == stopped.settings.method]
    nearest = min(learned, key=lambda one: abs(_log(one) - _log(stopped)))
    assert f"the nearest better trial: {nearest.number} " in printed
    assert f"they differ most in learning_rate: {stopped.params['learning_rate']:.3g} here" in printed
    best = find_search(home, None).best
    assert best is not None
    assert "no trial scored better" in command("explain", str(best.number))[1]


def _log(trial: object) -> float:
    return math.log(trial.params["learning_rate"])  # type: ignore[attr-defined]


ONE_RANGE = {
    "params": {"learning_rate": {"low": 1e-6, "high": 1e-2, "log": True}},
    "published": {"learning_rate": 2e-5},
}


def test_explain_a_failure_with_its_frame_and_its_traceback(command: Command, home: Path) -> None:
    plan = search(plan_of(home), fake_trainers.raising_at_three)
    ended, printed, _ = command("explain", "3", plan.search_id)
    assert ended == 0
    assert "failed after 0 of 4 epochs, at search/fake_trainers.py:" in printed
    assert "ValueError: three is not a number" in printed
    assert "[code]" in printed
    ended, _, said = command("explain", "99")
    assert ended == 2
    assert said.startswith(f"error: trial 99 of search {plan.search_id} is unknown; type one of its numbers: 0, 1, 2")


def test_explain_an_interrupted_trial(command: Command, home: Path) -> None:
    search(plan_of(home), fake_trainers.interrupting_at_two)
    printed = command("explain", "2")[1]
    assert "waits after 1 of 4 epochs (it was interrupted); the same `xa-search run` resumes it" in printed


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory, with_tables: Callable[[Path], Path]) -> str:
    """The address of one MLflow store for all tests."""
    from xa_search.tracking.store import connect, open_experiment

    uri = f"sqlite:///{with_tables(tmp_path_factory.mktemp('mlflow'))}/mlflow.db"
    open_experiment(connect(uri))
    return uri


def statuses(uri: str, plan: Plan) -> dict[int | None, str]:
    from xa_search.tracking.store import connect, find_runs, open_experiment

    client = connect(uri)
    runs = find_runs(client, open_experiment(client), plan.search_id, study_id_of(plan))
    return {number: run.status for number, run in runs.items()}


def test_sync_of_a_search_without_a_spool_and_again(
    command: Command, home: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = search(plan_of(home, name="unheard"), fake_trainers.interrupting_at_two)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    ended, printed, _ = command("sync", plan.search_id)
    assert ended == 0
    assert ", 0 left" in printed
    assert "3 trials were missing in MLflow" in printed
    assert statuses(store, plan) == {None: "KILLED", 0: "FINISHED", 1: "FINISHED", 2: "KILLED"}
    before = tree(Path(store.removeprefix("sqlite:///")).parent), tree(home)
    assert command("sync") == (0, f"{plan.search_id}: 0 events given to MLflow, 0 left\n", "")
    assert (tree(Path(store.removeprefix("sqlite:///")).parent), tree(home)) == before


def test_sync_gives_what_waited_and_says_when_the_server_is_still_away(
    command: Command, home: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xa_search.tracking.events import SearchStarted, TrialStarted
    from xa_search.tracking.spool import Spool

    plan = search(plan_of(home, name="waiting", trials=2))
    spool = Spool(plan.directory / "spool.jsonl")
    for event in (SearchStarted(search_id=plan.search_id), TrialStarted(number=0)):
        spool.append(event)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert f"2 events wait; xa-search sync {plan.search_id}" in command("status", plan.search_id)[1]
    ended, printed, said = command("sync")
    assert ended == 1
    assert "0 events given to MLflow, 6 left" in printed
    assert said.startswith("error: MLflow at http://127.0.0.1:1 fails")
    assert len(said.splitlines()) == 1
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    assert command("sync")[0] == 0
    assert "MLflow has everything" in command("status", plan.search_id)[1]
    assert statuses(store, plan) == {None: "KILLED", 0: "FINISHED", 1: "FINISHED"}


def test_sync_leaves_a_search_that_runs_alone(command: Command, home: Path) -> None:
    from xa_search.search.driver import only_driver

    plan = search(plan_of(home, trials=2))
    with only_driver(plan.directory):
        ended, printed, _ = command("sync")
        assert ended == 0
        assert f"process {os.getpid()} on {socket.gethostname()} runs it" in printed
        ended, _, said = command("sync", plan.search_id)
        assert ended == 1
        assert "is already run by process" in said


def with_files(plan: Plan) -> Plan:
    """Put files where trials that really train leave theirs."""
    from xa_search.search.history import find_search

    for trial in find_search(plan.home, plan.search_id).trials:
        folder = plan.directory / "trials" / str(trial.number)
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("best.safetensors", "last-2.safetensors", "progress.json", "traceback.txt"):
            (folder / name).write_bytes(b"x" * 1000)
    (plan.directory / "trials" / "0" / "best.partial").write_bytes(b"x")
    (plan.directory / "trials" / "alone-1").mkdir()
    (plan.directory / "trials" / "alone-1" / "best.safetensors").write_bytes(b"x")
    (plan.directory / "ray" / "trial-0").mkdir(parents=True)
    (plan.directory / "ray" / "trial-0" / "result.json").write_bytes(b"x")
    return plan


def test_gc_keeps_the_best_weights_and_the_baseline(command: Command, home: Path) -> None:
    from xa_search.search.history import find_search

    plan = with_files(search(plan_of(home, keep=2), fake_trainers.raising_at_three))
    ranked = sorted(find_search(home, None).complete, key=lambda trial: -(trial.score or 0))
    kept = {0, ranked[0].number, ranked[1].number}
    before = tree(home)
    ended, rehearsed, _ = command("gc", "--keep", "2", "--dry-run")
    assert ended == 0
    assert "would free" in rehearsed
    assert tree(home) == before
    ended, printed, _ = command("gc")
    assert ended == 0
    assert f"{plan.search_id}: {8 - len(kept)} x weights" in printed
    assert printed == rehearsed.replace("would free", "freed")
    gone = before.keys() - tree(home).keys()
    left = {Path(path).parent.name for path in tree(home) if path.endswith("best.safetensors")}
    assert left == {*map(str, kept), "alone-1"}
    assert not [path for path in tree(home) if "last-" in path or path.endswith((".partial", "progress.json"))]
    assert not (plan.directory / "ray").exists()
    assert not [path for path in gone if path.endswith(("study.journal", "traceback.txt"))]
    assert command("gc", "--keep", "2")[1] == "freed 0.0 MB\n"


def test_gc_leaves_alone_what_runs_or_can_go_on(command: Command, home: Path) -> None:
    from xa_search.search.driver import only_driver

    resumable = with_files(search(plan_of(home, name="resumable"), fake_trainers.interrupting_at_two))
    running = with_files(search(plan_of(home, name="running", trials=2)))
    with only_driver(running.directory):
        before = tree(home)
        ended, printed, _ = command("gc", "--all")
        assert ended == 0
        assert (
            f"{running.search_id}: nothing removed, process {os.getpid()} on {socket.gethostname()} runs it" in printed
        )
        assert f"{resumable.search_id}: nothing removed, it is not over" in printed
        assert tree(home) == before


def test_gc_all_removes_what_no_search_refers_to(command: Command, home: Path) -> None:
    from xa_search.search.study import open_study
    from xa_search.workflows.maintenance import folders_read

    plan = search(plan_of(home, trials=2))
    for folder in ("encoded/toy-1", "encoded/toy-2", "encoders/tiny", "encoders/small"):
        (home / folder).mkdir(parents=True)
        (home / folder / "file").write_bytes(b"x" * 1000)
    _, printed, _ = command("gc", "--all")
    assert f"{home}: nothing removed, what {plan.search_id} reads was not recorded" in printed
    read = folders_read(home, [home / "encoded" / "toy-1", home / "encoders" / "tiny", Path("/elsewhere")])
    open_study(plan).keep("folders", read)
    before = tree(home)
    _, rehearsed, _ = command("gc", "--all", "--dry-run")
    assert "1 x unused encoded" in rehearsed
    assert tree(home) == before
    command("gc", "--all")
    assert {path.name for path in home.glob("enc*/*")} == {"toy-1", "tiny"}


def test_gc_all_removes_the_runs_that_a_person_deleted(
    command: Command, home: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xa_search.tracking.store import connect, find_runs, open_experiment

    plan = search(plan_of(home, name="cleaned", trials=2))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    assert command("sync")[0] == 0
    client = connect(store)
    deleted = find_runs(client, open_experiment(client), plan.search_id, study_id_of(plan))[1].run_id
    client.log_text(deleted, "text", "note.txt")
    place = Path(client.get_run(deleted).info.artifact_uri.removeprefix("file://"))
    client.delete_run(deleted)
    before = tree(Path(store.removeprefix("sqlite:///")).parent)
    assert f"{plan.search_id}: 1 x deleted run" in command("gc", "--all", "--dry-run")[1]
    assert tree(Path(store.removeprefix("sqlite:///")).parent) == before
    assert place.exists()
    command("gc")
    assert place.exists()
    command("gc", "--all")
    assert not place.exists()
    assert set(statuses(store, plan)) == {None, 0}
    assert command("sync")[0] == 0
    assert set(statuses(store, plan)) == {None, 0}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """A search whose two trials really trained, on another corpus as its notes have it."""
    from xa_search.search.runner import run_trials
    from xa_search.search.study import open_study
    from xa_search.workflows.plan import make_plan
    from xa_search.workflows.preflight import prepare_search
    from xa_search.workflows.trials import make_trial_job

    changes = (
        "params={learning_rate: {low: 1.0e-5, high: 1.0e-2, log: true}}",
        "published={learning_rate: 1.0e-3}",
        "baseline={learning_rate: 1.0e-3}",
        # Read word by word, so little training leaves tags that another seed changes.
        "fixed={model_size: tiny, epochs: 2, batch_size: 16, train_limit: 60, dev_limit: 20, decoding: argmax}",
        "targets=[de]",
        "trials=2",
    )
    plan = make_plan("mtop-mini", changes, home=tmp_path_factory.mktemp("trained"), local=True)
    prepared = prepare_search(plan, ("tiny",), lambda _: None)
    study = open_study(
        plan, {"corpus": "another", "tokenizer of tiny": prepared.encoders["tiny"].tokenizer_fingerprint}
    )
    run_trials(plan, study, lambda trial: make_trial_job(plan, prepared, trial.settings, trial.number), Recorder())
    return plan


def test_replay_trains_again_and_says_what_changed(command: Command, trained: Plan) -> None:
    before = tree(trained.directory / "trials")
    ended, printed, _ = command("replay", "1", "--home", str(trained.home))
    assert ended == 0
    assert "corpus was another, is " in printed
    assert "other data, so that the scores need not agree" in printed
    assert "epoch 2: then " in printed
    assert "all 2 epochs agree to the last digit" in printed
    assert tree(trained.directory / "trials") == before
    assert (trained.directory / "replays" / "1" / "best.safetensors").exists()
    ended, printed, said = command("replay", "1", trained.search_id, "--home", str(trained.home), "--json")
    assert ended == 0
    found = json.loads(printed)
    assert (found["trial"], found["agrees"], found["failure_now"]) == (1, True, None)
    assert [epoch["epoch"] for epoch in found["epochs"]] == [1, 2]
    assert "corpus was another, is " in said


def test_replay_says_where_the_scores_part(command: Command, trained: Plan) -> None:
    from xa_search.search.history import find_search
    from xa_search.workflows.replay import replay_trial

    history = find_search(trained.home, None)
    now = history.trial(0)
    other = replace(now, settings=now.settings.model_copy(update={"seed": 9}))
    replayed = replay_trial(replace(history, trials=(other,)), 0, lambda _: None, lambda _: None)
    assert replayed.first_difference is not None
    assert replayed.first_difference.epoch == 1


def test_replay_of_what_was_never_trained(command: Command, trained: Plan) -> None:
    ended, _, said = command("replay", "7", "--home", str(trained.home))
    assert ended == 2
    assert "trial 7" in said
    assert "type one of its numbers: 0, 1" in said
    ended, _, said = command("replay", "one")
    assert ended == 2
    assert "valid integer" in said


def test_replay_of_a_search_that_kept_no_plan(command: Command, trained: Plan) -> None:
    from xa_search.search.history import find_search
    from xa_search.workflows.replay import replay_trial

    old = replace(find_search(trained.home, None), plan=None)
    with pytest.raises(UsageError, match="kept no plan; type `xa-search train`"):
        replay_trial(old, 0, lambda _: None, lambda _: None)


def test_every_failure_class_has_a_meaning() -> None:
    from xa_search.workflows.explain import MEANINGS

    assert set(MEANINGS) == set(get_args(FailureClass))


class Standing:
    """Stands for a registered model, with the real reading of texts."""

    corpus = EncodedCorpus(directory=Path(), source="en", targets=(), intents=("go",), slot_tags=("O", "B-x", "I-x"))

    def predict(self, rows: Sequence[EncodedRow]) -> list[Prediction]:
        return [
            Prediction(
                intent="go",
                intent_probability=0.5,
                slots=("B-x",) * len(row.words),
                slot_probabilities=(0.5,) * len(row.words),
            )
            for row in rows
        ]


@pytest.fixture
def predicting(command: Command, monkeypatch: pytest.MonkeyPatch, shared_home: Path) -> Command:
    """Let `predict` answer by a model that says the same of every word."""
    from xa_search.model.encoder import load_tokenizer, prepare_encoder
    from xa_search.tracking.bundle import Bundle
    from xa_search.workflows import models

    bundle = Bundle(
        predictor=Standing(),  # type: ignore[arg-type]
        tokenizer=load_tokenizer(prepare_encoder("tiny", shared_home).directory),
        settings=TrialSettings(model_size="tiny"),
        provenance={},
    )
    monkeypatch.setattr(models, "named_bundle", lambda *_: bundle)
    return command


def test_predict_answers_good_lines_and_says_which_are_not_utf8(
    predicting: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = b"on\nOuvre le caf\xe9\r\n\n\xe2\x80\x8b\noff"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8"))
    ended, printed, said = predicting("predict")
    answers = [json.loads(line) for line in printed.splitlines()]
    assert ended == 1
    assert said == "error: 1 of 5 texts have no answer, number 2; save them as UTF-8 and predict them again\n"
    assert answers[0] == {
        "text": "on",
        "intent": "go",
        "intent_probability": 0.5,
        "slots": [
            {"slot": "x", "value": "on", "start_word": 0, "end_word": 0, "start": 0, "end": 2, "probability": 0.5}
        ],
    }
    assert answers[1] == {
        "text": "Ouvre le caf\ufffd",
        "error": "'Ouvre le caf\ufffd' has bytes that are not UTF-8; save it as UTF-8",
    }
    nothing = {"intent": None, "intent_probability": 0.0, "slots": []}
    assert answers[2:4] == [{"text": "", **nothing}, {"text": "\u200b", **nothing}]
    assert answers[4]["text"] == "off"


def test_predict_answers_arguments(predicting: Command) -> None:
    ended, printed, said = predicting("predict", "on", "caf\udce9", "")
    answers = [json.loads(line) for line in printed.splitlines()]
    assert ended == 1
    assert "1 of 3 texts have no answer, number 2;" in said
    assert ["error" in answer for answer in answers] == [False, True, False]
    assert predicting("predict", "")[:2] == (
        0, '{"text": "", "intent": null, "intent_probability": 0.0, "slots": []}\n'
    )  # fmt: skip


def test_predict_keeps_an_intent_back_that_is_less_probable_than_the_threshold(predicting: Command) -> None:
    for threshold, intent in (("0.5", "go"), ("0.51", None)):
        _, printed, _ = predicting("predict", "on", "--threshold", threshold)
        answer = json.loads(printed)
        assert (answer["intent"], answer["intent_probability"]) == (intent, 0.5)
        assert [slot["value"] for slot in answer["slots"]] == ["on"]
