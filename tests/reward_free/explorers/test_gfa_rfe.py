"""GFA-RFE: reward, targets and weights against numpy, turns of the value functions, and initial weights."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.reward_free.explorers import gfa_rfe

HYPER = gfa_rfe.Hyper(lr_module=0.01, tau_module=0.25, gamma=0.9)
N, B, K, D = 3, 5, 2, 1
CONFIG = gfa_rfe.Config(module_widths=(6,), values=N)
PARTS = gfa_rfe.intrinsic(CONFIG, K, D)
RNG = np.random.default_rng(0)
OBS, ACTION, NEXT = (RNG.normal(size=(B, n)).astype(np.float32) for n in (K, D, K))


def test_reward_targets_and_weights_of_given_values():
    """Standard deviations below, inside and above the bounds of the weights and of the reward."""
    values = np.float32([[0, 1, 30], [0.01, 2, 0], [0.02, 4, 60]])  # [n, B]
    later = np.float32([[1, -9, 600], [2, 0, 600], [3, 0, 600]])
    std = values.std(0, ddof=1)
    reward = np.minimum(2 * std, 10)
    np.testing.assert_allclose(gfa_rfe.disagreement(values, HYPER), reward, rtol=1e-5)
    y, weight = gfa_rfe.regression(values, later, HYPER)
    expected = [reward[0] + 0.9 * 2, reward[1] + 0.9 * -3, 500]
    np.testing.assert_allclose(y, np.maximum(expected, 0), rtol=1e-5)
    np.testing.assert_allclose(weight, [100, std[1] ** -2, 0.01], rtol=1e-5)
    assert std[0] < 0.1 and std[2] > 10 and expected[1] > 0


def test_negative_targets_are_clipped():
    y, _ = gfa_rfe.regression(np.zeros((2, 1), np.float32), np.full((2, 1), -1, np.float32), HYPER)
    assert float(y[0]) == 0


@pytest.fixture(scope="module")
def updates():
    """States before and after each of four steps, and the reward after the last."""
    state = jax.jit(PARTS.init)(jax.random.key(1))
    learn = jax.jit(lambda s: PARTS.update(s, HYPER, jax.random.key(0), OBS, ACTION, NEXT, ACTION))
    states = [state]
    for _ in range(4):
        states.append(learn(states[-1]))
    return states, jax.jit(PARTS.reward)(states[-1], HYPER, OBS, ACTION, NEXT)


def kernel(params):
    return np.asarray(params["Dense_0"]["kernel"])


def test_one_value_function_is_regressed_per_step_and_all_targets_follow(updates):
    """Adam's momentum moves those that have had their turn, too."""
    states, _ = updates
    moved = [
        [bool(np.any(kernel(after.values)[i] != kernel(before.values)[i])) for i in range(N)]
        for before, after in pairwise(states)
    ]
    assert moved == [[True, False, False], [True, True, False], [True] * 3, [True] * 3]
    for before, after in pairwise(states):
        lagged = 0.75 * kernel(before.target) + 0.25 * kernel(after.values)
        np.testing.assert_allclose(kernel(after.target), lagged, atol=1e-6)
    assert int(states[-1].steps) == 4


def test_reward_is_that_of_the_target_networks(updates):
    states, reward = updates
    target = jax.tree.map(lambda x: np.asarray(x, np.float64), states[-1].target)
    x = np.concatenate([OBS, ACTION], 1)
    values = []
    for i in range(N):
        p = jax.tree.map(lambda w, i=i: w[i], target)
        hidden = x @ p["Dense_0"]["kernel"] + p["Dense_0"]["bias"]
        hidden = (hidden - hidden.mean(1, keepdims=True)) / np.sqrt(hidden.var(1, keepdims=True) + 1e-6)
        hidden = np.maximum(hidden * p["LayerNorm_0"]["scale"] + p["LayerNorm_0"]["bias"], 0)
        values.append((hidden @ p["Dense_1"]["kernel"] + p["Dense_1"]["bias"])[:, 0])
    np.testing.assert_allclose(reward, np.minimum(2 * np.std(values, axis=0, ddof=1), 10), rtol=1e-4)


def test_initial_weights_are_bounded_by_the_outputs_where_asked():
    layers = {
        "Dense_0": {"kernel": jnp.full((9, 4), 1 / 3.0), "bias": jnp.full(4, -1 / 3.0)},
        "LayerNorm_0": {"scale": jnp.ones(4)},
    }
    stretched = gfa_rfe.bounded_by_outputs(layers)
    np.testing.assert_allclose(stretched["Dense_0"]["kernel"], np.full((9, 4), 0.5), rtol=1e-6)
    np.testing.assert_allclose(stretched["Dense_0"]["bias"], np.full(4, -0.5), rtol=1e-6)
    np.testing.assert_array_equal(stretched["LayerNorm_0"]["scale"], np.ones(4))


def test_the_released_initial_values_differ_more():
    """The last layer is uniform on +-1 there, on +-1 / sqrt(6) else."""
    released = gfa_rfe.intrinsic(gfa_rfe.Config(module_widths=(6,), values=N, initial="outputs"), K, D)
    wide, narrow = (jax.jit(parts.init)(jax.random.key(1)).values["Dense_1"] for parts in (released, PARTS))
    np.testing.assert_allclose(wide["kernel"], np.asarray(narrow["kernel"]) * 6**0.5, rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gfa_rfe.Config(values=1), r"Config\.values: must be >= 2, got 1"),
        (lambda: gfa_rfe.Config(initial="torch"), r"Config\.initial: .*'inputs', 'outputs'"),
    ],
)
def test_refusals_name_the_field_and_the_fix(call, message):
    with pytest.raises(UsageError, match=message):
        call()
