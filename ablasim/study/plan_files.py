"""How samples are computed, as files for worker processes: plain data and arrays, no pickles."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from ablasim.anatomy import build_anatomy
from ablasim.errors import ResourceError
from ablasim.mesh import TetMesh
from ablasim.mesh_cache import load as load_mesh
from ablasim.mesh_cache import store as store_mesh
from ablasim.own_mesh import own_anatomy
from ablasim.revision import require_revision, revision
from ablasim.scenario import Scenario
from ablasim.study.case import Case, bind
from ablasim.study.chunk_store import ChunkStore
from ablasim.study.displacement import MovedField
from ablasim.study.sampling import Plan

FACTS, COLUMNS, MESH = "plan.json", "columns.npz", "mesh.npz"


def write_plan(plan: Plan, results: ChunkStore, directory: Path) -> None:
    """Write a plan, and where its results go, into a directory that exists."""
    facts = {
        "scenario": plan.case.scenario.model_dump(mode="json"),
        "vessels": [vessel.name for vessel in plan.case.anatomy.vessels],
        "moved": plan.moved is not None,
        "numbers": [plan.chunk, plan.device, plan.dtype],
        "revision": revision(),
        "results": [str(results.directory.absolute()), results.key],
    }
    (directory / FACTS).write_text(json.dumps(facts), encoding="utf-8")
    store_mesh(directory / MESH, plan.case.mesh)
    columns = {name: np.asarray(values.tolist()) for name, values in plan.columns.items()}
    arrays = {f"in_{name}": values for name, values in columns.items()}
    np.savez(directory / COLUMNS, nodes=plan.nodes, **arrays)  # type: ignore[arg-type]
    ChunkStore(directory, "").save_correction(plan.correction)


def read_plan(directory: Path) -> tuple[Plan, ChunkStore]:
    """The plan in a directory, and where its results go.

    Raises:
        InputFileError: another ablasim wrote it.
        ResourceError: a file is missing or damaged.
    """
    facts = json.loads((directory / FACTS).read_text(encoding="utf-8"))
    require_revision(facts["revision"])
    mesh, correction = load_mesh(directory / MESH), ChunkStore(directory, "").load_correction()
    if mesh is None or correction is None:
        raise ResourceError(f"{directory}: a file of the study cannot be read again")
    with np.load(directory / COLUMNS, allow_pickle=False) as arrays:
        nodes = arrays["nodes"]
        columns = {name[3:]: arrays[name] for name in arrays if name.startswith("in_")}
    case = _case(Scenario.model_validate(facts["scenario"]), facts["vessels"], mesh)
    chunk, device, dtype = facts["numbers"]
    moved = MovedField(case, nodes) if facts["moved"] else None
    plan = Plan(case, columns, correction, moved, nodes, chunk, device, dtype)
    place, key = facts["results"]
    return plan, ChunkStore(Path(place), key)


def _case(scenario: Scenario, vessels: list[str], mesh: TetMesh) -> Case:
    """A geometry with these vessels, on its mesh."""
    if scenario.mesh is not None:
        return bind(scenario, own_anatomy(scenario), mesh)
    anatomy = build_anatomy(scenario)
    kept = tuple(vessel for vessel in anatomy.vessels if vessel.name in vessels)
    return bind(scenario, replace(anatomy, vessels=kept), mesh)
