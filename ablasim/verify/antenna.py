"""The antenna's field (F12) against closed forms, and a fully specified antenna (C2)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from importlib import import_module

from ablasim.verify.case import VALUE, Case, Row, Tolerance

TITLE = "Field of the antenna"

SAME_ORDER = 0.15
"""How far the observed order may lie from the element's on the two finest meshes."""


def rows(problem: str) -> Iterable[Row]:
    """Rows of a problem; only then are the finite elements imported."""
    found: Iterable[Row] = getattr(import_module("ablasim.verify.antenna_problems"), problem)()
    return found


CASES = (
    Case(
        name="F12a",
        title="Coaxial line with its TEM wave, 3 W",
        kind="exact",
        source="u = r H = C exp(-jk(L - z)), no reflection",
        catches="an absorbing condition with the wave number of vacuum (it reflects 0.175 on any "
        "mesh), and elements for H itself, which lose the power in a thin cable",
        tolerances={VALUE: Tolerance(1e-4), "order": Tolerance(SAME_ORDER)},
        compute=partial(rows, "cable"),
        quick=True,
    ),
    Case(
        name="F12b",
        title="Concentric lossy cylinders at 70 MHz",
        kind="exact",
        source="E = A J0 + B Y0",
        catches="a permittivity that jumps between cells without the field's normal part jumping, "
        "and a wrong behaviour on the axis",
        tolerances={VALUE: Tolerance(1e-3), "order": Tolerance(SAME_ORDER)},
        compute=partial(rows, "cylinders"),
        quick=True,
    ),
    Case(
        name="F12c",
        title="Hertzian dipole in lossy liver",
        kind="exact",
        source="H = (I l/4 pi) sin theta exp(-gamma r)(gamma/r + 1/r2)",
        catches="a missing r in the weight, a wrong sign of k0 squared, and a basis that is "
        "spoiled on the axis",
        tolerances={VALUE: Tolerance(1e-3), "order": Tolerance(SAME_ORDER)},
        compute=partial(rows, "hertzian_dipole"),
        quick=True,
        remark="Errors of a part are fractions of the whole number's size.",
    ),
    Case(
        name="F12d",
        title="Plane wave in liver: its loss is 2 alpha",
        kind="exact",
        source="gamma = j k0 sqrt(eps); the power falls as exp(-2 alpha z)",
        catches="a wrong sign of the loss, and a factor of two in the absorbed power",
        tolerances={VALUE: Tolerance(1e-4), "loss": Tolerance(1e-3)},
        compute=partial(rows, "lossy_line"),
        quick=True,
    ),
    Case(
        name="F12e",
        title="Power balance of the slot antenna in cold and in hot liver",
        kind="exact",
        source="incident = reflected + absorbed + along the catheter + radiated",
        catches="signs and factors of any of the parts; not errors of the mesh, of which it is "
        "free",
        tolerances={VALUE: Tolerance(1e-6)},
        compute=partial(rows, "balance"),
        quick=True,
    ),
    Case(
        name="C2",
        title="Slot antenna in a cylinder of liver, 10 W, on two grids",
        kind="code-to-code",
        source="two independent discretisations (nodal H, edge elements E) of the COMSOL model "
        "microwave_cancer_therapy, refined until they agreed: 9.347 +- 0.02 W",
        catches="too coarse a grid at the catheter (-14.6 dB), all missing power counted as "
        "reflected (-12 dB), an absorbing condition with the wave number of vacuum (2.7 % more)",
        tolerances={
            "absorbed": Tolerance(0.02, "W"),
            "dB": Tolerance(0.03, "dB"),
            "rest": Tolerance(0.001, "W"),
            "outflow": Tolerance(0.002, "W"),
        },
        compute=partial(rows, "slot"),
        quick=True,
    ),
)
