"""The car against published traces, and its set reward against the progress it should pay."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.base import HasTimeLimit
from jaxrl.envs.car_track import CarState, CarTrack, Reach, car_track


def drive(env, action, steps, wide):
    """States `[steps]` and the emitted steps, from d = 0.1."""
    with jax.enable_x64(wide):
        params = env.default_params()
        start = CarState(*(jnp.asarray(x, jnp.result_type(float)) for x in (0, 0.1, 0, 0, 0, 0)))
        controls = jnp.asarray(action, jnp.result_type(float))

        def body(state, _):
            after, out = env.step(jax.random.key(0), state, controls, params)
            return after, (after, out)

        rows = jax.jit(lambda s: jax.lax.scan(body, s, None, length=steps)[1])(start)
        return jax.tree.map(np.asarray, rows)


def test_trace():
    """Acceptance check 12: full duty, no steering; outside the bounds at step 16."""
    states, out = drive(CarTrack(), (1.0, 0.0), 20, wide=True)
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


def test_at_rest_it_stays():
    """The low-speed clause cancels friction."""
    states, out = drive(CarTrack(), (0.0, 0.0), 5, wide=True)
    np.testing.assert_array_equal(np.stack(states, 1), [[0, 0.1, 0, 0, 0, 0]] * 5)
    assert not out.terminated.any()


def test_single_precision_follows():
    wide, _ = drive(CarTrack(), (0.7, 0.2), 12, wide=True)
    single, _ = drive(CarTrack(), (0.7, 0.2), 12, wide=False)
    assert np.abs(wide.r).max() > 1  # it turns
    np.testing.assert_allclose(np.stack(single), np.stack(wide), atol=1e-3 * np.abs(wide.r).max())


def test_actions_are_clipped_and_both_sides_start():
    env = CarTrack()
    params = env.default_params()
    step = jax.jit(env.step)
    state, _ = env.reset(jax.random.key(0), params)
    far, _ = step(jax.random.key(0), state, jnp.array([5.0, -3.0]), params)
    near, _ = step(jax.random.key(0), state, jnp.array([1.0, -1.0]), params)
    np.testing.assert_array_equal(far, near)
    starts = jax.vmap(lambda k: env.reset(k, params)[0].d)(jax.random.split(jax.random.key(1), 64))
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


def test_reach_is_the_maximum():
    F = Reach()
    params = F.default_params()
    stat, gains = F.init(params), []
    for x in (-1.0, 2.0, 1.0, 3.5):
        stat, gain = F.add(params, stat, jnp.float32(x))
        gains.append(float(gain))
    assert gains == [0, 2, 0, 1.5] and float(F.value(params, stat)) == 3.5
