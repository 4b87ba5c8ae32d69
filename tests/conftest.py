"""Settings for all tests, in the environment, so that JAX is only loaded where it is used."""

import importlib.util
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
LIVER = REPOSITORY.parent / "shared" / "data" / "liver_002.nii.gz"

# Most silent errors of JAX: single precision, a promotion or a broadcast that nobody wanted.
os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_NUMPY_DTYPE_PROMOTION", "strict")
os.environ.setdefault("JAX_NUMPY_RANK_PROMOTION", "raise")
# The tests share their meshes and compiled kernels, and leave those of the user alone.
os.environ.setdefault("ABLASIM_CACHE_DIR", str(REPOSITORY / ".cache" / "ablasim"))
# A shell starts background jobs with Ctrl-C ignored, and so would what the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Open MPI refuses to start for root, and to start more processes than there are processors.
os.environ.setdefault("OMPI_ALLOW_RUN_AS_ROOT", "1")
os.environ.setdefault("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
os.environ.setdefault("PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe")
# Pictures are drawn without a display.
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("PYVISTA_OFF_SCREEN", "true")


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the source tree."""
    return REPOSITORY


@pytest.fixture(scope="session")
def liver() -> Path:
    """The real liver's label map; skips where the file is absent."""
    if not LIVER.is_file():
        pytest.skip("the real liver label map is not here")
    return LIVER


@pytest.fixture(scope="session")
def dolfinx() -> None:
    """Skips where FEniCSx is absent."""
    if importlib.util.find_spec("dolfinx") is None:
        pytest.skip("dolfinx is not installed")


@pytest.fixture(scope="session")
def mpirun(dolfinx: None) -> str:
    """The launcher of the MPI that this Python uses: the one beside it."""
    found = shutil.which("mpirun", path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip("there is no mpirun beside this Python")
    return found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked `gpu` where there is none; only then is JAX asked."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import jax

    if jax.default_backend() != "gpu":
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no GPU that JAX can use"))
