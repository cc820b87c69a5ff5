"""The arms of a feedback run, as files. In: a reference, and a simulation or what people judged. Out: a job an arm.

A reference is asked about the pool once; all arms, seeds and judges read what it said then.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Literal

from xa_search.corpora.dev_translations import dev_translations
from xa_search.encoding.files import write_whole
from xa_search.encoding.store import encode_corpus
from xa_search.encoding.table import EncodedRow
from xa_search.feedback.arms import Judged, arm_judgements, draw_ids
from xa_search.feedback.files import write_judgements
from xa_search.feedback.judgements import Judgement, Source
from xa_search.feedback.pool import Pool, simulation_pool
from xa_search.feedback.simulation import Judge, judge_pool
from xa_search.records import Plan, TrialJob
from xa_search.records.feedback import Arm, FeedbackJob, FeedbackSettings
from xa_search.training.evaluation import Prediction
from xa_search.training.final_test import trained_predictor
from xa_search.workflows.preflight import Prepared

Sampling = Literal["uniform", "uncertainty"]
POOL_SAID = "pool-said.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """A simulated collection of feedback: how many utterances are judged, whose labels judge them, and how well."""

    count: int
    gold: Source
    noise: float = 0.1
    corrections: float = 0.5
    sampling: Sampling = "uniform"

    def __str__(self) -> str:
        whose = "the source's labels" if self.gold == "simulated:source_gold" else "each language's own labels"
        return (
            f"simulated from {whose}, {self.noise:.0%} noise, corrections given with probability "
            f"{self.corrections:g}, {self.sampling} sampling, N = {self.count:,}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The model that learns from feedback: a finished trial with its weights, and how it is called."""

    job: TrialJob
    weights: Path
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedPool:
    """A pool, and what the reference says of it in every language."""

    pool: Pool
    said: Mapping[str, Sequence[Prediction]]


def of_whole_corpus(reference: Reference, prepared: Prepared, plan: Plan, gold: Source) -> Reference:
    """Return the reference with a corpus that has what the cap left out of its own, too: that is what trained nothing.

    With `simulated:target_gold` the targets' training rows are in it.
    """
    fingerprint = reference.job.encoder.tokenizer_fingerprint
    whole = encode_corpus(
        prepared.corpus,
        prepared.tokenizers[fingerprint],
        fingerprint,
        max_tokens=plan.max_tokens,
        with_target_dev=False,
        with_target_train=gold == "simulated:target_gold",
        home=plan.home,
        unpaired=reference.job.corpus.unpaired,
        dev_translations=partial(dev_translations, prepared.corpus),
    )
    return replace(reference, job=replace(reference.job, corpus=whole))


def ask_pool(reference: Reference, gold: Source, directory: Path) -> AskedPool:
    """Ask the reference about the whole pool, once: what it said is kept in the folder."""
    pool = simulation_pool(reference.job.corpus, reference.job.settings, gold)
    path = directory / POOL_SAID
    if path.exists():
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["ids"] == list(pool.ids) and set(kept["said"]) == set(pool.rows):
            return AskedPool(pool=pool, said={lang: tuple(map(_said, of)) for lang, of in kept["said"].items()})
    predictor = trained_predictor(reference.job, reference.weights)
    said = {lang: predictor.predict(rows) for lang, rows in pool.rows.items()}
    content = {"ids": pool.ids, "said": {lang: [asdict(one) for one in of] for lang, of in said.items()}}
    directory.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda temporary: temporary.write_text(json.dumps(content), encoding="utf-8"))
    return AskedPool(pool=pool, said=said)


def _said(kept: Mapping[str, object]) -> Prediction:
    return Prediction(**{key: tuple(value) if isinstance(value, list) else value for key, value in kept.items()})  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedPool:
    """The judgements of a simulation in every language, and the utterances that were drawn to be judged."""

    judged: Judged
    ids: tuple[str, ...]


def judge_asked(reference: Reference, asked: AskedPool, simulation: Simulation, seed: int) -> JudgedPool:
    """Let a simulated judge judge what the reference said, and draw the utterances; both by the seed."""
    corpus = reference.job.corpus
    judge = Judge(
        noise=simulation.noise,
        corrections=simulation.corrections,
        seed=seed,
        intents=corpus.intents,
        slot_tags=corpus.slot_tags,
    )
    rows: Mapping[str, Sequence[EncodedRow]] = asked.pool.rows
    judged = judge_pool(rows, asked.said, judge, asked.pool.sources, reference.name)
    unsure = None
    if simulation.sampling == "uncertainty":
        said = zip(asked.pool.ids, asked.said[corpus.source], strict=True)
        unsure = {utterance: 1 - one.intent_probability for utterance, one in said}
    return JudgedPool(judged=judged, ids=draw_ids(asked.pool.ids, simulation.count, seed, unsure))


def simulated_arm(reference: Reference, found: JudgedPool, arm: Arm, seed: int) -> tuple[Judgement, ...]:
    """Return the judgements of an arm of a simulation."""
    return arm_judgements(arm, found.judged, reference.job.corpus.source, found.ids, seed)


def feedback_job(
    reference: Reference, judgements: Sequence[Judgement], settings: FeedbackSettings, judged: Path, directory: Path
) -> FeedbackJob:
    """Write an arm's judgements into the file `judged`, and return the job that learns from them in a folder."""
    if not judged.exists():
        write_judgements(judged, judgements)
    inherited = {field.name: getattr(reference.job, field.name) for field in fields(TrialJob)}
    job = FeedbackJob(**inherited, reference=reference.weights, judged=judged)
    return replace(job, settings=settings, directory=directory, share=None)


def supervision_of(judgements: Sequence[Judgement], source: str) -> Literal["none", "target_feedback"]:
    """Say whether judgements told a label of a text in a target language."""
    told = any(one.is_target_supervision(source) for one in judgements)
    return "target_feedback" if told else "none"


def feedback_settings(
    reference: Reference, arm: Arm, judgements: Sequence[Judgement], given: int, /, **changed: object
) -> FeedbackSettings:
    """Return the settings of an arm: the reference's own, the arm's, and what is changed."""
    own = reference.job.settings.model_dump()
    values = own | {
        "kept_epoch": "last",
        "head_learning_rate_factor": 1.0,
        "arm": arm,
        "judgements": given,
        "supervision": supervision_of(judgements, reference.job.corpus.source),
    }
    return FeedbackSettings.model_validate(values | changed)
