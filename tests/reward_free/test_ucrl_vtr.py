"""UCRL-VTR: its regression beside a loop, optimism where the radius covers, and regret on a lock."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.reward_free import reward_aware, rewards, ucrl_vtr
from jaxrl.reward_free.features import form_of
from tests.reward_free import known_reward
from tests.reward_free.mixtures import hashed, uniforms


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def test_plans_and_regression_are_those_of_a_loop():
    """Six episodes of the hashed mixture on scripted uniforms, a plan in each, all in numpy beside it."""
    H, K, beta = 4, 6, 0.3
    mixture = hashed()
    reward = np.asarray(rewards.random_rewards(jax.random.key(1), 1, H, 3, 2)[0])
    env, data = LinearMixture.of(mixture), reward_aware.Data(mixture, jnp.asarray(reward))
    unit = np.sqrt(2 * np.log(30 * (1 + 3e5 * H * 1.1**2))) + 1
    hyper = ucrl_vtr.Hyper(horizon=H, bound=1.1, c_beta=beta / unit, ratio=1.0, shadow=0.0)
    rule = reward_aware.Rule(ucrl_vtr._start, ucrl_vtr._optimism, ucrl_vtr._learn)
    algorithm = ucrl_vtr.make(ucrl_vtr.Config(horizon=H), env)
    state, drawn = algorithm.init(jax.random.key(0), hyper, data), uniforms(K, H)
    one = jax.jit(lambda state, u: reward_aware.episode(env, form_of(mixture), rule, state, hyper, data, u))

    phi, theta = np.asarray(mixture.phi), np.asarray(mixture.theta)
    gram, b, value = np.eye(2) / 1.1**2, np.zeros(2), np.zeros((H + 1, 3))
    policy = np.zeros((H, 3), int)
    for k in range(K):
        estimate = np.linalg.solve(gram, b)
        for h in reversed(range(H)):
            x = np.einsum("saxd,x->sad", phi, value[h + 1])
            bonus = beta * np.sqrt(np.einsum("sai,ij,saj->sa", x, np.linalg.inv(gram), x))
            Q = np.clip(reward[h] + x @ estimate + bonus, 0, 1)
            policy[h], value[h] = np.argmax(Q.max(1, keepdims=True) - Q <= 1e-9, 1), Q.max(1)
        s = 0
        for h in range(H):
            a = policy[h, s]
            x = phi[s, a].T @ value[h + 1]
            after = int(np.searchsorted(np.cumsum(phi[s, a] @ theta), drawn[k, h], side="right"))
            gram, b, s = gram + np.outer(x, x), b + x * value[h + 1, after], after
        state = one(state, jnp.concatenate([jnp.zeros(1), jnp.asarray(drawn[k])]))
        np.testing.assert_allclose(state.value, value, atol=1e-10)
    np.testing.assert_allclose(state.regressions.gram[0], gram, rtol=1e-10)
    np.testing.assert_allclose(state.regressions.b[0], b, rtol=1e-10)
    assert state.plans == K and state.episodes == K


def test_values_are_optimistic_where_the_radius_covers():
    radius = 0.2 * (np.sqrt(7 * np.log(30 * (1 + 3e5 * 5 * known_reward.BOUND**2))) + 1)
    for state, planned in known_reward.plans(ucrl_vtr):
        assert known_reward.distance(state, 0) <= radius
        assert float(planned.value[0, 0]) >= known_reward.OPTIMUM - 1e-9


def test_regret_on_the_lock_is_below_a_quarter_of_that_of_the_uniform_policy():
    """A uniform policy loses 0.604 an episode, 121 in all."""
    assert 0 < known_reward.regret(ucrl_vtr)[-1] < 30


def test_a_reward_outside_the_class_is_refused():
    data = known_reward.problem()
    algorithm = ucrl_vtr.make(ucrl_vtr.Config(horizon=5), LinearMixture.of(data.mixture))
    with pytest.raises(UsageError, match="its stage maxima add up to 5"):
        algorithm.check(data._replace(reward=jnp.ones((5, 5, 2))))
    with pytest.raises(UsageError, match=r"reward: shape \(4, 5, 2\)"):
        algorithm.check(data._replace(reward=data.reward[:4]))
