"""Blood that warms along the walls, for the implicit engine: each rank has a part of every wall.

The stations' wall temperatures are means over wall points of all ranks; they are summed, and every
rank then knows the blood. The laws are those of `physics.blood`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablasim.physics.blood import STASIS_SECONDS, STASIS_WALL_C, BloodTree, blood_response
from ablasim.physics.problem import BioheatProblem
from ablasim.solve.dolfinx_share import Floats, Share


@dataclass(frozen=True, eq=False)
class _Tube:
    """One wall with a stream.

    Attributes:
        wall: number of the wall.
        tree: its branches.
        inlet: temperature of the blood that enters [°C].
        coagulates: 1 for branches that lose their flow to heat (c,).
        point: this rank's wall points (b,).
        conductance: their h A (b,) [W/K].
        station, weight: the two stations of each and their weights (b, 2).
        share: of each point in the means of its stations (b, 2).
        mean, outlet: `blood_response` of the tree.
        stopped_with: of the tree.
        first: number of its first branch among those of all tubes.
    """

    wall: int
    tree: BloodTree
    inlet: float
    coagulates: Floats
    point: NDArray[np.int64]
    conductance: Floats
    station: NDArray[np.int64]
    weight: Floats
    share: Floats
    mean: Floats
    outlet: Floats
    stopped_with: Floats
    first: int

    @property
    def branches(self) -> slice:
        """Its branches among those of all tubes."""
        return slice(self.first, self.first + len(self.tree.capacity))

    @property
    def branch(self) -> NDArray[np.int64]:
        """Of each station, counted in this tube (s,)."""
        return np.array(self.tree.branch, dtype=np.int64)


class Blood:
    """The streams of all walls; without any, everything is zero."""

    def __init__(
        self,
        share: Share,
        problem: BioheatProblem | None,
        facts: BioheatProblem,
        conductance: Floats,
    ):
        """Deal out the walls' stations.

        Args:
            share: this rank's part of the mesh.
            problem: the whole problem on rank 0, None elsewhere.
            facts: the problem without arrays over the mesh.
            conductance: h A of every wall at this rank's points (w, v) [W/K].
        """
        self.share, self.points = share, conductance.shape[1]
        self.walls = len(facts.walls)
        self.tubes: list[_Tube] = []
        self.count = 0
        for number, wall in enumerate(facts.walls):
            if wall.stream is None:
                continue
            tree = wall.stream.tree
            table = None
            if problem is not None:
                whole = problem.walls[number]
                assert whole.stream is not None
                table = np.zeros((4, len(problem.mesh.points)))
                table[:2, whole.points] = whole.stream.station.T
                table[2:, whole.points] = whole.stream.weight.T
            mine = share.own(table)
            point = np.flatnonzero(conductance[number] > 0.0)
            station, weight = mine[:2, point].T.astype(np.int64), mine[2:, point].T
            area = weight * conductance[number][point, None]
            size = len(tree.branch)
            total = share.total(np.bincount(station.ravel(), area.ravel(), minlength=size))
            mean, outlet = blood_response(tree, total)
            self.tubes.append(
                _Tube(
                    wall=number,
                    tree=tree,
                    inlet=wall.temperature,
                    coagulates=np.array(wall.stream.coagulates, dtype=float),
                    point=point,
                    conductance=conductance[number][point],
                    station=station,
                    weight=weight,
                    share=area / np.where(total > 0.0, total, 1.0)[station],
                    mean=mean,
                    outlet=outlet,
                    stopped_with=tree.stopped_with(),
                    first=self.count,
                )
            )
            self.count += len(tree.capacity)

    def _rings(self, temperature: Floats) -> list[Floats]:
        """Mean excess of the wall over the inlet at the stations of each tube (s,) [K]."""
        parts = []
        for tube in self.tubes:
            excess = temperature[tube.point] - tube.inlet
            size = len(tube.tree.branch)
            terms = (tube.share * excess[:, None]).ravel()
            parts.append(np.bincount(tube.station.ravel(), terms, minlength=size))
        if not parts:
            return []
        joined = self.share.total(np.concatenate(parts))
        return list(np.split(joined, np.cumsum([len(part) for part in parts])[:-1]))

    def _felt(self, tube: _Tube, ring: Floats, temperature: Floats, flowing: Floats) -> Floats:
        """Excess of the blood that each wall point feels (b,) [K]; blood at rest takes the wall's
        temperature."""
        flow = flowing[tube.branches][tube.branch]
        blood = tube.mean @ (flow * ring)
        excess = temperature[tube.point] - tube.inlet
        flow = flow[tube.station]
        felt = flow * blood[tube.station] + (1.0 - flow) * excess[:, None]
        total: Floats = (tube.weight * felt).sum(axis=1)
        return total

    def felt(self, temperature: Floats, flowing: Floats) -> dict[int, Floats]:
        """For each wall with a stream, the excess of its blood over the inlet (v,) [K], as the
        wall's points feel it; zero at other points."""
        found = {}
        for tube, ring in zip(self.tubes, self._rings(temperature), strict=True):
            found[tube.wall] = np.zeros(len(temperature))
            found[tube.wall][tube.point] = self._felt(tube, ring, temperature, flowing)
        return found

    def at_rest(self, flowing: Floats) -> dict[int, Floats]:
        """For each wall with a stream, the share of each point's blood that stands (v,): there the
        wall takes no heat."""
        found = {}
        for tube in self.tubes:
            rest = 1.0 - flowing[tube.branches][tube.branch]
            found[tube.wall] = np.zeros(self.points)
            found[tube.wall][tube.point] = (tube.weight * rest[tube.station]).sum(axis=1)
        return found

    def ends(self, temperature: Floats, flowing: Floats) -> Floats:
        """Excess of the blood at the end of each branch (c,) [K], zero where it stands."""
        found = np.zeros(self.count)
        for tube, ring in zip(self.tubes, self._rings(temperature), strict=True):
            mine = flowing[tube.branches]
            found[tube.branches] = mine * (tube.outlet @ (mine[tube.branch] * ring))
        return found

    def flowing(self, hot_seconds: Floats) -> Floats:
        """1 for the branches that have their flow, 0 for the others (c,)."""
        left = np.ones(self.count)
        for tube in self.tubes:
            clotted = hot_seconds[tube.branches] >= STASIS_SECONDS
            left[tube.branches] = np.where(tube.stopped_with @ clotted > 0.0, 0.0, 1.0)
        return left

    def clock(self, before: Floats, temperature: Floats, step: float) -> Floats:
        """For how long each branch has had a ring of wall above STASIS_WALL_C (c,) [s]."""
        after = before.copy()
        for tube, ring in zip(self.tubes, self._rings(temperature), strict=True):
            hot = np.zeros(len(tube.tree.capacity), dtype=bool)
            np.logical_or.at(hot, tube.branch, ring + tube.inlet > STASIS_WALL_C)
            hot &= tube.coagulates > 0.0
            now = before[tube.branches]
            going = np.where(hot, now + step, 0.0)
            after[tube.branches] = np.where(now >= STASIS_SECONDS, now, going)
        return after
