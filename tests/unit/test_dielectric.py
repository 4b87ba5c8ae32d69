"""C4: the published dielectric laws of liver, and what happens without data."""

import numpy as np
import pytest

from ablasim.errors import UsageError
from ablasim.physics.dielectric import MODELS, VACUUM_PERMITTIVITY, dielectric
from ablasim.physics.microwave import heated_absorption

TEMPERATURES = np.array([20.0, 37.0, 60.0, 80.0, 90.0, 100.0, 110.0, 120.0])


@pytest.mark.parametrize(
    ("name", "permittivity", "conductivity"),
    [
        (
            "ji_brace_2011",
            [48.98, 47.92, 41.93, 27.30, 18.26, 10.93, 6.20, 3.57],
            [2.150, 2.101, 1.856, 1.288, 0.913, 0.576, 0.331, 0.179],
        ),
        (
            "lopresto",
            [44.9, 43.9, 40.5, 33.6, 28.4, 22.6, 16.7, 11.7],
            [1.794, 1.779, 1.713, 1.536, 1.370, 1.145, 0.881, 0.621],
        ),
    ],
)
def test_sigmoids_give_the_printed_tables(
    name: str, permittivity: list[float], conductivity: list[float]
) -> None:
    """Catches a swapped coefficient or a temperature in kelvin."""
    law = dielectric(name, 2.45e9)
    digits = 0.005 if name == "ji_brace_2011" else 0.05
    assert law.permittivity(TEMPERATURES) == pytest.approx(permittivity, abs=1.01 * digits)
    assert law.conductivity(TEMPERATURES) == pytest.approx(conductivity, abs=6e-4)


def test_complex_permittivity_of_a_lossy_wave() -> None:
    """eps_r - j sigma/(omega eps_0): the loss has a negative imaginary part."""
    value = dielectric("comsol_constant", 2.45e9).complex_permittivity(np.array([20.0, 120.0]))
    loss = 1.69 / (2 * np.pi * 2.45e9 * VACUUM_PERMITTIVITY)
    assert value == pytest.approx(np.full(2, 43.03 - 1j * loss))


def test_dried_tissue_is_never_below_vacuum() -> None:
    """Lopresto's permittivity has no offset: at 250 °C its sigmoid alone would be 0.02."""
    law = dielectric("lopresto", 2.45e9)
    assert law.permittivity(np.array([250.0]))[0] < 0.1
    assert law.complex_permittivity(np.array([250.0]))[0].real == 1.0


def test_a_frozen_law_ignores_the_temperature() -> None:
    frozen = dielectric("ji_brace_2011_at_37C", 2.45e9)
    live = dielectric("ji_brace_2011", 2.45e9)
    body = live.complex_permittivity(np.array([37.0]))
    assert frozen.complex_permittivity(np.array([90.0])) == pytest.approx(body)
    assert live.varies and not frozen.varies and not MODELS["comsol_constant"].varies


def test_a_frequency_without_data_is_refused_with_what_there_is() -> None:
    with pytest.raises(UsageError, match=r"got 915 MHz; .* no law at this .* antenna of 2450 MHz"):
        dielectric("ji_brace_2011", 915e6)
    with pytest.raises(UsageError, match="got 'water'; use one of ji_brace_2011"):
        dielectric("water", 2.45e9)


def test_absorption_of_heated_tissue_keeps_single_precision() -> None:
    """Catches a constant in double precision, which strict promotion refuses in a float32 run."""
    share = heated_absorption(TEMPERATURES.astype(np.float32))
    assert share.dtype == np.float32
    sigma = MODELS["ji_brace_2011"].conductivity(TEMPERATURES)
    assert share == pytest.approx(sigma / sigma[1], rel=1e-5)
