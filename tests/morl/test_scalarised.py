"""The scalarised population: what it archives, and what it refuses."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Algorithm
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.morl import scalarised
from tests.morl.finite_problems import (
    ENV,
    EXACT,
    LEARNER,
    MDP,
    SCALARISED,
    START,
    WEIGHTS,
    scalarised_hyper,
    scalarised_run,
)
from theory.exact import lp


@pytest.fixture(scope="module")
def trained():
    """The population after 80 updates, and its metrics."""
    return scalarised_run(0, 80)


def test_hypervolume_with_exact_values_never_falls(trained):
    _, metrics = trained
    assert np.all(np.diff(metrics["hypervolume"]) >= -1e-4)
    assert metrics["hypervolume"][-1] > metrics["hypervolume"][0]


def test_learners_come_near_the_optimum_of_their_preference_and_not_above(trained):
    _, metrics = trained
    for i, w in enumerate(WEIGHTS):
        best = lp.primal(MDP, w).value
        assert 0.9 * best < metrics["utility"][-1, i] <= best + 1e-3


def test_members_are_stamped_with_learner_and_update(trained):
    state, _ = trained
    found = state.archive.entries
    valid = np.asarray(state.archive.valid)
    assert set(np.asarray(found.objective)[valid]) == {-1}
    assert set(np.asarray(found.start)[valid]) <= {0, 1, 2} and found.round[valid].max() < 80
    assert np.isneginf(found.bounds).all()


def test_train_learners_steps_each_for_its_own_row_with_a_bonus_that_shrinks():
    """A learner that adds up the weights it is given, and pays w . (1, 2)."""

    class Toy(NamedTuple):
        updates: jax.Array
        seen: jax.Array

    def step(state, hyper, data):
        return Toy(state.updates + 1, state.seen + hyper.w), {
            "loss": hyper.w @ data,
            "entropy": hyper.entropy,
        }

    weights = jnp.array([[1.0, 0.0], [0.25, 0.75], [0.5, 0.5]])
    hyper = scalarised_hyper(anneal_entropy=0.5)
    hyper = hyper.replace(learner=hyper.learner.replace(entropy=0.1, updates_total=4.0))
    start = Toy(jnp.zeros(3, jnp.int32), jnp.zeros((3, 2)))
    inner = Algorithm(None, step, None)
    end, metrics = scalarised.train_learners(inner, start, weights, hyper, 4, jnp.array([1.0, 2.0]))
    np.testing.assert_allclose(end.seen, 4 * weights)
    np.testing.assert_allclose([metrics[f"loss/{i}"] for i in range(3)], [1.0, 1.75, 1.5])
    np.testing.assert_allclose(metrics["entropy"], 0.1 * np.mean([1, 0.875, 0.75, 0.625]), rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weights": np.ones((3, 3), np.float32) / 3}, r"Hyper.weights: must be \[M, 2\]"),
        ({"reference": np.zeros(3, np.float32)}, r"Hyper.reference: must be \[2\]"),
    ],
)
def test_hyper_parameters_of_other_shapes_are_refused(change, words):
    with pytest.raises(UsageError, match=words):
        SCALARISED.init(jax.random.key(0), scalarised_hyper(**change), MDP)


def test_one_objective_is_referred_to_ppo():
    with pytest.raises(UsageError, match=r"use jaxrl\.baselines\.ppo"):
        scalarised.make(scalarised.Config(LEARNER, 16, EXACT), Tabular(5, 3, reward_dim=1))


def test_every_number_of_updates_between_evaluations_trains_as_long():
    """Two updates per evaluation leave the learners where two evaluations of one update do."""
    hyper = jax.tree.map(jnp.asarray, scalarised_hyper())
    two = scalarised.make(scalarised.Config(LEARNER, 16, EXACT, updates=2), ENV)
    once = jax.jit(two.step)(START(jax.random.key(0), hyper, MDP), hyper, MDP)[0]
    twice, _ = scalarised_run(0, 2)
    for a, b in zip(
        jax.tree.leaves(once.learners.params), jax.tree.leaves(twice.learners.params), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_same_keys_give_the_same_archive_bit_for_bit():
    one, again, other = (scalarised_run(k, 1)[0].archive for k in (5, 5, 6))
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(one.entries.returns, other.entries.returns)


@pytest.mark.parametrize("preferences", [1, 6])
def test_all_learners_are_one_trace_of_ppo(monkeypatch, preferences):
    from jaxrl.baselines import ppo

    traced, made = [], ppo.make

    def counting(*args, **options):
        inner = made(*args, **options)

        def step(state, hyper, data):
            traced.append(0)
            return inner.step(state, hyper, data)

        return inner._replace(step=step)

    monkeypatch.setattr(ppo, "make", counting)
    algorithm = scalarised.make(scalarised.Config(LEARNER, 16, EXACT, updates=3), ENV)
    share = np.linspace(0, 1, preferences, dtype=np.float32)
    hyper = jax.tree.map(jnp.asarray, scalarised_hyper(weights=np.stack([share, 1 - share], -1)))
    state = jax.eval_shape(algorithm.init, jax.random.key(0), hyper, MDP)
    jax.jit(algorithm.step).lower(state, hyper, MDP)
    assert len(traced) == 1
