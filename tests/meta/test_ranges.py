"""Ranges of features: extremes of lifetimes that are known, and the share of a certificate beyond them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.meta import ranges as records
from jaxrl.core.errors import UsageError
from jaxrl.meta import drift, targets, zoo
from jaxrl.meta.certificates import ADVANTAGES, RATIOS
from jaxrl.meta.objective import MASKS, Time
from jaxrl.meta.ranges import Met, met, outside
from tests.meta.lived import SMALL

LPO = drift.lpo(hidden=2)
PHI = LPO.init(jax.random.key(0))


def test_features_are_named_in_the_order_in_which_they_are_read():
    r, a = jnp.array([0.5, 2.0]), jnp.array([-1.0, 3.0])
    l, time = jnp.log(r), Time(1.0, 4.0, MASKS["n/N"])
    x = drift.reads(drift.ta_lpo(hidden=2).init(jax.random.key(0)), r, l, a, time)
    even = jnp.stack([1 - r, (1 - r) ** 2, l, l**2], -1)
    eight = jnp.concatenate([even, even * a[:, None]], -1)
    np.testing.assert_allclose(x, jnp.concatenate([eight, 0.25 * eight], -1), rtol=1e-5, atol=1e-7)
    closed = drift.ta_dpo(1)
    found = drift.reads(closed.init(jax.random.key(0)), r, l, a, time)
    assert found.shape == (2, len(closed.features)) == (2, 22)
    np.testing.assert_allclose(found[:, :8], eight, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found[:, 11:19], 0.25 * eight, rtol=1e-5, atol=1e-7)


def test_points_beyond_a_range_are_counted_by_feature():
    """Of d = 1 - r only [-1, 0] was met: ratios from 1 to 2. Of A d all, of the others nothing at all."""
    low, high = np.full(8, 1e9), np.full(8, -1e9)
    low[0], high[0], low[4], high[4] = -1.0, 0.0, -1e3, 1e3
    found = outside(LPO, PHI, Met(low, high), 40.0)
    inside = ((RATIOS > 1 - 1e-6) & (RATIOS < 2 + 1e-6)).mean()
    assert found[0] == pytest.approx(1 - inside, abs=1e-12) and found[4] == 0
    assert (found[[1, 2, 3, 5, 6, 7]] == 1).all()
    assert len(ADVANTAGES) == 25


def test_a_rule_that_reads_the_time_alone_meets_its_horizons():
    rule = targets.reinforce(inputs=("n/N", "ln N"), log_scale=0.5)
    found = outside(rule, jnp.zeros(3), Met(np.array([0.0, 0.5]), np.array([0.4, 2.0])), 20.0)
    np.testing.assert_allclose(found, [3 / 3 - 1 / 3, 0])  # n/N = 0, .5, .975; ln 20 / 2 = 1.5


def test_rules_without_features_meet_nothing():
    with pytest.raises(UsageError, match="PPO has no features"):
        met(drift.ppo(), (), None, (1, 1))
    with pytest.raises(UsageError, match="PPO has no features"):
        outside(drift.ppo(), (), None, 1.0)


def test_records_of_the_zoo_say_what_was_met_and_where_the_certificate_leaves_it():
    for name in zoo.names():
        entry = zoo.load(name)
        if not entry.record or not entry.objective.features:
            assert records.FIELD not in entry.record
            continue
        found = entry.record[records.FIELD]["features"]
        assert list(found) == list(entry.objective.features)
        for row in found.values():
            assert row["range"][0] <= row["range"][1] and 0 <= row["outside"] <= 1
        seen = Met(*(np.array([row["range"][i] for row in found.values()]) for i in (0, 1)))
        horizon = 40.0 if entry.objective.slot == "drift" else 20.0
        predictions = entry.record["arguments"].get("predictions", 8)
        again = outside(entry.objective, entry.phi, seen, horizon, predictions)
        np.testing.assert_allclose(
            again, [row["outside"] for row in found.values()], atol=0.02
        )  # four digits


@pytest.mark.slow  # compiles a lifetime
def test_lifetimes_that_learn_nothing_meet_a_ratio_of_one_and_progress_ends_before_the_horizon():
    env = records.trained_on(zoo.load("lpo_cartpole"))[0]
    options = {"lifetimes": 2, "learner": SMALL["learner"]}
    still = met(LPO, PHI, env, (4, 4), hyper=SMALL["hyper"].replace(lr=0.0), **options)
    np.testing.assert_allclose([still.low, still.high], 0, atol=1e-5)
    moved = met(
        drift.ta_lpo(hidden=2), drift.ta_lpo(hidden=2).init(jax.random.key(0)), env, (4, 4), **options
    )
    assert (moved.high[:8:2] > 0.01).all() and moved.low.shape == (16,)
    assert (moved.high[1:4:2] >= 0.999 * moved.high[:4:2] ** 2).all()  # these two are squares of the others
    assert (np.abs(moved.high[8:]) <= 0.75 * np.abs(moved.high[:8]) + 1e-6).all()
