"""Linear programmes: constraints, multipliers of the dual, and what is refused."""

import jax
import numpy as np
import pytest

from jaxrl.core.errors import NumericalFailure, UsageError
from jaxrl.envs.grids.deep_sea import DeepSeaTreasure
from jaxrl.envs.tabular.mdp import make_mdp, time_indexed
from tests.theory.exact.problems import problem
from theory.exact import lp, occupancy, optimal_control, policy_evaluation
from theory.exact.tables import random_mdps


def test_constrained_programme_mixes_two_policies():
    """One state, two actions paying (1, 0) and (0, 1) for ever: any split is a policy."""
    with jax.enable_x64(True):
        mdp = make_mdp([[[1.0], [1.0]]], [[[1.0, 0.0], [0.0, 1.0]]], gamma=0.9, reward_dim=2)
    out = lp.primal(mdp, weights=[1.0, 0.0], at_least=[-np.inf, 2.5])
    assert out.value == pytest.approx(7.5, abs=1e-9)
    np.testing.assert_allclose(out.policy, [[0.75, 0.25]], atol=1e-9)
    j = policy_evaluation.evaluate_policy(mdp, out.policy).j
    np.testing.assert_allclose(j, [7.5, 2.5], atol=1e-8)
    with pytest.raises(UsageError, match="at_least: no policy"):
        lp.primal(mdp, weights=[1.0, 0.0], at_least=[6.0, 6.0])


@pytest.mark.parametrize(
    ("gamma", "most", "treasures"),
    [(1.0, (8, 14, 17), (293 / 6, 89.833333333, 331 / 3)), (0.99, (8, 14), (43.06949933, 76.84684815))],
)
def test_policies_of_constrained_episodes_have_the_returns_of_the_programme(gamma, most, treasures):
    """Concave Deep Sea Treasure: the largest treasure in so many steps on average, by one random choice."""
    env = DeepSeaTreasure("concave")
    with jax.enable_x64(True):
        mdp = env.to_tabular(env.default_params()).replace(gamma=np.float64(gamma))
    for steps, treasure in zip(most, treasures, strict=True):
        cost = steps if gamma == 1 else (1 - gamma**steps) / (1 - gamma)
        out = lp.primal(mdp, [1.0, 0.0], at_least=[-np.inf, -cost])
        np.testing.assert_allclose(out.returns, [treasure, -cost], rtol=1e-7)
        np.testing.assert_allclose(
            policy_evaluation.evaluate_policy(mdp, out.policy).j, out.returns, rtol=1e-8
        )
        visited = out.visits.sum(-1) > 1e-9
        assert ((out.policy > 1e-9).sum(-1)[visited] > 1).sum() == 1
    free = lp.primal(mdp, [0.0, 1.0])
    np.testing.assert_allclose(free.returns, [1.0, -1.0], rtol=1e-9)
    assert lp.primal(problem(0)[0]).returns is None


def test_cycles_that_nobody_enters_are_no_visits():
    """State 2 is left by nobody and entered by nobody, and staying there costs nothing for these weights."""
    P = np.zeros((3, 1, 3))
    P[0, 0, 1] = P[1, 0, 1] = P[2, 0, 2] = 1.0
    mdp = make_mdp(
        P, [[[1.0, -1.0]], [[0.0, 0.0]], [[0.0, 5.0]]], [1.0, 0, 0], 1.0, terminal=(1,), reward_dim=2
    )
    out = lp.primal(mdp, [1.0, 0.0], at_least=[-np.inf, -1.0])
    np.testing.assert_allclose(out.visits[:, 0], [1.0, 0.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(out.returns, [1.0, -1.0])


@pytest.mark.parametrize("S", [6, 80])
def test_visits_of_the_programme_and_multipliers_of_the_dual_are_those_of_the_optimum(monkeypatch, S):
    """Small problems are solved as stated, large ones by the dual; both ways here."""
    mdp = random_mdps(3, 1, S, 4)[0]
    best = optimal_control.solve(mdp)
    visits = occupancy.discounted_visits(mdp, best.policy)
    for large in (0, 10**9):
        monkeypatch.setattr(lp, "_LARGE", large)
        found = lp.primal(mdp)
        assert found.value == pytest.approx(best.j, abs=1e-9)
        np.testing.assert_allclose(found.visits, visits, rtol=0, atol=1e-8)


@pytest.mark.parametrize("large", [0, 10**9])
def test_an_unbounded_return_is_a_failure(monkeypatch, large):
    monkeypatch.setattr(lp, "_LARGE", large)
    with pytest.raises(NumericalFailure, match="linear programme"):
        lp.primal(make_mdp([[[1.0]]], [[1.0]], gamma=1.0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: lp.dual(time_indexed(m, 2)), "mdp.P"),
        (lambda m: lp.primal(m, at_least=[0.0]), "at_least: shape"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(UsageError, match=message):
        call(problem(0)[0])
