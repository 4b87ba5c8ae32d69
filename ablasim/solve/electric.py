"""The potential of P1 tetrahedra in JAX: sigma(T) and the operator -div(sigma grad)."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

from ablasim.physics import tissue
from ablasim.solve.kernels import Slices, and_zero, difference_product, product, register, take


@register
@dataclass(frozen=True)
class Electric:
    """The potential problem for one volt, in solver order.

    Attributes:
        free: 1 where the potential is unknown (n,); active: 1 on each conductor (K, n).
        far_field: conductance to the distant pad (n,) [S].
        index: neighbours; slot: position of each entry's edge weight in `edge` (one past the end
            where padded).
        edge: per slice, cells around each edge; stiffness: their weights [m].
        cells: corners (m, 4); sigma0, slope, dry_ratio: per cell (m,).
        drop: width of the fall of sigma above 100 °C [K].
    """

    free: Array
    active: Array
    far_field: Array
    index: Slices
    slot: Slices
    edge: Slices
    stiffness: Slices
    cells: Array
    sigma0: Array
    slope: Array
    dry_ratio: Array
    drop: Array

    def sigma(self, temperature: Array) -> Array:
        """sigma(T) at the mean temperature of each cell's corners (m,) [S/m]."""
        first = take(temperature, self.cells[:, 0])
        mean = sum((take(temperature, self.cells[:, i]) for i in range(1, 4)), first)
        return tissue.electrical_conductivity(
            0.25 * mean, self.sigma0, self.slope, self.dry_ratio, self.drop, jnp
        )

    def weights(self, sigma: Array) -> Slices:
        """Entries of the operator -div(sigma grad) for conductivities per cell (m,) [S]."""
        edge = and_zero(product(self.edge, self.stiffness, sigma))
        return tuple(take(edge, slot) for slot in self.slot)

    def residual(self, weights: Slices, potential: Array) -> Array:
        """Net current out of each free point (n,) [A]; zero at the solution."""
        flow = difference_product(self.index, weights, potential) + self.far_field * potential
        return self.free * flow

    def row_sums(self, weights: Slices) -> Array:
        """Diagonal of the operator at every point (n,) [S]."""
        return jnp.concatenate([w.sum(axis=0) for w in weights]) + self.far_field

    def diagonal(self, weights: Slices) -> Array:
        """Diagonal of the operator on free points, 1 elsewhere (n,) [S]."""
        return jnp.where(self.free > 0, self.row_sums(weights), 1.0)


@jax.jit
def sigma_of(electric: Electric, temperature: Array) -> Array:
    return electric.sigma(temperature)
