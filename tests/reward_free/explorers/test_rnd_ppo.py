"""RND with PPO: bonus and statistics against numpy, non-episodic advantages, what is weighed, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.baselines import ppo
from jaxrl.core.errors import UsageError
from jaxrl.envs.control.agv import Agv
from jaxrl.envs.control.reacher import Reacher
from jaxrl.reward_free.explorers import rnd_ppo
from jaxrl.rollout.returns import gae

T, N = 6, 2
SIZES = {"n_envs": N, "length": T, "epochs": 1, "minibatches": 2, "widths": (4,)}
CONFIG = rnd_ppo.Config(**SIZES, module_widths=(5,), outputs=3)
HYPER = rnd_ppo.Hyper(lr_module=0.05, gamma_intrinsic=0.9)
ENV = Agv()


@pytest.fixture(scope="module")
def windows():
    """States before and after each of three updates, and what the updates saw, compiled once.

    Observations, successors and rewards [T, N, ...] are recorded where PPO makes samples of them.
    """
    seen, original = [], ppo._samples

    def spy(parts, state, batch, scale, hyper):
        seen.append((batch.obs, batch.next_obs, batch.reward))
        return original(parts, state, batch, scale, hyper)

    algorithm, data = rnd_ppo.make(CONFIG, ENV), ENV.default_params()

    @jax.jit
    def step(state):
        seen.clear()
        state, _ = algorithm.step(state, HYPER, data)
        return state, seen[0]

    states, batches = [jax.jit(algorithm.init)(jax.random.key(0), HYPER, data)], []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ppo, "_samples", spy)
        for _ in range(3):
            state, batch = step(states[-1])
            states.append(state)
            batches.append(batch)
    return states, batches


def numpy_errors(module, x):
    """e(s) in float64 with the predictor and the moments of `module`, float[...]."""
    x, mean, var = (np.asarray(a, np.float64) for a in (x, module.moments.mean, module.moments.var))
    z = np.clip((x - mean) / np.sqrt(var + 1e-8), -5, 5)

    def output(params):
        first, second = (
            jax.tree.map(lambda w: np.asarray(w, np.float64), params[f"Dense_{j}"]) for j in (0, 1)
        )
        return np.maximum(z @ first["kernel"] + first["bias"], 0) @ second["kernel"] + second["bias"]

    return np.mean((output(module.predictor) - output(module.target)) ** 2, axis=-1)


def test_the_bonus_is_the_error_over_the_standard_deviation_of_its_return(windows):
    """Moments are those of all earlier windows; returns R_t = 0.9 R_{t-1} + e(s_t) run on over windows."""
    states, batches = windows
    running, returns, rows = np.zeros(N), [], []
    for before, after, (obs, next_obs, reward) in zip(states, states[1:], batches, strict=False):
        module, std = before.params["module"], np.std(returns) if returns else 1.0
        expected = np.minimum(numpy_errors(module, next_obs) / std, 10)
        np.testing.assert_allclose(reward[..., 1], expected, rtol=5e-4)
        np.testing.assert_array_equal(reward[..., 0], 0)
        for error in numpy_errors(module, obs):
            running = 0.9 * running + error
            returns.append(running)
        rows.append(np.asarray(obs).reshape(-1, 4))
        moments = after.params["module"].moments
        np.testing.assert_allclose(moments.mean, np.concatenate(rows).mean(0), atol=1e-6)
        np.testing.assert_allclose(moments.var, np.concatenate(rows).var(0), rtol=1e-4, atol=1e-7)


def test_the_predictor_learns_the_target_which_stays(windows):
    states, batches = windows
    first, last = (s.params["module"] for s in (states[0], states[-1]))
    jax.tree.map(np.testing.assert_array_equal, first.target, last.target)
    obs = batches[0][0]
    assert (
        numpy_errors(last._replace(moments=first.moments), obs).mean() < 0.8 * numpy_errors(first, obs).mean()
    )


def test_intrinsic_advantages_run_on_over_the_ends_of_episodes():
    """A loop over rows; the extrinsic component is that of `gae`."""
    rng = np.random.default_rng(0)
    reward, value, next_value = rng.normal(size=(3, T, N, 2)).astype(np.float32)
    cut = rng.random((T, N)) < 0.4
    discount = np.where(cut & (rng.random((T, N)) < 0.5), 0, 0.97).astype(np.float32)
    found = rnd_ppo.advantages(
        *map(jnp.asarray, (reward, value, next_value, discount, cut)), rnd_ppo.Traces(0.8, 0.9)
    )
    expected, later = np.zeros((T, N)), np.zeros(N)
    for t in reversed(range(T)):
        following = value[t + 1, :, 1] if t + 1 < T else next_value[t, :, 1]
        later = reward[t, :, 1] + 0.9 * following - value[t, :, 1] + 0.9 * 0.8 * later
        expected[t] = later
    np.testing.assert_allclose(found[..., 1], expected, rtol=1e-5, atol=1e-5)
    plain = gae(reward[..., 0], value[..., 0], next_value[..., 0], discount, cut, 0.8)
    np.testing.assert_allclose(found[..., 0], plain, rtol=1e-6, atol=1e-6)


def test_what_ppo_is_given_are_the_two_weights_and_both_discounts():
    hyper = rnd_ppo.weighted(rnd_ppo.Hyper(extrinsic=3.0, intrinsic=0.5, lambda_=0.7, gamma_intrinsic=0.6))
    np.testing.assert_allclose(hyper.w, (3.0, 0.5))
    assert hyper.lambda_ == (0.7, 0.6)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"normalise_obs": True}, r"Config\.normalise_obs: must be False"),
        ({"scale_rewards": True}, r"Config\.scale_rewards: must be False"),
        ({"params_axis": 0}, r"Config\.params_axis: must be None"),
    ],
)
def test_statistics_of_ppo_and_split_parameters_are_refused(choice, message):
    with pytest.raises(UsageError, match=message):
        rnd_ppo.Config(**SIZES, **choice)


def test_weights_of_a_vector_reward_and_vector_rewards_are_refused():
    algorithm = rnd_ppo.make(CONFIG, ENV)
    with pytest.raises(UsageError, match=r"Hyper\.w: must be None"):
        algorithm.init(jax.random.key(0), HYPER.replace(w=jnp.ones(2)), ENV.default_params())

    with pytest.raises(UsageError, match="reward_dim must be None"):
        rnd_ppo.make(CONFIG, Reacher())
