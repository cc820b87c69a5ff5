"""The outlook on the real search. In: its plan, its corpus, the GPUs it may have. Out: hours, cost and disk, in words.

What is measured here is the time of a step and the lengths of texts; each figure says what it rests on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from xa_search.cluster.cluster_file import ClusterGpus, GpuKind
from xa_search.corpora import Corpus, CorpusCheck
from xa_search.corpora.dev_translations import dev_translations
from xa_search.records import Plan
from xa_search.rehearsal.forecast import (
    RowCounts,
    SizeForecast,
    StepTime,
    TrialGroup,
    epoch_of,
    forecast_size,
    paper_values_line,
    row_counts,
    trial_groups,
)
from xa_search.rehearsal.step_time import Dimensions, Texts, dimensions_of, measure_step, sample_texts
from xa_search.search.budgets import (
    COPIES_OF_WINNER,
    encoder_bytes,
    format_bytes,
    shared_bytes,
    trials_bytes,
    weights_bytes,
)
from xa_search.search.registry import chosen_rule
from xa_search.search.resources import slots_here

GPU_SHARE = 0.2
"""The share of its maker's figure that a GPU is assumed to reach."""
SECONDS_A_LAYER = 0.0025
"""What a layer is assumed to take at least, however fast the GPU: it waits for the next thing to do."""
COLUMNS = ("size", "trials", "steps of a trial", "a step", "a whole trial", "expected", "at most", "the step is")
TEXTS = (0, 7)


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
class SearchForecast:
    """What the real search will take. `unknown` are the model sizes whose steps nobody can time here.

    A trial takes `gpus`. There are at most `at_once` of them, none where no cluster is named; an hour costs `price`.
    `paper_values` says what of the space's values of the paper is not for the steps at hand.
    """

    plan: Plan
    sizes: tuple[SizeForecast, ...]
    unknown: tuple[str, ...]
    disk: DiskForecast
    mean_tokens: float
    gpus: float
    at_once: int | None
    price: float | None
    paper_values: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuTerms:
    """What is known of the GPUs of the real search: those of its cluster, seconds of a step by size, a price."""

    cluster: ClusterGpus | None
    steps: Mapping[str, float]
    price: float | None


def forecast_search(
    plan: Plan, corpus: Corpus, check: CorpusCheck, terms: GpuTerms, user_home: Path, scratch: Path
) -> SearchForecast:
    """Time the steps of each model size, and forecast the search that the plan describes."""
    dev_pairs = {lang: len(dev_translations(corpus, lang)) for lang in corpus.targets}
    rows, texts = row_counts(check, dev_pairs), sample_texts(corpus, plan.max_tokens, scratch)
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
    return SearchForecast(
        plan=plan,
        sizes=tuple(found),
        unknown=tuple(unknown),
        disk=forecast_disk(plan, int(at_once / gpus) if at_once and gpus else slots_here(plan.space)),
        mean_tokens=texts.mean_tokens,
        gpus=gpus,
        at_once=at_once,
        price=terms.price,
        paper_values=paper_values_line(plan, rows),
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
    sizes, models, trials = plan.space.model_sizes, plan.models_a_trial, plan.space.all_trials
    at_once = min(at_once, plan.space.concurrency)
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


def forecast_rows(outlook: SearchForecast) -> list[list[str]]:
    """Return one row a model size and source of its step's time."""
    return [
        [one.size, f"{one.trials:g}", str(one.steps), _seconds(one.step.seconds)]
        + [_hours(one.hours_a_trial), _hours(one.hours), _hours(one.most_hours), one.step.source]
        for one in outlook.sizes
    ]


def forecast_lines(outlook: SearchForecast) -> list[str]:
    """Return what the search takes in all, and what the figures rest on."""
    on_gpu = [one for one in outlook.sizes if one.step.on_gpu]
    on_cores = _on_cores(outlook)
    lines = [
        f"{size}: its dimensions are known once it is downloaded; --gpu-step {size}=0.12s says how long a step takes"
        for size in outlook.unknown
    ]
    lines += _gpu_lines(outlook, on_gpu)
    if {one.size for one in on_cores} == {*_sizes(outlook)}:
        cores = outlook.plan.space.cpus_per_trial
        lines.append(f"without a GPU: {_range(on_cores)}, a trial alone on {cores} core(s) of a machine like this")
    paper = filter(None, [outlook.paper_values])
    return [*lines, *width_lines(outlook), *_disk_lines(outlook), *_grounds(outlook), *paper]


def width_lines(outlook: SearchForecast) -> list[str]:
    """Return how long the search takes with as many trials at a time as it allows, with all, and on this machine."""
    space = outlook.plan.space
    on_gpu = [one for one in outlook.sizes if one.step.on_gpu]
    timed = on_gpu if {one.size for one in on_gpu} == {*_sizes(outlook)} else _on_cores(outlook)
    if {one.size for one in timed} != {*_sizes(outlook)}:
        return [f"hours: not forecast, nobody timed a step of {', '.join(outlook.unknown or _sizes(outlook))}"]
    where = "GPUs like these" if timed is on_gpu else f"{space.cpus_per_trial} core(s) like these a trial"
    together = space.all_trials
    width, lines = min(space.concurrency, together), []
    lines.append(
        f"hours: at least {_hours(wall_hours(timed, width))} on {where}, with {width} of {together} trials at a "
        "time (max_concurrent)"
    )
    if width < together:
        lines.append(
            f"hours: at least {_hours(wall_hours(timed, together))} with all at a time, when none is proposed by "
            f"what others scored: --set max_concurrent={together}"
        )
    if outlook.at_once is None and (slots := slots_here(space)) < width:
        lines.append(f"hours: at least {_hours(wall_hours(timed, slots))} on this machine alone: slots for {slots}")
    return lines


def wall_hours(sizes: list[SizeForecast], at_once: float) -> float:
    """Return the hours on the wall where so many trials run at a time: none ends before its longest trial."""
    return max(sum(one.hours for one in sizes) / at_once, max(one.hours_a_trial for one in sizes))


def _on_cores(outlook: SearchForecast) -> list[SizeForecast]:
    return [one for one in outlook.sizes if not one.step.on_gpu]


def _gpu_lines(outlook: SearchForecast, on_gpu: list[SizeForecast]) -> list[str]:
    if not outlook.gpus:
        return ["GPU hours: none, the space gives a trial no GPU (gpus_per_trial: 0)"]
    missing = sorted({*_sizes(outlook)} - {one.size for one in on_gpu})
    if missing:
        asked = " ".join(f"--gpu-step {size}=0.12s" for size in missing)
        return [
            f"GPU hours and cost: not forecast, no step of {', '.join(missing)} was timed on a GPU; "
            f"type this where there is one, or add {asked}, or --cluster FILE whose instances say their GPU"
        ]
    sizes = outlook.plan.space.model_sizes
    sharing = ", fewer where trials share one" if None in map(outlook.plan.space.gpus, sizes) else ""
    lines = [f"GPU hours: {_range(on_gpu, outlook.gpus)}, {outlook.gpus:g} GPU a trial{sharing}"]
    if outlook.at_once:
        at_once = min(outlook.at_once / outlook.gpus, outlook.plan.space.concurrency)
        least = wall_hours(on_gpu, at_once)
        lines.append(f"on the wall: at least {_hours(least)} on the cluster's {outlook.at_once} GPUs")
    if outlook.price is None:
        return [*lines, "cost: --gpu-price says what an hour of one GPU costs you"]
    expected, most = (
        outlook.price * outlook.gpus * sum(hours)
        for hours in ([one.hours for one in on_gpu], [one.most_hours for one in on_gpu])
    )
    return [*lines, f"cost: {expected:.3g} expected, {most:.3g} at most, at {outlook.price:g} an hour of a GPU"]


def _disk_lines(outlook: SearchForecast) -> list[str]:
    disk = outlook.disk
    running = f"weights and checkpoints of trials {format_bytes(disk.trials)} with {disk.trials_at_once} at a time"
    parts = f"encoders {format_bytes(disk.encoders)}, {running}, the winner's model {format_bytes(disk.winner)}"
    return [
        f"disk: at most {format_bytes(disk.peak)} while it runs ({parts}); {format_bytes(disk.kept)} of trials stay"
    ]


def _grounds(outlook: SearchForecast) -> list[str]:
    """Say which figures are measured and which assumed."""
    rule = chosen_rule(outlook.plan.space.scheduler)
    stopping = "no trial is stopped early"
    if rule is not None:
        stopping = f"at each comparison 1 searched trial in {rule.one_in:g} continues ('at most': all do)"
    assumptions = (
        f"{outlook.mean_tokens:.1f} tokens a text, by its letters",
        stopping,
        "trials spread evenly over sizes and other choices",
        "time in proportion to texts, a third where they are only scored",
        "what each size takes on disk",
    )
    return [
        "measured: the corpus's rows, and steps where the table says so",
        f"assumed: {'; '.join(assumptions)}",
        "not counted: starting workers, saving, testing the winner, idle machines, trials that slow each other down",
    ]


def _sizes(outlook: SearchForecast) -> list[str]:
    return [one.size for one in outlook.sizes] + list(outlook.unknown)


def _range(sizes: list[SizeForecast], gpus: float = 1.0) -> str:
    expected, most = (gpus * sum(hours) for hours in zip(*((one.hours, one.most_hours) for one in sizes), strict=True))
    return f"{_hours(expected)} expected, {_hours(most)} at most"


def _hours(hours: float) -> str:
    return f"{hours:.3g} h" if hours >= 0.1 else f"{60 * hours:.2g} min"


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"
