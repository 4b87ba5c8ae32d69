"""The arrows between modules: who may import whom, read from the sources."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "ablasim"

LAWS = ("physics.tissue", "physics.electric", "physics.microwave", "physics.vessels")
LAWS += ("physics.generator", "physics.generator_pulsed", "physics.generator_ramp")
LAWS += ("physics.generator_steps", "physics.generator_temperature", "physics.damage")
LAWS += ("physics.blood", "physics.nusselt")
LAWS += ("physics.dielectric", "physics.antenna_section", "physics.antenna_field")
LAWS += ("physics.antenna",)
CHECKED = (
    "physics.tissue",
    "physics.dielectric",
    "physics.vessels",
    "physics.nusselt",
    "physics.damage",
)

# From top to bottom, the way the data flows. A module may import from its own layer and from those
# above. A name also covers what is inside it (`solve.kernels` in `solve`) and its parts (`mesh_cut`
# of `mesh`).
LAYERS = (
    "errors frames progress cache remedies revision",
    "team",
    "safe_yaml",
    " ".join(CHECKED),  # above the scenario, which refuses or warns of what they do not cover
    "catalogue",  # above the scenario, which checks its names against the catalogue
    "shapes centreline",
    "anatomy_probes",  # above the scenario, which refuses sensors in metal
    "scenario",
    "anatomy labelmap mesh mesher",
    "own_mesh",
    " ".join(law for law in LAWS if law not in CHECKED),
    "physics.antenna_coupling physics.antenna_heat",
    "physics.problem",
    "physics.finite",
    "physics.binding",
    "solve.solution solve.layout solve.checkpoint",
    "solve.engine solve.step_control",
    "solve.stepping",
    "solve.mixed",
    "solve.kernels",
    "solve.heat solve.electric",
    "solve.field_heat solve.multigrid solve.rkc solve.potential solve.streams solve.setup",
    "solve.bdf",
    "solve.dolfinx_start solve.dolfinx_forms solve.dolfinx_options",
    "solve.dolfinx_share",
    "solve.dolfinx_matrices solve.dolfinx_blood solve.dolfinx_supply solve.dolfinx_volumes",
    "solve.dolfinx_heat",
    "solve.dolfinx_potential",
    "solve.dolfinx_quadratic solve.dolfinx_state",
    "solve.dolfinx_sources solve.dolfinx_dose",
    "solve.jax_state solve.jax_stasis solve.jax_device",
    "solve.jax_dose solve.jax_drying",
    "solve.jax_step",
    "solve.jax_engine solve.dolfinx_engine",
    "solve.batch_setup",
    "solve.batch",
    "solve.dolfinx_team",
    "solve",
    "assess",
    "report",
    "view",
    "run",
    "study",  # many runs: risk, sweeps, atlas
    "verify.case",
    "verify.runner verify.exact verify.patches",
    "verify.scenes verify.runs verify.cube",
    "verify",
    "doctor",
    "cli_lead cli_options cli_output cli_progress cli_scenario",
    "cli_atlas cli_compare cli_doctor cli_info cli_risk cli_sweep cli_verify",
    "cli",
    "__main__",
)
ENGINES = ("solve.jax_engine", "solve.dolfinx_engine")
JAX = (
    "solve.mixed",
    "solve.kernels",
    "solve.heat",
    "solve.electric",
    "solve.multigrid",
    "solve.rkc",
    "solve.potential",
    "solve.setup",
)
JAX += ("solve.jax_state", "solve.jax_stasis", "solve.jax_dose", "solve.jax_drying")
JAX += ("solve.jax_step", "solve.jax_engine", "solve.streams", "solve.batch", "solve.jax_device")

# Who alone may import a library (and what a library drags along).
LIBRARIES = {
    "jax": (*JAX, "verify.fields"),
    "jaxlib": JAX,
    "dolfinx": ("solve.dolfinx",),
    "dolfinx_solver": ("solve.dolfinx",),
    "petsc4py": ("solve.dolfinx",),
    "mpi4py": ("solve.dolfinx",),
    "pyvista": ("view", "report"),
    "vtk": ("view", "report"),
    "vtkmodules": ("view", "report"),
    "SimpleITK": ("labelmap",),
    "meshio": ("mesh",),
    "mmgpy": ("mesh", "mesher"),
    "distributed": ("study",),
    "pyarrow": ("study",),
    "skfem": ("physics.antenna", "verify.antenna"),
}
NEVER = ("pickle", "marshal", "shelve", "urllib.request", "requests", "socket", "http.client")


@dataclass(frozen=True)
class Arrow:
    """One import statement: `for_types` if only a type checker sees it."""

    source: str
    target: str
    for_types: bool
    place: str

    def __str__(self) -> str:
        return f"{self.place}: {self.source} -> {self.target}"


def covers(name: str, module: str) -> bool:
    """Whether a name of the tables above means this module."""
    return module == name or module.startswith((f"{name}.", f"{name}_"))


def layer_of(module: str) -> int | None:
    """Index into LAYERS; the longest name that covers the module decides."""
    found = [
        (len(name), index)
        for index, layer in enumerate(LAYERS)
        for name in layer.split()
        if covers(name, module)
    ]
    return max(found)[1] if found else None


def module_name(path: Path, package: Path) -> str:
    """`solve.kernels` for solve/kernels.py, `solve` for solve/__init__.py."""
    parts = path.relative_to(package).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def arrows_of(path: Path, package: Path) -> Iterator[Arrow]:
    """Every import of a file, also those inside functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    source = module_name(path, package)
    for_types = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for statement in block.body
        for node in ast.walk(statement)
    }
    here = [*source.split("."), ""] if path.stem == "__init__" and source else source.split(".")
    for node in ast.walk(tree):
        targets: list[str] = []
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join(["ablasim", *here[: len(here) - node.level], *base.split(".")])
            base = base.rstrip(".")
            for alias in node.names:
                inside = package.joinpath(*base.split(".")[1:], alias.name)
                is_module = base.split(".")[0] == "ablasim" and (
                    inside.with_suffix(".py").is_file() or (inside / "__init__.py").is_file()
                )
                targets.append(f"{base}.{alias.name}" if is_module else base)
        for target in targets:
            place = f"{path.name}:{node.lineno}"
            yield Arrow(source, target, id(node) in for_types, place)


def arrows(package: Path) -> list[Arrow]:
    """Every import of a package tree."""
    return [arrow for path in sorted(package.rglob("*.py")) for arrow in arrows_of(path, package)]


def wrong_arrows(package: Path) -> list[str]:
    """What breaks the rules, one line each."""
    found = dict.fromkeys(arrows(package))  # `from x import a, b` is one arrow
    return [f"{arrow}: {fault}" for arrow in found if (fault := fault_of(arrow))]


def fault_of(arrow: Arrow) -> str | None:
    """What is wrong with an arrow; None if nothing is."""
    if any(arrow.target == name or arrow.target.startswith(f"{name}.") for name in NEVER):
        return "never in this project"
    head, _, inner = arrow.target.partition(".")
    if head == "ablasim":
        # The package itself holds only lazy names; what it names for types is no arrow.
        return None if arrow.source == "" or inner == "" else _inner_fault(arrow.source, inner)
    allowed = LIBRARIES.get(head)
    if allowed is None or arrow.for_types or any(covers(name, arrow.source) for name in allowed):
        return None
    return f"only {', '.join(allowed)} may import {head}"


def _inner_fault(source: str, target: str) -> str | None:
    if source in ENGINES and target in ENGINES and source != target:
        return "an engine never imports the other"
    if source.startswith("solve") and covers("scenario", target):
        return "an engine never sees a scenario"
    forbidden = ("mesh", "mesher", "solve", "scenario", "anatomy", "physics.problem")
    if source in LAWS and any(covers(name, target) for name in forbidden):
        return "a law never sees a mesh, an engine or a scenario"
    below, above = layer_of(source), layer_of(target)
    if below is None or above is None:
        return f"{source if below is None else target} stands in no layer of this test"
    return None if above <= below else "imports from below"


def test_every_arrow_points_upwards() -> None:
    found = arrows(PACKAGE)
    assert len(found) > 100, "the sources were not read"
    assert wrong_arrows(PACKAGE) == []


@pytest.mark.parametrize(
    ("file", "line", "fault"),
    [
        ("mesh_cut.py", "from ablasim.solve import solve", "imports from below"),
        ("assess/zone.py", "from ..run import run", "imports from below"),
        ("report/html.py", "import ablasim.view.scene", "imports from below"),
        ("physics/tissue.py", "from ablasim import mesh", "a law never sees"),
        ("solve/stepping.py", "from ablasim.scenario import Scenario", "never sees a scenario"),
        ("solve/jax_engine.py", "from . import dolfinx_engine", "never imports the other"),
        ("assess/margin.py", "def f():\n    import jax.numpy as jnp", "may import jax"),
        ("cli_verify.py", "from ablasim import cli", "imports from below"),
        ("run.py", "import pyvista as pv", "may import pyvista"),
        ("anatomy.py", "from SimpleITK import ReadImage", "may import SimpleITK"),
        ("physics/problem.py", "import meshio", "may import meshio"),
        ("run.py", "import pickle", "never in this project"),
        ("brand_new.py", "from ablasim.errors import UsageError", "stands in no layer"),
    ],
)
def test_a_wrong_arrow_is_found(tmp_path: Path, file: str, line: str, fault: str) -> None:
    package = tmp_path / "ablasim"
    for name in (file, "cli.py", "mesh.py", "run.py", "view/scene.py", "solve/dolfinx_engine.py"):
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (package / file).write_text(f"{line}\n", encoding="utf-8")
    (found,) = wrong_arrows(package)
    assert fault in found
    assert f"{Path(file).name}:" in found


def test_a_right_arrow_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ablasim" / "assess" / "zone.py"
    path.parent.mkdir(parents=True)
    lines = ("import numpy", "from ablasim.mesh_cut import f", "from ablasim.errors import g")
    path.write_text("\n".join(lines), encoding="utf-8")
    assert wrong_arrows(tmp_path / "ablasim") == []


HEAVY = ("jax", "dolfinx", "vtk", "vtkmodules", "pyvista", "SimpleITK", "mmgpy", "matplotlib")


@pytest.mark.parametrize(
    "code",
    [
        "import ablasim",
        "import ablasim.cli; assert ablasim.cli.main(['--help']) == 0",
        "import ablasim.scenario",
    ],
)
def test_nothing_heavy_is_loaded(code: str) -> None:
    code += f"\nimport sys\nprint('loaded:', [m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "loaded: []"


def test_every_public_name_is_there() -> None:
    import ablasim

    for name in ablasim.__all__:
        assert getattr(ablasim, name) is not None, name
    with pytest.raises(AttributeError, match="nonsense"):
        _ = ablasim.nonsense
