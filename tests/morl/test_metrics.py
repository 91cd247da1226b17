"""Measures of fronts against formulas, enumeration and simulated coverage."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.morl.metrics import (
    attainment,
    certified_hypervolume,
    crowding,
    expected_utility,
    hull_gap,
    hull_hypervolume,
    maximum_utility_loss,
    sparsity,
    weight_lattice,
)
from tests.morl.formula_points import MEASURES, formula_points
from theory.exact.pareto import nondominated

jit_crowding = jax.jit(crowding)
TREASURES = {
    "convex": [0.7, 8.2, 11.5, 14.0, 15.1, 16.1, 19.6, 20.3, 22.4, 23.7],
    "concave": [1, 2, 3, 5, 8, 16, 24, 50, 74, 124],
}
STEPS = np.array([1, 3, 5, 7, 8, 9, 13, 14, 17, 19])


def treasure_front(shape: str, gamma: float) -> np.ndarray:
    """Returns of the ten shortest paths of Deep Sea Treasure."""
    time = STEPS if gamma == 1 else (1 - gamma**STEPS) / (1 - gamma)
    return np.stack([TREASURES[shape] * gamma ** (STEPS - 1.0), -time], -1)


@pytest.mark.parametrize(
    ("m", "step", "size"),
    [(2, 0.01, 101), (3, 0.1, 66), (4, 0.1, 286), (6, 0.5, 21), (9, 0.5, 45), (1, 0.5, 1)],
)
def test_lattice_is_complete_and_distinct(m, step, size):
    weights = weight_lattice(m, step)
    assert weights.shape == (size, m)
    assert len(np.unique(weights, axis=0)) == size
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=0, atol=1e-12)
    assert weights.min() >= 0


@pytest.mark.parametrize(("m", "step"), [(2, 0.3), (0, 0.5), (2, 0.0), (2, -0.5), (2, 2.0)])
def test_lattice_refuses_a_step_that_does_not_divide_one(m, step):
    with pytest.raises(UsageError, match="1 / step"):
        weight_lattice(m, step)


@pytest.mark.parametrize(("n", "m", "q"), MEASURES)
def test_utility_and_sparsity_of_formula_sets(n, m, q):
    points = formula_points(n, m, q)
    count, _, _, spread, step, utility = MEASURES[n, m, q]
    front = np.unique(points[nondominated(points)], axis=0)
    assert len(front) == count
    np.testing.assert_allclose(sparsity(front), spread, rtol=1e-9)
    with jax.enable_x64(True):
        got = expected_utility(jnp.asarray(points), jnp.ones(n, bool), jnp.asarray(weight_lattice(m, step)))
    np.testing.assert_allclose(got, utility, rtol=1e-9)


def test_expected_utility_leaves_out_rows_that_are_not_valid():
    weights = jnp.asarray(weight_lattice(2, 0.5))
    points = jnp.asarray([[1.0, 0.0], [9.0, 9.0], [0.0, 1.0]])
    got = expected_utility(points, jnp.asarray([True, False, True]), weights)
    np.testing.assert_allclose(got, (1 + 0.5 + 1) / 3, rtol=1e-6)


def test_sparsity_of_fewer_than_two_points_is_zero():
    assert sparsity([[3.0, 1.0]]) == 0
    assert sparsity([[3.0, 1.0], [3.0, 1.0]]) == 0


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([(0, 10), (2, 9), (3, 7), (7, 4), (8, 1), (10, 0)], [np.inf, 0.6, 1.0, 1.1, 0.7, np.inf]),
        (
            [(0, 3, 9), (1, 5, 7), (4, 4, 4), (5, 1, 8), (9, 0, 2), (6, 2, 6)],
            [np.inf, np.inf, 1.41587302, 0.90793651, np.inf, 1.27301587],
        ),
        ([(1, 5), (2, 5), (3, 5)], [np.inf, 1.0, np.inf]),
        ([(4, 4)], [np.inf]),
    ],
)
def test_crowding_distances_and_padding(points, expected):
    got = jit_crowding(jnp.asarray(points, float), jnp.ones(len(points), bool))
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    padded = jnp.concatenate([jnp.full((2, len(points[0])), -jnp.inf), jnp.asarray(points, float)])
    got = jit_crowding(padded, jnp.arange(len(padded)) >= 2)
    np.testing.assert_allclose(got, [-np.inf, -np.inf, *expected], rtol=1e-6)


def test_largest_loss_equals_the_one_over_a_fine_grid():
    front = treasure_front("convex", 0.99)
    points = front[[0, 4, 9]]
    worst = maximum_utility_loss(points, front)
    weights = weight_lattice(2, 1e-4)
    losses = (weights @ front.T).max(-1) - (weights @ points.T).max(-1)
    np.testing.assert_allclose(worst.loss, losses.max(), rtol=1e-3)
    assert worst.loss >= losses.max() - 1e-9
    np.testing.assert_allclose(
        (front @ worst.weights).max() - (points @ worst.weights).max(), worst.loss, rtol=1e-9
    )
    assert maximum_utility_loss(front, front).loss < 1e-12


@pytest.mark.parametrize(
    ("shape", "gamma", "reference", "volume"),
    [
        ("convex", 1, -25, 427.95),
        ("convex", 1, -50, 1020.45),
        ("concave", 1, -25, 1869),
        ("concave", 1, -50, 4969),
        ("convex", 0.99, -25, 380.269580),
        ("convex", 0.99, -50, 874.718983),
        ("concave", 0.99, -25, 1644.043387),
        ("concave", 0.99, -50, 4231.036048),
    ],
)
def test_volume_of_mixtures_of_treasures(shape, gamma, reference, volume):
    np.testing.assert_allclose(
        hull_hypervolume(treasure_front(shape, gamma), [0, reference]), volume, rtol=1e-8
    )


def test_hull_gap_of_the_deterministic_front():
    front = treasure_front("concave", 0.99)
    np.testing.assert_allclose(hull_gap(front, front, [0, -50]), 1 - 3688.377090 / 4231.036048, rtol=1e-7)
    # three objectives: a simplex corner cut by its one facet
    np.testing.assert_allclose(hull_hypervolume(np.eye(3) + 1e-9, np.zeros(3)), 1 / 6, rtol=1e-6)


def test_points_at_the_reference_have_no_volume_under_mixtures():
    assert hull_hypervolume([[0.0, 5.0], [-1.0, 9.0]], [0.0, 0.0]) == 0


def test_attainment_equals_brute_force():
    fronts = [formula_points(12, 2, q) for q in range(11, 31)]
    grid = np.linspace(-0.1, 1.1, 25)
    for share in (0.25, 0.5, 0.75, 1.0):
        got = attainment(fronts, share, grid)
        for x, y in zip(grid, got, strict=True):
            levels = sorted({p[1] for f in fronts for p in f}, reverse=True)
            reached = [
                v for v in levels if sum(any(a >= x and b >= v for a, b in f) for f in fronts) >= share * 20
            ]
            assert y == (reached[0] if reached else -np.inf)


def test_attainment_refuses_three_objectives_and_no_share():
    with pytest.raises(UsageError, match=r"fronts\[1\]"):
        attainment([np.zeros((2, 2)), np.zeros((2, 3))], 0.5, [0.0])
    with pytest.raises(UsageError, match="share"):
        attainment([np.zeros((2, 2))], 0.0, [0.0])


def test_certified_volume_holds_under_selection_where_the_plain_one_never_does():
    # 200 copies of a policy that ends at treasure 124 with probability one half, else at treasure 1
    long, short = treasure_front("concave", 0.99)[[9, 0]]
    truth = (long + short) / 2 - [0, -50]
    true_volume = truth.prod()
    np.testing.assert_allclose(true_volume, 2131.826, rtol=1e-6)
    rng = np.random.default_rng(0)
    certified, plain = [], []
    for _ in range(100):
        heads = rng.random((200, 50, 1)) < 0.5
        out = certified_hypervolume(np.where(heads, long, short), [0, -50])
        certified.append(out.value / true_volume)
        plain.append(out.sampled / true_volume)
        assert out.without_spread == 0
    assert np.mean(np.array(certified) <= 1) >= 0.95
    assert 0.74 < np.mean(certified) < 0.80
    assert np.mean(np.array(plain) <= 1) < 0.01


def test_certified_volume_counts_policies_without_spread_and_wants_episodes():
    returns = np.stack([np.ones((5, 2)), np.arange(10.0).reshape(5, 2)])
    assert certified_hypervolume(returns, [0, 0]).without_spread == 1
    with pytest.raises(UsageError, match="2 episodes"):
        certified_hypervolume(returns[:, :1], [0, 0])


def test_lattice_rows_are_in_lexicographic_order():
    rows = [tuple(row) for row in weight_lattice(3, 0.5)]
    assert rows == sorted(rows)
    assert set(rows) == {w for w in itertools.product((0, 0.5, 1.0), repeat=3) if sum(w) == 1}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: hull_gap([[1.0, 1.0]], [[1.0, 1.0]], [2.0, 2.0]), "front: dominates no volume above"),
        (lambda: hull_hypervolume([[np.nan, 1.0]], [0.0, 0.0]), "points: must be finite"),
        (lambda: hull_hypervolume([[1.0, 1.0]], [0.0]), "reference: must have 2 objectives"),
        (lambda: maximum_utility_loss([[np.inf, 1.0]], [[1.0, 1.0]]), "points: must be finite"),
        (lambda: maximum_utility_loss([[1.0, 1.0]], [[1.0] * 3]), "front: must have 2 objectives"),
        (lambda: attainment([], 0.5, [0.0]), "fronts: holds none"),
        (lambda: certified_hypervolume(np.zeros((0, 5, 2)), [0.0, 0.0]), "returns: must be"),
        (lambda: certified_hypervolume(np.full((1, 5, 2), np.nan), [0.0, 0.0]), "returns: must be finite"),
    ],
)
def test_sets_that_cannot_be_measured_are_refused(call, words):
    with pytest.raises(UsageError, match=words):
        call()
