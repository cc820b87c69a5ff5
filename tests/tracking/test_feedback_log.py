"""What a served model logs to be judged: the texts and what it said, and nothing else."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from xa_search.feedback.files import read_feedback
from xa_search.records import TrialJob
from xa_search.tracking.bundle import trial_bundle
from xa_search.tracking.served_model import FEEDBACK_LOG, ServedModel

TEXTS = pd.DataFrame({"text": ["wake me up at 7", "", None, "putze die Küche"]})


@pytest.fixture
def served(make_trial: Callable[..., tuple[TrialJob, Path]]) -> ServedModel:
    model = ServedModel()
    model._bundle = trial_bundle(*make_trial(texts=None))
    return model


def test_answers_are_logged_where_the_environment_names_a_file(
    served: ServedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = served.predict(TEXTS)
    log = tmp_path / "feedback.de.jsonl"
    monkeypatch.setenv(FEEDBACK_LOG, str(log))
    assert served.predict(TEXTS) == silent
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [line["text"] for line in lines] == ["wake me up at 7", "putze die Küche"]
    assert {key for line in lines for key in line} == {"id", "lang", "text", "tokens", "predicted", "verdict", "part"}
    assert [line["predicted"]["intent"] for line in lines] == [silent[0]["intent"], silent[3]["intent"]]
    assert [(line.judgement.lang, line.judgement.verdict) for line in read_feedback(log).lines] == [("de", None)] * 2


def test_a_log_that_cannot_be_written_keeps_no_answer_back(
    served: ServedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(FEEDBACK_LOG, str(tmp_path / "file" / "feedback.jsonl"))
    assert len(served.predict(TEXTS)) == len(TEXTS)
    assert "cannot be written" in caplog.text
