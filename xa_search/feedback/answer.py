"""What the languages of feedback come to. In: what each arm got right, by seed and language. Out: differences.

A score is the mean over languages and seeds, in points. Differences have the intervals of `training/statistics.py`,
over seeds and utterances, both of which all arms share. Of two arms, one is

- `equal within 0.5` where two one-sided tests at 5% each say so: the 90% interval lies within half a point of 0
- `better` or `worse` where the 95% interval lies above 0 or below
- `undecided` in all other cases

The transfer ratio is (english - none) / (multilingual - none) on the targets: which part of what feedback in all
languages gains English feedback gains as well. It is there only where the interval of what it is divided by leaves out
0; its own interval is that of the linearised ratio.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

import numpy as np

from xa_search.records.feedback import Arm
from xa_search.training.final_test import Outcomes
from xa_search.training.statistics import Interval, Sample, interval, seed_values

POINTS = 100
MARGIN = 0.5
"""Less than so many points is no difference."""
EQUIVALENCE_LEVEL = 0.9
Metric = Literal["intent", "slots"]
METRICS: tuple[Metric, ...] = ("intent", "slots")
Tested = Mapping[str, Outcomes]
"""What a model got right, by language."""
Verdict = Literal["better", "worse", "equal within 0.5", "undecided"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One arm less another, in points."""

    interval: Interval
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRow:
    """A language, or all targets together (`targets`), in one metric: percent by arm, and multilingual less English."""

    language: str
    metric: Metric
    reference: float
    scores: dict[Arm, float]
    difference: Difference | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer on one reference at one number of judgements.

    `harm` is, by arm, the share of the reference's right intents on the targets that are wrong afterwards, in percent;
    `source_change` what its source language gained or lost against the reference, in points of intent accuracy.
    `gains` are, by metric and arm, those over `none` on the targets. `transfer` is the ratio by metric, none where it
    cannot be told.
    """

    seeds: int
    rows: tuple[AnswerRow, ...]
    gains: dict[Metric, dict[Arm, Difference]]
    harm: dict[Arm, float]
    source_change: dict[Arm, float]
    transfer: dict[Metric, Interval | None]


Runs = Mapping[Arm, Mapping[int, Tested]]
"""What the models of each arm got right, by seed."""


def answer(runs: Runs, reference: Tested, source: str, targets: Sequence[str]) -> Answer:
    """Hold the arms against each other on the seeds that all have. Raises ValueError where there is no such seed."""
    seeds = sorted(set.intersection(*(set(of_arm) for of_arm in runs.values()))) if runs else []
    if not seeds:
        raise ValueError("no seed has been through all arms")
    languages = {**{lang: (lang,) for lang in (source, *targets)}, "targets": tuple(targets)}
    rows = [
        _row(name, metric, runs, seeds, reference, chosen)
        for metric in METRICS
        if metric == "intent" or _has_slots(reference)
        for name, chosen in languages.items()
    ]
    metrics: tuple[Metric, ...] = tuple(dict.fromkeys(row.metric for row in rows))
    others = [arm for arm in runs if arm != "none"]
    gains: dict[Metric, dict[Arm, Difference]] = {}
    if "none" in runs:
        gains = {
            metric: {arm: _difference(runs, seeds, metric, targets, {arm: 1, "none": -1}) for arm in others}
            for metric in metrics
        }
    return Answer(
        seeds=len(seeds),
        rows=tuple(rows),
        gains=gains,
        harm={arm: fmean(_harm(runs[arm][seed], reference, targets) for seed in seeds) for arm in runs},
        source_change={
            arm: fmean(
                POINTS * (runs[arm][seed][source].intent.mean() - reference[source].intent.mean()) for seed in seeds
            )
            for arm in runs
        },
        transfer={metric: _transfer(runs, seeds, metric, targets) for metric in metrics},
    )


def verdict_of(found: Interval, narrow: Interval) -> Verdict:
    """Return the verdict on a difference in points; `narrow` is its interval of the level 0.9."""
    if max(-narrow.low, narrow.high) < MARGIN:
        return "equal within 0.5"
    if found.low > 0:
        return "better"
    return "worse" if found.high < 0 else "undecided"


def _row(
    name: str, metric: Metric, runs: Runs, seeds: Sequence[int], reference: Tested, languages: Sequence[str]
) -> AnswerRow:
    alone = _sample({"none": {0: reference}}, [0], metric, languages, {"none": 1})
    scores = {arm: float(seed_values(_sample(runs, seeds, metric, languages, {arm: 1})).mean()) for arm in runs}
    compared = "english" in runs and "multilingual" in runs
    return AnswerRow(
        language=name,
        metric=metric,
        reference=float(seed_values(alone).mean()),
        scores=scores,
        difference=_difference(runs, seeds, metric, languages, {"multilingual": 1, "english": -1})
        if compared
        else None,
    )


def _difference(
    runs: Runs, seeds: Sequence[int], metric: Metric, languages: Sequence[str], signs: Mapping[Arm, float]
) -> Difference:
    sample = _sample(runs, seeds, metric, languages, signs)
    found = interval([sample])
    return Difference(interval=found, verdict=verdict_of(found, interval([sample], level=EQUIVALENCE_LEVEL)))


def _transfer(runs: Runs, seeds: Sequence[int], metric: Metric, targets: Sequence[str]) -> Interval | None:
    if not {"none", "english", "multilingual"} <= set(runs):
        return None
    below = _difference(runs, seeds, metric, targets, {"multilingual": 1, "none": -1}).interval
    if below.low <= 0 <= below.high:
        return None
    above = _difference(runs, seeds, metric, targets, {"english": 1, "none": -1}).interval
    ratio = above.value / below.value
    # The ratio's error to the first order: that of what is left when the ratio of the divisor is taken off.
    signs: dict[Arm, float] = {"english": 1, "multilingual": -ratio, "none": ratio - 1}
    left = interval([_sample(runs, seeds, metric, targets, signs)], shares=False)
    half = (left.high - left.low) / 2 / abs(below.value)
    return replace(below, value=ratio, low=ratio - half, high=ratio + half)


def _sample(
    runs: Runs, seeds: Sequence[int], metric: Metric, languages: Sequence[str], signs: Mapping[Arm, float]
) -> Sample:
    """Return what each utterance adds; one id in several languages is one utterance."""
    used = [arm for arm, sign in signs.items() if sign]
    ids = sorted({name for lang in languages for name in runs[used[0]][seeds[0]][lang].ids})
    place_of = {name: place for place, name in enumerate(ids)}
    counts = []
    for seed in seeds:
        columns: list[np.ndarray] = []
        for arm in used:
            for lang in languages:
                columns += _columns(runs[arm][seed][lang], metric, place_of)
        counts.append(np.stack(columns, axis=1))
    weights = np.repeat(np.array([signs[arm] for arm in used], dtype=np.float64), len(languages))
    return Sample(counts=counts, weights=weights * POINTS / len(languages))


def _columns(tested: Outcomes, metric: Metric, place_of: Mapping[str, int]) -> list[np.ndarray]:
    places = [place_of[name] for name in tested.ids]
    if metric == "slots":
        pair = (2 * tested.correct, tested.found + tested.gold)
    else:
        pair = (tested.intent.astype(np.int64), np.ones(len(places), dtype=np.int64))
    columns = []
    for values in pair:
        column = np.zeros(len(place_of))
        np.add.at(column, places, values)
        columns.append(column)
    return columns


def _harm(tested: Tested, reference: Tested, targets: Sequence[str]) -> float:
    right = sum(int(reference[lang].intent.sum()) for lang in targets)
    lost = sum(int((reference[lang].intent & ~tested[lang].intent).sum()) for lang in targets)
    return POINTS * lost / max(1, right)


def _has_slots(tested: Tested) -> bool:
    return any(one.gold.any() for one in tested.values())


def answer_table(found: Answer, title: str) -> str:
    """Return an answer as Markdown; the title says how it was measured."""
    arms = list(found.rows[0].scores)
    lines = [f"### {title}", ""]
    for metric in dict.fromkeys(row.metric for row in found.rows):
        name = "intent accuracy" if metric == "intent" else "slot F1"
        header = ["language", "reference", *arms, "multilingual − english [95%]", "verdict"]
        lines += [f"{name}, {found.seeds} seed{'s' if found.seeds > 1 else ''}", ""]
        lines += ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
        for row in found.rows:
            if row.metric == metric:
                cells = [f"{value:.1f}" for value in (row.reference, *(row.scores[arm] for arm in arms))]
                lines.append("| " + " | ".join([row.language, *cells, *_told(row.difference)]) + " |")
        lines.append("")
    for metric, gains in found.gains.items():
        told = "; ".join(f"{arm} {' '.join(_told(gain))}" for arm, gain in gains.items())
        lines += [f"Over `none` on the targets, {metric}: {told}.", ""]
    for metric, ratio in found.transfer.items():
        told = "not told, as multilingual feedback gains nothing certain" if ratio is None else _interval(ratio, ".2f")
        lines.append(f"Transfer ratio of {metric}: {told}.  ")
    harm = ", ".join(f"{arm} {value:.1f}" for arm, value in found.harm.items())
    change = ", ".join(f"{arm} {value:+.1f}" for arm, value in found.source_change.items())
    lines += [
        f"Right intents on the targets turned wrong, percent: {harm}.  ",
        f"Source language against the reference, points of intent accuracy: {change}.",
    ]
    return "\n".join(lines) + "\n"


def _told(difference: Difference | None) -> list[str]:
    return ["", ""] if difference is None else [_interval(difference.interval, "+.1f"), difference.verdict]


def _interval(found: Interval, form: str) -> str:
    return f"{found.value:{form}} [{found.low:{form}}, {found.high:{form}}]"
