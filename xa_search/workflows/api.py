"""xa-search from Python. In: plain arguments. Out: searches, models, answers and scores, from what the commands use.

`from xa_search import run, open_search, load_model, predict, evaluate` gives these names; nothing heavy is imported
before one of them is used, and nothing is printed. Errors are those of the commands: a XaSearchError in one line.
"""

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from xa_search.encoding.files import write_whole
from xa_search.errors import UsageError
from xa_search.records import EpochReport, Plan, TrialRecord
from xa_search.records.report import SearchReport
from xa_search.search.history import SearchHistory, find_search, newest_of, read_search, searches_in
from xa_search.tracking.bundle import Bundle, as_shown
from xa_search.training.transfer import read_label_map
from xa_search.workflows.evaluate import TransferTest, model_or_trial, score_on_corpus
from xa_search.workflows.models import named_bundle
from xa_search.workflows.next_commands import SPACES_OF_A_HOME
from xa_search.workflows.plan import make_plan
from xa_search.workflows.report_page import current_report, page_place, write_page
from xa_search.workflows.run import run_search
from xa_search.workflows.translate import corpus_named

Note = Callable[[str], None]
Place = Path | str
NAME = re.compile(r"[\w.-]+")


def _silent(_: str) -> None:
    """Hear nothing."""


@dataclass(frozen=True, slots=True)
class Search:
    """A search of a home, read from its files whenever it is asked: it may be running in another process."""

    directory: Path

    @property
    def search_id(self) -> str:
        """Its name, as `xa-search status` lists it."""
        return self.directory.name

    @property
    def state(self) -> str:
        """One of running, over, resumable and stopped."""
        return self._history().state

    def trials(self) -> pd.DataFrame:
        """Return a row a trial, by number: role, state, selection score (a share), epochs, seconds, failure.

        The searched settings stand in columns `params.NAME`, the metrics of the best epoch in `metrics.NAME`.
        """
        rows = [_trial_row(trial) for trial in self._history().trials]
        return pd.DataFrame(rows).set_index("number")

    def report(self) -> SearchReport:
        """Return all that is known of it, as `report.json` has it; without tests while it runs."""
        return current_report(self._history())

    def page(self, path: Place | None = None) -> Path:
        """Draw its page as one HTML file, into its own folder unless a path is given; return where it is."""
        history = self._history()
        return write_page([current_report(history)], page_place(history) if path is None else _absolute(path))

    def _history(self) -> SearchHistory:
        found = read_search(self.directory)
        if found is None:
            raise UsageError(f"{self.directory} holds no trial yet, or its journal is damaged; run the search again")
        return found


@dataclass(frozen=True, slots=True)
class Model:
    """A trained model, loaded: raw text in any language in, intents and slots out."""

    bundle: Bundle

    def predict(self, texts: Sequence[str], threshold: float = 0.0) -> list[dict[str, Any]]:
        """Return for each text its `intent`, its probability, and its `slots` with their places in the text.

        Below the threshold the intent is None; a text that cannot be read has an `error` in their place.
        """
        answers = self.bundle.answer(texts, threshold)
        return [{"text": as_shown(text), **answer} for text, answer in zip(texts, answers, strict=True)]


def run(
    space: Place | Mapping[str, Any],
    *,
    name: str = "mine",
    changes: Sequence[str] = (),
    data: Place | None = None,
    translations: Place | None = None,
    home: Place | None = None,
    seed: int = 1,
    local: bool = False,
    new: bool = False,
    note: Note = _silent,
) -> Search:
    """Run a search, resume or extend it, and return it once it is over.

    `space` is the name of a search space, its YAML file, or a dict with the same keys; a dict is written as
    `HOME/spaces/NAME.yaml`, so that the command line can go on with it. `changes` are as for `--set`:
    `"fixed.epochs=3"`. With `local` the trials run in this process. `note` hears what happens, a line each.
    Raises XaSearchError, and StoppedEarly where the same call resumes it.
    """
    folder = _home(home)
    given = _write_space(space, name, folder) if isinstance(space, Mapping) else str(space)
    plan: Plan = make_plan(
        given,
        tuple(changes),
        home=folder,
        data=None if data is None else _absolute(data),
        translations=None if translations is None else _absolute(translations),
        seed=seed,
        local=local,
        new=new,
    )
    plan = newest_of(plan)
    run_search(plan, _Notes(note))
    return Search(plan.directory)


def open_search(name: str | None = None, *, home: Place | None = None) -> Search:
    """Return a search by its id, or the newest one of a space; without a name the newest. Raises UsageError."""
    return Search(find_search(_home(home), name).directory)


def searches(*, home: Place | None = None) -> tuple[Search, ...]:
    """Return the searches of a home, the one that moved last first."""
    return tuple(Search(found.directory) for found in searches_in(_home(home)))


def load_model(name: str | None = None, *, home: Place | None = None, note: Note = _silent) -> Model:
    """Load a registered model: NAME, NAME@ALIAS or NAME/VERSION; without an alias the champion, else the candidate."""
    return Model(named_bundle(_home(home), name, note))


def predict(
    texts: Sequence[str], model: str | None = None, *, threshold: float = 0.0, home: Place | None = None
) -> list[dict[str, Any]]:
    """Load a registered model and ask it once; `load_model` keeps one for more questions."""
    return load_model(model, home=home).predict(texts, threshold)


def evaluate(
    model: str | Model,
    corpus: str,
    *,
    data: Place | None = None,
    languages: Sequence[str] = (),
    label_map: str | None = None,
    home: Place | None = None,
    note: Note = _silent,
) -> TransferTest:
    """Score a model, or the best trial of a search, on the test splits of a corpus, with 95% intervals."""
    folder = _home(home)
    opened = corpus_named(corpus, None if data is None else _absolute(data), folder, tuple(languages))
    bundle = model.bundle if isinstance(model, Model) else model_or_trial(folder, model, None, note)
    return score_on_corpus(bundle, opened, None if label_map is None else read_label_map(label_map))


@dataclass(frozen=True, slots=True)
class _Notes:
    """Hands what a running search says on, line by line."""

    note: Note

    def reading(self, done: int, total: int | None) -> None:
        """Hear how much of the corpus is read."""

    def download(self, done: int, total: int | None) -> None:
        """Hear how many bytes of a download are there."""

    def resumed(self, earlier: Sequence[TrialRecord]) -> None:
        self.note(f"resumed: {len(earlier)} trials are there already")

    def trial_started(self, record: TrialRecord) -> None:
        self.note(f"trial {record.number} starts: {record.params}")

    def epoch_reported(self, record: TrialRecord, report: EpochReport) -> None:
        self.note(f"trial {record.number}, epoch {report.epoch}: score {100 * report.score:.1f}")

    def trial_ended(self, record: TrialRecord) -> None:
        self.note(f"trial {record.number} ended: {record.failure or record.state}")


def _trial_row(trial: TrialRecord) -> dict[str, Any]:
    row: dict[str, Any] = {"number": trial.number, "role": trial.role, "state": trial.state, "score": trial.score}
    row |= {"epochs": len(trial.scores), "seconds": trial.seconds, "failure": trial.failure}
    row |= {f"params.{name}": value for name, value in trial.params.items()}
    return row | {f"metrics.{name}": value for name, value in trial.metrics.items()}


def _write_space(space: Mapping[str, Any], name: str, home: Path) -> str:
    """Write a space as the file that the command line reads; JSON is YAML."""
    if not NAME.fullmatch(name):
        raise UsageError(f"name {name!r}: it names the search; use letters, digits, '.', '_' and '-' only")
    path = home / SPACES_OF_A_HOME / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(space, indent=2, ensure_ascii=False) + "\n"
    write_whole(path, lambda part: part.write_text(text, encoding="utf-8"))
    return str(path)


def _home(home: Place | None) -> Path:
    """Return the home that is meant: what is given, XA_SEARCH_HOME, or ~/.xa-search."""
    return _absolute(home or os.environ.get("XA_SEARCH_HOME") or "~/.xa-search")


def _absolute(path: Place) -> Path:
    return Path(path).expanduser().resolve()
