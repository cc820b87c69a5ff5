"""Shared by all tests: an offline, quiet process, and one search home that keeps encoders between tests."""

import fcntl
import gc
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run side by side: threads of one would wait for cores of another
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell has its background commands: tests press Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest: begun last, one of them would leave the other workers with nothing."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_collection_finish() -> None:
    """Leave what was imported out of every later search for garbage: each trial begins with one."""
    gc.freeze()


@pytest.fixture(scope="session")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search home for the whole test run; tests that write to it must not depend on what is in it."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def with_tables(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Put a store with MLflow's tables, and nothing in them, into a home; return that. To make them takes seconds.

    They are made once for all workers of a test run, which share the folder above their own ones.
    """
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    tables, made = shared / "tables.db", shared / "tables.made"
    with (shared / "tables.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            from xa_search.tracking.store import connect

            connect(f"sqlite:///{tables}").search_experiments()
            made.touch()

    def put(home: Path) -> Path:
        home.mkdir(parents=True, exist_ok=True)
        shutil.copy(tables, home / "mlflow.db")
        return home

    return put
