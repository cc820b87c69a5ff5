"""Six ways of training in one search, seed by seed. In: a search space with searched methods. Out: tables, claims.

    python benchmarks/methods.py mtod-methods --data mtod.zip --home HOME --seeds 1 2 3 \
        --elsewhere xsid-0.7.zip --out benchmarks/results/methods.json

Each seed is one search by `xa-search run`, resumed or already finished; a method's trial is the one that the space's
selection rule prefers, never a test split. Gains over zero_shot are paired by utterance and by seed.
The winners and the zero-shot trials are then scored on xSID through a label map, and the claims are ruled on.
"""

import argparse
import multiprocessing
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from machine import describe_machine
from results_file import command_line, write_json

from xa_search.claims.comparing import CorpusTests, difference, scores
from xa_search.claims.evidence import Evidence, gather
from xa_search.claims.statements import Comparison, Metric, System
from xa_search.claims.verdicts import write_claims
from xa_search.search.history import SEARCHES, SearchHistory, find_search, read_search
from xa_search.training.statistics import Interval
from xa_search.training.transfer import read_label_map
from xa_search.workflows.check_claims import check_claims
from xa_search.workflows.evaluate import model_or_trial, score_on_corpus
from xa_search.workflows.plan import make_plan
from xa_search.workflows.translate import corpus_named

KEEP = "keep=18"
METRICS: tuple[Metric, ...] = ("intent", "slots")
LABEL_MAP, LANGUAGES_ELSEWHERE = "mtod-to-xsid", ("de", "tr", "ja", "zh", "ar")


def search_of(options: argparse.Namespace, seed: int) -> SearchHistory:
    """Return the finished search of a seed; run it, or what is left of it, first."""
    data, home = options.data.resolve(), options.home.absolute()
    search_id = make_plan(options.space, (KEEP,), home=home, data=data, seed=seed).search_id
    known = read_search(home / SEARCHES / search_id)
    if known is None or not known.is_over:
        arguments = [options.space, "--data", data, "--home", home, "--seed", seed, "--set", KEEP]
        subprocess.run([sys.executable, "-m", "xa_search", "run", *map(str, arguments)], check=True)
    return find_search(home, search_id)


def method_table(evidence: Sequence[Evidence]) -> dict[str, Any]:
    """Return by method and metric the scores by language over the seeds, and the gain over zero_shot."""
    targets = evidence[0].targets
    table: dict[str, Any] = {}
    for method in dict.fromkeys(one.settings.method for one in evidence):
        tests = tuple(one for one in evidence if one.settings.method == method)
        zero_shot = tuple(one for one in evidence if one.settings.method == "zero_shot")
        table[method] = {
            "trials": [f"{one.trial} of {one.search_id}, learning rate {one.settings.learning_rate}" for one in tests],
            "metrics": {metric: figures(method, tests, zero_shot, metric, targets) for metric in METRICS},
        }
    return table


def figures(
    method: str, tests: tuple[Evidence, ...], zero_shot: tuple[Evidence, ...], metric: Metric, targets: tuple[str, ...]
) -> dict[str, Any]:
    """Return the percents of a method by language and seed, and the gain of the mean over targets with its interval."""
    system, baseline = System(method=method), System(method="zero_shot")
    systems = {baseline: zero_shot, system: tests}
    languages = {lang: (lang,) for lang in (*targets, tests[0].source)} | {"targets": targets}
    by_language = {
        name: [score_of(one, systems, metric, chosen) for one in tests] for name, chosen in languages.items()
    }
    part = CorpusTests(corpus=tests[0].corpus, languages=targets, systems=systems)
    gain = difference([part], metric, Comparison(plus=(system,), minus=(baseline,)), 0.0)
    return {
        "percent": {name: {"mean": fmean(all_), "deviation": stdev(all_)} for name, all_ in by_language.items()},
        "gain over zero_shot": asdict(gain),
    }


def score_of(
    test: Evidence, systems: dict[System, tuple[Evidence, ...]], metric: Metric, languages: tuple[str, ...]
) -> float:
    """Return the score of one test in percent, on the utterances that all systems have."""
    system = System(method=test.settings.method)
    part = CorpusTests(corpus=test.corpus, languages=languages, systems={**systems, system: (test,)})
    return scores(part, metric)[system]


def elsewhere(options: argparse.Namespace, searches: Sequence[SearchHistory]) -> Iterator[dict[str, Any]]:
    """Score the winner and the best trial of zero_shot and xeroalign of each search on xSID."""
    home, labels = options.home.absolute(), read_label_map(LABEL_MAP)
    corpus = corpus_named("xsid", options.elsewhere.resolve(), home, LANGUAGES_ELSEWHERE)
    for search in searches:
        wanted = {one.trial: one.settings.method for one in gather([search]).evidence}
        for trial, method in wanted.items():
            bundle = model_or_trial(home, search.search_id, trial, print)
            found = score_on_corpus(bundle, corpus, labels)
            is_winner = search.best is not None and search.best.number == trial
            yield {
                "search": search.search_id,
                "trial": trial,
                "method": method,
                "winner": is_winner,
                "notes": found.notes,
                "languages": {score.lang: percents(asdict(score)) for score in found.languages},
            }


def percents(value: Any) -> Any:
    """Return shares as percents, wherever an interval stands."""
    if isinstance(value, dict) and value.keys() == {"value", "low", "high", "seeds"}:
        return {name: one if name == "seeds" else round(100 * one, 1) for name, one in value.items()}
    return {name: percents(one) for name, one in value.items()} if isinstance(value, dict) else value


def print_table(table: dict[str, Any]) -> None:
    """Print a line a method: the score of each language, and the gain."""
    for metric in METRICS:
        print(metric)
        for method, found in table.items():
            one = found["metrics"][metric]
            gain = Interval(**one["gain over zero_shot"])
            cells = "  ".join(
                f"{name} {score['mean']:5.1f} ± {score['deviation']:3.1f}" for name, score in one["percent"].items()
            )
            print(f"  {method:18s} {cells}  gain {gain.value:+5.1f} [{gain.low:+.1f}, {gain.high:+.1f}]")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--elsewhere", type=Path, help="xSID: a zip or a folder")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    searches = [search_of(options, seed) for seed in options.seeds]
    gathered = gather(searches)
    table = method_table(gathered.evidence)
    checked = check_claims(searches, ())
    write_claims(checked.rulings, checked.remarks, options.out.parent / f"{options.out.stem}_claims")
    result = {
        "command": command_line(),
        "machine": describe_machine(torch.device("cpu"), multiprocessing.cpu_count()),
        "gaps": gathered.gaps,
        "methods": table,
        "xsid": list(elsewhere(options, searches)) if options.elsewhere else [],
    }
    write_json(options.out, result)
    print_table(table)


if __name__ == "__main__":
    main()
