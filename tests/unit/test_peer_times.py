"""The yardstick's times to an error: read on straight lines between logarithms, never from luck."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

from peer_times import times_to  # noqa: E402


def runs(*pairs: tuple[float, float]) -> list[dict[str, float]]:
    return [{"solve_s": seconds, "error": error} for seconds, error in pairs]


def test_power_law_is_read_exactly():
    """error = 1 / t^2: 0.25 % after two seconds, 0.01 % after ten."""
    family = runs((1.0, 1.0), (4.0, -1.0 / 16.0), (16.0, 1.0 / 256.0))
    found = times_to({"a": family}, "error", (0.25, 0.01))
    assert found["0.25%"]["seconds"] == pytest.approx(2.0)
    assert found["0.01%"]["seconds"] == pytest.approx(10.0)
    assert not found["0.01%"]["at_most"]


def test_lucky_run_does_not_count():
    """An error that passes through zero at 2 s is back at 0.5 % at 3 s."""
    family = runs((1.0, 1.0), (2.0, 0.001), (3.0, -0.5), (4.0, 0.1))
    assert times_to({"a": family}, "error", (0.2,))["0.2%"]["seconds"] > 3.0


def test_bounds_and_what_is_never_reached():
    found = times_to({"a": runs((1.0, 0.5), (2.0, 0.2))}, "error", (1.0, 0.1))
    assert found["1%"] == {"seconds": 1.0, "at_most": True, "family": "a"}
    assert found["0.1%"] is None


def test_fastest_family_counts():
    slow, fast = runs((8.0, 0.1)), runs((3.0, 0.1))
    found = times_to({"slow": slow, "fast": fast}, "error", (0.1,))
    assert found["0.1%"]["family"] == "fast"
