"""The published recipe. In: a search space as it was read. Out: the space with the paper's settings for its corpus.

The values are those of the paper (arXiv 2105.02472) and of the settings files that its authors published. What still
differs from their code is said in docs/methods.md.
"""

from collections.abc import Mapping
from typing import Any

from xa_search.errors import UsageError

EVERYWHERE: dict[str, Any] = {
    "align_weight": 1.0,
    "align_distance": "mse",
    "pairing": "independent",
    "embedding": "pooler",
    "padding": "attended",
    "schedule": "one_cycle",
    "warmup": 0.3,
    "clip_norm": 1.0,
    "dropout": 0.1,
    "head_dropout": 0.0,
    "head_learning_rate_factor": 1.0,
    "batch_size": 10,
    "epochs": 10,
    "learning_rate": 2e-5,
    "max_tokens": 70,
    "kept_epoch": "last",
    "models": "each",
}
BY_CORPUS: dict[str, dict[str, Any]] = {
    "mtop": {},
    "mtop-mini": {},
    "mtod": {"learning_rate": 5e-6, "epochs": 5, "max_tokens": 50},
    "multiatis": {"max_tokens": 100},
    "pawsx": {"learning_rate": 6e-6, "batch_size": 4, "max_tokens": 200},
}
"""What differs by corpus; the bundled one is taken for MTOP, whose format it has."""
NAMES = ("published",)


def with_recipe(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the space with its recipe's settings in place of its own.

    What is searched stays searched: there the recipe is what the baseline and the published trial take.
    """
    name, corpus = raw.get("recipe"), raw.get("corpus")
    if name is None:
        return dict(raw)
    if name not in NAMES:
        raise UsageError(f"recipe: {name!r} is unknown; there is {', '.join(NAMES)}")
    if corpus not in BY_CORPUS:
        raise UsageError(f"recipe: {name}: the paper has no settings for {corpus}; it has {', '.join(BY_CORPUS)}")
    settings = EVERYWHERE | BY_CORPUS[corpus]
    searched = raw.get("params") or {}
    of_two_trials = {key: value for key, value in settings.items() if key in searched}
    kept = {key: value for key, value in (raw.get("fixed") or {}).items() if key not in of_two_trials}
    fixed = {key: value for key, value in settings.items() if key not in searched}
    changed = {key: (raw.get(key) or {}) | of_two_trials for key in ("baseline", "published")}
    return {**raw, **changed, "fixed": kept | fixed}
