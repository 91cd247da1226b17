"""Tasks on which drifts are learned or judged: CartPole, four games of MinAtar and two bodies of brax.

Games and bodies have the learners, learning rates and sizes of an update that public codes share for PPO on
them, without annealing, which is a schedule itself.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from jaxrl.baselines import ppo
from jaxrl.envs import catalogue
from jaxrl.envs.base import Env

Game = Literal["SpaceInvaders", "Breakout", "Freeway", "Asterix"]
"""Games of MinAtar."""
Body = Literal["hopper", "walker2d"]
"""Bodies of brax."""
Trained = Literal["CartPole", "SpaceInvaders"]
"""Where drifts are learned."""
Unseen = Literal["Breakout", "Freeway", "Asterix", "hopper", "walker2d"]
"""Where drifts are judged that were learned elsewhere."""

GAMES = ppo.Config(n_envs=64, length=128, epochs=4, minibatches=8, widths=(64, 64), activation="relu")
BODIES = ppo.Config(
    n_envs=2048,
    length=10,
    epochs=4,
    minibatches=32,
    widths=(64, 64),
    normalise_obs=True,
    scale_rewards=True,
)
LR = {
    "SpaceInvaders": 7e-3,
    "Breakout": 1e-2,
    "Freeway": 1e-3,
    "Asterix": 3e-3,
    "hopper": 3e-4,
    "walker2d": 1e-3,
}
STEPS = {"SpaceInvaders": 200_000}
"""Environment steps of a lifetime; a million elsewhere."""


class Task(NamedTuple):
    """An environment, its learner, and the horizon N in updates."""

    env: Env
    learner: ppo.Config
    hyper: ppo.Hyper
    updates: int


def environment(name: str) -> Env:
    """The environment of that name; brax's spring back-end for bodies.

    Raises:
        MissingExtra: brax is not installed (says what to install).
    """
    if name in ("hopper", "walker2d"):
        from jaxrl.envs.adapters.brax import Brax

        return Brax(name, "spring")
    return catalogue.make(name)


def learner(name: Game | Body) -> ppo.Config:
    """Static choices of the learner on a task."""
    return BODIES if name in ("hopper", "walker2d") else GAMES


def hyper(name: Game | Body) -> ppo.Hyper:
    """Hyper-parameters of the learner on a task."""
    return ppo.Hyper(lr=LR[name], entropy=0.0 if name in ("hopper", "walker2d") else 0.01)


def updates(name: Game | Body) -> int:
    """The horizon N of a task, in updates of its learner."""
    own = learner(name)
    return STEPS.get(name, 1_000_000) // (own.n_envs * own.length)


def task(name: Game | Body) -> Task:
    """A game or a body with its learner.

    Raises:
        MissingExtra: brax is not installed (says what to install).
    """
    return Task(environment(name), learner(name), hyper(name), updates(name))
