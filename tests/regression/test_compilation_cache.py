"""Programs compiled for one number of threads are not run by another: they are slower there, and
add up in another order, so that a study's numbers hung on who had compiled first."""

import os
import subprocess
import sys
from pathlib import Path

ONE_STEP = """
import jax
from ablasim.solve.jax_device import use_compilation_cache
use_compilation_cache()
jax.jit(lambda x: (x * x).sum())(jax.numpy.ones(100_000)).block_until_ready()
"""


def compiled_with(threads: str | None, cache: Path) -> set[str]:
    """Folders of the cache that hold programs after a process has compiled one."""
    names = ("NPROC", "ABLASIM_CACHE_DIR", "JAX_COMPILATION_CACHE_DIR")
    environment = {k: v for k, v in os.environ.items() if k not in names}
    environment |= {"ABLASIM_CACHE_DIR": str(cache), "JAX_PLATFORMS": "cpu"}
    if threads is not None:
        environment["NPROC"] = threads
    subprocess.run([sys.executable, "-c", ONE_STEP], env=environment, check=True)
    return {path.parent.name for path in (cache / "jax").rglob("*-cache")}


def test_each_number_of_threads_has_programs_of_its_own(tmp_path: Path) -> None:
    assert compiled_with("1", tmp_path / "a") == {"1_threads"}
    assert compiled_with("3", tmp_path / "a") == {"1_threads", "3_threads"}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert compiled_with(None, tmp_path / "b") == {f"{cores}_threads"}
