"""How the peers step in time: implicit BDF2 on the enthalpy, Newton with a symmetric matrix.

With lumped mass a point has the law T(H), and conduction is K theta(T) with the Kirchhoff potential
theta = f0 + (dk/k0) f1. Newton's unknown is the change of theta: the matrix K + diag(...) is then
symmetric, K is assembled once, and a new step or iteration only changes the diagonal. The heat of
the potential is extrapolated in time from its last two solutions, and the potential is solved again
when the conductivity has changed by more than `lag`, a mean over the heat.

`peer_space` says what a peer's library does. All arrays are a rank's own points.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
from peer_account import Account
from peer_space import Floats, Space

MOST_ITERATIONS = 12
"""Of Newton in one step; a step that needs more is repeated with half its length."""

MOST_LAGGED = 1
"""Steps in a row without a new potential: with two the error grew faster than the time fell."""

BESIDE = 0.1
"""How far outside the vaporisation band a point is put that leaves it in an iteration [K]."""

EQUAL_STEPS_GOAL, MOST_GOAL = 7.5e-5, 0.03
"""Last change of Newton's iteration with equal steps, root mean square: per square of the step
[K/s2], as the error of BDF2 falls, and at most [K]. Where the step is adapted, it is a tenth of
its tolerance."""

REST = 1e-3
"""Sum of the heat that a step may leave unbalanced, relative to the power."""

FIRST_STEP, LONGEST_STEP = 0.2, 60.0
"""Of a run [s]."""

SAFETY, GROW, SHRINK = 0.9, 2.0, 0.3
"""Of the step controller."""

MOST_SHIFT, LEAST_HEATED = 1.0, 1e-7
"""A point's local error counts with at most so many kelvin; volume of the mean at least [m3]."""

DRIED_GAIN = 0.3
"""Share of the way that a dried point's heat goes to its new value in one step: its conductivity
falls within milliseconds, and heat that followed at once would swing between all and nothing. The
engines' law comes to the same unless steps are fine or shorter than 36 ms."""


@dataclass(frozen=True)
class Control:
    """Accuracy of a run.

    Attributes:
        tolerance: local error per step, root mean square over the heated tissue [K]; 0 for equal
            steps.
        lag: mean relative change of sigma after which the potential is solved again.
        step: of equal steps [s].
        order: 2 for BDF2, 1 for implicit Euler.
    """

    tolerance: float
    lag: float
    step: float = 0.0
    order: int = 2


@dataclass
class Outcome:
    """Fields at the end of a run, and what it took: up to the end of the first step, and after."""

    temperature: Floats
    peak: Floats
    conductance: float
    start_seconds: float
    seconds: float
    energy: dict[str, float]
    counts: dict[str, int] = field(default_factory=dict)


@dataclass
class _Source:
    """The heat of the potential, extrapolated in time from its last two solutions."""

    times: list[float]
    heats: list[Floats]
    conductance: float

    def at(self, now: float) -> Floats:
        """Heat per point at a time (n,) [W]; its sum stays that of the last solution."""
        last = self.heats[-1]
        if len(self.heats) == 1:
            return last
        ahead = (now - self.times[-1]) / (self.times[-1] - self.times[-2])
        return np.maximum(last + min(ahead, 2.0) * (last - self.heats[-2]), 0.0)

    def renew(self, space: Space, now: float, temperature: Floats) -> Floats:
        """Solve the potential; its change against what was extrapolated (n,) [W]."""
        p = space.points
        used = self.at(now) if self.heats else None
        heat, self.conductance = space.solve_potential(temperature)
        heat = heat * (p.power / self.conductance)
        if used is None:
            change = np.zeros_like(heat)
        else:
            dried = temperature > p.band[1]
            heat = np.where(dried, used + DRIED_GAIN * (heat - used), heat)
            change = np.where(dried, 0.0, heat - used)
        self.times, self.heats = [*self.times[-1:], now], [*self.heats[-1:], heat]
        return change


def integrate(space: Space, control: Control) -> Outcome:
    """March from time zero to the end of the treatment."""
    begun, first = time.perf_counter(), 0.0
    p = space.points
    space.begin()
    temperature = p.start.copy()
    peak = temperature.copy()
    past = [(0.0, p.enthalpy(temperature))]
    source = _Source([], [], 0.0)
    source.renew(space, 0.0, temperature)
    account = Account(space, source.at(0.0), temperature, peak)
    now, step, since = 0.0, control.step or FIRST_STEP, 0
    counts = {"steps": 0, "rejected": 0, "newton": 0, "potentials": 1}
    while now < p.duration * (1.0 - 1e-12):
        step = _fit(step, p.duration - now)
        end = now + step
        heat = source.at(end)
        solved = _step(space, control, past, end, heat, peak)
        counts["newton"] += solved.iterations
        if not solved.converged and step > 1e-3:
            step, counts["rejected"] = 0.5 * step, counts["rejected"] + 1
            continue
        temperature = p.temperature(solved.enthalpy)
        local = _local_error(past, end, solved.enthalpy, control.order)
        kept, due = source, control.lag == 0 or since == MOST_LAGGED
        due = due or space.sigma_change(temperature) > control.lag
        if due:
            source = _Source(source.times, source.heats, source.conductance)
            change = source.renew(space, end, temperature)
            counts["potentials"] += 1
            local = local + step * change / p.volume
        error = _size(space, solved.enthalpy, local, temperature)
        if control.tolerance and error > control.tolerance and step > 1e-3:
            counts["rejected"] += 1
            source = kept
            step *= max(SHRINK, SAFETY * (control.tolerance / error) ** (1 / (control.order + 1)))
            continue
        since = 0 if due else since + 1
        past = [*past[-2:], (end, solved.enthalpy)]
        peak = np.maximum(peak, temperature)
        account.add(step, heat, temperature, peak)
        now, counts["steps"] = end, counts["steps"] + 1
        first = first or time.perf_counter()
        if control.tolerance:
            wanted = SAFETY * (control.tolerance / max(error, 1e-12)) ** (1 / (control.order + 1))
            step = min(step * min(GROW, max(wanted, SHRINK)), LONGEST_STEP)
        else:
            step = control.step
    counts |= {
        "heat_iterations": space.iterations,
        "potential_iterations": space.potential_iterations,
    }
    energy = account.close(p.volume * (past[-1][1] - p.enthalpy(p.start)))
    ended = time.perf_counter()
    return Outcome(
        temperature, peak, source.conductance, first - begun, ended - first, energy, counts
    )


def _fit(step: float, rest: float) -> float:
    """The step to take with so much time left: two equal ones replace a full one and a sliver."""
    if step >= rest * (1.0 - 1e-9):
        return rest
    return min(step, 0.5 * rest) if step > 0.5 * rest else step


@dataclass(frozen=True)
class _Solved:
    enthalpy: Floats
    iterations: int
    converged: bool


def _step(
    space: Space,
    control: Control,
    past: list[tuple[float, Floats]],
    end: float,
    heat: Floats,
    peak: Floats,
) -> _Solved:
    """One implicit step by Newton from the extrapolated enthalpy."""
    p = space.points
    lead, known = _differences(past, end, control.order)
    ahead = p.temperature(np.where(p.free, _extrapolated(past, end), past[-1][1]))
    enthalpy = p.enthalpy(_close(ahead, p.temperature(past[-1][1]), p.band))
    sink = space.perfusion_left(np.maximum(peak, ahead))
    goal = 0.1 * control.tolerance or min(EQUAL_STEPS_GOAL * control.step**2, MOST_GOAL)
    size = np.inf
    for iteration in range(MOST_ITERATIONS + 1):
        temperature = p.temperature(enthalpy)
        rest = (
            heat
            - p.volume * (lead * enthalpy + known)
            - space.conduct(p.theta(temperature))
            - sink * (temperature - p.blood)
            - (p.wall * temperature - p.wall_heat)
        )
        rest = np.where(p.free, rest, 0.0)
        if size < goal and space.total(np.abs(rest)) < REST * p.power:
            return _Solved(enthalpy, iteration, True)
        stretch = p.stretch(temperature)
        slope = stretch * p.slope(temperature)
        diagonal = p.volume * lead / slope + (sink + p.wall) / stretch
        wanted = p.temperature(enthalpy + space.solve_heat(diagonal, rest) / slope)
        moved = p.enthalpy(_close(wanted, temperature, p.band))
        size = _size(space, enthalpy, moved - enthalpy, temperature)
        enthalpy = moved
    return _Solved(enthalpy, MOST_ITERATIONS, False)


def _close(wanted: Floats, temperature: Floats, band: tuple[float, float]) -> Floats:
    """Newton's temperatures, kept from the far side of a kink.

    Out of the vaporisation band its steep line leads hundreds of kelvin too far: such a point is
    put just outside, where the next iteration goes on with the slope that holds there.
    """
    low, high = band
    inside = (temperature > low) & (temperature <= high)
    close: Floats = np.where(inside, np.clip(wanted, low - BESIDE, high + BESIDE), wanted)
    return close


def _differences(past: list[tuple[float, Floats]], end: float, order: int) -> tuple[float, Floats]:
    """dH/dt at the end of the step as `lead` H + `known`, by BDF2 or at first by Euler."""
    now, last = past[-1]
    h = end - now
    if order == 1 or len(past) == 1:
        return 1.0 / h, -last / h
    before, older = past[-2]
    w = h / (now - before)
    lead = (1.0 + 2.0 * w) / (1.0 + w) / h
    return lead, (-(1.0 + w) * last + w * w / (1.0 + w) * older) / h


def _extrapolated(past: list[tuple[float, Floats]], end: float) -> Floats:
    """First guess: the straight line through the last two."""
    now, last = past[-1]
    if len(past) == 1:
        return last
    before, older = past[-2]
    return last + (end - now) / (now - before) * (last - older)


def _local_error(
    past: list[tuple[float, Floats]], end: float, enthalpy: Floats, order: int
) -> Floats:
    """Local error of the step in H (n,) [J/m3], by divided differences."""
    nodes = [*past, (end, enthalpy)]
    wanted = order + 2 if len(past) > order else len(nodes)
    nodes = nodes[-wanted:]
    times, values = [t for t, _ in nodes], [v for _, v in nodes]
    while len(values) > 1:
        level = len(times) - len(values) + 1
        values = [
            (values[i + 1] - values[i]) / (times[i + level] - times[i])
            for i in range(len(values) - 1)
        ]
    h = end - past[-1][0]
    if len(nodes) < 3:
        return np.zeros_like(enthalpy)  # the short first step has nothing to be judged by
    if len(nodes) == 3:
        return h * h * values[0]
    g = past[-1][0] - past[-2][0]
    w = h / g
    return h * h * (h + g) * (1.0 + w) / (1.0 + 2.0 * w) * values[0]


def _size(space: Space, enthalpy: Floats, change: Floats, temperature: Floats) -> float:
    """Root mean square over the heated tissue of a change of H, as temperature [K]."""
    p = space.points
    shift = np.minimum(
        np.abs(p.temperature(enthalpy + change) - p.temperature(enthalpy)), MOST_SHIFT
    )
    warm = space.total(np.where(temperature - p.blood > 1.0, p.volume, 0.0))
    return float(np.sqrt(space.total(p.volume * shift**2) / max(warm, LEAST_HEATED)))
