"""Optimal designs against closed forms, another solver, and what is refused."""

import numpy as np
import pytest
from scipy.optimize import minimize

from jaxrl.core.errors import UsageError
from theory.exact import finite_lp, online_design
from theory.exact.tables import random_mdps


def arms(k):
    """One state with k actions."""
    return np.ones((1, k, 1))


@pytest.mark.parametrize(
    ("offline", "expected"),
    [((0, 0, 0), 300), ((100, 0, 0), 200), ((50, 80, 0), 170), ((100, 100, 200), 0), ((1000, 0, 0), 200)],
)
def test_episodes_of_one_step_fill_what_every_action_lacks(offline, expected):
    """The width of an action is 1 / rows, so that each needs 100 rows for the width 0.01."""
    found = online_design.smallest_episodes(arms(3), 1, [offline], 0.01)
    assert found.fewer <= expected <= found.enough
    assert found.enough - found.fewer <= 0.02 * max(found.enough, 1)
    assert found.design.width <= 0.01


def test_the_design_is_that_of_another_solver_and_its_bound_holds():
    mdp = random_mdps(0, 1, S=3, A=2, H=2)[0]
    found = online_design.design(mdp.P, 2, np.ones((3, 2)), 50.0, mdp.mu0, precision=1e-3)
    assert found.bound <= found.width <= found.bound * 1.001
    policies = np.array(np.meshgrid(*[[0, 1]] * 6)).reshape(6, -1).T.reshape(-1, 2, 3)
    visits = np.zeros((64, 2, 3, 2))
    for i, policy in enumerate(policies):
        states = mdp.mu0
        for h in range(2):
            visits[i, h, np.arange(3), policy[h]] = states
            states = np.einsum("sa,sat->t", visits[i, h], mdp.P[h])

    def width(w):
        rows = 1 + 50 * np.einsum("n,nhsa->sa", w, visits)
        return (visits**2 / rows[None, None]).sum((2, 3)).max()

    rng = np.random.default_rng(0)
    others = [width(rng.dirichlet(np.full(64, 0.2))) for _ in range(2000)]
    assert min(others) >= found.bound
    out = minimize(
        lambda z: z[-1],
        np.r_[np.full(64, 1 / 64), width(np.full(64, 1 / 64))],
        bounds=[(0, 1)] * 64 + [(0, None)],
        constraints=[
            {"type": "eq", "fun": lambda z: z[:-1].sum() - 1},
            {
                "type": "ineq",
                "fun": lambda z: (
                    z[-1]
                    - (visits**2 / (1 + 50 * np.einsum("n,nhsa->sa", z[:-1], visits))).sum((2, 3)).ravel()
                ),
            },
        ],
        method="SLSQP",
        options={"maxiter": 300},
    )
    assert found.width == pytest.approx(out.fun, rel=2e-3)


def test_visits_of_a_design_are_those_of_a_policy():
    mdp = random_mdps(1, 1, S=3, A=2, H=2)[0]
    visits = online_design.design(mdp.P, 2, np.zeros((3, 2)), 10.0, mdp.mu0).visits
    assert visits.sum() == pytest.approx(2)
    least = finite_lp.uniform_coverage(mdp.P, 2, mdp.mu0).value
    assert visits.min() / 2 <= least + 1e-9


def test_a_pair_that_no_policy_reaches_needs_no_rows_and_a_hopeless_width_no_end():
    P = np.zeros((2, 1, 2))
    P[:, 0, 0] = 1.0  # state 1 is never reached
    found = online_design.smallest_episodes(P, 1, np.zeros((2, 1)), 0.1)
    assert found.fewer <= 10 <= found.enough
    hopeless = online_design.smallest_episodes(P, 1, np.zeros((2, 1)), 1e-6, most=1000.0)
    assert hopeless.enough == np.inf and hopeless.design is None and hopeless.fewer >= 500


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((arms(2), 1, [[0, 0]], 0.0), "width: must be > 0"),
        ((arms(2), 1, [0, 0], 0.1), r"offline: must be counts \[S, A\] = \(1, 2\)"),
        ((arms(2), 1, [[0, -1]], 0.1), "offline: must be counts"),
        ((random_mdps(0, 1, 4, 3)[0].P, 5, np.zeros((4, 3)), 0.1), "H: .* policies are too many"),
    ],
)
def test_what_is_no_design_problem_is_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        online_design.smallest_episodes(*arguments)
