"""What a peer is to the steps of `peer_scheme`: the lumped laws of its points, and a `Space`.

Both peers, DOLFINx + PETSc and scikit-fem + PyAMG, are a `Space`: they hold the matrices and solve.
All arrays are a rank's own points; only `Space.total` and the solvers talk to other ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray
from peer_case import Case, Floats, Ints

from ablasim.physics import tissue

POTENTIAL_TOLERANCE, HEAT_TOLERANCE = 1e-6, 1e-3
"""Of CG, relative; Newton repeats the heat's with the residual that is left. The potential's must
be tight: warm-started at 1e-4 it hardly moves from one short step to the next."""

GROWTH = 2.5
"""Of the iterations, after which the multigrid is set up again."""


def sigma_law(case: Case, region: Ints) -> Callable[[Floats], Floats]:
    """sigma(T) [S/m] of cells (m,) of these regions."""
    names = ("sigma", "sigma_slope", "sigma_dry_ratio")
    laws = [case.material(name)[region] for name in names]
    drop = case.numbers().drop

    def sigma(temperature: Floats) -> Floats:
        found: Floats = tissue.electrical_conductivity(temperature, *laws, drop)
        return found

    return sigma


@dataclass(frozen=True)
class Points:
    """The lumped laws at a rank's points.

    Attributes:
        volume: (n,) [m3].
        wet, boiling, dry: slopes of H(T), volume-weighted (n,) [J/m3/K].
        wall, wall_heat: h A of the cooled surfaces [W/K], and times the liquid's temperature [W].
        free: where the temperature is unknown (n,).
        start: temperature at time zero (n,) [°C].
        ratio: dk/k0 [1/K], the same in all tissues.
        blood, shutdown, band, power, duration: constants of the case.
    """

    volume: Floats
    wet: Floats
    boiling: Floats
    dry: Floats
    wall: Floats
    wall_heat: Floats
    free: NDArray[np.bool_]
    start: Floats
    ratio: float
    blood: float
    shutdown: float
    band: tuple[float, float]
    power: float
    duration: float

    @classmethod
    def of(
        cls,
        case: Case,
        *,
        lumped: Callable[[Floats], Floats],
        region: Ints,
        area: Sequence[Floats],
        fixed: Floats,
    ) -> Self:
        """The laws at a rank's points.

        Args:
            case: the numbers.
            lumped: integrals of a value per cell times the points' hats (n,).
            region: of the rank's cells (m,).
            area: of each cooled surface, what belongs to each point (n,) [m2].
            fixed: temperature where a point is held, NaN elsewhere (n,) [°C].
        """
        constants = case.numbers()
        band = constants.low, constants.high
        volume = lumped(np.ones(len(region)))
        wet, dry, latent = (
            lumped(case.material(name)[region]) / volume
            for name in ("wet_capacity", "dry_capacity", "latent_heat")
        )
        free = np.isnan(fixed)
        ratios = case.material("conductivity_slope") / case.material("conductivity")
        assert np.allclose(ratios, ratios[0], rtol=1e-12)
        return cls(
            volume=volume,
            wet=wet,
            boiling=tissue.band_capacity(wet, dry, latent, band),
            dry=dry,
            wall=sum(h * a for h, a in zip(case.wall_h, area, strict=True)),
            wall_heat=sum(
                h * t * a for h, t, a in zip(case.wall_h, case.wall_temperature, area, strict=True)
            ),
            free=free,
            start=np.where(free, constants.start, fixed),
            ratio=float(ratios[0]),
            blood=constants.blood,
            shutdown=constants.shutdown,
            band=band,
            power=constants.power,
            duration=constants.duration,
        )

    def temperature(self, enthalpy: Floats) -> Floats:
        """T(H) (n,) [°C]."""
        found: Floats = tissue.temperature(enthalpy, self.wet, self.boiling, self.dry, self.band)
        return found

    def enthalpy(self, temperature: Floats) -> Floats:
        """H(T) (n,) [J/m3]."""
        found: Floats = tissue.enthalpy(temperature, self.wet, self.boiling, self.dry, self.band)
        return found

    def slope(self, temperature: Floats) -> Floats:
        """dT/dH (n,)."""
        low, high = self.band
        inside = np.where(temperature < high, self.boiling, self.dry)
        return 1.0 / np.where(temperature < low, self.wet, inside)

    def theta(self, temperature: Floats) -> Floats:
        """The Kirchhoff potential over k0 (n,) [K]."""
        linear, square = tissue.kirchhoff(temperature)
        potential: Floats = linear + self.ratio * square
        return potential

    def stretch(self, temperature: Floats) -> Floats:
        """d theta/dT = k(T)/k0 (n,)."""
        factor: Floats = tissue.conductivity(temperature, 1.0, self.ratio)
        return factor


class Space(Protocol):
    """What a peer's library does; arrays are a rank's own points."""

    points: Points
    iterations: int
    potential_iterations: int

    def begin(self) -> None:
        """Forget what an earlier run has left: guess, multigrid, counts."""

    def perfusion_left(self, hottest: Floats) -> Floats:
        """Lumped W (n,) [W/K] that is left by the highest temperatures so far (n,) [°C]."""

    def conduct(self, theta: Floats) -> Floats:
        """K theta (n,) [W]."""

    def solve_heat(self, diagonal: Floats, rhs: Floats) -> Floats:
        """x of (K + diag) x = rhs on the free points, 0 on the others (n,)."""

    def solve_potential(self, temperature: Floats) -> tuple[Floats, float]:
        """Joule heat per point for one volt (n,) [W] and the conductance [S]; remembers sigma."""

    def sigma_change(self, temperature: Floats) -> float:
        """Mean relative change of sigma since the potential was solved, weighted by its heat."""

    def total(self, values: Floats) -> float:
        """Sum over the points of all ranks."""
