"""What alignment gains over the same training without it. In: corpora. Out: scores, floors, gains with intervals.

    python benchmarks/fair_gain.py --mtop-part mtop-part.zip --mtod mtod.zip --minutes 80

Three arms a corpus and seed: `xeroalign`; `fair`, the same settings, seed and steps without alignment; `zero_shot`,
with the learning rate that the space gives its baseline. The settings of `xeroalign` are those that searches with seed
1 preferred by their selection scores (docs/results.md), rounded; no test score had a part in them. All arms begin with
the same fitted heads. A finished cell is a line of `fair_gain.jsonl` and is not run again; no cell begins that the
minutes do not hold. A summary of the cells that are there is written after each pass over a corpus.
"""

import argparse
import base64
import json
import time
import zlib
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import torch
from machine import describe_machine
from results_file import command_line, write_json
from seeds import evidence_of

from xa_search.claims.comparing import CorpusTests, difference
from xa_search.claims.statements import Comparison, System
from xa_search.encoding.store import encode_split
from xa_search.records import EpochReport, Plan, TrialJob
from xa_search.training.comparisons import score_floors
from xa_search.training.final_test import Outcomes, read_outcomes
from xa_search.training.statistics import Interval
from xa_search.training.trial import all_weights, train_trial
from xa_search.workflows.held_out import told_held_out
from xa_search.workflows.plan import make_plan
from xa_search.workflows.preflight import Prepared, prepare_search
from xa_search.workflows.trials import make_trial_job, score_trial_on_test

RESULTS = Path(__file__).parent / "results"
SEEDS = (11, 12, 13)
PASSES = (("xeroalign", "fair"), ("zero_shot",))
"""What is measured first on every corpus, then what is measured if there is time."""
ARMS = ("zero_shot", "fair", "xeroalign")
METRICS = {"intent": "intent_acc", "slots": "slot_f1"}
FIELDS = ("intent", "exact", "correct", "found", "gold")
FIRST_GUESS = 100.0
"""The processor seconds of a cell where none was measured yet."""

Params = dict[str, Any]


@dataclass(frozen=True)
class Ground:
    """A corpus as it is measured."""

    name: str
    space: str
    changes: tuple[str, ...]
    data: Path | None
    home: Path
    weight: float
    rate: float

    @cached_property
    def plan(self) -> Plan:
        """The search space that trains."""
        return make_plan(self.space, (*self.changes, "fixed.test_limit=500"), home=self.home, data=self.data)

    @cached_property
    def prepared(self) -> Prepared:
        """The encoded corpus and the encoder."""
        return prepare_search(self.plan, ("small",), lambda _: None)

    def job(self, params: Params) -> TrialJob:
        """Return the job of a cell."""
        name = "-".join(f"{value}" for value in params.values())
        return make_trial_job(self.plan, self.prepared, self.plan.trial_settings(params), name)


def grounds(options: argparse.Namespace) -> list[Ground]:
    """Return the corpora that were asked for, the first one first."""
    home, short = options.home.absolute(), "fixed.epochs=2"
    whole = (short, "fixed.frozen_share=0")
    found = [Ground("mtop-mini", "mtop-mini", whole, None, home, 10.0, 3e-4)]
    if options.mtop_part:
        found.append(
            Ground("MTOP-part", "mtop-mini", (*whole, "corpus=mtop"), options.mtop_part.resolve(), home, 10.0, 3e-4)
        )
    if options.mtod:
        heads = ("fixed.heads=probe", "fixed.head_learning_rate_factor=10", "fixed.batch_size=16")
        capped = (short, "fixed.train_limit=1000", "fixed.dev_limit=200", *heads)
        found.append(Ground("MTOD", "mtod-small", capped, options.mtod.resolve(), home, 10.0, 2.2e-4))
    return found


def params_of(ground: Ground, arm: str, seed: int) -> Params:
    """Return the settings of a cell."""
    if arm == "zero_shot":
        rate = ground.plan.space.baseline["learning_rate"]
        return {"model_size": "small", "seed": seed, "method": "zero_shot", "learning_rate": rate}
    own = {"method": "xeroalign", "align_weight": ground.weight} if arm == "xeroalign" else {"method": "zero_shot"}
    return {"model_size": "small", "seed": seed, "learning_rate": ground.rate, **own}


class Cells:
    """The finished cells, by what they trained, in a file that grows by a line each."""

    def __init__(self, path: Path, minutes: float) -> None:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self._path, self._seconds = path, 60 * minutes
        self._found = {self._key(cell): cell for cell in map(json.loads, lines)}

    @staticmethod
    def _key(cell: dict[str, Any]) -> str:
        return json.dumps([cell["corpus"], cell["params"]], sort_keys=True)

    @property
    def spent(self) -> float:
        """The processor seconds of all cells."""
        return float(sum(cell["cpu_seconds"] for cell in self._found.values()))

    def guess(self, corpus: str) -> float:
        """Return the processor seconds that a further cell will take."""
        known = [cell["cpu_seconds"] for cell in self._found.values() if cell["corpus"] == corpus]
        return fmean(known) if known else FIRST_GUESS

    def known(self, ground: Ground, params: Params) -> dict[str, Any] | None:
        """Return a cell that was tested, if it is there."""
        return self._found.get(self._key({"corpus": ground.name, "params": params}))

    def get(self, ground: Ground, params: Params) -> dict[str, Any] | None:
        """Return a cell, which is run now if it has to be and the processor time allows it."""
        wanted = {"corpus": ground.name, "params": params}
        key = self._key(wanted)
        if key not in self._found:
            if self.spent + self.guess(ground.name) > self._seconds:
                return None
            begin = time.process_time()
            cell = wanted | run_cell(ground, params)
            cell["cpu_seconds"] = round(time.process_time() - begin, 1)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(cell) + "\n")
            self._found[key] = cell
            told = {name: value for name, value in cell.items() if name not in ("outcomes", "metrics", "floors")}
            print(json.dumps(told), f"{self.spent / 60:.1f} of {self._seconds / 60:g} minutes spent", flush=True)
        return self._found[key]


def run_cell(ground: Ground, params: Params) -> dict[str, Any]:
    """Train a cell and test it; its weights are not kept."""
    if params.get("method") == "floors":
        job = ground.job({"model_size": "small", "seed": 1})
        score_trial_splits(ground, job)
        return {"floors": [asdict(floor) for floor, _ in score_floors(job, ground.plan.space.tested_languages)]}
    job = ground.job(params)
    reports: list[EpochReport] = list(train_trial(job))
    cell: dict[str, Any] = {"score": round(reports[-1].best_score, 5), "best_epoch": reports[-1].best_epoch}
    cell["bf16"] = reports[-1].metrics.get("bf16")
    metrics = score_trial_on_test(ground.plan, ground.prepared, job)
    cell["metrics"] = {name: round(value, 5) for name, value in metrics.items()}
    cell["outcomes"] = packed(read_outcomes(job.directory))
    for path in all_weights(job.directory):
        path.unlink()
    return cell


def score_trial_splits(ground: Ground, job: TrialJob) -> None:
    """Encode the test splits, as the test of a trial would."""
    tokenizer = ground.prepared.tokenizers[job.encoder.tokenizer_fingerprint]
    languages = ground.plan.space.tested_languages
    encode_split(job.corpus, ground.prepared.corpus, tokenizer, ground.plan.max_tokens, "test", languages)


def packed(outcomes: dict[str, Outcomes]) -> str:
    """Return what was right of each utterance as a short text."""
    fields = {lang: {"ids": one.ids} | {name: getattr(one, name).astype(int).tolist() for name in FIELDS}
              for lang, one in outcomes.items()}  # fmt: skip
    return base64.b85encode(zlib.compress(json.dumps(fields).encode(), 9)).decode()


def unpacked(text: str) -> dict[str, Outcomes]:
    """Return what `packed` was given."""
    found = json.loads(zlib.decompress(base64.b85decode(text)))
    return {
        lang: Outcomes(ids=tuple(one["ids"]), **{name: np.array(one[name]) for name in FIELDS})
        for lang, one in found.items()
    }


def gain(ground: Ground, seeds: list[dict[str, Any]], over: str, metric: str, lang: str | None) -> Interval:
    """Return by how many points xeroalign is above another arm, in a language or in the mean of the targets."""
    systems = {
        System(method=arm): tuple(
            evidence_of(ground.plan, {"params": cells[arm]["params"], "seed": cells[arm]["params"]["seed"],
                                      "outcomes": unpacked(cells[arm]["outcomes"])})
            for cells in seeds
        )
        for arm in ("xeroalign", over)
    }  # fmt: skip
    languages = ground.plan.space.targets if lang is None else (lang,)
    part = CorpusTests(corpus=ground.plan.space.corpus, languages=languages, systems=systems)
    compare = Comparison(plus=(System(method="xeroalign"),), minus=(System(method=over),))
    return difference([part], metric, compare, 0.0)


def measure(ground: Ground, cells: Cells, arms: tuple[str, ...]) -> None:
    """Run what these arms still lack, and the floors."""
    for seed in SEEDS:
        for arm in arms:
            cells.get(ground, params_of(ground, arm, seed))
    cells.get(ground, {"method": "floors"})


def summary(ground: Ground, cells: Cells) -> dict[str, Any] | None:
    """Return all that a corpus came to so far: the seeds for which both sides are there."""
    floors = cells.known(ground, {"method": "floors"})
    found = [{arm: cells.known(ground, params_of(ground, arm, seed)) for arm in ARMS} for seed in SEEDS]
    seeds = [{arm: cell for arm, cell in one.items() if cell} for one in found if one["xeroalign"] and one["fair"]]
    if not seeds:
        return None
    arms = [arm for arm in ARMS if all(arm in one for one in seeds)]
    space = ground.plan.space
    table: dict[str, Any] = {}
    for metric, name in METRICS.items():
        for lang in (space.source, *space.targets, None):
            column = f"test_{name}_{lang or 'mean'}"
            row: dict[str, Any] = {one["name"]: one["test_metrics"][column] for one in (floors or {}).get("floors", ())}
            for arm in arms:
                values = [100 * one[arm]["metrics"][column] for one in seeds]
                row[arm] = [fmean(values), stdev(values) if len(values) > 1 else None]
            row |= {f"over {arm}": asdict(gain(ground, seeds, arm, metric, lang)) for arm in arms if arm != "xeroalign"}
            table[f"{metric} {lang or 'mean of targets'}"] = row
    scores: dict[str, Any] = {one["name"]: one["score"] for one in (floors or {}).get("floors", ())}
    scores |= {arm: [one[arm]["score"] for one in seeds] for arm in arms}
    settings = {arm: params_of(ground, arm, SEEDS[0]) for arm in arms}
    return {"arms": settings, "seeds": [one["fair"]["params"]["seed"] for one in seeds],
            "held out": told_held_out(ground.plan, ground.prepared), "settings": space.fixed,
            "selection scores": scores, "table": table}  # fmt: skip


def print_table(name: str, found: dict[str, Any]) -> None:
    """Print a corpus as a table in Markdown."""
    print(f"\n{name}: seeds {found['seeds']}; {found['held out']}; selection scores {found['selection scores']}")
    first = next(iter(found["table"].values()))
    floors, arms = [key for key in first if key.startswith("the ")], [arm for arm in ARMS if arm in first]
    others = [arm for arm in arms if arm != "xeroalign"]
    head = [*floors, *arms, *(f"gain over {arm}" for arm in others)]
    print("| |", " | ".join(head), "|\n|" + "---|" * (1 + len(head)))
    for row, values in found["table"].items():
        cells = [f"{100 * values[floor]:.1f}" for floor in floors]
        cells += [f"{mean:.1f}" + ("" if sd is None else f" ± {sd:.1f}") for mean, sd in (values[arm] for arm in arms)]
        gains = [values[f"over {arm}"] for arm in others]
        cells += [f"{one['value']:+.1f} [{one['low']:+.1f}, {one['high']:+.1f}]" for one in gains]
        print(f"| {row} |", " | ".join(cells), "|")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mtop-part", type=Path)
    parser.add_argument("--mtod", type=Path)
    parser.add_argument("--home", type=Path, default=Path.home() / ".xa-search")
    parser.add_argument("--minutes", type=float, default=80, help="processor time of all cells together")
    parser.add_argument("--out", type=Path, default=RESULTS / "fair_gain.json")
    options = parser.parse_args()
    cells = Cells(options.out.with_suffix(".jsonl"), options.minutes)
    asked = grounds(options)
    a_corpus = len(SEEDS) * len(ARMS) + 1
    ahead = sum(cells.guess(ground.name) for ground in asked) * a_corpus / 60
    told = f"{a_corpus * len(asked)} cells, about {ahead:.0f} minutes of one core in all"
    print(f"{told}; {cells.spent / 60:.1f} are spent", flush=True)
    result: dict[str, Any] = {"command": command_line(), "machine": describe_machine(torch.device("cpu"), 1)}
    for arms in PASSES:
        for ground in asked:
            measure(ground, cells, arms)
            if (found := summary(ground, cells)) is None:
                print(f"{ground.name}: not measured, the minutes are used up", flush=True)
                continue
            result[ground.name] = found
            write_json(options.out, result | {"processor minutes": round(cells.spent / 60, 1)})
            print_table(ground.name, found)


if __name__ == "__main__":
    main()
