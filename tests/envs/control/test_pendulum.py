"""Pendulum against gymnasium by state injection."""

import math

import jax.numpy as jnp
import pytest

from jaxrl.envs.control.pendulum import Pendulum, PendulumState
from tests.envs.control.parity import (
    check_constants,
    check_limit_and_start,
    check_steps,
    check_steps_in_float64,
)


def test_step_equals_gymnasium():
    check_steps("Pendulum")


def test_step_equals_gymnasium_in_float64():
    check_steps_in_float64("Pendulum")


def test_every_constant_means_what_it_means_in_gymnasium():
    check_constants("Pendulum")


def test_time_limit_and_start_equal_gymnasium():
    check_limit_and_start("Pendulum")


def test_pendulum_reproduces_the_published_rollout_start():
    """First row of imitation's pendulum expert: observation, torque -2, reward -1.5915169."""
    env = Pendulum()
    obs = (0.3088073, 0.9511246, -0.27975237)
    state = PendulumState(jnp.float32(math.atan2(obs[1], obs[0])), jnp.float32(obs[2]))
    reward = env.reward(env.default_params(), state, jnp.array([-2.0], jnp.float32), state)
    assert float(reward) == pytest.approx(-1.5915169, abs=1e-6)
