"""PPO with credits: equal to PPO on a modular function, values of F as metrics, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.baselines import ppo
from jaxrl.core.errors import UsageError
from jaxrl.envs.control.car_track import car_track
from jaxrl.envs.coverage.place_grid import PlaceGrid
from jaxrl.envs.sets.modular import Modular
from jaxrl.envs.wrappers.finite_horizon import finite_horizon
from jaxrl.envs.wrappers.set_reward import SetParams, set_reward
from jaxrl.envs.wrappers.with_reward import with_reward
from jaxrl.submodular import proximal
from tests.submodular.four_cells import WEIGHTS, H, problem

TINY = {"n_envs": 8, "length": H, "epochs": 2, "minibatches": 2, "widths": (4,)}
ONE = ppo.Hyper(gamma=1.0, lambda_=1.0)


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


def test_the_value_of_whole_episodes_is_a_metric():
    """F of an episode is its return plus the weight of the first cell; windows without an end count none."""
    for length, ends in ((2 * H, 2), (H - 1, 0)):
        env = problem()
        algorithm = proximal.make(proximal.Config(**TINY | {"length": length}), env)
        data = env.default_params()
        state = jax.jit(algorithm.init)(jax.random.key(5), ONE, data)
        _, metrics = jax.jit(algorithm.step)(state, ONE, data)
        value, returns = metrics["train/F"], metrics["train/return"]
        assert float(value.count) == float(returns.count) == 8 * ends
        assert float(value.total) == pytest.approx(float(returns.total) + WEIGHTS[0] * 8 * ends, rel=1e-6)


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
