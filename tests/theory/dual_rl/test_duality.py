"""Values, occupancies and certificates of the duals of the reference MDP, and of the two forms of ReCOIL."""

import jax
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.dual_rl.divergences import DIVERGENCES, divergence
from jaxrl.dual_rl.methods import method
from jaxrl.dual_rl.objectives import mixture, recoil_objective
from tests.theory.dual_rl.known import BEST, D_E, D_O, D_S, MDP, MU, T, average
from theory.dual_rl import thm_04_cql_rewriting
from theory.dual_rl.duality import dual_q, dual_v, recoil_q, recoil_v, recoil_value
from theory.dual_rl.gradients import at_rest, semi_q
from theory.dual_rl.imitation import recoil_released, smodice
from theory.dual_rl.reference import demonstration, random_problems
from theory.exact import lp
from theory.exact.occupancy import discounted_occupancy, flow_residual, policy_of
from theory.exact.optimal_control import solve
from theory.exact.tables import random_policies

VALUES = {
    1.0: {
        "kl": 0.1882363762,
        "kl_n": 0.1882363762,
        "chi2": 0.0784923161,
        "hel": 0.3313364223,
        "js": 0.3414266730,
        "fkl": 0.1734332232,
        "tv": 0.2300516128,
    },
    0.1: {
        "kl": 0.6837996290,
        "kl_n": 0.6837996290,
        "chi2": 0.5770243168,
        "hel": 0.7283901251,
        "js": 0.7437540330,
        "fkl": 0.6102811647,
        "tv": 0.7444540929,
    },
}


REWARDS = {"kl": 0.394179, "chi2": 0.203026, "hel": 0.568567, "js": 0.594494, "fkl": 0.348810, "tv": 0.730052}


@pytest.mark.parametrize("key", list(DIVERGENCES))
@pytest.mark.parametrize("alpha", [1.0, 0.1])
def test_strong_duality(key, alpha):
    dual = dual_v(MDP, D_O, key, alpha)
    assert dual.value == pytest.approx(VALUES[alpha][key], abs=1e-7 if key == "tv" else 1e-9)
    assert dual.gap == pytest.approx(0, abs=1e-12)
    assert dual.flow <= 1e-12 and flow_residual(MDP, dual.d) <= 1e-12
    assert dual.d.min() >= 0 and dual.d.sum() == pytest.approx(1, abs=1e-12)
    if alpha == 1 and key in REWARDS:
        assert average(dual.d) == pytest.approx(REWARDS[key], abs=1e-6)
    of_policy = dual_q(MDP, dual.policy, D_O, key, alpha)
    assert of_policy.value == pytest.approx(dual.value, abs=1e-9)
    assert of_policy.gap == pytest.approx(0, abs=1e-9)


def test_kl_and_kl_n_differ_by_a_constant_in_v():
    difference = dual_v(MDP, D_O, "kl", 0.3).variable - dual_v(MDP, D_O, "kl_n", 0.3).variable
    np.testing.assert_allclose(np.abs(difference), 0.3 / 0.1, atol=1e-9)


def test_chi2_v():
    golden = [-0.68097237, -0.29390065, -0.74083859, -0.1153338, -0.59071984]
    np.testing.assert_allclose(dual_v(MDP, D_O, "chi2").variable, golden, atol=1e-8)


@pytest.mark.parametrize(
    ("alpha", "free", "right"),
    [
        (1.0, 0.0784923161, 0.0784923161),
        (0.3, 0.3690712029, 0.3549581757),
        (0.1, 1.1992965937, 0.5770243168),
    ],
)
def test_without_the_clamp_the_dual_may_exceed_what_any_policy_reaches(alpha, free, right):
    unclamped = dual_v(MDP, D_O, "chi2", alpha, clamped=False)
    assert unclamped.value == pytest.approx(free, abs=1e-9)
    assert unclamped.flow <= 1e-12
    assert dual_v(MDP, D_O, "chi2", alpha).value == pytest.approx(right, abs=1e-9)
    assert (unclamped.d.min() < -1e-3) == (alpha < 1)
    assert (unclamped.value > 0.1 * BEST.j) == (alpha == 0.1)


def test_tv_gives_the_behaviour_where_the_regulariser_wins():
    np.testing.assert_allclose(dual_v(MDP, D_O, "tv", 4.0).d, D_O, atol=1e-12)


def test_no_policy_beats_the_dual():
    rng = np.random.default_rng(0)
    policies, best = rng.dirichlet(np.full(3, 0.3), (2000, 5)), -np.inf
    for pi in policies:
        d = np.linalg.solve(np.eye(5) - 0.9 * np.einsum("sa,sat->ts", pi, T.P), 0.1 * T.mu0)[:, None] * pi
        best = max(best, average(d) - 0.1 * (D_O * (d / D_O - 1) ** 2).sum())
    assert 0.4 < best < 0.5770


@pytest.mark.parametrize("key", list(DIVERGENCES))
def test_limits_monotone_and_convex_in_alpha(key):
    alphas = np.r_[np.linspace(0.05, 2, 14), 1e3]
    values = np.array([dual_v(MDP, D_O, key, a).value for a in alphas])
    assert np.all(np.diff(values) <= 1e-12)
    assert np.all(np.diff(values[:14], 2) >= -1e-12)
    assert values[-1] == pytest.approx(average(D_O), abs=6e-4)
    assert dual_v(MDP, D_O, key, 1e-3).value == pytest.approx(lp.primal(MDP).value * 0.1, abs=6e-3)


@pytest.mark.parametrize("key", list(DIVERGENCES))
@pytest.mark.parametrize("alpha", [1.0, 0.1, 0.01])
def test_weight_off_the_support_has_a_price_or_is_excluded(key, alpha):
    """A certificate: the occupancy is feasible and its primal value is that of the dual."""
    dual = dual_v(MDP, D_S, key, alpha)
    assert dual.gap == pytest.approx(0, abs=1e-11)
    assert flow_residual(MDP, dual.d) <= 1e-11 and dual.d.min() >= 0
    outside = dual.d[D_S == 0]
    if np.isinf(divergence(key).f_prime_inf):
        assert np.all(outside == 0)
    else:
        assert outside.max() > 0.05
        assert np.all(dual.y <= divergence(key).f_prime_inf + 1e-9)


@pytest.mark.parametrize("key", ["hel", "js", "fkl"])
def test_edges_where_almost_everything_binds(key):
    for problem in random_problems(77, 4, S=8, A=3, uncovered=4):
        for alpha in (0.003, 0.05):
            dual = dual_v(problem.mdp, problem.d_s, key, alpha)
            assert dual.gap == pytest.approx(0, abs=1e-10)
            assert flow_residual(problem.mdp, dual.d) <= 1e-10 and dual.d.min() >= 0


def test_data_in_a_state_that_nobody_reaches():
    """d must be 0 there: infinitely expensive for fkl; for hel V tends to infinity, the gap to 0."""
    P = np.array(T.P)
    P[:, :, 0] = 0
    mdp = MDP.replace(P=P / P.sum(-1, keepdims=True), mu0=np.array([0, 0.1, 0.2, 0.3, 0.4]))
    dual = dual_v(mdp, D_O, "hel")
    assert dual.d[0].max() < 1e-10 and abs(dual.gap) <= 2 * np.sqrt(dual.d[0].max())
    with pytest.raises(UsageError, match="d_o: is positive in a state that nobody reaches"):
        dual_v(mdp, D_O, "fkl")


def test_alpha_to_zero_stays_in_the_support():
    banned = MDP.replace(R=np.where(D_S > 0, T.R, -1e3))
    assert dual_v(MDP, D_S, "chi2", 1e-4).value == pytest.approx(0.1 * solve(banned).j, abs=1e-3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: dual_v(MDP, D_O, "kl", 0.0), "alpha: must be positive"),
        (lambda: dual_v(MDP, np.eye(15)[0].reshape(5, 3), "kl"), "no policy stays within its support"),
        (lambda: dual_v(MDP, D_O[:4], "kl"), r"d_o: must be a distribution of shape \[S, A\] = \(5, 3\)"),
        (lambda: dual_v(MDP, 2 * D_O, "kl"), "d_o: must be a distribution"),
        (lambda: dual_v(MDP, D_O, "ch2"), "did you mean 'chi2'"),
        (lambda: dual_v(MDP.replace(gamma=np.float64(1)), D_O, "kl"), "mdp.gamma"),
        (lambda: dual_q(MDP, MU, D_S, "kl"), "policy: leaves the support of the reference, where kl is inf"),
        (lambda: recoil_v(MDP, D_E, D_S, 1.0, "kl"), r"beta: must lie in \(0, 1\), got 1.0"),
        (lambda: recoil_v(MDP, D_E, D_S, 0.5, "kl", "none"), "clamp: must be exact or nonneg, got 'none'"),
        (lambda: at_rest(MDP, D_S, "kl", 1.0, "semi"), "d_o: gradient modes need"),
        (lambda: at_rest(MDP, D_O, "kl", 1.0, "half"), "gradient: must be full, semi or orthogonal"),
        (lambda: recoil_released(MDP, D_E, np.eye(15)[0].reshape(5, 3)), "d_mix: never visits state 1"),
        (lambda: smodice(MDP, np.eye(15)[0].reshape(5, 3), D_S), "log ratio is -inf"),
        (lambda: semi_q(MDP, D_O, "hel", 1.0), "divergence: the target of Q may leave the domain of hel"),
        (lambda: method("XQ"), "method: 'XQ' is unknown; did you mean 'XQL'"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(UsageError, match=message):
        make()


MIXED = 0.7 * policy_of(D_E) + 0.3 * policy_of(D_S)


@pytest.mark.parametrize(
    ("key", "at_half", "at_tenth"),
    [
        ("chi2", -0.0739743488, -0.0071502954),
        ("kl", -0.0372752051, -0.0039727675),
        ("hel", -0.0188388541, -0.0021020342),
        ("js", -0.0187929414, -0.0020957029),
    ],
)
def test_recoil_q_is_the_divergence_between_mixtures(key, at_half, at_tenth):
    for beta, golden in ((0.5, at_half), (0.1, at_tenth)):
        dual = recoil_q(MDP, MIXED, D_E, D_S, beta, key)
        assert dual.value == pytest.approx(golden, abs=1e-10)
        assert dual.value == pytest.approx(
            recoil_value(discounted_occupancy(MDP, MIXED), D_E, D_S, beta, key)
        )
        expert = np.eye(3)[BEST.policy]
        assert recoil_q(MDP, expert, D_E, D_S, beta, key).value == pytest.approx(0, abs=1e-12)


def test_recoil_q_of_the_suboptimal_policy():
    found = recoil_q(MDP, policy_of(D_S), D_E, D_S, 0.5, "chi2")
    assert found.value == pytest.approx(-0.7863142377, abs=1e-10)


@pytest.mark.parametrize("beta", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("key", list(DIVERGENCES))
def test_recoil_v_recovers_the_expert_without_coverage(key, beta):
    dual = recoil_v(MDP, D_E, D_S, beta, key)
    assert dual.value == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(dual.d, D_E, atol=1e-12)
    np.testing.assert_allclose(recoil_v(MDP, D_E, D_S, beta, key, "nonneg").d, D_E, atol=1e-12)


def test_an_expert_that_nobody_can_be():
    expert_pairs = demonstration(MDP, start=4, length=6)
    loose, exact = (recoil_v(MDP, expert_pairs, D_S, 0.5, "chi2", clamp) for clamp in ("nonneg", "exact"))
    assert loose.value == pytest.approx(-0.23138021, abs=1e-8) and loose.d.min() == pytest.approx(
        -0.0642, abs=1e-4
    )
    assert exact.value == pytest.approx(-0.28068008, abs=1e-8)
    assert exact.d.min() >= 0 and exact.d.sum() == pytest.approx(1, abs=1e-12)
    assert flow_residual(MDP, exact.d) <= 1e-12
    assert exact.gap == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("key", list(DIVERGENCES))
def test_impossible_experts_for_every_divergence_by_certificate(key):
    exact = recoil_v(MDP, demonstration(MDP, start=4, length=6), D_S, 0.5, key)
    assert exact.gap == pytest.approx(0, abs=1e-11) and exact.value < -1e-3
    assert flow_residual(MDP, exact.d) <= 1e-11 and exact.d.min() >= -1e-15


def test_the_printed_chi2_form_is_another_number():
    """As `thm_12`, for one Q: the exact forms agree with each other and not with the printed one."""
    q, pi, f = np.random.default_rng(0).normal(size=(5, 3)), MU, divergence("chi2")
    v = (pi * q).sum(1)
    y = 0.9 * T.P @ v - q
    with jax.enable_x64(True):
        exact = float(recoil_objective(0.1 * T.mu0 @ v, y, D_E, D_S, 0.5, f.f_star(y)))
        square = float((mixture(0.5, D_E, D_S) * y**2).sum() / 4)
    of_expert = 0.5 * (D_E.sum(1) @ v - (D_E * q).sum()) + square
    printed = 0.5 * (D_S.sum(1) @ v - (D_E * q).sum()) + square
    assert of_expert == pytest.approx(exact, abs=1e-12) and abs(printed - exact) > 1e-3


def test_iq_learn_is_the_distance_to_the_expert():
    """With no reward and the expert as reference, the dual over Q is -D_f(d^pi || d^E) for every pi."""
    problems = random_problems(31, 6)
    policies = random_policies(32, 6, 5, 3)
    for problem, pi, key in zip(problems, policies, ("chi2", "kl", "kl_n", "hel", "js", "fkl"), strict=True):
        expert = problem.d_o  # of a policy that leaves out no action, so that every divergence is finite
        zero = np.zeros_like(expert)
        found = dual_q(problem.mdp, pi, expert, key, reward=zero).value
        with jax.enable_x64(True):
            distance = float(divergence(key).between(discounted_occupancy(problem.mdp, pi), expert))
        assert found == pytest.approx(-distance, abs=1e-10) and distance > 1e-3
        own = policy_of(expert)
        assert dual_q(problem.mdp, own, expert, key, reward=zero).value == pytest.approx(0, abs=1e-10)


def test_the_cql_form_needs_a_visitation():
    """With the uniform distribution in its place the identity fails by more than a thousandth."""
    assert thm_04_cql_rewriting.broken().measured > 1e-3
