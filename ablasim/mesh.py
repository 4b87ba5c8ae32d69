"""Meshes: from an Anatomy (cached) or from a file.

One import for everything the rest of the project needs; the work is done in ``mesh_tet`` (the
data), ``mesher`` (MMG), ``mesh_cache`` and ``mesh_io`` (meshio).
"""

from __future__ import annotations

from ablasim.mesh_cache import cached_mesh
from ablasim.mesh_io import read_mesh, write_mesh
from ablasim.mesh_tet import TetMesh, boundary_faces, interface_faces
from ablasim.mesher import mesh_anatomy

__all__ = [
    "TetMesh",
    "boundary_faces",
    "cached_mesh",
    "interface_faces",
    "mesh_anatomy",
    "read_mesh",
    "write_mesh",
]
