"""Trait values and the shells they stand for: plausible everywhere, and every trait is seen."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.color import lab2rgb, lch2lab

from kinlens.errors import UsageError
from kinlens.simulate.photograph import Scene, photograph
from kinlens.simulate.shells import TRAITS, raup_parameters, shell_of

TYPICAL = np.zeros(len(TRAITS))


def with_trait(name: str, value: float) -> np.ndarray:
    traits = TYPICAL.copy()
    traits[list(TRAITS).index(name)] = value
    return traits


def test_no_traits_however_extreme_leave_the_plausible(rng: np.random.Generator) -> None:
    for scale in (1.0, 3.0, 50.0):
        for traits in scale * rng.standard_normal((200, len(TRAITS))):
            raup = raup_parameters(traits)
            assert 1.1 < raup["W"] < 20
            # Whorls of a flat coil touch.
            assert 0 <= raup["D"] < 1 / raup["W"]
            assert 0.4 < raup["S"] < 2.5
            offset = (1 + raup["D"]) / (1 - raup["D"])
            apart = (1 - 1 / raup["W"]) * offset * math.hypot(1, raup["T"] / raup["S"])
            # So do those of a tower, wherever there is a second whorl to speak of.
            assert apart <= 0.92 * (1 + 1 / raup["W"]) + 1e-9 or raup["T"] <= 0.45 * raup["S"]
            shell = shell_of(traits)
            assert np.all(np.isfinite(shell.form))
            assert 0.2 < shell.form.turns / (2 * math.pi) < 12
            for colour in (shell.pattern.ground, shell.pattern.mark, shell.pattern.inside):
                assert all(0 <= channel <= 1 for channel in colour)


@pytest.mark.parametrize(
    ("trait", "number", "sign"),
    [("expansion", "W", 1), ("umbilicus", "D", 1), ("spire", "T", 1), ("aperture", "S", 1)],
)
def test_coiling_traits_move_their_number_smoothly(trait: str, number: str, sign: int) -> None:
    values = np.array(
        [raup_parameters(with_trait(trait, z))[number] for z in np.linspace(-3, 3, 61)]
    )
    steps = sign * np.diff(values)
    assert np.all(steps > 0)
    # The four numbers span their range gradually: no step is more than a sixth of it.
    assert steps.max() < np.ptp(values) / 6


# Some traits show only beside another: counts need something to count.
COMPANIONS = {
    "relief_scale": {"ribs": 1.5},
    "pattern_scale": {"flames": 1.5},
    "contrast": {"bands": 1.5},
    "slant": {"ribs": 1.5},
}


@pytest.mark.parametrize("trait", TRAITS)
def test_every_trait_can_be_seen(trait: str) -> None:
    scene = Scene(background="dark", noise=0.0)
    base = TYPICAL.copy()
    for name, value in COMPANIONS.get(trait, {}).items():
        base[list(TRAITS).index(name)] = value
    pictures = []
    for value in (-1.5, 1.5):
        traits = base.copy()
        traits[list(TRAITS).index(trait)] += value
        pictures.append(photograph(shell_of(traits), scene, 48).astype(float))
    difference = np.abs(pictures[0] - pictures[1])
    if trait in {"size", "gloss"}:
        # Size changes the scale bar alone, and gloss little but the highlights.
        assert difference.max() > 25
        assert difference.mean() > 0.1
    else:
        assert difference.mean() > 1.0


def test_age_shrinks_the_shell_and_takes_whorls_away() -> None:
    grown, young = shell_of(TYPICAL), shell_of(TYPICAL, age=0.5)
    assert young.size == pytest.approx(grown.size / 2)
    assert young.form.turns == pytest.approx(grown.form.turns + math.log(0.5) / grown.form.growth)
    assert young.form.flare < grown.form.flare
    with pytest.raises(UsageError, match="age"):
        shell_of(TYPICAL, age=0.0)


def test_colours_are_those_of_cielab() -> None:
    # Ground colour of a typical shell: L* 65, C* 27, h 70 degrees.
    red_green_blue = lab2rgb(lch2lab(np.array([65.0, 27.0, math.radians(70)])))
    linear = np.where(
        red_green_blue <= 0.04045, red_green_blue / 12.92, ((red_green_blue + 0.055) / 1.055) ** 2.4
    )
    np.testing.assert_allclose(shell_of(TYPICAL).pattern.ground, linear, atol=1e-3)


def test_a_missing_trait_is_an_error() -> None:
    with pytest.raises(UsageError, match="21 trait values"):
        shell_of(np.zeros(20))
