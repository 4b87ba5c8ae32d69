"""The heat of P1 tetrahedra in JAX: conduction, perfusion, walls and the blood along them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from ablasim.mesh_cut import segment_fraction_above
from ablasim.physics import tissue
from ablasim.solve.kernels import (
    Slices,
    Weights,
    and_zero,
    apply,
    difference_product,
    over_edges,
    product,
    register,
    take,
    times,
    written,
)
from ablasim.solve.mixed import Mixed, full


@register
@dataclass(frozen=True)
class Streams:
    """Blood that warms along the walls, as matrices on the list of wall points (b,).

    Attributes:
        gather, gather_weight: wall points of each station and their share of its mean (k, s).
        response: mean excess of each station's blood for that of the stations' walls (s, s).
        outlet: the same for the ends of the branches (c, s).
        inlet: temperature of the blood that enters each station's vessel (s,) [°C].
        station, weight: the two stations of each wall point, weight 0 without a stream (2, b).
        slot: positions in the list of wall points of each mesh point, b where there is none (m, n).
        branch: of each station (s,).
        stopped_with: 1 where the first branch stops when the second does (c, c).
        coagulates: 1 for branches that lose their flow to heat (c,).
        flowing: 1 for the branches that have their flow (c,).
    """

    gather: Array
    gather_weight: Array
    response: Array
    outlet: Array
    inlet: Array
    station: Array
    weight: Array
    slot: Array
    branch: Array
    stopped_with: Array
    coagulates: Array
    flowing: Array

    def wall(self, excess: Array) -> Array:
        """Mean excess of each station's wall (s,), from that of the wall points (b,)."""
        return (self.gather_weight * take(excess, self.gather)).sum(axis=0)

    def spared(self, excess: Array) -> Array:
        """What a wall point keeps because its blood is not at the inlet temperature (b,) [K].

        Args:
            excess: of the wall points over the inlet temperature, or its time integral (b,).
        """
        flowing = take(self.flowing, self.branch)
        blood = apply(self.response, flowing * self.wall(excess))
        # blood at rest takes the temperature of its wall: the wall is adiabatic
        share = take(flowing, self.station)
        felt = share * take(blood, self.station) + (1.0 - share) * excess[None]
        one, other = self.weight * felt  # XLA takes five times as long for a sum over the two
        return one + other

    def ends(self, excess: Array) -> Array:
        """Excess of the blood at the end of each branch (c,), zero where it has stopped."""
        flowing = take(self.flowing, self.branch)
        return self.flowing * apply(self.outlet, flowing * self.wall(excess))


MIXED = ("wet", "boiling", "dry", "perfusion", "wall", "wall_heat")
"""Values per point that may be `Mixed`."""

NEAR = 5.0
"""Rise of temperature [K] that `fastest_rate` allows for within a step."""


@register
@dataclass(frozen=True)
class Heat:
    """The heat problem on the points, in solver order.

    Attributes:
        volume: of each point (n,) [m3].
        wet, boiling, dry: slopes of the point's law H(T), volume-weighted (n,) [J/m3/K].
        perfusion: lumped W (n,) [W/K].
        supply: the same by edges, a twelfth of W V of the cells around each, where something ends
            it from a border on, or None.
        wall: lumped h A of all walls (n,) [W/K]; wall_heat: the same times the liquid's T [W].
        free: 1 where a point's temperature is unknown, 0 where it is held (n,).
        held: those points (h,); fixed: their temperature, 0 elsewhere (n,) [°C].
        factor: of all weights of conduction [-]: 1, or of each problem of a batch.
        diagonal: sum of each point's k0 weights (n,) [W/K].
        index: neighbours; weight: their k0 weights [W/K]; slope: their dk weights [W/K2] or None
            where dk/k0 is the same everywhere and `ratio` [1/K] says it all.
        wall_point, wall_area, wall_id: points of every wall (b,), their h A [W/K], their wall.
        wall_temperature: of each wall's liquid (w,) [°C], where it enters.
        blood: how it warms along the walls, or None.
        constants: blood temperature, shut-down temperature, band low, band high (4,) [°C].
    """

    volume: Array
    wet: Array | Mixed
    boiling: Array | Mixed
    dry: Array | Mixed
    perfusion: Array | Mixed
    supply: Weights | None
    wall: Array | Mixed
    wall_heat: Array | Mixed
    free: Array
    held: Array
    fixed: Array
    factor: Array
    diagonal: Array
    index: Slices
    weight: Weights
    slope: Weights | None
    ratio: Array
    wall_point: Array
    wall_area: Array
    wall_id: Array
    wall_temperature: Array
    blood: Streams | None
    constants: Array

    def temperature(self, enthalpy: Array) -> Array:
        """T(H) of each point (n,) [°C]."""
        band = (self.constants[2], self.constants[3])
        laws = (full(self.wet), full(self.boiling), full(self.dry))
        return tissue.temperature(enthalpy, *laws, band, jnp)

    def enthalpy(self, temperature: Array) -> Array:
        """H(T) of each point (n,) [J/m3]."""
        band = (self.constants[2], self.constants[3])
        laws = (full(self.wet), full(self.boiling), full(self.dry))
        return tissue.enthalpy(temperature, *laws, band, jnp)

    def conduction(self, temperature: Array) -> Array:
        """Heat that conduction carries away from each point (n,) [W]."""
        linear, square = (self.factor * each for each in tissue.kirchhoff(temperature, jnp))
        if self.slope is None:
            return difference_product(self.index, self.weight, linear + self.ratio * square)
        return difference_product(self.index, self.weight, linear) + difference_product(
            self.index, self.slope, square
        )

    def perfusion_left(self, excess: Array) -> Array:
        """Lumped W (n,) [W/K] that is left where something (n,) ends it from zero on."""
        if self.supply is None:
            return full(self.perfusion)
        return over_edges(self.index, self.supply, written(excess), _half_below)

    def inside(self, turn: Array) -> Heat:
        """The same inside a loop over `turn`, where XLA would otherwise write down what these few
        numbers make of the patterns, to read it in every turn."""
        small = [self.constants, self.factor, self.ratio]
        mixed = {name: value for name in MIXED if isinstance(value := getattr(self, name), Mixed)}
        tied = lax.optimization_barrier((small, [m.strengths for m in mixed.values()], turn))
        constants, factor, ratio = tied[0]
        changes: dict[str, Any] = {
            name: replace(value, strengths=strengths)
            for (name, value), strengths in zip(mixed.items(), tied[1], strict=True)
        }
        changes |= {"constants": constants, "factor": factor, "ratio": ratio}
        return replace(self, **changes)

    def rate(self, enthalpy: Array, source: Array) -> tuple[Array, tuple[Array, Array]]:
        """dH/dt (n,) [W/m3], and the flows that the heat account integrates.

        At held points, whatever enthalpy is given for them, it is the heat that reaches them. The
        flows are the heat taken by perfusion [W] and the temperature of the wall points (b,) [°C],
        in which the walls' heat is linear.
        """
        temperature = self.temperature(enthalpy)
        temperature = written(jnp.where(self.free > 0, temperature, self.fixed))
        perfused = full(self.perfusion) * (temperature - self.constants[0])
        # in one kernel with the sums of a stage, conduction takes a batch six times as long
        heat = (
            source
            - written(self.conduction(temperature))
            - perfused
            - (full(self.wall) * temperature - full(self.wall_heat))
        )
        at_walls = take(temperature, self.wall_point)
        if self.blood is not None:
            spared = self.wall_area * self.blood.spared(self.wall_excess(at_walls, 1.0))
            spared = written(and_zero(spared))
            heat = heat + take(spared, self.blood.slot).sum(axis=0)
        return heat / self.volume, (perfused.sum(axis=0), at_walls)

    def wall_excess(self, integral: Array, seconds: Array | float) -> Array:
        """Time integral of the wall points' excess over the entering liquid (b,) [K s]."""
        return integral - seconds * take(self.wall_temperature, self.wall_id)

    def wall_flows(self, integral: Array, seconds: Array) -> Array:
        """Heat into each wall's liquid (w,) [J] from the time integral of wall temperatures."""
        excess = self.wall_excess(integral, seconds)
        felt = excess if self.blood is None else excess - self.blood.spared(excess)
        heat = self.wall_area * felt
        return jax.ops.segment_sum(heat, self.wall_id, self.wall_temperature.shape[0])


def _half_below(w: Array, own: Array, other: Array) -> Array:
    """A weight times the share below zero of the half of an edge at its end `own`.

    A point that lost all its perfusion at once would decide by a thousandth of a kelvin over
    kelvins. The mean over halves of edges depends smoothly on the temperature. Its error is a bias
    of second order, about a tenth of h^2 over the border's radius of curvature, where that of the
    points is noise of the same size.
    """
    return times(w, 1.0 - segment_fraction_above(own, 0.5 * (own + other), jnp))


@jax.jit
def fastest_rate(heat: Heat, enthalpy: Array) -> Array:
    """Bound on the rates [1/s] of the linearised heat operator for the steps to come.

    Gershgorin's circles of the matrix made symmetric by the square roots of the points' capacities;
    on adapted meshes 16 to 18 % above the largest eigenvalue, where power iteration would be below.
    A point that nears the vaporisation band may dry out within the step: from NEAR below the band
    on it counts with the capacity of dried tissue, which is five to seven times smaller.
    """
    temperature = heat.temperature(enthalpy)
    drying = temperature > heat.constants[2] - NEAR
    wet = full(heat.wet)
    capacity = jnp.where(drying, jnp.minimum(wet, full(heat.dry)), wet)
    top = tissue.BOILING_C - tissue.REFERENCE_C
    factor = heat.factor * (
        1.0 + heat.ratio * jnp.clip(temperature + NEAR - tissue.REFERENCE_C, 0.0, top)
    )
    scale = heat.free / jnp.sqrt(heat.volume * capacity)
    reach = written(jnp.sqrt(factor) * scale)
    size = tuple(jnp.abs(full(w)) for w in heat.weight)
    sink = scale * (full(heat.perfusion) + full(heat.wall))
    return (reach * (product(heat.index, size, reach) + heat.diagonal * reach) + scale * sink).max()


@jax.jit
def enthalpy_of(heat: Heat, temperature: Array) -> Array:
    return heat.enthalpy(temperature)


@jax.jit
def temperature_of(heat: Heat, enthalpy: Array) -> Array:
    return heat.temperature(enthalpy)
