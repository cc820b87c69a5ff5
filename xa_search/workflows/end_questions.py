"""What the end of a search asks of a trial's model. In: a finished trial. Out: its scores, a look inside, its answers.

Everything is asked for at once, where trials run; the answers are waited for when they are read, and kept here.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from xa_search.corpora import Corpus
from xa_search.corpora.corpus import find_translations
from xa_search.encoding.store import encode_split
from xa_search.records import Plan, TrialJob, TrialRecord
from xa_search.search.end_tasks import EndTasks
from xa_search.tracking.bundle import trial_answers
from xa_search.training.evaluation import Predictor
from xa_search.training.final_test import ask_model, keep_scores, known_scores, score_language
from xa_search.training.inspection import FINDINGS, Inspection
from xa_search.training.kept import (
    KEPT,
    Evidence,
    KeptOutcomes,
    joined,
    measure_kept,
    of_weights,
    read_kept,
    write_kept,
)
from xa_search.training.model_inspection import inspect_or_say
from xa_search.training.registry import one_model_a_target
from xa_search.training.trial import best_weights, jobs_per_target, mean_metrics
from xa_search.workflows.inspection import inspected_model, trial_inspection
from xa_search.workflows.preflight import Prepared
from xa_search.workflows.trials import tested_languages, trained_job

Question = Callable[[Predictor], Any]
CHECKED_TEXTS_A_LANGUAGE = 50
LOOK_INSIDE, ANSWERS, KEPT_ROWS = "look inside", "answers", "kept rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedModel:
    """One model of a trial, and what waits for each of its answers; `known` are scores that it was found to have."""

    job: TrialJob
    weights: Path
    languages: tuple[str, ...]
    known: dict[str, float] | None
    waiting: dict[str, Callable[[], Any]] = field(default_factory=dict)

    def scores(self) -> dict[str, float]:
        """Return its test scores, and keep them with the trial."""
        if self.known is not None:
            return self.known
        return keep_scores(self.job, self.weights, {lang: self.waiting[lang]() for lang in self.languages})

    def kept(self) -> KeptOutcomes:
        """Return what is right of the rows that selected no trial, and keep it with the trial."""
        path, of = self.job.directory / KEPT, of_weights(self.weights)
        found = read_kept(path, of)
        if found is None:
            found = self.waiting[KEPT_ROWS]()
            write_kept(found, path, of)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedTrial:
    """A trial's models. `files` are those of an earlier look inside."""

    trial: TrialRecord
    models: tuple[AskedModel, ...]
    files: tuple[Path, ...]

    def scores(self) -> dict[str, float]:
        """Return its test scores; of several models, what more than one of them has as the mean."""
        return mean_metrics([model.scores() for model in self.models])

    def evidence(self) -> Evidence:
        """Return what is known of its one run on the rows that selected no trial."""
        seed = str(self.trial.settings.seed)
        return Evidence(runs={seed: joined([model.kept() for model in self.models])}, registered=seed)

    def inspection(self) -> Inspection | str | None:
        """Return what is inside, or why that cannot be seen; none where nobody asked."""
        found = self.models[0].waiting.get(LOOK_INSIDE)
        return None if found is None else found()


def ask_trials(
    plan: Plan,
    prepared: Prepared,
    trials: Sequence[TrialRecord],
    inspected: Sequence[int],
    on_kept: Collection[int],
    tasks: EndTasks,
) -> dict[int, AskedTrial]:
    """Ask the models of these trials for their test scores; the first one is the winner.

    Those `inspected` are asked for a look inside, too, those `on_kept` for the rows that selected no trial.
    """
    for fingerprint in {prepared.encoders[trial.settings.model_size].tokenizer_fingerprint for trial in trials}:
        languages, tokenizer = plan.space.tested_languages, prepared.tokenizers[fingerprint]
        encode_split(prepared.encoded[fingerprint], prepared.corpus, tokenizer, plan.max_tokens, "test", languages)
    asked: dict[int, AskedTrial] = {}
    for trial in trials:
        models = tuple(_unasked(plan, job) for job in jobs_per_target(trained_job(plan, prepared, trial)))
        files = _earlier_look(plan, trial, models[0])
        for model in models:
            questions: dict[str, Question] = {}
            if trial.number in inspected and not files and not one_model_a_target(trial.settings):
                name = f"trial {trial.number} of {plan.search_id}"
                subject = inspected_model(plan, prepared, trial.settings, name)
                questions[LOOK_INSIDE] = partial(inspect_or_say, subject)
            if trial.number in on_kept and read_kept(model.job.directory / KEPT, of_weights(model.weights)) is None:
                questions[KEPT_ROWS] = partial(measure_kept, model.job)
            if model.known is None:
                questions |= {lang: partial(score_language, model.job, lang) for lang in model.languages}
                if trial is trials[0]:
                    questions[ANSWERS] = _answers_to_compare(prepared.corpus, model.job)
            model.waiting.update(_ask(tasks, model, questions, models=len(trials) * len(models)))
        asked[trial.number] = AskedTrial(trial=trial, models=models, files=files)
    return asked


def answers_of(asked: AskedModel, prepared: Prepared, tasks: EndTasks) -> Sequence[dict[str, Any]]:
    """Return what a model says of the texts on which it is compared once it is registered."""
    if ANSWERS not in asked.waiting:
        questions = {ANSWERS: _answers_to_compare(prepared.corpus, asked.job)}
        asked.waiting.update(_ask(tasks, asked, questions, models=1))
    answers: Sequence[dict[str, Any]] = asked.waiting[ANSWERS]()
    return answers


def texts_to_compare(corpus: Corpus, targets: tuple[str, ...]) -> list[str]:
    """Return raw texts in the model's languages, on which the registered model must answer as the trial's."""
    texts = [" ".join(row.words) for row in islice(corpus.utterances(corpus.source, "dev"), CHECKED_TEXTS_A_LANGUAGE)]
    for lang in (lang for lang in targets if find_translations(corpus, lang) is not None):
        texts += [" ".join(row.words) for row in islice(corpus.translations(lang), CHECKED_TEXTS_A_LANGUAGE)]
    return texts


def _answers_to_compare(corpus: Corpus, job: TrialJob) -> Question:
    return partial(trial_answers, job, texts_to_compare(corpus, job.corpus.targets))


def _unasked(plan: Plan, job: TrialJob) -> AskedModel:
    weights, languages = best_weights(job.directory), tested_languages(plan.space, job)
    return AskedModel(job=job, weights=weights, languages=languages, known=known_scores(job, weights, languages))


def _earlier_look(plan: Plan, trial: TrialRecord, model: AskedModel) -> tuple[Path, ...]:
    """Return the files of a look inside these weights that was taken before."""
    folder = trial_inspection(plan, trial.number)
    findings = folder / FINDINGS
    if findings.exists() and findings.stat().st_mtime_ns > model.weights.stat().st_mtime_ns:
        return tuple(sorted(folder.iterdir()))
    return ()


def _ask(
    tasks: EndTasks, model: AskedModel, questions: Mapping[str, Question], models: int
) -> dict[str, Callable[[], Any]]:
    """Ask a model in as many tasks as there is room for beside the other models; each loads it once."""
    if not questions:
        return {}
    size, names = model.job.settings.model_size, list(questions)
    parts = min(len(names), max(1, tasks.slots(size) // models))
    waiting: dict[str, Callable[[], Any]] = {}
    for part in range(parts):
        own = names[part::parts]
        answers = tasks.submit(size, ask_model, model.job, model.weights, [questions[name] for name in own])
        waiting |= {name: partial(_answer, answers, place) for place, name in enumerate(own)}
    return waiting


def _answer(answers: Callable[[], list[Any]], place: int) -> Any:
    return answers()[place]
