"""What lets Ray have several nodes on this machine. In: nothing. Out: the environment of their processes, and of this.

Imported before Ray is: a process that has imported the search would otherwise start a Ray for itself alone.
"""

import os

from xa_search.search import RAY_ENVIRONMENT, RAY_LOOPBACK

MANY_NODES = {**RAY_ENVIRONMENT, **dict.fromkeys(RAY_LOOPBACK, "1")}
os.environ.update(dict.fromkeys(RAY_LOOPBACK, "1"))
