"""Values of a policy against the power series, all trajectories, closed forms and differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.generators import random_walk
from jaxrl.envs.tabular.mdp import make_mdp, time_indexed
from tests.theory.exact.problems import GAMMA, A, M, S, never_ends, power_series, problem
from theory.exact import enumeration, occupancy, policy_evaluation
from theory.exact.tables import tables


@pytest.mark.parametrize("reward_dim", [None, M])
def test_values_against_the_power_series(reward_dim):
    mdp, pi = problem(0, reward_dim=reward_dim)
    values = policy_evaluation.evaluate_policy(mdp, pi)
    np.testing.assert_allclose(values.j, power_series(mdp, pi)[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(np.einsum("sa,sa...->s...", pi, values.q), values.v, rtol=0, atol=1e-12)


@pytest.mark.parametrize("reward_dim", [None, M])
@pytest.mark.parametrize("timed", [False, True])
def test_finite_values_against_all_trajectories(reward_dim, timed):
    H = 3
    mdp, pi = problem(1, reward_dim=reward_dim, H=H if timed else None)
    steps = np.arange(H)
    paths = enumeration.trajectories(mdp, pi, H)
    s, a = paths.states[:, :-1], paths.actions
    rewards = mdp.R[steps, s, a] if timed else mdp.R[s, a]
    expected = np.einsum("k,h,kh...->...", paths.probability, GAMMA**steps, rewards)
    values = policy_evaluation.evaluate_policy(mdp, pi, None if timed else H)
    np.testing.assert_allclose(values.j, expected, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(values.v[H], np.zeros_like(values.v[H]))


def test_random_walk_without_discount_has_its_closed_form():
    """Sutton and Barto, example 7.1: V(i) = 2 i / (n + 1) - 1; terminal states have value 0."""
    n = 19
    values = policy_evaluation.evaluate_policy(random_walk(n), np.zeros(n + 2, int))
    i = np.arange(1, n + 1)
    np.testing.assert_allclose(values.v[1:-1], 2 * i / (n + 1) - 1, rtol=0, atol=1e-12)
    assert values.v[0] == values.v[-1] == 0
    visits = occupancy.discounted_visits(random_walk(n), np.zeros(n + 2, int))
    # expected length of a symmetric walk from the middle of 0 .. 20
    assert visits.sum() == pytest.approx(10 * 10, rel=1e-12)


def test_td_fixed_point_with_all_states_is_exact_and_otherwise_the_projected_one():
    mdp, pi = problem(3)
    values = policy_evaluation.evaluate_policy(mdp, pi)
    weights = np.array([0.1, 0.2, 0.3, 0.4])
    theta = policy_evaluation.td_fixed_point(mdp, pi, np.eye(S), weights)
    np.testing.assert_allclose(theta, values.v, rtol=0, atol=1e-12)

    # expected TD updates with two features, iterated until they stand still
    phi = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0], [1.0, 3.0]])
    P, r = np.einsum("sa,sat->st", pi, mdp.P), (pi * mdp.R).sum(-1)
    iterated = np.zeros(2)
    for _ in range(20_000):
        error = r + GAMMA * P @ phi @ iterated - phi @ iterated
        iterated += 0.2 * phi.T @ (weights * error)
    theta = policy_evaluation.td_fixed_point(mdp, pi, phi, weights)
    np.testing.assert_allclose(theta, iterated, rtol=0, atol=1e-10)


@pytest.mark.parametrize("H", [None, 3])
def test_differentiable_return_and_its_gradient(H):
    """Against the oracle, and against central differences of the oracle."""
    mdp, pi = problem(4)
    t = tables(mdp, H)
    e = 1e-6

    def oracle(pi):
        # not normalised: J as a function of free table entries
        P, r = np.einsum("sa,sat->st", pi, mdp.P), (pi * mdp.R).sum(-1)
        if H is None:
            return mdp.mu0 @ np.linalg.solve(np.eye(S) - GAMMA * P, r)
        v = np.zeros(S)
        for _ in range(H):
            v = r + GAMMA * P @ v
        return mdp.mu0 @ v

    with jax.enable_x64(True):
        value, grad = jax.value_and_grad(policy_evaluation.differentiable_return)(jnp.asarray(pi), t)
        assert float(value) == pytest.approx(policy_evaluation.evaluate_policy(mdp, pi, H).j, abs=1e-12)
        for s, a in np.ndindex(S, A):
            step = np.zeros((S, A))
            step[s, a] = e
            numeric = (oracle(pi + step) - oracle(pi - step)) / (2 * e)
            assert float(grad[s, a]) == pytest.approx(numeric, abs=1e-7)
    with pytest.raises(UsageError, match="policy: is float32"):
        policy_evaluation.differentiable_return(jnp.asarray(pi, jnp.float32), t)


def test_states_that_nobody_reaches_need_not_end():
    """State 0 goes to the end for reward 3, state 2 stays for ever and pays 1 a step."""
    P = np.zeros((3, 2, 3))
    P[0, 0, 1] = P[0, 1, 2] = P[1, :, 1] = P[2, :, 2] = 1.0
    mdp = make_mdp(P, [[3.0, 0.0], [0.0, 0.0], [1.0, 1.0]], [1.0, 0, 0], 1.0, terminal=(1,))
    values = policy_evaluation.evaluate_policy(mdp, [0, 0, 0])
    assert values.j == 3.0
    np.testing.assert_array_equal(values.v, [3.0, 0.0, np.nan])
    np.testing.assert_array_equal(values.q, [[3.0, np.nan], [0.0, 0.0], [np.nan, np.nan]])
    np.testing.assert_array_equal(occupancy.discounted_visits(mdp, [0, 0, 0])[:, 0], [1.0, 0.0, 0.0])
    with pytest.raises(UsageError, match="state 0 never reaches"):
        policy_evaluation.evaluate_policy(mdp, [1, 0, 0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda m: policy_evaluation.evaluate_policy(never_ends(), [0, 0]),
            "mdp.gamma: is 1 and state 0 never reaches",
        ),
        (
            lambda m: policy_evaluation.td_fixed_point(time_indexed(m, 2), [0] * S, np.eye(S), np.ones(S)),
            "mdp.P",
        ),
    ],
)
def test_refuses(call, message):
    with pytest.raises(UsageError, match=message):
        call(problem(0)[0])
