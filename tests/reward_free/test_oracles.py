"""Oracles: the greedy one finds the optimum where that can be enumerated; ties, candidates and chunks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.generators import riverswim
from jaxrl.envs.tabular.known_support import known_support
from jaxrl.envs.tabular.mixture_generators import random_mixture
from jaxrl.reward_free import oracles
from jaxrl.reward_free.features import form_of
from jaxrl.reward_free.inner import ascent, exact, subsets
from jaxrl.reward_free.oracles import ORACLES, candidate_sets, vertex_greedy
from jaxrl.reward_free.uncertainty import View, of_policy
from tests.reward_free.mixtures import hashed, hashed_view, no_plan, six_lock

KEY = jax.random.key(0)


@pytest.mark.parametrize(("beta", "expected"), [(0.25, 0.0806704513), (1.0, 0.3599356657)])
def test_greedy_and_exact_oracles_find_the_largest_uncertainty_of_the_hashed_mixture(beta, expected):
    with jax.enable_x64(True):
        mixture = hashed()
        form, view = form_of(mixture), hashed_view(beta)
        for oracle in ORACLES.values():
            plan = jax.jit(oracle)(form, view, mixture.mu0, 4, no_plan(4, 3), jnp.zeros(()), KEY)
            assert abs(plan.uncertainty - expected) < 1e-10
            np.testing.assert_array_equal(plan.reward[3], [0, 1, 1])
            assert not np.any(plan.reward[:3])
            again = of_policy(form, view, plan.policy, plan.reward, mixture.mu0, 4)
            for name in ("hat", "value", "uncertainty"):
                np.testing.assert_allclose(getattr(again, name), getattr(plan, name), rtol=1e-12, atol=1e-14)


def test_shorter_horizons_use_the_same_program_and_leave_later_stages_empty():
    with jax.enable_x64(True):
        mixture = hashed()
        form, view = form_of(mixture), hashed_view(0.25)
        oracle = jax.jit(vertex_greedy)
        short = oracle(form, view, mixture.mu0, 3, no_plan(3, 3), jnp.zeros(()), KEY)
        padded = oracle(form, view, mixture.mu0, 3, no_plan(6, 3), jnp.zeros(()), KEY)
        np.testing.assert_allclose(padded.uncertainty, short.uncertainty, rtol=1e-13)
        np.testing.assert_array_equal(padded.policy[:3], short.policy)
        assert not np.any(padded.reward[3:]) and not np.any(padded.hat[3:])


def test_shadow_sums_tell_actions_apart_where_everything_is_saturated():
    """Without data and with a large radius Vhat is 1 for all actions of the first state of the six-digit
    lock.

    Then the first action is taken, which ends in the sink; the shadow sum prefers the one that advances, from
    where more is unknown.
    """
    with jax.enable_x64(True):
        mixture = six_lock()
        view = View(mixture.theta[None], *[jnp.eye(19)[None]] * 2, jnp.asarray(20.0))
        oracle = jax.jit(vertex_greedy)
        arguments = (form_of(mixture), view, mixture.mu0, 8, no_plan(8, 8))
        plans = [oracle(*arguments, jnp.asarray(weight), KEY) for weight in (0.0, 1e-6)]
        assert plans[0].uncertainty == plans[1].uncertainty == 1
        assert [int(plan.policy[0, 0]) for plan in plans] == [0, 1]


def test_candidates_are_all_sets_of_few_states_and_selected_ones_of_many():
    few = candidate_sets(form_of(hashed()), hashed_view(1.0), no_plan(4, 3), KEY)
    np.testing.assert_array_equal(few[:3], [[0, 0, 0], [0, 0, 1], [0, 1, 0]])
    assert few.shape == (8, 3)


def held(sets, among):
    """Whether each of sets `[n, S]` is one of the rows of `among`, bool[n]."""
    return np.any(np.all(np.asarray(sets)[:, None] == np.asarray(among)[None], -1), 1)


def test_candidates_of_many_known_states_hold_the_best_set_of_successors_of_every_pair():
    """By brute force over the sets of nine states of RiverSwim, too."""
    with jax.enable_x64(True):
        form = form_of(known_support(riverswim(9)))
        root = np.random.default_rng(0).normal(size=(18, 3, 3))
        inverse = jnp.asarray(np.eye(3) + root @ np.swapaxes(root, 1, 2))
        view = View(jnp.zeros((18, 3)), inverse, inverse, jnp.asarray(1.0))
        largest, sets = exact(form, inverse), candidate_sets(form, view, no_plan(4, 9), KEY)
        norm = form.norm(inverse, form.phi_all(subsets(9, inverse.dtype))).max(0)
        np.testing.assert_allclose(largest.norm, norm, rtol=1e-12)
        assert np.sum(largest.sets, 1).max() >= 2  # no single state, which is a candidate in any case
        assert held(largest.sets, sets).all()


def test_candidates_of_many_states_hold_what_ascent_finds_for_other_features():
    with jax.enable_x64(True):
        form = form_of(random_mixture(jax.random.key(1), 9, 2, 4))
        root = np.random.default_rng(0).normal(size=(4, 4))
        root -= root.mean(0)  # all states together, whose features are equal, have a small norm
        inverse = jnp.asarray(1e-3 * np.eye(4) + root @ root.T)[None]
        view = View(jnp.zeros((1, 4)), inverse, inverse, jnp.asarray(1.0))
        found = np.asarray(ascent(form, inverse).sets)
        # single states and their complements are candidates in any case
        assert np.any((found.sum(1) >= 2) & (found.sum(1) <= 7))
        assert held(found, candidate_sets(form, view, no_plan(4, 9), KEY)).all()


def test_candidates_in_chunks_give_the_plan_of_one_pass(monkeypatch):
    with jax.enable_x64(True):
        mixture = hashed()
        arguments = (form_of(mixture), hashed_view(0.25), mixture.mu0, 4, no_plan(4, 3), jnp.zeros(()), KEY)
        whole = vertex_greedy(*arguments)
        monkeypatch.setattr(oracles, "CHUNK_BYTES", 3 * 6 * 2 * 8)
        parts = vertex_greedy(*arguments)
        for a, b in zip(whole, parts, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-13)


def test_exact_enumeration_refuses_what_it_cannot_list():
    mixture = six_lock()
    with pytest.raises(UsageError, match=r'Config.oracle: "exact" enumerates .* take "vertex_greedy"'):
        ORACLES["exact"](
            form_of(mixture), hashed_view(1.0), mixture.mu0, 8, no_plan(8, 8), jnp.zeros(()), KEY
        )
