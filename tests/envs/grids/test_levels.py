"""Published levels of the grid world: what is sampled is legal."""

import functools

import jax
import numpy as np
import pytest

from jaxrl.envs.grids.gridworld import GridWorld, RandomGridWorld
from jaxrl.envs.grids.levels import LEVELS, MAZES, RANDOM_LEVELS


@functools.cache
def sampled(name, n=4000):
    table = LEVELS if name in LEVELS else RANDOM_LEVELS
    env = GridWorld(table[name])
    return env, jax.tree.map(
        np.asarray, jax.jit(jax.vmap(env.sample_params))(jax.random.split(jax.random.key(0), n))
    )


def test_legacy_walls_keep_objects_off_two_cells_only():
    env = RandomGridWorld(LEVELS["small"], legacy_wall_bug=True)
    params = jax.jit(env.sample_params)(jax.random.key(0))
    reset = jax.jit(jax.vmap(lambda k: env.reset(k, params)[0].cells))
    seen = set(np.asarray(reset(jax.random.split(jax.random.key(1), 2000))).ravel().tolist())
    side = int(params.side)
    assert seen == set(range(side**2)) - {0, 1, int(params.start)}


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
    expected = np.log(edges[1] / edges[0]) / np.log(b / a)
    counts = np.bincount(p.limit, minlength=b + 1)[a:]
    chi2 = (((counts - len(p.limit) * expected) ** 2) / (len(p.limit) * expected)).sum()
    assert chi2 < 124.8  # 99.9 % quantile at 80 degrees of freedom


def test_maze_masks():
    assert [len(m) for m in MAZES.values()] == [46, 53, 72, 72, 72, 73, 72, 71, 71]
    assert len(LEVELS["long_dense"].designs[0]) == 17
    assert len(LEVELS["longer"].designs[0]) == 7


def apart(values, low, high):
    """Largest distance of the distribution of ln values [n] from a uniform one on [ln low, ln high]."""
    u = np.sort(np.log(values / low) / np.log(high / low))
    ranks = np.arange(len(u) + 1) / len(u)
    return max((ranks[1:] - u).max(), (u - ranks[:-1]).max())


@pytest.mark.slow  # draws 20,000 levels
def test_levels_of_all_have_the_distributions_that_are_asked_for():
    """Each of twelve tests has a false-alarm rate of 1e-4, by Pearson's and by Kolmogorov's statistic."""
    n = 20_000
    _, p = sampled("all", n)
    for values, low, high, quantile in ((p.side, 4, 10, 27.86), (p.n_objects, 1, 5, 23.51)):
        counts, expected = np.bincount(values)[low:], n / (high - low + 1)
        assert len(counts) == high - low + 1 and ((counts - expected) ** 2 / expected).sum() < quantile
    largest = np.sqrt(np.log(2 / 1e-4) / (2 * n))
    u = np.random.default_rng(0).uniform(-0.5, 0.5, n)  # undoes the rounding to whole steps
    assert apart(np.clip(p.limit + u, 20, 750), 20, 750) < largest + 1e-3
    for k in range(5):
        assert apart(p.p_end[:, k], 1e-2, 1) < largest
        assert apart(p.p_respawn[:, k], 1e-3, 1e-1) < largest
    assert p.reward[:, 0].min() >= 0 and p.reward[:, 1:].min() < -0.99
    placed = np.concatenate([p.start[:, None], p.cells], 1)
    assert not np.take_along_axis(p.walls, placed, 1).any() and (placed < p.side[:, None] ** 2).all()
    assert (np.diff(np.sort(placed, 1), axis=1) > 0).all()
