"""Oracles against brute force of another kind: simulation of the definition, enumeration, closed forms."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import NumericalFailure, UsageError
from jaxrl.envs.tabular.generators import gridworld, random_mdp, random_walk
from jaxrl.envs.tabular.mdp import make_mdp, time_indexed
from theory.exact import enumeration, lp, occupancy, optimal_control, pareto, policy_evaluation
from theory.exact.tables import policy_table, random_mdps, random_policies, tables

S, A, M, GAMMA = 4, 2, 3, 0.8


def problem(seed, **options):
    return random_mdps(seed, 1, S, A, gamma=GAMMA, **options)[0], random_policies(seed + 100, 1, S, A)[0]


def power_series(mdp, pi, steps=300):
    """(J, visits [S, A]) by pushing the start law forward, term by term."""
    law, j, visits = mdp.mu0, 0.0, np.zeros((S, A))
    for t in range(steps):
        pairs = law[:, None] * pi
        j = j + GAMMA**t * np.einsum("sa,sa...->...", pairs, mdp.R)
        visits += GAMMA**t * pairs
        law = np.einsum("sa,sat->t", pairs, mdp.P)
    return j, visits


def paper_mdp():
    """M1, a small MDP whose optimum is known to 10 digits."""
    s, a, t = np.ogrid[:5, :3, :5]
    P = 1.0 + (3 * s + 5 * a + 7 * t) % 4
    with jax.enable_x64(True):
        R = np.cos(1.0 + np.arange(5)[:, None] + 2 * np.arange(3))
        return make_mdp(P / P.sum(-1, keepdims=True), R, np.arange(1, 6) / 15, 0.9)


@pytest.mark.parametrize("reward_dim", [None, M])
def test_policy_evaluation_and_occupancy_against_the_power_series(reward_dim):
    mdp, pi = problem(0, reward_dim=reward_dim)
    values, d = policy_evaluation.evaluate_policy(mdp, pi), occupancy.discounted_occupancy(mdp, pi)
    j, visits = power_series(mdp, pi)
    np.testing.assert_allclose(values.j, j, rtol=0, atol=1e-12)
    np.testing.assert_allclose(d, (1 - GAMMA) * visits, rtol=0, atol=1e-12)
    np.testing.assert_allclose(occupancy.discounted_visits(mdp, pi), visits, rtol=0, atol=1e-12)
    np.testing.assert_allclose(occupancy.policy_of(d), pi, rtol=0, atol=1e-12)
    np.testing.assert_allclose(np.einsum("sa,sa...->...", d, mdp.R), (1 - GAMMA) * j, rtol=0, atol=1e-12)
    np.testing.assert_allclose(np.einsum("sa,sa...->s...", pi, values.q), values.v, rtol=0, atol=1e-12)
    assert occupancy.flow_residual(mdp, d) < 1e-14
    assert occupancy.flow_residual(mdp, np.full((S, A), 1 / (S * A))) > 1e-3


@pytest.mark.parametrize("reward_dim", [None, M])
@pytest.mark.parametrize("timed", [False, True])
def test_finite_horizon_against_all_trajectories(reward_dim, timed):
    H = 3
    mdp, pi = problem(1, reward_dim=reward_dim, H=H if timed else None)
    steps = np.arange(H)
    paths = enumeration.trajectories(mdp, pi, H)
    s, a = paths.states[:, :-1], paths.actions
    rewards = mdp.R[steps, s, a] if timed else mdp.R[s, a]
    expected = np.einsum("k,h,kh...->...", paths.probability, GAMMA**steps, rewards)
    values = policy_evaluation.evaluate_policy(mdp, pi, None if timed else H)
    assert paths.probability.sum() == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(values.j, expected, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(values.v[H], np.zeros_like(values.v[H]))

    d = occupancy.finite_occupancy(mdp, pi, None if timed else H)
    counted = np.zeros((H, S, A))
    np.add.at(counted, (steps, s, a), np.broadcast_to(paths.probability[:, None], s.shape))
    np.testing.assert_allclose(d, counted, rtol=0, atol=1e-12)
    assert occupancy.flow_residual(mdp, d) < 1e-14
    assert occupancy.flow_residual(mdp, np.full((H, S, A), 1 / (S * A))) > 1e-3


def test_enumeration_by_hand():
    """Two states, one action, from state 0 to state 1 with probability 1/4, and back never."""
    mdp = make_mdp([[[0.75, 0.25]], [[0.0, 1.0]]], [[0.0], [0.0]])
    paths = enumeration.trajectories(mdp, [0, 0], 2)
    assert {tuple(map(int, s)): float(p) for s, p in zip(paths.states, paths.probability, strict=True)} == {
        (0, 0, 0): 0.5625,
        (0, 0, 1): 0.1875,
        (0, 1, 1): 0.25,
    }


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


def test_optimum_of_the_papers_mdp():
    mdp = paper_mdp()
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


def test_value_iteration_refuses_an_unbounded_value():
    mdp = make_mdp([[[1.0]]], [[1.0]], gamma=1.0)
    with pytest.raises(NumericalFailure, match="after 50 sweeps"):
        optimal_control.value_iteration(mdp, sweeps=50)
    with pytest.raises(NumericalFailure, match="linear programme"):
        lp.primal(mdp)


def test_rewards_on_successors_are_averaged():
    rng = np.random.default_rng(0)
    P, R = rng.dirichlet(np.ones(S), (S, A)), rng.normal(size=(S, A, S))
    with jax.enable_x64(True):
        mdp = make_mdp(P, R, gamma=GAMMA)
        same = make_mdp(P, (P * R).sum(-1), gamma=GAMMA)
    assert optimal_control.solve(mdp).j == pytest.approx(optimal_control.solve(same).j, abs=1e-12)


def test_float32_tables_are_read_in_float64():
    mdp = random_mdp(jax.random.key(0), S, A, gamma=0.999)
    assert mdp.P.dtype == jnp.float32
    t = tables(mdp)
    assert t.P.dtype == t.R.dtype == np.float64
    np.testing.assert_allclose(t.P.sum(-1), 1.0, rtol=0, atol=1e-15)
    d = occupancy.discounted_occupancy(mdp, np.zeros(S, int))
    assert d.sum() == pytest.approx(1.0, abs=1e-12)


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


@pytest.mark.parametrize(("seed", "m"), [(0, 2), (1, 2), (2, 3), (3, 3), (4, 4)])
def test_convex_coverage_set_against_enumeration(seed, m):
    mdp, _ = problem(seed, reward_dim=m)
    _, returns = pareto.deterministic_returns(mdp)
    assert returns.shape == (A**S, m)
    vertices = np.unique(returns[pareto.supported(returns)], axis=0)
    got = pareto.convex_coverage_set(mdp)
    np.testing.assert_allclose(got, vertices, rtol=0, atol=1e-10)
    weights = np.random.default_rng(seed).dirichlet(np.ones(m), 50)
    for w in weights:
        assert (got @ w).max() == pytest.approx(optimal_control.solve(mdp, weights=w).j, abs=1e-9)
    front = returns[pareto.nondominated(returns)]
    for point in vertices:
        assert np.abs(front - point).max(-1).min() < 1e-10


def test_supported_and_nondominated_by_hand():
    """(1, 1.7) lies below the line from (3, 0) to (0, 3); (2, 0) is dominated; (1.5, 1.5) is on the line."""
    points = np.array([[3.0, 0.0], [0.0, 3.0], [1.0, 1.7], [2.0, 0.0], [1.5, 1.5], [0.0, 3.0]])
    np.testing.assert_array_equal(pareto.nondominated(points), [1, 1, 1, 0, 1, 1])
    np.testing.assert_array_equal(pareto.supported(points), [1, 1, 0, 0, 0, 1])


def test_policies_in_every_form_mean_the_same():
    mdp, _ = problem(5)
    t = tables(mdp, 3)
    actions = np.array([0, 1, 1, 0])
    want = np.broadcast_to(np.eye(A)[actions], (3, S, A))
    for policy in (actions, list(actions), np.tile(actions, (3, 1)), np.eye(A)[actions], jnp.asarray(want)):
        np.testing.assert_array_equal(policy_table(policy, t), want)


def never_ends():
    return make_mdp([[[1.0, 0.0]], [[0.0, 1.0]]], [[1.0], [0.0]], gamma=1.0, terminal=(1,))


BAD = {
    "actions": (lambda m: policy_evaluation.evaluate_policy(m, [0, 1, 2, 0]), "policy: actions"),
    "policy shape": (lambda m: policy_evaluation.evaluate_policy(m, np.ones((3, 2)) / 2), "policy: shape"),
    "policy rows": (lambda m: policy_evaluation.evaluate_policy(m, np.ones((S, A))), "policy: rows"),
    "horizon": (lambda m: optimal_control.solve(m, 0), "horizon: must be >= 1"),
    "two horizons": (lambda m: optimal_control.solve(time_indexed(m, 3), 4), "horizon: is 4"),
    "weights": (lambda m: optimal_control.solve(m, weights=[1.0]), "weights: the rewards are scalar"),
    "no end": (
        lambda m: policy_evaluation.evaluate_policy(never_ends(), [0, 0]),
        "mdp.gamma: is 1 and state 0",
    ),
    "no discount": (lambda m: occupancy.discounted_occupancy(never_ends(), [0, 0]), "mdp.gamma"),
    "no horizon": (lambda m: occupancy.finite_occupancy(m, [0] * S), "horizon: is needed"),
    "visits of a horizon": (lambda m: occupancy.discounted_visits(time_indexed(m, 2), [0] * S), "mdp.P"),
    "lp of a horizon": (lambda m: lp.dual(time_indexed(m, 2)), "mdp.P"),
    "td of a horizon": (
        lambda m: policy_evaluation.td_fixed_point(time_indexed(m, 2), [0] * S, np.eye(S), np.ones(S)),
        "mdp.P",
    ),
    "bounds on scalars": (lambda m: lp.primal(m, at_least=[0.0]), "at_least: shape"),
    "scalar front": (pareto.deterministic_returns, "mdp: a front"),
    "scalar coverage set": (pareto.convex_coverage_set, "mdp.reward_dim"),
    "many trajectories": (lambda m: enumeration.trajectories(m, [0] * S, 9, most=100), "length: there are"),
    "long trajectories": (
        lambda m: enumeration.trajectories(time_indexed(m, 2), [0] * S, 3),
        "length: 3 steps",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_refuses(case):
    call, message = BAD[case]
    mdp, _ = problem(0)
    with pytest.raises(UsageError, match=message):
        call(mdp)


def test_refuses_too_many_policies_and_missing_weights():
    mdp, _ = problem(0, reward_dim=2)
    with pytest.raises(UsageError, match="mdp: has 2\\^4 deterministic policies, more than 15"):
        pareto.deterministic_returns(mdp, most=15)
    with pytest.raises(UsageError, match=r"weights: shape \(0,\) must be \[m\] = \(2,\)"):
        optimal_control.solve(mdp)
