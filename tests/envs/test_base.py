"""The capability `Finite`: what is sampled is what `to_tabular` says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core import spaces
from jaxrl.core.types import Policy
from jaxrl.envs.grids.deep_sea import DeepSeaTreasure
from jaxrl.envs.grids.gridworld import GridWorld
from jaxrl.envs.grids.levels import LEVELS
from jaxrl.envs.grids.resource_gathering import ResourceGathering
from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.envs.tabular.mdp import expected_reward, make_mdp, validate
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.envs.wrappers.finite_horizon import finite_horizon
from jaxrl.envs.wrappers.scalarise import scalarise
from jaxrl.envs.wrappers.with_reward import with_reward
from jaxrl.rollout.evaluate import evaluate


def walk():
    """Two live states, a terminal one, rewards on the successor."""
    P = [[[0.5, 0.3, 0.2], [0.1, 0.9, 0]], [[0, 0.6, 0.4], [0.25, 0.25, 0.5]], [[0, 0, 1]] * 2]
    R = np.arange(18.0).reshape(3, 2, 3)
    return make_mdp(P, R, terminal=[2])


def squared(params, state, action, next_state):
    return 1.0 * next_state.env.s**2 + action


CASES = {
    "Tabular": (Tabular(5, 3), None),
    "Tabular-terminal": (Tabular(3, 2), walk),
    "Tabular-horizon": (Tabular(4, 2, H=3), None),
    "LinearMixture": (LinearMixture(4, 2, 3), None),
    "LinearMixture-horizon": (LinearMixture(4, 2, 3, H=3), None),
    "DeepSeaTreasure": (DeepSeaTreasure(), None),
    "ResourceGathering": (ResourceGathering(), None),
    "GridWorld": (GridWorld(LEVELS["debug"], index=True), None),
    "scalarise": (scalarise(ResourceGathering(), (1, 2, 3)), None),
    "finite_horizon": (finite_horizon(Tabular(4, 2), 3), None),
    "with_reward": (with_reward(finite_horizon(Tabular(3, 2), 2), squared), None),
}


@pytest.mark.parametrize("name", CASES)
def test_samples_follow_the_tables(name):
    """At least 1e5 samples per instance; total variation below 0.02 for each (s, a), and the mean reward."""
    env, params = CASES[name][0], CASES[name][1]
    params = params() if params else env.default_params()
    mdp = jax.jit(env.to_tabular)(params)
    validate(mdp)
    mdp = jax.tree.map(np.asarray, mdp)
    n, A, end = mdp.n_states, mdp.n_actions, mdp.terminal
    live = np.flatnonzero(~end)
    draws = max(5000, 100_000 // (len(live) * A))

    def sample(key, index, action, h):
        state = env.state_at(params, index, h)
        after, out = env.step(key, state, action, params)
        # all terminal rows count as one; the last step of a horizon ends in any row
        row = jnp.where(out.terminated, n, env.state_index(params, after))
        return row, out.reward

    def pair(key, index, action, h):
        rows, rewards = jax.vmap(sample, (0, None, None, None))(
            jax.random.split(key, draws), index, action, h
        )
        return jnp.zeros(n + 1).at[rows].add(1 / draws), rewards.mean(0), rewards.std(0)

    draw = jax.jit(jax.vmap(jax.vmap(pair, (0, None, 0, None)), (0, 0, None, None)))
    actions = jnp.arange(A, dtype=jnp.int32)
    for h in range(mdp.horizon or 1):
        keys = jax.random.split(jax.random.key(h), (len(live), A))
        seen, mean, std = jax.tree.map(np.asarray, draw(keys, jnp.asarray(live, jnp.int32), actions, h))
        P, R = (x[h] if mdp.horizon else x for x in (mdp.P, np.asarray(expected_reward(mdp))))
        expected = np.concatenate([np.where(end, 0, P[live]), P[live][..., end].sum(-1, keepdims=True)], -1)
        if mdp.horizon and h == mdp.horizon - 1:
            expected = np.zeros_like(expected)
            expected[..., n] = 1
        assert 0.5 * np.abs(seen - expected).sum(-1).max() < 0.02
        assert (np.abs(mean - R[live]) <= 5 * std / np.sqrt(draws) + 1e-4).all()


@pytest.mark.parametrize("name", CASES)
def test_rows_and_states_are_inverse(name):
    env, params = CASES[name][0], CASES[name][1]
    params = params() if params else env.default_params()
    mdp = jax.eval_shape(env.to_tabular, params)
    rows = jnp.arange(mdp.P.shape[-1] - 1, dtype=jnp.int32)
    again = jax.jit(jax.vmap(lambda i: env.state_index(params, env.state_at(params, i))))(rows)
    assert again.tolist() == rows.tolist()


@pytest.mark.parametrize("name", ["Tabular-terminal", "ResourceGathering"])
def test_evaluate_agrees_with_the_linear_solve(name):
    """Discounted return of the uniform policy within 4 standard errors."""
    env, params = CASES[name][0], CASES[name][1]
    params = params() if params else env.default_params()
    gamma, n = 0.9, 4096
    mdp = jax.tree.map(lambda x: np.asarray(x, np.float64), jax.jit(env.to_tabular)(params))
    P, R = mdp.P.mean(1), np.asarray(expected_reward(mdp), np.float64).mean(1)
    live = mdp.terminal == 0
    value = np.linalg.solve(np.eye(live.sum()) - gamma * P[np.ix_(live, live)], R[live])
    policy = Policy(lambda key, obs, memory: (spaces.sample(env.action_space, key), (), memory))
    run = jax.jit(lambda k: evaluate(env, policy, k, params, episodes=n, limit=120, gamma=gamma))
    returns = np.asarray(run(jax.random.key(0)).discounted, np.float64)
    error = returns.std(0) / np.sqrt(n)
    assert (np.abs(returns.mean(0) - mdp.mu0[live] @ value) <= 4 * error + 1e-4).all()
