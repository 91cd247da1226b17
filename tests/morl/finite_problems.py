"""A finite problem written as formulas, and the learners that the tests of the family train on it."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.baselines import ppo
from jaxrl.envs.tabular.mdp import make_mdp
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.morl import cmorl, scalarised
from jaxrl.morl.learners import EvaluationOptions

LEARNER = ppo.Config(n_envs=4, length=8, epochs=2, minibatches=2, widths=())
EXACT = EvaluationOptions("exact")
REFERENCE = np.zeros(2, np.float32)
WEIGHTS = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]], np.float32)


def formula_momdp(n=5, A=3, m=2, gamma=0.9):
    """Vector MDP without a random seed: transitions and rewards by formulas in the indices."""
    s, a, t, k = np.ix_(*map(np.arange, (n, A, n, m)))
    P = (1.0 + (3 * s + 5 * a + 7 * t) % 6)[..., 0]
    R = ((2 * s + 3 * a + 5 * k + s * a * (k + 1)) % 7 / 6)[:, :, 0]
    return make_mdp(P / P.sum(-1, keepdims=True), R, np.full(n, 1 / n), gamma, (), m)


MDP = formula_momdp()
ENV = Tabular.of(MDP)


def scalarised_hyper(**changes):
    """Hyper-parameters of three learners on the formula MDP."""
    learner = ppo.Hyper(lr=0.02, gamma=0.9, updates_total=20.0)
    return scalarised.Hyper(WEIGHTS, REFERENCE, learner, gamma=0.9).replace(**changes)


def extension_hyper(**changes):
    """Hyper-parameters of an extension on the formula MDP."""
    learner = ppo.Hyper(lr=0.02, gamma=0.9, entropy=0.0)
    return cmorl.Hyper(REFERENCE, learner, gamma=0.9).replace(**changes)


SCALARISED = scalarised.make(scalarised.Config(LEARNER, 16, EXACT), ENV)
# compiled once for all tests of a process
START, STEP = jax.jit(SCALARISED.init), jax.jit(SCALARISED.step)


def scalarised_run(key, updates):
    """`(state, metrics [updates, ...])` of three learners on the formula MDP."""
    hyper = jax.tree.map(jnp.asarray, scalarised_hyper())
    state, history = START(jax.random.key(key), hyper, MDP), []
    for _ in range(updates):
        state, metrics = STEP(state, hyper, MDP)
        history.append(metrics)
    return state, jax.tree.map(lambda *x: np.stack(x), *history)
