"""A case and its outcome. In: a name and a seed, or an error. Out: a random generator, or a word."""

import random


def case(name: str, seed: int) -> random.Random:
    """Return the generator of a case; it makes the same one again."""
    return random.Random(f"{name} {seed}")


def refused(error: Exception) -> str:
    """Return the outcome of a case that ends in one of the project's errors, which has to say something."""
    assert str(error).strip()
    return "refused"
