"""Where JAX computes, and where it keeps what it has compiled."""

from __future__ import annotations

import jax

from ablasim.cache import cache_directory
from ablasim.errors import ResourceError


def pick_device(name: str) -> jax.Device:
    """The JAX device for "auto", "cpu" or "gpu"."""
    if name == "cpu":
        return jax.devices("cpu")[0]
    try:
        return jax.devices("gpu")[0]
    except RuntimeError as error:
        if name == "auto":
            return jax.devices("cpu")[0]
        raise ResourceError(
            "device: got 'gpu'; JAX sees no GPU on this machine. Use --device cpu, or install "
            "jax[cuda13] where there is an NVIDIA GPU; `ablasim doctor` shows the devices."
        ) from error


def use_compilation_cache() -> None:
    """Keep compiled kernels between runs, unless the user has set another place for them."""
    if jax.config.jax_compilation_cache_dir is None:
        jax.config.update("jax_compilation_cache_dir", str(cache_directory() / "jax"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
