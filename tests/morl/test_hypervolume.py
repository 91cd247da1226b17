"""Hypervolume against inclusion and exclusion, published values of formula sets, and pymoo."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.morl.hypervolume import (
    LARGEST_EXACT,
    exact_hypervolume,
    hypervolume,
    hypervolume_device,
)
from tests.morl.formula_points import MEASURES, brute_force, formula_points

device = jax.jit(hypervolume_device)


@pytest.mark.parametrize(("n", "m", "q"), MEASURES)
def test_exact_value_of_formula_sets(n, m, q):
    points = formula_points(n, m, q)
    _, above_tenth, above_zero, *_ = MEASURES[n, m, q]
    np.testing.assert_allclose(
        exact_hypervolume(points, np.full(m, -0.1)), above_tenth, rtol=1e-9, atol=1e-10
    )
    np.testing.assert_allclose(exact_hypervolume(points, np.zeros(m)), above_zero, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("m", [1, 2, 3, 4, 5, 7])
@pytest.mark.parametrize("seed", range(4))
def test_exact_value_equals_inclusion_and_exclusion(m, seed):
    rng = np.random.default_rng(seed)
    # a coarse grid makes ties, equal and dominated points, and points below the reference
    points = rng.integers(-1, 5, size=(9, m)) / 2.0
    reference = np.full(m, -0.25)
    np.testing.assert_allclose(
        exact_hypervolume(points, reference), brute_force(points, reference), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("m", [2, 3, 4, 5, 6])
def test_exact_value_equals_pymoo(m):
    hv = pytest.importorskip("pymoo.indicators.hv", reason="pymoo is in the extra dev")
    points = np.random.default_rng(m).normal(size=(60, m))
    reference = np.full(m, -1.5)
    np.testing.assert_allclose(
        exact_hypervolume(points, reference), hv.HV(ref_point=-reference)(-points), rtol=1e-9
    )


def test_volume_does_not_depend_on_order_and_scales_with_the_sides():
    rng = np.random.default_rng(5)
    points, reference = rng.random((25, 4)), np.full(4, -0.3)
    volume = exact_hypervolume(points, reference)
    np.testing.assert_allclose(exact_hypervolume(points[::-1, [2, 0, 3, 1]], reference), volume, rtol=1e-12)
    scale = np.array([2.0, 3.0, 0.5, 7.0])
    np.testing.assert_allclose(
        exact_hypervolume(points * scale, reference * scale), volume * scale.prod(), rtol=1e-12
    )


def test_another_point_never_lowers_the_volume():
    rng = np.random.default_rng(6)
    points = rng.random((20, 3))
    volumes = [exact_hypervolume(points[: k + 1], np.zeros(3)) for k in range(20)]
    assert np.all(np.diff(volumes) >= 0)
    # control: the volume is not constant
    assert volumes[-1] > volumes[0]


def test_points_on_or_below_the_reference_add_nothing():
    assert exact_hypervolume([[1.0, 0.0], [0.0, 5.0], [-1.0, 9.0]], [0.0, 0.0]) == 0
    assert exact_hypervolume(np.zeros((0, 3)), np.zeros(3)) == 0


def test_estimate_covers_the_exact_value_and_says_so(monkeypatch):
    points = np.abs(np.random.default_rng(7).normal(size=(19, 9)))
    exact = exact_hypervolume(points, np.zeros(9))
    monkeypatch.setitem(LARGEST_EXACT, 9, len(points) - 1)
    estimate = hypervolume(points, np.zeros(9))
    assert estimate.method == "quasi-Monte-Carlo"
    assert estimate.low <= exact <= estimate.high
    assert estimate.high - estimate.low < 0.02 * exact


def test_many_objectives_are_estimated_above_the_stated_size():
    points = np.abs(np.random.default_rng(8).normal(size=(LARGEST_EXACT[9] + 30, 9)))
    points /= np.linalg.norm(points, axis=-1, keepdims=True)
    assert hypervolume(points, np.zeros(9)).method == "quasi-Monte-Carlo"
    few = hypervolume(points[: LARGEST_EXACT[9]], np.zeros(9))
    assert few.method == "exact"
    assert few.low == few.value == few.high


@pytest.mark.parametrize("m", [2, 3])
def test_compiled_value_equals_the_exact_one_on_padded_sets(m):
    rng = np.random.default_rng(m)
    points = rng.integers(-2, 8, size=(3, 30, m)) / 4.0
    valid = rng.random((3, 30)) < 0.6
    reference = np.full(m, -0.125)
    padded = np.where(valid[..., None], points, -np.inf)
    got = jax.vmap(device, (0, 0, None))(jnp.asarray(padded), jnp.asarray(valid), jnp.asarray(reference))
    want = [exact_hypervolume(p[v], reference) for p, v in zip(points, valid, strict=True)]
    np.testing.assert_allclose(got, want, rtol=1e-5)


def test_compiled_value_is_exact_in_double_precision():
    with jax.enable_x64(True):
        points = formula_points(20, 3, 11)
        got = device(jnp.asarray(points), jnp.ones(20, bool), jnp.full(3, -0.1))
    np.testing.assert_allclose(got, 1.053, rtol=1e-12)


@pytest.mark.parametrize(
    ("points", "reference", "message"),
    [
        (np.zeros(3), np.zeros(3), r"must be \[n, m\]"),
        (np.zeros((2, 3)), np.zeros(2), r"must be \[n, m\]"),
        (np.zeros((2, 0)), np.zeros(0), r"must be \[n, m\]"),
        ([[np.nan, 1.0]], [0.0, 0.0], "must be finite"),
        ([[2.0, 1.0]], [0.0, -np.inf], "must be finite"),
    ],
)
def test_bad_points_are_refused(points, reference, message):
    with pytest.raises(UsageError, match=message):
        hypervolume(points, reference)


def test_compiled_value_refuses_four_objectives():
    with pytest.raises(UsageError, match="4 objectives"):
        hypervolume_device(jnp.zeros((2, 4)), jnp.ones(2, bool), jnp.zeros(4))
