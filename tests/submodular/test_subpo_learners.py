"""The natural gradient against a dense solve, PPO with credits, recurrent policies."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.baselines import ppo
from jaxrl.baselines.reinforce import Window
from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Box, Discrete
from jaxrl.envs.control.car_track import car_track
from jaxrl.envs.coverage.place_grid import PlaceGrid
from jaxrl.envs.sets.modular import Modular
from jaxrl.envs.wrappers.finite_horizon import finite_horizon
from jaxrl.envs.wrappers.set_reward import SetParams, set_reward
from jaxrl.envs.wrappers.with_reward import with_reward
from jaxrl.nets.actor_critic import actor_critic
from jaxrl.submodular import natural, proximal, subpo
from tests.submodular.instance_e import WEIGHTS, H, problem

TINY = {"n_envs": 8, "length": H, "epochs": 2, "minibatches": 2, "widths": (4,)}
ONE = ppo.Hyper(gamma=1.0, lambda_=1.0)


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


def _learn(config, hyper, updates, env, seed=0):
    algorithm, data = subpo.make(config, env), env.default_params()
    state = jax.jit(algorithm.init)(jax.random.key(seed), hyper, data)
    run = jax.jit(
        lambda s: jax.lax.scan(
            lambda s, _: (lambda after, m: (after, m["train/F"]))(*algorithm.step(s, hyper, data)),
            s,
            length=updates,
        )[1]
    )
    return np.asarray(run(state))


def test_natural_and_recurrent_policies_learn_instance_e():
    """OPT is 10 (cells 0, 1, 3, 2 or the other way round); uniform policies get 3.744."""
    env = problem()
    config = subpo.Config(n_envs=64, length=H, widths=(8,), initial="orthogonal")
    values = _learn(dataclasses.replace(config, fisher=10), subpo.Hyper(lr=1.0, trust=0.05), 40, env)
    assert values[0] < 5 and values[-5:].mean() > 9
    values = _learn(dataclasses.replace(config, memory=8), subpo.Hyper(lr=0.05), 60, env)
    assert values[0] < 5 and values[-5:].mean() > 9


def _ppo_params(algorithm, env, data):
    state = jax.jit(algorithm.init)(jax.random.key(5), ONE, data)
    return jax.tree.leaves(jax.jit(algorithm.step)(state, ONE, data)[0].params)


def test_proximal_to_go_of_a_modular_function_is_ppo_on_its_weights():
    """Gains to come minus the value are generalised advantages with gamma = lambda = 1."""
    grid = finite_horizon(PlaceGrid(2, 2), H)
    ours = set_reward(grid, Modular(4))
    theirs = with_reward(grid, lambda params, state, action, after: jnp.asarray(WEIGHTS)[after.env.cell])
    data = SetParams(grid.default_params(), jnp.asarray(WEIGHTS, jnp.float32))
    ours = _ppo_params(proximal.make(proximal.Config(**TINY, credit="to_go"), ours), ours, data)
    theirs = _ppo_params(ppo.make(ppo.Config(**TINY), theirs), theirs, theirs.default_params())
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_proximal_sums_need_whole_episodes():
    env = problem()
    with pytest.raises(UsageError, match=rf"^Config\.length: must be a multiple of {H}.* got {H + 1}$"):
        proximal.make(proximal.Config(length=H + 1, credit="to_go"), env)
    proximal.make(proximal.Config(length=H + 1), env)
    with pytest.raises(
        UsageError, match=r"^Config\.credit: .*CarTrack.* no.* fixed length; take credit=\"gae\""
    ):
        proximal.make(proximal.Config(credit="total"), car_track())


def test_proximal_refuses_unknown_credits():
    with pytest.raises(UsageError, match=r"Config\.credit: must be one of 'to_go'"):
        proximal.Config(credit="suffix")
