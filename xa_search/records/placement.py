"""Records of a trial's place. In: nothing. Out: what a step took of a GPU, what a trial may take, as frozen types."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError


def _whole_above_one(gpus: float) -> float:
    if gpus > 1 and gpus != int(gpus):
        raise PydanticCustomError("gpus", "above 1 it is a whole number")
    return gpus


Gpus = Annotated[float, Field(ge=0), AfterValidator(_whole_above_one)]


class SizeResources(BaseModel):
    """What a trial of one model size takes in place of `gpus_per_trial`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gpus: Gpus


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryProbe:
    """What a process that took the largest step of a trial took of a GPU, in bytes, and what that GPU has.

    `overhead` is the part of `peak` that no limit on tensors counts: the driver's and the libraries' own.
    """

    peak: int
    overhead: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuShare:
    """A trial's part of the memory of each GPU it has: the most its tensors may take, and what it waits for."""

    limit: float
    needed: float
