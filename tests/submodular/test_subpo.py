"""SubPO by REINFORCE: sampled gradients against exact ones, modular reduction, ModPO, configuration."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxrl.baselines import reinforce
from jaxrl.core.errors import UsageError
from jaxrl.envs.coverage.place_grid import PlaceGrid
from jaxrl.envs.sets.modular import Modular
from jaxrl.envs.wrappers.finite_horizon import finite_horizon
from jaxrl.envs.wrappers.set_reward import SetParams, set_reward
from jaxrl.envs.wrappers.with_reward import with_reward
from jaxrl.submodular import subpo
from jaxrl.submodular.credit import SUMS, signal
from tests.submodular.four_cells import (
    WEIGHTS,
    H,
    Table,
    enumerate_all,
    problem,
    scores,
    table_of,
    values,
    zero_policy,
)

CELLS, ACTIONS = enumerate_all()
GAINS = np.diff(values(CELLS), axis=0)
SMALL = {"length": H, "widths": (), "initial": "orthogonal"}
PLAIN = {"lr": 1.0, "max_grad_norm": 1e9}


def _weight(credit, reward):
    """By its definition, float64[H, K]."""
    before = WEIGHTS[0] + np.concatenate([np.zeros_like(reward[:1]), np.cumsum(reward, 0)[:-1]])
    total = WEIGHTS[0] + reward.sum(0, keepdims=True) + 0 * reward
    return {"to_go": total - before, "total": total, "marginal": reward, "prefix": before + reward}[credit]


def _exact(credit, reward=GAINS):
    each = scores(CELLS, ACTIONS, np.zeros((H, 4, 5)))
    return np.einsum("kihsa,ik->hsa", each, _weight(credit, reward)) / ACTIONS.shape[1]


def _estimates(config, hypers, env, updates):
    """Gradients at theta = 0, `[hypers, updates, H, 4, 5]`, one per update of `n_envs` episodes."""
    algorithm = subpo.make(config, env, optimiser=optax.identity())
    data = env.default_params()
    state = zero_policy(jax.jit(algorithm.init)(jax.random.key(0), subpo.Hyper(), data))

    def one(key, hyper):
        return table_of(algorithm.step(state.replace(key=key), hyper, data)[0].params)

    over_keys = jax.vmap(one, (0, None))
    run = jax.jit(lambda keys: jax.lax.map(lambda hyper: over_keys(keys, hyper), hypers))
    return np.asarray(run(jax.random.split(jax.random.key(2), updates)), np.float64)


@pytest.mark.parametrize("baseline", ["none", pytest.param("batch", marks=pytest.mark.slow)])
def test_sampled_gradients_are_the_exact_ones(baseline):
    """200 000 trajectories per credit; 4 standard errors over 200 entries: false alarm about 1 %."""
    config = subpo.Config(n_envs=500, baseline=baseline, credit="mixture", **SMALL)
    hypers = jax.vmap(lambda share: subpo.Hyper(mixture=share, **PLAIN))(jnp.eye(4))
    hypers = jax.tree.map(lambda x: jnp.broadcast_to(jnp.asarray(x), (4, *jnp.shape(x)[1:])), hypers)
    estimates = _estimates(config, hypers, Table(problem()), 400)
    for credit, sample in zip(SUMS, estimates, strict=True):
        error = np.abs(sample.mean(0) - _exact(credit)) / (sample.std(0) / 20 + 1e-9)
        assert error.max() < 4, credit
        # the other direction is tens of standard errors away, so the test could tell
        other = _exact("marginal" if credit in ("to_go", "total") else "to_go")
        assert (np.abs(sample.mean(0) - other) / (sample.std(0) / 20 + 1e-9)).max() > 8
    if baseline == "none":
        traces = dict(zip(SUMS, 500 * estimates.var(1).sum((1, 2, 3)), strict=True))
        expected = {"to_go": 16.9925, "total": 44.7301, "marginal": 5.9091, "prefix": 28.4627}
        for credit, trace in traces.items():  # a variance from 400 estimates of 40 numbers
            assert trace == pytest.approx(expected[credit], rel=0.1)


def test_modular_reward_is_modpo():
    config = subpo.Config(n_envs=500, baseline="batch", **SMALL)
    hypers = jax.tree.map(lambda x: jnp.asarray(x)[None], subpo.Hyper(mixture=jnp.zeros(4), **PLAIN))
    sample = _estimates(config, hypers, Table(problem(modular=True)), 200)[0]
    error = np.abs(sample.mean(0) - _exact("to_go", WEIGHTS[CELLS[1:]])) / (sample.std(0) / 200**0.5 + 1e-9)
    assert error.max() < 4


def test_modular_function_gives_the_gradient_of_reinforce():
    """On the same samples, because both draw with the same keys."""
    grid = finite_horizon(PlaceGrid(2, 2), H)
    ours = set_reward(grid, Modular(4))
    theirs = with_reward(grid, lambda params, state, action, after: jnp.asarray(WEIGHTS)[after.env.cell])
    fields = {"n_envs": 64, "length": H, "widths": (8,), "baseline": "batch"}
    found = []
    for make, config, env, data in (
        (subpo.make, subpo.Config(**fields, initial="orthogonal"), ours,
         SetParams(grid.default_params(), jnp.asarray(WEIGHTS, jnp.float32))),
        (reinforce.make, reinforce.Config(**fields), theirs, theirs.default_params()),
    ):  # fmt: skip
        algorithm = make(config, env, optimiser=optax.identity())
        hyper = subpo.Hyper(**PLAIN) if make is subpo.make else reinforce.Hyper(gamma=1.0, **PLAIN)
        state = jax.jit(algorithm.init)(jax.random.key(3), hyper, data)
        after, _ = jax.jit(algorithm.step)(state, hyper, data)
        found.append(jax.tree.map(lambda a, b: a - b, after.params["actor"], state.params["actor"]))
    for a, b in zip(*map(jax.tree.leaves, found), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6 * float(np.abs(b).max()))


def test_metrics_are_values_of_trajectories_also_for_modpo():
    """Exact means of the uniform policy, 4 standard errors of 4000 episodes (standard deviations below 4)."""
    env = Table(problem(modular=True))
    algorithm, data = subpo.make(subpo.Config(n_envs=4000, **SMALL), env), env.default_params()
    state = zero_policy(jax.jit(algorithm.init)(jax.random.key(0), subpo.Hyper(), data))
    _, metrics = jax.jit(algorithm.step)(state, subpo.Hyper(), data)
    assert float(metrics["train/F"]) == pytest.approx(3.744, abs=0.25)
    assert float(metrics["train/F_max"]) == 10.0
    total = float(metrics["train/return"].total / metrics["train/return"].count)
    assert total == pytest.approx(6.736 - WEIGHTS[0], abs=0.25)


@pytest.mark.slow
def test_population_members_are_single_runs():
    """Eight seeds under vmap and alone, three updates."""
    config = subpo.Config(n_envs=8, length=H, widths=(4,), baseline="critic", credit="gae")
    env = problem()
    algorithm, data, hyper = subpo.make(config, env), env.default_params(), subpo.Hyper()
    keys = jax.random.split(jax.random.key(7), 8)

    def run(key):
        state = algorithm.init(key, hyper, data)
        return jax.lax.scan(lambda s, _: (algorithm.step(s, hyper, data)[0], None), state, length=3)[0].params

    together, alone = jax.jit(jax.vmap(run))(keys), jax.jit(run)
    for i in range(8):
        for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(alone(keys[i])), strict=True):
            np.testing.assert_allclose(a[i], b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"credit": "suffix"}, "credit"),
        ({"credit": "gae"}, "baseline"),
        ({"fisher": -1}, "fisher"),
        ({"keep": ("F",)}, "keep"),
        ({"initial": "zeros"}, "initial"),
    ],
)
def test_a_configuration_that_does_not_fit_names_the_field(fields, name):
    with pytest.raises(UsageError, match=rf"^Config\.{name}: [^\n]+$"):
        subpo.Config(**fields)


@pytest.mark.parametrize("length", [H - 1, H + 1])
def test_windows_are_episodes(length):
    """One action more or less, counted in states or in actions."""
    with pytest.raises(UsageError, match=rf"^Config\.length: must be {H}, .* {H + 1} visited states, got"):
        subpo.make(subpo.Config(length=length), Table(problem(show_history=True)))


def test_the_objective_has_no_discount():
    with pytest.raises(TypeError, match="gamma"):
        subpo.Hyper(gamma=0.5)
    window = reinforce.Window(
        None, jnp.array([[1.0], [2.0], [4.0]]), jnp.ones((3, 1), bool), jnp.zeros((3, 1, 1))
    )
    to_go = signal("to_go", window.reward, jnp.array([[False], [False], [True]]))
    weight = reinforce.score_weights(to_go, window.running, jnp.zeros((3, 1)), subpo.Hyper().gamma)
    np.testing.assert_array_equal(weight[:, 0], [7, 6, 4])


def test_environments_without_a_set_function_are_refused():
    algorithm = subpo.make(subpo.Config(n_envs=2, length=2), finite_horizon(PlaceGrid(2, 2), 2))
    data = finite_horizon(PlaceGrid(2, 2), 2).default_params()
    state = jax.eval_shape(algorithm.init, jax.random.key(0), subpo.Hyper(), data)
    with pytest.raises(UsageError, match="is not in Step"):
        jax.eval_shape(algorithm.step, state, subpo.Hyper(), data)


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


def test_the_natural_step_moves_the_actor_alone():
    """The critic takes the step of its own gradient, bit for bit that of the plain learner."""
    env, hyper = problem(), subpo.Hyper(lr=0.1)
    data = env.default_params()
    plain = subpo.Config(n_envs=8, baseline="critic", **SMALL)

    def after(config):
        algorithm = subpo.make(config, env, optimiser=optax.identity())
        state = jax.jit(algorithm.init)(jax.random.key(0), hyper, data)
        return jax.jit(algorithm.step)(state, hyper, data)[0].params

    ours, theirs = after(dataclasses.replace(plain, fisher=5)), after(plain)
    jax.tree.map(np.testing.assert_array_equal, ours["critic"], theirs["critic"])
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), ours["actor"], theirs["actor"])
    assert max(jax.tree.leaves(moved)) > 1e-3


def test_natural_and_recurrent_policies_learn_four_cells():
    """OPT is 10 (cells 0, 1, 3, 2 or the other way round); uniform policies get 3.744."""
    env = problem()
    config = subpo.Config(n_envs=64, length=H, widths=(8,), initial="orthogonal")
    values = _learn(dataclasses.replace(config, fisher=10), subpo.Hyper(lr=1.0, trust=0.05), 40, env)
    assert values[0] < 5 and values[-5:].mean() > 9
    values = _learn(dataclasses.replace(config, memory=8), subpo.Hyper(lr=0.05), 60, env)
    assert values[0] < 5 and values[-5:].mean() > 9
