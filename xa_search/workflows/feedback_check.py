"""Feedback files, checked. In: a folder or a file, a search whose model was judged. Out: what they come to."""

from collections.abc import Callable
from pathlib import Path

from xa_search.feedback.check import FeedbackCheck, check_feedback
from xa_search.feedback.files import read_feedback
from xa_search.workflows.evaluate import finished_trial, given_model


def checked_feedback(
    data: Path, home: Path, model: str | None, trial: int | None, note: Callable[[str], None]
) -> FeedbackCheck:
    """Return what feedback comes to; labels are held against those of a model or a search, if one is given."""
    read = read_feedback(data)
    if model is None:
        return check_feedback(read)
    bundle = given_model(home, model, trial)
    corpus = finished_trial(home, model, trial, note).job.corpus if bundle is None else bundle.predictor.corpus
    return check_feedback(read, (corpus.intents, corpus.slot_tags))
