"""The report of a search. In: a SearchRecord and its cost. Out: rows by language and by trial, and files made of them.

Scores in rows are percentages; whoever shows them rounds to one decimal.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean

from xa_search.records import (
    FailureClass,
    SearchCost,
    SearchRecord,
    TrialRole,
    TrialState,
)
from xa_search.records.search import TOO_FEW_TO_TELL
from xa_search.tracking.calibration_report import CalibrationRow, calibration_cells, calibration_rows
from xa_search.tracking.comparison_report import fair_line, floor_cells, floor_line, shown_lines
from xa_search.tracking.confirmation_report import gain_cells, repeated_cells
from xa_search.tracking.failure_regions import failure_regions
from xa_search.training.registry import method_of, one_model_a_target, selection_rule

COST_COLUMNS = ("part", "seconds", "percent")
MEAN = "mean"
METRICS = {
    "accuracy": "accuracy",
    "intent_accuracy": "intent_acc",
    "slot_f1": "slot_f1",
    "slot_f1_merged": "slot_f1_merged",
    "exact_match": "exact_match",
}
"""What the report shows of a search that has it; a corpus without slots has the accuracy alone.

Of the two slot F1s it shows the published one, which merges neighbours of one type, for the published recipe.
"""
HEADINGS = {name: name.replace("f1", "F1").replace("_", " ") for name in METRICS}
Scores = Mapping[str, float]
"""Test scores in percent, or differences between them in points, by the names of METRICS."""


def as_markdown(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def as_csv(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as comma-separated values."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([titles, *rows])
    return text.getvalue()


def write_files(directory: Path, texts: dict[str, str]) -> tuple[Path, ...]:
    """Write each text into the file of its name, and return the paths."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in texts.items():
        (directory / name).write_text(content, encoding="utf-8")
    return tuple(directory / name for name in texts)


def cost_rows(cost: SearchCost) -> list[list[str]]:
    """Return a row for each part of the wall time: its seconds and its share in percent; the largest first."""
    parts = sorted(cost.parts.items(), key=lambda item: -item[1])
    return [[part, f"{seconds:.1f}", f"{100 * seconds / cost.wall:.1f}"] for part, seconds in parts]


def cost_summary(cost: SearchCost) -> str:
    """Return one line: the wall time, how many trials ran side by side, and how busy the hardware was."""
    gpu = "" if cost.gpu_utilisation is None else f", GPUs {100 * cost.gpu_utilisation:.0f} % while training"
    busy = f"cores {100 * cost.core_utilisation:.0f} % busy{gpu}"
    return f"{cost.wall:.0f} s of wall time, {cost.slots} trials side by side, {busy}"


def write_cost(cost: SearchCost, directory: Path) -> tuple[Path, ...]:
    """Write cost.md and cost.json, and return their paths."""
    table = as_markdown(COST_COLUMNS, cost_rows(cost))
    text = f"# Where the wall time went\n\n{cost_summary(cost)}\n\n{table}"
    return write_files(directory, {"cost.md": text, "cost.json": json.dumps(asdict(cost), indent=2) + "\n"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageRow:
    """One language's test scores; `lang` is `mean` for the mean over the targets, which no unseen language is.

    `zero_shot` is empty in a search without a baseline, `fair` in one without a fair baseline.
    """

    lang: str
    zero_shot: Scores
    winner: Scores
    fair: Scores = field(default_factory=dict)
    unseen: bool = False

    @property
    def label(self) -> str:
        """The language as tables show it."""
        return language_label(self.lang, unseen=self.unseen)

    @property
    def gain(self) -> Scores:
        """What the winner adds to the zero-shot baseline."""
        return {name: self.winner[name] - before for name, before in self.zero_shot.items()}

    @property
    def fair_gain(self) -> Scores:
        """What the winner adds to its own settings without alignment."""
        return {name: self.winner[name] - before for name, before in self.fair.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRow:
    """One trial. `score` is the selection score of its best epoch in percent, none if it never reported; `at_floor`
    says whether that is not above what takes no training, none where it is not known.
    """

    number: int
    role: TrialRole
    state: TrialState
    params: dict[str, float | int | str | bool]
    score: float | None
    best_epoch: int | None
    epochs: int
    seconds: float
    failure: FailureClass | None
    is_winner: bool
    at_floor: bool | None = None


def language_label(lang: str, *, unseen: bool) -> str:
    """Return a language as tables and figures show it."""
    return f"{lang} (unseen)" if unseen else lang


def language_rows(record: SearchRecord) -> tuple[LanguageRow, ...]:
    """Return a row for each language that was tested, and the mean over the targets."""
    zero_shot, winner = record.baseline_tests, record.winner_tests
    fair = {} if record.fair_baseline is None else record.fair_baseline.test_metrics
    hidden = "slot_f1_merged" if record.recipe is None else "slot_f1"
    rows = [
        LanguageRow(
            lang=lang,
            zero_shot=_scores(zero_shot, lang, hidden),
            winner=scores,
            fair=_scores(fair, lang, hidden),
            unseen=lang in record.unseen_languages,
        )
        for lang in (record.source, *record.targets, *record.unseen_languages)
        if (scores := _scores(winner, lang, hidden))
    ]
    targets = [row for row in rows if row.lang in record.targets]
    mean = LanguageRow(
        lang=MEAN,
        zero_shot=_mean([row.zero_shot for row in targets]),
        winner=_mean([row.winner for row in targets]),
        fair=_mean([row.fair for row in targets]),
    )
    return (*rows, mean)


def trial_rows(record: SearchRecord) -> tuple[TrialRow, ...]:
    """Return a row a trial, in the order of their numbers."""
    return tuple(
        TrialRow(
            number=trial.number,
            role=trial.role,
            state=trial.state,
            params=trial.params,
            score=None if trial.score is None else 100 * trial.score,
            best_epoch=trial.best_epoch,
            epochs=len(trial.scores),
            seconds=trial.seconds,
            failure=trial.failure,
            is_winner=trial.number == record.winner,
            at_floor=trial.at_floor,
        )
        for trial in sorted(record.trials, key=lambda trial: trial.number)
    )


def language_table(rows: Sequence[LanguageRow]) -> str:
    """Return the rows as a Markdown table: each metric's parts; of two gains the smaller one is in bold."""
    titles = [f"{HEADINGS[name]}: {part}" for name in rows[0].winner for part in parts_of(rows)]
    return as_markdown(["language", *titles], [[row.label, *language_cells(row, bold=True)] for row in rows])


def parts_of(rows: Sequence[LanguageRow]) -> tuple[str, ...]:
    """Return what tables show of a metric; the gains are over the zero-shot trial, and over the fair baseline."""
    has_fair = any(row.fair for row in rows)
    return ("zero-shot", "fair", "winner", "gain", "fair gain") if has_fair else ("zero-shot", "winner", "gain")


def trial_table(rows: Sequence[TrialRow]) -> str:
    """Return the rows as a Markdown table."""
    return as_markdown(*_trial_cells(rows))


def write_report(record: SearchRecord, directory: Path) -> tuple[Path, ...]:
    """Write report.md, languages.csv and trials.csv, and return their paths."""
    languages, trials = language_rows(record), trial_rows(record)
    importances = sorted(record.importances.items(), key=lambda item: -item[1])
    lines = [f"- {name}: {100 * share:.0f} %" for name, share in importances]
    regions = failure_regions(record.trials)
    marked = _target_labels(record)
    tested = (record.source, *record.targets, *record.unseen_languages)
    calibration = calibration_rows(record.winner_tests, tested)
    text = f"""# {record.search_id}
{floor_line(record)}
Winner: trial {record.winner}, chosen by `{record.selection}`{marked}. {_baseline(record)}
Test scores in percent, gains in points; the mean is over the targets {", ".join(record.targets)}.
{_unseen(record)}{_recipe(record)}
{language_table(languages)}
{_confirmation(record)}{_compared(record)}{_calibration(calibration)}## Trials

{trial_table(trials)}
## What mattered

{chr(10).join(lines) or f"It is {TOO_FEW_TO_TELL}."}

## Where trials failed

{chr(10).join(f"- {region}" for region in regions) or "No trial failed by its settings."}
{_data(record)}"""
    parts = [part.replace("-", "_").replace(" ", "_") for part in parts_of(languages)]
    titles = [f"{name}_{part}" for name in languages[0].winner for part in parts]
    texts = {
        "report.md": text,
        "languages.csv": as_csv(["language", *titles], [[row.label, *language_cells(row)] for row in languages]),
        "trials.csv": as_csv(*_trial_cells(trials)),
    }
    return write_files(directory, texts)


def _baseline(record: SearchRecord) -> str:
    """Name the baseline, or say why there is none."""
    if record.no_baseline:
        return f"{record.no_baseline[:1].upper()}{record.no_baseline[1:]}."
    return f"Baseline: trial {record.baseline} ({record.best_of_baselines or 'zero-shot'})."


def _compared(record: SearchRecord) -> str:
    """Say what the winner is compared with besides the zero-shot trial."""
    means = {f"{HEADINGS[name]}: {MEAN}": f"test_{kind}_{MEAN}" for name, kind in METRICS.items()}
    floors = as_markdown(*floor_cells(record.floors, means)) if record.floors else ""
    return "".join(f"{text}\n" for text in (fair_line(record), floors, shown_lines(record)) if text)


def _confirmation(record: SearchRecord) -> str:
    """Tell what came of the best settings with fresh seeds; nothing where nobody asked."""
    found = record.confirmation
    if found is None:
        return "" if record.soup is None else f"{record.soup.sentence[:1].upper()}{record.soup.sentence[1:]}.\n\n"
    lines = "".join(f"- {line}\n" for line in found.sentences)
    gains = as_markdown(*gain_cells(found)) if found.gains else ""
    return f"## Confirmed\n\n{lines}\n{as_markdown(*repeated_cells(found))}\n{gains}\n"


def _data(record: SearchRecord) -> str:
    """Say what the search has read: pairs by language, rows dropped and repaired."""
    return "\n## Data\n\n" + "".join(f"- {line}\n" for line in record.data) if record.data else ""


def _calibration(rows: Sequence[CalibrationRow]) -> str:
    """Tell by how much probabilities miss; nothing where it was not measured."""
    if not rows:
        return ""
    return f"""## How sure the winner says it is

By how many points probabilities miss the share that is right (expected calibration error, 15 bins), before and after
one temperature for intents and one for slots, which the source's dev utterances decided.

{as_markdown(*calibration_cells(rows))}
"""


def _recipe(record: SearchRecord) -> str:
    """Say what is not as in other searches."""
    lines = [f"Recipe: `{record.recipe}`; neighbouring slots of one type are scored as one."] if record.recipe else []
    if one_model_a_target(record.trial(record.winner).settings):
        lines.append(f"The winner has one model a target: {record.source} is the mean of their scores.")
    return "".join(f"{line}\n" for line in lines)


def _unseen(record: SearchRecord) -> str:
    names = ", ".join(record.unseen_languages)
    return f"Unseen languages, neither aligned nor selected on: {names}.\n" if names else ""


def _target_labels(record: SearchRecord) -> str:
    """Say where labelled target data came in; nothing where the winner is zero-shot."""
    method = method_of(record.trial(record.winner).settings)
    chosen_by_labels = selection_rule(record.selection).reads_target_labels
    parts = [", which reads labelled target data"] if chosen_by_labels else []
    parts += [f", trained by `{method.name}` on labelled target data"] if method.target_rows else []
    return "".join(parts) + (": not zero-shot" if parts else "")


def _scores(metrics: Scores, lang: str, hidden: str) -> Scores:
    found = {name: metrics.get(f"test_{kind}_{lang}") for name, kind in METRICS.items() if name != hidden}
    return {name: 100 * value for name, value in found.items() if value is not None}


def _mean(scores: Sequence[Scores]) -> Scores:
    return {name: fmean(score[name] for score in scores) for name in scores[0]}


def language_cells(row: LanguageRow, *, bold: bool = False) -> list[str]:
    """Return what tables show of a row: the parts of each metric; the smaller gain may be in bold."""
    cells: list[str] = []
    for name, after in row.winner.items():
        gains = [gain[name] for gain in (row.gain, row.fair_gain) if name in gain]
        shown = [_or_none(row.gain.get(name), "+.1f"), *([f"{row.fair_gain[name]:+.1f}"] if row.fair else [])]
        if bold and len(gains) > 1:
            smaller = gains.index(min(gains))
            shown[smaller] = f"**{shown[smaller]}**"
        fair = [f"{row.fair[name]:.1f}"] if row.fair else []
        cells += [_or_none(row.zero_shot.get(name), ".1f"), *fair, f"{after:.1f}", *shown]
    return cells


def _or_none(score: float | None, shape: str) -> str:
    return "-" if score is None else format(score, shape)


def _trial_cells(rows: Sequence[TrialRow]) -> tuple[list[str], list[list[str]]]:
    names = sorted({name for row in rows for name in row.params})
    floor = ["at floor"] if any(row.at_floor is not None for row in rows) else []
    titles = ["trial", "role", "state", "score", *floor, "best epoch", "epochs run", "seconds", *names, "failure"]
    cells = [
        [
            f"{row.number}{' (winner)' if row.is_winner else ''}",
            row.role,
            row.state,
            "" if row.score is None else f"{row.score:.1f}",
            *(["" if row.at_floor is None else "yes" if row.at_floor else "no"] if floor else []),
            "" if row.best_epoch is None else str(row.best_epoch),
            str(row.epochs),
            f"{row.seconds:.0f}",
            *(_short(row.params.get(name, "")) for name in names),
            row.failure or "",
        ]
        for row in rows
    ]
    return titles, cells


def _short(value: float | int | str | bool) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
