"""Grid worlds against a hand-made trace, published dynamic programmes and a Python simulator."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.grids.gridworld import GridParams, GridState, GridWorld, Levels, RandomGridWorld
from jaxrl.envs.grids.levels import LEVELS, MAZES, RANDOM_LEVELS


def levels(G, O, Q):
    return Levels(
        side=(2, G),
        limit=(5, 50),
        kinds=tuple(range(O)),
        used=(1, O),
        reward=((0, 1),) * Q,
        p_end=((0.5, 1),) * Q,
        p_respawn=((0.5, 1),) * Q,
    )


def level(G, g, walls, start, kind, cells, reward, p_end, p_respawn, limit, dtype=jnp.float32):
    def ints(x):
        return jnp.asarray(np.asarray(x, np.int32))

    def floats(x):
        return jnp.asarray(np.asarray(x, dtype))

    mask = np.zeros(G * G, bool)
    mask[list(walls)] = True
    return GridParams(
        side=ints(g),
        walls=jnp.asarray(mask),
        start=ints(start),
        n_objects=ints(len(kind)),
        kind=ints(kind),
        cells=ints(cells),
        reward=floats(reward),
        p_end=floats(p_end),
        p_respawn=floats(p_respawn),
        limit=ints(limit),
    )


LEVEL_C = dict(
    walls=(5, 10), start=0, kind=(0, 1, 2), cells=(3, 15, 8), reward=(1, 0.3, -0.5),
    p_end=(0.25, 0, 0.5), p_respawn=(0.1, 0.05, 0.2),
)  # fmt: skip


def test_trace_a():
    env = GridWorld(levels(5, 3, 3))
    params = level(5, 4, (5, 6), 0, (0, 1, 2), (2, 10, 12), (1, -1, 0.5), (0, 0, 1), (0, 1, 0), 50)
    state, obs = env.reset(jax.random.key(0), params)
    assert obs.shape == (200,) and int(obs.argmax()) == 175 and float(obs.sum()) == 1
    step = jax.jit(env.step)
    cells, bits, rewards, ends, indices = [], [], [], [], []
    for t, action in enumerate([3, 3, 4, 0, 1, 3, 1, 1, 2, 2, 1, 1, 2]):
        state, out = step(jax.random.key(t), state, jnp.int32(action), params)
        cells.append(int(state.cell))
        bits.append("".join(str(int(e)) for e in state.exists))
        rewards.append(float(out.reward))
        ends.append(bool(out.terminated))
        indices.append(int(out.obs.argmax()))
    assert cells == [1, 2, 2, 2, 2, 3, 7, 11, 10, 9, 13, 13, 12]
    assert " ".join(bits) == "111 011 011 011 011 011 011 011 001 011 011 011 010"
    assert rewards == [0, 1, 0, 0, 0, 0, 0, 0, -1, 0, 0, 0, 0.5]
    assert ends == [False] * 12 + [True]
    assert indices == [176, 152, 152, 152, 152, 153, 157, 161, 110, 159, 163, 163, 62]


def test_tabular_reproduces_the_published_values_of_level_c():
    with jax.enable_x64(True):
        params = level(4, 4, **LEVEL_C, limit=20, dtype=jnp.float64)
        mdp = jax.tree.map(np.asarray, jax.jit(GridWorld(levels(4, 3, 3)).to_tabular)(params))
    published = {
        np.max: {20: 2.2196427841, 60: 3.6776609154},
        np.mean: {20: 0.0277643574, 60: 0.3352190708},
    }
    for reduce, values in published.items():
        value = np.zeros(mdp.n_states)
        for horizon in range(1, 61):
            value = reduce(mdp.R + mdp.P @ value, axis=1)
            if horizon in values:
                assert mdp.mu0 @ value == pytest.approx(values[horizon], abs=1e-8)


def test_tabular_reproduces_the_published_values_of_dense():
    env = GridWorld(LEVELS["dense"])
    with jax.enable_x64(True):
        _, reward, p_end, p_respawn = (None, (1, -1, -1), (0, 0.5, 0), (0.05, 0.1, 0.5))
        params = level(
            11, 11, (), 0, (0, 0, 1, 2), (14, 40, 95, 101), reward, p_end, p_respawn, 500, jnp.float64
        )
        mdp = jax.tree.map(np.asarray, jax.jit(env.to_tabular)(params))
    P = mdp.P.reshape(-1, mdp.n_states)
    value = np.zeros(mdp.n_states)
    rows, columns = P.nonzero()
    import scipy.sparse

    sparse = scipy.sparse.csr_matrix((P[rows, columns], (rows, columns)), P.shape)
    for _ in range(500):
        value = (mdp.R + (sparse @ value).reshape(mdp.R.shape)).max(1)
    assert mdp.mu0 @ value == pytest.approx(43.4666285580, abs=1e-8)


def simulate(env, params, state, action, u):
    """The text of the rules, in Python, for one step of either grid world."""
    g, O = int(params.side), env.O
    cell, exists, cells = int(state.cell), [bool(e) for e in state.exists], [int(c) for c in state.cells]
    row, col = divmod(cell, g)
    row, col = [(row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1), (row, col)][action]
    if 0 <= row < g and 0 <= col < g and not params.walls[row * g + col]:
        cell = row * g + col
    collected = [exists[i] and cells[i] == cell for i in range(O)]
    respawned = [u[i] < params.p_respawn[params.kind[i]] for i in range(O)]
    new_cells = list(cells)
    if isinstance(env, RandomGridWorld):
        free = [c for c in range(g * g) if not params.walls[c] and c != cell and c not in cells]
        free.sort(key=lambda c: u[O + 1 + c])
        for i in range(O):
            if respawned[i] and not exists[i]:
                new_cells[i] = free.pop(0)
    used = [i < int(params.n_objects) for i in range(O)]
    new_exists = [(exists[i] or respawned[i]) and not collected[i] and used[i] for i in range(O)]
    reward = sum(float(params.reward[params.kind[i]]) for i in range(O) if collected[i])
    p_end = sum(float(params.p_end[params.kind[i]]) for i in range(O) if collected[i])
    return cell, new_exists, new_cells, reward, u[O] < p_end


@pytest.mark.parametrize("kind", [GridWorld, RandomGridWorld])
def test_step_equals_the_rules(kind):
    env = kind(LEVELS["small"])
    params = jax.jit(env.sample_params)(jax.random.key(3))
    free = np.flatnonzero(~np.asarray(params.walls)[: int(params.side) ** 2])
    rng = np.random.default_rng(0)
    step, n = jax.jit(jax.vmap(env.step_u, (0, 0, 0, None))), 300
    states = GridState(
        cell=rng.choice(free, n).astype(np.int32),
        exists=rng.random((n, env.O)) < 0.5,
        cells=np.stack([rng.choice(free, env.O, replace=False) for _ in range(n)]).astype(np.int32),
    )
    # many collections: half of the agents stay on an object
    states.cell[::2] = states.cells[::2, 0]
    actions = rng.integers(5, size=n).astype(np.int32)
    actions[::2] = 4
    u = rng.random((n, *env.u_shape)).astype(np.float32) ** 2
    after, out = jax.tree.map(np.asarray, step(states, actions, u, params))
    params = jax.tree.map(np.asarray, params)
    collections = 0
    for i in range(n):
        state = jax.tree.map(lambda x, i=i: x[i], states)
        cell, exists, cells, reward, end = simulate(env, params, state, actions[i], u[i])
        assert after.cell[i] == cell
        assert after.exists[i].tolist() == exists
        assert after.cells[i].tolist() == cells
        assert out.reward[i] == pytest.approx(reward, abs=1e-6)
        assert out.terminated[i] == end
        collections += reward != 0
    assert collections > 50


def test_planes_show_agent_and_objects():
    env = RandomGridWorld(RANDOM_LEVELS["rand_dense"])
    params = env.default_params()
    state = GridState(jnp.int32(7), jnp.array([True, False, True, True]), jnp.arange(20, 24, dtype=jnp.int32))
    planes = np.asarray(env._obs(state, params)).reshape(4, 121)
    assert np.argwhere(planes).tolist() == [[0, 7], [1, 20], [2, 22], [3, 23]]


def test_legacy_walls_keep_objects_off_two_cells_only():
    env = RandomGridWorld(LEVELS["small"], legacy_wall_bug=True)
    params = jax.jit(env.sample_params)(jax.random.key(0))
    reset = jax.jit(jax.vmap(lambda k: env.reset(k, params)[0].cells))
    seen = set(np.asarray(reset(jax.random.split(jax.random.key(1), 2000))).ravel().tolist())
    side = int(params.side)
    assert seen == set(range(side**2)) - {0, 1, int(params.start)}


@functools.cache
def sampled(name, n=4000):
    table = LEVELS if name in LEVELS else RANDOM_LEVELS
    env = GridWorld(table[name])
    return env, jax.tree.map(
        np.asarray, jax.jit(jax.vmap(env.sample_params))(jax.random.split(jax.random.key(0), n))
    )


@pytest.mark.parametrize("name", ["small", "mazes", "long_dense"])
def test_sampled_levels_are_legal(name):
    env, p = sampled(name)
    spec = env.levels
    assert set(p.side) == set(range(spec.side[0], spec.side[1] + 1))
    assert set(p.n_objects) == set(range(spec.used[0], spec.used[1] + 1))
    assert p.limit.min() >= spec.limit[0] and p.limit.max() <= spec.limit[1]
    placed = np.concatenate([p.start[:, None], p.cells], 1)
    assert (placed < p.side[:, None] ** 2).all()
    assert not np.take_along_axis(p.walls, placed, 1).any()
    assert all(len(set(row)) == len(row) for row in placed)
    for field, ranges in (("reward", spec.reward), ("p_end", spec.p_end), ("p_respawn", spec.p_respawn)):
        low, high = np.array(ranges, np.float32).T
        values = getattr(p, field)
        assert (values >= low - 1e-6).all() and (values <= high + 1e-6).all()
    if spec.random_walls:
        assert (p.walls.sum(1) == spec.random_walls).all()
    else:
        designs = {tuple(sorted(d)) for d in spec.designs}
        assert {tuple(np.flatnonzero(w)) for w in p.walls} == designs


def test_log_uniform_limit():
    """Half-bins at the ends: P(n) = ln((n + .5) / (n - .5)) / ln(b / a) inside."""
    _, p = sampled("small")
    a, b = 20, 100
    n = np.arange(a, b + 1)
    edges = np.clip(np.stack([n - 0.5, n + 0.5]), a, b)
    law = np.log(edges[1] / edges[0]) / np.log(b / a)
    counts = np.bincount(p.limit, minlength=b + 1)[a:]
    chi2 = (((counts - len(p.limit) * law) ** 2) / (len(p.limit) * law)).sum()
    assert chi2 < 124.8  # 99.9 % quantile at 80 degrees of freedom


def test_maze_masks():
    assert [len(m) for m in MAZES.values()] == [46, 53, 72, 72, 72, 73, 72, 71, 71]
    assert len(LEVELS["long_dense"].designs[0]) == 17
    assert len(LEVELS["longer"].designs[0]) == 7


def test_render_shows_cells():
    env = GridWorld(levels(5, 3, 3))
    params = level(5, 4, (5, 6), 0, (0, 1, 2), (2, 10, 12), (1, -1, 0.5), (0, 0, 1), (0, 1, 0), 50)
    state, _ = env.reset(jax.random.key(0), params)
    picture = np.asarray(jax.jit(env.render)(state, params))
    assert picture.shape == (40, 40, 3) and picture.dtype == np.uint8
    cells = picture[::8, ::8]
    assert tuple(cells[0, 0]) == (30, 100, 220)  # agent
    assert tuple(cells[1, 1]) == tuple(cells[1, 2]) == (70, 75, 85)  # walls 5, 6 of side 4
    assert tuple(cells[4, 0]) == tuple(cells[0, 4]) == (20, 20, 25)  # outside
    assert tuple(cells[0, 2]) == (40, 160, 80) and tuple(cells[3, 0]) == (240, 170, 30)
