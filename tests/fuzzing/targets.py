"""All that is tried, by name. In: a name, a seed, a folder. Out: what became of that case.

A case that ends in an exception other than the project's own, or loses something without a count, raises.
"""

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

from fuzzing.commands import check_command
from fuzzing.corpora import check_archive, check_reader
from fuzzing.samples import SAMPLES
from fuzzing.settings import check_label_map, check_space

Target = Callable[[random.Random, Path], str]
TARGETS: dict[str, Target] = {
    **{f"reader of {name}": partial(check_reader, name) for name in SAMPLES},
    "commands": check_command,
    "archives": check_archive,
    "label maps": check_label_map,
    "search spaces": check_space,
}
