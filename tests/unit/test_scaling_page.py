"""The page on scaling says what the results hold, and its model does what its formula says."""

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("scaling_page", BENCHMARKS / "scaling_page.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # dataclasses look their module up
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "scaling_page", module)
        spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def content() -> Any:
    return json.loads((BENCHMARKS / "results" / "scaling.json").read_text())


def test_the_page_shows_the_results(pages: ModuleType, content: Any) -> None:
    page = pages.PAGE.read_text(encoding="utf-8")
    assert set(re.findall(r"<!-- begin (\w+) -->", page)) == set(pages.BLOCKS)
    assert pages.filled(page, content) == page, "run: python benchmarks/scaling.py --page"


def test_other_results_make_another_page(pages: ModuleType, content: Any) -> None:
    page = pages.PAGE.read_text(encoding="utf-8")
    other = json.loads(json.dumps(content))
    other["sizes"]["50k"]["ranks"]["2"]["step_median_s"] *= 2.0
    assert pages.filled(page, other) != page


def a_model(pages: ModuleType, **changed: float) -> Any:
    numbers = {"points": 10**6, "per_point": 1e-5, "work": 1.1, "exchanges": 200.0}
    numbers |= {"sums": 250.0, "neighbours": 14, "spread": 2.5, "set_up": 10.0}
    return pages.Model(**(numbers | changed))


def test_one_rank_sends_nothing(pages: ModuleType) -> None:
    model = a_model(pages)
    for network in pages.NETWORKS:
        assert model.step(1, network) == pytest.approx(10.0)
        assert model.efficiency(1, network) == pytest.approx(1.0)


def test_without_messages_only_the_work_is_left(pages: ModuleType) -> None:
    silent = pages.Network("none", 0.0, 0.0, 1e30)
    assert a_model(pages).efficiency(64, silent) == pytest.approx(1.0 / 1.1)


def test_the_time_of_a_step_by_hand(pages: ModuleType) -> None:
    """64 ranks: 0.172 s of work, 201 exchanges of 1 + 13 x 0.1 ms, 1840 bytes for each of 1562.5
    ghosts, 250 sums of 6 x 1 ms."""
    network = pages.Network("slow", 1e-3, 1e-4, 1e6)
    expected = 1.1 * 10.0 / 64 + 201 * 2.3e-3 + 1840 * 1562.5 / 1e6 + 250 * 6e-3
    assert a_model(pages).step(64, network) == pytest.approx(expected)


def test_half_is_where_the_efficiency_crosses_one_half(pages: ModuleType) -> None:
    model = a_model(pages)
    for network in pages.NETWORKS:
        ranks = model.half(network)
        assert ranks > 1
        assert model.efficiency(ranks, network) >= 0.5 > model.efficiency(ranks + 1, network)
    fast, slow = (model.half(network) for network in pages.NETWORKS)
    assert fast > slow
    assert a_model(pages, points=10**7).half(pages.NETWORKS[0]) > fast
