"""The forecast's arithmetic against figures worked out by hand."""

from dataclasses import replace
from pathlib import Path

import pytest

from xa_search.cluster.cluster_file import GpuKind, cluster_gpus
from xa_search.corpora.checks import CorpusCheck, TranslationCheck
from xa_search.errors import UsageError
from xa_search.records import Asha, Plan
from xa_search.rehearsal.forecast import RowCounts, StepTime, epoch_of, expected_epochs, forecast_size
from xa_search.rehearsal.search_forecast import SearchForecast, estimated_step, forecast_disk, forecast_lines
from xa_search.rehearsal.setup import TRIALS, rehearsal_changes
from xa_search.rehearsal.step_time import Dimensions, dimensions_of
from xa_search.search.early_stopping import ASHA, ChosenRule
from xa_search.search.sampler import recipe
from xa_search.workflows.plan import make_plan

CLUSTER = Path(__file__).resolve().parents[2] / "cluster"
SPACE = """
corpus: jsonl
targets: [de, fr]
params:
  learning_rate: {low: 1.0e-6, high: 1.0e-4, log: true}
  model_size: {choices: [base, large]}
fixed: {epochs: 6, batch_size: 30, dev_limit: 100}
baseline: {model_size: base}
published: {model_size: large}
trials: 12
scheduler: {asha: {grace_epochs: 1, reduction: 3}}
"""
ROWS = RowCounts(
    source="en", train={"en": 1000, "de": 200}, dev={"en": 300, "de": 50}, pairs={"de": 1000, "fr": 500}, dev_pairs={}
)


def plan_of(home: Path, *changes: str) -> Plan:
    (home / "ours.yaml").write_text(SPACE, encoding="utf-8")
    return make_plan(str(home / "ours.yaml"), changes, home=home)


def step_of(seconds: float) -> StepTime:
    return StepTime(utterances=60, seconds=seconds, on_gpu=True, source="timed by hand")


def asha(grace: int, reduction: int) -> ChosenRule:
    return ChosenRule(rule=ASHA, settings=Asha(grace_epochs=grace, reduction=reduction))


def test_a_third_goes_on_at_each_comparison() -> None:
    """Of 6 epochs, compared after 1 and 3: 1 + 2 x 1/3 + 3 x 1/9."""
    assert expected_epochs(asha(1, 3), 6, 50) == pytest.approx(2.0)
    assert expected_epochs(asha(2, 3), 10, 50) == pytest.approx(2 + 4 / 3 + 4 / 9)
    assert expected_epochs(None, 7, 50) == 7


def test_hours_of_each_size(tmp_path: Path) -> None:
    """900 rows make 30 steps of 60 texts (30 without alignment), then 100 + 50 translations and 100 dev rows."""
    plan = plan_of(tmp_path)
    base, large = (forecast_size(plan, ROWS, size, step_of(s)) for size, s in (("base", 0.6), ("large", 1.2)))
    aligned, unaligned = (1800 + 175 / 3) * 0.01, (900 + 175 / 3) * 0.01
    assert (base.trials, large.trials, base.steps) == (6, 6, 180)
    assert base.hours_a_trial * 3600 == pytest.approx(6 * aligned)
    assert base.hours * 3600 == pytest.approx(6 * unaligned + 5 * 2 * aligned)
    assert base.most_hours * 3600 == pytest.approx(6 * unaligned + 5 * 6 * aligned)
    assert large.hours * 3600 == pytest.approx((6 + 5 * 2) * 2 * aligned)
    assert large.step == step_of(1.2)


@pytest.mark.parametrize(
    ("changes", "steps", "texts", "evaluated"),
    [
        (("fixed.pairing=independent",), 30, 90, 175),
        (("fixed.models=each",), 60, 60, 275),
        (("fixed.train_limit=500",), 15, 60, 137),
        (("method=target_english",), 36, 30, 175),
        (("method=target",), 6, 30, 175),
        (("method=translate_train", "selection=target_dev"), 30, 60, 225),
    ],
)
def test_what_a_pass_takes(tmp_path: Path, changes: tuple[str, ...], steps: int, texts: int, evaluated: int) -> None:
    plan = plan_of(tmp_path, *changes)
    epoch = epoch_of(plan, plan.trial_settings(recipe(plan.space, "published")), ROWS)
    assert (epoch.steps, epoch.utterances_a_step, epoch.evaluated) == (steps, texts, evaluated)


def test_a_dev_split_with_translations_is_evaluated_in_place_of_training_rows(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    settings = plan.trial_settings(recipe(plan.space, "published"))
    usual = epoch_of(plan, settings, ROWS)
    epoch = epoch_of(plan, settings, replace(ROWS, dev_pairs={"de": 90, "fr": 80}))
    assert (usual.steps, epoch.steps) == (30, 34)
    assert epoch.evaluated - usual.evaluated == 45 + 40 - 75
    assert epoch_of(plan, settings, replace(ROWS, dev_pairs={"de": 90, "fr": 79})) == usual


def test_a_gpu_nobody_timed_is_estimated_and_marked_so() -> None:
    """6 x 1000 tokens x 2 layers x (4 x 100^2 + 2 x 100 x 400) operations, at a fifth of 0.0001 x 10^12 a second."""
    dimensions = Dimensions(hidden=100, layers=2, heads=1, inner=400)
    slow, fast = (estimated_step(dimensions, 64, 1000.0, GpuKind(name="G", teraflops=t)) for t in (1e-4, 1e6))
    assert slow.seconds == pytest.approx(6 * 1000 * 2 * 120_000 / 2e7)
    assert fast.seconds == pytest.approx(0.005)
    assert slow.source.startswith("estimated for G: 20% of 0.0001 TFLOP/s")


def test_the_gpus_of_the_cluster_files() -> None:
    found = {path.name: cluster_gpus(path) for path in CLUSTER.glob("*.yaml")}
    assert {name: one.at_once for name, one in found.items()} == {"gpu.yaml": 8, "kuberay.yaml": 12, "onprem.yaml": 2}
    assert {name for name, one in found.items() if one.kind is not None} == {"gpu.yaml"}


def test_cost_and_wall_time_in_words(tmp_path: Path) -> None:
    """36 GPU hours at 2 each; 12 h on 3 GPUs. Where a size has no time on a GPU, there is no cost."""
    plan = plan_of(tmp_path)
    sizes = [forecast_size(plan, ROWS, size, step_of(1.0)) for size in ("base", "large")]
    hours = 36 / sum(one.hours for one in sizes)
    sizes = [forecast_size(plan, ROWS, size, step_of(hours)) for size in ("base", "large")]
    outlook = SearchForecast(
        plan=plan,
        sizes=tuple(sizes),
        unknown=(),
        disk=forecast_disk(plan, 2),
        mean_tokens=12.0,
        gpus=1.0,
        at_once=3,
        price=2.0,
    )
    lines = forecast_lines(outlook)
    assert lines[0].startswith("GPU hours: 36 h expected, ")
    assert lines[1] == "on the wall: at least 12 h on the cluster's 3 GPUs"
    assert lines[2].startswith("cost: 72 expected, ")
    without = forecast_lines(replace(outlook, sizes=tuple(sizes[:1]), unknown=("large",)))
    assert any(line.startswith("GPU hours and cost: not forecast, no step of large ") for line in without)


def test_dimensions_are_read_where_a_model_is_at_hand(tmp_path: Path) -> None:
    from xa_search.model.materialise import write_tiny

    write_tiny(tmp_path)
    assert dimensions_of(str(tmp_path), tmp_path) == dimensions_of("tiny", tmp_path)
    assert dimensions_of("someone/never-downloaded", tmp_path) is None


CHECK = CorpusCheck(
    name="any",
    source="en",
    targets=("de",),
    splits=(),
    absent=(),
    translations=(TranslationCheck(lang="de", translations=30, missing=70, where=""),),
)
SEARCHED = "params={epochs: {low: 3, high: 9}, batch_size: {choices: [8, 32]}, method: {choices: [xeroalign, target]}}"


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        *((name, ()) for name in ("mtop-mini", "mtod-small", "massive", "pawsx", "xsid")),
        ("mtop", ("recipe=published",)),
        ("mtop", (SEARCHED, "baseline={epochs: 9}", "published={}", "fixed={learning_rate: 1.0e-5, precision: fp32}")),
    ],
)
def test_every_space_has_a_rehearsal(tmp_path: Path, name: str, changes: tuple[str, ...]) -> None:
    """Its trials are few, short and tiny; what else the space says stays. More rows where few have translations."""
    plan = make_plan(name, changes, home=tmp_path)
    small = make_plan(name, (*changes, *rehearsal_changes(plan.space, CHECK, 4)), home=tmp_path)
    settings = [small.trial_settings(recipe(small.space, role)) for role in ("baseline", "published")]
    assert {(one.model_size, one.epochs, one.train_limit, one.learning_rate) for one in settings} == {
        ("tiny", 4, 1000, 1e-2)
    }
    assert (small.space.trials, small.space.cpus_per_trial) == (TRIALS, 2)
    assert small.space.methods == plan.space.methods
    assert small.space.targets == plan.space.targets
    kept = plan.space.params.keys() - {"model_size", "epochs", "batch_size", "learning_rate"}
    assert {name: small.space.params[name] for name in kept} == {name: plan.space.params[name] for name in kept}


def test_a_step_time_is_a_size_and_a_duration() -> None:
    from xa_search.cli.options import parse_step_duration

    assert parse_step_duration("org/model=0.25s") == ("org/model", 0.25)
    assert parse_step_duration("base=0.25") == ("base", 0.25)
    for wrong in ("base", "base=", "base=fast", "=1", "base=0"):
        with pytest.raises(UsageError, match="SIZE=DURATION"):
            parse_step_duration(wrong)
