"""The best expected utility of the return, against values by hand and enumeration of trajectories."""

import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.mdp import make_mdp
from theory.exact.enumeration import trajectories
from theory.exact.return_utility import Layer, Unfolded, best_expected_utility, outcomes, unfold
from theory.exact.tables import tables


def product(G):
    return G.prod(-1)


def lottery():
    """(1.5, 1.5) for sure by action 0; by action 1 one of two states alike, with (4, 0) and (0, 4)."""
    P, R = np.zeros((4, 2, 4)), np.zeros((4, 2, 2))
    P[0, 0, 3], P[0, 1, 1:3], P[1:, :, 3] = 1.0, 0.5, 1.0
    R[0, 0], R[1], R[2] = 1.5, [4.0, 0.0], [0.0, 4.0]
    return make_mdp(P, R, [1.0, 0, 0, 0], 1.0, terminal=(3,), reward_dim=2)


def formula_mdp():
    """Five states and three actions without an end, by formulas in the indices."""
    s, a, k = np.arange(5)[:, None, None], np.arange(3)[:, None], np.arange(2)
    P = 1.0 + (3 * s + 5 * a + 7 * np.arange(5)) % 6
    R = ((2 * s + 3 * a + 5 * k + s * a * (k + 1)) % 7) / 6
    return make_mdp(P / P.sum(-1, keepdims=True), R, np.full(5, 0.2), 0.9, reward_dim=2)


def test_the_sure_pair_is_best_by_hand():
    """(1.5, 1.5) for sure has the product 2.25; the lottery of (4, 0) and (0, 4) has 0."""
    value, actions = best_expected_utility(unfold(lottery()), product)
    assert value == pytest.approx(2.25) and actions[0].tolist() == [0]


def test_the_second_action_depends_on_what_the_first_one_brought():
    """A coin pays one of either good, then one good is chosen: with the smaller one as utility the optimum
    takes the missing good and gets 1; policies of the state alone get 1/2.
    """
    P, R = np.zeros((3, 2, 3)), np.zeros((3, 2, 3, 2))
    P[0, :, 1], P[1, :, 2] = 1.0, 1.0
    R[1, 0, 2], R[1, 1, 2] = [1.0, 0.0], [0.0, 1.0]
    # two copies of the middle state would tell the coin; one state with a random start does not
    P = np.concatenate([np.concatenate([P, np.zeros((3, 2, 1))], 2), np.zeros((1, 2, 4))])
    R = np.pad(R, ((0, 1), (0, 0), (0, 1), (0, 0)))
    P[3, :, 1] = 1.0
    R[0, :, 1], R[3, :, 1] = [1.0, 0.0], [0.0, 1.0]
    mdp = make_mdp(P, R, [0.5, 0, 0, 0.5], 1.0, terminal=(2,), reward_dim=2)
    found = unfold(mdp)
    value, actions = best_expected_utility(found, lambda G: G.min(-1))
    assert value == pytest.approx(1.0)
    second = found.layers[1]
    assert second.state.tolist() == [1, 1]
    assert [a == np.argmin(g) for a, g in zip(actions[1], second.returns, strict=True)] == [True, True]
    G, p = outcomes(found, lambda step, layer: np.full((len(layer.state), 2), 0.5))
    assert p @ G.min(-1) == pytest.approx(0.5)


def test_returns_of_a_policy_have_the_distribution_of_all_trajectories():
    steps, ended = 3, 5
    base = tables(formula_mdp())
    S, A = base.R.shape[:2]
    # formula tables, step by step, and an end after the third
    P = np.zeros((steps * S + 1, A, steps * S + 1))
    R = np.zeros((steps * S + 1, A, 2))
    for h in range(steps):
        own, after = slice(h * S, (h + 1) * S), slice((h + 1) * S, (h + 2) * S)
        R[own] = base.R
        if h + 1 < steps:
            P[own, :, after] = base.P
        else:
            P[own, :, -1] = 1.0
    mu0 = np.r_[base.mu0, np.zeros((steps - 1) * S + 1)]
    mdp = make_mdp(P, R, mu0, 0.8, terminal=(steps * S,), reward_dim=2)
    rng = np.random.default_rng(0)
    pi = rng.dirichlet(np.ones(A), steps * S + 1)
    G, p = outcomes(unfold(mdp), lambda step, layer: pi[layer.state])
    paths = trajectories(mdp, pi, ended)
    rewards = tables(mdp).R[paths.states[:, :-1], paths.actions]
    exact = np.einsum("klm,l->km", rewards, float(mdp.gamma) ** np.arange(ended))
    assert p.sum() == pytest.approx(1)
    for utility in (product, lambda x: x.min(-1), lambda x: (x**2).sum(-1)):
        assert p @ utility(G) == pytest.approx(paths.probability @ utility(exact), rel=1e-6)


def test_episodes_without_a_step_have_the_utility_of_no_return():
    ended = Unfolded([Layer(np.zeros(1, int), np.zeros((1, 2)), 1.0)], [], np.ones(1))
    value, actions = best_expected_utility(ended, lambda G: G.sum(-1) - 3.0)
    assert value == -3.0 and actions == []


def test_problems_that_do_not_end_or_have_scalar_rewards_are_refused():
    with pytest.raises(UsageError, match="pairs, more than 10"):
        unfold(formula_mdp(), most=10)
    with pytest.raises(UsageError, match="vector rewards"):
        unfold(make_mdp([[[1.0]]], [[0.0]]))
