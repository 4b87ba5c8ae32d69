"""Where JAX computes, and where it keeps what it has compiled."""

from __future__ import annotations

import os

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
    """Keep compiled kernels between runs, unless the user has set another place for them.

    XLA divides a CPU's work among the threads it finds when it compiles; the key by which JAX finds
    a program again does not tell them apart. One thread with the programs of two took 142 ms for a
    step of a batch instead of 92, and sums in another order: so each number has a folder.
    """
    if jax.config.jax_compilation_cache_dir is None:
        place = cache_directory() / "jax" / f"{_threads()}_threads"
        jax.config.update("jax_compilation_cache_dir", str(place))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _threads() -> str:
    """How many XLA starts: as many as NPROC says, or one for each core this process may use."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        cores = os.cpu_count() or 1
    return os.environ.get("NPROC") or str(cores)
