"""The report of a search as one record. In: nothing. Out: all that `report.json` holds and the page shows.

Scores are percentages, gains are points. Nothing here has to be computed again to draw the page.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from xa_search.records.trial import FailureClass, StoppedAt, TrialRole, TrialState

REPORT_SCHEMA: Literal[1] = 1
"""Which form `report.json` has; one more where a field goes or changes its meaning."""
WEAKEST, EXAMPLES = 3, 10
"""How many of the weakest languages are looked at, and how many utterances of each are shown."""
Value = float | int | str | bool


class Part(BaseModel):
    """A part of the report; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")


class Measured(Part):
    """A score or a gain. `low` and `high` are its 95% interval over the test utterances, none where it was not told."""

    value: float
    low: float | None = None
    high: float | None = None


class LanguageScores(Part):
    """A language's test scores by metric, under each system; `mean` is that over the targets.

    A system that there was none of has no scores, and no gains over it.
    """

    lang: str
    unseen: bool = False
    zero_shot: dict[str, float] = {}
    fair: dict[str, float] = {}
    winner: dict[str, Measured]
    gain: dict[str, Measured] = {}
    fair_gain: dict[str, Measured] = {}


class CalibrationErrors(Part):
    """By how many points probabilities miss, by what is predicted: before and after the temperatures."""

    lang: str
    before: dict[str, float]
    after: dict[str, float]


class ReportedTrial(Part):
    """One trial. `scores[i]` is the selection score after epoch i + 1; `ending` says in words why it ended.

    `by_language[metric][j]` is the metric of the best epoch in the report's j-th language, none where it has none;
    `at_floor`, whether its score is not above what takes no training, where that was measured.
    """

    number: int
    role: TrialRole
    state: TrialState
    method: str
    model_size: str
    params: dict[str, Value]
    score: float | None
    scores: tuple[float, ...]
    best_epoch: int | None
    epochs: int
    budget: int
    seconds: float
    failure: FailureClass | None = None
    stopped_at: StoppedAt | None = None
    ending: str
    is_winner: bool = False
    at_floor: bool | None = None
    by_language: dict[str, tuple[float | None, ...]] = {}


class ReportedParameter(Part):
    """A searched setting: its whole range, or its choices."""

    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[Value, ...] | None = None


class ReportedFloor(Part):
    """What takes no training: its selection score, and its mean test scores by metric."""

    name: str
    score: float
    mean: dict[str, float]


class FailedSettings(Part):
    """A parameter's values in the trials of one failure class, beside those of complete trials; `text` says it."""

    failure: FailureClass
    trials: int
    parameter: str
    failed: tuple[Value, ...]
    complete: tuple[Value, ...]
    text: str


class Confusion(Part):
    """So often `predicted` stood where `gold` was right."""

    gold: str
    predicted: str
    count: int


class Example(Part):
    """A test utterance that the winner got wrong; tags are IOB2, one a word."""

    id: str
    words: tuple[str, ...]
    gold_intent: str
    predicted_intent: str
    gold_tags: tuple[str, ...] = ()
    predicted_tags: tuple[str, ...] = ()


class Mistakes(Part):
    """What a model got wrong in a language's test split: `wrong` of `utterances`, and examples spread over them."""

    utterances: int
    wrong: int
    intents: tuple[Confusion, ...]
    slots: tuple[Confusion, ...]
    examples: tuple[Example, ...]


class WeakLanguage(Part):
    """One of the languages in which the winner scored lowest; `score` is the mean of its metrics there."""

    lang: str
    score: float
    mistakes: Mistakes


class CostParts(Part):
    """Where the wall time of the search's last run went, in seconds; `summary` says it in a line."""

    wall: float
    parts: dict[str, float]
    summary: str


class ReportSection(Part):
    """A finding of a command that runs after the search, in words and perhaps a table.

    `xa-search audit` and `xa-search confirm` may leave one in the search's folder, as `report/audit.json` and
    `report/confirm.json`: the page then has a section of that name.
    """

    sentences: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


class NextCommand(Part):
    """A command line as it can be pasted, and what it is for."""

    purpose: str
    command: str


class SearchReport(Part):
    """All that is known of a search: `report.json`, and what its page is drawn from.

    While a search runs, nothing was tested: `languages`, `weakest` and what the winner is compared with are empty.
    """

    schema_version: Literal[1] = REPORT_SCHEMA
    search_id: str
    space: str
    corpus: str
    source: str
    targets: tuple[str, ...]
    unseen_languages: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    selection: str
    zero_shot: bool = True
    recipe: str | None = None
    state: Literal["running", "over", "resumable", "stopped"]
    wanted: int
    sentences: tuple[str, ...]
    """What was asked, what was found, and what it gained."""
    notes: tuple[str, ...] = ()
    """What the reader must know to read the rest: no baseline, at the floor, what was not measured."""
    winner: int | None = None
    baseline: int | None = None
    no_baseline: str = ""
    fair_baseline: dict[str, Any] | None = None
    no_fair_baseline: str = ""
    floors: tuple[ReportedFloor, ...] = ()
    at_floor: str = ""
    metrics: dict[str, str] = {}
    """The test metrics and their headings."""
    languages: tuple[LanguageScores, ...] = ()
    calibration: tuple[CalibrationErrors, ...] = ()
    trial_languages: tuple[str, ...] = ()
    trial_metrics: dict[str, str] = {}
    """The metrics that every trial has by language, and their headings: those of its best epoch, none of a test."""
    trials: tuple[ReportedTrial, ...]
    rungs: tuple[int, ...] = ()
    """The epochs after which trials are compared and stopped."""
    parameters: dict[str, ReportedParameter] = {}
    importances: dict[str, float] = {}
    failure_regions: tuple[FailedSettings, ...] = ()
    weakest: tuple[WeakLanguage, ...] = ()
    data: tuple[str, ...] = ()
    cost: CostParts | None = None
    audit: ReportSection | None = None
    confirm: ReportSection | None = None
    commands: tuple[NextCommand, ...] = Field(default=())
