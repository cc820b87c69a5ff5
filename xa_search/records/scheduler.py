"""Records of early stopping. In: nothing. Out: which rule a search space names, and its settings, as frozen types."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError


class Asha(BaseModel):
    """Early stopping: after `grace_epochs`, and at each `reduction` times as many, the best 1/`reduction` go on.

    With `grace_steps` in its place trials are compared after so many steps, and each `reduction` times as many.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    grace_epochs: int | None = Field(default=1, ge=1)
    grace_steps: int | None = Field(default=None, ge=1)
    reduction: int = Field(default=3, ge=2)

    @model_validator(mode="before")
    @classmethod
    def _one_unit(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        given = {key: value for key, value in given.items() if value is not None}
        if {"grace_epochs", "grace_steps"} <= given.keys():
            raise PydanticCustomError(
                "asha", "rungs lie in epochs or in steps; keep one, the value null takes an inherited one away"
            )
        return given | ({"grace_epochs": None} if "grace_steps" in given else {})


class Scheduler(BaseModel):
    """How trials are stopped early: a registered rule with its settings; none lets every trial use its full budget."""

    model_config = ConfigDict(frozen=True, extra="allow")

    asha: Asha | None = None

    @property
    def named(self) -> dict[str, Any]:
        """The rules that are named, by name, and what settings they are given."""
        return {name: given for name, given in self if given is not None}
