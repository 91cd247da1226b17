"""Utilities of whole episodes: payments add up, and their optimum is that of enumerated policies."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.grids.deep_sea import DeepSeaTreasure
from jaxrl.envs.tabular.mdp import make_mdp
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.envs.wrappers.accrued import AccruedState, accrued
from tests.envs.wrappers.counting import Count

GAMMA = 0.9


def product(returns):
    return returns[0] * returns[1] + 0.1 * returns[0]


def two_steps():
    """Start 0, two middle states, end 3: action 0 is a coin, action 1 is not; the second step is a choice."""
    P, R = np.zeros((4, 2, 4)), np.zeros((4, 2, 4, 2))
    P[0, 0, 1:3], P[0, 1, 1] = 0.5, 1
    R[0, 0, 1], R[0, 0, 2], R[0, 1, 1] = (2, 0), (0, 2), (1.2, 1.2)
    P[1:3, :, 3] = 1
    R[1:3, 0, 3], R[1:3, 1, 3] = (1, 0), (0, 1)
    return make_mdp(P, R, mu0=0, gamma=GAMMA, terminal=(3,), reward_dim=2)


def esr_of_every_policy(mdp, u):
    """E[u(G)] of all policies that choose by history: a first action, and one more per outcome of it."""
    values = []
    for first, *second in itertools.product((0, 1), repeat=3):
        total = 0.0
        for middle in (1, 2):
            last = second[middle - 1]
            G = mdp.R[0, first, middle] + GAMMA * mdp.R[middle, last, 3]
            total += mdp.P[0, first, middle] * float(u(G))
        values.append(((first, *second), total))
    return dict(values)


def best_payments(env, params, u_of):
    """Optimum of the sum of payments by recursion over what the wrapper shows."""
    step = jax.jit(env.step_u)

    def best(state):
        s = int(state.env.s)
        totals = []
        for a in (0, 1):
            total = 0.0
            for after in np.flatnonzero(np.asarray(params.env.P)[s, a]):
                p = float(params.env.P[s, a, after])
                state_after, out = step(state, jnp.int32(a), u_of(s, a, after), params)
                assert state_after.env.s == after
                total += p * (float(out.reward) + (0.0 if out.terminated else best(state_after)))
            totals.append(total)
        return max(totals)

    return best(env.reset(jax.random.key(0), params)[0])


@pytest.mark.parametrize("utility", [jnp.min, product])
def test_the_optimum_of_the_payments_is_the_best_expected_utility(utility):
    mdp = two_steps()
    env = accrued(Tabular.of(mdp), utility, GAMMA)
    params = env.extend(mdp)
    tables = jax.tree.map(np.asarray, mdp)
    values = esr_of_every_policy(tables, lambda G: utility(jnp.asarray(G)))

    def quantile(s, a, after):
        cdf = np.cumsum(tables.P[s, a])
        return jnp.float32(cdf[after] - 0.25)

    found = best_payments(env, params, quantile)
    assert found == pytest.approx(max(values.values()) - float(utility(jnp.zeros(2))), abs=1e-6)


def test_expected_utility_and_utility_of_the_expectation_prefer_different_actions():
    """Minimum: the coin gives at best (2, 0.9) or (0.9, 2), on average (1.45, 1.45); sure is (1.2, 2.1)."""
    mdp = jax.tree.map(np.asarray, two_steps())
    values = esr_of_every_policy(mdp, lambda G: G.min())
    esr = max(values, key=values.get)
    assert esr[0] == 1 and values[esr] == pytest.approx(1.2)
    returns = {}
    for first, *second in itertools.product((0, 1), repeat=3):
        outcomes = [mdp.R[0, first, m] + GAMMA * mdp.R[m, second[m - 1], 3] for m in (1, 2)]
        returns[first, *second] = (mdp.P[0, first, 1:3] @ np.array(outcomes)).min()
    ser = max(returns, key=returns.get)
    assert ser[0] == 0 and returns[ser] == pytest.approx(1.45)
    assert values[ser] < 0.91


@pytest.mark.parametrize("float_state", [False, True])
def test_payments_add_up_to_the_utility_of_the_discounted_return(float_state):
    env = accrued(DeepSeaTreasure(float_state=float_state), product, GAMMA)
    params, key = env.default_params(), jax.random.key(0)
    actions = [3, 3, 1, 1, 1]
    state, obs = env.reset(key, params)
    step, rewards, rows = jax.jit(env.step), [], [obs]
    for action in actions:
        state, out = step(key, state, jnp.int32(action), params)
        rewards.append(float(out.reward))
        rows.append(out.obs)
    assert out.terminated
    powers = GAMMA ** np.arange(5)
    G = np.array([11.5 * powers[4], -powers.sum()])
    assert sum(rewards) == pytest.approx(float(product(G)), rel=1e-5)
    np.testing.assert_allclose(state.returns, G, rtol=1e-5)
    shown = [row[2:] if float_state else np.append(row["returns"], row["discount"]) for row in rows]
    np.testing.assert_allclose(shown[0], [0, 0, 1])
    np.testing.assert_allclose(shown[2], [0, -1.9, 0.81], rtol=1e-5)
    assert isinstance(state, AccruedState) and env.reward_dim is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: accrued(Count(), jnp.min), r"Accrued\.env: .* has a scalar reward"),
        (
            lambda: accrued(DeepSeaTreasure(), lambda r: r),
            r"Accrued\.u: must return float\[\] .* shape \(2,\)",
        ),
        (lambda: accrued(DeepSeaTreasure(), jnp.min, 1.5), r"Accrued\.gamma: must be in \[0, 1\], got 1\.5"),
    ],
)
def test_refusals_name_the_field(call, message):
    with pytest.raises(UsageError, match=message):
        call()
