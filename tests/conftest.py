"""Shared by all tests: an offline, quiet process, and one search home that keeps encoders between tests."""

import gc
import os
import signal
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell has its background commands: tests press Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Leave what was imported out of every later search for garbage: each trial begins with one."""
    gc.freeze()


@pytest.fixture(scope="session")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search home for the whole test run; tests that write to it must not depend on what is in it."""
    return tmp_path_factory.mktemp("home")
