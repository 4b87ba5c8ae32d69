"""Fit the parametric heat of the catalogue's antennas to their field solution.

    python benchmarks/fit_parametric.py

prints, for every antenna with a cross-section, attenuation, axial length, radial offset and centre
of

    Q = N exp(-((z - z_s)/L)^2) exp(-2 alpha (r - a))/(r + r_s)

that come nearest to the field in liver at body temperature, by least squares of Q r over the
tissue, and what share of the heat they misplace. N keeps the absorbed power. The numbers go into
probes.yaml.
"""

from __future__ import annotations

from dataclasses import fields

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from ablasim import catalogue
from ablasim.catalogue import AntennaShape, ProbeData
from ablasim.frames import MM
from ablasim.physics.antenna import Antenna
from ablasim.physics.antenna_section import Coaxial, build_section
from ablasim.physics.dielectric import dielectric
from ablasim.physics.microwave import slot_pattern

BODY_C = 37.0
RADIUS, AHEAD, BEHIND = 40.0 * MM, 40.0 * MM, 60.0 * MM
LAWS = ("comsol_constant", "ji_brace_2011")


def fit(probe: ProbeData, law: str) -> tuple[NDArray[np.float64], float, float]:
    """Attenuation [1/m]; axial length, radial offset, centre [m]; share misplaced and absorbed."""
    data, shape = probe.coaxial, probe.shape
    assert data is not None and isinstance(shape, AntennaShape) and probe.frequency is not None
    coaxial = Coaxial(**{item.name: getattr(data, item.name) for item in fields(Coaxial)})
    antenna = Antenna(build_section(coaxial, RADIUS, -AHEAD, BEHIND), probe.frequency)
    eps = dielectric(law, probe.frequency).complex_permittivity(
        np.full(len(antenna.tissue), BODY_C)
    )
    found = antenna.solve(eps)
    r, z = antenna.corners.T
    volume = antenna.corner_volume
    share = found.density * volume / found.absorbed

    def pattern(x: NDArray[np.float64]) -> NDArray[np.float64]:
        heat = volume * slot_pattern(
            z,
            np.maximum(r, probe.radiating_radius),
            centre=x[3],
            width=x[1],
            attenuation=x[0],
            radius=probe.radiating_radius,
            softening=x[2],
        )
        normed: NDArray[np.float64] = heat / heat.sum()
        return normed

    def misfit(x: NDArray[np.float64]) -> NDArray[np.float64]:
        # difference of density times radius: the thin hot layer at the antenna would decide alone
        difference: NDArray[np.float64] = (pattern(x) - share) / np.sqrt(volume) * r
        return difference

    best = least_squares(
        misfit,
        x0=(50.0, 9.0 * MM, 0.5 * MM, shape.slot_from_tip),
        x_scale=(50.0, 9.0 * MM, 1.0 * MM, 9.0 * MM),
        bounds=(
            (0.0, 1.0 * MM, -0.5 * probe.radiating_radius, -20.0 * MM),
            (1000.0, 100.0 * MM, 100.0 * MM, 60.0 * MM),
        ),
    )
    return best.x, 0.5 * float(np.abs(pattern(best.x) - share).sum()), found.absorbed


def main() -> None:
    """Print the fits."""
    for name in catalogue.probe_names():
        probe = catalogue.probe(name)
        if probe.coaxial is None:
            continue
        for law in LAWS:
            (attenuation, length, offset, centre), misplaced, absorbed = fit(probe, law)
            print(
                f"{name} in {law}: attenuation {attenuation:.2f} Np/m, axial length "
                f"{length / MM:.3f} mm, radial offset {offset / MM:.3f} mm, centre "
                f"{centre / MM:.3f} mm; "
                f"misplaces {100 * misplaced:.1f} % of the heat; absorbed share {absorbed:.4f}"
            )


if __name__ == "__main__":
    main()
