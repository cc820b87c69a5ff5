"""The paper's learning rate, for the steps at hand. In: a corpus, how many steps a trial takes. Out: a rate.

The paper's rates are for thousands of steps; at some hundred they leave a model nearly as it was. With Adam, training
is alike where steps x rate^2 stays the same (Malladi et al. 2022, arXiv 2205.10287: the square-root rule, there for
batches that are k times as large, so that an epoch has 1/k of the steps):

    rate = rate of the paper x sqrt(steps of the paper / steps here)

The spaces that come with the program keep the paper's rate where this changes it by less than `NEAR_ENOUGH`, and have
the rule's value elsewhere.
"""

from math import sqrt

from xa_search.config.plan import BY_CORPUS, EVERYWHERE

ROWS = {"mtop": 15_667, "mtop-mini": 15_667, "mtod": 30_521, "multiatis": 4_488, "pawsx": 49_401}
"""The English training utterances of the paper's corpora; the bundled one is taken for MTOP."""
NEAR_ENOUGH = 2.0


def paper_steps(corpus: str) -> int:
    """Return how many steps the paper takes on a corpus."""
    settings = EVERYWHERE | BY_CORPUS[corpus]
    return int(ROWS[corpus] / settings["batch_size"] * settings["epochs"])


def paper_rate(corpus: str, steps: int) -> float:
    """Return the paper's learning rate for so many steps."""
    settings = EVERYWHERE | BY_CORPUS[corpus]
    return float(settings["learning_rate"]) * sqrt(paper_steps(corpus) / max(1, steps))
