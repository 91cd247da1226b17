"""HF-UCRL-VTR+: a loop of scalars beside it, optimism where the radius covers, and regret on a lock."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.reward_free import hf_ucrl_vtr, radii, reward_aware, rewards
from jaxrl.reward_free.features import form_of
from tests.reward_free import known_reward
from tests.reward_free.mixtures import hashed, uniforms


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


class Loop:
    """HF-UCRL-VTR+ in numpy with loops over stages, states, actions and orders; a plan in every episode."""

    def __init__(self, mixture, reward, c_beta, bound, orders):
        self.phi, self.theta, self.reward = np.asarray(mixture.phi), np.asarray(mixture.theta), reward
        (self.H, self.S, self.A), self.d, self.M = reward.shape, len(self.theta), orders
        self.c_beta, self.bound, self.k = c_beta, bound, 0
        self.gram = [self.d / bound**2 * np.eye(self.d) for _ in range(orders)]
        self.b = [np.zeros(self.d) for _ in range(orders)]
        self.value = np.zeros((self.H + 1, self.S))
        self.policy = np.zeros((self.H, self.S), int)

    def feature(self, s, a, V):
        """The sum over next states of phi(s, a, x) V(x)."""
        return sum(self.phi[s, a, x] * V[x] for x in range(self.S))

    def episode(self, u):
        self.k += 1
        lam = self.d / self.bound**2
        eta = math.log(1 + self.k * self.H * self.H / (self.d * lam))
        beta = self.c_beta * (math.sqrt(self.d * eta + 2 * math.log(10)) + math.sqrt(lam) * self.bound)
        inverse = [np.linalg.inv(gram) for gram in self.gram]
        estimate = [inverse[m] @ self.b[m] for m in range(self.M)]
        for h in reversed(range(self.H)):
            for s in range(self.S):
                Q = []
                for a in range(self.A):
                    x = self.feature(s, a, self.value[h + 1])
                    bonus = beta * math.sqrt(x @ inverse[0] @ x)
                    Q.append(min(max(self.reward[h, s, a] + x @ estimate[0] + bonus, 0), 1))
                self.value[h, s] = max(Q)
                self.policy[h, s] = next(a for a in range(self.A) if max(Q) - Q[a] <= 1e-9)
        s = 0
        for h in range(self.H):
            after, below = 0, 0.0
            for x in range(self.S):
                below += self.phi[s, self.policy[h, s], x] @ self.theta
                if u[h] >= below:
                    after = x + 1
            self.observe(s, self.policy[h, s], after, self.value[h + 1], beta, estimate, inverse)
            s = after

    def observe(self, s, a, after, V, beta, estimate, inverse):
        x = [self.feature(s, a, V ** (2**m)) for m in range(self.M)]
        variances = []
        for m in range(self.M):
            own = math.sqrt(x[m] @ np.linalg.inv(self.gram[m]) @ x[m])
            spread = 1.0
            if m + 1 < self.M:
                mean, second = (min(max(x[n] @ estimate[n], 0), 1) for n in (m, m + 1))
                errors = [beta * math.sqrt(x[n] @ inverse[n] @ x[n]) for n in (m, m + 1)]
                spread = second - mean**2 + min(2 * errors[0], 1) + min(errors[1], 1)
            variances.append(max(own / math.sqrt(self.d), spread, 1 / self.H))
        for m in range(self.M):
            self.gram[m] = self.gram[m] + np.outer(x[m], x[m]) / variances[m]
            self.b[m] = self.b[m] + x[m] * V[after] ** (2**m) / variances[m]


def test_plans_and_regressions_are_those_of_a_loop(monkeypatch):
    """Six episodes of the hashed mixture on scripted uniforms, three orders, a plan in each."""
    H, K, rules = 4, 6, []
    mixture, c_beta = hashed(), 0.03
    reward = np.asarray(rewards.random_rewards(jax.random.key(1), 1, H, 3, 2)[0])
    env, data = LinearMixture.of(mixture), reward_aware.Data(mixture, jnp.asarray(reward))
    hyper = hf_ucrl_vtr.Hyper(horizon=H, bound=1.1, c_beta=c_beta, ratio=1.0, shadow=0.0)
    config = hf_ucrl_vtr.Config(horizon=H, orders=3)
    state = hf_ucrl_vtr.make(config, env).init(jax.random.key(0), hyper, data)
    monkeypatch.setattr(reward_aware, "learner", lambda name, config, env, rule: rules.append(rule))
    hf_ucrl_vtr.make(config, env)
    one = jax.jit(
        lambda state, u: reward_aware.episode(env, form_of(mixture), rules[0], state, hyper, data, u)
    )
    loop, drawn = Loop(mixture, reward, c_beta, 1.1, 3), uniforms(K, H)
    for u in drawn:
        state = one(state, jnp.concatenate([jnp.zeros(1), jnp.asarray(u)]))
        loop.episode(u)
        np.testing.assert_allclose(state.value, loop.value, rtol=1e-10, atol=1e-10)
        np.testing.assert_array_equal(state.policy, loop.policy)
        np.testing.assert_allclose(state.regressions.gram[:, 0], loop.gram, rtol=1e-10)
        np.testing.assert_allclose(state.regressions.b[:, 0], loop.b, rtol=1e-10)
    assert state.plans == K and 0 < loop.value[0, 0] < 1
    assert not np.allclose(loop.gram[0], loop.gram[1])


def test_values_are_optimistic_where_the_radius_covers():
    d, covered = float(known_reward.dimension()), 0
    for state, planned in known_reward.plans(hf_ucrl_vtr, c_beta=0.4):
        radius = 0.4 * radii.hf_plain(float(state.episodes) + 1, 5.0, d, known_reward.BOUND, 0.1, 5**-0.5)
        if known_reward.distance(state, 0) <= float(radius):
            covered += 1
            assert float(planned.value[0, 0]) >= known_reward.OPTIMUM - 1e-9
    assert covered >= 10


def test_regret_on_the_lock_is_below_a_quarter_of_that_of_the_uniform_policy():
    """A uniform policy loses 0.604 an episode, 121 in all."""
    assert 0 < known_reward.regret(hf_ucrl_vtr, c_beta=0.4)[-1] < 30


def test_gram_matrices_of_all_orders_grow_in_every_update_by_weights_of_at_most_the_horizon():
    """The trace grows by at most H |phi_V|^2 <= H in each of 50 steps."""
    states = known_reward.states(hf_ucrl_vtr, c_beta=0.4)
    gram = np.stack([np.asarray(state.regressions.gram)[:, 0] for state in states])
    grown = np.diff(np.trace(gram, axis1=2, axis2=3), axis=0)
    assert gram.shape == (20, 4, 7, 7) and (grown > 0).all() and (grown <= 5 * 50).all()
