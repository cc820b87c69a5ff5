"""The whole program on the bundled corpus with the tiny encoder: search, registry, prediction, resumption."""

import dataclasses
import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from xa_search.cli import main as cli
from xa_search.cli.display import SearchDisplay
from xa_search.cli.tables import print_result
from xa_search.errors import XaSearchError
from xa_search.records import EpochReport, Plan, TrialRecord, Utterance
from xa_search.records.search import trial_directory
from xa_search.search import winner
from xa_search.search.driver import only_driver
from xa_search.search.history import find_search
from xa_search.search.winner import best_of_each_kind
from xa_search.tracking.address import tracking_uri
from xa_search.tracking.report import language_rows
from xa_search.tracking.store import TRIAL_TAG, connect, open_experiment
from xa_search.training import soup
from xa_search.training.estimates import ESTIMATES
from xa_search.training.final_test import OUTCOMES, SCORES, read_outcomes
from xa_search.training.floors import CENTRED, FROZEN, MOST_FREQUENT, TURNED
from xa_search.training.mistakes import MISTAKES
from xa_search.training.progress import PROGRESS
from xa_search.training.trial import BEST_WEIGHTS
from xa_search.workflows.api import Search
from xa_search.workflows.confirmation import confirming_plan
from xa_search.workflows.evaluate import model_or_trial
from xa_search.workflows.live_report import LivePage, stamp_of
from xa_search.workflows.models import predict_texts, promote_version, registered_models
from xa_search.workflows.plan import make_plan
from xa_search.workflows.preflight import open_plan_corpus
from xa_search.workflows.run import SearchResult, run_search

pytestmark = pytest.mark.long
TINY = (
    "params.model_size.choices=[tiny]",
    "params.learning_rate={low: 1.0e-5, high: 1.0e-2, log: true}",
    "published={align_weight: 1, learning_rate: 2.0e-5, model_size: tiny}",
    "baseline={learning_rate: 1.0e-3, model_size: tiny}",
    "fixed={epochs: 2, batch_size: 32, train_limit: 200, dev_limit: 40, test_limit: 40, precision: fp32}",
    "targets=[de, th]",
)

EXTENDED = ("trials=5", "keep=1", "unseen_languages=[hi]")


def tiny_plan(home: Path, *changes: str, **options: Any) -> Plan:
    return make_plan("mtop-mini", (*TINY, *changes), home=home, **options)


@dataclasses.dataclass
class ProgressReporter:
    """Remembers what it hears."""

    notes: list[str] = dataclasses.field(default_factory=list)
    earlier: list[int] = dataclasses.field(default_factory=list)
    ended: list[TrialRecord] = dataclasses.field(default_factory=list)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def resumed(self, earlier: Sequence[TrialRecord]) -> None:
        self.earlier = [trial.number for trial in earlier]

    def reading(self, done: int, total: int | None) -> None:
        pass

    def download(self, done: int, total: int | None) -> None:
        raise AssertionError("nothing is downloaded")

    def trial_started(self, record: TrialRecord) -> None:
        assert record.state == "RUNNING"

    def epoch_reported(self, record: TrialRecord, report: EpochReport) -> None:
        assert record.scores[-1] == report.score

    def trial_ended(self, record: TrialRecord) -> None:
        self.ended.append(record)


OPENED: list[str] = []
LISTENING = [False]


def _remember_open(event: str, arguments: tuple[Any, ...]) -> None:
    # The bundled corpus is generated on the way: what is opened to be written is not read.
    if LISTENING[0] and event == "open" and isinstance(arguments[0], (str, os.PathLike)) and arguments[1] != "w":
        OPENED.append(os.fspath(arguments[0]))


sys.addaudithook(_remember_open)


@dataclasses.dataclass
class SpyingAudience(ProgressReporter):
    """Looks at the files opened so far when the winner is announced."""

    opened_before_the_winner: tuple[str, ...] = ()
    trials: Path = Path()
    with_weights: set[int] = dataclasses.field(default_factory=set)

    def trial_ended(self, record: TrialRecord) -> None:
        super().trial_ended(record)
        self.with_weights |= {
            int(path.parent.name) for path in self.trials.glob("*/*") if path.suffix == ".safetensors"
        }

    def note(self, text: str) -> None:
        super().note(text)
        if text.startswith("winner"):
            self.opened_before_the_winner = tuple(OPENED)


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory, with_tables: Callable[[Path], Path]
) -> tuple[Plan, SearchResult, SpyingAudience]:
    plan = tiny_plan(
        with_tables(tmp_path_factory.mktemp("run")),
        "trials=4",
        "keep=1",
        "unseen_languages=[hi]",
        "audit=picks",
        local=True,
    )
    reporter = SpyingAudience(trials=plan.directory / "trials")
    LISTENING[0] = True
    result = run_search(plan, reporter)
    LISTENING[0] = False
    promote_version(plan.home, "xa-search-mtop-mini", 1)
    return plan, result, reporter


Finished = tuple[Plan, SearchResult, SpyingAudience]


def test_the_first_two_trials_are_the_baseline_and_the_papers_values(finished: Finished) -> None:
    trials = finished[1].record.trials
    assert [trial.role for trial in trials] == ["baseline", "paper_values", "searched", "searched"]
    assert trials[0].settings.method == "zero_shot"
    assert trials[1].params["align_weight"] == 1
    assert trials[1].params["learning_rate"] == 2e-5


def test_no_test_split_is_opened_before_the_winner_is_chosen(finished: Finished) -> None:
    _, _, reporter = finished
    before = [Path(path).name for path in reporter.opened_before_the_winner]
    after = [Path(path).name for path in OPENED[len(before) :]]
    assert "train.txt" in before
    assert "eval.txt" in before
    assert not [name for name in before if name.startswith("test.")]
    unseen = {Path(path).name for path in reporter.opened_before_the_winner if Path(path).parent.name == "hi"}
    assert unseen == {"train.txt"}, "its pairs are checked before anything starts; no trial has them"
    assert "test.txt" in after


def test_the_winner_is_the_best_complete_trial_and_is_tested_in_every_language(finished: Finished) -> None:
    record = finished[1].record
    complete = [trial for trial in record.trials if trial.state == "COMPLETE"]
    assert max(complete, key=lambda trial: trial.score or 0).score == record.trials[record.winner].score
    for number in (record.winner, record.baseline):
        scores = record.test_metrics[number]
        assert {f"test_slot_f1_{lang}" for lang in ("en", "de", "th", "hi", "mean")} <= set(scores)
        assert scores["test_slot_f1_mean"] == pytest.approx((scores["test_slot_f1_de"] + scores["test_slot_f1_th"]) / 2)


def test_the_winners_settings_were_trained_once_more_without_alignment(finished: Finished) -> None:
    plan, result, reporter = finished
    record = result.record
    winner, fair = record.trial(record.winner), record.fair_baseline
    if winner.settings.method == "zero_shot":
        assert (fair, record.no_fair_baseline) == (None, "no fair baseline: the winner itself aligned nothing")
    else:
        assert fair is not None
        assert fair.settings == winner.settings.model_copy(update={"method": "zero_shot"})
        assert {f"test_slot_f1_{lang}" for lang in ("en", "de", "th", "hi", "mean")} <= set(fair.test_metrics)
        assert not list((plan.directory / "comparisons").rglob("*.safetensors")), "it cannot win"
    assert [floor.name for floor in record.floors] == [MOST_FREQUENT, FROZEN, CENTRED, TURNED]
    assert len(record.trials) == len(reporter.ended) == 4


def test_the_registered_model_answers_raw_text_in_any_language(finished: Finished) -> None:
    plan, result, _ = finished
    (registration,) = result.registrations
    shown = [difference.is_shown for difference in result.record.shown]
    is_baseline, floors = result.record.winner == result.record.baseline, len(result.record.floors)
    assert len(shown) == floors + (0 if is_baseline else 1), "the floors, and the zero-shot trial"
    assert registration.is_champion == (not is_baseline and all(shown) and not result.record.at_floor)
    written = json.loads((plan.directory / "report" / "registration.json").read_text(encoding="utf-8"))
    assert written == [{"name": "xa-search-mtop-mini", "version": 1, "verdict": registration.reason}]
    model = registered_models(plan.home)[0]
    assert model.aliases == ("candidate", "champion")
    said: list[str] = []
    texts = ["wake me at 7", "ปลุกฉันตอนเจ็ดโมง", "unheardofword ßøł"]
    answers = predict_texts(plan.home, None, texts, note=said.append)
    assert said == ["model: xa-search-mtop-mini version 1, the champion"]
    assert all(answer["intent"] in _intents(result) for answer in answers)
    assert json.dumps(answers, ensure_ascii=False)


def _intents(result: SearchResult) -> set[str]:
    from xa_search.corpora.mini.generate import read_frames

    return {frame.intent for frame in read_frames()}


def jsonl_of(rows: list[Utterance], folder: Path, lang: str) -> None:
    """Write rows as a corpus with labels of its own, and one row of a kind that the model does not know."""
    renamed = [{"tokens": row.words, "intent": f"our {row.intent}", "slots": _lower(row.slots)} for row in rows]
    strange = {"tokens": ["sing"], "intent": "our SING", "slots": ["B-song"]}
    lines = [json.dumps(row) for row in (*renamed, strange)] + ["{broken"]
    (folder / f"test.{lang}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _lower(tags: tuple[str, ...]) -> list[str]:
    return [tag if tag == "O" else tag[:2] + tag[2:].lower() for tag in tags]


def test_the_model_is_scored_on_another_corpus_through_a_label_map(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same rows under other labels give the same scores, by the registered model and by the search."""
    plan, _, _ = finished
    corpus = open_plan_corpus(plan)
    rows = {lang: list(corpus.utterances(lang, "test"))[:60] for lang in ("en", "de")}
    for lang in rows:
        jsonl_of(rows[lang], tmp_path, lang)
    bundle = model_or_trial(plan.home, plan.search_id, None, lambda _: None)
    known = bundle.predictor.corpus
    types = sorted({tag[2:] for tag in known.slot_tags if tag != "O"})
    labels = {"intents": {name: f"our {name}" for name in known.intents}, "slots": {t: t.lower() for t in types}}
    (tmp_path / "map.yaml").write_text(json.dumps({**labels, "leave_out": True}), encoding="utf-8")
    options = ["--corpus", "jsonl", "--data", str(tmp_path), "--lang", "en,de", "--home", str(plan.home)]
    printed = []
    for model, shown in (("xa-search-mtop-mini@champion", ()), (plan.search_id, ()), (plan.search_id, ("--json",))):
        arguments = ["xa-search", "evaluate", model, *options, "--label-map", str(tmp_path / "map.yaml"), *shown]
        monkeypatch.setattr(sys, "argv", arguments)
        with suppress(SystemExit):
            cli.main()
        printed.append(capsys.readouterr().out)
    scored = json.loads(printed.pop())
    assert (scored["model"], scored["corpus"]) == (plan.search_id, "jsonl")
    assert [(one["lang"], one["rows"]) for one in scored["languages"]] == [("en", 60), ("de", 60)]
    tables = [[line for line in text.splitlines() if line.startswith("│")] for text in printed]
    assert tables[0] == tables[1]
    assert "their rows are left out: our SING (2)" in printed[0]
    assert "data: test de: 1 of 62 rows dropped (bad_json 1)" in printed[0]
    said = bundle.parse_words([row.words for row in rows["de"]])
    accuracy = sum(row.intent == answer.intent for row, answer in zip(rows["de"], said, strict=True)) / 60
    assert f"│ de       │   60 │        1 │ {100 * accuracy:.1f} [" in tables[0][1]


def test_the_report_and_the_plots_are_files_of_the_search(finished: Finished) -> None:
    plan, _, _ = finished
    names = {path.name for path in (plan.directory / "report").iterdir()}
    assert {"report.md", "report.json", "index.html", "trials.csv", "languages.csv"} <= names
    assert len([name for name in names if name.endswith(".png")]) == 3


def test_the_page_tells_what_the_search_found(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is logged with the search, drawn again by the command, and served while that is wanted."""
    plan, result, _ = finished
    record = result.record
    report = Search(plan.directory).report()
    assert [row.lang for row in report.languages] == ["en", "de", "th", "hi", "mean"]
    for row in language_rows(record):
        (told,) = (one for one in report.languages if one.lang == row.lang)
        assert {name: one.value for name, one in told.winner.items()} == row.winner
    assert len(report.weakest) == 3
    assert all(weak.mistakes.utterances == 40 for weak in report.weakest)
    assert report.cost is not None
    assert {"promote", "predict", "export", "run"} <= {one.command.split()[1] for one in report.commands}
    assert list(Search(plan.directory).trials()["state"]) == [trial.state for trial in record.trials]
    path = tmp_path / "page.html"
    monkeypatch.setattr(
        sys, "argv", ["xa-search", "report", plan.search_id, "--home", str(plan.home), "--out", str(path)]
    )
    with suppress(SystemExit):
        cli.main()
    assert capsys.readouterr().out == f"page: {path}\n"
    logged = plan.directory / "report" / "index.html"
    assert path.read_text(encoding="utf-8") == logged.read_text(encoding="utf-8")
    with LivePage(plan.directory) as live:
        threading.Thread(target=live.serve, daemon=True).start()
        served = urlopen(live.address).read().decode()
        assert plan.search_id in served
        assert urlopen(f"{live.address}stamp").read().decode() == stamp_of(plan.directory)
        with pytest.raises(HTTPError, match="403"):
            urlopen(Request(live.address, headers={"Host": "elsewhere.example"}))
        with pytest.raises(HTTPError, match="501"):
            urlopen(Request(live.address, method="POST", data=b""))
        live.stop()


def test_what_is_inside_the_winner_is_logged_with_it_and_shown_again(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command finds in the registered model and in the search's trial what the search found."""
    plan, result, reporter = finished
    client = connect(tracking_uri(plan.home))
    winner = f"tags.`{TRIAL_TAG}` = '{result.record.winner}'"
    run = client.search_runs([open_experiment(client)], winner)[0]
    logged = {Path(file.path).name for file in client.list_artifacts(run.info.run_id, "inspection")}
    assert logged == {"inspection.csv", "inspection.json", "inspection.png"}
    found = json.loads((plan.directory / "inspections" / str(result.record.winner) / "inspection.json").read_text())
    assert {(one["lang"], one["unseen"], one["layer"]) for one in found["layers"]} == {
        (lang, lang == "hi", layer) for lang in ("de", "th", "hi") for layer in (1, 2)
    }
    assert {"mean", "hi"} <= found["closer"].keys()
    inside = f"inside trial {result.record.winner}, mean: translations stand out"
    assert any(note.startswith(inside) for note in reporter.notes)
    folder = tmp_path / "found"
    bundle = next((plan.home / "artifacts").rglob("bundle.json")).parent
    for model in ("models:/xa-search-mtop-mini@champion", str(bundle), plan.search_id):
        arguments = ["xa-search", "inspect", model, "--home", str(plan.home), "--out", str(folder)]
        monkeypatch.setattr(sys, "argv", arguments)
        with suppress(SystemExit):
            cli.main()
        assert "hi (unseen)" in capsys.readouterr().out
        again = json.loads((folder / "inspection.json").read_text())
        then, now = ([one["after"]["pair_cosine"] for one in seen["layers"]] for seen in (found, again))
        assert now == pytest.approx(then, abs=1e-4)
    monkeypatch.setattr(sys, "argv", [*arguments, "--json"])
    with suppress(SystemExit):
        cli.main()
    printed = json.loads(capsys.readouterr().out)
    assert {**again, "files": printed["files"]} == printed
    monkeypatch.setattr(sys, "argv", ["xa-search", "inspect", str(bundle), "--home", str(tmp_path)])
    with pytest.raises(SystemExit):
        cli.main()
    assert f"was made by search {plan.search_id}, which is not in {tmp_path}" in capsys.readouterr().err


def test_what_was_right_of_each_utterance_is_kept_and_gives_the_scores(finished: Finished) -> None:
    """For the best trial of each method and size, also for those that neither won nor are the baseline."""
    plan, result, _ = finished
    record = result.record
    kinds = {trial.number for trial in best_of_each_kind(record.trials)}
    assert record.test_metrics.keys() == {record.winner, record.baseline, *kinds}
    for number, metrics in record.test_metrics.items():
        outcomes = read_outcomes(trial_directory(plan.directory, number))
        assert outcomes.keys() == {"en", "de", "th", "hi"}
        for lang, one in outcomes.items():
            f1 = 2 * one.correct.sum() / max(1, one.found.sum() + one.gold.sum())
            assert len(set(one.ids)) == len(one.ids) == 40
            assert one.intent.mean() == pytest.approx(metrics[f"test_intent_acc_{lang}"])
            assert one.exact.mean() == pytest.approx(metrics[f"test_exact_match_{lang}"])
            assert f1 == pytest.approx(metrics[f"test_slot_f1_{lang}"])


def test_claims_are_printed_kept_and_logged(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the bundled corpus only the claim on embeddings can be measured, whether or not the aligned trial won."""
    plan, _, _ = finished
    home = ["--home", str(plan.home)]
    monkeypatch.setattr(sys, "argv", ["xa-search", "claims", plan.search_id, "--json", "--out", str(tmp_path), *home])
    with suppress(SystemExit):
        cli.main()
    rows = {row["claim"]: row for row in json.loads(capsys.readouterr().out)["claims"]}
    assert rows["4a"]["verdict"] == "not measured"
    assert rows["4a"]["why"] == "no finished search on mtod"
    assert rows["9"]["verdict"] != "not measured"
    assert json.loads((tmp_path / "claims.json").read_text())["claims"] == list(rows.values())
    monkeypatch.setattr(sys, "argv", ["xa-search", "claims", "mtop-mini", *home])
    with suppress(SystemExit):
        cli.main()
    assert "9: mtop-mini: last layer, cosine of translations above that of random pairs" in capsys.readouterr().out
    client = connect(tracking_uri(plan.home))
    run = client.search_runs([open_experiment(client)], "tags.winner != ''")[0]
    logged = {Path(file.path).name for file in client.list_artifacts(run.info.run_id, "claims")}
    assert logged == {"claims.md", "claims.json"}
    assert run.info.status == "FINISHED"


def test_rules_are_audited_once_the_winner_is_chosen_and_the_audits_pooled(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, result, reporter = finished
    found = json.loads((plan.directory / "report" / "selection_audit.json").read_text(encoding="utf-8"))
    rules = {row["rule"]: row for row in found["rows"]}
    assert rules.keys() == {
        *("label_free", "source_dev", "guarded", "atc", "nuclear", "random aligned trial", "oracle (cross-fitted)")
    }
    assert found["with_zero_shot"]["label_free"] == result.record.winner
    for rule in ("label_free", "source_dev", "guarded", "atc", "nuclear"):
        assert read_outcomes(trial_directory(plan.directory, rules[rule]["pick"])), "what a rule picks is tested"
    chosen, audited = (
        next(place for place, note in enumerate(reporter.notes) if note.startswith(start))
        for start in ("winner: ", "audit of the selection rules: ")
    )
    assert chosen < audited
    arguments = ["audit", plan.search_id, "--json", "--out", str(tmp_path), "--home", str(plan.home)]
    monkeypatch.setattr(sys, "argv", ["xa-search", *arguments])
    with suppress(SystemExit):
        cli.main()
    pooled = json.loads(capsys.readouterr().out)
    assert pooled["searches"] == [plan.search_id]
    assert pooled["verdict"] == "whether guarded should be the default is not shown: fewer than 3 searches"
    assert (tmp_path / "audit.md").read_text(encoding="utf-8").startswith("# Selection rules over 1 searches")


def test_only_the_best_and_the_baseline_keep_their_weights(finished: Finished) -> None:
    plan, result, reporter = finished
    assert reporter.with_weights == {trial.number for trial in result.record.trials if trial.state == "COMPLETE"}
    left = {path.parent.name for path in plan.directory.glob("trials/*/*") if path.suffix == ".safetensors"}
    assert left == {str(result.record.winner), str(result.record.baseline)}


@dataclasses.dataclass
class ForgettingAudience(ProgressReporter):
    """Lets MLflow have missed the end of a trial, as one has that was away while a killed search was begun again."""

    home: Path = Path()
    number: int = 0
    began: int = dataclasses.field(default_factory=time.time_ns)

    def note(self, text: str) -> None:
        super().note(text)
        if text.startswith("winner"):
            self.client().update_run(self.run_of_the_trial().info.run_id, status="RUNNING")

    def client(self) -> Any:
        return connect(tracking_uri(self.home))

    def run_of_the_trial(self) -> Any:
        return self.client().search_runs([open_experiment(self.client())], f"tags.`{TRIAL_TAG}` = '{self.number}'")[0]


Again = tuple[SearchResult, ForgettingAudience]


@pytest.fixture(scope="module")
def again(finished: Finished) -> Again:
    """The same command once more, after a driver that was killed left files behind."""
    plan, result, _ = finished
    twice_told = (result.record.winner, result.record.baseline)
    other = next(trial.number for trial in result.record.trials if trial.number not in twice_told)
    folder = trial_directory(plan.directory, other)
    for path in (folder / PROGRESS, folder / "last-1.safetensors", folder / "registration.partial" / "model"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("left over")
    reporter = ForgettingAudience(home=plan.home, number=other)
    return run_search(plan, reporter), reporter


def test_the_same_command_again_tidies_up_and_tells_mlflow_what_it_missed(finished: Finished, again: Again) -> None:
    reporter = again[1]
    folder = trial_directory(finished[0].directory, reporter.number)
    assert {path.name for path in folder.iterdir()} <= {BEST_WEIGHTS, ESTIMATES, MISTAKES, OUTCOMES, SCORES}
    assert reporter.run_of_the_trial().info.status in ("FINISHED", "KILLED")


def test_the_same_command_again_trains_nothing_and_registers_nothing_new(finished: Finished, again: Again) -> None:
    _, result, _ = finished
    repeated, reporter = again
    assert reporter.ended == []
    (before,), (again,) = result.registrations, repeated.registrations
    assert not again.is_new
    assert again.version.version == before.version.version
    for number in (result.record.winner, result.record.baseline):
        assert repeated.record.test_metrics[number] == result.record.test_metrics[number]
        folder = trial_directory(finished[0].directory, number)
        assert (folder / OUTCOMES).stat().st_mtime_ns < reporter.began, "a trial was tested twice"


def test_a_finished_search_is_confirmed_by_fresh_seeds_and_again_without_training(
    finished: Finished, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of the confirmed runs is registered, as a version of its own; MLflow has them under roles of their own."""
    plan, _, _ = finished
    before = len(registered_models(plan.home))
    reporter = SpyingAudience(trials=plan.directory / "trials")
    LISTENING[0], OPENED[:] = True, []
    result = run_search(
        confirming_plan(find_search(plan.home, plan.search_id), 1, 2, local=True, address=None), reporter
    )
    LISTENING[0] = False
    names = [Path(path).name for path in reporter.opened_before_the_winner]
    assert names
    assert not [name for name in names if name.startswith(("test.", "test-"))], "chosen before a test split is opened"
    assert [name for name in map(os.path.basename, OPENED) if name.startswith("test.")]
    confirmed = result.record.confirmation
    assert confirmed is not None
    winner = confirmed.winner
    assert (winner.seeds, len(winner.scores)) == ((101, 102), 2)
    assert winner.test_metrics["test_slot_f1_mean"] >= 0
    assert confirmed.registered in winner.numbers
    (registration,) = result.registrations
    assert (registration.is_new, registration.version.trial) == (True, confirmed.registered)
    assert len(registered_models(plan.home)) == before + 1
    weights = {
        path.parent.name for path in plan.directory.glob("trials/1*/best.safetensors") if len(path.parent.name) > 9
    }
    assert weights == {str(confirmed.registered)}
    client = connect(tracking_uri(plan.home))
    runs = client.search_runs([open_experiment(client)], "tags.confirms != ''")
    roles = [run.data.tags["role"] for run in runs]
    aligned = winner.trial != result.record.baseline
    assert (roles.count("confirmed"), roles.count("fair_baseline")) == (4, 2 if aligned else 0)
    of_winner = [run for run in runs if int(run.data.tags[TRIAL_TAG]) in winner.numbers]
    assert len(of_winner) == 2
    assert all("test_slot_f1_mean" in run.data.metrics for run in of_winner), "what lost is not tested"
    report = (plan.directory / "report" / "report.md").read_text(encoding="utf-8")
    assert "in the search, " in report
    assert "registered is its run with seed 10" in report
    arguments = ["confirm", plan.search_id, "--top", "1", "--seeds", "2", "--local", "--json"]
    monkeypatch.setattr(sys, "argv", ["xa-search", *arguments, "--home", str(plan.home)])
    with suppress(SystemExit):
        cli.main()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (registered,) = lines[-1]["registrations"]
    assert (registered["is_new"], registered["reason"].startswith("registered and checked before")) == (False, True)
    assert lines[-1]["record"]["confirmation"]["registered"] == confirmed.registered


def test_more_trials_extend_the_search(finished: Finished) -> None:
    plan, _, _ = finished
    more = tiny_plan(plan.home, *EXTENDED, local=True, time_budget=1e6)
    assert more.search_id == plan.search_id
    reporter = ProgressReporter()
    extended = run_search(more, reporter)
    assert reporter.earlier == [0, 1, 2, 3]
    assert [trial.number for trial in reporter.ended] == [4]
    assert len(extended.record.trials) == 5
    assert extended.budget == ""
    (kept_back,) = [note for note in reporter.notes if note.startswith("the end will take about ")]
    assert "which trials leave of the budget (half of it at most): " in kept_back
    assert " models, 1 at a time, each " in kept_back


def test_a_used_up_budget_is_concluded_and_says_how_to_extend_it(
    finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = tiny_plan(finished[0].home, *EXTENDED, "trials=9", local=True, time_budget=1e-3)
    result = run_search(plan, ProgressReporter())
    print_result(plan, result)
    said = capsys.readouterr().out
    assert "concluded after 5 of 9 trials: its time budget of 0.001 s is used up" in said
    assert "to extend it, type the same command again; a larger budget takes it further" in said
    assert [registration.version.checked for registration in result.registrations] == [True]


def test_without_mlflow_a_search_is_concluded_and_says_how_to_register_it_later(
    finished: Finished, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{closed.getsockname()[1]}")
    plan = tiny_plan(finished[0].home, *EXTENDED, local=True)
    result = run_search(plan, ProgressReporter())
    print_result(plan, result)
    said = capsys.readouterr().out
    assert result.registrations == ()
    assert result.record.test_metrics[result.record.winner]
    assert "not registered: MLflow at http://127.0.0.1:" in said
    assert f"to register it, type the same command again: xa-search run mtop-mini --home {plan.home}" in said


def test_a_search_that_goes_on_says_how_far_it_is(finished: Finished, capsys: pytest.CaptureFixture[str]) -> None:
    plan, result, _ = finished
    record = result.record
    with SearchDisplay(plan) as display:
        display.resumed(record.trials[:4])
        display.trial_ended(dataclasses.replace(record.trial(0), number=9, state="FAIL"))
    first, second = capsys.readouterr().out.splitlines()
    best = max(record.trials[:4], key=lambda trial: trial.score if trial.state == "COMPLETE" else -1)
    assert f"resumes: 4 of {plan.space.trials} trials have ended; best so far" in first
    assert second.endswith(f"(trial {best.number})")


def xa_search(home: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "XA_SEARCH_HOME": str(home), "COLUMNS": "160"}
    command = [sys.executable, "-c", "from xa_search.cli.main import main; main()", *arguments]
    return subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def arguments(*changes: str) -> list[str]:
    return ["run", "mtop-mini", *(part for change in (*TINY, *changes) for part in ("--set", change))]


def test_sigterm_pauses_trials_and_ends_runs_here_and_on_ray(
    tmp_path: Path, with_tables: Callable[[Path], Path]
) -> None:
    from xa_search.search.history import find_search

    slow = arguments("trials=3", "fixed.epochs=60")
    homes = {with_tables(tmp_path / "here"): ("--local",), with_tables(tmp_path / "ray"): ()}
    running = {home: xa_search(home, *slow, *options) for home, options in homes.items()}
    try:
        for home, process in running.items():
            assert process.stdout is not None
            assert any("epoch 1/" in line for line in process.stdout)
            process.terminate()
            _, errors = process.communicate()
            assert process.returncode == 75, errors
            assert "stopped after 0 of 3 trials: it was interrupted; the same command resumes it" in errors
            assert "Traceback" not in errors
            assert {trial.state for trial in find_search(home, None).trials} == {"PAUSED"}
            with sqlite3.connect(home / "mlflow.db") as store:
                assert set(store.execute("select status from runs")) == {("KILLED",)}
    finally:
        for process in running.values():
            process.kill()


def test_a_second_driver_is_refused_and_leaves_the_first_ones_runs_alone(finished: Finished) -> None:
    plan, _, _ = finished
    spool = (plan.directory / "spool.jsonl").read_bytes()
    with only_driver(plan.directory), pytest.raises(XaSearchError, match="is already run by process"):
        run_search(plan, ProgressReporter())
    assert (plan.directory / "spool.jsonl").read_bytes() == spool


@pytest.mark.proof
def test_a_soup_of_trials_is_a_candidate_that_must_win_by_the_rule(
    tmp_path: Path, with_tables: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for bound in ("NARROWEST", "WIDEST"):
        monkeypatch.setattr(winner, bound, 1.0)
    monkeypatch.setattr(soup, "BARRIER", 1.0)
    learns = (  # the zero-shot trial does not: only an aligned winner is averaged
        "fixed.heads=random",
        "fixed.epochs=6",
        "baseline={learning_rate: 1.0e-5, model_size: tiny}",
        "published={align_weight: 1, learning_rate: 3.0e-3, model_size: tiny}",
    )
    changes = ("trials=4", "scheduler={}", "soup=true", "audit=picks", *learns)
    plan = tiny_plan(with_tables(tmp_path), *changes, local=True)
    result = run_search(plan, ProgressReporter())
    found = result.record.soup
    assert found is not None
    assert found.refused == ""
    assert (len(found.members), found.members[0]) == (3, result.record.winner)
    (registration,) = result.registrations
    assert registration.version.trial == (found.number if found.wins else result.record.winner)
    assert found.wins == (found.score > (result.record.trial(result.record.winner).score or 0.0))
    audited = json.loads((plan.directory / "report" / "selection_audit.json").read_text(encoding="utf-8"))
    assert "soup" in {row["rule"] for row in audited["rows"]}
    assert found.sentence[1:] in (plan.directory / "report" / "report.md").read_text(encoding="utf-8")
    client = connect(tracking_uri(plan.home))
    (run,) = client.search_runs([open_experiment(client)], "tags.role = 'soup'")
    assert "test_slot_f1_mean" in run.data.metrics
