"""Problems of the antenna's field with known answers: a line, cylinders, a dipole, an antenna."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import jv, yv
from skfem import MeshQuad

from ablasim.frames import MM
from ablasim.physics.antenna import Antenna
from ablasim.physics.antenna_field import IMPEDANCE, LIGHT, FieldOperator
from ablasim.physics.antenna_section import STANDARD, Coaxial, build_section
from ablasim.physics.dielectric import VACUUM_PERMITTIVITY, dielectric
from ablasim.verify.case import Row, absolute, relative
from ablasim.verify.runner import require
from ablasim.verify.scenes import Floats

Complexes = NDArray[np.complex128]

FREQUENCY = 2.45e9
OMEGA = 2.0 * np.pi * FREQUENCY
LIVER = complex(43.03, -1.69 / (OMEGA * VACUUM_PERMITTIVITY))
"""Liver of the public model of C2."""

GAMMA = 1j * OMEGA / LIGHT * np.sqrt(LIVER)

SLOT = Coaxial(
    inner_radius=0.135 * MM,
    dielectric_radius=0.470 * MM,
    conductor_radius=0.595 * MM,
    catheter_radius=0.895 * MM,
    dielectric_permittivity=2.03,
    catheter_permittivity=2.60,
    slot_permittivity=1.0,
    coax_end=0.5 * MM,
    cap=0.1 * MM,
    slot_start=6.0 * MM,
    slot_end=7.0 * MM,
    wire=0.0,
)


def orders(error: Callable[[int], float], cells: tuple[int, ...], element: float) -> Iterator[Row]:
    """Row of the observed order between the two finest meshes; errors must fall all the way.

    Raises:
        ConvergenceError: they do not.
    """
    errors = [error(count) for count in cells]
    falling = all(after < before for before, after in zip(errors[:-1], errors[1:], strict=True))
    require(falling, f"errors do not fall from mesh to mesh: {errors}")
    yield absolute(
        "order of the field", "", element, math.log2(errors[-2] / errors[-1]), tolerance="order"
    )


# -- F12a, F12d: a line --------------------------------------------------------------------------

CABLE, LOSSY = 80.0 * MM, 40.0 * MM
FED = 3.0


def line(epsilon: complex, length: float, cells: int) -> tuple[FieldOperator, Complexes, float]:
    """A coaxial line of C2's radii with a TEM wave of 3 W fed at the top, absorbing at z = 0.

    Returns:
        The operator, u over the amplitude of the wave (n,), and the power that leaves [W].
    """
    inner, outer = SLOT.inner_radius, SLOT.dielectric_radius
    mesh = MeshQuad.init_tensor(np.linspace(inner, outer, 3), np.linspace(0.0, length, cells + 1))
    operator = FieldOperator(mesh, FREQUENCY)
    facets = mesh.boundary_facets()
    z = mesh.p[1, mesh.facets[:, facets]].mean(axis=0)
    top, _ = operator.boundary(facets[np.isclose(z, length)])
    bottom, _ = operator.boundary(facets[np.isclose(z, 0.0)])
    matrix = operator.matrix(np.full(mesh.t.shape[1], epsilon))
    for end in (top, bottom):
        matrix = matrix + operator.admittance(end, np.full(len(end.dofs), epsilon))
    impedance = IMPEDANCE / np.sqrt(epsilon)
    amplitude = float(np.sqrt(FED / (np.pi * impedance.real * np.log(outer / inner))))
    incident = amplitude * top.value.sum(axis=-1)
    load = operator.load(top, 2j * operator.wave_number / np.sqrt(epsilon) * incident)
    u = operator.solve(matrix, load)
    return (
        operator,
        u / amplitude,
        operator.outflow(u, bottom, np.full(len(bottom.dofs), epsilon)),
    )


def cable() -> Iterator[Row]:
    """F12a."""
    k = OMEGA / LIGHT * np.sqrt(2.03)

    def error(cells: int) -> float:
        operator, u, _ = line(2.03 + 0j, CABLE, cells)
        return float(np.abs(u - np.exp(-1j * k * (CABLE - operator.places[1]))).max())

    yield absolute("largest error of r H, share of the wave", "1", 0.0, error(40))
    yield relative("power that leaves the far end", "W", FED, line(2.03 + 0j, CABLE, 40)[2])
    # at the corners of a uniform line, quadratic elements are accurate to the fourth order
    yield from orders(error, (10, 20, 40), 4.0)


def lossy_line() -> Iterator[Row]:
    """F12d."""
    operator, u, _ = line(LIVER, LOSSY, 160)
    yield relative("alpha", "Np/m", 48.0428, GAMMA.real, tolerance="loss")
    yield relative("beta", "rad/m", 340.2391, GAMMA.imag, tolerance="loss")
    exact = np.exp(-GAMMA * (LOSSY - operator.places[1]))
    yield absolute("largest error of r H, share of the wave", "1", 0.0, np.abs(u - exact).max())
    heat = operator.absorption(u, np.full(len(operator.cells.dofs), LIVER))
    absorbed = (operator.cells.weight * heat).sum(axis=1)
    z = operator.mesh.p[1, operator.mesh.t].mean(axis=0)
    levels = np.unique(np.round(z, 9))
    per_level = [absorbed[np.isclose(z, level)].sum() for level in levels]
    slope = float(np.polyfit(levels, np.log(per_level), 1)[0])
    yield relative("fall of the absorbed power", "1/m", 2.0 * GAMMA.real, slope, tolerance="loss")


# -- F12b: concentric cylinders -------------------------------------------------------------------

LOW_FREQUENCY = 70e6
BORDER, RIM = 0.12, 0.25
PRINTED = {0.0: 0.387155, 0.06: 0.360736, 0.12: 0.325735, 0.18: 0.433753}


class Cylinders:
    """E_z in two concentric lossy cylinders, driven by |E_z| = 1 at the rim."""

    def __init__(self) -> None:
        self.omega = 2.0 * np.pi * LOW_FREQUENCY
        self.inner = complex(40.0, -0.35 / (self.omega * VACUUM_PERMITTIVITY))
        self.outer = complex(89.0, -0.93 / (self.omega * VACUUM_PERMITTIVITY))
        self.wave = [self.omega / LIGHT * np.sqrt(e) for e in (self.inner, self.outer)]
        k, a = self.wave, BORDER
        # J0(k r) inside; E_z and k J1(k r), which is H, are continuous across the border
        matrix = np.array(
            [[jv(0, k[1] * a), yv(0, k[1] * a)], [k[1] * jv(1, k[1] * a), k[1] * yv(1, k[1] * a)]]
        )
        self.share = np.linalg.solve(matrix, [jv(0, k[0] * a), k[0] * jv(1, k[0] * a)])
        self.rim = abs(self._field(np.array([RIM]))[0])

    def _field(self, r: Floats) -> Complexes:
        k, far = self.wave, np.maximum(r, BORDER)
        outside = self.share[0] * jv(0, k[1] * far) + self.share[1] * yv(0, k[1] * far)
        value: Complexes = np.where(r < BORDER, jv(0, k[0] * r), outside)
        return value

    def size(self, r: Floats) -> Floats:
        """|E_z| at radii [m], over that at the rim."""
        value: Floats = np.abs(self._field(r)) / self.rim
        return value

    def solve(self, cells: int) -> tuple[Floats, Floats, Floats]:
        """|E|, the radii and the weights of the quadrature points, `cells` in each cylinder."""
        r = np.concatenate(
            [np.linspace(0.0, BORDER, cells + 1), np.linspace(BORDER, RIM, cells + 1)[1:]]
        )
        mesh = MeshQuad.init_tensor(r, np.linspace(0.0, 0.02, 2))
        operator = FieldOperator(mesh, LOW_FREQUENCY, near=r[1])
        inside = mesh.p[0, mesh.t].mean(axis=0) < BORDER
        eps = np.where(inside, self.inner, self.outer)
        facets = mesh.boundary_facets()
        middle = mesh.p[0, mesh.facets[:, facets]].mean(axis=0)
        edge, _ = operator.boundary(facets[np.isclose(middle, RIM)])
        # (1/(eps r)) du/dn = j omega eps_0 E_z
        given = np.full(edge.weight.shape, 1j * self.omega * VACUUM_PERMITTIVITY)
        u = operator.solve(operator.matrix(eps), operator.load(edge, given))
        places = np.asarray(operator.basis.global_coordinates())[0]
        return np.sqrt(operator.electric(u, eps)), places, operator.cells.weight


def cylinders() -> Iterator[Row]:
    """F12b."""
    problem = Cylinders()

    def error(cells: int) -> float:
        found, r, weight = problem.solve(cells)
        true = problem.size(r.ravel()).reshape(r.shape) ** 2
        difference = (weight * (found**2 - true) ** 2).sum() / (weight * true**2).sum()
        return float(np.sqrt(difference))

    found, r, _ = problem.solve(40)
    where = np.argsort(r, axis=None)
    for place, printed in PRINTED.items():
        got = float(np.interp(place, r.ravel()[where], found.ravel()[where]))
        yield relative(f"E at {100 * place:g} cm over that at the rim", "1", printed, got)
    yield absolute("root mean square error of the square of E", "1", 0.0, error(40))
    # the field is a derivative of u: one order below the element's three
    yield from orders(error, (10, 20, 40), 2.0)


# -- F12c: a dipole -------------------------------------------------------------------------------

DIPOLE = {5.0: 3818.87 - 3632.13j, 10.0: -1135.84 - 1430.14j, 20.0: 387.447 + 374.676j}
"""H/(I l sin theta) [1/m2] at distances [mm]."""


def dipole(r: Floats, z: Floats) -> Complexes:
    """u = r H of a Hertzian dipole on the axis with I l = 1 in liver, at places [m]."""
    distance = np.hypot(r, z)
    field = r / distance * np.exp(-GAMMA * distance) * (GAMMA / distance + 1.0 / distance**2)
    value: Complexes = r * field / (4.0 * np.pi)
    return value


def around_dipole(cells: int) -> tuple[FieldOperator, Complexes]:
    """The field between a small cylinder and a large one, exact values held on both."""
    mesh = MeshQuad.init_tensor(
        np.linspace(0.0, 24 * MM, 6 * cells + 1), np.linspace(-24 * MM, 24 * MM, 12 * cells + 1)
    )
    middle = mesh.p[:, mesh.t].mean(axis=1)
    hole = (middle[0] < 4 * MM) & (np.abs(middle[1]) < 4 * MM)
    mesh = mesh.restrict(np.flatnonzero(~hole))
    operator = FieldOperator(mesh, FREQUENCY, near=4 * MM / cells)
    on_border = np.zeros(operator.count, dtype=bool)
    on_border[operator.basis.get_dofs(mesh.boundary_facets()).all()] = True
    which = np.flatnonzero(on_border & ~operator.on_axis)
    exact = dipole(*operator.places[:, which])
    u = operator.solve(
        operator.matrix(np.full(mesh.t.shape[1], LIVER)),
        np.zeros(operator.count, dtype=complex),
        dict(zip(which.tolist(), exact.tolist(), strict=True)),
    )
    return operator, u


def hertzian_dipole() -> Iterator[Row]:
    """F12c."""
    operator, u = around_dipole(8)
    for distance, printed in DIPOLE.items():
        at = np.hypot(operator.places[0] - distance * MM, operator.places[1]) < 1e-9
        found = complex(u[at][0]) / (distance * MM)
        for part, wanted, got in (
            ("real", printed.real, found.real),
            ("imaginary", printed.imag, found.imag),
        ):
            yield relative(
                f"H/(I l sin theta) at {distance:g} mm, {part}", "1/m2", wanted, got,
                floor=abs(printed),
            )  # fmt: skip

    def error(cells: int) -> float:
        operator, u = around_dipole(cells)
        trial = operator.cells
        found = np.einsum("cqb,cb->cq", trial.value, u[trial.dofs])
        at = np.asarray(operator.basis.global_coordinates())
        true = dipole(at[0], at[1]) / at[0]
        difference = (trial.weight * np.abs(found - true) ** 2).sum()
        return float(np.sqrt(difference / (trial.weight * np.abs(true) ** 2).sum()))

    yield from orders(error, (2, 4, 8), 3.0)


# -- C2, F12e: the slot antenna of a public model -------------------------------------------------

INPUT = 10.0


@cache
def slot_antenna(fineness: float) -> Antenna:
    """C2's antenna in its cylinder, r <= 30 mm, 80 mm long."""
    section = build_section(SLOT, 30 * MM, -9.5 * MM, 70.5 * MM, STANDARD.finer(fineness))
    return Antenna(section, FREQUENCY)


def constant_liver(antenna: Antenna) -> Complexes:
    """C2's dielectric in every cell of tissue (t,)."""
    law = dielectric("comsol_constant", FREQUENCY)
    return law.complex_permittivity(np.full(len(antenna.tissue), 37.0))


def heated_liver(antenna: Antenna) -> Complexes:
    """The sigmoid law in tissue that is 117 °C at the slot and 37 °C far away (t,)."""
    law = dielectric("ji_brace_2011", FREQUENCY)
    middle = antenna.operator.mesh.p[:, antenna.operator.mesh.t].mean(axis=1)[:, antenna.tissue]
    distance = np.hypot(middle[0], middle[1] - 6.5 * MM)
    return law.complex_permittivity(37.0 + 80.0 * np.exp(-distance / (6 * MM)))


def slot() -> Iterator[Row]:
    """C2."""
    for fineness, level in ((1.0, "standard grid"), (2.0, "sizes halved")):
        antenna = slot_antenna(fineness)
        solved = antenna.solve(constant_liver(antenna))
        decibel = 20.0 * math.log10(abs(solved.reflection))
        yield absolute(f"absorbed, {level}", "W", 9.347, INPUT * solved.absorbed, "absorbed")
        yield absolute(f"S11, {level}", "dB", -17.88, decibel, "dB")
        yield absolute(f"reflected, {level}", "W", 0.163, INPUT * solved.reflected, "rest")
        yield absolute(
            f"out of the cylinder, {level}", "W", 0.470, INPUT * solved.radiated, "outflow"
        )
        yield absolute(f"along the catheter, {level}", "W", 0.020, INPUT * solved.leaked, "rest")


def balance() -> Iterator[Row]:
    """F12e."""
    antenna = slot_antenna(1.0)
    for what, eps in (
        ("cold liver", constant_liver(antenna)),
        ("hot liver at the slot", heated_liver(antenna)),
    ):
        solved = antenna.solve(eps)
        parts = solved.reflected + solved.absorbed + solved.leaked + solved.radiated
        yield relative(f"sum of all parts, {what}", "W/W", 1.0, parts)
        yield relative(
            f"heat of the corners' density, {what}", "W/W",
            solved.absorbed, float(solved.density @ antenna.corner_volume),
        )  # fmt: skip
