"""A model tested on a corpus it did not learn from. In: a model or a search, and a corpus. Out: scores by language.

Only test splits are opened, so that a corpus without training files will do.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from xa_search.corpora import Corpus, check_corpus
from xa_search.corpora.lost_rows import refuse_losses, told_losses
from xa_search.errors import DataError, ModelError, UsageError
from xa_search.records import OUTSIDE, Plan, TrialJob
from xa_search.records.search import MAX_LOST, trial_directory
from xa_search.search.history import find_search
from xa_search.tracking.bundle import CARD, Bundle, load_bundle, trial_bundle
from xa_search.tracking.versions import MODELS, PREFIX
from xa_search.training.registry import one_model_a_target
from xa_search.training.transfer import LabelMap, LanguageScore, OpenLabels, same_labels, score_language
from xa_search.training.trial import best_weights
from xa_search.workflows.models import named_bundle
from xa_search.workflows.preflight import Prepared, prepare_search
from xa_search.workflows.trials import trained_job


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferTest:
    """The scores of a model on the test splits of a corpus; `notes` say what the label map and the reader left open."""

    corpus: str
    has_slots: bool
    languages: tuple[LanguageScore, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedTrial:
    """A trial of a search with its weights, and all that it was trained with."""

    number: int
    plan: Plan
    prepared: Prepared
    job: TrialJob
    weights: Path


def model_or_trial(home: Path, name: str, trial: int | None, note: Callable[[str], None]) -> Bundle:
    """Return a registered model, a bundle's, or that of the best trial (or the one of this number) of a search."""
    bundle = given_model(home, name, trial)
    if bundle is not None:
        return bundle
    found = finished_trial(home, name, trial, note)
    return trial_bundle(found.job, found.weights)


def given_model(home: Path, name: str, trial: int | None) -> Bundle | None:
    """Return a registered model, or the one in a bundle's folder; none where the name is that of a search."""
    is_folder = (Path(name) / CARD).is_file()
    if not is_folder and not name.startswith((PREFIX, MODELS)):
        return None
    if trial is not None:
        raise UsageError(f"--trial {trial}: {name} is a model, not a search; leave --trial out")
    return load_bundle(Path(name)) if is_folder else named_bundle(home, name)


def finished_trial(home: Path, name: str, trial: int | None, note: Callable[[str], None]) -> FinishedTrial:
    """Return the best trial of a search, or the one of this number."""
    search = find_search(home, name)
    record = search.best if trial is None else search.trial(trial)
    if record is None or search.plan is None:
        raise UsageError(f"search {search.search_id} has no finished trial to evaluate; finish it: xa-search run")
    if one_model_a_target(record.settings):
        targets = search.plan.space.targets
        raise UsageError(
            f"trial {record.number} of {search.search_id} has one model a target; evaluate a registered one: "
            f"{', '.join(f'{PREFIX}{search.plan.space.corpus}-{lang}' for lang in targets)}"
        )
    weights = best_weights(trial_directory(search.directory, record.number))
    if not weights.exists():
        raise ModelError(
            f"trial {record.number} of {search.search_id} has no weights; train it again: "
            f"xa-search replay {record.number} {search.search_id}"
        )
    prepared = prepare_search(search.plan, (record.settings.model_size,), note)
    note(f"trial {record.number} of {search.search_id}")
    job = trained_job(search.plan, prepared, record)
    return FinishedTrial(number=record.number, plan=search.plan, prepared=prepared, job=job, weights=weights)


def score_on_corpus(
    bundle: Bundle, corpus: Corpus, label_map: LabelMap | None, max_lost: float = MAX_LOST
) -> TransferTest:
    """Score a model on the test split of each language that has one. Raises DataError where one loses too many rows."""
    check = check_corpus(corpus, ("test",), with_pairs=False)
    refuse_losses(check, max_lost, "--max-lost ")
    known = bundle.predictor.corpus
    slot_types = sorted({tag[2:] for tag in known.slot_tags if tag != OUTSIDE})
    labels = label_map or same_labels(known.intents, slot_types)
    still_open = OpenLabels()
    scores: list[LanguageScore] = []
    notes: list[str] = []
    intents: set[str] = set()
    types: set[str] = set()
    for lang in (corpus.source, *corpus.targets):
        if corpus.file_of(lang, "test") is None:
            notes.append(f"no test file of {lang}")
            continue
        gold = list(corpus.utterances(lang, "test"))
        intents.update(row.intent for row in gold)
        types.update(tag[2:] for row in gold for tag in row.slots if tag != OUTSIDE)
        scores.append(score_language(lang, gold, bundle.parse_words([row.words for row in gold]), labels, still_open))
    if not any(score.rows for score in scores):
        raise DataError(
            f"{corpus.name}: no test row has an intent that a label of the model stands for; correct the map"
        )
    notes += told_losses(check)
    notes += _unused(labels, set(known.intents), set(slot_types), intents, types) if label_map else []
    return TransferTest(
        corpus=corpus.name,
        has_slots=known.has_slots,
        languages=tuple(scores),
        notes=(*notes, *_open(still_open, labels)),
    )


def _unused(
    labels: LabelMap, model_intents: set[str], model_slots: set[str], intents: set[str], slots: set[str]
) -> Iterator[str]:
    """Say which names of the map nobody has: they may be misspelt."""
    for kind, left, known in (("intents", labels.intents, model_intents), ("slots", labels.slots, model_slots)):
        if strange := sorted(set(left) - known):
            yield f"the map's {kind} {', '.join(strange)} are none of the model's"
    for kind, right, known in (("intents", labels.intents, intents), ("slots", labels.slots, slots)):
        if strange := sorted({name for name in right.values() if name is not None} - known):
            yield f"the map's {kind} {', '.join(strange)} are in no test row"


def _open(still_open: OpenLabels, labels: LabelMap) -> Iterator[str]:
    """Say what has no counterpart, how often, and how it was counted."""
    rows = "are left out" if labels.leave_out else "count as wrong"
    if still_open.intents:
        yield f"no label of the model stands for these intents; their rows {rows}: {_counts(still_open.intents)}"
    if still_open.slots:
        yield f"no label of the model stands for these slots; they count as missed: {_counts(still_open.slots)}"
    for kind, predicted in (("intents", still_open.predicted_intents), ("slots", still_open.predicted_slots)):
        if predicted:
            yield f"predicted {kind} that the map does not name, counted as wrong: {_counts(predicted)}"


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in counts.most_common())
