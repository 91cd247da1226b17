"""The worst planning error: reference values, slow evaluations of its claims, exact values, refusals."""

import itertools

import jax
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.mixture_generators import hashed_mixture, lock
from theory.exact import planning_error

H = 4


@pytest.fixture(scope="module")
def models():
    """Kernels of the hashed mixture under its own parameter and under another one."""
    with jax.enable_x64(True):
        mixture = hashed_mixture(3, 2, 2, (7, 3, 5, 11), 13)
        phi, theta = np.asarray(mixture.phi), np.asarray(mixture.theta)
    return phi @ theta, phi @ (np.sqrt(2) * np.array([0.6, 0.4]))


def random_pair(seed, S=2, A=2):
    return np.random.default_rng(seed).dirichlet(np.ones(S), (2, S, A))


def value(P, policy, reward):
    """Expected total reward from state 0, step by step."""
    states, total = np.eye(len(P))[0], 0.0
    for h, actions in enumerate(policy):
        total += sum(states[s] * reward[h, s, a] for s, a in enumerate(actions))
        states = sum(states[s] * P[s, a] for s, a in enumerate(actions))
    return total


def test_reference_values_of_the_bracket(models):
    bracket = planning_error.bracket(*models, H)
    assert bracket.lower == pytest.approx(0.2488748478, abs=1e-8)
    bounds = planning_error.total_variation_bounds(*models, H)
    assert bounds == pytest.approx((0.5428209614, 0.5345105804), abs=1e-8)
    assert bracket.upper == pytest.approx(2 * 0.5345105804, abs=1e-8)
    assert planning_error.largest_total_variation(*models, H) == pytest.approx(0.2056605027, abs=1e-8)


def test_no_extreme_point_of_the_class_attains_the_worst_error(models):
    sets = np.array(list(itertools.product((0.0, 1.0), repeat=6))).reshape(-1, 3, 2)
    vertices = np.einsum("hk,nsa->hnksa", np.eye(H), sets).reshape(-1, H, 3, 2)
    errors = planning_error.plans(*models, vertices).error
    assert errors.max() == pytest.approx(0.1393221044, abs=1e-8)
    assert np.unravel_index(errors.argmax(), (H, 64))[0] == 1


def test_the_reward_that_is_returned_has_the_error_that_is_claimed(models):
    P, Q = models
    worst = planning_error.lower(P, Q, H)
    assert (worst.reward >= 0).all() and worst.reward.max((1, 2)).sum() <= 1 + 1e-12
    under_model = [value(Q, p, worst.reward) for p in (worst.planned, worst.optimal)]
    assert under_model[0] >= under_model[1] - 1e-9
    loss = value(P, worst.optimal, worst.reward) - value(P, worst.planned, worst.reward)
    assert loss == pytest.approx(worst.value, abs=1e-12)
    every = (np.reshape(x, (H, 3)) for x in itertools.product((0, 1), repeat=H * 3))
    best = max(value(Q, p, worst.reward) for p in itertools.islice(every, 0, None, 7))
    assert under_model[0] >= best - 1e-9


def test_the_lower_end_meets_the_exact_value_in_two_steps():
    for seed in range(3):
        P, Q = random_pair(seed)
        low, exact = planning_error.lower(P, Q, 2), planning_error.exact(P, Q, 2)
        assert low.value == pytest.approx(exact.value, abs=1e-8)
        assert low.value <= planning_error.upper(P, Q, 2)


@pytest.mark.slow
def test_the_lower_end_meets_the_exact_value_in_three_steps():
    for seed in range(5):
        P, Q = random_pair(seed)
        low, exact = planning_error.lower(P, Q, 3), planning_error.exact(P, Q, 3)
        assert low.value == pytest.approx(exact.value, abs=1e-8)
        assert exact.value <= planning_error.upper(P, Q, 3)


def test_a_model_that_is_right_has_no_error_and_starts_may_be_distributions(models):
    P, Q = models
    assert planning_error.bracket(P, P, H)[:2] == pytest.approx((0.0, 0.0), abs=1e-14)
    mu0 = np.array([0.2, 0.3, 0.5])
    mixed = planning_error.bracket(P, Q, H, mu0)
    assert 0 < mixed.lower <= mixed.upper
    with_states = [planning_error.upper(P, Q, H, s) for s in range(3)]
    assert min(with_states) - 1e-12 <= mixed.upper <= max(with_states) + 1e-12


def test_a_confused_action_costs_eight_ninths():
    """State 1 at step 2 pays y and the good action at step 1 pays x: a loss of 0.8 y + x while x <= 0.8 y."""
    with jax.enable_x64(True):
        mixture = lock(3, 2, 0.9, 0.1)
        P = np.asarray(mixture.phi) @ np.asarray(mixture.theta)
    Q = P.copy()
    Q[0, 0], Q[0, 1] = P[0, 1], P[0, 0]  # the first action is confused
    worst = planning_error.lower(P, Q, 5, random=5)
    assert worst.value == pytest.approx(1.6 / 1.8, abs=1e-9)
    assert planning_error.upper(P, Q, 5) == pytest.approx(2 * 0.8)
    given = planning_error.lower(P, Q, 5, starts=worst.reward[None], random=0)
    assert given.value >= worst.value - 1e-12


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda P, Q: planning_error.lower(P, Q[:2, :, :2], H), "Q: rows must be prob"),
        (lambda P, Q: planning_error.upper(P, random_pair(0)[0], H), r"Q: shape .* differs from that of P"),
        (lambda P, Q: planning_error.exact(P, Q, H), r"2\^20 pairs of policies are too many"),
        (lambda P, Q: planning_error.largest_total_variation(P, Q, 8), r"2\^21 policies are too many"),
        (
            lambda P, Q: planning_error.plans(P, Q, np.zeros((1, H, 3))),
            r"rewards: must be finite numbers",
        ),
        (lambda P, Q: planning_error.plans(P, Q, np.zeros((1, H, 3, 1))), "rewards: shape .* does not fit"),
    ],
)
def test_what_is_no_pair_of_models_is_refused(models, call, message):
    with pytest.raises(UsageError, match=message):
        call(*models)
