"""F12 and C2: the axisymmetric field problem against closed forms and a fully specified antenna."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import jv, yv
from skfem import MeshQuad

from ablasim.frames import MM
from ablasim.physics.antenna import Antenna
from ablasim.physics.antenna_field import IMPEDANCE, LIGHT, FieldOperator
from ablasim.physics.antenna_section import STANDARD, Coaxial, build_section
from ablasim.physics.dielectric import VACUUM_PERMITTIVITY, dielectric

Complexes = NDArray[np.complex128]

F = 2.45e9
OMEGA = 2.0 * np.pi * F
LIVER = complex(43.03, -1.69 / (OMEGA * VACUUM_PERMITTIVITY))
"""COMSOL's liver at 2.45 GHz."""

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

SAME_ORDER = 0.15
"""How far the observed order may lie from the element's on the two finest meshes."""


def slot_antenna(fineness: float) -> tuple[Antenna, Complexes]:
    """C2's antenna in its cylinder, r <= 30 mm, 80 mm long, and its dielectric."""
    section = build_section(SLOT, 30 * MM, -9.5 * MM, 70.5 * MM, STANDARD.finer(fineness))
    antenna = Antenna(section, F)
    law = dielectric("comsol_constant", F)
    return antenna, law.complex_permittivity(np.full(len(antenna.tissue), 37.0))


def cable(epsilon: complex, length: float, cells: int) -> tuple[FieldOperator, Complexes]:
    """A coaxial line of C2's radii with a TEM wave of 3 W fed at the top, absorbing at z = 0."""
    inner, outer = SLOT.inner_radius, SLOT.dielectric_radius
    mesh = MeshQuad.init_tensor(np.linspace(inner, outer, 3), np.linspace(0.0, length, cells + 1))
    operator = FieldOperator(mesh, F)
    eps = np.full(mesh.t.shape[1], epsilon)
    facets = mesh.boundary_facets()
    z = mesh.p[1, mesh.facets[:, facets]].mean(axis=0)
    top, _ = operator.boundary(facets[np.isclose(z, length)])
    bottom, _ = operator.boundary(facets[np.isclose(z, 0.0)])
    matrix = operator.matrix(eps)
    for end in (top, bottom):
        matrix = matrix + operator.admittance(end, np.full(len(end.dofs), epsilon))
    impedance = IMPEDANCE / np.sqrt(epsilon)
    amplitude = np.sqrt(3.0 / (np.pi * impedance.real * np.log(outer / inner)))
    incident = amplitude * top.value.sum(axis=-1)
    load = operator.load(top, 2j * operator.wave_number / np.sqrt(epsilon) * incident)
    return operator, operator.solve(matrix, load) / amplitude


def order(error: Callable[[int], float], cells: tuple[int, ...]) -> float:
    """Observed order between the two finest meshes, after checking that errors fall."""
    errors = [error(count) for count in cells]
    assert all(after < before for before, after in zip(errors, errors[1:], strict=False)), errors
    return float(np.log2(errors[-2] / errors[-1]))


def test_f12a_coaxial_line_carries_its_mode() -> None:
    """The TEM wave passes a coax unchanged: u = exp(-jk(L - z)), no reflection, all power out.

    Catches an absorbing condition with the wave number of vacuum (it reflects 0.175 on any mesh),
    and elements for H_phi itself, which lose the power in a thin cable.
    """
    length = 80.0 * MM
    k = OMEGA / LIGHT * np.sqrt(2.03)

    def error(cells: int) -> float:
        operator, u = cable(2.03 + 0j, length, cells)
        exact = np.exp(-1j * k * (length - operator.places[1]))
        return float(np.abs(u - exact).max())

    assert error(40) < 1e-4
    # at the corners of a uniform line, quadratic elements are accurate to the fourth order
    assert order(error, (10, 20, 40)) == pytest.approx(4.0, abs=SAME_ORDER)


def test_f12d_lossy_line_loses_twice_alpha() -> None:
    """Power of a plane wave in liver falls as exp(-2 alpha z), alpha = 48.04 Np/m (F12d).

    Catches a wrong sign of the loss (the wave would grow) and a factor of two in the absorbed
    power: what is absorbed per length over what passes must be 2 alpha.
    """
    length = 40.0 * MM
    operator, u = cable(LIVER, length, 160)
    gamma = 1j * OMEGA / LIGHT * np.sqrt(LIVER)
    assert gamma.real == pytest.approx(48.04, abs=0.01)
    assert gamma.imag == pytest.approx(340.24, abs=0.01)
    exact = np.exp(-gamma * (length - operator.places[1]))
    assert np.abs(u - exact).max() < 1e-4
    heat = operator.absorption(u, np.full(len(operator.cells.dofs), LIVER))
    absorbed = (operator.cells.weight * heat).sum(axis=1)
    z = operator.mesh.p[1, operator.mesh.t].mean(axis=0)
    levels = np.unique(np.round(z, 9))
    per_level = [absorbed[np.isclose(z, level)].sum() for level in levels]
    slope = np.polyfit(levels, np.log(per_level), 1)[0]
    assert slope == pytest.approx(2.0 * gamma.real, rel=1e-3)


def test_f12b_concentric_cylinders() -> None:
    """E_z in two concentric lossy cylinders at 70 MHz (F12b), driven by E_z at the rim.

    Catches a permittivity that jumps between cells without the field's normal part jumping, and a
    wrong behaviour on the axis. E_z is along the axis, H around it: it is the same TM problem.
    """
    f = 70e6
    w = 2.0 * np.pi * f
    radii = (0.12, 0.25)
    eps = [
        complex(40, -0.35 / (w * VACUUM_PERMITTIVITY)),
        complex(89, -0.93 / (w * VACUUM_PERMITTIVITY)),
    ]
    k = [w / LIGHT * np.sqrt(e) for e in eps]
    a = radii[0]
    # E_z = J0(k1 r) inside; continuity of E_z and of k J1 (that is, of H) across the border
    matrix = np.array(
        [[jv(0, k[1] * a), yv(0, k[1] * a)], [k[1] * jv(1, k[1] * a), k[1] * yv(1, k[1] * a)]]
    )
    outer = np.linalg.solve(matrix, [jv(0, k[0] * a), k[0] * jv(1, k[0] * a)])

    def exact(r: NDArray[np.float64]) -> Complexes:
        r = np.atleast_1d(r)
        value = np.where(
            r < a,
            jv(0, k[0] * r),
            outer[0] * jv(0, k[1] * np.maximum(r, a)) + outer[1] * yv(0, k[1] * np.maximum(r, a)),
        )
        return value

    rim = exact(np.array([radii[1]]))[0]
    places = np.array([0.0, 0.06, 0.12, 0.18])
    printed = [0.387155, 0.360736, 0.325735, 0.433753]
    assert np.abs(exact(places) / rim) == pytest.approx(printed, rel=1e-4)

    def error(cells: int) -> float:
        r = np.concatenate(
            [np.linspace(0.0, a, cells + 1), np.linspace(a, radii[1], cells + 1)[1:]]
        )
        mesh = MeshQuad.init_tensor(r, np.linspace(0.0, 0.02, 2))
        operator = FieldOperator(mesh, f, near=r[1])
        inside = mesh.p[0, mesh.t].mean(axis=0) < a
        permittivity = np.where(inside, eps[0], eps[1])
        facets = mesh.boundary_facets()
        middle = mesh.p[0, mesh.facets[:, facets]].mean(axis=0)
        edge, _ = operator.boundary(facets[np.isclose(middle, radii[1])])
        # (1/(eps r)) du/dn = j omega eps_0 E_z
        given = np.full(edge.weight.shape, 1j * w * VACUUM_PERMITTIVITY)
        u = operator.solve(operator.matrix(permittivity), operator.load(edge, given))
        found = operator.electric(u, permittivity)
        at = np.asarray(operator.basis.global_coordinates())[0]
        true = np.abs(exact(at.ravel()).reshape(at.shape) / rim) ** 2
        weight = operator.cells.weight
        return float(np.sqrt((weight * (found - true) ** 2).sum() / (weight * true**2).sum()))

    assert error(40) < 1e-3
    # the field is a derivative of u: one order below the element's three
    assert order(error, (10, 20, 40)) == pytest.approx(2.0, abs=SAME_ORDER)


def dipole(r: NDArray[np.float64], z: NDArray[np.float64]) -> Complexes:
    """F12c: u = r H_phi of a Hertzian dipole on the axis, Il = 1, in lossy liver."""
    gamma = 1j * OMEGA / LIGHT * np.sqrt(LIVER)
    distance = np.hypot(r, z)
    sine = r / distance
    field = sine * np.exp(-gamma * distance) * (gamma / distance + 1.0 / distance**2)
    value: Complexes = r * field / (4.0 * np.pi)
    return value


@pytest.mark.parametrize(
    ("distance_mm", "printed"),
    [(5, 3818.87 - 3632.13j), (10, -1135.84 - 1430.14j), (20, 387.447 + 374.676j)],
)
def test_f12c_the_dipole_itself(distance_mm: float, printed: complex) -> None:
    """H/(Il sin theta) as printed: the closed form that the next test compares with."""
    r = np.array([distance_mm * MM])
    assert dipole(r, np.zeros(1))[0] / r[0] == pytest.approx(printed, rel=1e-5)


def test_f12c_hertzian_dipole_converges_at_the_order_of_the_element() -> None:
    """u around a dipole in liver, its exact values held on an inner and on the outer border.

    Catches a missing r in the weight, a wrong sign of k0^2 and a basis that is spoiled on the
    axis, where u ~ r^2: each would drop the order below the three of biquadratic elements.
    """

    def error(cells: int) -> float:
        r = np.linspace(0.0, 24 * MM, 6 * cells + 1)
        z = np.linspace(-24 * MM, 24 * MM, 12 * cells + 1)
        mesh = MeshQuad.init_tensor(r, z)
        middle = mesh.p[:, mesh.t].mean(axis=1)
        hole = (middle[0] < 4 * MM) & (np.abs(middle[1]) < 4 * MM)
        mesh = mesh.restrict(np.flatnonzero(~hole))
        operator = FieldOperator(mesh, F, near=4 * MM / cells)
        eps = np.full(mesh.t.shape[1], LIVER)
        held = np.zeros(operator.count, dtype=bool)
        held[operator.basis.get_dofs(mesh.boundary_facets()).all()] = True
        held &= ~operator.on_axis
        exact = np.zeros(operator.count, dtype=complex)
        exact[~operator.on_axis] = dipole(*operator.places[:, ~operator.on_axis])
        which = np.flatnonzero(held)
        u = operator.solve(
            operator.matrix(eps),
            np.zeros(operator.count, dtype=complex),
            dict(zip(which.tolist(), exact[which].tolist(), strict=True)),
        )
        trial = operator.cells
        found = np.einsum("cqb,cb->cq", trial.value, u[trial.dofs])
        at = np.asarray(operator.basis.global_coordinates())
        true = dipole(at[0], at[1]) / at[0]
        difference = (trial.weight * np.abs(found - true) ** 2).sum()
        return float(np.sqrt(difference / (trial.weight * np.abs(true) ** 2).sum()))

    assert error(8) < 2e-4
    assert order(error, (2, 4, 8)) == pytest.approx(3.0, abs=SAME_ORDER)


@pytest.mark.parametrize("fineness", [1.0, 2.0])
def test_c2_slot_antenna(fineness: float) -> None:
    """C2 on two mesh levels: 9.347 W of 10 W absorbed, S11 = -17.88 dB, 0.470 and 0.020 W out.

    Catches too coarse a grid at the catheter (-14.6 dB), all missing power counted as reflected
    (-12 dB), and an absorbing condition with the wave number of vacuum (2.7 % more absorbed).
    """
    antenna, eps = slot_antenna(fineness)
    solved = antenna.solve(eps)
    assert 10.0 * solved.absorbed == pytest.approx(9.347, abs=0.02)
    assert 20.0 * np.log10(abs(solved.reflection)) == pytest.approx(-17.88, abs=0.03)
    assert 10.0 * solved.reflected == pytest.approx(0.163, abs=0.001)
    assert 10.0 * solved.radiated == pytest.approx(0.470, abs=0.002)
    assert 10.0 * solved.leaked == pytest.approx(0.020, abs=0.001)


def test_f12e_power_balance_and_corner_values() -> None:
    """What comes in is what is reflected, absorbed and let out; the corner values keep the heat."""
    antenna, eps = slot_antenna(1.0)
    solved = antenna.solve(eps)
    assert abs(solved.imbalance) < 1e-6
    assert solved.density @ antenna.corner_volume == pytest.approx(solved.absorbed, rel=1e-12)
    assert (solved.density >= 0.0).all()


def test_balance_holds_in_heated_tissue() -> None:
    """The balance closes for any dielectric; drier tissue around the slot reflects otherwise."""
    antenna, cold = slot_antenna(1.0)
    law = dielectric("ji_brace_2011", F)
    middle = antenna.operator.mesh.p[:, antenna.operator.mesh.t].mean(axis=1)[:, antenna.tissue]
    distance = np.hypot(middle[0], middle[1] - 6.5 * MM)
    heated = antenna.solve(law.complex_permittivity(37.0 + 80.0 * np.exp(-distance / (6 * MM))))
    assert abs(heated.imbalance) < 1e-6
    assert abs(heated.reflected - antenna.solve(cold).reflected) > 1e-3


def test_monopole_of_ji_and_brace_on_two_levels() -> None:
    """C3's bare monopole at 20 °C: power and reflection agree between two grids.

    Its metal edge is a singularity in touch with tissue, so the levels agree less well than those
    of the slot antenna behind its catheter.
    """
    monopole = Coaxial(
        0.255 * MM, 0.84 * MM, 1.10 * MM, 1.10 * MM, 2.05, 1.0, 1.0, 13 * MM, 0.0, 0, 0, 13 * MM
    )
    law = dielectric("ji_brace_2011", F)
    found = []
    for fineness in (1.0, 2.0):
        section = build_section(monopole, 50 * MM, -50 * MM, 50 * MM, STANDARD.finer(fineness))
        antenna = Antenna(section, F)
        found.append(antenna.solve(law.complex_permittivity(np.full(len(antenna.tissue), 20.0))))
        assert abs(found[-1].imbalance) < 1e-6
    assert found[0].absorbed == pytest.approx(found[1].absorbed, rel=2e-3)
    assert abs(found[0].reflection - found[1].reflection) < 5e-3
