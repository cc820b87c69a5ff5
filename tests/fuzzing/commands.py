"""What a user sees of faulty data. In: a random generator. Out: an outcome, or an AssertionError.

A command that reads it ends with one of its exit codes, and every line that it says can be printed.
"""

import contextlib
import io
import random
import sys
from pathlib import Path
from unittest import mock

from fuzzing.corpora import written
from fuzzing.samples import SAMPLES
from xa_search.cli import main as cli

CODES = {0: "told", 2: "refused", 3: "refused"}


def check_command(rng: random.Random, folder: Path) -> str:
    """Run `data check` or `data stats` on a sample with faults in it."""
    sample = SAMPLES[rng.choice(sorted(SAMPLES))]
    root = written(sample.mutated(rng), folder / "raw")
    arguments = ["data", rng.choice(("check", "check", "stats")), sample.corpus, "--data", str(root)]
    arguments += ["--lang", f"en,{sample.target}"] if rng.random() < 0.9 else []
    arguments += [f"--columns={','.join(f'{ours}={theirs}' for ours, theirs in sample.columns.items())}"] * bool(
        sample.columns
    )
    arguments += ["--json"] * (rng.random() < 0.3)
    out, code = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), 0
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(out),
        mock.patch.object(sys, "argv", ["xa-search", *arguments, "--home", str(folder / "home")]),
    ):
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        out.flush()
    said = out.buffer.getvalue().decode()
    assert code in CODES, (arguments, said[-500:])
    assert said.strip()
    return CODES[code]
