"""Four-Room against MO-Gymnasium by state injection, and its support function by value iteration."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.grids.four_room import FourRoom, RoomState

LEFT, UP, RIGHT, DOWN = range(4)
STEPS = jax.jit(jax.vmap(FourRoom().step, (None, 0, 0, None)))


@pytest.fixture(scope="module")
def mo_gymnasium():
    return pytest.importorskip("mo_gymnasium")


def steps(rows):
    """`Step` of numpy leaves, one entry per row `(row, col, 12 bits, action)`, int32[n, 15]."""
    rows = np.asarray(rows, np.int32)
    states = RoomState(rows[:, 0], rows[:, 1], rows[:, 2:14])
    found = STEPS(jax.random.key(0), states, rows[:, 14], FourRoom().default_params())
    return jax.tree.map(np.asarray, found[1])


def compare(host, rows):
    out = steps(rows)
    for i, (row, col, *bits, action) in enumerate(rows.tolist()):
        host.state = ((row, col), tuple(bits))
        obs, reward, terminated, _, _ = host.step(action)
        assert out.obs[i].tolist() == obs.tolist()
        assert out.reward[i].tolist() == reward.tolist() and out.terminated[i] == terminated
    return out


def free_cells(host):
    return [cell for cell in itertools.product(range(13), range(13)) if cell not in host.occupied]


def test_every_cell_and_action_equals_mo_gymnasium(mo_gymnasium):
    env, spec = FourRoom(), mo_gymnasium.make("four-room-v0")
    host = spec.unwrapped
    params = env.default_params()
    assert env.reset(jax.random.key(0), params)[1].tolist() == host.reset()[0].tolist()
    assert int(env.time_limit(params)) == spec.spec.max_episode_steps
    rng = np.random.default_rng(0)
    bits = rng.integers(2, size=(8, 12))
    bits[:2] = [[0] * 12, [1] * 12]
    cells = [cell for cell in free_cells(host) if cell != host.goal]
    rows = np.array([(*cell, *b, a) for cell in cells for b in bits for a in range(4)])
    out = compare(host, rows)
    assert out.terminated.sum() == 8 * 2 and (out.reward.sum(1) == 1).sum() > 100


@pytest.mark.slow
def test_every_state_and_action_equals_mo_gymnasium(mo_gymnasium):
    host = mo_gymnasium.make("four-room-v0").unwrapped
    bits = np.array(list(itertools.product((0, 1), repeat=12)))
    for cell in free_cells(host):
        rows = np.concatenate([[(*cell, *b, a) for a in range(4)] for b in bits])
        if cell != host.goal:
            compare(host, rows)


def test_the_item_of_a_doorway_is_collected_on_the_tenth_step():
    env, actions = FourRoom(), jnp.array([UP] * 7 + [RIGHT] * 2 + [UP] * 4, jnp.int32)
    params, key = env.default_params(), jax.random.key(0)

    def body(state, action):
        state, out = env.step(key, state, action, params)
        return state, out

    out = jax.jit(lambda s: jax.lax.scan(body, s, actions))(env.reset(key, params)[0])[1]
    reward = np.asarray(out.reward)
    assert np.flatnonzero(reward.any(1)).tolist() == [9] and reward[9].tolist() == [0, 0, 1]
    assert out.obs[-1].tolist() == [3, 2, 0, 0, 1, *[0] * 9] and not np.any(out.terminated)


# support function at discount 0.99
SUPPORT = {
    (1, 0, 0): 3.63705981,
    (0, 1, 0): 3.95982046,
    (0, 0, 1): 3.95982046,
    (1 / 3, 1 / 3, 1 / 3): 3.44265919,
    (0.6, 0.3, 0.1): 3.48511521,
}


@pytest.mark.slow
def test_support_function_by_value_iteration():
    """Values of the start in all 13 * 13 * 4096 states, walls among them."""
    env = FourRoom()
    params, key = env.default_params(), jax.random.key(0)
    digits = 2 ** jnp.arange(12, dtype=jnp.int32)

    def entry(index, action):
        cell, bits = index // 4096, index % 4096
        state = RoomState(cell // 13, cell % 13, bits // digits % 2)
        after, out = env.step(key, state, action, params)
        return 4096 * env.item(params, after) + after.collected @ digits, out.reward, out.terminated

    both = jax.vmap(jax.vmap(entry, (None, 0)), (0, None))
    after, reward, ended = map(
        np.asarray, jax.jit(both)(jnp.arange(169 * 4096, dtype=jnp.int32), jnp.arange(4, dtype=jnp.int32))
    )
    for w, published in SUPPORT.items():
        paid, discount = reward @ np.array(w), np.where(ended, 0, 0.99)
        value, change = np.zeros(len(after)), np.inf
        while change > 1e-10:
            new = (paid + discount * value[after]).max(1)
            change, value = np.abs(new - value).max(), new
        assert value[4096 * 13 * 12] == pytest.approx(published, abs=1e-8)


def test_picture_shows_walls_goal_and_the_items_that_are_left():
    env = FourRoom()
    collected = jnp.zeros(12, jnp.int32).at[0].set(1)
    state = RoomState(jnp.int32(3), jnp.int32(2), collected)
    picture = np.asarray(env.render(state, env.default_params()))[::16, ::16]
    floor, wall, home = [235, 235, 230], [70, 75, 85], [150, 80, 190]
    assert picture[0, 0].tolist() == floor and picture[5, 0].tolist() == [40, 160, 80]
    assert picture[0, 6].tolist() == wall and picture[0, 12].tolist() == home
    assert picture[3, 2].tolist() == [200, 50, 50]
