"""Gains of grids against loops, and values of the random policy against published ones."""

from functools import cache

import jax
import numpy as np
import pytest

from jaxrl.core import spaces
from jaxrl.core.types import Policy
from jaxrl.envs.coverage import maps
from jaxrl.envs.coverage.coverage_grid import coverage_grid, two_rooms
from jaxrl.envs.coverage.gp_design import gp_design
from jaxrl.envs.coverage.item_collection import item_collection
from jaxrl.envs.sets.grid_coverage import GridCoverage
from jaxrl.envs.wrappers.flatten_obs import flatten_obs
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
    """Sums of gains over 1,000 episodes are F(tau) - F(s_0); the random policy has its published value."""
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


def test_flat_observations_are_one_hot_places_and_what_is_covered():
    flat = flatten_obs(two_rooms(show_stat=True))
    _, obs = flat.reset(jax.random.key(0), flat.default_params())
    # one-hot of h, of the cell, and the covered cells
    assert obs.shape == (40 + 98 + 98,) and float(obs.sum()) == 1 + 1 + 4
