"""The processes of AGMM obey their equations, and their functions are those of the code."""

import math

import numpy as np
import pytest

from jaxrl.minimax.designs import agmm


def test_agmm_processes_obey_their_equations():
    n, g = 4000, 0.6
    for process in (1, 2, 4):
        s = agmm.observe(
            np.random.RandomState(0), process, agmm.FUNCTIONS["sin"], n=n, instruments=3, strength=g
        )
        index = {
            1: 2 * np.maximum(s.z[:, 0], 0) + 2 * np.minimum(s.z[:, 1], 0),
            2: 2 * s.z[:, 0],
            4: s.z.min(1),
        }[process]
        scale = 1 if process == 4 else 2
        # 4 standard errors of the means and of the standard deviations of 4000 draws
        mean = 0.5 if process == 4 else 0.0
        assert np.all(np.abs(s.z.mean(0) - mean) < 4 / math.sqrt(n))
        np.testing.assert_allclose(s.z.std(0), 1, atol=4 / math.sqrt(2 * n))
        noise_x, noise_y = s.x[:, 0] - g * index, s.y - s.truth
        # both are a multiple of e, up to noise of 0.1
        rest = noise_x - scale * (1 - g) / 2 * noise_y
        np.testing.assert_allclose(rest.std(), 0.1 * math.hypot(1, scale * (1 - g) / 2), rtol=0.06)
        assert abs(np.corrcoef(noise_y, index)[0, 1]) < 4 / math.sqrt(n)
        np.testing.assert_array_equal(s.truth, np.sin(s.x[:, 0]))
    s = agmm.observe(np.random.RandomState(0), 5, np.abs, n=n, instruments=3, strength=g)
    assert np.all(np.abs(s.z.mean(0)) < 8 / math.sqrt(n))
    np.testing.assert_allclose(s.z.std(0), 2, atol=8 / math.sqrt(2 * n))
    common = s.x - g * s.z
    np.testing.assert_allclose(common, common[:, :1] * np.ones((1, 3)), atol=1e-12)
    np.testing.assert_allclose(
        ((common[:, 0] / (1 - g)) - (s.y - s.truth)).std(), 0.1 * math.hypot(1, 2.5), rtol=0.06
    )
    np.testing.assert_array_equal(s.truth, np.abs(s.x[:, 0]))


def test_agmm_functions_at_hand_computed_points():
    x = np.array([-2.0, -0.5, 0.0, 0.5, 2.0])
    expected = {
        "2dpoly": [6.6, 0.975, 0, -0.525, 0.6],
        "3dpoly": [-1.4, 0.85, 0, -0.4, 8.6],
        "step": [1, 1, 2.5, 2.5, 2.5],
        "band": [0, 1, 1, 1, 0],
        "invband": [1, 0, 0, 0, 1],
        "steplinear": [2, 0.5, 2, 1.5, 0],
        "pwlinear": [-1, 0, 0, 0, 1],
        "sqrpos": [0, 0, 0, 0.25, 4],
        "abspos": [0, 0, 0, 0.5, 2],
        "abs_sqrt": np.sqrt([2, 0.5, 0, 0.5, 2]),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(agmm.FUNCTIONS[name](x), values, atol=1e-14, err_msg=name)
    assert len(agmm.FUNCTIONS) + 1 == 16


def test_random_pieces_are_continuous_and_linear_between_knots():
    f = agmm.random_pieces(np.random.RandomState(1))
    x = np.linspace(-4, 4, 80_001)
    y = f(x)
    slopes = np.diff(y) / np.diff(x)
    assert np.abs(np.diff(y)).max() < 4.001 * (x[1] - x[0])
    assert np.count_nonzero(np.abs(np.diff(slopes)) > 1e-6) <= 2 * 4
    assert np.abs(slopes).max() <= 4 + 1e-9


def test_agmm_is_standardised_by_training_data_alone():
    data = agmm.agmm("rand_pw", 2, n=300, seed=5)
    np.testing.assert_allclose([data.train.y.mean(), data.train.y.std()], [0, 1], atol=1e-12)
    assert data.test.x.shape == (1000, 1) and abs(data.test.y.mean()) > 1e-4
    # one affine map took both outcomes and truths
    residual = np.concatenate([data.train.y - data.train.truth, data.test.y - data.test.truth])
    assert abs(residual.mean()) < 4 * residual.std() / math.sqrt(1300)
    for bad, match in ((("cube", 2), "function: 'cube'"), (("sin", 3), "process: 3 is none of")):
        with pytest.raises(ValueError, match=match):
            agmm.agmm(*bad, n=10, seed=0)
    with pytest.raises(ValueError, match="process 1 needs at least 2"):
        agmm.agmm("sin", 1, n=10, seed=0, instruments=1)
