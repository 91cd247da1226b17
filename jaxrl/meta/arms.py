"""Arms of one program: rules of the slot "drift" that differ in numbers alone, and their evolution on
lifetimes.

What an arm is made of (`drift.Parts`) and which of the evolved entries it has (gates of 0 or 1) are
numbers, so that plain and PPO-initialised, blind and time-aware rules, schedules, and rules made by hand
run as members of one program.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxrl.baselines import ppo
from jaxrl.core.spaces import Box
from jaxrl.core.types import Array, Key, PyTree
from jaxrl.meta.drift import LARGEST, Parts, told
from jaxrl.meta.evolution import Problem, Settings
from jaxrl.meta.lifetimes import Lifetime, Task
from jaxrl.meta.objective import Objective, Time


class Fixed(NamedTuple):
    """What tells an arm from another, and is not evolved.

    parts: `drift.Parts`. gates: a factor for every evolved entry of phi, 0 for what the arm does not have.
    """

    parts: Parts
    gates: PyTree


def assembled(phi: PyTree, fixed: Fixed) -> PyTree:
    """Parameters of the rule of one arm: its parts, and the evolved entries times their gates."""
    return {"parts": fixed.parts} | {name: phi[name] * gate for name, gate in fixed.gates.items()}


def evolved(objective: Objective) -> Callable[[Key], PyTree]:
    """`(key) -> phi` without the parts: where the search of a drift begins."""
    return lambda key: {name: value for name, value in objective.init(key).items() if name != "parts"}


def problem(
    run: Lifetime, objective: Objective, tasks: Callable[[Key, int], Task], aware: bool = False
) -> Problem:
    """Evolution of drifts by the returns of lifetimes; `data` is the `ppo.Hyper` of the learner.

    run: as `lifetimes.lifetime` makes it of `drift.learner`. `evolution.Hyper.fixed` of every arm is a
    `Fixed`.
    aware: whether a mask without a live time input is refused.
    """

    def fitness(phi: PyTree, task: Task, settings: Settings, data: ppo.Hyper) -> Array:
        rule = assembled(phi, settings.fixed)
        hyper = told(data, rule, task.horizon.astype(jnp.float32), settings.mask)
        return run(hyper, task.level, task.horizon, task.key)

    def answer(phi: PyTree, obs: PyTree, settings: Settings) -> Array:
        horizon, log_ratio = obs["horizon"][0], obs["log_ratio"]
        time = Time(obs["progress"][0] * horizon, horizon, settings.mask)
        rule = assembled(phi, settings.fixed)
        return objective.apply(rule, jnp.exp(log_ratio), log_ratio, obs["advantage"], time)

    reads = {
        "advantage": Box(-np.inf, np.inf, (1,)),
        "horizon": Box(1.0, 1e6, (1,)),
        "log_ratio": Box(-LARGEST, LARGEST, (1,)),
        "progress": Box(0.0, 1.0, (1,)),
    }
    return Problem(evolved(objective), tasks, fitness, answer, reads, Box(0.0, np.inf, (1,)), aware)
