"""Does the champion move by luck, and does it move for cause? In: made-up scores. Out: moves of twenty searches.

    python benchmarks/registration_bound.py --repeats 50 --out benchmarks/results/registration_bound.json

A search has 16 trials that differ in their seed alone. Whether an answer is right depends on its utterance, which all
trials find equally hard, on the trial's own level (normal over seeds, `seed_points`), and on chance. The winner scores
best on the rows that select; what is kept decides, through the program's own verdict, with its own count of searches.

`nothing` has twenty searches of equal settings after one another, each held against the champion of then; it began as
the winner of such a search. `a score's two errors` plants, in each of twenty searches, each against a champion of its
own, a gain of two standard errors of a score on the kept rows, as `run --dry-run` tells them; `the difference's two
errors` two standard errors of the paired difference, which are fewer points. Arithmetic for the last: a gain of 2 SE
passes a bound at 1.645 SE in 64% of searches, 12.8 of 20. `nothing, no champion yet` holds each winner against one
ordinary trial of equal settings, as against a zero-shot trial that is as good; `on the rows that chose` does the same
on the rows that selected: what registration must not do.
"""

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from machine import describe_machine
from results_file import command_line, write_json
from scipy.special import ndtr
from scipy.stats import norm as normal

from xa_search.encoding.held_out import HeldOutCounts
from xa_search.tracking.champion import Challenge, champion_verdict, tries_against
from xa_search.tracking.registry import RegisteredVersion
from xa_search.training.kept import Evidence, KeptOutcomes, kept_difference

SEARCHES, TRIALS = 20, 16
LANGUAGES = ("de", "th")
RIGHT, OF_UTTERANCE = 0.85, 0.5
NAMES = tuple(f"{kind}_{lang}" for lang in LANGUAGES for kind in ("intent_acc", "slot_type_f1"))
NOTHING, OF_SCORE, OF_DIFFERENCE = "nothing", "a score's two errors", "the difference's two errors"
FIRST, CHOSE = "nothing, no champion yet", "nothing, on the rows that chose"
SCENARIOS = (NOTHING, OF_SCORE, OF_DIFFERENCE, FIRST, CHOSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The rows that select and those that are kept, as many of each; `hard` is [2 rows], how hard each utterance is."""

    hard: np.ndarray
    seed_points: float

    @property
    def rows(self) -> int:
        """How many rows each half has."""
        return len(self.hard) // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Twenty:
    """How often the alias moved in twenty searches."""

    scenario: str
    rows: int
    seed_points: float
    moves: int


def make_world(rows: int, seed_points: float, random: np.random.Generator) -> World:
    return World(hard=random.standard_normal(2 * rows), seed_points=seed_points)


def outcomes(world: World, level: float, random: np.random.Generator) -> np.ndarray:
    """Answer all rows once by a trial of this level; return bool [2 rows, scores]."""
    own = level + world.seed_points / 100 * random.standard_normal()
    chance = random.standard_normal((len(world.hard), len(NAMES)))
    uniform = ndtr(np.sqrt(OF_UTTERANCE) * world.hard[:, None] + np.sqrt(1 - OF_UTTERANCE) * chance)
    right: np.ndarray = uniform < own
    return right


def search_winner(world: World, level: float, random: np.random.Generator) -> tuple[Evidence, Evidence]:
    """Return what the best of TRIALS got right of the rows that selected it, and of the kept ones."""
    trials = [outcomes(world, level, random) for _ in range(TRIALS)]
    best = max(trials, key=lambda right: float(right[: world.rows].mean()))
    return _evidence(best[: world.rows]), _evidence(best[world.rows :])


def _evidence(right: np.ndarray) -> Evidence:
    each = np.where(np.array(["slot" in name for name in NAMES]), 2, 1)
    counts = np.stack([right * each, np.broadcast_to(each, right.shape)], axis=-1).reshape(len(right), -1)
    ids = tuple(str(number) for number in range(len(right)))
    return Evidence(runs={"1": KeptOutcomes(ids=ids, names=NAMES, counts=counts)}, registered="1")


def version(number: int, challenged: str = "") -> RegisteredVersion:
    return RegisteredVersion(
        name="made-up",
        version=number,
        aliases=(),
        created=0,
        checked=True,
        search_id=f"search-{number}",
        study_id="",
        trial=0,
        corpus="made-up",
        corpus_fingerprint="1",
        selection="label_free",
        zero_shot=True,
        selection_score=RIGHT,
        tokenizer_fingerprint="1",
        test_metrics={},
        challenged=challenged,
    )


def moves_in_sequence(world: World, random: np.random.Generator) -> int:
    """Run SEARCHES searches without any difference after one another; return how often the champion moved."""
    versions = [version(0)]
    champion, of_champion = versions[0], search_winner(world, RIGHT, random)[1]
    moves = 0
    for number in range(1, SEARCHES + 1):
        evidence = search_winner(world, RIGHT, random)[1]
        tries = tries_against(versions, champion, number)
        challenge = Challenge(
            new=version(number),
            evidence=evidence,
            champion=champion,
            of_champion=of_champion,
            rivals={},
            no_rival="",
            tries=tries,
        )
        versions.append(version(number, challenged=str(champion.version)))
        if champion_verdict(challenge).moves:
            moves += 1
            champion, of_champion = versions[-1], evidence
    return moves


def moves_one_by_one(rows: int, seed_points: float, gain: float, random: np.random.Generator) -> int:
    """Plant a gain in each of SEARCHES searches, each of a world and with a champion of its own."""
    moves = 0
    for _ in range(SEARCHES):
        world = make_world(rows, seed_points, random)
        challenge = Challenge(
            new=version(1),
            evidence=search_winner(world, RIGHT + gain, random)[1],
            champion=version(0),
            of_champion=search_winner(world, RIGHT, random)[1],
            rivals={},
            no_rival="",
            tries=1,
        )
        moves += champion_verdict(challenge).moves
    return moves


def first_champions(rows: int, seed_points: float, random: np.random.Generator, *, on_kept: bool) -> int:
    """Hold each winner of SEARCHES searches against one ordinary trial of equal settings."""
    moves = 0
    for _ in range(SEARCHES):
        world = make_world(rows, seed_points, random)
        ordinary = outcomes(world, RIGHT, random)
        challenge = Challenge(
            new=version(1),
            evidence=search_winner(world, RIGHT, random)[on_kept],
            champion=None,
            of_champion=None,
            rivals={"the zero-shot trial": _evidence(ordinary[rows:] if on_kept else ordinary[:rows])},
            no_rival="",
            tries=1,
        )
        moves += champion_verdict(challenge).moves
    return moves


def score_error(rows: int) -> float:
    """Return the standard error of a score on so many rows, as a plan tells it."""
    return HeldOutCounts(
        origin="dev", source="en", train=0, selecting=rows, kept=rows, templates=(rows, rows)
    ).standard_error


def difference_error(rows: int, seed_points: float, random: np.random.Generator) -> float:
    """Return the standard error of the paired difference of two trials of one level, the mean of forty."""
    found = []
    for _ in range(40):
        world = make_world(rows, seed_points, random)
        new, old = (_evidence(outcomes(world, RIGHT, random)[rows:]) for _ in range(2))
        difference = kept_difference(new, old, "it", 0.05)
        assert difference is not None
        found.append((difference.points - difference.bound) / normal.ppf(0.95))
    return float(np.mean(found))


def twenty(scenario: str, rows: int, seed_points: float, seed: int) -> Twenty:
    """Run twenty searches of a scenario."""
    random = np.random.default_rng([seed, rows, SCENARIOS.index(scenario)])
    if scenario == NOTHING:
        moves = moves_in_sequence(make_world(rows, seed_points, random), random)
    elif scenario in (FIRST, CHOSE):
        moves = first_champions(rows, seed_points, random, on_kept=scenario == FIRST)
    else:
        error = score_error(rows) if scenario == OF_SCORE else difference_error(rows, seed_points, random)
        moves = moves_one_by_one(rows, seed_points, 2 * error, random)
    return Twenty(scenario=scenario, rows=rows, seed_points=seed_points, moves=moves)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--rows", type=int, nargs="+", default=[50, 200, 1000])
    parser.add_argument("--seed-points", type=float, nargs="+", default=[0.0, 1.2])
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows, found = [], []
    for scenario in SCENARIOS:
        for count in given.rows:
            for seed_points in given.seed_points:
                cells = [twenty(scenario, count, seed_points, seed) for seed in range(given.repeats)]
                found += cells
                moves = np.array([cell.moves for cell in cells])
                row = {
                    "planted": scenario,
                    "rows": count,
                    "seed_points": seed_points,
                    "mean moves of 20": float(moves.mean()),
                    "most": int(moves.max()),
                    "at most 2": float((moves <= 2).mean()),
                    "at least 15": float((moves >= 15).mean()),
                }
                rows.append(row)
                print(", ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    write_json(
        given.out,
        {
            "command": command_line(),
            "machine": describe_machine(torch.device("cpu"), 1),
            "repeats": given.repeats,
            "rows": rows,
            "twenties": [asdict(cell) for cell in found],
        },
    )


if __name__ == "__main__":
    main()
