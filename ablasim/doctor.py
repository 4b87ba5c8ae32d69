"""What works on this machine, found out by trying it: `ablasim doctor`.

Whatever can crash or hang (a renderer, MPI, a device) is tried in a process of its own.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

from ablasim.cache import cache_directory
from ablasim.remedies import get_compiler, get_dolfinx, get_python_headers

TRIAL_TIMEOUT_S = 60.0
MEMORY_FOR_STANDARD = 3e9
"""A run at standard resolution stays below this [bytes]."""
DISK_FOR_RUNS = 1e9

PACKAGES = (
    "numpy",
    "scipy",
    "jax",
    "jaxlib",
    "pyamg",
    "scikit-fem",
    "meshio",
    "mmgpy",
    "pydantic",
    "simpleitk",
    "pyvista",
    "vtk",
    "matplotlib",
)
RENDERING_LIBRARIES = "apt-get install -y --no-install-recommends libegl1 libgl1-mesa-dri"

RENDER = """
from vtkmodules.vtkRenderingCore import vtkRenderer, vtkRenderWindow, vtkWindowToImageFilter
import vtkmodules.vtkRenderingOpenGL2
window = vtkRenderWindow()
window.SetOffScreenRendering(1)
window.SetSize(32, 32)
renderer = vtkRenderer()
renderer.SetBackground(1.0, 0.0, 0.0)
window.AddRenderer(renderer)
window.Render()
image = vtkWindowToImageFilter()
image.SetInput(window)
image.Update()
red = image.GetOutput().GetScalarComponentAsDouble(16, 16, 0, 0)
assert red == 255.0, f"drew a red picture and got {red} of 255"
print(window.GetClassName())
"""
JAX = """
import jax
jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp
total = float(jax.jit(lambda x: jnp.sum(x * x))(jnp.arange(1000.0)))
assert total == 332833500.0, f"a sum came out as {total}"
print(", ".join(f"{d.platform}:{d.id} {d.device_kind}" for d in jax.devices()))
"""
MMG = """
import mmgpy
print(mmgpy.__version__)
"""
DOLFINX = """
import sys
from ablasim.errors import ResourceError
from ablasim.solve.dolfinx_start import start
try:
    print(", ".join(" ".join(found) for found in start().versions.items()))
except ResourceError as error:
    sys.exit(str(error).partition(": ")[0])
"""
MPI_RANK = """
try:
    import dolfinx_solver
except ImportError:
    pass
from mpi4py import MPI
assert MPI.COMM_WORLD.allreduce(MPI.COMM_WORLD.rank) == 1, "each process is alone"
print(*MPI.Get_library_version().partition("\\n")[0].split())
"""
COMPILED = """
#include <Python.h>
#include <math.h>
double trial(double x) { return cos(x) + PY_MAJOR_VERSION; }
"""


@dataclass(frozen=True)
class Check:
    """One thing that was tried.

    Attributes:
        name: What.
        ok: Whether it works.
        required: Whether ablasim's main job needs it.
        detail: What was found.
        remedy: What to do; empty where it works.
    """

    name: str
    ok: bool
    required: bool
    detail: str
    remedy: str = ""


def examine(names: Sequence[str] = ()) -> list[Check]:
    """Try everything, or what is named; side by side, since most of the time goes into imports."""
    wanted = [CHECKS[name] for name in names] if names else list(CHECKS.values())
    with ThreadPoolExecutor(max_workers=4) as pool:
        return list(pool.map(lambda check: check(), wanted))


def check_python() -> Check:
    """The interpreter and the system."""
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Check("python", sys.version_info >= (3, 12), True, found, "use Python 3.12 or later")


def check_packages() -> Check:
    """Versions of the packages that do the work."""
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    remedy = f"python -m pip install {' '.join(missing)}" if missing else ""
    return Check("packages", not missing, True, ", ".join(found), remedy)


def check_jax() -> Check:
    """The devices JAX sees; a kernel is really run on the first."""
    return _trial("jax", JAX, required=True, remedy="make setup (or python -m pip install jax)")


def check_gpu() -> Check:
    """Whether there is an NVIDIA GPU that JAX does not use."""
    smi = shutil.which("nvidia-smi")
    listed = _run([smi, "-L"], timeout=10.0) if smi else None
    if listed is None or listed.returncode != 0 or not listed.stdout.strip():
        return Check("gpu", True, False, "no NVIDIA GPU here; runs use the CPU")
    gpus = listed.stdout.strip().splitlines()[0]
    try:
        plugin = metadata.version("jax-cuda13-plugin")
    except metadata.PackageNotFoundError:
        remedy = "python -m pip install 'jax[cuda13]'"
        return Check("gpu", False, False, f"{gpus}; JAX has no CUDA plugin", remedy)
    return Check("gpu", True, False, f"{gpus}; CUDA plugin {plugin}")


def check_rendering() -> Check:
    """Whether VTK can draw without a display."""
    remedy = f"{RENDERING_LIBRARIES}   (as root; runs work without, but draw no pictures)"
    if sys.platform != "linux":
        remedy = "update the graphics driver; runs work without, but draw no pictures"
    return _trial("rendering", RENDER, required=False, remedy=remedy)


def check_mesher() -> Check:
    """MMG, through mmgpy."""
    return _trial("mmgpy", MMG, required=True, remedy="python -m pip install mmgpy")


def check_dolfinx() -> Check:
    """FEniCSx, the reference engine; optional."""
    remedy = f"{get_dolfinx()}   (optional: the second engine)"
    return _trial("dolfinx", DOLFINX, required=False, remedy=remedy)


def check_mpirun() -> Check:
    """Whether two processes of this Python find each other; for runs on several processors."""
    folder = Path(sys.executable).parent
    found = shutil.which("mpirun", path=str(folder)) or shutil.which("mpiexec", path=str(folder))
    if found is None:
        detail = f"no mpirun beside {sys.executable}"
        return Check("mpirun", False, False, detail, f"{get_dolfinx()}   (it brings MPI)")
    command = [found, "-n", "2", sys.executable, "-c", MPI_RANK]
    remedy = f"use the engine without mpirun, or make a new environment and there: {get_dolfinx()}"
    tried = _trial("mpirun", command, required=False, remedy=remedy)
    return replace(tried, detail=f"{found}: {tried.detail}")


def check_compiler() -> Check:
    """A C compiler with headers, which dolfinx needs to compile forms."""
    words = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    remedy = f"{get_compiler()}   (only the engine dolfinx needs it)"
    path = shutil.which(words[0])
    if path is None:
        return Check("compiler", False, False, f"no {words[0]} on the PATH", remedy)
    headers = f"-I{sysconfig.get_path('include')}"
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "trial.c"
        source.write_text(COMPILED)
        target = str(source.with_suffix(".so"))
        done = _run([path, *words[1:], headers, "-shared", "-fPIC", str(source), "-o", target])
    if done is not None and done.returncode == 0:
        return Check("compiler", True, False, path)
    errors = [] if done is None else [x for x in done.stderr.splitlines() if "error" in x.lower()]
    if any("Python.h: No such" in line for line in errors):
        remedy = f"{get_python_headers()}   (only the engine dolfinx needs it)"
    reason = f": {errors[-1]}" if errors else ""
    return Check("compiler", False, False, f"{path} does not compile{reason}", remedy)


def check_memory() -> Check:
    """Memory that is free for a run, and the processors."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    free = _available_memory()
    if free is None:
        return Check("memory", True, True, f"{cores} cores; free memory unknown")
    remedy = "close other programs, or use --resolution preview"
    detail = f"{free / 1e9:.1f} GB free, {cores} cores"
    return Check("memory", free >= MEMORY_FOR_STANDARD, True, detail, remedy)


def check_disk() -> Check:
    """Space for runs in the current directory."""
    free = shutil.disk_usage(".").free
    detail = f"{free / 1e9:.1f} GB free in {Path.cwd()}"
    return Check("disk", free >= DISK_FOR_RUNS, True, detail, "free some space")


def check_cache() -> Check:
    """Whether meshes and compiled kernels can be kept."""
    folder = cache_directory()
    remedy = "set ABLASIM_CACHE_DIR to a directory that can be written"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Check("cache", False, True, f"{folder}: {error.strerror or error}", remedy)
    return Check("cache", True, True, str(folder))


CHECKS: dict[str, Callable[[], Check]] = {
    "python": check_python,
    "packages": check_packages,
    "jax": check_jax,
    "gpu": check_gpu,
    "mmgpy": check_mesher,
    "rendering": check_rendering,
    "dolfinx": check_dolfinx,
    "mpirun": check_mpirun,
    "compiler": check_compiler,
    "memory": check_memory,
    "disk": check_disk,
    "cache": check_cache,
}


def _trial(name: str, code: str | list[str], *, required: bool, remedy: str) -> Check:
    """Run a command, or a few lines of Python, in a process of its own.

    The last line of its output is the detail.
    """
    done = _run([sys.executable, "-c", code] if isinstance(code, str) else code)
    if done is None:
        return Check(name, False, required, f"no answer within {TRIAL_TIMEOUT_S:.0f} s", remedy)
    if done.returncode == 0:
        return Check(name, True, required, _last_line(done.stdout))
    reason = _last_line(done.stderr) if done.returncode > 0 else ""
    if not reason or done.returncode < 0:
        reason = f"crashed (signal {-done.returncode})"
    return Check(name, False, required, reason, remedy)


def _run(
    command: list[str], timeout: float = TRIAL_TIMEOUT_S
) -> subprocess.CompletedProcess[str] | None:
    # UCX_TLS: dolfinx's MPI crashes at import on some hosts when it looks for network devices.
    environment = {"UCX_TLS": "self,sm,tcp", **os.environ}
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=timeout,
            env=environment,
            check=False,
        )
    except (subprocess.TimeoutExpired, OSError):
        return None


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _available_memory() -> float | None:
    """Memory a new process can have [bytes]: of the machine or, if less, of the container."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    free = next((float(x.split()[1]) * 1024 for x in lines if x.startswith("MemAvailable")), None)
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = float(Path("/sys/fs/cgroup/memory.current").read_text())
    except (OSError, ValueError):
        return free
    if free is None or limit == "max":
        return free
    return min(free, float(limit) - used)
