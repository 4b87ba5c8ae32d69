"""What the verification problems share: one tissue with constant laws, standard sizes, a run.

Common set of the closed forms unless a case says otherwise: k = 0.52 W/m/K, rho c = 1079 x 3540
J/m3/K, W = 1000 x 3639 x 3.6e-3 W/m3/K, sigma = 0.333 S/m, body temperature 37 °C.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ablasim.anatomy import Anatomy, ProbeShape, Solid, block_solid
from ablasim.catalogue import NeedleShape, ProbeData
from ablasim.mesh import TetMesh
from ablasim.mesh_sizes import sizes_of
from ablasim.physics.generator import ConstantGenerator
from ablasim.physics.problem import BioheatProblem, Laws, Materials
from ablasim.shapes import Sdf
from ablasim.solve import Solution, Status, StepControl, solve
from ablasim.solve.engine import Engine
from ablasim.verify.patches import spaced
from ablasim.verify.runner import inner_progress, require

Floats = NDArray[np.float64]

BODY = 37.0
K = 0.52
CAPACITY = 1079.0 * 3540.0
PERFUSION = 1000.0 * 3639.0 * 3.6e-3
SIGMA = 0.333

LINEAR = Laws(vaporisation_band=(1e8, 2e8))
"""No vaporisation at any temperature that occurs: the laws are then those of the closed forms."""


STEADY = StepControl(longest=200.0)
"""Long steps towards a steady state."""

ACCOUNT = 1e-8
"""Relative error of the heat account above which a run is no basis for a comparison."""


Solver = Callable[[BioheatProblem, StepControl | None], Solution]


def by_jax(problem: BioheatProblem, control: StepControl | None) -> Solution:
    """The solution of the engine jax on the CPU: what cases are solved with."""
    return solve(problem, control=control, device="cpu", progress=inner_progress())


def by_dolfinx(problem: BioheatProblem, control: StepControl | None) -> Solution:
    """The solution of the engine dolfinx."""
    return solve(problem, engine="dolfinx", control=control, progress=inner_progress())


EngineOf = Callable[[BioheatProblem], Engine]


def jax_engine(problem: BioheatProblem) -> Engine:
    """The engine jax on the CPU, for what is not a run."""
    from ablasim.solve.jax_engine import JaxEngine

    return JaxEngine(problem, device="cpu")


def dolfinx_engine(problem: BioheatProblem) -> Engine:
    """The engine dolfinx on one rank, for what is not a run."""
    from ablasim.solve.dolfinx_engine import DolfinxEngine

    return DolfinxEngine(problem)


_solver: ContextVar[Solver] = ContextVar("solver", default=by_jax)


@contextmanager
def solving_with(solver: Solver) -> Iterator[None]:
    """While it lasts, cases are solved with another solver."""
    token = _solver.set(solver)
    try:
        yield
    finally:
        _solver.reset(token)


def end_of(problem: BioheatProblem, control: StepControl | None = None) -> Solution:
    """The solution of a problem; its heat account must close.

    Raises:
        ConvergenceError: the run stopped early, or its heat account does not close.
    """
    return checked(_solver.get()(problem, control))


def checked(solution: Solution) -> Solution:
    """The same solution, if a comparison can be based on it.

    Raises:
        ConvergenceError: the run stopped early, or its heat account does not close.
    """
    require(solution.status is Status.DONE, f"the run ended: {solution.status.value}")
    balance = abs(solution.energy["balance_error"])
    require(balance < ACCOUNT, f"the heat account is off by {balance:.1e} of its largest part")
    return solution


def excess(problem: BioheatProblem, control: StepControl | None = None) -> Floats:
    """Temperature above body temperature at the end of a run (n,) [K]."""
    return end_of(problem, control).temperature - BODY


def near(values: Floats, wanted: float, reach: float) -> NDArray[np.bool_]:
    """Mask (n,) of the points within a distance of a surface on which `values` is `wanted`."""
    mask: NDArray[np.bool_] = np.abs(values - wanted) < reach
    require(int(mask.sum()) >= 5, f"only {mask.sum()} points lie near {wanted:g}")
    return mask


def root_mean_square(values: Floats) -> float:
    """Square root of the mean square."""
    return float(np.sqrt(np.mean(values**2)))


def tissue(
    *,
    perfusion: float = 0.0,
    conductivity_slope: float = 0.0,
    sigma_slope: float = 0.0,
    regions: int = 1,
) -> Materials:
    """Liver in every region, without whatever is not asked for."""

    def all_regions(value: float) -> Floats:
        return np.full(regions, value)

    return Materials(
        wet_capacity=all_regions(CAPACITY),
        dry_capacity=all_regions(0.6e6),
        latent_heat=all_regions(1079.0 * 0.74 * 2.26e6),
        conductivity=all_regions(K),
        conductivity_slope=all_regions(conductivity_slope),
        perfusion=all_regions(perfusion),
        sigma=all_regions(SIGMA),
        sigma_slope=all_regions(sigma_slope),
        sigma_dry_ratio=all_regions(0.01),
    )


def off(duration: float) -> ConstantGenerator:
    """No drive, for a time [s]."""
    return ConstantGenerator("power", 0.0, duration)


def held(mesh: TetMesh, values: Mapping[str, float | Floats]) -> Floats:
    """`fixed_temperature` (n,) that holds surfaces at a number or at values per point [°C]."""
    fixed = np.full(len(mesh.points), np.nan)
    for name, value in values.items():
        points = np.unique(mesh.surface_faces(name))
        assert len(points), name
        fixed[points] = value if np.isscalar(value) else np.asarray(value)[points]
    return fixed


def hot_size(resolution: str, x: Floats) -> Floats:
    """Edge lengths of a resolution at distances (n,) from a hot surface (n,) [m]."""
    s = sizes_of(resolution)
    near = s.electrode + s.electrode_growth * x
    slow = s.plateau + s.plateau_growth * np.minimum(x, s.reach)
    far = s.outer_growth * np.maximum(x - s.reach, 0.0)
    return np.minimum(np.minimum(near, slow + far), s.largest)


def hot_line(stops: Sequence[float], resolution: str = "standard", refine: int = 1) -> Floats:
    """Points from a hot plane at 0 through all stops [m], spaced by a resolution's sizes.

    Args:
        stops: coordinates that are met exactly, rising [m].
        resolution: of the sizes.
        refine: into how many parts every interval is cut.
    """
    return spaced((0.0, *stops), partial(hot_size, resolution), refine)


def ball_around(
    hot: Sdf,
    *,
    tip: float,
    length: float,
    radius: float,
    block: float,
    bodies: tuple[Solid, ...] = (),
    tumour: Sdf | None = None,
) -> Anatomy:
    """A made-up probe on the z axis in a ball around the origin, for the product's mesher.

    Args:
        hot: where the heat is released, for the sizes.
        tip: z of the probe's tip [m].
        length: of its active part [m].
        radius: of its shaft, for the sizes [m].
        block: radius of the ball [m].
        bodies: what the probe takes from the tissue.
        tumour: a second region.
    """
    data = ProbeData(
        "made up", "rf", NeedleShape(2.0 * radius, length, "flat"), None, None, efficiency=1.0
    )
    probe = ProbeShape(data, (0.0, 0.0, tip), (0.0, 0.0, 1.0), 0.0, bodies, hot)
    ball = block_solid("sphere", np.zeros(3), (2.0 * block,) * 3)
    return Anatomy(ball, None, tumour, (), (probe,), {"liver": "liver"})


def point_weights(mesh: TetMesh, place: Floats) -> Floats:
    """Values of the hat functions (n,) at a place (3,) [m]: the load of a point source there."""
    corner = mesh.points[mesh.cells]
    edges = np.moveaxis(corner[:, 1:] - corner[:, :1], 1, 2)
    inner = np.linalg.solve(edges, (place - corner[:, 0])[..., None])[..., 0]
    share = np.column_stack([1.0 - inner.sum(axis=1), inner])
    home = int(np.argmax(share.min(axis=1)))
    assert share[home].min() > -1e-9, "the place lies outside the mesh"
    weights = np.zeros(len(mesh.points))
    weights[mesh.cells[home]] = share[home]
    return weights
