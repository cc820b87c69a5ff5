"""The plots that a person looks at in MLflow. In: a SearchRecord. Out: PNG files.

The score of each trial with the best so far, the searched settings as parallel coordinates, the gain by language.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from xa_search.records import SearchRecord, TrialRecord
from xa_search.tracking.canvas import BLUE, GREEN, GRID, INK, ORANGE, PURPLE, RED, SOFT, new_figure, save
from xa_search.tracking.parallel import parallel_coordinates_figure
from xa_search.tracking.report import HEADINGS, MEAN, LanguageRow, language_rows

STATES = {
    "COMPLETE": ("o", BLUE, "full budget"),
    "PRUNED": ("v", SOFT, "stopped early"),
    "RUNNING": ("s", GRID, "running"),
    "FAIL": ("x", RED, "failed"),
}
ROLES = {
    "baseline": ("D", INK, "zero-shot baseline"),
    "published": ("s", PURPLE, "published recipe"),
}


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
    """Draw the test scores of the zero-shot baseline and the winner by language, the gain between them."""
    rows = language_rows(record)[::-1]
    subtitle = f"{record.search_id} · trial {record.winner} against the zero-shot baseline, gains in points"
    title = "Test scores by language: zero-shot and winner"
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
    before = [row.zero_shot[metric] for row in rows]
    after = [row.winner[metric] for row in rows]
    places = range(len(rows))
    axes.hlines(places, before, after, color=GRID, linewidth=6, zorder=1)
    axes.scatter(before, places, color=SOFT, s=52, label="zero-shot", zorder=3)
    axes.scatter(after, places, color=BLUE, s=52, label="winner", zorder=3)
    for place, row in zip(places, rows, strict=True):
        gain, right = row.gain[metric], max(before[place], after[place])
        text = axes.annotate(f"{gain:+.1f}", (right, place), xytext=(9, 0), textcoords="offset points", va="center")
        text.set(color=GREEN if gain > 0 else RED if gain < 0 else SOFT, fontsize=9.5)
        text.set_weight("bold" if row.lang == MEAN else "normal")
    axes.set_title(HEADINGS[metric], loc="left", fontsize=10.5, color=INK)
    axes.set_xlabel("test score (%)", color=INK)
    axes.set_yticks(places, [row.label for row in rows])
    axes.axhline(0.5, color=SOFT, linewidth=0.8, linestyle=(0, (3, 3)))
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.margins(x=0.16)
    axes.grid(visible=False, axis="y")
    axes.grid(axis="x", color=GRID, linewidth=0.8)
