"""The table of faults in data: each row that was found is in it, is a test as well, and was run as it stands."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from data_fault_cases import CASES
from data_faults import RESULT, as_markdown, missing_tests

FOUND = {f"D{number}" for number in range(1, 26)} - {"D23"}
"""D23 is about fair comparison."""


def test_every_fault_that_was_found_is_a_case() -> None:
    assert {case.row for case in CASES} == FOUND


def test_every_case_is_a_test_as_well() -> None:
    assert missing_tests(case.test for case in CASES) == []


def test_the_table_is_of_these_cases() -> None:
    result = json.loads(RESULT.with_suffix(".json").read_text(encoding="utf-8"))
    assert [(one["row"], one["input"], one["test"]) for one in result["cases"]] == [
        (case.row, case.what, case.test) for case in CASES
    ]
    assert RESULT.read_text(encoding="utf-8") == as_markdown(result)
