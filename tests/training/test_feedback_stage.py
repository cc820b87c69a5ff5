"""A stage that learns from feedback, on a small corpus: from a log that was filled in, and in simulated arms."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from xa_search.feedback.arms import ARMS, arm_judgements, draw_ids
from xa_search.feedback.check import check_feedback
from xa_search.feedback.files import log_answers, read_feedback, read_judgements
from xa_search.feedback.judgements import Judgement
from xa_search.feedback.pool import simulation_pool
from xa_search.feedback.stage import train_on_feedback
from xa_search.records import EncodedCorpus, EncoderFiles, EpochReport, TrialJob, TrialSettings
from xa_search.records.feedback import FeedbackJob, FeedbackSettings
from xa_search.tracking.bundle import trial_bundle
from xa_search.training.final_test import trained_predictor
from xa_search.training.trial import best_weights, train_trial
from xa_search.workflows.feedback_arms import (
    JudgedPool,
    Reference,
    Simulation,
    ask_pool,
    feedback_job,
    feedback_settings,
    judge_asked,
    simulated_arm,
)


@pytest.fixture(scope="module")
def reference(
    encoded_rooms: EncodedCorpus, tiny_encoder: EncoderFiles, tmp_path_factory: pytest.TempPathFactory
) -> Reference:
    """A model that has learned from half of the training utterances, and not well; nothing writes into its folder."""
    values = {"model_size": "tiny", "epochs": 1, "batch_size": 8, "learning_rate": 3e-4, "train_limit": 40}
    home = tmp_path_factory.mktemp("reference")
    job = TrialJob(
        settings=TrialSettings.model_validate(values | {"precision": "fp32"}),
        encoder=tiny_encoder,
        corpus=encoded_rooms,
        selection="label_free",
        directory=home / "trial",
        home=home,
        threads=1,
    )
    list(train_trial(job))
    return Reference(job=job, weights=best_weights(job.directory), name="rooms/1")


def learn(
    reference: Reference, arm: Any, judgements: tuple[Judgement, ...], folder: Path, /, **changed: Any
) -> FeedbackJob:
    """Let the reference learn, and return the job whose folder has the weights."""
    values = {"epochs": 6, "learning_rate": 3e-3, "beta": 1.0, **changed}
    settings = feedback_settings(reference, arm, judgements, len(judgements), **values)
    job = feedback_job(reference, judgements, settings, folder / f"{arm}.jsonl", folder / arm)
    list(train_on_feedback(job))
    return job


def intents(job: TrialJob, weights: Path, texts: list[str]) -> list[str | None]:
    return [one.intent for one in trial_bundle(job, weights).predict(texts)]


@pytest.mark.parametrize("loss", ["preference", "sft"])
def test_a_log_that_is_filled_in_and_fed_back_is_learned(reference: Reference, tmp_path: Path, loss: str) -> None:
    pool = simulation_pool(reference.job.corpus, reference.job.settings, "simulated:source_gold").rows["en"]
    texts, gold = [" ".join(row.words) for row in pool], [row.intent for row in pool]
    log = tmp_path / "feedback.en.jsonl"
    trial_bundle(reference.job, reference.weights).answer(texts, log=partial(log_answers, log))
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [line["lang"] for line in lines] == ["en"] * len(texts)
    assert {key for line in lines for key in line} <= {"id", "lang", "text", "tokens", "predicted", "verdict", "part"}
    for line, right in zip(lines, gold, strict=True):
        line["verdict"] = "up" if line["predicted"]["intent"] == right else "down"
        if line["verdict"] == "down":
            line |= {"part": "intent", "corrected": {"intent": right}}
    log.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    wrong = [place for place, line in enumerate(lines) if line["verdict"] == "down"]
    assert wrong
    corpus = reference.job.corpus
    checked = check_feedback(read_feedback(log), (corpus.intents, corpus.slot_tags))
    assert (checked.lines, checked.dropped) == (len(texts), {})
    job = learn(reference, "given", checked.judgements, tmp_path, loss=loss)
    said = intents(job, best_weights(job.directory), texts)
    assert sum(said[place] == gold[place] for place in wrong) > len(wrong) / 2  # before, none was right


def judged(reference: Reference, folder: Path, **changed: Any) -> JudgedPool:
    simulation = Simulation(count=12, gold="simulated:source_gold", **changed)
    return judge_asked(reference, ask_pool(reference, simulation.gold, folder), simulation, seed=1)


def test_the_arms_have_equal_judgements_of_the_same_utterances(reference: Reference, tmp_path: Path) -> None:
    found = judged(reference, tmp_path)
    by_arm = {arm: simulated_arm(reference, found, arm, 1) for arm in ARMS}
    assert by_arm["none"] == ()
    utterances = {arm: {one.source_id for one in of_arm} for arm, of_arm in by_arm.items()}
    assert all(ids == set(found.ids) for arm, ids in utterances.items() if arm != "none")
    for arm in ("english", "multilingual", "shuffled"):
        assert len({(one.source_id, one.lang) for one in by_arm[arm]}) == len(found.ids)
    assert {one.lang for one in by_arm["multilingual"]} == set(found.judged)
    assert len({(one.source_id, one.lang) for one in by_arm["multilingual_full"]}) == 3 * len(found.ids)
    copies = [one for one in by_arm["english_projected"] if one.lang != "en"]
    assert len(copies) == 2 * len(found.ids)
    assert all(one.part == "intent" and one.source == "simulated:source_gold" for one in copies)
    # Verdicts are shuffled within a language and a part: as many say up as before.
    said = [sorted((one.lang, one.part, one.verdict) for one in by_arm[arm]) for arm in ("multilingual", "shuffled")]
    assert said[0] == said[1]


def test_a_judge_errs_and_corrects_as_often_as_is_said(reference: Reference, tmp_path: Path) -> None:
    exact = judged(reference, tmp_path, noise=0.0, corrections=1.0)
    pool = ask_pool(reference, "simulated:source_gold", tmp_path)
    gold = {row.id: row.intent for row in pool.pool.rows["en"]}
    for utterance, (intent, *_) in exact.judged["en"].items():
        right = intent.predicted.intent == gold[utterance]
        assert intent.verdict == ("up" if right else "down")
        assert (intent.corrected is None) == right
        assert intent.corrected is None or intent.corrected.intent == gold[utterance]
    thumbs = judged(reference, tmp_path, noise=1.0, corrections=0.0)
    for utterance, (intent, *_) in thumbs.judged["en"].items():
        assert intent.corrected is None
        assert intent.verdict != exact.judged["en"][utterance][0].verdict
    assert {one[0].source for one in exact.judged["de"].values()} == {"simulated:source_gold"}


def test_uncertainty_draws_what_the_reference_is_least_sure_of() -> None:
    unsure = {"a": 0.1, "b": 0.9, "c": 0.5}
    assert draw_ids(("a", "b", "c"), 2, 1, unsure) == ("b", "c")
    assert draw_ids(("a", "b", "c"), 3, 1) == ("a", "b", "c")
    with pytest.raises(ValueError, match="3 utterances"):
        draw_ids(("a", "b", "c"), 4, 1)


def numbers(reports: list[EpochReport]) -> list[dict[str, float]]:
    return [
        {name: value for name, value in report.metrics.items() if not name.endswith("seconds")} for report in reports
    ]


def test_an_interrupted_trial_of_feedback_goes_on_as_if_nothing_had_happened(
    reference: Reference, tmp_path: Path
) -> None:
    found = judged(reference, tmp_path, corrections=0.5)
    arm = simulated_arm(reference, found, "multilingual_full", 1)
    settings = feedback_settings(reference, "multilingual_full", arm, 12, epochs=2, learning_rate=1e-3)
    job = feedback_job(reference, arm, settings, tmp_path / "arm.jsonl", tmp_path / "whole")
    assert read_judgements(job.judged) == arm
    whole = numbers(list(train_on_feedback(job)))
    parted = feedback_job(reference, arm, settings, tmp_path / "arm.jsonl", tmp_path / "parted")
    first = train_on_feedback(parted)
    next(first)
    first.close()
    assert numbers(list(train_on_feedback(parted))) == whole
    one, other = (best_weights(each.directory).read_bytes() for each in (job, parted))
    assert one == other


def test_the_reference_is_what_learns_and_none_replays_alone(reference: Reference, tmp_path: Path) -> None:
    told = {"reference": reference.name, "judged_by": "people"}
    job = learn(reference, "none", (), tmp_path, epochs=1, learning_rate=1e-12, **told)
    assert isinstance(job.settings, FeedbackSettings)
    assert (job.settings.reference, job.settings.supervision) == ("rooms/1", "none")
    texts = ["clean the kitchen"]
    before, after = (
        trained_predictor(one, weights).model.state_dict()["intent_head.weight"]
        for one, weights in ((reference.job, reference.weights), (job, best_weights(job.directory)))
    )
    assert before.sub(after).abs().max() < 1e-6
    assert intents(job, best_weights(job.directory), texts) == intents(reference.job, reference.weights, texts)
    assert arm_judgements("none", {}, "en", (), 1) == ()
