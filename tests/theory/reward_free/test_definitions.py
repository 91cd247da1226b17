"""Definitions against slower ones: loops over policies, sets and actions."""

import numpy as np
import pytest

from theory.reward_free import definitions
from theory.reward_free.instances import GRAM, OTHER, hashed, random_mixture


def test_the_first_maximiser_has_the_largest_norm():
    phi, _ = random_mixture(1, 4, 2, 3)
    gram = np.diag([1.0, 2.0, 5.0])
    largest, maximisers = definitions.largest_norm(phi, gram)
    at = np.einsum("satd,sat->sad", phi, maximisers)
    np.testing.assert_allclose(definitions.norm(at, gram), largest, rtol=1e-12)
    inside = np.random.default_rng(0).random((100, 4))
    for f in inside:
        assert (definitions.norm(definitions.integrated(phi, f), gram) <= largest + 1e-12).all()


def test_the_surrogate_lies_between_the_norm_and_its_multiple():
    phi, _ = random_mixture(2, 4, 2, 3)
    gram = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.2], [0.0, 0.2, 3.0]])
    l1, l2 = definitions.surrogate(phi, gram), definitions.largest_norm(phi, gram)[0]
    assert (l1 / np.sqrt(3) <= l2 + 1e-12).all() and (l2 <= l1 + 1e-12).all()


def test_the_largest_uncertainty_is_that_of_a_loop_over_policies_and_rewards():
    mixture, H = hashed(), 3
    grams, best = (2 * GRAM, GRAM), 0.0
    for policy in definitions.policies(H, 3, 2):
        for h0 in range(H):
            for f in definitions.sets(3):
                reward = np.zeros((H, 3, 2))
                reward[h0] = f[:, None]
                u = definitions.uncertainty(mixture.phi, mixture.theta, policy, reward, grams, 0.7)
                best = max(best, u.Vhat[0, 0])
    found = definitions.largest_uncertainty(mixture.phi, mixture.theta, grams, 0.7, H)
    assert found == pytest.approx(best, abs=1e-12)


def test_a_plan_without_bonus_is_backward_induction_and_its_policy_has_these_values():
    mixture = hashed()
    reward = np.random.default_rng(0).random((3, 3, 2))
    plan = definitions.plan(mixture.phi, OTHER, GRAM, reward, 0.0, 3.0)
    P, V = mixture.phi @ OTHER, np.zeros(3)
    for h in reversed(range(3)):
        V = (reward[h] + P @ V).max(-1)
    np.testing.assert_allclose(plan.V[0], V, atol=1e-13)
    own = definitions.values(mixture.phi, OTHER, plan.policy, reward)
    np.testing.assert_allclose(own, plan.V, atol=1e-13)
