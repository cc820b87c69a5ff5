"""Records of a search. In: nothing. Out: the search space, the plan and what was found, as frozen types."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from xa_search.errors import UsageError, value_faults
from xa_search.records.comparisons import FairBaseline, FloorScore
from xa_search.records.confirmation import Confirm, Confirmation
from xa_search.records.evidence import KeptDifference
from xa_search.records.scheduler import Scheduler
from xa_search.records.soup import Soup
from xa_search.records.stored import with_first_names
from xa_search.records.trial import ZERO_SHOT_ROLES, Gpus, SizeResources, TrialRecord, TrialRole, TrialSettings

KEEP = 3
LEAST_CONCURRENCY, PART_AT_ONCE = 4, 4
"""Unless a space says otherwise, one in four of its trials runs at a time, and at least four of them."""
MAX_LOST = 0.02
"""The share of a split's rows that a search may lose to faults, unless its space says otherwise."""
LEAST_HELD_OUT = 80
FEWEST_FOR_IMPORTANCES = 10
TOO_FEW_TO_TELL = f"unknown, as fewer than {FEWEST_FOR_IMPORTANCES} searched trials ended by their settings"
"""What is said where nothing is of what mattered."""
PLACEMENT = "placement.txt"
"""The file in a search's folder that says what trials take of a GPU."""
RAY = "ray"
"""The folder in which Ray keeps what it knows of a search's trials."""


class Frozen(BaseModel):
    """A validated part of a search space; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


Values = Annotated[tuple[Any, ...], BeforeValidator(_listed), Field(min_length=1)]


class Parameter(Frozen):
    """One searched setting: a range with `low`, `high` and `log`, or a list of `choices`.

    With `when` it is searched only in trials whose other settings have one of these values. With `cases`, which a space
    file has as a list in its place, a trial searches the first of them whose `when` holds; the range spans them all.
    """

    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[Any, ...] | None = None
    when: dict[str, Values] = {}
    cases: tuple["Parameter", ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _as_cases(cls, given: Any) -> Any:
        return {"cases": given} if isinstance(given, list) else given

    @model_validator(mode="after")
    def _span_cases(self) -> "Parameter":
        lows = [case.low for case in self.cases if case.low is not None]
        highs = [case.high for case in self.cases if case.high is not None]
        choices = dict.fromkeys(choice for case in self.cases for choice in case.choices or ())
        spanned = {
            "low": min(lows, default=None),
            "high": max(highs, default=None),
            "log": any(case.log for case in self.cases),
            "choices": tuple(choices) or None,
        }
        for name, value in spanned.items() if self.cases else ():
            object.__setattr__(self, name, value)
        return self

    @property
    def alternatives(self) -> "tuple[Parameter, ...]":
        """The cases, or the one range that there is."""
        return self.cases or (self,)

    @property
    def conditions(self) -> tuple[str, ...]:
        """The settings that decide whether, or in which range, this one is searched."""
        return tuple(dict.fromkeys(name for case in self.alternatives for name in case.when))

    def in_trial(self, values: Mapping[str, Any]) -> "Parameter | None":
        """Return the range that is searched in a trial with these values; none where it is not searched."""
        for case in self.alternatives:
            if all(name in values and values[name] in allowed for name, allowed in case.when.items()):
                return case
        return None


class SearchSpace(Frozen):
    """One YAML file of search_spaces/."""

    corpus: str
    source: str = "en"
    targets: tuple[str, ...] = Field(min_length=1)
    unseen_languages: tuple[str, ...] = ()
    """Languages that the models are tested and inspected in, and that neither training nor selection ever sees."""
    columns: dict[str, str] = {}
    """For a corpus of one's own: what its fields are called there, as in `{text: utterance, intent: label}`."""
    method: str = "xeroalign"
    recipe: Literal["published"] | None = None
    """`published`: the paper's settings for the corpus stand for `fixed`, and its slot scores in the report."""
    params: dict[str, Parameter] = Field(min_length=1)
    fixed: dict[str, Any] = {}
    baseline: dict[str, Any] = {}
    """Values of searched parameters for the zero-shot trial; what is not given is taken from `published`."""
    baseline_trials: int = Field(default=1, ge=1)
    """How many zero-shot trials there are, the baseline included; a space file writes `baseline: {trials: 4}`. All but
    the baseline are a small search of their own, outside `trials`."""
    published: dict[str, Any] = {}
    """The paper's values of searched parameters, with a learning rate for the steps at hand; a trial has them."""
    selection: str = "label_free"
    trials: int = Field(default=20, ge=2)
    max_concurrent: int | None = Field(default=None, ge=1)
    """So many trials run at a time at most; none: a quarter of the trials, and at least 4. What has not ended teaches
    the sampler nothing: with all trials at once, none would be proposed by what others scored."""
    keep: int = Field(default=KEEP, ge=1)
    """When the search is over, so many of the best trials keep their weights, and the zero-shot trial."""
    max_lost: float = Field(default=MAX_LOST, ge=0, le=1)
    """The share of the rows of a split, and of those with slots, that may be lost to faults in the data."""
    least_held_out: int = Field(default=LEAST_HELD_OUT, ge=2)
    """So many utterances with translations must be held out in each target, or the search does not begin."""
    check_pairs: bool = True
    """Whether pairs that agree no better than by chance are refused; false takes them, and says so."""
    scheduler: Scheduler = Scheduler()
    confirm: Confirm | None = None
    """Whether the best settings run again with fresh seeds before one is chosen; none: the best trial is."""
    soup: bool = False
    """Whether the mean of the best trials' weights is a candidate, too, unless the winner is confirmed."""
    audit: Literal["none", "picks", "all"] = "none"
    """Which complete trials are tested once the winner is chosen, to tell how well each selection rule picks."""
    cpus_per_trial: int = Field(default=1, ge=1)
    gpus_per_trial: Gpus | None = None
    """The GPUs, or the share of one, that a trial takes where the cluster has any; none: as much as is measured."""
    resources: dict[str, SizeResources] = {}
    """What trials of a model size take instead. Several GPUs are of one node, and each has a part of every batch."""

    @model_validator(mode="before")
    @classmethod
    def _with_baseline_trials(cls, given: Any) -> Any:
        baseline = given.get("baseline") if isinstance(given, dict) else None
        if not isinstance(baseline, dict) or "trials" not in baseline:
            return given
        values = {name: value for name, value in baseline.items() if name != "trials"}
        return {**given, "baseline": values, "baseline_trials": baseline["trials"]}

    @property
    def fixed_roles(self) -> tuple[TrialRole, ...]:
        """The roles of the trials that always run, and whose values nobody draws."""
        if self.recipe == "published":
            return "baseline", "published"
        return ("baseline", "paper_values") if self.published else ("baseline",)

    @property
    def all_trials(self) -> int:
        """How many trials there are to end: `trials`, and those of zero-shot's own search."""
        return self.trials + self.baseline_trials - 1

    @property
    def tested_languages(self) -> tuple[str, ...]:
        """The languages whose test splits are scored in the end."""
        return self.source, *self.targets, *self.unseen_languages

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that a trial may have; the baseline is zero-shot besides."""
        searched = self.params.get("method")
        return (self.method,) if searched is None else tuple(searched.choices or ())

    @property
    def model_sizes(self) -> tuple[str, ...]:
        """The model sizes that a trial may have."""
        searched = self.params.get("model_size")
        if searched is not None:
            return tuple(str(choice) for choice in searched.choices or ())
        return (str(self.fixed.get("model_size", TrialSettings.model_fields["model_size"].default)),)

    @property
    def given_params(self) -> dict[str, Any]:
        """The searched settings whose value the space itself gives: its baseline's, or the only choice there is."""
        only = {name: one.choices[0] for name, one in self.params.items() if one.choices and len(one.choices) == 1}
        return {**self.published, **self.baseline, **only}

    @property
    def concurrency(self) -> int:
        """How many trials run at a time at most, however many slots there are."""
        return self.max_concurrent or max(LEAST_CONCURRENCY, ceil(self.trials / PART_AT_ONCE))

    def gpus(self, size: str) -> float | None:
        """Return what the space says that a trial of a size takes; none: as much as is measured."""
        return self.resources[size].gpus if size in self.resources else self.gpus_per_trial


class Plan(Frozen):
    """Everything a search needs to know before it starts; built once, never edited."""

    name: str
    space: SearchSpace
    home: Path
    data: Path | None = None
    translations: Path | None = None
    """A folder with `LANG.txt` for some targets, one line for each row of the source training file."""
    seed: int = 1
    time_budget: float | None = None
    """The seconds of this run."""
    gpu_hours: float | None = None
    """The GPU hours of all runs of this search."""
    disk_budget: int | None = None
    """The bytes that this search may take, with the encoders and the encoded corpus that it reads."""
    deterministic: bool = False
    """Proposals in batches of a fixed size, told in the order of their numbers: the same seed, the same search."""
    new: bool = False
    """Begin this search although an unfinished one of the same space differs, or this one has been finished."""
    repeat: int = 0
    """How many searches of this very plan were begun before this one."""
    local: bool = False
    address: str | None = None

    @property
    def decisive(self) -> dict[str, Any]:
        """All that decides the scores of the search, less what has its default."""
        not_decisive = {
            "trials",
            "baseline_trials",
            "max_concurrent",
            "keep",
            "max_lost",
            "least_held_out",
            "check_pairs",
        }
        not_decisive |= {"confirm", "audit", "soup", "cpus_per_trial", "gpus_per_trial", "resources"}
        decisive = self.space.model_dump(mode="json", exclude=not_decisive, exclude_defaults=True)
        decisive |= {"seed": self.seed, "data": None if self.data is None else str(self.data)}
        decisive |= {"repeat": self.repeat} if self.repeat else {}
        decisive |= {} if self.translations is None else {"translations": str(self.translations)}
        return decisive | ({"deterministic": True} if self.deterministic else {})

    @property
    def models_a_trial(self) -> int:
        """How many models a trial may have: one, or one a target."""
        searched = self.space.params.get("models")
        choices = (self.space.fixed.get("models"),) if searched is None else searched.choices or ()
        return len(self.space.targets) if "each" in choices else 1

    @property
    def max_tokens(self) -> int:
        """The limit of sub-words an utterance; it is never searched."""
        return self.trial_settings({}).max_tokens

    @property
    def search_id(self) -> str:
        """The search's name: the space's name and a hash of all that decides its scores."""
        decisive = json.dumps(with_first_names(self.decisive), sort_keys=True)
        return f"{self.name}-{hashlib.sha256(decisive.encode()).hexdigest()[:8]}"

    @property
    def directory(self) -> Path:
        """The folder of the search: its study, its trials, its spool."""
        return self.home / "searches" / self.search_id

    def trial_settings(self, params: dict[str, Any]) -> TrialSettings:
        """Return the settings of a trial: the fixed ones, then the searched ones, then the plan's seed."""
        values = {"method": self.space.method, "seed": self.seed, **self.space.fixed, **params}
        try:
            return TrialSettings.model_validate(values)
        except ValidationError as error:
            raise UsageError("\n".join(value_faults(f"{self.name}: params", error))) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRecord:
    """What a search found. There is no baseline where no zero-shot trial used its full budget.

    `test_metrics`, by trial number, are those of the winner, the baseline, and the best of other methods and sizes.
    `study_id` is what MLflow finds it by; empty where an earlier version began it.
    """

    search_id: str
    source: str
    targets: tuple[str, ...]
    selection: str
    trials: tuple[TrialRecord, ...]
    winner: int
    baseline: int | None
    test_metrics: dict[int, dict[str, float]]
    importances: dict[str, float]
    recipe: str | None = None
    unseen_languages: tuple[str, ...] = ()
    study_id: str = ""
    data: tuple[str, ...] = ()
    """What was said of the data: how many pairs there are, what was dropped, repaired or taken all the same."""
    fair_baseline: FairBaseline | None = None
    no_fair_baseline: str = ""
    """Why there is no fair baseline, in one line."""
    floors: tuple[FloorScore, ...] = ()
    shown: tuple[KeptDifference, ...] = ()
    """What the winner has beyond the zero-shot trial and the floors on the rows that selected no trial."""
    confirmation: Confirmation | None = None
    soup: Soup | None = None

    def trial(self, number: int) -> TrialRecord:
        """Return the trial of this number."""
        return next(trial for trial in self.trials if trial.number == number)

    @property
    def winner_tests(self) -> Mapping[str, float]:
        """The test scores of the winner; where it was confirmed, their means over the fresh seeds."""
        if self.confirmation is not None:
            return self.confirmation.winner.test_metrics
        return self.test_metrics[self.winner if self.soup is None or not self.soup.wins else self.soup.number]

    @property
    def baseline_tests(self) -> Mapping[str, float]:
        """The same of the zero-shot trial; empty where there is none."""
        if self.confirmation is None:
            return {} if self.baseline is None else self.test_metrics[self.baseline]
        return {} if self.confirmation.zero_shot is None else self.confirmation.zero_shot.test_metrics

    @property
    def winner_score(self) -> float:
        """The selection score of the winner; where it was confirmed, the mean over the fresh seeds."""
        if self.confirmation is not None:
            return self.confirmation.winner.mean
        return self.soup.score if self.soup is not None and self.soup.wins else self.trial(self.winner).score or 0.0

    @property
    def best_of_baselines(self) -> str:
        """Say of how many zero-shot trials the baseline is the best; empty where there was no other."""
        tried = sum(trial.role in ZERO_SHOT_ROLES and trial.state != "FAIL" for trial in self.trials)
        return f"the best of {tried} zero-shot trials by selection score" if tried > 1 else ""

    @property
    def at_floor(self) -> str:
        """Why the winner is no champion: it is not above what takes no training; empty where it is."""
        score = self.winner_score
        highest = max(self.floors, key=lambda floor: floor.score, default=None)
        if highest is None or score > highest.score:
            return ""
        return (
            f"the winner is at the floor: its selection score is {100 * score:.1f}, and {highest.name}, "
            f"for which nothing was trained, has {100 * highest.score:.1f}"
        )

    @property
    def no_baseline(self) -> str:
        """Why there is no baseline to tell gains against, in one line; empty where there is one."""
        if self.baseline is not None:
            return ""
        last = [trial for trial in self.trials if trial.role == "baseline"][-1:]
        ends = [
            f"trial {trial.number} failed ({trial.failure_text or trial.failure})"
            if trial.state == "FAIL"
            else f"trial {trial.number} is {trial.state} and has not used its full budget"
            for trial in last
        ]
        return f"no baseline: {ends[0] if ends else 'no zero-shot trial was begun'}"


def trial_directory(search: Path, name: int | str) -> Path:
    """Return the folder of a trial, by its number or its name, in the folder of its search."""
    return search / "trials" / str(name)
