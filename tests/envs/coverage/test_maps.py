"""Maps against the published counts, kernels against inverses, draws against their process."""

from functools import cache

import numpy as np
import pytest

from jaxrl.envs.coverage import maps
from jaxrl.envs.coverage.gp_design import gp_design
from jaxrl.envs.sets.grid_coverage import GridCoverage


@cache
def weight_map(name, seed=0):
    return GridCoverage(30, 30, "quad", name, seed=seed).weight_map().astype(float)


def test_maps_have_the_published_counts_and_ranges():
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
        # the shipped maps: minima 0.33 .. 2.38, maxima 3.55 .. 5.19; four standard deviations of 0.83 at 3
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
    """Variance and neighbour correlation over 150 seeds of a small grid; conditioning changes few of them."""
    draws = np.stack([maps.gp_sample(seed, 3, 4) for seed in range(150)]) - 3
    K = maps.matern_kernel(3, 4)
    assert K[0, 0] == pytest.approx(np.log(2)) and K[0, 11] < K[0, 1] < K[0, 0]
    # of a variance 0.693: standard error 0.08; the zero within reach lowers it by a few per cent
    assert 0.4 < draws[:, 1, 1].var() < 0.95
    assert np.corrcoef(draws[:, 0, 0], draws[:, 0, 1])[0, 1] > 0.98
