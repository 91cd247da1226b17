"""Benchmark data equal those of the papers number for number, and obey the laws they are said to have."""

import math

import numpy as np
import pytest

from jaxrl.minimax.designs import agmm, classic, demand
from jaxrl.minimax.designs.npiv_zoo import FUNCTIONS, structural, zoo
from jaxrl.minimax.designs.record import Scale, mse

# A3: mean and standard deviation of y in the training split of variant A
MOMENTS = {
    "abs": (1.63672723, 2.30934197),
    "linear": (-0.08676107, 3.45467127),
    "sin": (-0.03996973, 2.14051240),
    "step": (1.71596259, 2.34199690),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_zoo_a_has_the_published_numbers(name):
    data = zoo(name, "A")
    np.testing.assert_allclose(data.train.x[:3, 0], [1.48830725, 0.32847087, -1.46620316], atol=5e-9)
    np.testing.assert_allclose(data.train.z[0], [0.85289231, 2.68753663], atol=5e-9)
    np.testing.assert_allclose(data.scale, MOMENTS[name], atol=5e-9)
    np.testing.assert_allclose([data.train.y.mean(), data.train.y.std()], [0, 1], atol=1e-12)
    assert {s.x.shape for s in data[:3]} == {(2000, 1)} and {s.z.shape for s in data[:3]} == {(2000, 2)}
    # dev and test are in training units, so their own moments are not exactly 0 and 1
    assert abs(data.test.y.mean()) > 1e-4
    f0 = (structural(name, "A")(data.test.x[:, 0]) - data.scale.mean) / data.scale.sd
    np.testing.assert_array_equal(data.test.truth, f0)


@pytest.mark.parametrize(("name", "ratio"), [("abs", 2.32), ("linear", 1.71), ("sin", 2.95), ("step", 3.49)])
def test_zoo_b_is_the_same_stream_with_half_the_confounding(name, ratio):
    a, b = zoo(name, "A"), zoo(name, "B")
    np.testing.assert_array_equal(a.train.x, b.train.x)
    np.testing.assert_array_equal(a.dev.z, b.dev.z)
    assert round(float(a.scale.sd / b.scale.sd) ** 2, 2) == ratio
    noise_a = (a.train.y - a.train.truth) * a.scale.sd
    noise_b = (b.train.y - b.train.truth) * b.scale.sd
    e = noise_a - noise_b  # 2 e + noise - (e + noise)
    assert abs(e.mean()) < 4 / math.sqrt(2000) and abs(e.std() - 1) < 4 / math.sqrt(4000)
    np.testing.assert_allclose((noise_b - e).std(), 0.1, rtol=0.1)


def test_zoo_refuses_unknown_names():
    with pytest.raises(ValueError, match="function: 'cube' is none of abs"):
        zoo("cube", "A")
    with pytest.raises(ValueError, match="variant: 'C' is neither A nor B"):
        zoo("abs", "C")  # type: ignore[arg-type]


def test_demand_grid_has_the_published_moments():
    x, truth = demand.grid()
    assert x.shape == (2800, 3)
    np.testing.assert_allclose([truth.mean(), truth.var()], [-190.679670, 32643.652496], atol=1e-6)
    np.testing.assert_allclose(truth[:3], [41.66666667, 3.33333333, -35], atol=1e-8)


def test_demand_draws_in_the_published_order():
    n, rho, seed = 7, 0.5, 3
    data = demand.demand(n, rho=rho, seed=seed)
    draw = np.random.default_rng(seed)
    s, t, c, v = (
        draw.choice(list(range(1, 8)), n),
        draw.uniform(0, 10, n),
        draw.normal(size=n),
        draw.normal(size=n),
    )
    e = rho * v + draw.normal(0, math.sqrt(1 - rho**2), n)
    for i in range(n):
        season = 2 * ((t[i] - 5) ** 4 / 600 + math.exp(-4 * (t[i] - 5) ** 2) + t[i] / 10 - 2)
        p = 25 + (c[i] + 3) * season + v[i]
        np.testing.assert_allclose(data.x[i], [p, t[i], s[i]], rtol=1e-14)
        np.testing.assert_allclose(data.z[i], [c[i], t[i], s[i]], rtol=0)
        np.testing.assert_allclose(data.y[i], 100 + (10 + p) * s[i] * season - 2 * p + e[i], rtol=1e-12)
    with pytest.raises(ValueError, match=r"rho: a correlation lies in \[-1, 1\], got 1.5"):
        demand.demand(3, rho=1.5, seed=0)


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
        noise_x, noise_y = s.x[:, 0] - g * index, s.y - s.truth
        # both are a multiple of e, up to noise of 0.1
        rest = noise_x - scale * (1 - g) / 2 * noise_y
        np.testing.assert_allclose(rest.std(), 0.1 * math.hypot(1, scale * (1 - g) / 2), rtol=0.06)
        assert abs(np.corrcoef(noise_y, index)[0, 1]) < 4 / math.sqrt(n)
        np.testing.assert_array_equal(s.truth, np.sin(s.x[:, 0]))
    s = agmm.observe(np.random.RandomState(0), 5, np.abs, n=n, instruments=3, strength=g)
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


def test_gaussian_design_has_the_conditional_mean_of_the_mehler_operator():
    rho, n = 0.7, 200_000
    data = classic.gaussian(np.sin, n=n, rho=rho, seed=0)
    z = data.z[:, 0]
    # E[sin(x) | z] = e^{-(1 - rho^2) / 2} sin(rho z); the noise is uncorrelated with functions of z
    residual = data.y - math.exp(-(1 - rho**2) / 2) * np.sin(rho * z)
    for g in (np.ones(n), z, np.cos(2 * z)):
        assert abs(np.mean(residual * g)) < 4 * np.std(residual * g) / math.sqrt(n)
    assert np.corrcoef(data.y - data.truth, data.x[:, 0])[0, 1] > 0.5
    with pytest.raises(ValueError, match="rho"):
        classic.gaussian(np.sin, n=2, rho=-1.1, seed=0)


def test_newey_powell_function_and_law():
    x = (np.arange(1_000_000) + 0.5) / 1_000_000
    f = classic.newey_powell_function(x)
    np.testing.assert_allclose([f.mean(), f.var()], [0, 2.48751502], atol=2e-8)
    np.testing.assert_allclose(classic.newey_powell_function(np.array([0.9])), 2.0014800002, atol=1e-10)
    n = 100_000
    data = classic.newey_powell(n, seed=0)
    u = data.y - data.truth
    for a in (data.x, data.z):  # both are uniform
        np.testing.assert_allclose(
            np.quantile(a, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=4 * 0.5 / math.sqrt(n)
        )
    assert abs(np.corrcoef(u, data.z[:, 0])[0, 1]) < 4 / math.sqrt(n)
    # corr(u, (w + t) / sqrt 2) = 1 / (2 sqrt 2), seen through the monotone Phi
    assert 0.3 < np.corrcoef(u, data.x[:, 0])[0, 1] < 0.36


def test_dfiv_sine_draws_in_the_published_order():
    data = classic.dfiv_sin(5, seed=100)
    draw = np.random.default_rng(100)
    z = draw.uniform([-3, -3], [3, 3], (5, 2))
    e = draw.normal(size=(5,))
    x = z[:, 0] + e + draw.normal(scale=0.1, size=(5,))
    y = (np.sin(x) + e + draw.normal(scale=0.1, size=(5,))) / np.sqrt(1.5)
    for ours, theirs in zip(data, (x[:, None], z, y, np.sin(x) / np.sqrt(1.5)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-15)


@pytest.mark.parametrize("design", [classic.simple_iv, classic.heteroskedastic_iv])
def test_parametric_designs_meet_their_moments_at_the_truth_only(design):
    n = 50_000
    data, parameters = design(n, seed=0)
    noise = data.y - data.truth
    for g in (np.ones(n), data.z[:, 0], np.sin(data.z[:, 0])):
        assert abs(np.mean(noise * g)) < 4 * np.std(noise * g) / math.sqrt(n)
    assert abs(np.corrcoef(noise, data.x[:, 0])[0, 1]) > 0.2  # endogenous
    t = data.x[:, 0]
    if design is classic.simple_iv:
        np.testing.assert_allclose(data.truth, np.polyval(parameters[::-1], t), rtol=1e-12, atol=1e-12)
    else:
        t0, y0, left, right = parameters
        far = np.abs(t - t0) > 10
        kink = y0 + np.where(t < t0, left, right) * (t - t0)
        np.testing.assert_allclose(data.truth[far], kink[far], atol=1e-7)


def test_scale_and_score_refuse_what_has_no_meaning():
    with pytest.raises(ValueError, match="a column is constant"):
        Scale.of(np.ones((3, 2)))
    with pytest.raises(ValueError, match="is not that of the truth"):
        mse(np.zeros((3, 1)), np.zeros(3))
    scale = Scale.of(np.array([[1.0, 2.0], [3.0, 6.0]]))
    np.testing.assert_allclose(scale.back(scale.to(np.array([[5.0, 5.0]]))), [[5.0, 5.0]])
