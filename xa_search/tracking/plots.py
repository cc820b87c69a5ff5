"""The plots that a person looks at in MLflow. In: a SearchRecord. Out: PNG files.

The score of each trial with the best so far, the searched settings as parallel coordinates, the gain by language.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from xa_search.records import SearchRecord, TrialRecord
from xa_search.tracking.report import HEADINGS, MEAN, LanguageRow, language_rows

INK, SOFT, GRID = "#1f2933", "#7b8794", "#e4e7eb"
BLUE, ORANGE, GREEN, RED, PURPLE = "#2b6cb0", "#dd6b20", "#2f855a", "#c53030", "#6b46c1"
LEFT_EDGE = 0.02
Value = float | int | str | bool
COLOURS = "viridis_r"
STATES = {
    "COMPLETE": ("o", BLUE, "full budget"),
    "PRUNED": ("v", SOFT, "stopped early"),
    "RUNNING": ("s", GRID, "running"),
    "FAIL": ("x", RED, "failed"),
}
ROLES = {
    "baseline": ("D", INK, "zero-shot baseline"),
    "zero_shot": ("d", INK, "zero-shot's own search"),
    "published": ("s", PURPLE, "published recipe"),
    "paper_values": ("s", PURPLE, "paper's values"),
}


def new_figure(
    width: float, height: float, title: str, subtitle: str, widths: Sequence[float] = (1,)
) -> tuple[Figure, list[Any]]:
    """Return a figure with a title and panels side by side, `widths` wide in relation to each other."""
    below_title = ConstrainedLayoutEngine(rect=(0, 0, 1, 1 - 0.62 / height), w_pad=0.08, h_pad=0.08)
    figure = Figure(figsize=(width, height), layout=below_title)
    figure.text(LEFT_EDGE, 1 - 0.14 / height, title, ha="left", va="top", fontsize=13, weight="bold", color=INK)
    figure.text(LEFT_EDGE, 1 - 0.40 / height, subtitle, ha="left", va="top", fontsize=9.5, color=SOFT)
    panels = list(figure.subplots(1, len(widths), squeeze=False, width_ratios=widths)[0])
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
        panel.spines[["left", "bottom"]].set_color(SOFT)
        panel.tick_params(colors=INK, labelsize=9.5)
        panel.set_axisbelow(True)
        panel.grid(axis="y", color=GRID, linewidth=0.8)
    return figure, panels


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as a PNG file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=150, facecolor="white")
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """One axis: where each tick stands between 0 and 1."""

    title: str
    low: float
    high: float
    is_log: bool
    choices: tuple[str, ...]

    def place(self, value: Value) -> float:
        """Return where a value stands between 0 and 1; an axis with one value has it in the middle."""
        if self.choices:
            return self._between(self.choices.index(str(value)), 0, len(self.choices) - 1)
        if self.is_log:
            return self._between(math.log(float(value)), math.log(self.low), math.log(self.high))
        return self._between(float(value), self.low, self.high)

    def ticks(self) -> list[tuple[float, str]]:
        """Return places and labels: the choices, or the ends with round numbers between them."""
        if self.choices:
            return [(self.place(choice), choice) for choice in self.choices]
        inner = (
            self._decades()
            if self.is_log
            else list(MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(self.low, self.high))
        )
        ends = dict.fromkeys((self.low, self.high))
        kept = [v for v in inner if all(abs(self.place(v) - self.place(end)) > 0.06 for end in ends)]
        shown = [*ends, *(v for v in kept if self.low < v < self.high)]
        return [(self.place(value), _short(value)) for value in shown]

    def _decades(self) -> list[float]:
        exponents = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        return [10.0**exponent for exponent in exponents]

    def _between(self, value: float, low: float, high: float) -> float:
        return 0.5 if high == low else (value - low) / (high - low)


def parallel_coordinates_figure(record: SearchRecord, log_scaled: Collection[str]) -> Figure:
    """Draw each trial as a line over its settings, coloured by its score; trials without a score are dotted."""
    names = sorted({name for trial in record.trials for name in trial.params})
    trials = record.trials
    values = {name: [trial.params[name] for trial in trials if name in trial.params] for name in names}
    scales = [_scale(name, values[name], name in log_scaled) for name in names]
    scores = [100 * trial.score for trial in trials if trial.score is not None]
    norm, colour_map = Normalize(min(scores, default=0.0), max(scores, default=1.0)), colormaps[COLOURS]
    subtitle = f"{record.search_id} · one line a trial, coloured by its selection score"
    figure, (axes,) = new_figure(max(7.0, 2.6 + 2.0 * len(names)), 4.8, "Searched settings", subtitle)
    for trial in sorted(trials, key=lambda trial: -1.0 if trial.score is None else trial.score):
        # What a trial did not search, as the weight of a loss that its method lacks, is a gap in its line.
        heights = [
            scale.place(trial.params[scale.title]) if scale.title in trial.params else math.nan for scale in scales
        ]
        style: dict[str, Any] = {"color": SOFT, "linewidth": 1.2, "linestyle": ":"}
        if trial.score is not None:
            style = {"color": colour_map(float(norm(100 * trial.score))), "linewidth": 1.8, "alpha": 0.9}
        if trial.number == record.winner:
            axes.plot(heights, color=ORANGE, linewidth=7, zorder=3, solid_capstyle="round")
            style |= {"linewidth": 3.2, "alpha": 1, "zorder": 4}
        axes.plot(heights, **style)
    _draw_scales(axes, scales)
    bar = figure.colorbar(ScalarMappable(norm, colour_map), ax=axes, pad=0.03, aspect=28)
    bar.set_label("selection score (%)", color=INK)
    bar.outline.set_visible(False)
    winner = Line2D([], [], color=ORANGE, linewidth=5, label=f"winner (trial {record.winner})")
    handles = [winner]
    if len(scores) < len(trials):
        handles.append(Line2D([], [], color=SOFT, linestyle=":", label="no score"))
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, labelcolor=INK, fontsize=9.5)
    return figure


def _scale(name: str, values: Sequence[Value], is_log: bool) -> Scale:
    numbers = [float(value) for value in values if not isinstance(value, str | bool)]
    if len(numbers) < len(values) or not numbers:
        choices = tuple(sorted({str(value) for value in values}))
        return Scale(title=name, low=0, high=1, is_log=False, choices=choices)
    low, high = min(numbers), max(numbers)
    return Scale(title=name, low=low, high=high, is_log=is_log and low > 0, choices=())


def _draw_scales(axes: Any, scales: Sequence[Scale]) -> None:
    for number, scale in enumerate(scales):
        axes.axvline(number, color=SOFT, linewidth=1, zorder=2)
        for height, label in scale.ticks():
            axes.plot([number - 0.02, number], [height, height], color=SOFT, linewidth=1, zorder=2)
            text = axes.text(number - 0.035, height, label, ha="right", va="center", fontsize=9, color=INK, zorder=6)
            text.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.9, "pad": 1})
    titles = [f"{scale.title.replace('_', ' ')}{' (log)' if scale.is_log else ''}" for scale in scales]
    axes.set_xticks(range(len(scales)), titles)
    axes.tick_params(axis="x", length=0, pad=8, labelsize=10)
    axes.set_xlim(-0.35, len(scales) - 1 + 0.1)
    axes.set_ylim(-0.06, 1.06)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.grid(visible=False)


def _short(value: float) -> str:
    if value == 0 or abs(value) >= 0.001:
        return f"{value:.3g}"
    digits, _, exponent = f"{value:.1e}".partition("e")
    return f"{digits.removesuffix('.0')}e{int(exponent)}"


def write_plots(record: SearchRecord, log_scaled: Collection[str], directory: Path) -> tuple[Path, ...]:
    """Draw all plots into `directory`, and return their files. `log_scaled` settings get a log axis."""
    return (
        save(selection_score_figure(record), directory / "selection_score.png"),
        save(parallel_coordinates_figure(record, log_scaled), directory / "parallel_coordinates.png"),
        save(gain_figure(record), directory / "gain_by_language.png"),
    )


def selection_score_figure(record: SearchRecord) -> Figure:
    """Draw the score of each trial, and the best so far among those that used their full budget."""
    subtitle = f"{record.search_id} · best epoch of each trial, under the rule {record.selection}"
    figure, (axes,) = new_figure(9, 4.8, "Selection score by trial", subtitle)
    trials = sorted(record.trials, key=lambda trial: trial.number)
    scores = [100 * trial.score for trial in trials if trial.score is not None]
    floor = min(scores, default=0.0) - 0.08 * (max(scores, default=1.0) - min(scores, default=0.0))
    _draw_best_so_far(axes, trials)
    for kind, (marker, colour, label) in (STATES | ROLES).items():
        chosen = [trial for trial in trials if _kind(trial) == kind]
        heights = [floor if trial.score is None else 100 * trial.score for trial in chosen]
        if chosen:
            numbers = [trial.number for trial in chosen]
            axes.scatter(numbers, heights, marker=marker, color=colour, s=46, label=label, zorder=3)
    _mark_winner(axes, next(trial for trial in trials if trial.number == record.winner))
    axes.set_xlabel("trial", color=INK)
    axes.set_ylabel("selection score (%)", color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    margin = max(0.5, 0.03 * len(trials))
    axes.set_xlim(-margin, trials[-1].number + margin)
    axes.margins(y=0.14)
    figure.legend(loc="outside lower center", ncols=6, columnspacing=1.4, frameon=False, labelcolor=INK, fontsize=9.5)
    return figure


def gain_figure(record: SearchRecord) -> Figure:
    """Draw the test scores of the zero-shot baseline, if there is one, and the winner by language, the gain between."""
    rows = language_rows(record)[::-1]
    against = "no zero-shot trial to tell gains against" if record.no_baseline else "against zero-shot, gains in points"
    subtitle = f"{record.search_id} · trial {record.winner}, {against}"
    title = "Test scores by language" if record.no_baseline else "Test scores by language: zero-shot and winner"
    metrics = [name for name in rows[0].winner if name != "exact_match"]
    figure, panels = new_figure(10, 1.7 + 0.42 * len(rows), title, subtitle, widths=(1,) * len(metrics))
    for axes, metric in zip(panels, metrics, strict=True):
        _draw_gains(axes, rows, metric)
    for axes in panels[1:]:
        axes.set_yticklabels([])
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, labelcolor=INK, fontsize=9.5)
    return figure


def _draw_best_so_far(axes: Any, trials: list[TrialRecord]) -> None:
    numbers: list[float] = []
    bests: list[float] = []
    for trial in trials:
        if trial.state == "COMPLETE" and trial.score is not None:
            numbers.append(trial.number)
            bests.append(max([100 * trial.score, *bests[-1:]]))
    if numbers:
        numbers.append(trials[-1].number)
        bests.append(bests[-1])
        axes.step(numbers, bests, where="post", color=ORANGE, linewidth=2, label="best so far", zorder=2)


def _kind(trial: TrialRecord) -> str:
    """The marker of a trial: its role where it has a special one and a score, else its state."""
    return trial.role if trial.role in ROLES and trial.score is not None else trial.state


def _mark_winner(axes: Any, winner: TrialRecord) -> None:
    place = (winner.number, 100 * (winner.score or 0.0))
    axes.scatter(*place, s=190, facecolors="none", edgecolors=GREEN, linewidths=2, zorder=4)
    style = {"ha": "center", "va": "bottom", "fontsize": 9.5, "color": GREEN, "weight": "bold"}
    text = f"winner: {place[1]:.1f}"
    axes.annotate(text, place, xytext=(0, 11), textcoords="offset points", zorder=5, **style)


def _draw_gains(axes: Any, rows: tuple[LanguageRow, ...], metric: str) -> None:
    after = [row.winner[metric] for row in rows]
    places = range(len(rows))
    if rows[0].zero_shot:
        _draw_gains_over([row.zero_shot[metric] for row in rows], axes, rows, metric)
    axes.scatter(after, places, color=BLUE, s=52, label="winner", zorder=3)
    axes.set_title(HEADINGS[metric], loc="left", fontsize=10.5, color=INK)
    axes.set_xlabel("test score (%)", color=INK)
    axes.set_yticks(places, [row.label for row in rows])
    axes.axhline(0.5, color=SOFT, linewidth=0.8, linestyle=(0, (3, 3)))
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.margins(x=0.16)
    axes.grid(visible=False, axis="y")
    axes.grid(axis="x", color=GRID, linewidth=0.8)


def _draw_gains_over(before: list[float], axes: Any, rows: tuple[LanguageRow, ...], metric: str) -> None:
    after = [row.winner[metric] for row in rows]
    places = range(len(rows))
    axes.hlines(places, before, after, color=GRID, linewidth=6, zorder=1)
    axes.scatter(before, places, color=SOFT, s=52, label="zero-shot", zorder=3)
    for place, row in zip(places, rows, strict=True):
        gain, right = row.gain[metric], max(before[place], after[place])
        text = axes.annotate(f"{gain:+.1f}", (right, place), xytext=(9, 0), textcoords="offset points", va="center")
        text.set(color=GREEN if gain > 0 else RED if gain < 0 else SOFT, fontsize=9.5)
        text.set_weight("bold" if row.lang == MEAN else "normal")
