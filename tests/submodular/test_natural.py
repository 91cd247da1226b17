"""The natural gradient of a linear policy against a dense solve."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.baselines.reinforce import Window
from jaxrl.core.spaces import Box, Discrete
from jaxrl.nets.actor_critic import actor_critic
from jaxrl.submodular import natural


@pytest.fixture(scope="module")
def linear():
    """A linear policy of 3 actions on 4 features over 7 x 5 steps, some over: `(nets, params, window)`."""
    rng = np.random.default_rng(0)
    nets = actor_critic(Box(-1.0, 1.0, (4,)), Discrete(3), None, widths=())
    params = jax.tree.map(
        lambda x: jnp.asarray(rng.normal(size=x.shape), jnp.float32), nets.init(jax.random.key(0))
    )
    running = np.arange(7)[:, None] < np.array([7, 3, 5, 7, 1])
    x = jnp.asarray(rng.normal(size=(7, 5, 4)), jnp.float32)
    return nets, params, Window(None, jnp.zeros((7, 5)), jnp.asarray(running), x)


def _dense(params, window):
    """Fisher matrix of the actor in float64, [15, 15]: of its bias [3], then its kernel [4, 3]."""
    kernel = np.asarray(params["actor"]["Dense_0"]["kernel"], np.float64)
    bias = np.asarray(params["actor"]["Dense_0"]["bias"], np.float64)
    rows = np.asarray(window.x, np.float64)[np.asarray(window.running)]
    fisher = np.zeros((15, 15))
    for x in rows:
        z = np.exp(x @ kernel + bias)
        p = z / z.sum()
        for a in range(3):
            score = np.eye(3)[a] - p
            g = np.concatenate([score, np.outer(x, score).ravel()])
            fisher += p[a] * np.outer(g, g) / len(rows)
    return fisher


def _flat(tree):
    return np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree["actor"])])


def test_fisher_products_are_those_of_the_matrix(linear):
    nets, params, window = linear
    rng = np.random.default_rng(1)
    v = jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape), jnp.float32), params)
    found = jax.jit(lambda v: natural.fisher_product(nets, params, window)(v))(v)
    np.testing.assert_allclose(_flat(found), _dense(params, window) @ _flat(v), rtol=1e-4, atol=1e-5)
    assert all(np.all(x == 0) for x in jax.tree.leaves(found["critic"]))


def test_direction_solves_the_system_within_the_trust_region(linear):
    nets, params, window = linear
    rng = np.random.default_rng(2)
    g = jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape), jnp.float32), params)
    fisher, damping = _dense(params, window), 0.1
    expected = np.linalg.solve(fisher + damping * np.eye(15), _flat(g))

    @jax.jit
    def solve(trust):
        return natural.direction(nets, params, g, window, iterations=30, damping=damping, trust=trust)

    free = solve(1e6)
    np.testing.assert_allclose(_flat(free), expected, rtol=1e-3, atol=1e-4)
    for a, b in zip(jax.tree.leaves(free["critic"]), jax.tree.leaves(g["critic"]), strict=True):
        np.testing.assert_array_equal(a, b)
    short = _flat(solve(0.01))
    np.testing.assert_allclose(short / np.linalg.norm(short), expected / np.linalg.norm(expected), atol=1e-4)
    assert 0.5 * short @ fisher @ short == pytest.approx(0.01, rel=1e-3)
