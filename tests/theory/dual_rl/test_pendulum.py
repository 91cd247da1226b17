"""The pendulum on a grid: its dynamics are those of the environment in the mean, its occupancies exact."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.control.pendulum import Pendulum, PendulumState
from theory.dual_rl import pendulum
from theory.dual_rl.imitation import released_fixed_point

G = pendulum.grid(21)
S, A = G.reward.shape
UNIFORM = np.full((S, A), 1 / A)
EXPERT = np.eye(A)[pendulum.best(G, 0.96)]


def test_the_mean_successor_is_that_of_the_environment():
    np.testing.assert_allclose(np.asarray(G.transitions.sum(1)), 1, atol=1e-14)
    env, torques = Pendulum(), np.linspace(-2, 2, A)
    with jax.enable_x64(True):
        params = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), env.default_params())
        for state in (G.hanging, 45, 230, 396):
            for a, torque in enumerate(torques):
                at, total = PendulumState(*(jnp.float64(x[state]) for x in (G.angle, G.speed))), 0.0
                for k in range(2):
                    at, out = env.step(jax.random.key(0), at, jnp.asarray([torque]), params)
                    total += 0.95**k * float(out.reward)
                row = G.transitions[state * A + a].toarray()[0]
                assert row @ G.speed == pytest.approx(float(at.theta_dot), abs=1e-12)
                turn = (row * np.exp(1j * (G.angle - float(at.theta)))).sum()  # across the cut at pi
                assert abs(np.angle(turn)) < 0.02  # the sine of a cell is not linear
                assert G.reward[state, a] == pytest.approx(total, abs=1e-12)


def test_resting_upright_is_a_state_that_stays():
    rest = int(np.hypot(G.angle, G.speed).argmin())
    assert G.angle[rest] == G.speed[rest] == 0 and G.upright[rest]
    row = G.transitions[rest * A + A // 2]
    np.testing.assert_allclose(row.toarray()[0], np.eye(S)[rest], atol=1e-14)


def test_visits_are_the_mean_of_drawn_episodes():
    """Ten standard errors of the share of upright states over 300 episodes."""
    rng = np.random.default_rng(0)
    start = np.eye(S)[G.hanging]
    exact = pendulum.visits(G, EXPERT, 30, start)
    drawn = np.array([pendulum.episode(G, EXPERT, 30, G.hanging, rng) for _ in range(300)])
    np.testing.assert_allclose(drawn.sum((1, 2)), 1, atol=1e-12)
    share = drawn[:, G.upright].sum((1, 2))
    assert exact.sum() == pytest.approx(1)
    assert share.mean() == pytest.approx(exact[G.upright].sum(), abs=10 * share.std() / np.sqrt(300))
    assert np.all(exact[(EXPERT == 0)] == 0)


def test_the_released_weight_ranks_states_by_how_seldom_the_data_are_there():
    """Where Q cannot tell actions apart: hanging above upright on medium data at 1/2, not at 0.02."""
    d_e = pendulum.visits(G, EXPERT, 100)
    medium = pendulum.visits(G, (EXPERT + UNIFORM) / 2, 100)
    mixed = (1 - 1e-6) * (100 * medium + 20 * d_e) / 120 + 1e-6 / medium.size

    def found(beta, seen):
        made = released_fixed_point(
            G.transitions, G.gamma, d_e, mixed, temperature=5.0, beta=beta, seen=seen, tolerance=1e-9
        )
        order = made.v[G.upright].mean() - made.v[G.hanging]
        return order, (pendulum.visits(G, made.policy, 100) * G.reward).sum()

    coarse = pendulum.without_actions
    (wrong, low), (right, high), (_, resolved) = found(0.5, coarse), found(0.02, coarse), found(0.5, None)
    assert wrong < 0 < right
    assert low < high
    assert resolved > low


def test_what_a_coarse_q_sees_keeps_the_weights_and_spreads_by_one_cell():
    d = np.zeros((S, A))
    d[10 * 21 + 10, 1] = 1.0
    spread = pendulum.over_neighbours(d, 21)[:, 1].reshape(21, 21)
    assert spread.sum() == pytest.approx(1) and pendulum.over_neighbours(d, 21)[:, 0].sum() == 0
    for margin in (spread.sum(0), spread.sum(1)):
        assert margin @ (np.arange(21) - 10.0) ** 2 == pytest.approx(1) and margin @ np.arange(21) == 10
    np.testing.assert_allclose(pendulum.without_actions(d)[10 * 21 + 10], 1 / A)
