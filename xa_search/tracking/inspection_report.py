"""What was found inside a model, as files. In: an Inspection. Out: a table, all of it as JSON, a figure."""

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from xa_search.tracking.plots import BLUE, INK, ORANGE, SOFT, new_figure, save
from xa_search.tracking.report import language_label
from xa_search.training.inspection import FINDINGS, MEAN, Closeness, InspectedLayer, Inspection

COLUMNS = (
    *("language", "layer", "pairs", "cosine of pairs: before", "after", "of random pairs: before", "after"),
    *("found, percent: before", "after"),
)


def inspection_rows(inspection: Inspection) -> list[list[str]]:
    """Return a row for each language and layer, under COLUMNS."""
    return [
        [language_label(one.lang, unseen=one.unseen), str(one.layer), str(one.pairs)]
        + [f"{one.before.pair_cosine:.3f}", f"{one.after.pair_cosine:.3f}"]
        + [f"{one.before.random_cosine:.3f}", f"{one.after.random_cosine:.3f}"]
        + [f"{100 * one.before.retrieval:.1f}", f"{100 * one.after.retrieval:.1f}"]
        for one in inspection.layers
    ]


def inspection_summary(inspection: Inspection) -> list[str]:
    """Return in lines what the last layer shows, for the aligned languages and for each unseen one."""
    lines = []
    for name, layers in _last_layers(inspection).items():
        then, now = _mean([one.before for one in layers]), _mean([one.after for one in layers])
        change = inspection.closer[name]
        lines.append(
            f"{name}: translations stand out from random pairs by a cosine of "
            f"{now.pair_cosine - now.random_cosine:.3f}, {then.pair_cosine - then.random_cosine:.3f} before "
            f"(95% of the change: {change.low:+.3f} to {change.high:+.3f}); {100 * now.retrieval:.1f}% are found "
            f"among {min(one.pairs for one in layers)}, {100 * then.retrieval:.1f}% before"
        )
    return lines


def write_inspection(inspection: Inspection, directory: Path) -> tuple[Path, ...]:
    """Write inspection.csv, inspection.json and inspection.png, and return their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    table, findings = directory / "inspection.csv", directory / FINDINGS
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *inspection_rows(inspection)])
    figure = _draw(inspection, directory / "inspection.png")
    # The last one: where it is, the others are.
    findings.write_text(json.dumps(asdict(inspection), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return table, findings, figure


def _last_layers(inspection: Inspection) -> dict[str, list[InspectedLayer]]:
    """Return the last layers of the aligned languages together, and of each unseen one."""
    last = {one.lang: one for one in inspection.layers}
    groups = {MEAN: [one for one in last.values() if not one.unseen]}
    groups |= {lang: [one] for lang, one in last.items() if one.unseen}
    return {name: layers for name, layers in groups.items() if layers}


def _mean(seen: Sequence[Closeness]) -> Closeness:
    return Closeness(**{name: fmean(asdict(one)[name] for one in seen) for name in Closeness.__dataclass_fields__})


def _draw(inspection: Inspection, path: Path) -> Path:
    """Draw both measures over the layers: a thin line a language, dashed where it is unseen."""
    pairs = max(one.pairs for one in inspection.layers)
    subtitle = f"{inspection.model} · one line a language · at most {pairs} held-out training pairs each, no test data"
    figure, panels = new_figure(10, 4.6, "Translations inside the model", subtitle, widths=(1, 1))
    by_language: dict[str, list[InspectedLayer]] = {}
    for one in inspection.layers:
        by_language.setdefault(one.lang, []).append(one)
    for layers in by_language.values():
        for colour, seen in ((SOFT, [one.before for one in layers]), (_colour(layers), [one.after for one in layers])):
            style: dict[str, Any] = {"color": colour, "linewidth": 1.8, "alpha": 0.85}
            style |= {"linestyle": (0, (4, 2))} if layers[0].unseen else {}
            numbers = [one.layer for one in layers]
            panels[0].plot(numbers, [one.pair_cosine - one.random_cosine for one in seen], **style)
            panels[1].plot(numbers, [100 * one.retrieval for one in seen], **style)
    for axes, title in zip(panels, ("cosine of pairs above random pairs", "translations found (%)"), strict=True):
        axes.set_title(title, loc="left", fontsize=10.5, color=INK)
        axes.set_xlabel("layer", color=INK)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(
        handles=_legend(inspection), loc="outside lower center", ncols=3, frameon=False, labelcolor=INK, fontsize=9.5
    )
    return save(figure, path)


def _colour(layers: Sequence[InspectedLayer]) -> str:
    return ORANGE if layers[0].unseen else BLUE


def _legend(inspection: Inspection) -> list[Line2D]:
    handles = [Line2D([], [], color=SOFT, label="before"), Line2D([], [], color=BLUE, label="after")]
    if names := ", ".join(dict.fromkeys(one.lang for one in inspection.layers if one.unseen)):
        handles.append(Line2D([], [], color=ORANGE, linestyle=(0, (4, 2)), label=f"after, unseen: {names}"))
    return handles
