"""Some faulty inputs for each reader, for archives, label maps and search spaces: `benchmarks/fuzz.py` tries many more.

A case raises where it ends in another exception than the project's own, or where something is lost without a count.
"""

from collections import Counter

import pytest
from fuzzing.cases import case
from fuzzing.corpora import check_files
from fuzzing.samples import SAMPLES
from fuzzing.targets import TARGETS

CASES = 15


@pytest.mark.parametrize("name", SAMPLES)
def test_the_samples_are_whole(name, write, tmp_path):
    sample = SAMPLES[name]
    assert check_files(sample, write(sample.files), tmp_path / "home", dict(sample.files)) == "whole"


@pytest.mark.parametrize("name", TARGETS)
def test_faulty_input_is_refused_or_counted(name, tmp_path):
    found = Counter(TARGETS[name](case(name, seed), tmp_path) for seed in range(CASES))
    assert found["refused"] + found["dropped"] + found["repaired"] > 0
