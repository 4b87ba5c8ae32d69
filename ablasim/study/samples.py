"""Results of many samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Samples:
    """Results of k samples.

    Attributes:
        minimal: smallest margin (k,) [m]; minus infinity where there is no zone.
        moved_only: the same without the correction of the displacement (k,) [m].
        thinnest: point of the tumour's surface where it is (k,).
        volume: of the zone (k,) [m3].
        margin: at every point of the tumour's surface (k, p) [m].
        excess: by how much what kills exceeds the lethal level at some nodes (k, m), with the probe
            displaced; empty where not asked for.
        reaches_outer: zones that come close to the outer boundary (k,); see `beside_outer`.
        failed: samples whose solver gave up (k,); their other values mean nothing.
        balance: error of the heat balance (k,).
        batched: computed together (k,).
    """

    minimal: Floats
    moved_only: Floats
    thinnest: NDArray[np.int64]
    volume: Floats
    margin: Floats
    excess: NDArray[np.float32]
    reaches_outer: NDArray[np.bool_]
    failed: NDArray[np.bool_]
    balance: Floats
    batched: NDArray[np.bool_]

    @classmethod
    def joined(cls, parts: list[Samples]) -> Samples:
        """Several chunks, one after the other."""
        return cls(*(np.concatenate([getattr(p, n) for p in parts]) for n in cls.names()))

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Names of the arrays."""
        return tuple(cls.__dataclass_fields__)

    def good(self) -> Samples:
        """Without the samples that failed."""
        return self.picked(~self.failed)

    def picked(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> Samples:
        """Some of them, or all in another order."""
        return Samples(*(getattr(self, name)[which] for name in self.names()))

    def __len__(self) -> int:
        return len(self.minimal)
