"""Advantages along stored episodes, and the arms of the study of weights."""

import numpy as np
import pytest

from experiments.dual_rl import weights
from jaxrl.core.errors import UsageError
from jaxrl.data.dataset import from_arrays

SCALE, GAMMA = 0.5, 0.9


@pytest.fixture(scope="module")
def data():
    """An episode of four rows that terminates and one of three that is truncated."""
    rng = np.random.default_rng(0)
    return from_arrays(
        {
            "obs": rng.normal(size=(7, 2)).astype(np.float32),
            "next_obs": rng.normal(size=(7, 2)).astype(np.float32),
            "action": rng.normal(size=(7, 1)).astype(np.float32),
            "reward": rng.normal(size=7).astype(np.float32),
            "terminated": np.arange(7) == 3,
            "truncated": np.arange(7) == 6,
        }
    )


def rewards_then_value(data, here, there, t, n):
    """The advantage of row t by a loop: discounted rewards until n steps or the end, then the value."""
    total, discount = 0.0, 1.0
    for i in range(t, t + n):
        total += discount * SCALE * float(data.reward[i])
        if data.terminated[i]:
            return total - here[t]
        discount *= GAMMA
        if data.truncated[i] or i == t + n - 1:
            return total + discount * there[i] - here[t]
    raise AssertionError


def test_advantages_over_n_steps_equal_a_loop_and_one_step_is_lambda_zero(data):
    rng = np.random.default_rng(1)
    here, there = rng.normal(size=(2, 2, 7)).astype(np.float32)
    config = weights.Config(traces=(0.0,), steps=(1, 2, 25))
    pairs = list(zip(here, there, strict=True))
    found = weights.along_episodes(config, data, SCALE, GAMMA, here, there)
    for n in config.steps:
        expected = [[rewards_then_value(data, v, w, t, n) for t in range(7)] for v, w in pairs]
        np.testing.assert_allclose(found[f"{n} steps"], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["1 steps"], found["lambda 0"], rtol=1e-5, atol=1e-6)
    assert not np.allclose(found["2 steps"], found["1 steps"])


def test_every_kind_of_advantage_has_an_arm_at_every_share_in_the_order_of_the_weights():
    config = weights.Config(shares=(0.9, 0.5), traces=(0.9,), steps=(5,))
    kinds = weights.kinds_of(config)
    assert kinds == ["critic", "mean of critics", "lambda 0.9", "5 steps"]
    advantages = {kind: np.random.default_rng(i).normal(size=(1, 40)) for i, kind in enumerate(kinds)}
    found = dict(zip(weights.arms(config), weights._weights(config, advantages, 0), strict=True))
    np.testing.assert_array_equal(found["all rows"], 1.0)
    for kind in kinds:
        for share in config.shares:
            drawn = found[f"{kind} share {share:g}"]
            np.testing.assert_allclose(drawn.mean() ** 2 / (drawn**2).mean(), share, atol=0.02)
            order = np.argsort(advantages[kind][0])
            assert (np.diff(drawn[order]) >= 0).all()


def test_a_number_of_steps_below_one_is_refused_by_name():
    with pytest.raises(UsageError, match=r"Config.steps"):
        weights.Config(steps=(0,))
