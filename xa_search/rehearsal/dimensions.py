"""The dimensions of a model. In: a model size and the search home. Out: what decides how long its steps take."""

import json
from dataclasses import dataclass
from pathlib import Path

from xa_search.model.encoder import encoder_directory
from xa_search.model.sizes import resolve_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimensions:
    """What decides how long an encoder takes; its other traits are taken to be XLM-R's."""

    hidden: int
    layers: int
    heads: int
    inner: int

    def operations(self, tokens: float) -> float:
        """Return a training step's operations: two a multiplication, and a backward pass of twice the forward one."""
        return 6 * tokens * self.layers * (4 * self.hidden**2 + 2 * self.hidden * self.inner)


KNOWN = {
    "tiny": Dimensions(hidden=32, layers=2, heads=2, inner=64),
    "small": Dimensions(hidden=384, layers=12, heads=12, inner=1536),
    "base": Dimensions(hidden=768, layers=12, heads=12, inner=3072),
    "large": Dimensions(hidden=1024, layers=24, heads=16, inner=4096),
}


def dimensions_of(size: str, home: Path) -> Dimensions | None:
    """Return a model's dimensions; none where it has not been downloaded and nobody knows them."""
    if size in KNOWN:
        return KNOWN[size]
    directory = resolve_size(size).directory or encoder_directory(size, home)
    try:
        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        return Dimensions(
            hidden=config["hidden_size"],
            layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            inner=config["intermediate_size"],
        )
    except (OSError, ValueError, KeyError):
        return None
