"""Published scores of other systems. In: a YAML file that the user gives. Out: the scores, each with its source."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError

from xa_search.errors import UsageError, value_faults


class Published(BaseModel):
    """A score that somebody published: the mean over these languages, in percent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    system: str
    corpus: str
    metric: Literal["intent", "slots"]
    value: float = Field(ge=0, le=100)
    languages: tuple[str, ...] = Field(min_length=1)
    source: str = Field(min_length=1)


class _File(RootModel[tuple[Published, ...]]):
    """A list of published scores."""


def read_literature(path: Path) -> tuple[Published, ...]:
    """Read published scores. Raises UsageError with one line a fault."""
    try:
        found = _File.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))).root
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--literature {path}: cannot be read as text ({error}); give another file") from None
    except yaml.YAMLError as error:
        reason = getattr(error, "problem", error)
        raise UsageError(f"{path}: not valid YAML ({reason}); write a list of system, corpus, metric, ...") from None
    except ValidationError as error:
        raise UsageError("\n".join(value_faults(str(path), error))) from None
    for one in found:
        if find_published(found, one.system, one.corpus, one.metric) is not one:
            raise UsageError(f"{path}: {one.system} on {one.corpus}, {one.metric}, is given twice; keep one")
    return found


def find_published(scores: Iterable[Published], system: str, corpus: str, metric: str) -> Published | None:
    """Return a system's score on a corpus."""
    return next((one for one in scores if (one.system, one.corpus, one.metric) == (system, corpus, metric)), None)
