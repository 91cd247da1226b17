"""Softmax bandits beside a plain loop, and beside the means that an independent prototype measured."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.prng import stream
from jaxrl.meta import bandit
from jaxrl.meta.objective import MASKS, Time

RULE, PARAMS = bandit.step_size(), bandit.default_params()
PAPER, NONE = jnp.array(MASKS["paper"]), jnp.array(MASKS["none"])
# one program for all tests that need no more than this
RUN = jax.jit(partial(bandit.lifetimes, RULE, params=PARAMS, tasks=16))


def by_hand(w, key, N, told, tasks=16, arms=5):
    """The same lifetimes, pull after pull in numpy."""
    k_means, k_pulls = jax.random.split(key)
    mu = np.asarray(jax.random.normal(k_means, (tasks, arms)), np.float64)
    theta = np.zeros((tasks, arms))
    for n in range(N):
        k_arm, k_noise = jax.random.split(stream(k_pulls, n))
        chance = np.asarray(jax.random.uniform(k_arm, (tasks,)))
        noise = np.asarray(jax.random.normal(k_noise, (tasks,)))
        eta = np.exp(np.clip(w[0] + w[1] * n / told + w[2] * np.log(told), -6, 4))
        for i in range(tasks):
            pi = np.exp(theta[i]) / np.exp(theta[i]).sum()
            a = min(np.searchsorted(np.cumsum(pi), chance[i]), arms - 1)
            theta[i] += eta * (mu[i, a] + noise[i]) * (np.eye(arms)[a] - pi)
    pi = np.exp(theta) / np.exp(theta).sum(axis=1, keepdims=True)
    return (pi * mu).sum(axis=1)


@pytest.mark.parametrize(("N", "told"), [(1, 1.0), (7, 7.0), (7, 28.0)])
def test_lifetimes_are_those_of_a_plain_loop(N, told):
    w = (0.4, 0.9, -0.3)
    found = RUN({"w": jnp.array(w)}, jax.random.key(3), N, told, PAPER)
    np.testing.assert_allclose(found, by_hand(w, jax.random.key(3), N, told), atol=2e-5)


def test_a_masked_rule_does_not_use_the_horizon():
    w = {"w": jnp.array([0.2, 0.9, -0.3])}
    blind = RUN(w, jax.random.key(0), 9, 9.0, NONE)
    assert np.array_equal(blind, RUN(w, jax.random.key(0), 9, 36.0, NONE))
    assert not np.array_equal(
        RUN(w, jax.random.key(0), 9, 9.0, PAPER), RUN(w, jax.random.key(0), 9, 36.0, PAPER)
    )


def test_step_sizes_are_clipped_and_masked():
    step = lambda w, time: float(bandit.log_step(jnp.array(w), time))  # noqa: E731
    assert step((0.5, 2.0, -1.0), Time(2.0, 8.0, PAPER)) == pytest.approx(0.5 + 0.5 - np.log(8))
    assert step((0.5, 2.0, -1.0), Time(2.0, 8.0, NONE)) == pytest.approx(0.5)
    assert step((9.0, 0.0, 0.0), Time(0.0, 8.0, PAPER)) == 4.0
    assert step((-9.0, 0.0, 0.0), Time(0.0, 8.0, PAPER)) == -6.0


def test_known_rules_have_the_returns_of_an_independent_prototype():
    """8,000 tasks, standard error 0.006 of each mean; four of them are allowed."""
    config = bandit.Config(tasks=8000)
    run = jax.jit(
        lambda w: bandit.by_horizon(config, RULE, {"w": w}, jax.random.key(1), PAPER, PARAMS).mean(axis=1)
    )
    constant, schedule = run(jnp.zeros(3)), run(jnp.array([1.2, 1.2, -0.6]))
    np.testing.assert_allclose(constant, [0.474, 0.701, 0.857, 0.940, 0.984], atol=0.024)
    np.testing.assert_allclose(schedule, [0.603, 0.759, 0.879, 0.981, 1.049], atol=0.024)
    assert float((schedule - constant).mean()) == pytest.approx(0.063, abs=0.012)  # paired


def test_a_rule_can_be_stopped_early_and_told_another_horizon():
    config = bandit.Config(horizons=(4, 8), tasks=16)
    phi, key = {"w": jnp.array([0.4, 0.9, -0.3])}, jax.random.key(5)
    found = bandit.by_horizon(config, RULE, phi, key, PAPER, PARAMS, told=2.0, played=0.5)
    expected = [RUN(phi, stream(key, i), N // 2, 2.0 * N, PAPER) for i, N in enumerate((4, 8))]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
