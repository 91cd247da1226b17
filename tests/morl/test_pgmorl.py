"""PGMORL: the population, the predicted front, and the choice of the next generation."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.morl import pgmorl
from jaxrl.morl.hypervolume import exact_hypervolume
from jaxrl.morl.metrics import sparsity
from jaxrl.morl.pgmorl import Population, Records
from tests.morl.finite_problems import ENV, EXACT, LEARNER, MDP, scalarised_hyper
from theory.exact.pareto import nondominated

CONFIG = pgmorl.Config(LEARNER, 16, EXACT, updates=3, generations=6, warmup=2, directions=4, angles=3)
measures = jax.jit(pgmorl.front_measures)
chosen = jax.jit(pgmorl.chosen, static_argnums=4)
ZERO = jnp.zeros(2)


@pytest.mark.parametrize("i", range(6))
def test_measures_of_a_front_are_those_of_the_host(i):
    k = np.arange(15)
    points = np.stack([(7 * k + i) % 16 / 4, (5 * k * k + 3 * i + 2 * k) % 13 / 3], -1) - 0.3
    volume, gaps = measures(jnp.asarray(points, jnp.float32), jnp.asarray(k < 13), ZERO)
    used = points[:13][(points[:13] > 0).all(-1)]
    assert float(volume) == pytest.approx(exact_hypervolume(used, np.zeros(2)), rel=1e-5)
    assert float(gaps) == pytest.approx(
        sparsity(np.unique(used, axis=0)[nondominated(np.unique(used, axis=0))]), rel=1e-5
    )


def test_the_next_pairs_are_the_greedy_ones():
    front = np.array([[1.0, 6.0], [6.0, 1.0]], np.float32)
    candidates = np.array([[3.0, 3.0], [2.0, 5.0], [5.0, 3.0], [4.0, 4.0]], np.float32)
    usable = jnp.array([True, True, True, False])

    def worth(points):
        points = np.array(points)
        return exact_hypervolume(points, np.zeros(2)) - 0.5 * sparsity(points[nondominated(points)])

    taken = []
    for _ in range(2):
        left = [i for i in range(3) if i not in taken]
        taken.append(max(left, key=lambda i: worth([*front, *candidates[[*taken, i]]])))
    found = chosen(jnp.asarray(front), jnp.ones(2, bool), candidates, usable, 2, ZERO, jnp.float32(0.5))
    assert found.tolist() == taken


def test_the_population_keeps_the_farthest_policies_of_every_direction():
    points = np.array([[4.0, 0.1], [3.0, 0.1], [5.0, 0.2], [0.1, 2.0], [-1.0, 9.0], [2.0, 2.1]], np.float32)
    number = jnp.arange(6.0)
    blank = Population(jnp.zeros(8), *[jnp.zeros((8, 2))] * 2, jnp.zeros(8, bool))
    new = Population(number, jnp.asarray(points), jnp.zeros((6, 2)), jnp.ones(6, bool))
    found = jax.jit(pgmorl.enter, static_argnums=2)(blank, new, CONFIG, ZERO)
    # of the first direction the two farthest; a policy below the reference point is left out
    assert sorted(found.policy[found.valid].tolist()) == [0, 2, 3, 5]


def test_tried_weights_are_on_the_simplex_and_within_reach():
    w = jnp.array([[1.0, 0.0], [0.5, 0.5]])
    found = np.asarray(pgmorl.tried_weights(w, 7, jnp.float32(np.pi / 4)))
    np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-6)
    assert found.min() >= -1e-6
    np.testing.assert_allclose(found[1, [0, 3, 6]], [[1, 0], [0.5, 0.5], [0, 1]], atol=1e-6)
    np.testing.assert_allclose(found[0, 6], [0.5, 0.5], atol=1e-6)


def test_predictions_follow_a_trend_of_the_records():
    """Every record gains 10 w_j in objective j: so does the prediction."""
    x = jnp.linspace(0, 1, 9)
    w = jnp.stack([x, 1 - x], -1)
    records = Records(jnp.full((9, 2), 20.0), w, 10 * w, jnp.ones(9, bool))
    one = Population(jnp.zeros(1), jnp.full((1, 2), 20.0), jnp.full((1, 2), 0.5), jnp.ones(1, bool))
    found = jax.jit(pgmorl.predicted)(one, records, w[None])
    np.testing.assert_allclose(found[0], 20 + 10 * w, atol=0.3)


@pytest.fixture(scope="module")
def trained():
    algorithm = pgmorl.make(CONFIG, ENV)
    first = scalarised_hyper()
    hyper = jax.tree.map(jnp.asarray, pgmorl.Hyper(first.weights, first.reference, first.learner, gamma=0.9))
    state = jax.jit(algorithm.init)(jax.random.key(0), hyper, MDP)
    states, metrics = [state], []
    step = jax.jit(algorithm.step)
    for _ in range(CONFIG.generations):
        state, found = step(state, hyper, MDP)
        states.append(state)
        metrics.append(found)
    return states, jax.tree.map(lambda *x: np.stack(x), *metrics)


def test_weights_stay_in_the_warm_up_and_are_selected_after_it(trained):
    states, metrics = trained
    np.testing.assert_array_equal(states[1].weights, states[0].weights)
    assert np.abs(np.asarray(states[2].weights) - np.asarray(states[0].weights)).max() > 1e-3
    assert metrics["selecting"].tolist() == [False, True, True, True, True, True]


def test_learners_begin_a_generation_as_members_of_the_population(trained):
    states, _ = trained
    for state in states[2:]:
        known = np.asarray(state.population.returns)[np.asarray(state.population.valid)]
        assert all((np.abs(known - v).max(-1) == 0).any() for v in np.asarray(state.values))


def test_records_are_changes_of_the_values(trained):
    states, _ = trained
    n = len(states[0].weights)
    for g, (before, after) in enumerate(itertools.pairwise(states)):
        own = slice(g * n, (g + 1) * n)
        np.testing.assert_array_equal(after.records.before[own], before.values)
        np.testing.assert_array_equal(after.records.weights[own], before.weights)
    assert np.asarray(states[-1].records.valid).all()


def test_hypervolume_with_exact_values_never_falls(trained):
    _, metrics = trained
    assert np.all(np.diff(metrics["hypervolume"]) >= -1e-4)


def test_other_than_two_objectives_are_refused():
    with pytest.raises(UsageError, match="3 objectives, pgmorl takes 2; use decomposed"):
        pgmorl.make(CONFIG, Tabular(5, 3, reward_dim=3))
