"""What every benchmark writes beside its numbers: machine, versions, date; JSON in `results/`."""

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"
PACKAGES = ("ablasim", "numpy", "scipy", "jax", "pyamg", "mmgpy")


def write(name: str, content: Mapping[str, Any]) -> None:
    """Print the content and keep it in `results/<name>.json`."""
    record = {
        "benchmark": name,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": {
            "processor": processor(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
            "system": platform.system(),
            "python": platform.python_version(),
        },
        "versions": {package: version(package) for package in PACKAGES},
        **content,
    }
    text = json.dumps(record, indent=2)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(text + "\n")
    print(text)


def processor() -> str:
    """Name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), "")
