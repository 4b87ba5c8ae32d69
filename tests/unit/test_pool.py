"""Worker processes that do not start, and those that tell of their progress."""

from pathlib import Path

import pytest

from ablasim.errors import ResourceError
from ablasim.study.pool import compute_locally

TALKATIVE = """
from pathlib import Path
from ablasim.study import worker
from ablasim.study.answer import answer

worker.TELL_S = 0.0

def load(directory: Path) -> worker.Work:
    def work(number, tell):
        tell(0.5)
        if number == 1:
            raise ValueError("one is too many")
        return answer(number)
    return work

worker.serve(load)
"""


GROWING = """
import os
from pathlib import Path
from ablasim.study import worker
from ablasim.study.answer import answer

worker.GROWTH_GB = GROWTH
if CHANGED:
    worker.sources_changed = lambda: True
done = 0

def load(directory: Path) -> worker.Work:
    def work(number, tell):
        global done
        done += 1
        return answer(number) | {"pid": os.getpid(), "pieces": done}
    return work

worker.serve(load)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that workers can run."""
    (tmp_path / "talkative.py").write_text(TALKATIVE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "talkative"


def test_every_piece_is_answered_once(module: str, tmp_path: Path) -> None:
    """From 0 on; a fault of one leaves the others alone."""
    said = list(compute_locally(module, tmp_path, [0, 1, 2], workers=2))
    parts = [each for each in said if "fraction" in each]
    answers = {each["case"]: each for each in said if "fraction" not in each}
    assert len(said) == 6 and sorted(answers) == [0, 1, 2]
    assert [part["fraction"] for part in parts] == [0.5] * 3
    assert [answers[number]["exit_code"] for number in range(3)] == [0, 1, 0]
    assert "one is too many" in answers[1]["message"]


def test_workers_that_cannot_start_say_why(tmp_path: Path) -> None:
    """Their directory may be gone when the message is read."""
    with pytest.raises(ResourceError, match=r"before it was ready.*No module named nowhere"):
        list(compute_locally("nowhere", tmp_path, [0], workers=1))


REFUSING = """
from pathlib import Path
from ablasim.revision import require_revision
from ablasim.study import worker

def load(directory: Path) -> worker.Work:
    require_revision("9.9.9")

worker.serve(load)
"""


def test_workers_with_another_program_compute_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sources that were edited, or another ablasim on a cluster: one clear answer that stops."""
    (tmp_path / "refusing.py").write_text(REFUSING)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (said,) = compute_locally("refusing", tmp_path, [3], workers=1)
    assert (said["case"], said["exit_code"], said["stop"]) == (3, 3, True)
    assert "asked by 9.9.9: numbers of two programs are not mixed" in said["message"]


@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="memory cannot be asked here")
@pytest.mark.parametrize(
    ("growth", "changed", "pieces"),
    [(0.0, False, [1, 1, 1, 1]), (1.5, False, [1, 2, 3, 4]), (0.0, True, [1, 2, 3, 4])],
)
def test_a_process_that_has_grown_starts_afresh(
    growth: float, changed: bool, pieces: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same process, in which nothing is left of earlier work; no answer is lost, none counts
    as a death; but not with other sources. Catches sweeps over many meshes that fill the memory."""
    text = GROWING.replace("GROWTH\n", f"{growth}\n", 1).replace("CHANGED", str(changed))
    (tmp_path / "growing.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    said = list(compute_locally("growing", tmp_path, [3, 1, 4, 5], workers=1))
    assert [each["case"] for each in said] == [3, 1, 4, 5]
    assert [each["pieces"] for each in said] == pieces
    assert len({each["pid"] for each in said}) == 1
    assert all(each["exit_code"] == 0 for each in said)
