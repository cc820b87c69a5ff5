"""How the questions of a search's end are dealt out, and in which precision a model answers; no model is loaded."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from xa_search.records import EncodedCorpus, EncoderFiles, TrialJob, TrialRecord, TrialSettings
from xa_search.search.end_tasks import TasksHere
from xa_search.workflows import end_questions
from xa_search.workflows.end_questions import AskedModel
from xa_search.workflows.plan import make_plan
from xa_search.workflows.preflight import Prepared
from xa_search.workflows.trials import trained_job

SETTINGS = TrialSettings(model_size="tiny")
TRIAL = TrialRecord(number=3, role="searched", settings=SETTINGS, params={}, state="COMPLETE", scores=(0.5,))


class Dealt:
    """Remembers the questions of each task, and answers by their names."""

    gpu_hours = 0.0

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self.tasks: list[list[str]] = []

    def slots(self, size: str) -> int:
        assert size == "tiny"
        return self._slots

    def submit(self, size: str, function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
        assert (size, function) == ("tiny", end_questions.ask_model)
        self.tasks.append(arguments[2])
        return lambda: [f"of {question}" for question in arguments[2]]


def job_of(folder: Path) -> TrialJob:
    encoder = EncoderFiles(
        directory=folder, size="tiny", origin="here", revision="1", tokenizer_fingerprint="1", embedding="mean"
    )
    corpus = EncodedCorpus(directory=folder, source="en", targets=("th",), intents=("a",), slot_tags=("O",))
    return TrialJob(
        settings=SETTINGS,
        encoder=encoder,
        corpus=corpus,
        selection="label_free",
        directory=folder,
        home=folder,
        threads=1,
    )


@pytest.mark.parametrize(("slots", "models", "tasks"), [(1, 1, 1), (2, 2, 1), (5, 2, 2), (99, 2, 4)])
def test_a_model_is_loaded_once_unless_there_is_room_beside_the_others(
    tmp_path: Path, slots: int, models: int, tasks: int
) -> None:
    dealt, names = Dealt(slots), ["look inside", "en", "de", "th"]
    model = AskedModel(job=job_of(tmp_path), weights=tmp_path, languages=("en", "de", "th"), known=None)
    questions = cast(Any, {name: name for name in names})
    waiting = end_questions._ask(dealt, model, questions, models)
    assert len(dealt.tasks) == tasks
    assert sorted(name for task in dealt.tasks for name in task) == sorted(names)
    assert {name: answer() for name, answer in waiting.items()} == {name: f"of {name}" for name in names}


@pytest.mark.parametrize(
    ("measured", "wanted", "used"), [(1.0, "auto", "bf16"), (0.0, "auto", "fp32"), (1.0, "fp32", "fp32")]
)
def test_a_model_answers_in_the_precision_that_it_was_trained_in(
    tmp_path: Path, measured: float, wanted: Any, used: str
) -> None:
    job = job_of(tmp_path)
    prepared = cast(Prepared, SimpleNamespace(encoders={"tiny": job.encoder}, encoded={"1": job.corpus}))
    settings = SETTINGS.model_copy(update={"precision": wanted})
    trial = replace(TRIAL, settings=settings, metrics={"bf16": measured})
    assert trained_job(make_plan("mtop-mini", home=tmp_path), prepared, trial).settings.precision == used


def test_in_this_process_a_task_is_done_once_and_when_it_is_asked_for(tmp_path: Path) -> None:
    calls: list[str] = []
    with TasksHere(make_plan("mtop-mini", home=tmp_path, local=True)) as tasks:
        answer = tasks.submit("small", calls.append, "called")
        assert calls == []
        answer()
        answer()
    assert calls == ["called"]
