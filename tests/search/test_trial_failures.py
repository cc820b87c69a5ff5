"""The classes of failure: of exceptions, and of workers that died without one."""

import pytest

from xa_search.errors import DataError, NonFiniteError
from xa_search.records import FailureClass
from xa_search.search.failures import failure_of, failure_of_lost_worker

DEAD = "The actor died unexpectedly. Worker exit type: SYSTEM_ERROR Worker exit detail: "


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (NonFiniteError("the loss"), "non_finite"),
        (DataError("train.tsv: gone"), "data"),
        (RuntimeError("CUDA out of memory. Tried to allocate"), "oom"),
        (MemoryError(), "oom"),
        (ValueError("any other"), "code"),
    ],
)
def test_exceptions_are_classified(error: Exception, failure: FailureClass) -> None:
    assert failure_of(error).failure == failure


@pytest.mark.parametrize(
    ("reason", "failure", "text"),
    [
        (DEAD + "connection\n error code 2.", "lost_worker", "connection error code 2."),
        ("Task was killed due to the node running low on memory.", "oom", "Task was killed due to the node running"),
        (DEAD + "x\nModuleNotFoundError: No module named 'a'\n", "code", "ModuleNotFoundError: No module named 'a' ("),
    ],
)
def test_lost_workers_are_classified_by_rays_words(reason: str, failure: FailureClass, text: str) -> None:
    found = failure_of_lost_worker(reason, alone=True)
    assert found.failure == failure
    beside_others = failure_of_lost_worker(reason, alone=False)
    assert beside_others.failure == ("lost_worker" if failure == "oom" else failure)
    assert found.text.startswith(text)
