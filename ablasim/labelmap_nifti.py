"""A look into a NIfTI-1 or -2 file before ITK reads it: is it whole, is its frame a rotation.

ITK silently squares up a sheared frame and fills what is cut off; both would move the patient.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ablasim.errors import InputFileError

ORTHONORMAL = 1e-3  # largest scalar product of two axes that counts as rounding


def check_nifti(path: Path) -> None:
    """Refuse a NIfTI file that is cut short or whose axes are not perpendicular.

    Raises:
        InputFileError: with what was found.
    """
    opener = gzip.open if path.name.endswith(".gz") else open
    try:
        with opener(path, "rb") as stream:
            header = stream.read(540)
            order = _byte_order(path, header)
            size, expected, offset = _sizes(header, order)
            found = len(header) + sum(
                len(chunk) for chunk in iter(lambda: stream.read(1 << 20), b"")
            )
    except (EOFError, zlib.error, gzip.BadGzipFile, OSError) as error:
        raise InputFileError(
            f"{path}: cannot be read to its end ({error}); it is damaged or cut short: copy or"
            " export it again"
        ) from None
    if found < offset + expected:
        raise InputFileError(
            f"{path}: holds {found} bytes of the {offset + expected} that its header announces; it"
            " is cut short: copy or export it again"
        )
    check_axes(path, _axes(header, order, size))


def check_axes(path: Path, axes: NDArray[np.float64]) -> None:
    """Refuse axes, the columns of (3, 3), that are not perpendicular or have no length."""
    lengths = np.linalg.norm(axes, axis=0)
    if not np.isfinite(axes).all() or (lengths < 1e-9).any():
        raise InputFileError(
            f"{path}: got an axis of length 0 or not a number in its frame; export it again"
        )
    unit = axes / lengths
    product = np.abs(unit.T @ unit - np.eye(3))
    if product.max() > ORTHONORMAL:
        angle = np.degrees(np.arccos(np.clip(product.max(), 0.0, 1.0)))
        raise InputFileError(
            f"{path}: got a sheared frame, two of its axes meet at {angle:.1f} degrees; they must"
            " be perpendicular: resample the image to a straight grid"
        )


def _byte_order(path: Path, header: bytes) -> str:
    if len(header) < 348:
        raise InputFileError(
            f"{path}: holds {len(header)} bytes, less than a NIfTI header; it is cut short"
        )
    for order in "<>":
        if struct.unpack_from(f"{order}i", header)[0] in (348, 540):
            return order
    raise InputFileError(f"{path}: is not a NIfTI file, whatever its ending; check the file")


def _sizes(header: bytes, order: str) -> tuple[int, int, int]:
    """Size of the header, bytes of voxels, where they start."""
    size = struct.unpack_from(f"{order}i", header)[0]
    if size == 348:
        dim = struct.unpack_from(f"{order}8h", header, 40)
        bits = struct.unpack_from(f"{order}h", header, 72)[0]
        offset = int(struct.unpack_from(f"{order}f", header, 108)[0])
    else:
        dim = struct.unpack_from(f"{order}8q", header, 16)
        bits = struct.unpack_from(f"{order}h", header, 14)[0]
        offset = struct.unpack_from(f"{order}q", header, 168)[0]
    count = int(np.prod([max(n, 1) for n in dim[1 : 1 + max(min(dim[0], 7), 0)]], dtype=object))
    return size, count * bits // 8, offset


def _axes(header: bytes, order: str, size: int) -> NDArray[np.float64]:
    """Columns of the frame that a reader would use, RAS [mm]; a quaternion is always straight."""
    code, rows, form = (254, 280, "f") if size == 348 else (348, 400, "d")
    coded = struct.unpack_from(f"{order}h" if size == 348 else f"{order}i", header, code)[0]
    if coded <= 0:
        return np.eye(3)
    values = struct.unpack_from(f"{order}12{form}", header, rows)
    axes: NDArray[np.float64] = np.asarray(values, dtype=np.float64).reshape(3, 4)[:, :3]
    return axes
