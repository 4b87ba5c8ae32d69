"""Finished chunks of samples on disk, which survive an interruption."""

from __future__ import annotations

import contextlib
import json
import os
import zipfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ablasim.errors import ResourceError, UsageError
from ablasim.report.atomic import remedy
from ablasim.study.displacement import Correction, Pose
from ablasim.study.samples import Samples


class ChunkStore:
    """Finished chunks in a directory beside the results, until those are complete."""

    def __init__(self, directory: Path, key: str) -> None:
        """Name the place.

        Args:
            directory: made with the first chunk.
            key: hash of everything that decides the samples; chunks of another one are not read.
        """
        self.directory, self.key = directory, key

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep others from the same chunks while the block runs; where there are no locks, trust.

        Raises:
            UsageError: another process computes the same results.
            ResourceError: the place cannot be written.
        """
        with self._locked():
            try:
                yield
            finally:
                self._lock.unlink(missing_ok=True)
                with contextlib.suppress(OSError):  # chunks stay for the next time
                    self.directory.rmdir()

    def _locked(self) -> IO[str]:
        """The lock's file, held."""
        while True:
            with self._told():
                self.directory.mkdir(parents=True, exist_ok=True)
                try:
                    stream = self._lock.open("a")
                except FileNotFoundError:  # whoever held it before has just removed the directory
                    continue
            try:
                import fcntl

                fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                stream.close()
                raise UsageError(
                    f"{self.directory}: another process computes the samples of these results;"
                    " wait for it, or choose another output directory"
                ) from None
            except (ImportError, OSError):  # no locks on this system, or on this file system
                return stream
            # whoever held it before removes it: then this is a lock that nobody else will meet
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(stream.fileno()), self._lock.stat()):
                    return stream
            stream.close()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ResourceError(
                f"{self.directory}: cannot be written: {error.strerror or error}; {remedy(error)}"
            ) from error

    def load(self, number: int) -> Samples | None:
        """A finished chunk; None where there is none, or a damaged one."""
        found = self._read(self._path(number))
        return None if found is None else Samples(*(found[name] for name in Samples.names()))

    def save(self, number: int, samples: Samples) -> None:
        """Keep a chunk, whole or not at all."""
        arrays = {name: getattr(samples, name) for name in Samples.names()}
        self._write(self._path(number), **arrays)

    def _read(self, path: Path) -> dict[str, Any] | None:
        try:
            with np.load(path, allow_pickle=False) as file:
                return dict(file) if str(file["key"]) == self.key else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            with contextlib.suppress(OSError):
                path.unlink()
            return None

    def _write(self, path: Path, **arrays: NDArray[Any]) -> None:
        part = path.with_suffix(".part")
        with self._told():
            self.directory.mkdir(parents=True, exist_ok=True)
            try:
                with part.open("wb") as stream:
                    np.savez(stream, key=np.array(self.key), **arrays)  # type: ignore[arg-type]
                os.replace(part, path)
            except BaseException:
                with contextlib.suppress(OSError):
                    part.unlink()
                raise

    def save_correction(self, correction: Correction) -> None:
        """Keep the correction of displaced probes, whole or not at all."""
        poses = json.dumps([asdict(pose) for pose in correction.poses])
        self._write(
            self._correction,
            step=correction.step,
            values=correction.values,
            poses=np.array(poses),
            method=np.array(correction.method),
        )

    def load_correction(self) -> Correction | None:
        """The kept correction; None where there is none, or a damaged one."""
        found = self._read(self._correction)
        if found is None:
            return None
        poses = tuple(
            Pose(**{**pose, "shift": tuple(pose["shift"])})
            for pose in json.loads(str(found["poses"]))
        )
        return Correction(found["step"], found["values"], poses, str(found["method"]))

    def chunks(self) -> Iterator[Path]:
        """The files there."""
        return self.directory.glob("chunk-*.npz")

    def clear(self) -> None:
        """Remove what was kept."""
        # those that a worker was writing when it was ended, too
        for path in (*self.chunks(), *self.directory.glob("*.part"), self._correction):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.directory.rmdir()

    @property
    def _lock(self) -> Path:
        return self.directory / "lock"

    @property
    def _correction(self) -> Path:
        return self.directory / "correction.npz"

    def _path(self, number: int) -> Path:
        return self.directory / f"chunk-{number:04d}.npz"
