"""Death models at constant temperature (F15): published tables, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from scipy.optimize import brentq

from ablasim import catalogue
from ablasim.physics import damage
from ablasim.physics.damage import Arrhenius, Damage
from ablasim.verify.case import VALUE, Case, Row, Tolerance, absolute, relative
from ablasim.verify.scenes import Floats

TITLE = "Death models"

TEMPERATURES = (45.0, 50.0, 55.0, 60.0, 65.0)

ARRHENIUS = {
    "liver_comsol": ((276, 61, 14, 3.4, 0.87), 42.5),
    "hcc_reddy": ((419, 81, 16.5, 3.5, 0.78), 43.9),
    "hepg2": ((2110, 780, 297, 117, 47), 51.3),
    "hep3b": ((996, 408, 172, 74, 33), 47.8),
    "colon_mouratidis": ((2400, 82, 3.1, 0.13, 0.006), 47.0),
    "skin_henriques": ((41000, 1040, 30, 0.94, 0.03), 50.8),
}
"""Seconds to Omega = 1 at TEMPERATURES, and the temperature [°C] that needs 600 s, by set."""

CEM43 = {1.0: 56.8, 10.0: 53.5, 60.0: 50.9, 600.0: 47.6}
"""Temperature [°C] that gives 240 min at 43 °C, by time [s]."""

TO_DEAD = {37: 3836, 45: 2062, 50: 1546, 55: 1203, 60: 960, 65: 780, 70: 642, 80: 448, 100: 236}
"""Seconds to D = 0.8 at constant temperature [°C]."""

DEAD_AT_65 = {300.0: 0.01423, 600.0: 0.41814, 900.0: 0.92003}
"""D at 65 °C by time [s]."""


def kinetics(*names: str) -> Floats:
    """Rates of sets of the catalogue, as the damage laws take them."""
    sets = [catalogue.arrhenius(name) for name in names]
    return damage.kinetics_of([Arrhenius(s.name, s.frequency, s.activation_energy) for s in sets])


def last_digit(value: float) -> float:
    """One unit of the last digit of a printed number: 0.1 for 16.5, 10 for 2110."""
    text = f"{value:g}"
    if "." in text:
        return float(10.0 ** -len(text.split(".")[1]))
    return float(10 ** (len(text) - len(text.rstrip("0"))))


def printed(quantity: str, unit: str, value: float, computed: float) -> Row:
    """A row whose error counts in units of the last printed digit."""
    return Row(quantity, unit, value, computed, abs(computed - value) / last_digit(value))


def expose(temperature: float, seconds: float, sets: Floats, step: float) -> Damage:
    """Damage after a time at one temperature, by the product's integrator."""
    at = np.array([temperature])
    state = damage.unharmed(at, len(sets))
    for _ in range(max(round(seconds / step), 1)):
        state = damage.advance(state, at, at, min(step, seconds), sets)
    return state


def temperature_that(needs: Callable[[float], float]) -> float:
    """Where a falling or rising function of temperature [°C] is zero."""
    return float(brentq(needs, 40.0, 70.0, xtol=1e-6))


def arrhenius() -> Iterator[Row]:
    """Every set of the catalogue."""
    hot = np.array(TEMPERATURES)
    for name, (times, isotherm) in ARRHENIUS.items():
        sets = kinetics(name)
        found = 1.0 / damage.arrhenius_rate(hot, hot, sets)[0]
        for temperature, wanted, got in zip(TEMPERATURES, times, found, strict=True):
            yield printed(f"{name}: time to Omega = 1 at {temperature:g} °C", "s", wanted, got)

        def lack(temperature: float, sets: Floats = sets) -> float:
            return float(np.log(expose(temperature, 600.0, sets, 600.0).omega[0, 0]))

        yield absolute(
            f"{name}: temperature that needs 600 s", "°C", isotherm, temperature_that(lack), "K"
        )


def thermal_dose() -> Iterator[Row]:
    """CEM43."""
    sets = kinetics("hepg2")
    for seconds, wanted in CEM43.items():

        def lack(temperature: float, seconds: float = seconds) -> float:
            dose = float(expose(temperature, seconds, sets, seconds).cem43[0])
            return math.log(dose / damage.CEM43_LETHAL_MIN)

        got = temperature_that(lack)
        yield absolute(f"temperature that gives 240 min in {seconds:g} s", "°C", wanted, got, "K")
    for temperature, minutes in ((40.0, 4.0**-3), (43.0, 1.0), (53.0, 1024.0)):
        found = float(expose(temperature, 60.0, sets, 60.0).cem43[0])
        yield relative(f"dose of one minute at {temperature:g} °C", "min", minutes, found)
    yield absolute(
        "dose of one minute at 38.9 °C", "min", 0.0, float(expose(38.9, 60, sets, 60).cem43[0])
    )


def three_state() -> Iterator[Row]:
    """The three-state model."""
    sets = kinetics("hepg2")
    for temperature, wanted in TO_DEAD.items():
        got = time_to_death(float(temperature))
        yield absolute(f"time to D = 0.8 at {temperature} °C", "s", wanted, got)
    for seconds, share in DEAD_AT_65.items():
        got = float(expose(65.0, seconds, sets, 1.0).dead[0])
        yield absolute(f"D after {seconds:g} s at 65 °C", "1", share, got, "D")


def time_to_death(temperature: float, step: float = 2.5) -> float:
    """Seconds to D = 0.8, linear within the last step."""
    sets, at = kinetics("hepg2"), np.array([temperature])
    state, now, last = damage.unharmed(at, 1), 0.0, 0.0
    while state.dead[0] <= damage.DEAD_LETHAL:
        last = float(state.dead[0])
        state = damage.advance(state, at, at, step, sets)
        now += step
    return now - step * float(state.dead[0] - damage.DEAD_LETHAL) / float(state.dead[0] - last)


CASES = (
    Case(
        name="F15-arrhenius",
        title="Arrhenius damage at constant temperature, every set of the catalogue",
        kind="exact",
        source="1/(A exp(-Ea/RT)) of the published A and Ea",
        catches="°C for kelvin, calories for joules, a wrong gas constant, a mistyped set",
        tolerances={VALUE: Tolerance(0.51, "of its last digit"), "K": Tolerance(0.051, "K")},
        compute=arrhenius,
        quick=True,
    ),
    Case(
        name="F15-cem43",
        title="Cumulative equivalent minutes at 43 °C",
        kind="exact",
        source="sum of dt R^(43 - T); R = 1/2 above 43 °C, 1/4 from 39 °C",
        catches="seconds for minutes, R on the wrong side of 43 °C, a dose below 39 °C",
        tolerances={VALUE: Tolerance(1e-9), "K": Tolerance(0.051, "K")},
        compute=thermal_dose,
        quick=True,
    ),
    Case(
        name="F15-three-state",
        title="Three-state model of cell death at constant temperature",
        kind="exact",
        source="O'Neill 2011, 10.1007/s10439-010-0177-1, its equations integrated to rounding",
        catches="exchanged rates, and a temperature scale in kelvin",
        tolerances={VALUE: Tolerance(1.0, "s"), "D": Tolerance(1.5e-5)},
        compute=three_state,
        quick=True,
        remark="Times are printed to the second and computed in steps of 2.5 s, D in steps of 1 s.",
    ),
)
