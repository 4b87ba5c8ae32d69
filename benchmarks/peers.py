"""The yardstick: one RF case beside a vessel by ablasim's engines and by two peers.

Twelve minutes of RF beside the portal vein at standard resolution, on the same mesh with the same
laws, by bare DOLFINx + PETSc on one and two ranks, by scikit-fem + PyAMG, and by the engines of
ablasim. Everybody runs at several accuracies; the error of the 60 °C zone's volume is taken against
one run that is fine in time, and the time to reach an error is read off each one's curve. The
answers are checked before any time is written.

    python benchmarks/peers.py              everything, about 12 minutes
    python benchmarks/peers.py --only NAME  one of them again, into the same file
    python benchmarks/peers.py --smoke      preview mesh, few runs, nothing written to `results/`
    python benchmarks/peers.py --table      the table of the results that are there
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import record
from numpy.typing import NDArray
from peer_case import SCENARIO, Case, load_case
from peer_times import table, times_to

from ablasim.mesh_cut import tet_fraction_above
from ablasim.physics.problem import BioheatProblem
from ablasim.solve import ENGINES

Floats = NDArray[np.float64]

PEER_PACKAGES = ("fenics-dolfinx", "dolfinx-solver-real", "fenics-ffcx", "mpich", "scikit-fem")

HERE = Path(__file__).resolve().parent
LETHAL_C = 60.0
TARGETS = (1.0, 0.3, 0.1, 0.03)
"""Errors [%] whose times are read off."""

WORST_TEMPERATURE, WORST_VOLUME = 5e-3, 0.5
"""A contender's finest run must be so close to the reference, or its times count for nothing: the
rise of temperature in the relative L2 norm, and the zone's volume [%]. It has to tell another law
or form from an error in time or rounding, which the table shows: the plain integral of the Joule
heat moves the volume by about 1 %."""

WORST_BALANCE = {"float64": 1e-6, "float32": 1e-5, "peer": 2e-2}
"""Open part of the heat account, of the heat delivered: ablasim's engines keep theirs to rounding;
the peers add up theirs by the trapezoidal rule, which is as exact as their steps are short."""

LONGEST_RUN = 1800.0
"""Seconds after which one contender is given up."""


class WrongAnswerError(Exception):
    """A contender's answer is not that of the reference: its times count for nothing."""


@dataclass(frozen=True)
class Contender:
    """Who solves, and at which accuracies.

    Attributes:
        title: for the table.
        script: beside this file.
        options: of the script.
        families: controls by the name of what they have in common, each from coarse to fine.
        ranks: MPI processes.
        needs: module without which it cannot run.
    """

    title: str
    script: str
    options: tuple[str, ...]
    families: dict[str, tuple[str, ...]]
    ranks: int = 1
    needs: str = "ablasim"

    @property
    def kind(self) -> str:
        """Key of WORST_BALANCE."""
        if self.script != "peer_engine.py":
            return "peer"
        return "float32" if "float32" in self.options else "float64"


PEER_FAMILIES = {
    "equal steps": ("0:0:60", "0:0:40", "0:0:20", "0:0:10", "0:0:5"),
    "equal steps, potential lagged": ("0:0.02:20", "0:0.02:10"),
    "adaptive": ("0.5:0", "0.1:0"),
}
"""TOLERANCE:LAG:STEP as `peer_child.parse` reads it."""

ENGINE_FAMILIES = {
    "adaptive": ("5:120", "1:60", "0.4:30", "0.2:15", "0.05:15"),
    "equal steps": ("0:60:60", "0:40:40", "0:20:20", "0:10:10"),
}
"""TOLERANCE:LONGEST:FIXED of a StepControl."""

REFERENCE = Contender("reference", "peer_engine.py", ("--engine", "jax"), {})
CONTENDERS = {
    "dolfinx_1": Contender(
        "DOLFINx + PETSc, 1 rank", "peer_dolfinx.py", (), PEER_FAMILIES, needs="dolfinx"
    ),
    "dolfinx_2": Contender(
        "DOLFINx + PETSc, 2 ranks", "peer_dolfinx.py", (), PEER_FAMILIES, 2, "dolfinx"
    ),
    "dolfinx_forms": Contender(
        "DOLFINx + PETSc, 1 rank, form assembled",
        "peer_dolfinx.py",
        ("--assembly", "forms"),
        {"equal steps": ("0:0:40", "0:0:20", "0:0:10")},
        needs="dolfinx",
    ),
    "skfem": Contender("scikit-fem + PyAMG", "peer_skfem.py", (), PEER_FAMILIES, needs="skfem"),
    "jax_float64": Contender(
        "ablasim, JAX, float64", "peer_engine.py", ("--engine", "jax"), ENGINE_FAMILIES
    ),
    "jax_float32": Contender(
        "ablasim, JAX, float32",
        "peer_engine.py",
        ("--engine", "jax", "--dtype", "float32"),
        ENGINE_FAMILIES,
    ),
    "ablasim_dolfinx": Contender(
        "ablasim, dolfinx, 1 rank",
        "peer_engine.py",
        ("--engine", "dolfinx"),
        ENGINE_FAMILIES,
        needs="dolfinx",
    ),
}
NATURAL = Contender(
    "plain integral of sigma |grad phi|^2",
    "peer_skfem.py",
    ("--joule", "cells"),
    {"natural": ("0:0:10",)},
    needs="skfem",
)
"""What the form is worth: the heat of a cell shared equally by its corners, else the same."""


class Judge:
    """The case, and how far an answer is from the reference."""

    def __init__(self, resolution: str, place: Path):
        scenario, problem = load_case(resolution)
        self.resolution, self.problem = resolution, problem
        self.place = place / problem.fingerprint()[:16]
        self.place.mkdir(parents=True, exist_ok=True)
        Case.of(problem).write(self.place / "case.npz")
        self.cells, self.cell_volume = problem.mesh.cells, problem.mesh.cell_volumes()
        self.volume = problem.lump(np.ones(len(self.cells)))
        self.reference = self._reference("0.02:15" if resolution == "preview" else "0.004:15")
        self.fraction = self._fraction(self.reference["peak"])
        self.zone = float(self.cell_volume @ self.fraction)

    def _reference(self, control: str) -> dict[str, Floats]:
        """Fields of the run that is fine in time, from an earlier call of the same code."""
        name = f"reference-{sources()}"
        folder = self.place / name
        if not (folder / "runs.json").exists():
            solve(REFERENCE, self, name, (control,))
        self.reference_run = json.loads((folder / "runs.json").read_text())["runs"][0]
        with np.load(folder / "0.npz") as stored:
            return dict(stored)

    def _fraction(self, peak: Floats) -> Floats:
        """Share of every cell that reached LETHAL_C (m,)."""
        found: Floats = tet_fraction_above(peak[self.cells], LETHAL_C)
        return found

    def errors(self, fields: dict[str, Floats]) -> dict[str, float]:
        """Against the reference: volume and misplaced volume of the zone [%], temperature."""
        fraction = self._fraction(fields["peak"])
        apart = float(self.cell_volume @ np.abs(fraction - self.fraction))
        reference = self.reference["temperature"]
        rise = reference - self.problem.blood_temperature
        miss = fields["temperature"] - reference
        return {
            "volume_ml": 1e6 * float(self.cell_volume @ fraction),
            "volume_error_percent": 100.0 * (float(self.cell_volume @ fraction) / self.zone - 1.0),
            "misplaced_percent": 100.0 * apart / self.zone,
            "temperature_error": float(np.sqrt((self.volume @ miss**2) / (self.volume @ rise**2))),
        }


def sources() -> str:
    """Hash of the package: what its engine found yesterday is no reference for today's."""
    found = hashlib.sha256()
    for path in sorted((HERE.parent / "ablasim").rglob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()[:12]


def solve(who: Contender, judge: Judge, name: str, controls: Sequence[str]) -> dict[str, Any]:
    """Run a contender in processes of its own; what it left, each run with its errors."""
    folder = judge.place / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    engine = who.script == "peer_engine.py"
    case = judge.resolution if engine else str(judge.place / "case.npz")
    command = [sys.executable, str(HERE / who.script), case, str(folder), *who.options]
    command += ["--controls", *controls]
    if who.ranks > 1:
        command = [launcher(), "-n", str(who.ranks), *command]
    path = os.pathsep.join(filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH")]))
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": path}, timeout=LONGEST_RUN)
    left: dict[str, Any] = json.loads((folder / "runs.json").read_text())
    return left


def judged(who: Contender, judge: Judge, name: str, smoke: bool) -> dict[str, Any]:
    """A contender's result: families of runs with errors and the times to reach an error.

    Raises:
        WrongAnswerError: its finest answer is not that of the reference.
    """
    families = who.families
    if smoke:
        first, family = next(iter(families.items()))
        families = {first: family[:4:3]}
    controls = [control for family in families.values() for control in family]
    left = solve(who, judge, name, controls)
    for number, run in enumerate(left["runs"]):
        with np.load(judge.place / name / f"{number}.npz") as stored:
            run |= judge.errors(dict(stored))
    finest = max(left["runs"], key=lambda run: int(run["steps"]))
    check(who, finest)
    rows = iter(left.pop("runs"))
    grouped = {key: [next(rows) for _ in family] for key, family in families.items()}
    return {
        "title": who.title,
        "ranks": who.ranks,
        **left,
        "families": grouped,
        "seconds_to_volume_error": times_to(grouped, "volume_error_percent", TARGETS),
        "seconds_to_misplaced": times_to(grouped, "misplaced_percent", TARGETS),
    }


def check(who: Contender, run: dict[str, Any]) -> None:
    """The answer before any time."""
    found = {
        "temperature_error": (run["temperature_error"], WORST_TEMPERATURE),
        "volume_error_percent": (run["volume_error_percent"], WORST_VOLUME),
        "balance_error": (run["energy"]["balance_error"], WORST_BALANCE[who.kind]),
    }
    for key, (value, most) in found.items():
        if not abs(value) <= most:
            raise WrongAnswerError(f"{key} {value:.3g} with {run['control']}, allowed {most:g}")


def launcher() -> str:
    """The MPI of this Python; another one's would start so many lonely processes."""
    beside = Path(sys.executable).with_name("mpirun")
    return str(beside) if beside.exists() else shutil.which("mpirun") or "mpirun"


def obstacle(who: Contender) -> str | None:
    """Why a contender cannot run here; None where it can."""
    if find_spec(who.needs) is None:
        return f"{who.needs} is not installed"
    if who.kind != "peer" and who.options[1] not in ENGINES:
        return f"ablasim has no {who.options[1]} engine yet"
    if who.ranks > 1 and shutil.which(launcher()) is None:
        return "there is no mpirun"
    return None


def installed(package: str) -> str | None:
    """Version of a package; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def described(judge: Judge) -> dict[str, Any]:
    """The case in numbers."""
    problem: BioheatProblem = judge.problem
    return {
        "scenario": SCENARIO.stem,
        "resolution": judge.resolution,
        "fingerprint": problem.fingerprint(),
        "points": len(problem.mesh.points),
        "cells": len(problem.mesh.cells),
        "peer_versions": {name: installed(name) for name in PEER_PACKAGES},
        "left_out": "death models; blood that warms along the vessel",
        "reference": {
            "solved_by": "ablasim, JAX, float64",
            "volume_ml": 1e6 * judge.zone,
            "control": judge.reference_run["control"],
            "steps": judge.reference_run["steps"],
            "seconds": judge.reference_run["solve_s"],
            "impedance_ohm": judge.reference_run["impedance_ohm"],
        },
    }


def natural_form(judge: Judge) -> dict[str, float]:
    """How much the zone differs with the plain integral of the Joule heat."""
    left = solve(NATURAL, judge, "natural", NATURAL.families["natural"])
    with np.load(judge.place / "natural" / "0.npz") as stored:
        found = judge.errors(dict(stored))
    return {"control": left["runs"][0]["control"], **found}


def main() -> None:
    """Run and write `results/peers.json`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="preview mesh, nothing written")
    parser.add_argument("--only", choices=(*CONTENDERS, "natural"), action="append")
    parser.add_argument("--table", action="store_true", help="print the table that is there")
    parser.add_argument("--place", type=Path, default=HERE.parent / "out" / "peers")
    options = parser.parse_args()
    kept = record.RESULTS / "peers.json"
    if options.table:
        print(table(json.loads(kept.read_text())))
        return
    judge = Judge("preview" if options.smoke else "standard", options.place)
    content: dict[str, Any] = {"case": described(judge), "contenders": {}, "skipped": {}}
    if options.only and kept.exists() and not options.smoke:
        before = json.loads(kept.read_text())
        if before["case"]["fingerprint"] == content["case"]["fingerprint"]:
            content |= {k: before[k] for k in ("contenders", "skipped", "natural") if k in before}
    for name in options.only or (*CONTENDERS, "natural"):
        if name == "natural":
            content["natural"] = natural_form(judge)
            continue
        reason = obstacle(CONTENDERS[name])
        content["skipped"].pop(name, None)
        if reason is not None:
            content["skipped"][name] = reason
            print(f"{CONTENDERS[name].title}: skipped, {reason}", file=sys.stderr)
            continue
        print(f"{CONTENDERS[name].title} ...", file=sys.stderr, flush=True)
        try:
            content["contenders"][name] = judged(CONTENDERS[name], judge, name, options.smoke)
        except (WrongAnswerError, subprocess.SubprocessError) as fault:
            content["contenders"].pop(name, None)
            content["skipped"][name] = f"no times, because its run failed: {fault}"
            print(f"{CONTENDERS[name].title}: {fault}", file=sys.stderr)
        if not options.smoke:
            record.write("peers", content)  # so that what was measured survives what comes
    if options.smoke:
        print(json.dumps(content, indent=2))
    else:
        record.write("peers", content)
    print(table(content))


if __name__ == "__main__":
    main()
