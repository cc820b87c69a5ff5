"""One Ray of two CPUs for all tests of the search that need it."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, chdir
from pathlib import Path

import pytest

from xa_search.search import RAY_ENVIRONMENT, RAY_LOOPBACK


@pytest.fixture(scope="session")
def local_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Start Ray as a search does, from a folder with a `seqeval.py` that is not the library, and give that folder."""
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    os.environ.update({**RAY_ENVIRONMENT, **RAY_LOOPBACK, "PYTHONPATH": path})
    from xa_search.search.connection import connected

    folder = tmp_path_factory.mktemp("stands_in")
    (folder / "seqeval.py").write_text("not_the_library = True\n")
    with ExitStack() as stack:
        with chdir(folder):
            stack.enter_context(connected(None, num_cpus=2))
        yield folder
