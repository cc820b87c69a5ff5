"""The outlook on the real search. In: its plan, its corpus, the GPUs it may have. Out: hours, cost and disk.

What is measured here is the time of a step and the lengths of texts; each figure says what it rests on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from xa_search.cluster.gpus import ClusterGpus, GpuKind
from xa_search.preflight import Checked, max_tokens
from xa_search.records import Plan
from xa_search.rehearsal.dimensions import Dimensions, dimensions_of
from xa_search.rehearsal.forecast import (
    RowCounts,
    SizeForecast,
    StepTime,
    TrialGroup,
    epoch_of,
    forecast_size,
    row_counts,
    trial_groups,
)
from xa_search.rehearsal.step_time import Texts, measure_step, sample_texts
from xa_search.search.disk import COPIES_OF_WINNER, encoder_bytes, shared_bytes, trials_bytes, weights_bytes
from xa_search.search.resources import slots_here

GPU_SHARE = 0.2
"""The share of its maker's figure that a GPU is assumed to reach."""
SECONDS_A_LAYER = 0.0025
"""What a layer is assumed to take at least, however fast the GPU: it waits for the next thing to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskForecast:
    """What the real search takes on disk: `peak` while it runs, at most; the rest is part of it, or is left of it."""

    encoders: int
    trials_at_once: int
    trials: int
    winner: int
    peak: int
    kept: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What the real search will take. `unknown` are the model sizes whose steps nobody can time here.

    A trial takes `gpus`. There are at most `at_once` of them, none where no cluster is named; an hour costs `price`.
    """

    plan: Plan
    sizes: tuple[SizeForecast, ...]
    unknown: tuple[str, ...]
    disk: DiskForecast
    mean_tokens: float
    gpus: float
    at_once: int | None
    price: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuTerms:
    """What is known of the GPUs of the real search: those of its cluster, seconds of a step by size, a price."""

    cluster: ClusterGpus | None
    steps: Mapping[str, float]
    price: float | None


def look_ahead(plan: Plan, checked: Checked, terms: GpuTerms, user_home: Path, scratch: Path) -> Outlook:
    """Time the steps of each model size, and forecast the search that the plan describes."""
    rows, texts = row_counts(checked.check), sample_texts(checked.corpus, max_tokens(plan), scratch)
    found: list[SizeForecast] = []
    unknown = []
    for size in plan.space.model_sizes:
        dimensions = dimensions_of(size, user_home)
        groups = [group for group in trial_groups(plan) if group.settings.model_size == size]
        times = _step_times(plan, rows, groups[-1], dimensions, texts, terms, scratch)
        found += [forecast_size(plan, rows, size, one) for one in times]
        unknown += [] if times else [size]
    # Where it is left to a measurement, trials may share a GPU; none is known to before there is one.
    gpus = max(1.0 if gpus is None else gpus for gpus in map(plan.space.gpus, plan.space.model_sizes))
    at_once = None if terms.cluster is None else terms.cluster.at_once
    return Outlook(
        plan=plan,
        sizes=tuple(found),
        unknown=tuple(unknown),
        disk=forecast_disk(plan, int(at_once / gpus) if at_once and gpus else slots_here(plan.space)),
        mean_tokens=texts.mean_tokens,
        gpus=gpus,
        at_once=at_once,
        price=terms.price,
    )


def _step_times(
    plan: Plan,
    rows: RowCounts,
    group: TrialGroup,
    dimensions: Dimensions | None,
    texts: Texts,
    terms: GpuTerms,
    scratch: Path,
) -> list[StepTime]:
    """Return how long a step takes: as the user says, else as measured here, and as estimated for the cluster's GPU."""
    settings, utterances = group.settings, epoch_of(plan, group.settings, rows).utterances_a_step
    if (given := terms.steps.get(settings.model_size)) is not None:
        return [StepTime(utterances=utterances, seconds=given, on_gpu=True, source="given by --gpu-step")]
    if dimensions is None:
        return []
    times = [measure_step(settings, dimensions, texts, plan.space.cpus_per_trial, scratch)]
    kind = None if terms.cluster is None else terms.cluster.kind
    if kind is not None and plan.space.gpus(settings.model_size) != 0 and not times[0].on_gpu:
        tokens = utterances * (settings.max_tokens if settings.padding == "attended" else texts.mean_tokens)
        times.append(estimated_step(dimensions, utterances, tokens, kind))
    return times


def estimated_step(dimensions: Dimensions, utterances: int, tokens: float, kind: GpuKind) -> StepTime:
    """Return what a step of so many texts and tokens may take on a kind of GPU, where nobody has timed one."""
    computing = dimensions.operations(tokens) / (kind.teraflops * 1e12 * GPU_SHARE)
    source = (
        f"estimated for {kind.name}: {GPU_SHARE:.0%} of {kind.teraflops:g} TFLOP/s, "
        f"at least {1000 * SECONDS_A_LAYER:g} ms a layer"
    )
    return StepTime(
        utterances=utterances, seconds=max(computing, dimensions.layers * SECONDS_A_LAYER), on_gpu=True, source=source
    )


def forecast_disk(plan: Plan, at_once: int) -> DiskForecast:
    """Return what the search takes on disk, as its own check before the first trial counts it."""
    sizes, models, trials = plan.space.model_sizes, plan.models_a_trial, plan.space.trials
    running = trials_bytes(sizes, trials, at_once, models)
    weights = models * max(weights_bytes(size) for size in sizes)
    winner = max(encoder_bytes(size) for size in sizes)
    return DiskForecast(
        encoders=sum(encoder_bytes(size) for size in sizes),
        trials_at_once=min(at_once, trials),
        trials=running,
        winner=(COPIES_OF_WINNER - 1 + models) * winner,
        peak=shared_bytes(sizes, models) + running,
        kept=(plan.space.keep + 1) * weights + models * winner,
    )
