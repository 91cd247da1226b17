"""What all wrappers share: precision, gradients, nested parameters."""

import jax
import jax.numpy as jnp
import pytest

from jaxrl.envs.base import real
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.envs.control.pendulum import Pendulum
from jaxrl.envs.grids.deep_sea import DeepSeaTreasure, TreasureParams
from jaxrl.envs.wrappers.clip_action import clip_action
from jaxrl.envs.wrappers.finite_horizon import finite_horizon
from jaxrl.envs.wrappers.observe_time import observe_time
from jaxrl.envs.wrappers.scalarise import scalarise
from tests.envs.wrappers.counting import KEY


def test_wrappers_keep_float64():
    with jax.enable_x64(True):
        env = observe_time(finite_horizon(CartPole(), 9, one_hot=True))
        params = env.default_params()
        state, obs = env.reset(KEY, params)
        _, out = env.step(KEY, state, jnp.int32(0), params)
        assert obs.dtype == out.obs.dtype == out.reward.dtype == jnp.float64
        # 1/500 is not a float32
        assert float(out.obs[-1]) == 1 / 500


def test_gradients_pass_through_wrappers():
    env = clip_action(observe_time(Pendulum()))
    params = env.default_params()
    state, _ = env.reset(KEY, params)

    @jax.jit
    def reward_after(mass):
        changed = params._replace(mass=mass)
        after, _ = env.step(KEY, state, jnp.array([0.5]), changed)
        return env.step(KEY, after, jnp.array([0.5]), changed)[1].reward

    slope = jax.grad(reward_after)(params.mass)
    difference = (reward_after(real(1.01)) - reward_after(real(0.99))) / 0.02
    assert float(slope) == pytest.approx(float(difference), rel=0.05) and float(slope) != 0


def test_params_records_nest():
    env = scalarise(finite_horizon(DeepSeaTreasure(), 4), (1, 2))
    params = env.default_params()
    assert params.w.tolist() == [1, 2] and int(params.env.horizon) == 4
    assert isinstance(params.env.env, TreasureParams)
