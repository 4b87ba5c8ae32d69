"""Exact cuts: fractions of tetrahedra and triangles, level-set surfaces."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simple_meshes import box_mesh

from ablasim.mesh_cut import (
    clip_corners,
    level_set_corners,
    segment_fraction_above,
    tet_fraction_above,
    triangle_fraction_above,
    triangle_normals,
    weld,
)

# Few distinct values, so that equal vertices and vertices on the level come up often.
values4 = st.lists(st.integers(-4, 4).map(lambda i: i / 2), min_size=4, max_size=4).map(np.array)


@pytest.mark.parametrize(
    ("values", "fraction"),
    [
        ([1, 1, 1, 1], 1.0),
        ([0, 0, 0, 0], 1.0),  # at the level counts as above
        ([-1, -1, -1, -1], 0.0),
        ([1, -1, -1, -1], 1 / 8),
        ([-1, 1, 1, 1], 7 / 8),
        ([1, 1, -1, -1], 1 / 2),
        ([1, 0, 0, -1], 1 / 2),
        ([0, 0, 0, -1], 0.0),  # only a face
        ([0, 0, 0, 1], 1.0),
        ([2, 2, 2, -1], 26 / 27),
        ([3, -1, -2, -3], 3 / 4 * 3 / 5 * 3 / 6),
    ],
)
def test_known_fractions(values: list[float], fraction: float) -> None:
    for order in ([0, 1, 2, 3], [3, 1, 0, 2], [2, 3, 1, 0]):
        assert tet_fraction_above(np.array(values, float)[order], 0.0) == pytest.approx(
            fraction, abs=1e-15
        )


@given(values4)
def test_above_and_below_fill_the_tetrahedron(values: np.ndarray) -> None:
    """A wrong wedge formula shows where two vertices are above and two below."""
    if (values == 0).all():
        return
    both = tet_fraction_above(values, 0.0) + tet_fraction_above(-values, 0.0)
    assert both == pytest.approx(1.0, abs=1e-14)


@given(values4, st.floats(0.01, 0.99), st.permutations(range(4)))
def test_splitting_a_tetrahedron_changes_nothing(
    values: np.ndarray, t: float, order: list[int]
) -> None:
    v = values[order]
    middle = (1 - t) * v[0] + t * v[1]
    parts = t * tet_fraction_above(np.array([v[0], middle, v[2], v[3]]), 0.25)
    parts += (1 - t) * tet_fraction_above(np.array([middle, v[1], v[2], v[3]]), 0.25)
    assert parts == pytest.approx(float(tet_fraction_above(values, 0.25)), abs=1e-12)


def test_fraction_is_stable_for_nearly_equal_values() -> None:
    rng = np.random.default_rng(1)
    values = 60.0 + 1e-13 * rng.integers(-3, 4, size=(2000, 4))
    fraction = tet_fraction_above(values, 60.0)
    assert np.isfinite(fraction).all()
    assert ((fraction >= 0.0) & (fraction <= 1.0)).all()


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-6), ("float64", 1e-14)])
def test_fraction_inside_jit_agrees_with_numpy(dtype: str, tolerance: float) -> None:
    values = np.random.default_rng(2).normal(size=(5000, 4)).astype(dtype)
    values[:1000] = np.round(values[:1000])
    with jax.enable_x64(True):
        result = jax.jit(lambda v: tet_fraction_above(v, 0.0, xp=jnp))(values)
    assert result.dtype == dtype
    expected = tet_fraction_above(values.astype(np.float64), 0.0)
    np.testing.assert_allclose(np.asarray(result), expected, atol=tolerance)


@given(values4)
def test_triangle_fractions(values: np.ndarray) -> None:
    """A triangle is the cross-section of a prism: compare with splitting at the longest edge."""
    v = values[:3]
    middle = 0.5 * (v[0] + v[1])
    halves = 0.5 * triangle_fraction_above(np.array([v[0], middle, v[2]]), 0.25)
    halves += 0.5 * triangle_fraction_above(np.array([middle, v[1], v[2]]), 0.25)
    assert halves == pytest.approx(float(triangle_fraction_above(v, 0.25)), abs=1e-14)
    assert triangle_fraction_above(np.array([1.0, -1.0, -1.0]), 0.0) == pytest.approx(0.25)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_level_set_is_closed_and_points_outward(seed: int, on_nodes: bool) -> None:
    """With the walls' parts above the level it bounds a volume: that of the cut tetrahedra.

    The divergence theorem fails for a missing, doubled or turned triangle.
    """
    rng = np.random.default_rng(seed)
    mesh = box_mesh(4, 1.0)
    values = rng.normal(size=len(mesh.points))
    if on_nodes:
        values = np.round(values)
    level = 0.0
    corners = [level_set_corners(mesh.cells, values, level)[0]]
    corners.append(clip_corners(mesh.faces, values, level)[0])
    surface = weld(mesh.points, values, level, np.concatenate(corners))
    normals = triangle_normals(surface.vertices, surface.triangles)
    centroids = surface.vertices[surface.triangles].mean(axis=1)
    volume = np.einsum("ij,ij->", centroids, normals) / 3.0
    exact = tet_fraction_above(values[mesh.cells], level) @ mesh.cell_volumes()
    assert volume == pytest.approx(exact, abs=1e-13)
    edges = np.concatenate([surface.triangles[:, [i, (i + 1) % 3]] for i in range(3)])
    forward = {tuple(edge): 0 for edge in edges.tolist()}
    for edge in edges.tolist():
        forward[tuple(edge)] += 1
    assert all(forward.get((b, a), 0) == n for (a, b), n in forward.items())
    np.testing.assert_allclose(
        surface.interpolate(values)[: len(surface.vertices)].min(), level, atol=1e-12
    )
    np.testing.assert_allclose(surface.interpolate(mesh.points), surface.vertices, atol=1e-14)


@pytest.mark.parametrize(
    ("one", "other", "share"),
    [
        (-1.0, -2.0, 0.0),
        (1.0, 2.0, 1.0),
        (-1.0, 3.0, 0.75),
        (3.0, -1.0, 0.75),
        (0.0, 0.0, 1.0),
        (0.0, -1.0, 0.0),
        (0.0, 1.0, 1.0),
        (-1e-300, 1e-300, 0.5),
    ],
)
def test_share_of_a_segment_above_zero(one: float, other: float, share: float) -> None:
    """Catches a share that is not symmetric in the ends, or undefined where a value is zero."""
    assert segment_fraction_above(np.float64(one), np.float64(other)) == pytest.approx(share)
    inside = segment_fraction_above(jnp.asarray(one), jnp.asarray(other), jnp)
    assert float(inside) == pytest.approx(share)
