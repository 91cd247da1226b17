"""Acrobot against gymnasium by state injection."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.control.acrobot import Acrobot, AcrobotState
from tests.envs.control.parity import (
    PI,
    check_constants,
    check_limit_and_start,
    check_steps,
    check_steps_in_float64,
)


def test_step_equals_gymnasium():
    check_steps("Acrobot")


def test_step_equals_gymnasium_in_float64():
    check_steps_in_float64("Acrobot")


def test_every_constant_means_what_it_means_in_gymnasium():
    check_constants("Acrobot")


def test_time_limit_and_start_equal_gymnasium():
    check_limit_and_start("Acrobot")


def test_raw_acrobot_shows_wrapped_angles():
    env = Acrobot(raw=True)
    state = AcrobotState(*(jnp.float32(x) for x in (3.1, -3.1, 5.0, -5.0)))
    after, out = env.step(jax.random.key(0), state, jnp.int32(2), env.default_params())
    np.testing.assert_array_equal(out.obs, np.stack(after))
    assert np.abs(out.obs[:2]).max() <= PI + 1e-6 and out.obs[0] < 0 < out.obs[1]
