"""Optima against known digits, all deterministic policies, and each other."""

import itertools

import numpy as np
import pytest

from jaxrl.core.errors import NumericalFailure
from jaxrl.envs.tabular.generators import gridworld
from jaxrl.envs.tabular.mdp import make_mdp
from tests.theory.exact.problems import A, S, known_mdp, problem
from theory.exact import lp, occupancy, optimal_control, policy_evaluation


def test_optimum_to_the_known_digits():
    mdp = known_mdp()
    best = optimal_control.solve(mdp)
    expected = [7.89464348, 8.26664998, 8.10824342, 8.27001824, 8.06038195]
    np.testing.assert_allclose(best.v, expected, rtol=0, atol=5e-9)
    np.testing.assert_array_equal(best.policy, [0, 2, 2, 1, 1])
    mu = 1.0 + (np.arange(5)[:, None] + 2 * np.arange(3)) % 3
    mu /= mu.sum(-1, keepdims=True)
    d = occupancy.discounted_occupancy(mdp, mu)
    expected = [0.18866575, 0.17731154, 0.18931033, 0.22937997, 0.21533241]
    np.testing.assert_allclose(d.sum(-1), expected, rtol=0, atol=5e-9)
    assert (d * np.asarray(mdp.R)).sum() == pytest.approx(-0.0460414925, abs=5e-11)
    for value in (best.j, lp.primal(mdp).value, lp.dual(mdp).value, optimal_control.value_iteration(mdp).j):
        assert 0.1 * value == pytest.approx(0.8142310426, abs=5e-11)
    np.testing.assert_allclose(lp.dual(mdp).v, best.v, rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_optimum_against_all_deterministic_policies(seed):
    mdp, pi = problem(seed)
    values = [policy_evaluation.evaluate_policy(mdp, p).j for p in itertools.product(range(A), repeat=S)]
    best = optimal_control.solve(mdp)
    assert best.j == pytest.approx(max(values), abs=1e-12)
    j = policy_evaluation.evaluate_policy(mdp, pi).j
    assert optimal_control.gap(mdp, pi) == pytest.approx(max(values) - j, abs=1e-12)
    assert optimal_control.gap(mdp, best.policy) == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose(optimal_control.value_iteration(mdp).v, best.v, rtol=0, atol=1e-11)


def test_backward_induction_against_all_policies_of_two_steps():
    mdp, _ = problem(6, H=2)
    choices = itertools.product(itertools.product(range(A), repeat=S), repeat=2)
    values = [policy_evaluation.evaluate_policy(mdp, np.array(p)).j for p in choices]
    best = optimal_control.solve(mdp)
    assert best.j == pytest.approx(max(values), abs=1e-12)
    assert optimal_control.gap(mdp, best.policy) == pytest.approx(0.0, abs=1e-12)


def test_shortest_path_without_discount():
    """Reward 1 at the goal, gamma 1: the value is 1 wherever the goal can be reached."""
    maze = gridworld(["S.#G", "...."], gamma=1.0)
    best = optimal_control.solve(maze)
    np.testing.assert_allclose(best.v, np.where(maze.terminal, 0.0, 1.0))
    assert best.j == 1.0
    assert lp.dual(maze).value == pytest.approx(1.0, abs=1e-9)
    assert lp.primal(maze).value == pytest.approx(1.0, abs=1e-9)


def test_optimal_policies_end_where_waiting_costs_nothing():
    """The lowest optimal action of a cell may be to wait; the policy of the optimum goes to the goal."""
    maze = gridworld(["S..", "..G"], gamma=1.0)
    best = optimal_control.solve(maze)
    assert policy_evaluation.evaluate_policy(maze, best.policy).j == 1.0
    assert policy_evaluation.evaluate_policy(maze, lp.primal(maze).policy).j == pytest.approx(1.0)
    # without rewards all is a tie, and the policy ends all the same
    none = optimal_control.solve(maze.replace(R=np.zeros_like(maze.R)))
    assert policy_evaluation.evaluate_policy(maze, none.policy).j == 1.0
    # what nobody reaches has no value, even where it is unbounded
    P = np.zeros((3, 1, 3))
    P[0, 0, 1] = P[1, 0, 1] = P[2, 0, 2] = 1.0
    apart = make_mdp(P, [[3.0], [0.0], [-1.0]], [1.0, 0, 0], 1.0, terminal=(1,))
    np.testing.assert_array_equal(optimal_control.solve(apart).v, [3.0, 0.0, np.nan])


def test_value_iteration_refuses_an_unbounded_value():
    mdp = make_mdp([[[1.0]]], [[1.0]], gamma=1.0)
    with pytest.raises(NumericalFailure, match="after 50 sweeps"):
        optimal_control.value_iteration(mdp, sweeps=50)
