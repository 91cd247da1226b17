"""Finite tasks as the experiments train them: tables, learner, and hyper-parameters by task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.baselines import ppo
from jaxrl.core.errors import UsageError, nearest
from jaxrl.envs.tabular.mdp import TabularMDP
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.morl.learners import EvaluationOptions
from jaxrl.morl.metrics import weight_lattice
from jaxrl.morl.tasks import Task, task


@dataclass(frozen=True)
class Setting:
    """How one finite task is trained.

    length: steps per environment and update; entropy: bonus at the first update; initial: updates of stage 1;
    step: of the lattice of preferences of stage 1; selected, rounds: N and rounds of stage 2; t:
    sharpnesses of the barrier, one or more.
    """

    length: int
    entropy: float
    initial: int
    step: float
    selected: int
    rounds: int
    t: tuple[float, ...]
    objectives: tuple[str, ...]


SEA = Setting(64, 2.0, 200, 0.2, 4, 5, (20.0, 100.0), ("treasure", "time"))
EPISODES = 16  # per evaluation where actions are sampled
TREE = Setting(20, 0.3, 60, 1.0, 6, 4, (100.0,), tuple(f"nutrient {i}" for i in range(1, 7)))
SETTINGS = {
    "dst-concave": SEA,
    "dst-convex": SEA,
    "dst-convex-episodes": SEA,
    "dst-mirrored": SEA,
    "fruit-tree-5": TREE,
    "fruit-tree-6": TREE,
}


def setting(name: str) -> Setting:
    """The setting of a task; raises `UsageError` with the nearest name where there is none."""
    if name not in SETTINGS:
        raise UsageError(f"Config.tasks: {name!r} has no setting; {nearest(name, SETTINGS)}")
    return SETTINGS[name]


@dataclass(frozen=True)
class Finite:
    """A task as tables, which its policies see as states.

    exact: the same tables in float64, for oracles. front: vertices float64[k, m] of what deterministic
    policies reach, discounted as the task says.
    """

    task: Task
    env: Tabular
    mdp: TabularMDP
    exact: TabularMDP
    front: np.ndarray

    @property
    def evaluation(self) -> EvaluationOptions:
        """Evaluation of the task; tables have no time limit of their own, so that its horizon is passed."""
        episodes = EPISODES if self.task.evaluation == "sampled" else 1
        return EvaluationOptions(self.task.evaluation, episodes=episodes, limit=self.task.horizon)


def finite(name: str) -> Finite:
    """The tables of a task that has an exact front."""
    found = task(name)
    env: Any = found.make()
    with jax.enable_x64(True):
        exact = jax.tree.map(np.asarray, jax.jit(env.to_tabular)(env.default_params()))
    exact = exact.replace(gamma=np.float64(found.gamma))
    mdp = jax.tree.map(jnp.asarray, exact)
    return Finite(found, Tabular.of(mdp), mdp, exact, env.front(found.gamma))


def learner(one: Setting, n_envs: int) -> ppo.Config:
    """A softmax per state, and a value per state and objective."""
    return ppo.Config(n_envs=n_envs, length=one.length, epochs=4, minibatches=4, widths=(), clip_value=False)


def numbers(one: Setting, found: Finite, updates: int) -> ppo.Hyper:
    """Hyper-parameters of PPO in stage 1; training and evaluation have one discount."""
    return ppo.Hyper(
        lr=0.02, gamma=found.task.gamma, lambda_=0.95, entropy=one.entropy, updates_total=float(updates)
    )


def grid(one: Setting) -> np.ndarray:
    """Preferences float64[M, m] of stage 1."""
    return weight_lattice(len(one.objectives), one.step)
