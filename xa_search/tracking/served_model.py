"""The model that MLflow loads and serves. In: texts. Out: one record a text, with its intent and its slots.

MLflow copies this file into the model as it is (models from code: nothing is pickled) and runs it there; nothing of
the program imports it.
"""

import logging
import os
from functools import partial
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

from xa_search.errors import DataError
from xa_search.feedback.files import log_answers
from xa_search.feedback.judgements import Judgement
from xa_search.tracking.bundle import load_bundle

FEEDBACK_LOG = "XA_SEARCH_FEEDBACK_LOG"
"""The variable with the file that answers are logged into, to be judged; without it nothing is."""


def _log(path: Path, judgements: list[Judgement]) -> None:
    """Log what was said. A log that cannot be written keeps no answer back."""
    try:
        log_answers(path, judgements)
    except DataError as error:
        logging.getLogger("xa_search").warning("%s", error)


class ServedModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc,name-defined]
    """Answers a list of texts, or a table of one column, for example `text`.

    To a model of sentence pairs, a text is two sentences with ` ||| ` between them, and the intent is their label.
    """

    def load_context(self, context: Any) -> None:
        """Load the bundle that lies among the model's artifacts."""
        self._bundle = load_bundle(Path(context.artifacts["bundle"]))

    def predict(self, model_input: pd.DataFrame) -> list[dict[str, Any]]:
        """Return `intent`, `intent_probability` and `slots` of each text.

        A slot has `slot`, `value`, its words `start_word` to `end_word`, its characters `start` to `end` in the text
        as it came, and its `probability`. A text without words has intent null; a row that is no text (null, a number)
        only `error`. MLflow makes a table of whatever was given, as the model's signature says.
        """
        path = os.environ.get(FEEDBACK_LOG)
        log = partial(_log, Path(path)) if path else None
        return self._bundle.answer(model_input.iloc[:, 0].tolist(), log=log)


mlflow.models.set_model(ServedModel())
