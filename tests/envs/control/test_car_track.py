"""The car against published traces, and its set reward against the progress it should pay."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.types import Policy
from jaxrl.envs.base import HasTimeLimit
from jaxrl.envs.control.car_track import CarState, CarTrack, Reach, car_track
from jaxrl.rollout.unroll import Freeze, start, unroll

ACTIONS = np.array([(1.0, 0.0), (0.0, 0.0), (0.7, 0.2)])


def drive(wide):
    """States `[3, 20]` and the emitted steps from d = 0.1 under each of `ACTIONS`, held."""
    with jax.enable_x64(wide):
        env = CarTrack()
        params, dtype = env.default_params(), jnp.result_type(float)
        start = CarState(*(jnp.asarray(x, dtype) for x in (0, 0.1, 0, 0, 0, 0)))

        def along(controls):
            def body(state, _):
                after, out = env.step(jax.random.key(0), state, controls, params)
                return after, (after, out)

            return jax.lax.scan(body, start, None, length=20)[1]

        return jax.tree.map(np.asarray, jax.jit(jax.vmap(along))(jnp.asarray(ACTIONS, dtype)))


@pytest.fixture(scope="module")
def driven():
    return drive(wide=True)


def test_trace(driven):
    """Full duty, no steering; outside the bounds at step 16."""
    states, out = jax.tree.map(lambda x: x[0], driven)
    rows = np.stack(states, axis=1)
    published = {
        1: (0.003143, 0.099992, -0.005962, 0.168642, 0, 0),
        5: (0.073523, 0.095863, -0.134757, 0.779533, 0, 0),
        10: (0.254705, 0.048583, -0.420799, 1.416859, 0, 0),
    }
    for step, row in published.items():
        np.testing.assert_allclose(rows[step - 1], row, rtol=0, atol=6e-7)
    assert int(np.argmax(out.terminated)) + 1 == 16
    np.testing.assert_allclose(out.reward[:15], -0.01)
    assert out.reward[15] == pytest.approx(-1.01)
    assert out.obs.shape == (20, 5) and np.array_equal(out.obs[:, 3], states.v_x)


def test_at_rest_it_stays(driven):
    """The low-speed clause cancels friction."""
    states, out = jax.tree.map(lambda x: x[1], driven)
    np.testing.assert_array_equal(np.stack(states, 1), [[0, 0.1, 0, 0, 0, 0]] * 20)
    assert not out.terminated.any()


def test_single_precision_follows(driven):
    """Twelve steps of a turn."""
    wide, single = (np.stack(states)[:, 2, :12] for states in (driven[0], drive(wide=False)[0]))
    assert np.abs(wide[5]).max() > 1
    np.testing.assert_allclose(single, wide, atol=1e-3 * np.abs(wide).max())


def test_actions_are_clipped_and_both_sides_start():
    env = CarTrack()
    params = env.default_params()
    step = jax.jit(env.step)
    state, _ = env.reset(jax.random.key(0), params)
    far, _ = step(jax.random.key(0), state, jnp.array([5.0, -3.0]), params)
    near, _ = step(jax.random.key(0), state, jnp.array([1.0, -1.0]), params)
    np.testing.assert_array_equal(far, near)
    many = jax.jit(jax.vmap(lambda k: env.reset(k, params)[0].d))
    starts = np.asarray(many(jax.random.split(jax.random.key(1), 64)))
    assert {round(float(d), 6) for d in starts} == {-0.1, 0.1}
    assert isinstance(env, HasTimeLimit) and int(env.time_limit(params)) == 700


def test_new_track_is_paid_once():
    """Forth and, by a state put back, over the same track again: the second time it is free; finish pays."""
    env = car_track()
    params = env.default_params()
    step = jax.jit(env.step)
    state, _ = env.reset(jax.random.key(0), params)
    total, first = 0.0, state
    for _ in range(8):
        state, out = step(jax.random.key(0), state, jnp.array([1.0, 0.0]), params)
        total += float(out.reward) + 0.01
    assert total == pytest.approx(float(state.env.s), abs=1e-6) and total > 0.1
    again, out = step(jax.random.key(0), state._replace(env=first.env), jnp.array([1.0, 0.0]), params)
    assert float(out.reward) == pytest.approx(-0.01) and float(again.stat) == float(state.stat)
    end = state._replace(env=state.env._replace(s=jnp.float32(16.39), d=jnp.float32(0), v_x=jnp.float32(1)))
    _, out = step(jax.random.key(0), end, jnp.array([1.0, 0.0]), params)
    assert bool(out.terminated) and float(out.reward) > 1 + 16


def test_only_a_finished_lap_reaches_the_finish():
    """Singular coordinates in a bend, leaving the bounds on the line, numbers that are none; and a lap."""
    env = car_track()
    params = env.default_params()
    start, _ = env.reset(jax.random.key(0), params)
    rows = {  # s, d, mu, v_x
        "bend": (9.2, 0.165, 1.5, 2),
        "beyond": (9.2, 0.245, 0, 2),
        "wide": (16.35, 0.19, 1.2, 3),
        "none": (16.35, 0, jnp.nan, 1),
        "lap": (16.39, 0, 0, 1),
    }
    s, d, mu, v_x = jnp.array(list(rows.values()), jnp.float32).T
    still = jnp.zeros_like(s)
    many = start._replace(env=CarState(s, d, mu, v_x, still, still), stat=s)
    step = jax.vmap(env.step, (None, start._replace(env=0, stat=0), None, None))
    after, out = jax.tree.map(np.asarray, jax.jit(step)(jax.random.key(0), many, jnp.array([1.0, 0]), params))
    bend, beyond, wide, none, lap = range(5)
    np.testing.assert_array_equal(out.terminated, [True, False, True, True, True])
    assert float(after.env.d[bend]) < 0.25  # the bounds there
    s = np.asarray(s)
    np.testing.assert_allclose((out.reward - after.stat + s)[[bend, wide, none]], -1.01, atol=1e-5)
    # where no episode comes: not faster than by the stretch of coordinates that is allowed
    assert 0 <= after.stat[beyond] - 9.2 < 2.1 * 0.03 / 0.1
    np.testing.assert_array_equal(after.stat >= 16.4, [False, False, False, False, True])
    np.testing.assert_array_equal(out.info["F"][[wide, none]], s[[wide, none]])
    assert float(out.reward[lap]) > 1 - 0.01


def test_gains_telescope():
    """1,000 episodes of at most 60 random steps, half throttle on average: most end in a crash."""
    env = car_track()
    params = env.default_params()

    def act(key, obs, memory):
        return jax.random.uniform(key, (2,), minval=-0.2, maxval=0.8) - jnp.array([0.0, 0.3]), (), memory

    @jax.jit
    def run(key):
        k_start, k_run = jax.random.split(key)
        vec = start(env, Policy(act), k_start, params, 1000)
        keep = ("gain", "F")
        after, out, _ = unroll(env, Policy(act), vec, k_run, params, length=60, reset=Freeze(), keep=keep)
        return after.env_state, after.elapsed, out

    state, length, out = jax.tree.map(np.asarray, run(jax.random.key(0)))
    running = np.arange(60)[:, None] < length
    gain = np.where(running, out.info["gain"], 0)
    np.testing.assert_allclose(gain.sum(0), state.stat, atol=1e-4)
    furthest = np.where(running, out.next_obs[..., 0], 0).max(0)
    np.testing.assert_allclose(state.stat, furthest, atol=1e-6)
    ended = out.terminated & running
    costs = np.where(running, out.reward - gain, 0).sum(0)
    np.testing.assert_allclose(costs, -0.01 * length - ended.sum(0), atol=1e-4)
    assert 0.5 < ended.any(0).mean() < 1 and state.stat.max() > 1 and np.all(gain >= 0)


def test_reach_is_the_maximum():
    F = Reach()
    params = F.default_params()
    stat, gains = F.init(params), []
    for x in (-1.0, 2.0, 1.0, 3.5):
        stat, gain = F.add(params, stat, jnp.float32(x))
        gains.append(float(gain))
    assert gains == [0, 2, 0, 1.5] and float(F.value(params, stat)) == 3.5
