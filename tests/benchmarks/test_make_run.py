"""What the measurement of `make run` reads: times of a log, gains over the fair baseline."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from make_run import gains, marks

LOG = """2026-11-28 17:40:35+00:00 disk: about 3.9 GB to come
2026-11-28 17:40:50+00:00 trial 0 starts: zero-shot
2026-11-28 17:41:00+00:00 trial 0 starts: again
2026-11-28 17:44:35+00:00 winner: trial 3; now the test splits
"""


def test_parts_begin_so_many_seconds_after_the_first_line() -> None:
    assert marks(LOG) == {"first trial": 15, "trials ended": 240}


def test_the_gain_is_the_mean_over_scores_of_the_targets() -> None:
    rows = [
        {"lang": "de", "fair_gain": {"intent_accuracy": 9.0, "slot_f1": 9.0}},
        {"lang": "mean", "fair_gain": {"intent_accuracy": 1.5, "slot_f1": -0.5}},
    ]
    assert gains({"fair_baseline": {}, "languages": rows}) == {"intent_accuracy": 1.5, "slot_f1": -0.5, "mean": 0.5}
    assert gains({"fair_baseline": None, "languages": rows}) is None
