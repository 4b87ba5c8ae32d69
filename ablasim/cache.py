"""Where meshes and compiled kernels are kept between runs; deleting it costs only time."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_directory() -> Path:
    """`ABLASIM_CACHE_DIR`, or else ablasim's folder in the user's caches; it may not exist yet."""
    chosen = os.environ.get("ABLASIM_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser().absolute()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "ablasim"
