"""A disk that is full where the driver writes: the search can be resumed, and its run in MLflow is no failure."""

import errno
import os
from pathlib import Path

import pytest

from xa_search.errors import StoppedEarly
from xa_search.tracking.events import SearchEnded
from xa_search.tracking.spool import Spool
from xa_search.tracking.tracker import Tracker
from xa_search.workflows.run import _mark_end


@pytest.mark.parametrize(("code", "status"), [(errno.ENOSPC, "KILLED"), (errno.EACCES, "FAILED")])
def test_only_a_full_disk_is_no_failure(tmp_path: Path, code: int, status: str) -> None:
    tracker = Tracker(Spool(tmp_path / "spool.jsonl"), "http://127.0.0.1:9", "toy-12345678")
    with pytest.raises((StoppedEarly, PermissionError)) as caught, _mark_end(tracker, tmp_path):
        raise OSError(code, os.strerror(code))
    assert isinstance(caught.value, StoppedEarly) == (code == errno.ENOSPC)
    last = Spool(tmp_path / "spool.jsonl").read()[-1].event
    assert isinstance(last, SearchEnded)
    assert last.status == status
