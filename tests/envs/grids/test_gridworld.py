"""Grid worlds against a hand-made trace, published dynamic programmes and a Python simulator."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.grids.gridworld import GridParams, GridState, GridWorld, Levels, RandomGridWorld
from jaxrl.envs.grids.levels import LEVELS, RANDOM_LEVELS


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


def test_the_optimum_of_level_c_agrees_in_single_precision():
    params = level(4, 4, **LEVEL_C, limit=20, dtype=jnp.float32)
    mdp = jax.tree.map(np.asarray, jax.jit(GridWorld(levels(4, 3, 3)).to_tabular)(params))
    value = np.zeros(mdp.n_states, np.float32)
    for _ in range(60):
        value = (mdp.R + mdp.P @ value).max(1)
    assert value.dtype == np.float32 and mdp.mu0 @ value == pytest.approx(3.6776609154, rel=5e-5)


@pytest.mark.slow  # plays 100,000 episodes
def test_the_uniform_policy_earns_its_exact_value_on_level_c():
    """Within 4 standard errors, a false alarm in 16,000."""
    env, n = GridWorld(levels(4, 3, 3)), 100_000
    params = level(4, 4, **LEVEL_C, limit=20, dtype=jnp.float32)

    def episode(key):
        def play(carry, k):
            state, alive = carry
            k_action, k_step = jax.random.split(k)
            state, out = env.step(k_step, state, jax.random.randint(k_action, (), 0, 5), params)
            return (state, alive & ~out.terminated), jnp.where(alive, out.reward, 0.0)

        first = env.reset(key, params)[0], jnp.asarray(True)
        return jax.lax.scan(play, first, jax.random.split(key, 20))[1].sum()

    returns = np.asarray(jax.jit(jax.vmap(episode))(jax.random.split(jax.random.key(0), n)), np.float64)
    error = returns.std(ddof=1) / n**0.5
    assert error < 0.004 and abs(returns.mean() - 0.0277643574) < 4 * error


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


SMALL = LEVELS["small"].__dict__


def with_levels(**fields):
    return lambda: Levels(**{**SMALL, **fields})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (with_levels(side=(5, 4)), r"Levels\.side: must be \(low, high\)"),
        (with_levels(used=(1, 9)), r"Levels\.used: 9 objects in play, but kinds has 3"),
        (with_levels(kinds=(0, 1, 3)), r"Levels\.kinds: must be types 0 \.\. 2"),
        (with_levels(p_end=((0.1, 1.0),)), r"Levels\.p_end, p_respawn: must have one"),
        (with_levels(p_end=((0.0, 1.0),) * 3), r"Levels\.p_end: ranges must be \(p, p\) or 0 <"),
        (with_levels(random_walls=36), r"Levels\.random_walls: 36 walls leave no room"),
        (with_levels(designs=((36,),)), r"Levels\.designs: wall cells must lie in 0 \.\. 35"),
        (with_levels(designs=()), r"Levels\.designs: must be at least one set"),
        (
            with_levels(side=(4, 6), random_walls=0, designs=((), tuple(range(13)))),
            r"design 1 with 0 random walls leaves at most 3 free cells on side 4, but 4 are needed",
        ),
        (
            lambda: RandomGridWorld(with_levels(side=(4, 6), random_walls=32)()),
            r"design 0 with 32 random walls leaves at most 4 free cells on side 4, but 7 are needed",
        ),
    ],
)
def test_refusals_name_the_field(call, message):
    with pytest.raises(UsageError, match=message):
        call()


def test_levels_whose_walls_leave_too_few_cells_are_drawn_again():
    """Eight walls of 16 cells leave one to nine free ones on side 3; two objects that come back need 5."""
    spec = {"kinds": (0, 1), "reward": ((0.0, 1.0),) * 2, "p_end": ((0.1, 1.0),) * 2}
    drawn = with_levels(side=(3, 4), used=(1, 2), random_walls=8, p_respawn=((0.1, 1.0),) * 2, **spec)()
    env = RandomGridWorld(drawn)
    p = jax.jit(jax.vmap(env.sample_params))(jax.random.split(jax.random.key(0), 500))
    free = (np.arange(16) < np.asarray(p.side)[:, None] ** 2) & ~np.asarray(p.walls)
    assert set(np.asarray(p.side)) == {3, 4} and (free.sum(1) >= 5).all() and (free.sum(1) == 5).any()
    assert np.take_along_axis(free, np.asarray(p.start)[:, None], 1).all()
