"""The table of faults in searches: each row that was found is in it, is a test, and was run as it stands."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from data_faults import missing_tests
from search_fault_cases import CASES
from search_faults import RESULT, as_markdown


def test_every_fault_that_was_found_is_a_case() -> None:
    assert [case.row for case in CASES] == [f"S{number}" for number in range(1, 31)]


def test_every_case_is_a_test() -> None:
    assert missing_tests(case.test for case in CASES) == []


def test_the_table_is_of_these_cases_and_all_are_as_they_should_be() -> None:
    result = json.loads(RESULT.with_suffix(".json").read_text(encoding="utf-8"))
    assert [(one["row"], one["fault"], one["test"]) for one in result["cases"]] == [
        (case.row, case.what, case.test) for case in CASES
    ]
    assert {one["row"]: one["exit_code"] for one in result["cases"] if one["exit_code"] != 0} == {}
    assert RESULT.read_text(encoding="utf-8") == as_markdown(result)
