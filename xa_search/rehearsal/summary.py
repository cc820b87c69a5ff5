"""The outlook in words. In: an Outlook. Out: the rows of a table and lines; what is measured and what assumed."""

from xa_search.rehearsal.forecast import SizeForecast
from xa_search.rehearsal.outlook import Outlook
from xa_search.search.disk import readable

COLUMNS = ("size", "trials", "steps of a trial", "a step", "a whole trial", "expected", "at most", "the step is")
TEXTS = (0, 7)


def outlook_rows(outlook: Outlook) -> list[list[str]]:
    """Return one row a model size and source of its step's time."""
    return [
        [one.size, f"{one.trials:g}", str(one.steps), _seconds(one.step.seconds)]
        + [_hours(one.hours_a_trial), _hours(one.hours), _hours(one.most_hours), one.step.source]
        for one in outlook.sizes
    ]


def outlook_lines(outlook: Outlook) -> list[str]:
    """Return what the search takes in all, and what the figures rest on."""
    on_gpu = [one for one in outlook.sizes if one.step.on_gpu]
    on_cores = [one for one in outlook.sizes if not one.step.on_gpu]
    lines = [
        f"{size}: nobody knows its dimensions before it is downloaded; --gpu-step {size}=SECONDS says what a step takes"
        for size in outlook.unknown
    ]
    lines += _gpu_lines(outlook, on_gpu)
    if {one.size for one in on_cores} == {*_sizes(outlook)}:
        cores = outlook.plan.space.cpus_per_trial
        lines.append(f"without a GPU: {_range(on_cores)}, a trial alone on {cores} core(s) of a machine like this")
    return [*lines, *_disk_lines(outlook), *_grounds(outlook)]


def _gpu_lines(outlook: Outlook, on_gpu: list[SizeForecast]) -> list[str]:
    if not outlook.gpus:
        return ["GPU hours: none, the space gives a trial no GPU (gpus_per_trial: 0)"]
    missing = sorted({*_sizes(outlook)} - {one.size for one in on_gpu})
    if missing:
        asked = " ".join(f"--gpu-step {size}=SECONDS" for size in missing)
        return [
            f"GPU hours and cost: not forecast, no step of {', '.join(missing)} was timed on a GPU; "
            f"type this where there is one, or add {asked}, or --cluster FILE whose instances say their GPU"
        ]
    sizes = outlook.plan.space.model_sizes
    sharing = ", fewer where trials share one" if None in map(outlook.plan.space.gpus, sizes) else ""
    lines = [f"GPU hours: {_range(on_gpu, outlook.gpus)}, {outlook.gpus:g} GPU a trial{sharing}"]
    if outlook.at_once:
        at_once = outlook.at_once / outlook.gpus
        least = max(sum(one.hours for one in on_gpu) / at_once, max(one.hours_a_trial for one in on_gpu))
        lines.append(f"on the wall: at least {_hours(least)} on the cluster's {outlook.at_once} GPUs")
    if outlook.price is None:
        return [*lines, "cost: --gpu-price says what an hour of one GPU costs you"]
    expected, most = (
        outlook.price * outlook.gpus * sum(hours)
        for hours in ([one.hours for one in on_gpu], [one.most_hours for one in on_gpu])
    )
    return [*lines, f"cost: {expected:.3g} expected, {most:.3g} at most, at {outlook.price:g} an hour of a GPU"]


def _disk_lines(outlook: Outlook) -> list[str]:
    disk = outlook.disk
    running = f"weights and checkpoints of trials {readable(disk.trials)} with {disk.trials_at_once} at a time"
    parts = f"encoders {readable(disk.encoders)}, {running}, the winner's model {readable(disk.winner)}"
    return [f"disk: at most {readable(disk.peak)} while it runs ({parts}); {readable(disk.kept)} of trials stay"]


def _grounds(outlook: Outlook) -> list[str]:
    """Say which figures are measured and which assumed."""
    asha = outlook.plan.space.scheduler.asha
    stopping = "no trial is stopped early"
    if asha is not None:
        stopping = f"at each comparison 1 searched trial in {asha.reduction} goes on ('at most': all do)"
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


def _sizes(outlook: Outlook) -> list[str]:
    return [one.size for one in outlook.sizes] + list(outlook.unknown)


def _range(sizes: list[SizeForecast], gpus: float = 1.0) -> str:
    expected, most = (gpus * sum(hours) for hours in zip(*((one.hours, one.most_hours) for one in sizes), strict=True))
    return f"{_hours(expected)} expected, {_hours(most)} at most"


def _hours(hours: float) -> str:
    return f"{hours:.3g} h" if hours >= 0.1 else f"{60 * hours:.2g} min"


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"
