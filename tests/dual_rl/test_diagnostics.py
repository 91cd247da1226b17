"""Branches of residuals, effective sample size, drift, and the warning at the end of a run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.dual_rl import forms
from jaxrl.dual_rl.diagnostics import (
    WINDOW,
    agreement,
    clipping,
    cloning,
    drift,
    remaining,
    residuals,
    review,
)
from tests.dual_rl.dual_tables import BOX, OBS


def test_branches_and_the_effective_sample_are_counted():
    y, rows = jnp.array([-5.0, -3.0, 0.5, 9.0]), jnp.full(4, 0.25)
    weight = jnp.array([0.0, 0.0, 1.0, 3.0])
    found = residuals(y, rows) | clipping(y / 2, rows, 4.0) | cloning(weight, rows, 3.0)
    expected = {"positive": 0.5, "below_2": 0.5, "below_4": 0.25, "at_clip": 0.25, "at_cap": 0.25}
    assert {k: float(found[k]) for k in expected} == expected
    assert float(found["residual"]) == pytest.approx(0.375) and float(found["ess"]) == pytest.approx(16 / 40)
    assert cloning(jnp.zeros(4), rows) == {"ess": 0}


def test_agreement_is_the_weighted_correlation_of_two_critics():
    rng = np.random.default_rng(0)
    critics, weights = rng.normal(size=(2, 50)) + rng.normal(size=50), rng.dirichlet(np.ones(50))
    found = agreement(jnp.asarray(critics), jnp.asarray(weights))["agreement"]
    covariance = np.cov(critics, aweights=weights)
    expected = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    assert float(found) == pytest.approx(expected, abs=1e-5) and 0.2 < expected < 0.8
    constant = agreement(jnp.stack([jnp.ones(4), jnp.arange(4.0)]), jnp.full(4, 0.25))
    assert float(constant["agreement"]) == 0


@pytest.mark.parametrize(
    ("share", "agreed", "warned"), [(0.2, 0.8, True), (0.8, 0.8, False), (0.2, 0.95, False)]
)
def test_review_warns_where_few_rows_count_and_the_critics_disagree(share, agreed, warned):
    history = {"ess": np.array([1.0, share, np.nan]), "agreement": np.array([0.0, agreed, np.nan])}
    text = review(history)
    assert (text is not None) == warned
    if warned:
        assert text.startswith("policy weights may follow errors: they leave an effective 20 % of the rows")
        moving = {"drift": np.array([9.0]), "unsettled": np.array([0.5])}
        assert review(history | moving) == f"{review(moving)}; {text}"


def test_drift_is_measured_once_per_window():
    values, weights = jnp.array([1.0, 3.0]), jnp.full(2, 0.5)
    move = jax.jit(lambda past, updates: drift(lambda p: p * values, weights, 3.0, past, updates))
    past, early = move(jnp.float32(1.0), jnp.int32(WINDOW - 2))
    assert float(past) == 1 and all(float(m.count) == 0 == float(m.total) for m in early.values())
    past, due = move(jnp.float32(1.0), jnp.int32(WINDOW - 1))
    found = {name: float(m.total / m.count) for name, m in due.items()}
    # from 1, 3 to 3, 9, which have a standard std of 3
    assert float(past) == 3 and found == {"drift": 4.0, "unsettled": pytest.approx(4 / 3)}


@pytest.mark.parametrize("rate", [5e-5, 1e-3])
def test_what_remains_of_an_exponential_decay_is_known_from_one_window(rate):
    """An error of 1 that falls like e^(-rate t); halved, what is left is known from its fall."""
    t = 4 * WINDOW
    fall = np.exp(-rate * (t - WINDOW)) - np.exp(-rate * t)
    assert float(remaining(0.5 * fall, t, rate)) == pytest.approx(0.5 * np.exp(-rate * t), rel=1e-4)
    # noise looks like movement, but after many time constants no error of the start is left
    assert float(remaining(0.1, 20 / rate, rate)) < 1e-8
    # nor where there is nothing to wait for
    assert float(remaining(0.1, t, jnp.inf)) == 0 == float(remaining(0.0, t, 0.0))


def test_review_warns_where_values_have_not_settled():
    moving = {"drift": np.array([np.nan, 9.0, np.nan]), "unsettled": np.array([np.nan, 0.5, np.nan])}
    assert review(moving).startswith("not converged: values moved by 9 in the last 1000 updates")
    assert "50 % of their spread" in review(moving)
    assert review(moving | {"unsettled": np.array([0.5, 0.01])}) is None
    assert review({"drift": np.full(2, np.nan), "unsettled": np.full(2, np.nan)}) is None
    assert forms.algorithm(forms.config("IQL"), OBS, BOX).review(moving) == review(moving)
