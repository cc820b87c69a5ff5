"""One Ray of two CPUs for all tests of the search that need it."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from xa_search.search import RAY_ENVIRONMENT


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    os.environ.update({"RAY_AUTH_MODE": "disabled", **RAY_ENVIRONMENT, "PYTHONPATH": path})
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.CRITICAL)
    yield
    ray.shutdown()
