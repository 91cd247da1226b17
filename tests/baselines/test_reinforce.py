"""REINFORCE against exact gradients, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxrl.baselines import reinforce
from jaxrl.core.errors import UsageError
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.envs.tabular.mdp import make_mdp
from jaxrl.envs.tabular.tabular import Tabular

HORIZON, GAMMA = 3, 0.8
P = np.array(
    [[[0.7, 0.2, 0.1], [0.1, 0.6, 0.3]], [[0.5, 0.0, 0.5], [0.2, 0.8, 0.0]], [[0.0, 0.0, 1.0]] * 2],
    np.float32,
)
R = np.array([[1.0, -0.5], [0.3, 2.0], [0.0, 0.0]], np.float32)
MU0 = np.array([0.6, 0.4, 0.0], np.float32)


def _problem():
    """Three states, the last terminal: episodes end by termination or after three steps."""
    mdp = make_mdp(P, R, mu0=MU0, gamma=GAMMA, terminal=[2])
    return Tabular(3, 2), mdp


def _exact(logits):
    """J = sum_t gamma^t sum_s d_t(s) sum_a pi(a|s) R(s, a) with d_t propagated, float32[]."""
    policy = jax.nn.softmax(logits)
    d, total = jnp.asarray(MU0), 0.0
    for t in range(HORIZON):
        joint = d[:, None] * policy
        total += GAMMA**t * (joint * R).sum()
        d = jnp.einsum("sa,sax->x", joint, P)
    return total


@pytest.mark.parametrize("baseline", ["none", "batch", "critic"])
def test_gradient_is_the_exact_policy_gradient(baseline):
    # 500 independent updates of 40 episodes; |z| < 5.2 for six entries: false alarm 1.2e-6
    env, mdp = _problem()
    config = reinforce.Config(n_envs=40, length=HORIZON, widths=(), baseline=baseline)
    algorithm = reinforce.make(config, env, optimiser=optax.identity())
    hyper = reinforce.Hyper(lr=1.0, gamma=GAMMA, max_grad_norm=1e6)
    state = jax.jit(algorithm.init)(jax.random.key(0), hyper, mdp)
    logits = jnp.array([[0.4, -0.3], [-0.2, 0.5], [0.0, 0.0]])
    params = jax.tree.map(jnp.zeros_like, state.params)
    params["actor"]["Dense_0"]["kernel"] = logits
    params["critic"]["Dense_0"]["kernel"] = jnp.array([[1.0], [2.0], [0.0]])

    def estimate(key):
        new, _ = algorithm.step(state.replace(params=params, key=key), hyper, mdp)
        return new.params["actor"]["Dense_0"]["kernel"] - logits

    estimates = jax.jit(jax.vmap(estimate))(jax.random.split(jax.random.key(1), 500))
    exact = jax.jit(jax.grad(_exact))(logits)
    error = np.asarray(estimates.mean(0) - exact)
    z = error / np.asarray(estimates.std(0) / 500**0.5 + 1e-7)
    assert np.abs(z).max() < 5.2
    assert float(jnp.abs(exact[:2]).min()) > 0.02  # ten times the standard error: the test could tell


def test_batch_baseline_is_the_average_of_the_others():
    rng = np.random.default_rng(0)
    returns, lengths = rng.normal(size=(6, 5)).astype(np.float32), np.array([6, 3, 1, 3, 5])
    running = np.arange(6)[:, None] < lengths
    got = reinforce.batch_baseline(jnp.asarray(returns), jnp.asarray(running))
    for t in range(6):
        for i in range(5):
            others = [returns[t, j] for j in range(5) if j != i and running[t, j]]
            if running[t, i]:
                np.testing.assert_allclose(
                    got[t, i], np.mean(others) if others else 0.0, rtol=1e-5, atol=1e-6
                )


def test_score_weights_are_discounted_to_the_start():
    returns, running = jnp.array([[4.0, 2.0], [3.0, 9.0]]), jnp.array([[True, True], [True, False]])
    got = reinforce.score_weights(returns, running, jnp.ones((2, 2)), 0.5)
    np.testing.assert_array_equal(got, [[3.0, 1.0], [1.0, 0.0]])


def test_baselines_lower_the_variance():
    env, mdp = _problem()
    spread = {}
    for baseline in ("none", "batch"):
        config = reinforce.Config(n_envs=40, length=HORIZON, widths=(), baseline=baseline)
        algorithm = reinforce.make(config, env, optimiser=optax.identity())
        hyper = reinforce.Hyper(lr=1.0, gamma=GAMMA, max_grad_norm=1e6)
        state = jax.jit(algorithm.init)(jax.random.key(0), hyper, mdp)
        step = jax.vmap(lambda k, a=algorithm, s=state, h=hyper: a.step(s.replace(key=k), h, mdp)[0].params)
        kernels = jax.jit(step)(jax.random.split(jax.random.key(1), 500))["actor"]["Dense_0"]["kernel"]
        spread[baseline] = float(kernels.var(0).sum())
    assert spread["batch"] < 0.7 * spread["none"]


def test_every_episode_counts_once_and_is_cut_at_length():
    algorithm = reinforce.make(reinforce.Config(n_envs=8, length=12), CartPole())
    hyper, data = reinforce.Hyper(), CartPole().default_params()
    state = jax.jit(algorithm.init)(jax.random.key(0), hyper, data)
    _, metrics = jax.jit(algorithm.step)(state, hyper, data)
    assert float(metrics["train/return"].count) == 8
    assert float(metrics["train/return"].total) == float(metrics["train/length"].total) <= 8 * 12
    assert float(metrics["train/truncated"].total) > 0


def test_vector_rewards_are_weighted():
    mdp = make_mdp(P, np.stack([R, -R], -1), mu0=MU0, gamma=GAMMA, terminal=[2], reward_dim=2)
    config = reinforce.Config(n_envs=16, length=HORIZON, widths=())
    vector = reinforce.make(config, Tabular(3, 2, reward_dim=2), optimiser=optax.identity())
    env, scalar_mdp = _problem()
    scalar = reinforce.make(config, env, optimiser=optax.identity())
    results = []
    for algorithm, data, w in ((vector, mdp, jnp.array([0.75, -0.25])), (scalar, scalar_mdp, None)):
        hyper = reinforce.Hyper(gamma=GAMMA, w=w)
        state = jax.jit(algorithm.init)(jax.random.key(0), hyper, data)
        results.append(jax.jit(algorithm.step)(state, hyper, data)[0].params["actor"]["Dense_0"]["kernel"])
    np.testing.assert_allclose(*results, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"n_envs": 0}, "n_envs"),
        ({"n_envs": 1}, "n_envs"),
        ({"length": 0}, "length"),
        ({"baseline": "mean"}, "baseline"),
        ({"activation": "sine"}, "activation"),
        ({"memory": -1}, "memory"),
    ],
)
def test_config_names_the_field(fields, name):
    with pytest.raises(UsageError, match=rf"^Config\.{name}: [^\n]+$"):
        reinforce.Config(**fields)
