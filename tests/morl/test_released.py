"""The extension of the released code: where its runs begin, and with which learning rate."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.morl import cmorl, released, scalarised
from tests.morl.finite_problems import ENV, EXACT, LEARNER, MDP, extension_hyper, scalarised_hyper

UPDATES = 10


@pytest.fixture(scope="module")
def archive():
    """Three learners over ten updates, with a rate of 0.02 that is gone after the last."""
    first = scalarised.make(scalarised.Config(LEARNER, 16, EXACT), ENV, released.with_optimiser)
    learner = scalarised_hyper().learner.replace(anneal=1.0, updates_total=float(UPDATES))
    hyper = jax.tree.map(jnp.asarray, scalarised_hyper(learner=learner))
    state = jax.jit(first.init)(jax.random.key(0), hyper, MDP)
    run = jax.jit(lambda s: jax.lax.scan(lambda s, _: first.step(s, hyper, MDP), s, length=UPDATES))
    return run(state)[0].archive


@functools.cache
def compiled(config):
    algorithm = released.make(config, ENV)
    return jax.jit(algorithm.init), jax.jit(algorithm.step)


def round_of(archive, **switches):
    """The state after a round, its metrics, and starts and ends `[N, m, m]` of its runs."""
    init, step = compiled(released.Config(LEARNER, EXACT, selected=3, updates=4, rounds=2, **switches))
    hyper, data = jax.tree.map(jnp.asarray, extension_hyper()), cmorl.Data(MDP, archive)
    state, metrics = step(init(jax.random.key(3), hyper, data), hyper, data)
    return state, metrics, *(np.asarray(metrics[f"extension/{n}"]).reshape(3, 2, 2) for n in ("start", "end"))


def test_a_snapshot_has_the_rate_of_its_last_update(archive):
    valid = np.asarray(archive.valid)
    expected = 0.02 * (1 - np.asarray(archive.entries.round) / UPDATES)
    np.testing.assert_allclose(archive.entries.policy["rate"][valid], expected[valid], rtol=1e-5)


def test_the_second_objective_begins_where_the_first_one_ended(archive):
    _, metrics, start, end = round_of(archive)
    np.testing.assert_array_equal(start[:, 1], end[:, 0])
    assert np.abs(start[:, 1] - start[:, 0]).max() > 1e-4
    assert float(metrics["leak"].total / metrics["leak"].count) > 0


def test_without_the_leak_all_runs_begin_at_the_selected_policy(archive):
    _, metrics, start, _ = round_of(archive, leak=False)
    np.testing.assert_array_equal(start[:, 1], start[:, 0])
    assert float(metrics["leak"].total) == 0


def test_bounds_are_those_of_the_selected_policy(archive):
    _, metrics, start, _ = round_of(archive)
    bounds = np.asarray(metrics["extension/threshold"]).reshape(3, 2, 2)
    np.testing.assert_allclose(bounds, 0.9 * start[:, :1].repeat(2, 1), rtol=1e-6)  # the reference is zero


def test_runs_go_on_with_the_rate_of_the_snapshot_or_with_a_fresh_one(archive):
    _, decayed, *_ = round_of(archive)
    _, fresh, *_ = round_of(archive, decay=False)
    rates = np.asarray(archive.entries.policy["rate"])[np.asarray(archive.valid)]
    assert rates.min() <= float(decayed["rate"].total / decayed["rate"].count) <= rates.max() < 0.02
    assert float(fresh["rate"].total / fresh["rate"].count) == pytest.approx(0.02)


def test_without_a_rate_nothing_moves(archive):
    policy = archive.entries.policy | {"rate": jnp.zeros_like(archive.entries.policy["rate"])}
    still = archive.replace(entries=archive.entries.replace(policy=policy))
    _, _, start, end = round_of(still)
    np.testing.assert_allclose(end, start, atol=1e-6)


def test_extended_members_carry_their_rate_on(archive):
    state, *_ = round_of(archive)
    found = state.archive.entries
    valid = np.asarray(state.archive.valid)
    known = set(np.asarray(archive.entries.policy["rate"])[np.asarray(archive.valid)].tolist())
    assert (np.asarray(found.objective)[valid] >= 0).any()
    assert set(np.asarray(found.policy["rate"])[valid].tolist()) <= known


def test_an_archive_of_other_objectives_is_refused(archive):
    three = archive.replace(entries=archive.entries.replace(returns=jnp.zeros((16, 3))))
    with pytest.raises(UsageError, match="3 objectives, the environment has 2"):
        released.make(released.Config(LEARNER, EXACT, selected=3), ENV).init(
            jax.random.key(0), extension_hyper(), cmorl.Data(MDP, three)
        )
