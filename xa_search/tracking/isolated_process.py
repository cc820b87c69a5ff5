"""A registered model in a process of its own. In: a model's address or folder, and texts. Out: what it answers there.

The process loads its libraries as soon as it is started, so that a caller may start it early and ask it later.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Protocol

from xa_search.encoding.private_folders import private_folder
from xa_search.errors import XaSearchError

LOAD_SECONDS = 1800
PROGRAM = """
import json, sys
import datasets, mlflow, seqeval.metrics, torch
from transformers import AutoTokenizer, PreTrainedModel
model, threads, texts, answers = json.loads(sys.stdin.readline())
torch.set_num_threads(threads)
loaded = mlflow.pyfunc.load_model(model)
with open(texts) as file:
    found = loaded.predict(json.load(file))
with open(answers, "w") as file:
    json.dump(found, file)
"""


class LoadsBack(Protocol):
    """Who loads a registered model in a fresh process."""

    def predict(self, model: str, texts: Sequence[str], threads: int) -> list[dict[str, Any]]:
        """Return the model's answers."""


class IsolatedProcess:
    """Answers once, from an empty folder and with the code that the model carries."""

    def __init__(self, uri: str) -> None:
        self._open = ExitStack()
        self._folder = self._open.enter_context(private_folder())
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", PROGRAM],
            cwd=self._folder,
            env={**os.environ, "MLFLOW_TRACKING_URI": uri, "HF_HUB_OFFLINE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "IsolatedProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()
        self._open.close()

    def predict(self, model: str, texts: Sequence[str], threads: int) -> list[dict[str, Any]]:
        """Load a registered model and return its answers. Raises XaSearchError where it cannot be loaded there."""
        asked, answers = (self._folder / name for name in ("texts.json", "answers.json"))
        asked.write_text(json.dumps(list(texts)), encoding="utf-8")
        question = json.dumps([model, threads, str(asked), str(answers)])
        _, errors = self._process.communicate(question + "\n", timeout=LOAD_SECONDS)
        if self._process.returncode:
            reason = (errors.strip() or f"exit code {self._process.returncode}").splitlines()[-1]
            raise XaSearchError(f"{model} cannot be loaded in a fresh process ({reason}); no alias was moved")
        found: list[dict[str, Any]] = json.loads(answers.read_text(encoding="utf-8"))
        return found


def answer_isolated(model: str, texts: Sequence[str], threads: int) -> list[dict[str, Any]]:
    """Return what a model in a folder answers in a fresh process, which needs no tracker."""
    with private_folder() as folder, IsolatedProcess(f"sqlite:///{folder}/none.db") as process:
        return process.predict(model, texts, threads)
