"""Lifetimes on CartPole of one size, which tests and smoke runs share, so that one program serves all."""

import jax

from jaxrl.baselines import ppo
from jaxrl.meta import zoo
from jaxrl.meta.evaluation import evaluate_objective

ENV = "CartPole"
SMALL = {
    "learner": ppo.Config(n_envs=2, length=8, epochs=2, minibatches=2, widths=()),
    "hyper": ppo.Hyper(lr=0.1),
    "episodes": 2,
    "tasks": 4,
}


def by_hand(objective, phi=None, name="own"):
    """A rule without a file."""
    return zoo.Entry(name, objective, objective.init(jax.random.key(0)) if phi is None else phi, {})


def drifts(rule, horizon=6, **changes):
    """Returns float[4] after lifetimes with a drift."""
    return evaluate_objective(rule, ENV, horizon, **(SMALL | changes))
