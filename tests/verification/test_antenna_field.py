"""What `ablasim verify` does not ask of the antenna's field; its cases F12 and C2 do the rest."""

from __future__ import annotations

import numpy as np
import pytest

from ablasim.frames import MM
from ablasim.physics.antenna import Antenna
from ablasim.physics.antenna_section import STANDARD, Coaxial, build_section
from ablasim.physics.dielectric import dielectric
from ablasim.verify.antenna_problems import FREQUENCY, constant_liver, heated_liver, slot_antenna


def test_corner_values_keep_the_heat() -> None:
    """Catches a projection onto the corners that loses heat or makes it negative."""
    antenna = slot_antenna(1.0)
    solved = antenna.solve(constant_liver(antenna))
    assert solved.density @ antenna.corner_volume == pytest.approx(solved.absorbed, rel=1e-12)
    assert (solved.density >= 0.0).all()


def test_drier_tissue_around_the_slot_reflects_otherwise() -> None:
    """Catches a dielectric that the solution does not see."""
    antenna = slot_antenna(1.0)
    cold, hot = (antenna.solve(eps(antenna)) for eps in (constant_liver, heated_liver))
    assert abs(hot.reflected - cold.reflected) > 1e-3


def test_monopole_of_ji_and_brace_on_two_levels() -> None:
    """C3's bare monopole at 20 °C: power and reflection agree between two grids.

    Its metal edge is a singularity in touch with tissue, so the levels agree less well than those
    of the slot antenna behind its catheter.
    """
    monopole = Coaxial(
        0.255 * MM, 0.84 * MM, 1.10 * MM, 1.10 * MM, 2.05, 1.0, 1.0, 13 * MM, 0.0, 0, 0, 13 * MM
    )
    law = dielectric("ji_brace_2011", FREQUENCY)
    found = []
    for fineness in (1.0, 2.0):
        section = build_section(monopole, 50 * MM, -50 * MM, 50 * MM, STANDARD.finer(fineness))
        antenna = Antenna(section, FREQUENCY)
        found.append(antenna.solve(law.complex_permittivity(np.full(len(antenna.tissue), 20.0))))
        assert abs(found[-1].imbalance) < 1e-6
    assert found[0].absorbed == pytest.approx(found[1].absorbed, rel=2e-3)
    assert abs(found[0].reflection - found[1].reflection) < 5e-3
