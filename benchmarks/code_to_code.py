"""Does an independent code give the same? RF at 30 W around a cooled needle, no vessel, no tumour.

The reference is an axisymmetric cell-centred finite-volume code, refined until it no longer moved
(its own spread is given as +-). Here: the shipped scenario, in three dimensions, fine resolution.

    python benchmarks/code_to_code.py [--resolution standard]
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import record
from scipy.interpolate import LinearNDInterpolator

from ablasim.run import RunResult, run
from ablasim.scenario import load_scenario

SCENARIO = Path(__file__).resolve().parents[1] / "scenarios" / "i1_code_to_code.yaml"

RADII_MM = (3.0, 5.0, 8.0, 10.0, 15.0)
TEMPERATURE_C = {
    60: (58.43, 51.60, 43.78, 41.05, 38.32),
    300: (63.32, 57.25, 48.74, 45.00, 40.12),
    720: (63.43, 57.38, 48.88, 45.14, 40.22),
}
IMPEDANCE_OHM = (50.46, 40.69)
AXES_MM = (10.62, 37.6)
VOLUME_ML = {"filled": 2.52, "tissue": 2.33}
HEAT_J = {"stored_J": 1775.0, "probe_cooling_J": 6400.0, "boundary_J": 61.0, "perfusion_J": 13364.0}

LIMITS = {"temperature_K": 0.3, "impedance_percent": 0.5, "diameter_mm": 0.2, "heat_percent": 1.5}


def mid_plane(result: RunResult) -> list[float]:
    """Temperature around the middle of the active part at RADII_MM, mean over 24 directions."""
    mesh, field = result.record.mesh, result.solution.temperature
    near = np.abs(mesh.points[:, 2]) < 4e-3
    inside = near & (np.hypot(mesh.points[:, 0], mesh.points[:, 1]) < 20e-3)
    at = LinearNDInterpolator(mesh.points[inside], field[inside])
    angle = np.linspace(0.0, 2.0 * np.pi, 24, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=1)
    return [float(np.mean(at(1e-3 * radius * ring))) for radius in RADII_MM]


def solve(resolution: str, seconds: float) -> RunResult:
    """The scenario up to a time."""
    changed = {"numerics.resolution": resolution, "protocol.duration_s": seconds}
    return run(load_scenario(SCENARIO, changed), device="cpu")


def main() -> None:
    """Run and write `results/code_to_code.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resolution", default="fine")
    resolution = parser.parse_args().resolution
    runs = {seconds: solve(resolution, float(seconds)) for seconds in TEMPERATURE_C}
    last = runs[720]
    zone, history = last.record.zones["peak_60C"], last.solution.history
    found = {seconds: mid_plane(result) for seconds, result in runs.items()}
    impedance = (float(history["impedance_ohm"][0]), float(history["impedance_ohm"][-1]))
    diameter = 0.5e3 * (zone.short_axis + zone.wide_axis)
    worst = max(
        abs(a - b)
        for seconds, values in TEMPERATURE_C.items()
        for a, b in zip(found[seconds], values, strict=True)
    )
    off = max(abs(a / b - 1.0) for a, b in zip(impedance, IMPEDANCE_OHM, strict=True))
    total = sum(HEAT_J.values())
    heat_off = max(abs(last.solution.energy[name] - heat) for name, heat in HEAT_J.items()) / total
    errors = {
        "temperature_K": worst,
        "impedance_percent": 100.0 * off,
        "diameter_mm": abs(diameter - AXES_MM[0]),
        "heat_percent": 100.0 * heat_off,  # of all heat
    }
    content: dict[str, Any] = {
        "resolution": resolution,
        "points": len(last.record.mesh.points),
        "radii_mm": RADII_MM,
        "temperature_C": {
            str(s): {"reference": TEMPERATURE_C[s], "computed": found[s]} for s in TEMPERATURE_C
        },
        "impedance_ohm": {"reference": IMPEDANCE_OHM, "computed": impedance},
        "axes_60C_mm": {"reference": AXES_MM, "computed": (diameter, 1e3 * zone.long_axis)},
        "volume_60C_ml": {
            "reference": VOLUME_ML,
            "computed": {"filled": 1e6 * zone.volume, "tissue": 1e6 * zone.tissue_volume},
        },
        "heat_J": {
            "reference": HEAT_J,
            "computed": {name: last.solution.energy[name] for name in HEAT_J},
        },
        "limits": LIMITS,
        "errors": errors,
        "within_limits": all(errors[name] <= limit for name, limit in LIMITS.items()),
    }
    record.write("code_to_code", content)


if __name__ == "__main__":
    main()
