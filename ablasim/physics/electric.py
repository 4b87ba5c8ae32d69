"""The radiofrequency potential problem: div(sigma(T) grad phi) = 0, Joule heat sigma |grad phi|2.

At 500 kHz the wavelength is far longer than the body, so the field is quasi-static. phi is the
root-mean-square potential: 1 on the active surfaces, no current through insulated shafts and vessel
walls. The outer surface is either grounded or carries the far-field condition

    sigma dphi/dn = -sigma phi (n . r) / r2,   r measured from the middle of the active surface,

which is exact for the monopole field phi ~ 1/r of an electrode whose pad is far away: the impedance
then does not depend on the size of the block. Between electrodes without a pad no net current
leaves, so the far field is that of a dipole, phi ~ cos(angle)/r2, and the flux is twice as large.
(A grounded surface would let current leave to a pad that is not there; an insulated one mirrors the
dipole, which raises the impedance.)

Several conductors are superposed. With phi_k the potential for 1 V on conductor k and 0 V on the
others, the currents that leave them are I = G V with G symmetric. How they are wired says which of
them have a common voltage and how the generator's current is divided; see `Circuit`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DRYING_SECONDS = 0.1
"""Time constant with which the heat of a dried point follows its conductivity [s]. Sigma falls by
orders of magnitude as the last water leaves. Followed at once, the heat of the few dried points at
an electrode's edge swings between all and nothing, and steps of 6 to 25 ms are spent on nothing
else; a share of the way per step instead makes the drying as slow as the steps are long, and the
roll-off of a generator hangs on them. A delay of a tenth of a second is far below what a generator
or a thermometer resolves, and every engine converges to it."""


def drying_share(elapsed: Any, xp: Any = np) -> Any:
    """Share of the way that the heat of a dried point goes within some time [s] [1]."""
    return -xp.expm1(-elapsed / DRYING_SECONDS)


def drying_moment(elapsed: Any, xp: Any = np) -> Any:
    """Moment of a time [s], as a share of it [1], whose heat a dried point goes towards.

    Where the heat that it follows changes evenly, x' = (p(t) - x)/tau leads in h exactly to
    x + (1 - exp(-h/tau)) (p(theta h) - x) with theta = 1/(1 - exp(-h/tau)) - tau/h: the middle of
    short times, the end of long ones.
    """
    ratio = elapsed / DRYING_SECONDS
    short = ratio < 1e-3  # differences of large numbers; the next term is ratio^3/720
    safe = xp.where(short, 1.0, ratio)
    return xp.where(short, 0.5 + ratio / 12.0, 1.0 / -xp.expm1(-safe) - 1.0 / safe)


def drying_follows(heat: Any, now: Any, change: Any, elapsed: Any, xp: Any = np) -> Any:
    """Heat after some time that follows with the delay of a dried point.

    Args:
        heat: that follows, at the start (n,) [W].
        now: what it follows, at the start (n,) [W].
        change: of that during the time, in which it changes evenly (n,) [W].
        elapsed: the time [s].
        xp: numpy or jax.numpy.
    """
    towards = now + drying_moment(elapsed, xp) * change
    return heat + drying_share(elapsed, xp) * (towards - heat)


def not_below_zero(now: Any, change: Any, xp: Any = np) -> Any:
    """An extrapolated change of heat (n,) [W] that leads no heat below zero; one that is below it
    now, as that of some corners of quadratic functions, may stay there."""
    return xp.maximum(change, xp.minimum(now, 0.0) - now)


def far_field_conductance(
    points: Floats, faces: NDArray[np.int32], centre: Floats, sigma: Floats, order: int = 1
) -> Floats:
    """Conductance [S] from each point of the outer surface to infinity, lumped.

    Args:
        points: mesh points (n, 3) [m].
        faces: outer triangles (f, 3), normals outward.
        centre: middle of the active surface (3,) [m].
        sigma: conductivity next to each face (f,) [S/m].
        order: power of 1/r with which the potential falls: 1 with a pad, 2 between electrodes.

    Returns:
        One value per mesh point (n,) [S]; zero inside.
    """
    corners = points[faces]
    normal = 0.5 * np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    offset = corners.mean(axis=1) - centre
    rate = (
        order
        * sigma
        * np.einsum("fi,fi->f", normal, offset)
        / np.einsum("fi,fi->f", offset, offset)
    )
    share = np.repeat(np.maximum(rate, 0.0) / 3.0, 3)
    return np.bincount(faces.ravel(), share, minlength=len(points))


@dataclass(frozen=True)
class Circuit:
    """How the conductors are wired to the generator.

    Conductors at the same node have the same voltage. A node through which no current of the
    generator flows floats: its voltage is such that no net current leaves it. Where the nodes'
    currents sum to one, the current returns through the pad or the outer surface; where they sum to
    zero, it returns through the other electrodes.

    Attributes:
        node: of each conductor (K,), numbered from 0.
        current: into each node for one ampere of the generator.
    """

    node: tuple[int, ...] = (0,)
    current: tuple[float, ...] = (1.0,)

    @property
    def isolated(self) -> bool:
        """Whether the current returns through electrodes alone."""
        return abs(sum(self.current)) < 1e-9

    def arrays(self) -> tuple[Floats, Floats]:
        """Which conductor is at which node (K, K) and the nodes' currents (K,), padded by zeros."""
        count = len(self.node)
        join, current = np.zeros((count, count)), np.zeros(count)
        join[np.arange(count), list(self.node)] = 1.0
        current[: len(self.current)] = self.current
        return join, current


def connect(matrix: Any, join: Any, current: Any, xp: Any = np) -> tuple[Any, Any]:
    """Voltages of the conductors for one volt of the generator, and what conductance it sees.

    For one ampere the nodes have the voltages y of (join^T G join) y = current. The generator's
    voltage U = current . y is that at which its power is U times 1 A, also where its current is
    divided between nodes of unequal voltage.

    Args:
        matrix: G, currents out of the conductors for their voltages (K, K) [S].
        join: which conductor is at which node (K, K).
        current: into each node for one ampere (K,).
        xp: array module.

    Returns:
        Voltages (K,) and conductance [S].
    """
    unused = xp.where(join.sum(axis=0) > 0.0, 0.0, 1.0)
    # without pad and outer conductance only differences of voltage are determined: hence the pinv
    nodes = xp.linalg.pinv(join.T @ matrix @ join + xp.diag(unused)) @ current
    effective = current @ nodes
    return join @ nodes / effective, 1.0 / effective
