"""Ascent of a utility of the expected return against its exact optimum over all policies."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import linprog

from jaxrl.baselines import ppo
from jaxrl.morl import utility
from tests.morl.finite_problems import ENV, EXACT, MDP
from theory.exact.pareto import deterministic_returns

CONFIG = utility.Config(
    ppo.Config(n_envs=16, length=16, epochs=4, minibatches=4, widths=()), 2, EXACT, updates=10
)
LEARNER = ppo.Hyper(lr=0.03, gamma=0.9, entropy=0.02, updates_total=60.0)


def smallest(returns):
    return jnp.minimum(returns[0], returns[1] - 1)


def best_smallest(points: np.ndarray) -> float:
    """Largest min(G_0, G_1 - 1) of mixtures of the points, by a linear programme."""
    n = len(points)
    shifted = points - np.array([0.0, 1.0])
    out = linprog(
        np.r_[np.zeros(n), -1.0],
        A_ub=np.c_[-shifted.T, np.ones(2)],
        b_ub=np.zeros(2),
        A_eq=np.r_[np.ones(n), 0.0][None],
        b_eq=[1.0],
        bounds=[(0, None)] * n + [(None, None)],
    )
    return -out.fun


def test_utility_of_the_expected_return_comes_close_to_its_optimum():
    algorithm = utility.make(CONFIG, ENV, smallest)
    hyper = jax.tree.map(jnp.asarray, utility.Hyper(LEARNER, gamma=0.9))
    state = jax.jit(algorithm.init)(jax.random.key(0), hyper, MDP)
    step = jax.jit(algorithm.step)
    first = float(jax.vmap(smallest)(state.returns).max())
    for _ in range(6):
        state, metrics = step(state, hyper, MDP)
    _, points = deterministic_returns(MDP)
    best = best_smallest(points)
    found = float(metrics["utility"].max())
    # no deterministic policy reaches the optimum, which mixes
    assert np.minimum(points[:, 0], points[:, 1] - 1).max() < best - 1e-3
    assert first < found <= best + 1e-4
    assert found > best - 0.15
