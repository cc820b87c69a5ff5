"""How many trials share a GPU: the arithmetic, over whatever was measured; and what the space says against it."""

import random
from pathlib import Path

import pytest
from searches import Recorder, job_maker, plan_of

from xa_search.errors import InfeasibleError
from xa_search.records import GpuShare, MemoryProbe, SearchSpace
from xa_search.search.memory_profile import MemoryProfile, most_demanding
from xa_search.search.resources import (
    MOST_A_GPU,
    RESERVE,
    Resources,
    gpu_share,
    has_slot,
    place,
    trials_a_gpu,
)
from xa_search.search.study import open_study

GIB = 2**30
SIZES = {"model_size": {"choices": ["small", "base", "large"]}}


def space_of(**changes: object) -> SearchSpace:
    return SearchSpace.model_validate({"corpus": "toy", "targets": ["th"], "params": SIZES, **changes})


def probe_of(peak: float, total: float = 24.0, overhead: float = 0.5) -> MemoryProbe:
    return MemoryProbe(peak=int(peak * GIB), overhead=int(overhead * GIB), total=int(total * GIB))


def drawn_probe(random: random.Random) -> MemoryProbe:
    total = random.choice([8, 16, 24, 40, 80, 141])
    overhead = random.uniform(0.2, 0.8)
    return probe_of(overhead + random.uniform(0.05, 1) * total, total, overhead)


@pytest.mark.parametrize("seed", range(200))
def test_as_many_trials_share_a_gpu_as_fit_with_their_reserve(seed: int) -> None:
    probes = [drawn_probe(random.Random(f"{seed} {number}")) for number in range(1 + seed % 3)]
    count = trials_a_gpu(probes)
    assert 1 <= count <= MOST_A_GPU
    if count > 1:
        assert all(count * probe.peak * (1 + RESERVE) <= probe.total for probe in probes)
    if count < MOST_A_GPU:
        assert any((count + 1) * probe.peak * (1 + RESERVE) > probe.total for probe in probes)
    gpus = place(space_of(), [Resources(cpus=64, gpus=2)], {"base": probes}).requests["base"].gpus
    assert Resources(cpus=64, gpus=1).fit(Resources(cpus=1, gpus=gpus)) == count
    assert Resources(cpus=64, gpus=2).fit(Resources(cpus=1, gpus=gpus)) == 2 * count


@pytest.mark.parametrize("seed", range(200))
def test_what_a_trial_may_take_fits_and_what_it_waits_for_comes_free(seed: int) -> None:
    """Beside others that take all they may, a trial has what it needs, its own overhead taken already."""
    probe = drawn_probe(random.Random(seed))
    count = trials_a_gpu([probe])
    share = gpu_share(1 / count, [probe])
    overhead = probe.overhead / probe.total
    if count > 1:
        assert count * (share.limit + overhead) <= 1 + 1e-9
        assert share.limit * probe.total >= probe.peak - probe.overhead
        assert share.needed <= 1 - (count - 1) * (share.limit + overhead) - overhead + 1e-9
    assert 0 <= share.needed <= share.limit <= 1


@pytest.mark.parametrize("seed", range(100))
def test_trials_of_any_sizes_are_handed_out_while_the_smallest_fits(seed: int) -> None:
    drawn = random.Random(seed)
    slots = {size: drawn.randint(1, 8) for size in "abc"}
    running: list[str] = []
    while has_slot(slots, running):
        assert sum(1 / slots[size] for size in running) < 1
        running.append(drawn.choice("abc"))
    assert sum(1 / slots[size] for size in running) > 1 - 1 / max(slots.values())
    assert len(running) <= max(slots.values())
    assert [has_slot({"a": 3}, "a" * count) for count in range(5)] == [True, True, True, False, False]


def test_the_space_overrules_what_was_measured_and_no_gpu_asks_for_none() -> None:
    probes = {size: [probe_of(peak)] for size, peak in (("small", 2.0), ("base", 5.0), ("large", 15.0))}
    nodes = [Resources(cpus=8, gpus=0), Resources(cpus=48, gpus=4)]
    measured = place(space_of(), nodes, probes)
    assert measured.gpus == {"small": 0.125, "base": 0.25, "large": 1}
    assert measured.slots(nodes) == {"small": 32, "base": 16, "large": 4}
    assert measured.shares["large"] == GpuShare(limit=1, needed=14.5 / 24)
    told = place(space_of(resources={"large": {"gpus": 4}}, gpus_per_trial=0.5), nodes, probes)
    assert told.gpus == {"small": 0.5, "base": 0.5, "large": 4}
    assert told.requests["large"] == Resources(cpus=4, gpus=4)
    assert told.requests["large"].processes == 4
    assert place(space_of(), nodes, {}).gpus == {"small": 1, "base": 1, "large": 1}
    without = place(space_of(resources={"large": {"gpus": 4}}), nodes[:1], probes)
    assert set(without.requests.values()) == {Resources(cpus=1, gpus=0)}
    assert not without.shares
    with pytest.raises(InfeasibleError, match=r"largest node has 48 CPUs and 4 GPUs; type --set gpus_per_trial=4"):
        place(space_of(gpus_per_trial=5), nodes, probes)
    with pytest.raises(InfeasibleError, match=r"size large asks for 8 CPUs and 8 GPUs.* --set resources.large.gpus=4"):
        place(space_of(resources={"large": {"gpus": 8}}), nodes, probes)


def test_the_hungriest_trials_are_measured_once_a_kind_of_gpu(tmp_path: Path) -> None:
    params = {
        "model_size": {"choices": ["tiny", "small"]},
        "batch_size": {"low": 8, "high": 64},
        "method": {"choices": ["xeroalign", "target"]},
    }
    plan = plan_of(tmp_path, params=params, published={}, resources={"small": {"gpus": 1}})
    assert [(one.batch_size, one.method) for one in most_demanding(plan, "tiny")] == [(64, "xeroalign"), (64, "target")]
    study, recorder = open_study(plan), Recorder()
    book = MemoryProfile(plan, study, job_maker(plan), recorder)
    missing = book.missing(["A10G", "L4"])
    assert [(kind, job.settings.method) for (kind, _), job in missing.items()] == [
        ("A10G", "xeroalign"), ("L4", "xeroalign"), ("A10G", "target"), ("L4", "target"),
    ]  # fmt: skip
    assert {job.settings.model_size for job in missing.values()} == {"tiny"}
    for _, key in missing:
        assert book.probes(["A10G", "L4"]) == {}
        book.enter(key, probe_of(3.0 if "xeroalign" in key else 2.0))
    resumed = MemoryProfile(plan, open_study(plan), job_maker(plan), recorder)
    assert not resumed.missing(["A10G", "L4"])
    assert sorted(probe.peak // GIB for probe in resumed.probes(["A10G"])["tiny"]) == [2, 3]
    placement = place(plan.space, [Resources(cpus=16, gpus=2)], resumed.probes(["A10G"]))
    resumed.announce(placement, ["A10G"], ["small: not measured"])
    assert recorder.placements == [
        "small: not measured",
        "a trial of size tiny takes 0.1666 GPUs, its largest step took 3.2 GB of 25.8 GB; "
        "its tensors may take 15% of a GPU's memory",
        "a trial of size small takes 1 GPUs; its tensors may take 100% of a GPU's memory",
    ]
