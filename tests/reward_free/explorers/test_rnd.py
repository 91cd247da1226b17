"""RND: its reward against numpy, two batches after each other, and scales of observations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.reward_free.explorers import rnd
from jaxrl.rollout.normalise import RunningMoments

HYPER = rnd.Hyper(lr_module=0.1)
B, K, D = 6, 3, 2


@pytest.fixture(scope="module")
def module():
    """The initial state, and one function for update and reward."""
    parts = rnd.intrinsic(rnd.Config(module_widths=(5,), outputs=4), K, D)
    no_action = jnp.zeros((B, D))

    @jax.jit
    def learn(state, obs):
        state = parts.update(state, HYPER, jax.random.key(0), obs, no_action, obs, no_action)
        return state, parts.reward(state, HYPER, obs, no_action, obs)

    return jax.jit(parts.init)(jax.random.key(1)), learn


def rows(seed):
    return np.random.default_rng(seed).normal(size=(B, K)).astype(np.float32)


def numpy_errors(state, obs):
    """e(s) row by row in float64."""
    x = np.asarray(obs, np.float64)
    z = np.clip((x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5), -5, 5)

    def output(params):
        first, second = (
            jax.tree.map(lambda w: np.asarray(w, np.float64), params[f"Dense_{j}"]) for j in (0, 1)
        )
        return np.maximum(z @ first["kernel"] + first["bias"], 0) @ second["kernel"] + second["bias"]

    return np.mean((output(state.predictor) - output(state.target)) ** 2, axis=1)


def test_reward_is_the_error_over_its_running_standard_deviation(module):
    """After two batches; the moments are those of the errors as they were when their batch was seen."""
    state, learn = module
    seen = []
    for seed in (0, 1):
        state, reward = learn(state, rows(seed))
        seen.append(numpy_errors(state, rows(seed)))
    expected = seen[-1] / np.concatenate(seen).std()
    np.testing.assert_allclose(reward, expected, rtol=2e-5)


def test_the_predictor_learns_the_target_which_stays(module):
    first, learn = module
    state = first
    for _ in range(30):
        state, _ = learn(state, rows(0))
    assert numpy_errors(state, rows(0)).mean() < 0.1 * numpy_errors(first, rows(0)).mean()
    jax.tree.map(np.testing.assert_array_equal, state.target, first.target)


def test_units_of_the_observations_do_not_matter(module):
    """Two environments of different scale give the same rewards, up to what is added to variances."""
    state, learn = module
    plain, scaled = learn(state, rows(0))[1], learn(state, rows(0) * np.float32([100, 1000, 10]))[1]
    np.testing.assert_allclose(scaled, plain, rtol=1e-3)


def test_outliers_are_clipped():
    obs = np.zeros((100, 1), np.float32)
    obs[0] = 1.0
    z = rnd.standardise(obs)
    assert float(z[0, 0]) == 5.0 and float(np.abs(z[1:]).max()) < 0.2


def test_error_and_scale_of_given_outputs():
    predicted, target = np.float32([[1, 2], [0, 0]]), np.float32([[0, 4], [0, 2]])
    np.testing.assert_allclose(error := rnd.prediction_errors(predicted, target), [2.5, 2.0])
    moments = RunningMoments.zeros(jnp.zeros(())).replace(mean=jnp.array(7.0), var=jnp.array(4.0))
    np.testing.assert_allclose(rnd.scaled(error, moments), [1.25, 1.0], rtol=1e-6)
