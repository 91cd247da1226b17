"""Building against traces of the released environment in float64, its options, and its noise."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.catalogue import make
from jaxrl.envs.control.building import GROUPS, Building, BuildingState
from jaxrl.envs.wrappers.clip_action import clip_action

ZONES = np.arange(23)


def start(env, params, k=1):
    """Hour `k`, without noise."""
    dtype = params.noise.dtype
    T, norms, noise = jnp.full(23, 20, dtype), jnp.zeros((2, 3), dtype), jnp.zeros(2, dtype)
    return BuildingState(T, jnp.int32(k), jnp.int32(0), norms, noise)


@functools.cache
def episode(objectives, wavy, observe_past=False):
    """States, observations and rewards of 480 steps from hour 1 without noise, in float64."""
    env = Building(objectives, observe_past)
    with jax.enable_x64(True):
        params = env.default_params()._replace(noise=jnp.float64(0))
        n = np.arange(480)[:, None]
        actions = jnp.asarray(wavy * 0.5 * np.sin(0.1 * n + 0.3 * ZONES))
        half = jnp.full(2, 0.5)

        def body(state, action):
            state, out = env.step_u(state, action, half, params)
            return state, (state, out.obs, out.reward)

        run = jax.jit(lambda state: jax.lax.scan(body, state, actions)[1])
        return jax.tree.map(np.asarray, run(start(env, params)))


def test_trace_without_heating():
    states, obs, reward = episode(3, 0)
    comfort = [16.6244717, 13.2842436, 11.7953491, 11.3950939, 11.1462936, 12.6212425]
    np.testing.assert_allclose(reward[:6, 0], comfort, atol=1e-6)
    assert (reward[:, 1] == 23).all() and reward[:, 2].tolist() == [0, 0] + [23] * 478
    np.testing.assert_allclose(reward.sum(0), [7893.34169, 11040, 10994], atol=1e-4)
    warm = [13.335216284, 13.011829696, 14.557448290, 13.745727546]
    np.testing.assert_allclose(states.T[0, :4], warm, atol=1e-9)
    np.testing.assert_allclose(
        obs[11, :4], [0.4457088844, 0.4394244427, 0.4297451886, 0.4235695184], atol=1e-9
    )
    assert obs[11, :23].mean() == pytest.approx(0.4003909768, abs=1e-9)
    np.testing.assert_allclose(
        obs[11, 23:], [0.6625, 0.3699029126, 0.72875, 0.4896146383, 0.426, 0.030], atol=1e-9
    )


def test_trace_with_waves_of_heating():
    _, obs, reward = episode(3, 1)
    np.testing.assert_allclose(reward[0], [16.5219421, 17.5089684, 0], atol=1e-6)
    np.testing.assert_allclose(reward[2], [11.4228745, 18.0300369, 22.8924122], atol=1e-6)
    np.testing.assert_allclose(reward.sum(0), [7739.23877, 8244.72068, 10967.30205], atol=1e-4)
    np.testing.assert_allclose(
        obs[11, :4], [0.4695358908, 0.4789351932, 0.4527473433, 0.4680798697], atol=1e-9
    )
    assert obs[11, :23].mean() == pytest.approx(0.4006494838, abs=1e-9)
    assert obs[11, 26] == pytest.approx(0.4898785573, abs=1e-9)


def test_trace_of_nine_objectives():
    _, _, reward = episode(9, 1)
    at_two = [
        5.3815489, 2.9758275, 3.0654986, 8.8391428, 6.8992481, 6.9102836, 8.8971024, 6.9385161, 6.9432058,
    ]  # fmt: skip
    np.testing.assert_allclose(reward[2], at_two, atol=1e-6)
    total = [
        3190.2497466, 2325.9049420, 2223.0840926, 4251.1116781, 3306.5084391, 3306.7329526, 4281.0028315,
        3307.8503265, 3308.3158855,
    ]  # fmt: skip
    np.testing.assert_allclose(reward.sum(0), total, atol=1e-4)
    idle = episode(9, 0)[2].sum(0)
    whole = [3239.85287, 2367.61012, 2285.87869, 4320, 3360, 3360, 4302, 3346, 3346]
    np.testing.assert_allclose(idle, whole, atol=1e-4)


@pytest.mark.parametrize("wavy", [0, 1])
def test_comfort_of_the_parts_adds_up_to_that_of_the_whole(wavy):
    np.testing.assert_allclose(episode(9, wavy)[2][:, :3].sum(1), episode(3, wavy)[2][:, 0], atol=1e-12)


def test_the_first_observation_and_the_next_share_an_hour_and_its_noise():
    env = Building()
    params = env.default_params()
    state, obs = jax.jit(env.reset)(jax.random.key(3), params)
    quiet = jax.jit(lambda s: env._obs(s, s.T, s.k, jnp.zeros(2), params))(state._replace(k=jnp.int32(1)))
    first = [0.5] * 23 + [0.6, 0, 0.64, 0.47190752134, 0.438, 0.033]
    np.testing.assert_allclose(quiet, first, atol=1e-6)
    step = jax.jit(env.step)
    zero = jnp.zeros(23)
    after, one = step(jax.random.key(4), state, zero, params)
    np.testing.assert_array_equal(one.obs[23:], obs[23:])
    _, two = step(jax.random.key(4), after, zero, params)
    hour = (int(state.k) + 1) % 24
    noise = float(two.obs[28] - params.price[hour])
    assert 0 < abs(noise) < 0.1
    assert float(two.obs[27] - params.carbon[hour]) != pytest.approx(noise, abs=1e-4)


def test_offsets_and_noise_have_their_distributions():
    env = Building()
    params = env.default_params()
    states, _ = jax.jit(jax.vmap(env.reset, (0, None)))(jax.random.split(jax.random.key(0), 4000), params)
    k, noise = np.asarray(states.k), np.asarray(states.noise)
    assert k.min() == 1 and k.max() == 200
    # four standard errors: 57.7 / sqrt(4000), 0.02 / sqrt(8000)
    assert abs(k.mean() - 100.5) < 3.7 and abs(noise.mean()) < 9e-4 and abs(noise.std() - 0.02) < 7e-4


def test_the_past_is_observed_on_request():
    states, obs, _ = episode(3, 1, True)
    np.testing.assert_array_equal(obs[:, :29], episode(3, 1)[1])
    np.testing.assert_allclose(obs[:, 29], np.arange(1, 481) / 480)
    np.testing.assert_allclose(obs[:, 30:].reshape(-1, 2, 3), states.norms / np.array(GROUPS), atol=1e-12)
    a = np.abs(0.5 * np.sin(0.1 * 7 + 0.3 * ZONES))
    np.testing.assert_allclose(states.norms[7, 0], [a[:9].sum(), a[9:16].sum(), a[16:].sum()], atol=1e-12)


def test_actions_are_clipped_by_the_wrapper_alone():
    env = Building()
    params = env.default_params()
    state = start(env, params)
    far, half = jnp.full(23, 3.0), jnp.full(2, 0.5)
    free, clipped = (jax.jit(e.step_u)(state, far, half, params)[0].norms[0] for e in (env, clip_action(env)))
    np.testing.assert_allclose(free, 3 * np.array(GROUPS))
    np.testing.assert_allclose(clipped, np.array(GROUPS))


def test_picture_colours_zones_by_temperature():
    env = make("Building-9")
    params = env.default_params()
    state = start(env, params)
    state = state._replace(T=state.T.at[22].set(30).at[0].set(10))
    picture = np.asarray(env.render(state, params))
    assert picture.shape == (364, 76, 3)
    assert picture[25, 40].tolist() == [255, 0, 0] and picture[340, 60].tolist() == [0, 0, 255]
    assert picture[340, 5].tolist() == [255, 255, 255] and picture[0, 0].tolist() == [90] * 3


def test_other_numbers_of_objectives_are_refused():
    with pytest.raises(UsageError, match=r"Building\.objectives: must be one of 3, 9, got 4"):
        Building(4)
