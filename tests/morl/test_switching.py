"""Walks under changing preferences: exact payments, by loops and by hand, without learning."""

import numpy as np
import pytest

from experiments.morl import switching
from experiments.morl.switching import Served, ring, served, walk


def test_chains_pay_what_a_loop_over_steps_pays():
    mdp = ring(4)
    pi = np.random.default_rng(0).dirichlet(np.ones(3), (2, 5))
    chains = served(mdp, pi, 3)
    R = np.asarray(mdp.R, np.float64)[:, 0]
    for n in range(2):
        for start in range(4):
            place, paid = np.eye(4)[start], np.zeros(3)
            for _ in range(3):
                paid += place @ R[:4]
                after = np.zeros(4)
                for x in range(4):
                    for a, move in enumerate((0, 1, -1)):
                        after[(x + move) % 4] += place[x] * pi[n, x, a]
                place = after
            np.testing.assert_allclose(chains.pays[n, start], paid, rtol=1e-6)
            np.testing.assert_allclose(chains.leads[n, start], place, rtol=1e-6, atol=1e-12)


@pytest.fixture
def two():
    """One place; two policies, of which the first pays the first objective and the second the other."""
    return Served(np.array([[[2.0, 0.0]], [[0.0, 1.0]]]), np.ones((2, 1, 1)))


def test_the_best_member_is_taken_from_where_the_walk_stands(two):
    W = np.array([[[1.0, 0.0], [0.0, 1.0]]])
    paid, best = walk(two, np.array([[0, 0]]), W, two)
    assert paid.tolist() == [[2.0, 0.0]] and best.tolist() == [[2.0, 1.0]]


def test_no_method_pays_more_than_optimal_policies_and_looking_up_beats_staying(two):
    W = np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.4, 0.6], [0.3, 0.7]]])
    network = Served(np.tile(two.pays[:1], (4, 1, 1)), np.ones((4, 1, 1)))
    optimal = Served(two.pays[[0, 1, 0, 1]], np.ones((4, 1, 1)))
    paid, best = switching._walks(two, np.array([[2.0, 0.0], [0.0, 1.0]]), network, optimal, W)
    np.testing.assert_allclose(paid[0], [[2.0, 1.0], [0.8, 0.7]])
    np.testing.assert_allclose(paid[1], [[2.0, 0.0], [0.8, 0.6]])
    np.testing.assert_allclose(paid[2], [[2.0, 0.0], [0.8, 0.6]])
    np.testing.assert_allclose(best[0], paid[3])
    result = {"paid": paid[:, None], "best": best[:, None], "feasible": np.array([1.0])}
    found = switching.scores(result)
    np.testing.assert_allclose(found["archive, % of the optimal policies"].values, 100)
    np.testing.assert_allclose(found["archive, regret to the best archived policy, %"].values, 0, atol=1e-9)
    np.testing.assert_allclose(
        found["conditioned, regret to the best archived policy, %"].values, 100 * 1.1 / 4.5
    )


def test_optimal_policies_go_to_the_place_that_pays_most_for_their_preference():
    mdp = ring(5)
    R = np.asarray(mdp.R)[:-1, 0]
    W = R[[1, 3]] / R[[1, 3]].sum(-1, keepdims=True)
    policies = switching._optimal(mdp, W)
    # in its own direction a point of the sphere pays more than every other one; there the policy stays
    assert policies[0, 1].tolist() == [1, 0, 0] and policies[1, 3].tolist() == [1, 0, 0]
    late = served(mdp, policies, 200).leads
    assert late[0, :, 1].min() == pytest.approx(1) and late[1, :, 3].min() == pytest.approx(1)


def test_both_methods_have_equal_transitions():
    config = switching.Config(initial=10, rounds=2, updates=5, selected=3)
    assert switching._budget(config) == 6 * 10 + 2 * 5 * 3 * 3
    steps = 2 * config.seeds * 150 * config.n_envs * config.length
    assert switching.estimate(config) == {"members": 6 * config.seeds, "env_steps": steps}
