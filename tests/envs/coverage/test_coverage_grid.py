"""Grids that pay for what was visited: moves, footprints and maps against the published tables, gains against
loops, values of the random policy against published ones."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core import spaces
from jaxrl.core.errors import UsageError
from jaxrl.core.types import Policy
from jaxrl.envs.coverage import maps
from jaxrl.envs.coverage.coverage_grid import coverage_grid, two_rooms
from jaxrl.envs.coverage.gp_design import gp_design
from jaxrl.envs.coverage.item_collection import item_collection
from jaxrl.envs.coverage.place_grid import PlaceGrid, PlaceState
from jaxrl.envs.sets.coverage import Coverage
from jaxrl.envs.sets.grid_coverage import GridCoverage, footprint_table
from jaxrl.envs.sets.grid_design import GridDesign
from jaxrl.envs.sets.log_det import LogDet
from jaxrl.envs.sets.protocol import Visit
from jaxrl.envs.wrappers.flatten_obs import flatten_obs
from jaxrl.envs.wrappers.set_reward import TimedItems, set_episode, set_reward
from jaxrl.rollout.unroll import start, unroll

N = 1000  # episodes per environment
FREE = {(r, c) for r, row in enumerate(maps.TWO_ROOMS) for c, cell in enumerate(row) if cell == "."}


def quad(r, c, rows, cols, free=None):
    cells = {(r, c), (r, c + 1), (r + 1, c), (r + 1, c + 1)}
    return {x for x in cells if x[0] < rows and x[1] < cols and (free is None or x in free)}


def covered_weight(path, rows, cols, weight, free=None):
    union = set().union(*(quad(*divmod(int(v), cols), rows, cols, free) for v in path))
    return sum(weight[x] for x in union)


NOISY = maps.random_items(1)


def collected(path, layout=maps.ITEMS):
    cells = [layout[v // 15][v % 15] for v in {int(v) for v in path}]
    return sum(min(cells.count(kind), most) for kind, most in maps.DEMAND.items())


KERNEL = maps.matern_kernel(30, 30)


def information(path, noise=1e-2):
    K = KERNEL[np.ix_(path, path)]
    return 0.5 * np.linalg.slogdet(np.eye(len(path)) + K / noise)[1]


@cache
def weight_map(name, seed=0):
    return GridCoverage(30, 30, "quad", name, seed=seed).weight_map().astype(float)


# environment, value of the uniformly random policy and its standard error as published, F by a loop
CASES = {
    "two rooms": (two_rooms(), (17.911, 0.006), lambda p: covered_weight(p, 7, 14, np.ones((7, 14)), FREE)),
    "bimodal": (
        coverage_grid("bimodal"),
        (18.595, 0.007),
        lambda p: covered_weight(p, 30, 30, weight_map("bimodal")),
    ),
    "gorilla": (
        coverage_grid("gorilla"),
        (152.5, 0.3),
        lambda p: covered_weight(p, 30, 30, weight_map("gorilla")),
    ),
    "constant": (
        coverage_grid(states=80),
        (46.94, 0.02),
        lambda p: covered_weight(p, 30, 30, np.ones((30, 30))),
    ),
    "items": (item_collection(modular=True), (12.667, 0.016), collected),
    "design": (gp_design(), None, information),
    "gp": (coverage_grid("gp", seed=3), None, lambda p: covered_weight(p, 30, 30, weight_map("gp", 3))),
    "noisy items": (item_collection(NOISY, slip=0.1), None, lambda p: collected(p, NOISY)),
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in ("gorilla", "constant") else ()) for n in CASES]
)
def test_gains_telescope_to_the_formula(name):
    """Acceptance check 10: |sum of gains - (F(tau) - F(s_0))| over 1,000 episodes, and the random policy."""
    env, published, formula = CASES[name]
    params, H = env.default_params(), env.env.H
    policy = Policy(lambda key, obs, memory: (spaces.sample(env.action_space, key), (), memory))

    @jax.jit
    def run(key):
        k_start, k_run = jax.random.split(key)
        vec = start(env, policy, k_start, params, N)
        first = jax.vmap(env.F.value, (None, 0))(params.F, vec.env_state.stat)
        _, out, stats = unroll(env, policy, vec, k_run, params, length=H, keep=("gain", "F"))
        return out, stats, first

    out, stats, first = jax.tree.map(np.asarray, run(jax.random.key(0)))
    assert out.terminated[-1].all() and not out.terminated[:-1].any() and stats.count == N
    gain, path = out.info["gain"], np.concatenate([out.obs["obs"][:1], out.next_obs["obs"]])
    assert len(path) == H + 1
    value = first + gain.sum(0)
    np.testing.assert_allclose(value, out.info["F"][-1], atol=1e-4 * max(1, np.abs(value).max() / 10))
    for i in range(40):
        assert first[i] == pytest.approx(formula(path[:1, i]), rel=1e-5)
        assert value[i] == pytest.approx(
            formula(path[:, i]), abs=5e-4 if name == "design" else 1e-4 * float(value[i])
        )
    assert np.all(gain >= 0)
    if published is not None:
        error = np.hypot(value.std() / np.sqrt(N), published[1])
        assert abs(value.mean() - published[0]) < 4 * error  # false alarm 6e-5
    alone = np.array([[formula([v]) for v in row] for row in out.next_obs["obs"][:, :3]])
    expected = alone if env.modular else gain[:, :3]
    np.testing.assert_allclose(out.reward[:, :3], expected, rtol=1e-6)


def test_moves_against_a_loop():
    """Every cell and action of two rooms; moves into walls and off the grid stay; slips by frequency."""
    grid = two_rooms().env.env
    params = grid.default_params()
    deltas = [(0, 0), (0, 1), (1, 0), (0, -1), (-1, 0)]
    cells, actions = np.divmod(np.arange(98 * 5), 5)
    step = jax.jit(jax.vmap(grid.step_u, (0, 0, 0, None)))
    still = jnp.full((490, 2), 0.5)
    after, out = step(PlaceState(jnp.asarray(cells, jnp.int32)), jnp.asarray(actions), still, params)
    for cell, action, end in zip(cells, actions, np.asarray(after.cell), strict=True):
        r, c = divmod(cell, 14)
        if (r, c) in FREE:
            to = (r + deltas[action][0], c + deltas[action][1])
            assert divmod(end, 14) == (to if to in FREE else (r, c))
    assert not np.asarray(out.terminated).any() and not np.asarray(out.reward).any()
    # below the slip probability the second uniform chooses the action
    slippery = params._replace(slip=jnp.asarray(0.75))
    u = jnp.stack([jnp.full(490, 0.5), jnp.asarray((cells * 7 % 5) / 5 + 0.1)], axis=1)
    slipped, _ = step(PlaceState(jnp.asarray(cells, jnp.int32)), jnp.asarray(actions), u, slippery)
    np.testing.assert_array_equal(slipped.cell, np.asarray(after.cell).reshape(98, 5)[cells, cells * 7 % 5])
    mdp = grid.to_tabular(slippery)
    np.testing.assert_allclose(np.asarray(mdp.P).sum(-1), 1, atol=1e-6)
    assert float(mdp.P[34, 1, 35]) == pytest.approx(0.25 + 0.75 / 5)
    assert int(grid.state_index(params, grid.state_at(params, 40))) == 40
    picture = np.asarray(grid.render(PlaceState(jnp.int32(34)), params))
    assert picture.shape == (56, 112, 3) and picture[16, 48].tolist() == [30, 100, 220]
    assert picture[0, 40].tolist() != picture[0, 0].tolist()


def test_footprints_of_two_rooms():
    """68 free cells, and the rows of the published table."""
    table = footprint_table(7, 14, "quad", maps.TWO_ROOMS)
    of = {divmod(v, 14): {divmod(int(u), 14) for u in row if u < 98} for v, row in enumerate(table)}
    assert len(FREE) == 68 and set().union(*(of[x] for x in FREE)) == FREE
    assert of[0, 3] == {(0, 3), (1, 3)} and of[1, 3] == {(1, 3), (2, 3), (2, 4)}
    assert of[3, 3] == {(3, 3), (3, 4), (4, 3)} and of[3, 9] == {(3, 9), (3, 10), (4, 10)}
    assert all(of[3, c] == {(3, c), (3, c + 1)} for c in range(4, 9))
    assert all(of[r, 13] == {(r, 13), (r + 1, 13)} for r in range(6))
    assert of[6, 3] == {(6, 3)} and of[6, 13] == {(6, 13)}
    block = footprint_table(30, 30, "block")[0]
    assert sorted(block) == [0, 1, 2, 30, 31, 32, 60, 61, 62]
    assert sorted(footprint_table(4, 4, "plus")[0]) == [0, 1, 4, 16, 16]


def test_maps():
    assert maps.gorilla().sum() == 13227 and weight_map("gorilla")[1:3, 4:6].sum() == 22
    bimodal = weight_map("bimodal")
    assert bimodal.min() == pytest.approx(0.26894, abs=5e-6) and bimodal.max() == pytest.approx(
        0.73106, abs=5e-6
    )
    assert bimodal[0, 0] == bimodal.max() == bimodal[-1, -1]
    for seed in range(3):
        letters = "".join(maps.random_items(seed))
        assert {k: letters.count(k) for k in maps.SUPPLY} == maps.SUPPLY
        sample = maps.gp_sample(seed, 30, 30)
        # the shipped maps: minima 0.33 .. 2.38, maxima 3.55 .. 5.19; four deviations of 0.83 around 3
        assert 0 <= sample.min() < 3 < sample.max() < 6.4
        assert np.abs(np.diff(sample, axis=0)).max() < 0.5
    assert maps.random_items(0) != maps.random_items(1)
    assert {k: "".join(maps.ITEMS).count(k) for k in "WSABOP"} == maps.SUPPLY
    assert sum(maps.DEMAND.values()) == 21


def test_posterior_kernel_inverts_a_block_of_the_joint_precision():
    seen = np.random.default_rng(3).uniform(0, 10, (5, 2))
    grid = 1 + 0.1 * np.array([(r, c) for r in range(4) for c in range(5)], float)
    both = np.concatenate([grid, seen])
    q = np.sqrt(5) * np.linalg.norm(both[:, None] - both[None], axis=-1)
    joint = np.log(2) * (1 + q + q**2 / 3) * np.exp(-q)
    joint[np.arange(20, 25), np.arange(20, 25)] += 1e-3
    expected = np.linalg.inv(np.linalg.inv(joint)[:20, :20])
    np.testing.assert_allclose(maps.posterior_kernel(3, 4, 5), expected, atol=1e-6)
    params = gp_design(rows=4, cols=5, start=0, states=3, seed=3).default_params()
    np.testing.assert_allclose(params.F.kernel, expected, atol=1e-5)


def test_gp_sample_is_a_draw_of_the_process():
    """Variance and neighbour correlation over 150 seeds of a small grid; conditioning pulls few of them."""
    draws = np.stack([maps.gp_sample(seed, 3, 4) for seed in range(150)]) - 3
    K = maps.matern_kernel(3, 4)
    assert K[0, 0] == pytest.approx(np.log(2)) and K[0, 11] < K[0, 1] < K[0, 0]
    # of a variance 0.693: standard error 0.08; the zero within reach lowers it by a few per cent
    assert 0.4 < draws[:, 1, 1].var() < 0.95
    assert np.corrcoef(draws[:, 0, 0], draws[:, 0, 1])[0, 1] > 0.98


def test_boustrophedon_covers_the_most_that_is_possible():
    """2 (states + 1) on the open grid, the most that any path covers."""
    F = GridCoverage(30, 30)
    rows = [[2 * i * 30 + c for c in (range(29) if i % 2 == 0 else range(28, -1, -1))] for i in range(15)]
    path, at = [], rows[0][0]
    for row in rows:
        while at // 30 < row[0] // 30:  # down to the row after next at the end of a row
            at += 30
            path.append(at)
        path += row[1:] if path and path[-1] == row[0] else row
        at = row[-1]
    stat, total = F.init(params := F.default_params()), 0.0
    add = jax.jit(partial(F.add, params))
    for n, v in enumerate(path[:80], 1):
        stat, gain = add(stat, jnp.int32(v))
        total += float(gain)
        assert total == 2 * (n + 1)


def test_design_in_double_precision():
    """Released settings: noise 1e-6, 40 states; the random policy of the prior has value 183.74 +- 0.26."""
    with jax.enable_x64(True):
        F = GridDesign(900, 40, noise=1e-6)
        params = F.default_params()
        assert params.kernel.dtype == np.float64
        rng, moves = np.random.default_rng(0), np.array([(0, 0), (0, 1), (1, 0), (0, -1), (-1, 0)])
        paths = np.zeros((300, 40, 2), int)
        paths[:, 0] = 1, 4
        for t in range(1, 40):
            to = paths[:, t - 1] + moves[rng.integers(5, size=300)]
            inside = ((to >= 0) & (to < 30)).all(1, keepdims=True)
            paths[:, t] = np.where(inside, to, paths[:, t - 1])
        cells = paths @ [30, 1]

        def fold(path):
            stat, gains = jax.lax.scan(lambda s, v: F.add(params, s, v), F.init(params), path)
            return F.value(params, stat), gains, F.features(params, stat)

        value, gains, counts = map(np.asarray, jax.jit(jax.vmap(fold))(jnp.asarray(cells, jnp.int32)))
    assert np.all(gains > 0)
    exact = [information(path, 1e-6) for path in cells]
    np.testing.assert_allclose(value, exact, atol=1e-8)
    assert value.mean() + 40 * 3.058029 == pytest.approx(
        183.74, abs=4 * np.hypot(0.26, value.std() / 300**0.5)
    )
    np.testing.assert_array_equal(counts[0], np.bincount(cells[0], minlength=900))


@pytest.mark.parametrize(("noise", "low", "high"), [(1e-4, 1e-3, 1e-1), (1e-2, 1e-6, 5e-4)])
def test_float32_errors_have_the_documented_size(noise, low, high):
    """Pitfall 4: worst of 100 random walks of 40 states; the clamp leaves no negative gain and no NaN."""
    rng = np.random.default_rng(1)
    cells = np.clip(np.cumsum(rng.integers(-1, 2, (100, 40, 2)), axis=1) + 15, 0, 29) @ [30, 1]
    F = GridDesign(900, 40, noise=noise)
    params = F.default_params()

    def fold(path):
        stat, gains = jax.lax.scan(lambda s, v: F.add(params, s, v), F.init(params), path)
        return F.value(params, stat), gains

    value, gains = jax.jit(jax.vmap(fold))(jnp.asarray(cells, jnp.int32))
    error = np.abs(np.asarray(value) - [information(path, noise) for path in cells]).max()
    assert low < error < high and np.all(np.asarray(gains) >= 0)


def test_observations():
    env = item_collection(show_history=True, show_stat=True)
    params = env.default_params()
    state, obs = env.reset(jax.random.key(0), params)
    assert int(obs["obs"]["obs"]["obs"]) == 34 and int(obs["obs"]["obs"]["h"]) == 0
    assert np.asarray(obs["obs"]["history"]).tolist() == [34] + [-1] * 39
    # the start holds an S, of which two are wanted
    assert maps.ITEMS[2][4] == "P" and np.asarray(obs["stat"]["remaining"]).tolist() == [
        3,
        2,
        3,
        4,
        6,
        2,
    ]
    state, out = env.step(jax.random.key(0), state, jnp.int32(1), params)
    assert np.asarray(out.obs["obs"]["history"])[:3].tolist() == [34, 35, -1]
    assert np.flatnonzero(out.obs["stat"]["visited"]).tolist() == [34, 35]
    flat = flatten_obs(two_rooms(show_stat=True))
    _, obs = flat.reset(jax.random.key(0), flat.default_params())
    # one-hot of h, of the cell, and the covered cells
    assert obs.shape == (40 + 98 + 98,) and float(obs.sum()) == 1 + 1 + 4


def test_timed_items():
    env = set_reward(TimedItems(PlaceGrid(2, 2), 3), _Pairs(4))
    params = env.default_params()
    state, _ = env.reset(jax.random.key(0), params)
    for h, action in enumerate((0, 1, 2), 1):
        state, out = env.step(jax.random.key(0), state, jnp.int32(action), params)
        item = env.item(params, state)
        assert isinstance(item, Visit) and int(item.h) == h
    assert float(out.info["F"]) == 1 + 2 + 3 and bool(out.terminated)


class _Pairs(Coverage):
    """Pays h for a visit at time h."""

    def gain(self, params, stat, item):
        return item.h.astype(params.weight.dtype)

    def add(self, params, stat, item):
        return stat | params.covers[item.v], self.gain(params, stat, item)

    def value(self, params, stat):
        return jnp.asarray(6.0)


class _Growing(Coverage):
    def add(self, params, stat, item):
        return jnp.append(stat, True), jnp.float32(0)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: PlaceGrid(0, 3), "PlaceGrid.rows, cols"),
        (lambda: PlaceGrid(2, 2, start=4), "PlaceGrid.start: cell 4 is outside"),
        (lambda: PlaceGrid(1, 2, start=1, blocked=(".#",)), "PlaceGrid.start: cell 1 is blocked"),
        (lambda: PlaceGrid(1, 2, slip=1.5), "PlaceGrid.slip"),
        (lambda: PlaceGrid(1, 2, blocked=("...",)), "PlaceGrid.blocked"),
        (lambda: GridCoverage(2, 2, "disc"), "GridCoverage.footprint"),
        (lambda: GridCoverage(2, 2, weights="random"), "GridCoverage.weights: unknown"),
        (lambda: GridCoverage(2, 2, weights="gorilla"), "30 x 30"),
        (lambda: GridCoverage(2, 2, weights=(1.0, 2.0)), "2 numbers for 4 cells"),
        (lambda: GridCoverage(1, 2, weights=(1.0, -2.0)), "negative"),
        (lambda: GridDesign(900, 40, cols=7), "GridDesign.cols"),
        (lambda: GridDesign(900, 40, noise=0.0), "GridDesign.noise"),
        (lambda: coverage_grid(states=1), "set_episode.states: must be >= 2"),
        (
            lambda: set_episode(PlaceGrid(2, 2), LogDet(4, 5), 6),
            "6 visited states, the first included, but F.capacity",
        ),
        (
            lambda: (env := set_reward(PlaceGrid(2, 2), _Growing(4))).reset(
                jax.random.key(0), env.default_params()
            ),
            "keep its shape",
        ),
    ],
)
def test_bad_input(call, sentence):
    with pytest.raises(UsageError, match=sentence):
        call()
