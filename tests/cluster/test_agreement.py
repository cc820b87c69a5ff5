"""The check of cluster files agrees with `ray up`: what that refuses has a fault, what is shipped is taken by both."""

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as some

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from cluster_check import Broken, broken_clusters, refused_by_ray

from xa_search.cluster.check import check_text

CLUSTER = Path(__file__).resolve().parents[2] / "cluster"
LAUNCHED = {name: (CLUSTER / name).read_text(encoding="utf-8") for name in ("gpu.yaml", "onprem.yaml")}
BROKEN = [broken for broken in broken_clusters() if broken.file in LAUNCHED]
STRANGE = [None, True, -1, 0.5, "", "x", [], [[]], [None], {}, {"a": None}, {"GPU": 0.5}]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, part in inner for found in places(part, (*path, key)))]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.defect)
def test_a_broken_file_that_ray_refuses_has_a_fault(broken: Broken) -> None:
    assert not refused_by_ray(broken.text) or check_text(broken.text).faults


@pytest.mark.parametrize("name", LAUNCHED)
def test_a_good_file_is_taken_by_both(name: str) -> None:
    assert not refused_by_ray(LAUNCHED[name])
    assert check_text(LAUNCHED[name]).faults == ()


@settings(max_examples=40)
@given(data=some.data(), name=some.sampled_from(sorted(LAUNCHED)))
def test_a_file_with_any_value_anywhere_that_ray_refuses_has_a_fault(data: some.DataObject, name: str) -> None:
    document = yaml.safe_load(LAUNCHED[name])
    *before, last = data.draw(some.sampled_from(places(document)[1:]))
    place = document
    for step in before:
        place = place[step]
    if isinstance(place, dict) and data.draw(some.booleans()):
        del place[last]
    else:
        place[last] = data.draw(some.sampled_from(STRANGE))
    text = yaml.safe_dump(document)
    assert not refused_by_ray(text) or check_text(text).faults, text
