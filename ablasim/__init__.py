"""Open simulator of liver tumour ablation: which tissue dies, and with how much margin.

The public names below are loaded when they are first used, so that `import ablasim` costs nothing:

    scenario = ablasim.load_scenario("scenarios/rf_beside_portal_vein.yaml")
    result = ablasim.run_scenario(scenario, out=Path("out/demo"))

Research software, not a medical device.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ablasim.anatomy import Anatomy, build_anatomy
    from ablasim.errors import AblasimError
    from ablasim.mesh import TetMesh, cached_mesh, mesh_anatomy, read_mesh, write_mesh
    from ablasim.progress import Progress
    from ablasim.report.compare import Comparison, compare
    from ablasim.run import RunResult
    from ablasim.run import run as run_scenario
    from ablasim.scenario import Scenario, load_scenario
    from ablasim.solve import solve as solve_problem
    from ablasim.solve.solution import Solution
    from ablasim.study.atlas import Atlas, load_atlas
    from ablasim.study.risk import risk
    from ablasim.study.risk_result import RiskResult
    from ablasim.study.sweep import SweepResult, sweep

__version__ = "0.1.0"

# Where each public name lives. The names of modules (`run`, `solve`, `mesh`) stay with the modules:
# a function of that name would be replaced by its module as soon as anything imported the module.
_HOMES = {
    "AblasimError": "ablasim.errors:AblasimError",
    "Anatomy": "ablasim.anatomy:Anatomy",
    "Atlas": "ablasim.study.atlas:Atlas",
    "Comparison": "ablasim.report.compare:Comparison",
    "Progress": "ablasim.progress:Progress",
    "RiskResult": "ablasim.study.risk_result:RiskResult",
    "RunResult": "ablasim.run:RunResult",
    "Scenario": "ablasim.scenario:Scenario",
    "Solution": "ablasim.solve.solution:Solution",
    "SweepResult": "ablasim.study.sweep:SweepResult",
    "TetMesh": "ablasim.mesh:TetMesh",
    "build_anatomy": "ablasim.anatomy:build_anatomy",
    "cached_mesh": "ablasim.mesh:cached_mesh",
    "compare": "ablasim.report.compare:compare",
    "load_atlas": "ablasim.study.atlas:load_atlas",
    "load_scenario": "ablasim.scenario:load_scenario",
    "mesh_anatomy": "ablasim.mesh:mesh_anatomy",
    "read_mesh": "ablasim.mesh:read_mesh",
    "risk": "ablasim.study.risk:risk",
    "run_scenario": "ablasim.run:run",
    "solve_problem": "ablasim.solve:solve",
    "sweep": "ablasim.study.sweep:sweep",
    "write_mesh": "ablasim.mesh:write_mesh",
}

__all__ = [
    "AblasimError",
    "Anatomy",
    "Atlas",
    "Comparison",
    "Progress",
    "RiskResult",
    "RunResult",
    "Scenario",
    "Solution",
    "SweepResult",
    "TetMesh",
    "__version__",
    "build_anatomy",
    "cached_mesh",
    "compare",
    "load_atlas",
    "load_scenario",
    "mesh_anatomy",
    "read_mesh",
    "risk",
    "run_scenario",
    "solve_problem",
    "sweep",
    "write_mesh",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'ablasim' has no attribute {name!r}")
    module, _, attribute = home.partition(":")
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
