"""The natural gradient of a linear policy against a dense solve."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.baselines import natural


@pytest.fixture(scope="module")
def linear():
    """A softmax policy of 3 actions, linear in 4 features, on 23 of them: `(params, x [23, 4])`."""
    rng = np.random.default_rng(0)
    params = {"bias": rng.normal(size=3), "kernel": rng.normal(size=(4, 3))}
    x = rng.normal(size=(23, 4))
    return jax.tree.map(lambda v: jnp.asarray(v, jnp.float32), (params, x))


def _divergence(params, x):
    """Mean KL(pi_params || pi) as a function of the parameters of pi."""

    def log_probs(p):
        return jax.nn.log_softmax(x @ p["kernel"] + p["bias"][None])

    now = log_probs(params)
    return lambda there: (jnp.exp(now) * (now - log_probs(there))).sum(-1).mean()


def _dense(params, x):
    """Fisher matrix in float64, [15, 15]: of the bias [3], then the kernel [4, 3]."""
    kernel, bias = (np.asarray(params[name], np.float64) for name in ("kernel", "bias"))
    rows = np.asarray(x, np.float64)
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
    return np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)])


def test_fisher_products_are_those_of_the_matrix(linear):
    params, x = linear
    rng = np.random.default_rng(1)
    v = jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape), jnp.float32), params)
    found = jax.jit(lambda v: natural.fisher_product(_divergence(params, x), params)(v))(v)
    np.testing.assert_allclose(_flat(found), _dense(params, x) @ _flat(v), rtol=1e-4, atol=1e-5)


def test_conjugate_gradients_solve_several_systems_at_once(linear):
    params, x = linear
    rng = np.random.default_rng(3)
    b = jax.tree.map(lambda x: jnp.asarray(rng.normal(size=(2, *x.shape)), jnp.float32), params)

    @jax.jit
    def solve(b):
        product = natural.fisher_product(_divergence(params, x), params)
        return jax.vmap(lambda b: natural.conjugate_gradients(product, b, iterations=30, damping=0.1))(b)

    found, damped = solve(b), _dense(params, x) + 0.1 * np.eye(15)
    for i in range(2):
        own_b, own_x = (_flat(jax.tree.map(lambda v, i=i: v[i], tree)) for tree in (b, found))
        np.testing.assert_allclose(own_x, np.linalg.solve(damped, own_b), rtol=1e-3, atol=1e-4)


def test_direction_solves_the_system_within_the_trust_region(linear):
    params, x = linear
    rng = np.random.default_rng(2)
    g = jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape), jnp.float32), params)
    fisher, damping = _dense(params, x), 0.1
    expected = np.linalg.solve(fisher + damping * np.eye(15), _flat(g))

    @jax.jit
    def solve(trust):
        options = {"iterations": 30, "damping": damping, "trust": trust}
        return natural.direction(_divergence(params, x), params, g, **options)

    np.testing.assert_allclose(_flat(solve(1e6)), expected, rtol=1e-3, atol=1e-4)
    short = _flat(solve(0.01))
    np.testing.assert_allclose(short / np.linalg.norm(short), expected / np.linalg.norm(expected), atol=1e-4)
    assert 0.5 * short @ fisher @ short == pytest.approx(0.01, rel=1e-3)
