"""Meshes kept between runs, under the hash of what decides them.

One .npz per mesh (plain arrays, never pickled), written to a temporary name and renamed. What is
read back is checked; a damaged file is thrown away and the mesh made anew.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from ablasim.anatomy import Anatomy
from ablasim.cache import cache_directory
from ablasim.mesh_sizes import sizes_of
from ablasim.mesh_tet import TetMesh
from ablasim.mesher import MESHER_VERSION, mesh_anatomy
from ablasim.progress import Progress, ProgressCallback
from ablasim.shapes import content_hash

ARRAYS = ("points", "cells", "cell_region", "faces", "face_surface")

log = logging.getLogger(__name__)


def cached_mesh(
    anatomy: Anatomy, resolution: str, *, progress: ProgressCallback | None = None
) -> TetMesh:
    """The mesh of an anatomy, from the cache where it was made before.

    A cache that cannot be written costs time only: the reason is logged.

    Args:
        anatomy: what to mesh.
        resolution: "preview", "standard" or "fine".
        progress: told of the stage "mesh".
    """
    path = mesh_path(anatomy, resolution)
    mesh = load(path)
    if mesh is not None:
        if progress is not None:
            progress(Progress("mesh", 1.0, "read from the cache"))
        return mesh
    mesh = mesh_anatomy(anatomy, resolution, progress=progress)
    try:
        store(path, mesh)
    except OSError as error:
        log.warning("%s: the mesh could not be kept (%s)", path, error.strerror or error)
    return mesh


def mesh_path(anatomy: Anatomy, resolution: str) -> Path:
    """Where the mesh of an anatomy is kept."""
    key = content_hash(anatomy.key(), sizes_of(resolution), MESHER_VERSION)
    return cache_directory() / "meshes" / f"{resolution}-{key[:32]}.npz"


def store(path: Path, mesh: TetMesh) -> None:
    """Write a mesh whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: getattr(mesh, name) for name in ARRAYS}
    names = json.dumps({"regions": mesh.regions, "surfaces": mesh.surfaces})
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".mesh-", suffix=".npz")
    try:
        with os.fdopen(handle, "wb") as stream:
            np.savez(
                stream,
                names=np.frombuffer(names.encode(), dtype=np.uint8),
                checksum=np.array(content_hash(names, *arrays.values())),
                **arrays,
            )
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def load(path: Path) -> TetMesh | None:
    """Read a mesh back; None where there is none or it is damaged (then it is removed)."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ARRAYS}
            names = file["names"].tobytes().decode()
            checksum = str(file["checksum"])
        if checksum != content_hash(names, *arrays.values()):
            raise ValueError("checksum")
        known = json.loads(names)
        return TetMesh(**arrays, regions=tuple(known["regions"]), surfaces=tuple(known["surfaces"]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        log.warning("%s: damaged (%s); the mesh is made again", path, error)
        with contextlib.suppress(OSError):
            path.unlink()
        return None
