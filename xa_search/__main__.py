"""`python -m xa_search`. In: the command line. Out: the same as `xa-search`; a job's code has no script of its own."""

import os
import sys
from pathlib import Path

if not sys.flags.safe_path:
    # The folder that a user stands in may hold a `datasets.py`: that is not the library which is meant.
    del sys.path[0]
    if not any(finder.find_spec("xa_search", None) for finder in sys.meta_path):
        # A checkout that is not installed: what is started from here has to find it, too.
        others = filter(None, [os.environ.get("PYTHONPATH")])
        os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), *others])

from xa_search.cli.main import main

main()
