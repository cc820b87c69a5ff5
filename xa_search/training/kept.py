"""The rows that selected no trial. In: a model, or what takes no training. Out: what is right of them, and differences.

Half of what is held out is kept (`encoding/held_out`): nothing learns from it, no trial is chosen by it. Here a winner
is told apart from what it should replace, as `label_free` scores: the intents and the slot types of the translations,
against the labels of the source. A bound on a difference of two models is paired over the utterances that both keep.

On the rows that chose it, the best of twenty equal trials passes such a bound in a third of searches.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xa_search.encoding.files import write_whole
from xa_search.encoding.table import EncodedRow
from xa_search.records import TrialJob
from xa_search.records.evidence import KeptDifference
from xa_search.training.data import held_out_pairs, trial_split
from xa_search.training.epoch_scores import Speak
from xa_search.training.evaluation import Prediction, Predictor
from xa_search.training.metrics import slot_types
from xa_search.training.statistics import ENOUGH_SEEDS, Sample, interval, lower_bound

KEPT = "kept_outcomes.json"
"""The file beside a model's weights, and in its registered bundle, that says what was right of the kept rows."""
LEVEL = 0.05
LEAST_ROWS = 10
NO_SEED = ""
"""What takes no seed: the floors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptOutcomes:
    """What is right of n kept utterances, by k scores.

    `ids` name the split, too. `names` are those of scores, as in `intent_acc_th`; `counts` is int64 [n, 2 k]: the
    numerator and the denominator that each utterance adds to each of them; 0 of 0 where it has no translation.
    """

    ids: tuple[str, ...]
    names: tuple[str, ...]
    counts: np.ndarray

    def of(self, ids: Sequence[str], names: Sequence[str]) -> np.ndarray:
        """Return the counts of these utterances and scores, float [ids, 2 names]."""
        places = {one: place for place, one in enumerate(self.ids)}
        columns = np.array([column for name in names for column in self._columns(name)], dtype=np.int64)
        rows = np.array([places[one] for one in ids], dtype=np.int64)
        found: np.ndarray = self.counts[np.ix_(rows, columns)].astype(np.float64)
        return found

    def _columns(self, name: str) -> tuple[int, int]:
        place = 2 * self.names.index(name)
        return place, place + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of a setting on kept rows: its runs by seed. `registered` is the seed of the model itself."""

    runs: Mapping[str, KeptOutcomes]
    registered: str

    def in_language(self, lang: str) -> "Evidence":
        """Return what it says of one target."""
        runs = {}
        for seed, run in self.runs.items():
            names = tuple(name for name in run.names if name.endswith(f"_{lang}"))
            runs[seed] = KeptOutcomes(ids=run.ids, names=names, counts=run.of(run.ids, names).astype(np.int64))
        return Evidence(runs=runs, registered=self.registered)

    def as_json(self) -> str:
        """Return it as a file holds it."""
        runs = {
            seed: {"ids": run.ids, "names": run.names, "counts": run.counts.tolist()} for seed, run in self.runs.items()
        }
        return json.dumps({"registered": self.registered, "runs": runs})

    @classmethod
    def from_json(cls, text: str) -> "Evidence":
        """Return what a file holds. Raises ValueError where it holds something else."""
        try:
            found = json.loads(text)
            runs = {
                str(seed): KeptOutcomes(
                    ids=tuple(run["ids"]), names=tuple(run["names"]), counts=np.array(run["counts"], dtype=np.int64)
                )
                for seed, run in found["runs"].items()
            }
            return cls(runs=runs, registered=str(found["registered"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no outcomes of kept rows: {error}") from None


def measure_kept(job: TrialJob, predictor: Predictor) -> KeptOutcomes:
    """Ask a finished trial's model for the kept rows' translations. Writes nothing."""
    return kept_outcomes(job, lambda _: predictor.predict)


def kept_outcomes(job: TrialJob, speak: Speak) -> KeptOutcomes:
    """Score what predicts on the translations of the kept rows, into all targets of the job that have any."""
    corpus = job.corpus
    split = trial_split(corpus, job.settings)
    _, kept = held_out_pairs(corpus, split)
    kinds = ("intent_acc", "slot_type_f1") if corpus.has_slots else ("accuracy",)
    ids = [f"{split.origin}:{row.id}" for row in kept.source.rows(kept.rows)]
    places = {one: place for place, one in enumerate(ids)}
    columns: list[np.ndarray] = []
    for lang in corpus.aligned:
        sources, translations = kept.read(lang)
        own = np.zeros((len(ids), 2 * len(kinds)), dtype=np.int64)
        for source, said in zip(sources, speak(lang)(translations), strict=True):
            own[places[f"{split.origin}:{source.id}"]] = _counts(source, said, has_slots=corpus.has_slots)
        columns.append(own)
    counts = np.concatenate(columns, axis=1) if columns else np.zeros((len(ids), 0), dtype=np.int64)
    names = tuple(f"{kind}_{lang}" for lang in corpus.aligned for kind in kinds)
    return KeptOutcomes(ids=tuple(ids), names=names, counts=counts)


def _counts(source: EncodedRow, said: Prediction, *, has_slots: bool) -> list[int]:
    right = int(source.intent == said.intent)
    if not has_slots:
        return [right, 1]
    wanted, found = slot_types(source.slots or ()), slot_types(said.slots)
    return [right, 1, 2 * (wanted & found).total(), wanted.total() + found.total()]


def joined(parts: Sequence[KeptOutcomes]) -> KeptOutcomes:
    """Return the outcomes of models of one target each, which keep the same utterances, as one."""
    first = parts[0]
    counts = np.concatenate([part.of(first.ids, part.names) for part in parts], axis=1)
    names = tuple(name for part in parts for name in part.names)
    return KeptOutcomes(ids=first.ids, names=names, counts=counts.astype(np.int64))


def of_weights(weights: Path) -> dict[str, int] | None:
    """Return what tells weights from those that lay there before; none where they are gone."""
    return {"weights": weights.stat().st_mtime_ns} if weights.exists() else None


def write_kept(outcomes: KeptOutcomes, path: Path, of: Mapping[str, Any] | None) -> None:
    """Write what was right of kept rows beside a model's weights; `of` says which these were."""
    text = json.dumps({"of": of, "evidence": Evidence(runs={NO_SEED: outcomes}, registered=NO_SEED).as_json()})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def read_kept(path: Path, of: Mapping[str, Any] | None) -> KeptOutcomes | None:
    """Return what was written of just this, or of whatever it was; none where it cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Evidence.from_json(found["evidence"]).runs[NO_SEED] if of in (None, found["of"]) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def kept_difference(new: Evidence, old: Evidence, name: str, level: float) -> KeptDifference | None:
    """Return by how much one model scores above another, called `name`, on the rows that both keep.

    Over seeds, where at least three are the same for both, or one of them takes none; else of the two models alone.
    None where they have fewer than LEAST_ROWS such rows, or no score, in common.
    """
    pairs = _paired(new, old)
    first, second = pairs[0]
    ids = [one for one in first.ids if one in set(second.ids)]
    names = [one for one in first.names if one in set(second.names)]
    if len(ids) < LEAST_ROWS or not names:
        return None
    sample = Sample(
        counts=[np.concatenate([one.of(ids, names), other.of(ids, names)], axis=1) for one, other in pairs],
        weights=np.repeat([1.0, -1.0], len(names)) / len(names),
    )
    return KeptDifference(
        against=name,
        points=interval([sample]).value,
        bound=lower_bound([sample], level),
        level=level,
        rows=len(ids),
        seeds=len(pairs),
    )


def _paired(new: Evidence, old: Evidence) -> list[tuple[KeptOutcomes, KeptOutcomes]]:
    """Return the runs to compare: those of common seeds, or the registered ones."""
    common = [seed for seed in new.runs if seed in old.runs]
    if len(common) >= ENOUGH_SEEDS:
        return [(new.runs[seed], old.runs[seed]) for seed in common]
    fixed = old.runs[old.registered]
    if old.registered == NO_SEED and len(new.runs) >= ENOUGH_SEEDS:
        return [(run, fixed) for run in new.runs.values()]
    return [(new.runs[new.registered], fixed)]
