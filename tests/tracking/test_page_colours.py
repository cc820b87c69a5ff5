"""The page's colours can be told apart by readers who see fewer of them (Machado, Oliveira and Fernandes 2009)."""

import re
from importlib.resources import files
from itertools import combinations

import numpy as np
import pytest

SIGHT = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = TO_XYZ.sum(axis=1)
LEAST_DIFFERENCE = 10
"""In CIELAB, where 2.3 is just noticeable."""


def script() -> str:
    return files("xa_search.tracking.page").joinpath("charts.js").read_text(encoding="utf-8")


def seen(colour: str, sight: str) -> np.ndarray:
    """A colour such as #0072b2 as such a reader sees it, in CIELAB."""
    values = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    x, y, z = np.cbrt(TO_XYZ @ np.clip(np.array(SIGHT[sight]) @ linear, 0, 1) / WHITE)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("sight", SIGHT)
def test_the_colours_of_states_differ(sight: str) -> None:
    (line,) = re.findall(r"const COLOURS = \{(.+?)\}", script())
    colours = re.findall(r"#[0-9a-f]{6}", line)
    assert len(colours) == 5
    for one, other in combinations(colours, 2):
        assert np.linalg.norm(seen(one, sight) - seen(other, sight)) > LEAST_DIFFERENCE, (one, other)


@pytest.mark.parametrize("sight", SIGHT)
def test_a_higher_score_is_a_brighter_colour(sight: str) -> None:
    (line,) = re.findall(r"const VIRIDIS = \[(.+?)\]", script())
    lightness = [seen(colour, sight)[0] for colour in re.findall(r"#[0-9a-f]{6}", line)]
    assert (np.diff(lightness) > 0).all()
