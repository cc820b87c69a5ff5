"""Whatever is asked of a model, each row has an answer. `benchmarks/fuzz.py` asks MLflow's server, and more."""

from collections.abc import Callable
from pathlib import Path

from fuzzing.cases import case
from fuzzing.served import any_rows

from xa_search.records import TrialJob
from xa_search.tracking.bundle import load_bundle, write_bundle


def test_anything_asked_is_answered_row_by_row(
    make_trial: Callable[..., tuple[TrialJob, Path]], tmp_path: Path
) -> None:
    job, weights = make_trial()
    write_bundle(job, weights, tmp_path / "bundle", {})
    bundle = load_bundle(tmp_path / "bundle")
    for seed in range(15):
        rows = any_rows(case("served model", seed))
        answers = bundle.answer(rows)
        assert len(answers) == len(rows)
        for row, answer in zip(rows, answers, strict=True):
            is_text = isinstance(row, str) and row.isascii()
            assert "error" not in answer if is_text else {"error"} <= answer.keys() or isinstance(row, str)
