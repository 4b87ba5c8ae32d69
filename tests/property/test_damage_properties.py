"""What must hold of the death models for any course of temperature."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from ablasim import catalogue
from ablasim.physics import damage
from ablasim.physics.damage import Arrhenius, Damage

Floats = NDArray[np.float64]

SETS = damage.kinetics_of(
    [
        Arrhenius(s.name, s.frequency, s.activation_energy)
        for s in map(catalogue.arrhenius, catalogue.arrhenius_names())
    ]
)
POINTS = 8
TEMPERATURES = arrays(float, POINTS, elements=st.floats(0.0, 300.0))
HISTORIES = st.lists(TEMPERATURES, min_size=2, max_size=4)
SECONDS = st.floats(1e-4, 600.0)
FIELDS = ("cem43", "omega", "dead")


def expose(history: list[Floats], seconds: float) -> Damage:
    state = damage.unharmed(history[0], len(SETS))
    for before, after in zip(history[:-1], history[1:], strict=True):
        state = damage.advance(state, before, after, seconds, SETS)
    return state


@given(HISTORIES, SECONDS)
def test_dose_never_falls(history: list[Floats], seconds: float) -> None:
    """Catches a dose that heals on cooling, and rates that overflow or are lost at 300 °C."""
    state = damage.unharmed(history[0], len(SETS))
    for before, after in zip(history[:-1], history[1:], strict=True):
        new = damage.advance(state, before, after, seconds, SETS)
        for name in FIELDS:
            assert np.isfinite(getattr(new, name)).all(), name
            assert (getattr(new, name) >= getattr(state, name)).all(), name
        state = new
    parts = np.stack([state.alive, state.vulnerable, state.dead])
    assert parts.min() >= -1e-15 and parts.max() <= 1.0 + 1e-15


@given(HISTORIES, SECONDS, arrays(float, POINTS, elements=st.floats(0.0, 50.0)))
def test_more_heat_never_does_less(history: list[Floats], seconds: float, shift: Floats) -> None:
    """Catches a sign, and a quadrature that is not monotone."""
    cool, warm = (expose([t + s for t in history], seconds) for s in (0.0 * shift, shift))
    for name in FIELDS:
        assert (getattr(warm, name) >= getattr(cool, name) * (1.0 - 1e-12)).all(), name


@settings(deadline=None)
@given(HISTORIES, SECONDS)
def test_numpy_and_jax_agree(history: list[Floats], seconds: float) -> None:
    """Catches a law that loses its precision or its branch in JAX."""
    ours = expose(history, seconds)
    theirs = damage.unharmed(jnp.asarray(history[0]), len(SETS), jnp)
    for before, after in zip(history[:-1], history[1:], strict=True):
        a, b, step, sets = map(jnp.asarray, (before, after, np.float64(seconds), SETS))
        theirs = damage.advance(theirs, a, b, step, sets, jnp)
    for name in (*FIELDS, "vulnerable"):
        other = getattr(theirs, name)
        assert other.dtype == np.float64
        assert np.asarray(other) == pytest.approx(getattr(ours, name), rel=1e-12, abs=1e-15)


@settings(deadline=None)
@given(HISTORIES, SECONDS)
def test_single_precision_is_enough(history: list[Floats], seconds: float) -> None:
    """Catches 3.1e98 in a type that ends at 3.4e38, and digits lost in ln A - Ea/(R T).

    Temperatures are first rounded to single precision, which is no fault of the laws.
    """
    rounded = [t.astype(np.float32) for t in history]
    seconds = float(np.float32(seconds))
    double = expose([t.astype(float) for t in rounded], seconds)
    sets, step = SETS.astype(np.float32), np.float32(seconds)
    single = damage.unharmed(rounded[0], len(SETS))
    for before, after in zip(rounded[:-1], rounded[1:], strict=True):
        single = damage.advance(single, before, after, step, sets)
    for name in FIELDS:
        assert getattr(single, name).dtype == np.float32
        assert np.isfinite(getattr(single, name)).all()
    assert single.cem43 == pytest.approx(double.cem43, rel=1e-4)
    assert single.omega == pytest.approx(double.omega, rel=2e-4)
    assert single.dead == pytest.approx(double.dead, abs=1e-4)
