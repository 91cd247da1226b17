"""The switch between both learners, whole episodes and the plane against independent computations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.submodular import bodies, car_track
from jaxrl.core.errors import UsageError
from jaxrl.core.types import Policy
from jaxrl.envs.control.car_track import car_track as environment
from jaxrl.envs.wrappers.set_reward import SetParams

T, N = 40, 6


@pytest.fixture(scope="module")
def driven():
    """States, rewards and ends of N cars with random actions: of `Either` with both switches, and static."""
    inner = {False: environment(), True: environment(modular=True)}
    either = bodies.either(inner[False])
    data = either.default_params()
    actions = jax.random.uniform(jax.random.key(1), (T, N, 2), minval=-0.3, maxval=1.0)
    keys = jax.random.split(jax.random.key(0), N)

    def drive(env, params):
        def body(state, action):
            after, out = jax.vmap(env.step, (0, 0, 0, None))(keys, state, action, params)
            return after, (after.stat, out.reward, out.terminated, out.obs)

        start, _ = jax.vmap(env.reset, (0, None))(keys, params)
        return jax.lax.scan(body, start, actions)[1]

    found = {}
    for modular in (False, True):
        switched = data._replace(modular=jnp.float32(modular))
        ours, theirs = jax.jit(
            lambda p, e=inner[modular]: (drive(either, p), drive(e, SetParams(p.env, p.F)))
        )(switched)
        found[modular] = jax.tree.map(np.asarray, (ours, theirs))
    return found


def test_the_switch_pays_what_the_static_one_pays(driven):
    for ours, theirs in driven.values():
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)
    assert np.abs(driven[False][0][1] - driven[True][0][1]).max() > 0.1


def test_episodes_stop_where_they_end(driven):
    """A policy that drives straight: the statistic is the largest progress before the end, and stays."""
    env = bodies.either(environment())
    data = env.default_params()
    policy = Policy(lambda key, obs, memory: (jnp.array([1.0, 0.0]), (), memory))
    stat, length, path = jax.jit(lambda: bodies.episodes(env, policy, jax.random.key(0), data, 3, 30))()
    assert path.shape == (3, 31, 2) and np.all((np.asarray(length) > 5) & (np.asarray(length) < 30))
    for e in range(3):
        states = np.asarray(path[e])
        np.testing.assert_array_equal(states[length[e] :], np.tile(states[length[e]], (31 - length[e], 1)))
        assert np.all(np.diff(states[: length[e] + 1, 0]) > 0)
        assert float(stat[e]) == pytest.approx(states[:, 0].max(), rel=1e-6)


def test_plane_of_the_track():
    """Lengths along the line are progress, offsets are distances to it, and the lap nearly closes."""
    s = np.linspace(0, 16.4, 4000)
    x, y = car_track.plane(s, np.zeros_like(s))
    assert np.hypot(np.diff(x), np.diff(y)).sum() == pytest.approx(16.4, rel=2e-3)
    left = np.stack(car_track.plane(s, np.full_like(s, 0.1))) - np.stack([x, y])
    np.testing.assert_allclose(np.hypot(*left), 0.1, atol=1e-6)
    # to the left of the direction of travel
    along = np.stack([np.gradient(x), np.gradient(y)])
    assert np.all(along[0] * left[1] - along[1] * left[0] > 0)
    assert np.hypot(x[-1] - x[0], y[-1] - y[0]) < 1.0


def test_measures():
    path = (
        jnp.zeros((2, 701, 2))
        .at[0, 1:301, 0]
        .set(2.0)
        .at[1, 1:, 0]
        .set(jnp.minimum(jnp.arange(700), 99) / 99)
    )
    found = car_track.measure(jnp.array([16.5, 8.0]), jnp.array([300, 100]), path)
    assert float(found["track"]) == pytest.approx(12.25) and float(found["lap"]) == 0.5
    assert float(found["seconds"]) == pytest.approx(6.0)
    # 300 steps at 2 m, and 100 steps of 0 .. 1 m, of which nothing counts after the end
    assert float(found["position"]) == pytest.approx((600 + 50) / 2)


def test_bad_input():
    with pytest.raises(UsageError, match="evaluations"):
        bodies.Config(evaluations=0)


def test_progress_of_bodies_counts_steps_growth_and_the_paired_difference():
    """Four evaluations of two seeds: the last quarter is the last step."""
    value = np.array([[[1.0, 9.0, 10.0, 11.0], [1.0, 2.0, 8.0, 8.0]], [[1.0] * 4, [2.0] * 4]])
    result = {"learner": np.array(["SubPO", "ModPO"]), "env_steps": np.array([5, 10, 15, 20]), "track": value}
    found = bodies.progress(result, "track", 10.0)
    assert found["SubPO: steps to 90 %"].note == "median; 1 of 2 seeds reach it"
    np.testing.assert_allclose(found["SubPO: growth in the last quarter, %"].values, (10, 0))
    np.testing.assert_allclose(found["SubPO minus ModPO: track"].values, (10, 6))
    assert all(score.derived for score in found.values())


def test_laps_of_all_evaluations_are_medians_of_the_largest_and_of_the_smallest_of_the_second_half():
    lap = np.array([[[0.0, 1.0, 0.5, 1.0]] * 2, [[0.0, 0.0, 0.9, 0.2], [1.0, 0.0, 0.3, 0.6]]])
    result = {"learner": np.array(["SubPO", "ModPO"]), "env_steps": np.arange(4), "track": 1 + lap}
    found = car_track.scores(result | {"lap": lap})
    assert found["SubPO: fewest laps in the second half"].values == [0.5]
    fewest = found["ModPO: fewest laps in the second half"]
    assert fewest.values == [0.25] and fewest.interval is None
    assert fewest.note == "median of 2 seeds, 0.2 to 0.3"
    assert found["ModPO: most laps finished"].values == [0.95]
    last = found["ModPO: laps finished"]
    np.testing.assert_array_equal(last.values, [0.2, 0.6])
    assert last.interval == (0.0, 1.0) and not last.derived  # Student's t: 0.4 +- 2.5
