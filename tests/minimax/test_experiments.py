"""Experiments: a member of the shared program is a run by itself, and errors on the zoo."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.minimax import asset_pricing, lazy_or_features, npiv_zoo
from experiments.minimax.regression import MeanField, fit
from jaxrl.core.errors import UsageError
from jaxrl.minimax import instances, sgda
from jaxrl.minimax.designs.demand import demand
from jaxrl.minimax.designs.npiv_zoo import zoo
from jaxrl.minimax.problem import minibatch, points
from jaxrl.report import tables
from jaxrl.run import catalogue
from jaxrl.run.sweep import member_keys
from theory.minimax.oracles import saddle

FOLDER = Path(__file__).parent.parent.parent / "experiments" / "minimax"


def test_a_member_of_the_program_is_a_run_by_itself():
    """Other data and scales beside it change nothing; the average is over the second half."""
    config = MeanField(width=8, batch=10, updates=80, every=20, alphas=(1.0, 3.0))
    trains = [demand(30, rho=0.5, seed=s) for s in (0, 1)]
    at, truth = trains[0].x[:4], trains[0].truth[:3]
    found = fit(config, trains, at, truth, 7)
    assert found.average.shape == found.last.shape == (2, 2, 4) and found.error.shape == (2, 2, 4)

    s = trains[1]
    x, z, y = ((a - a.mean(0)) / a.std(0) for a in s[:3])
    data = points(x.astype(np.float32)[:, None], np.ones((30, 1)), y, z[:, None], lam=1e-3)
    static = sgda.Config(width=8, inputs=3, dual_inputs=3)
    algorithm, hyper = sgda.make(static, minibatch(10)), sgda.Hyper(alpha=3.0, eps=0.25)
    state = algorithm.init(member_keys(7, 2)[1], hyper, data)
    step = jax.jit(algorithm.step)
    inputs = jnp.asarray((at - s.x.mean(0)) / s.x.std(0), jnp.float32)
    seen = []
    for i in range(80):
        state, _ = step(state, hyper, data)
        if (i + 1) % 20 == 0:
            f = np.asarray(sgda.evaluate(static, state, hyper, inputs), np.float64)
            seen.append(s.y.mean() + s.y.std() * f)
    scale = s.y.std()
    np.testing.assert_allclose(found.average[1, 1], np.mean(seen[2:], 0), atol=1e-5 * scale)
    np.testing.assert_allclose(found.last[1, 1], seen[-1], atol=1e-5 * scale)
    errors = [np.mean((f[:3] - truth) ** 2) for f in seen]
    np.testing.assert_allclose(found.error[1, 1], errors, rtol=1e-4)


def test_settings_that_cannot_be_run_are_refused():
    with pytest.raises(UsageError, match="updates: must be a multiple of 2 every = 40"):
        MeanField(updates=20)
    with pytest.raises(UsageError, match=r"MeanField.alphas: needs one scale at least"):
        MeanField(alphas=())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "bound"), [("abs", 0.015), ("linear", 0.003), ("sin", 0.015), ("step", 0.018)]
)
def test_errors_on_zoo_a_are_within_their_bounds(name, bound):
    """Default settings, training split only, two seeds; mean squared error on the test split."""
    data = zoo(name, "A")
    found = fit(MeanField(), [data.train] * 2, data.test.x, data.test.truth, 0)
    assert np.all(np.mean((found.average - data.test.truth) ** 2, -1) <= bound)


def test_linear_and_frozen_networks():
    """Full networks deviate from the linearised one by alpha^-2; frozen first layers stand still."""
    config = lazy_or_features.Config(inputs=3, n=60, width=16, batch=20, updates=80, every=20, seeds=1)
    data, at, target = lazy_or_features.sample(config, 0)
    stacked = jax.tree.map(lambda a: jnp.asarray(a)[None], data)
    inputs = (stacked, *(jnp.asarray(a, jnp.float32)[None] for a in (at, target)))
    alphas, frozen = jnp.array([4.0, 32.0, lazy_or_features.LINEAR, 4.0]), jnp.array([False] * 3 + [True])
    found = lazy_or_features._program(config)(member_keys(0, 1), alphas, frozen, *inputs)
    curve = np.asarray(found["curve"])
    away = np.abs(curve[:2] - curve[2:3]).max((1, 2))
    assert away[0] > 2e-4 and away[1] < away[0] / 20  # (32 / 4)^2 = 64 but for rounding
    moved = np.asarray(found["end"] - found["start"])
    assert np.abs(moved[0, ..., 1:]).max() > 1e-3
    assert np.abs(moved[3, ..., 0]).max() > 1e-3 and np.all(moved[3, ..., 1:] == 0)


def test_the_discount_factor_has_an_error_with_and_one_without_the_bias_of_its_penalty():
    """A flow that ends at the penalised saddle has error 0 to it, and the error of the saddle to m."""
    made = instances.discount_factor(lam=0.01)
    f_lam, m = saddle(made)[0], np.ones(24)
    ended = {"price_error": np.zeros((1, 2)), "discount_error": np.zeros((1, 2)), "euler": np.zeros((1, 2))}
    found = asset_pricing.scores(ended | {"factor": f_lam[None], "factor_true": m, "state": made.x[:, 0]})
    assert found["discount factor, relative error to the penalised saddle"] == 0
    expected = np.sqrt(np.sum(made.p * (f_lam - 1) ** 2))
    np.testing.assert_allclose(found["discount factor, relative error to the closed form"], expected)


def test_every_row_is_judged_or_says_why_not():
    entries = tables.read_expected(FOLDER / "expected.json")
    silent = [e["reason"] for labels in entries.values() for e in labels.values() if e["paper"] is None]
    assert set(silent) == {"no published value", "exploratory"} and len(silent) < 30


def test_published_rows_that_depend_on_a_draw_rest_on_five_or_more():
    """What has one number says `no draw`, or is fitted to sizes."""
    few = []
    for name, labels in tables.read_expected(FOLDER / "expected.json").items():
        module = catalogue.load(FOLDER.parent.parent, f"minimax/{name}")
        for preset in {entry["preset"] for entry in labels.values()}:
            with np.load(FOLDER / "results" / f"{name}-{preset}.npz") as file:
                scores = tables.module_scores(module, file)
            for label in (k for k, entry in labels.items() if entry["preset"] == preset):
                fitted = re.search(r"(\d+) draws", scores[label].note)
                draws = int(fitted[1]) if fitted else scores[label].values.size
                if draws < 5 and scores[label].note != "no draw":
                    few.append((name, label, draws))
    assert not few


def test_a_thinned_curve_ends_where_the_curve_does():
    curve = np.arange(600.0)
    found = npiv_zoo._thin(np.stack([curve, -curve]))
    np.testing.assert_array_equal(found[0], curve[3::4])
    np.testing.assert_array_equal(found[1], -found[0])
    np.testing.assert_array_equal(npiv_zoo._thin(curve[:4]), curve[:4])
