"""The registration of a search's winner. In: the search's record and the winner's weights. Out: a version that answers.

The version is loaded in a fresh process and must give there what the trial's own model gives here; only then does an
alias move.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from xa_search.encoding.locks import one_at_a_time
from xa_search.encoding.private_folders import private_folder
from xa_search.errors import ModelError, TrackerAwayError, XaSearchError
from xa_search.records import SearchRecord, TrialJob, TrialSettings
from xa_search.records.confirmation import confirmed_of
from xa_search.records.feedback import PEOPLE, FeedbackSettings
from xa_search.tracking.bundle import Bundle, load_bundle, write_bundle
from xa_search.tracking.champion import Challenge, Verdict, champion_verdict, tries_against, verdict_tags
from xa_search.tracking.isolated_process import LoadsBack, answer_isolated
from xa_search.tracking.model_card import CARD, model_card
from xa_search.tracking.registry import (
    alias_holder,
    create_version,
    find_version,
    link_search,
    list_models,
    log_model,
    mark_checked,
    missing_files,
    set_alias,
    set_tags,
)
from xa_search.tracking.report import language_rows, language_table
from xa_search.tracking.store import connect, download, environment, find_runs, open_experiment, plainly
from xa_search.tracking.versions import CANDIDATE, CHAMPION, PREFIX, VERDICT_TAG, RegisteredVersion
from xa_search.training.kept import KEPT, Evidence
from xa_search.training.registry import is_zero_shot, learns_from_target_labels, selection_rule

PROBABILITY_SLACK = 1e-3
LOCK = "registry.lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptScores:
    """What is right of the rows that selected no trial: of the winner, and of what it is held against, by name.

    `no_rival` says why the zero-shot trial is not among the rivals; empty where it is.
    """

    winner: Evidence
    rivals: Mapping[str, Evidence]
    no_rival: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What became of a winner. `is_new` is false where the same winner had been registered before."""

    version: RegisteredVersion
    is_new: bool
    is_champion: bool
    reason: str


def register_winner(
    record: SearchRecord,
    job: TrialJob,
    weights: Path,
    *,
    corpus: str,
    corpus_fingerprint: str,
    texts: Sequence[str],
    expected: Callable[[], Sequence[dict[str, Any]]],
    kept: KeptScores,
    uri: str,
    fresh: LoadsBack,
    target: str | None = None,
) -> Registration:
    """Register the winner's model, check it, and move the aliases; doing it twice makes one version.

    `job` and `weights` are the winner's; `target` is the one that they are for, where it has a model for each. `fresh`
    has answered nothing yet; `expected` gives what the trial's own model says of `texts`, `kept` what is right of the
    rows that selected no trial. Raises XaSearchError where its run is not in MLflow, or where the fresh process says
    something else; the aliases then stay where they are.
    """
    name = f"{PREFIX}{corpus}" if target is None else f"{PREFIX}{corpus}-{target}"
    with one_at_a_time(job.home / LOCK):
        earlier = _versions(uri, name)
        mine = next((version for version in earlier if _is_of(version, record)), None)
        is_lost = mine is not None and bool(missing_files(uri, name, mine.version))
        if mine is not None and mine.checked and not is_lost:
            reason = "registered and checked before, its files are there; the aliases stay as they are"
            return Registration(version=mine, is_new=False, is_champion=CHAMPION in mine.aliases, reason=reason)
        winner = Winner(record, job, weights, name, corpus, corpus_fingerprint, kept.winner)
        if mine is None or is_lost:
            number = _upload(winner, uri, None if mine is None else mine.version)
        else:
            number = mine.version
        _check(f"models:/{name}/{number}", texts, expected, fresh)
        if mine is not None and mine.checked:
            reason = "its files were gone: uploaded and checked again; the aliases stay as they are"
            return Registration(version=mine, is_new=False, is_champion=CHAMPION in mine.aliases, reason=reason)
        # Looked up last: meanwhile, a person or a search of another home may have moved the alias.
        verdict = _move_aliases(uri, name, number, kept, record)
        mark_checked(uri, name, number)
        version = find_version(uri, name, str(number))
    return Registration(version=version, is_new=mine is None, is_champion=verdict.moves, reason=verdict.reason)


def promote(uri: str, name: str, version: int) -> RegisteredVersion:
    """Let the alias `champion` point at a version, and return it.

    Raises ModelError for a version that does not exist, was never checked, splits text otherwise than when it was
    trained, or learned from another corpus than the present champion.
    """
    chosen = find_version(uri, name, str(version))
    if not chosen.checked:
        raise ModelError(f"{name} {version} was never loaded back; run its search {chosen.search_id} again to check it")
    champion = next((other for other in list_models(uri) if other.name == name and CHAMPION in other.aliases), None)
    if champion is not None and champion.corpus_fingerprint != chosen.corpus_fingerprint:
        raise ModelError(
            f"{name} {version} learned from other data than the champion, version {champion.version}; "
            f"remove the alias {CHAMPION!r} in the MLflow UI first, then promote it"
        )
    load_registered(uri, name, str(version))
    set_alias(uri, name, CHAMPION, version)
    return find_version(uri, name, str(version))


def load_registered(uri: str, name: str | None = None, alias_or_version: str | None = None) -> Bundle:
    """Return a registered model, ready to predict; no name means the only one there is, and `find_version` the rest."""
    return load_version(uri, find_version(uri, name, alias_or_version))


def load_version(uri: str, chosen: RegisteredVersion) -> Bundle:
    """Return the model of a version, ready to predict."""
    with version_bundle(uri, chosen) as bundle:
        return load_bundle(bundle)


@contextmanager
def version_bundle(uri: str, chosen: RegisteredVersion) -> Iterator[Path]:
    """Give the folder of a version's bundle."""
    with private_folder() as folder:
        with plainly(uri):
            source = connect(uri).get_model_version_download_uri(chosen.name, str(chosen.version))
            bundle = download(uri, f"{source}/artifacts/bundle", folder)
        yield bundle


def _is_of(version: RegisteredVersion, record: SearchRecord) -> bool:
    """Tell whether a version is this search's winner; only what an earlier version began is known by its name."""
    known = (version.study_id, version.trial) == (record.study_id, record.winner)
    return known and (bool(record.study_id) or version.search_id == record.search_id)


def _move_aliases(uri: str, name: str, number: int, kept: KeptScores, record: SearchRecord) -> Verdict:
    """Move the aliases that a checked version may have, and let it say why."""
    verdict, tags = _held_against_champion(uri, name, number, kept)
    settings, against = record.trial(record.winner).settings, record.at_floor
    if isinstance(settings, FeedbackSettings) and settings.judged_by != PEOPLE:
        against = against or f"its feedback was {settings.judged_by}: no person has judged it"
    if against:
        verdict, tags = Verdict(moves=False, reason=against), {**tags, VERDICT_TAG: against}
    set_tags(uri, name, number, tags)
    for alias in (CANDIDATE, CHAMPION) if verdict.moves else (CANDIDATE,):
        set_alias(uri, name, alias, number)
    return verdict


def _held_against_champion(uri: str, name: str, number: int, kept: KeptScores) -> tuple[Verdict, dict[str, str]]:
    """Return whether the new version becomes the champion, and what it says of that."""
    new, versions = find_version(uri, name, str(number)), _versions(uri, name)
    champion = next((version for version in versions if CHAMPION in version.aliases), None)
    holder = alias_holder(uri, name, CHAMPION)
    if champion is None and holder is not None:
        reason = f"version {holder}, the champion, is none of xa-search's; xa-search promote {name} {number} moves it"
        return Verdict(moves=False, reason=reason), {VERDICT_TAG: reason}
    challenge = Challenge(
        new=new,
        evidence=kept.winner,
        champion=champion,
        of_champion=None if champion is None else _evidence_of(uri, champion),
        rivals=kept.rivals,
        no_rival=kept.no_rival,
        tries=tries_against(versions, champion, number),
    )
    verdict = champion_verdict(challenge)
    return verdict, verdict_tags(challenge, verdict)


def _evidence_of(uri: str, version: RegisteredVersion) -> Evidence | None:
    """Return what a version was found to get right of kept rows; none where nobody looked."""
    try:
        with plainly(uri), tempfile.TemporaryDirectory() as folder:
            source = connect(uri).get_model_version_download_uri(version.name, str(version.version))
            found = download(uri, f"{source}/artifacts/bundle/{KEPT}", Path(folder))
            return Evidence.from_json(found.read_text(encoding="utf-8"))
    except TrackerAwayError:
        raise
    except (OSError, ValueError, XaSearchError):
        return None


def _versions(uri: str, name: str) -> list[RegisteredVersion]:
    return [version for version in list_models(uri) if version.name == name]


@dataclass(frozen=True, slots=True)
class Winner:
    """A model to register: `data` is the fingerprint of what it learned from, `name` what it is registered as.

    `evidence` is what it got right of the rows that selected no trial: later versions are held against that.
    """

    record: SearchRecord
    job: TrialJob
    weights: Path
    name: str
    corpus: str
    data: str
    evidence: Evidence


def _upload(winner: Winner, uri: str, version: int | None) -> int:
    """Upload a model and register it, or put it again where the files of its version should be; return its number."""
    record, job, name = winner.record, winner.job, winner.name
    score, scores = _own_scores(record, job)
    origin = _origin(winner, score)
    tests = {metric: f"{value:.4f}" for metric, value in scores.items()}
    text = f"Winner of the search {record.search_id}, in percent:\n\n{language_table(language_rows(record))}"
    # MLflow looks the model up once more, with no other address than this variable
    settings = {"MLFLOW_TRACKING_URI": uri}
    with plainly(uri), environment(settings), _workplace(job.directory) as folder:
        client = connect(uri)
        experiment = open_experiment(client)
        runs = find_runs(client, experiment, record.search_id, record.study_id)
        run = runs.get(record.winner)
        if run is None:
            raise XaSearchError(
                f"MLflow has no run of trial {record.winner} of {record.search_id}; run the search again"
            )
        bundle = folder / "bundle"
        write_bundle(job, winner.weights, bundle, origin)
        card = model_card(record, job, winner.corpus, name, scores)
        (bundle / CARD).write_text(card, encoding="utf-8")
        (bundle / KEPT).write_text(winner.evidence.as_json(), encoding="utf-8")
        model_id = log_model(client, experiment, run, f"model{name.removeprefix(PREFIX + winner.corpus)}", bundle)
        number = version or create_version(client, name, run.run_id, model_id, {**origin, **tests}, text)
        if None in runs:
            link_search(client, runs[None], model_id, name, number)
        return number


def _origin(winner: Winner, score: float | None) -> dict[str, str]:
    """Return where a model comes from, as its bundle and its version say it."""
    record = winner.record
    settings = record.trial(record.winner).settings
    method = settings.method
    zero_shot = is_zero_shot(record.selection, [method]) and not learns_from_target_labels(settings)
    return {
        **_lineage(settings),
        "search_id": record.search_id,
        **({"study_id": record.study_id} if record.study_id else {}),
        "trial": str(record.winner),
        **_confirms(record),
        "corpus": winner.corpus,
        "corpus_fingerprint": winner.data,
        "method": method,
        "selection": record.selection,
        "zero_shot": "yes" if zero_shot else "no",
        "selection_score": repr(score),
        "tokenizer_fingerprint": winner.job.encoder.tokenizer_fingerprint,
    }


def _confirms(record: SearchRecord) -> dict[str, str]:
    """Return of which trial's settings, and with which fresh seed, a confirmed run is, or of which trials a soup."""
    if record.soup is not None and record.winner == record.soup.number:
        return {"soup": ", ".join(map(str, record.soup.members))}
    if record.confirmation is None:
        return {}
    trial, seed = confirmed_of(record.winner)
    return {"confirms": str(trial), "seed": str(seed)}


def _lineage(settings: TrialSettings) -> dict[str, str]:
    """Return what a model that learned from feedback went on from, and whose judgements it has seen."""
    if not isinstance(settings, FeedbackSettings):
        return {}
    return {
        "stage": "feedback",
        "reference": settings.reference,
        "arm": settings.arm,
        "judged_by": settings.judged_by,
        "sees": settings.supervision,
    }


def _own_scores(record: SearchRecord, job: TrialJob) -> tuple[float | None, dict[str, float]]:
    """Return the selection score and the test scores of the model of this job: of one target, where that is its own."""
    winner = record.trial(record.winner)
    tests = record.test_metrics.get(winner.number, {})
    if job.corpus.targets == record.targets:
        return winner.score, tests
    (target,) = job.corpus.targets
    found = {name: value for name, value in tests.items() if name.endswith(f"_{target}")}
    means = {f"{name.removesuffix(target)}mean": value for name, value in found.items()}
    source = {name: value for name, value in tests.items() if name.endswith(f"_{record.source}")}
    return selection_rule(record.selection).score(winner.metrics, job.corpus), source | found | means


@contextmanager
def _workplace(directory: Path) -> Iterator[Path]:
    """Give an empty folder in a trial's own. What a killed registration leaves, the next run of the search drops."""
    folder = directory / "registration.partial"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


class LoadedBackOnNode:
    """Loads a registered model back where trials run: from the driver's copy in a folder that all nodes see."""

    def __init__(self, uri: str, folder: Path, call: Callable[..., Callable[[], list[dict[str, Any]]]]) -> None:
        self._uri, self._folder, self._call = uri, folder, call

    def predict(self, model: str, texts: Sequence[str], threads: int) -> list[dict[str, Any]]:
        """Return the answers of the registered version that is called models:/NAME/VERSION."""
        _, name, version = model.split("/")
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            with plainly(self._uri):
                source = connect(self._uri).get_model_version_download_uri(name, version)
                copy = download(self._uri, source, Path(folder))
            return self._call(answer_isolated, str(copy), list(texts), threads)()


def _agree(mine: dict[str, Any], other: dict[str, Any]) -> bool:
    """Tell whether two answers are the same but for rounding of their probabilities."""
    drift = abs(mine["intent_probability"] - other["intent_probability"])
    if mine["intent"] != other["intent"] or drift > PROBABILITY_SLACK or len(mine["slots"]) != len(other["slots"]):
        return False
    pairs = list(zip(mine["slots"], other["slots"], strict=True))
    drifts = [abs(one["probability"] - two["probability"]) for one, two in pairs]
    same = all({**one, "probability": 0} == {**two, "probability": 0} for one, two in pairs)
    return same and max(drifts, default=0.0) <= PROBABILITY_SLACK


def _check(
    model: str, texts: Sequence[str], expected: Callable[[], Sequence[dict[str, Any]]], fresh: LoadsBack
) -> None:
    """Compare the answers of the registered version in a fresh process with those of the trial's own model."""
    with ThreadPoolExecutor(1) as pool:  # loading there and answering here take as long as each other
        answers = pool.submit(fresh.predict, model, texts, torch.get_num_threads())
        own = [dict(one) for one in expected()]
        found = answers.result()
    for text, mine, other in zip(texts, own, found, strict=True):
        if not _agree(mine, other):
            raise XaSearchError(
                f"{model} answers {text!r} with {other} once loaded, the trial's model with {mine}; "
                "no alias was moved; run the same command again, or report this"
            )
