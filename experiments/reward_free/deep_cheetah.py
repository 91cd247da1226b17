"""Explorers of brax's halfcheetah, without rewards, and what is learned offline from their rows by task.

The same two phases as `deep_point_maze`, on the back-end `spring`, whose physics are not those of MuJoCo: no
return here can be compared with one of the DeepMind control suite or of URLB, whose tasks these rewards
follow. Legend: `E` explorers, `K` tasks, `L` learners, `S` seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import jax.numpy as jnp
import numpy as np

from experiments.reward_free import two_phases
from experiments.reward_free.two_phases import COMPARED, METHODS
from jaxrl.data.relabel import relabel
from jaxrl.envs.adapters.cheetah_tasks import TASKS, VELOCITY, paid
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import member_keys

EPISODE = 1000  # steps


@dataclass(frozen=True)
class Config(two_phases.Config):
    """Both phases on the body; episodes of 1000 steps."""

    tasks: tuple[Literal["run", "run_back", "flip", "flip_back"], ...] = ("run",)
    """Rewards that relabel the data, each at most 1 per step."""


PRESETS = {
    "smoke": Config(
        explorers=("held", "RND"),
        learners=("f-DVL chi2",),
        steps=40,
        n_envs=2,
        gradient_steps=1,
        warmup=10,
        widths=(8,),
        batch_size=8,
        offline_steps=10,
        episodes=1,
        seeds=2,
    ),
    "quick": Config(
        learners=("TD3", "TD3+BC", "f-DVL chi2"),
        steps=30_000,
        n_envs=20,
        gradient_steps=10,
        offline_steps=10_000,
        episodes=2,
        seeds=2,
    ),
    "paper": Config(
        explorers=("uniform", "held", *COMPARED),
        tasks=tuple(TASKS),
        learners=("TD3", "TD3+BC", "IQL", "f-DVL chi2", "ODICE"),
        steps=1_000_000,
        n_envs=64,
        gradient_steps=32,
        batch_size=256,
        widths=(256, 256),
        offline_steps=500_000,
        episodes=10,
        seeds=8,
    ),
}
BETTER = "more"


def run(config: Config, folder: RunFolder) -> None:
    """Saves `speeds [E, S, 3]`, `collected [K, E, S]`, and `returns [K, L, E, S]` of the last policies.

    `speeds` are the 5 %, 50 % and 95 % quantiles of the velocity along x in m/s over an explorer's rows;
    `collected` is the mean reward of its rows times 1000, the return of an episode of such rows.
    """
    E, S = len(config.explorers), config.seeds
    keys = member_keys(config.seed, S)
    body = paid("run").env
    data = [one for name in config.explorers for one in two_phases.explored(config, folder, body, name, keys)]
    speeds = np.array([np.quantile(one.next_obs[:, VELOCITY], (0.05, 0.5, 0.95)) for one in data])
    collected, returns = [], []
    for task in config.tasks:
        rows = [relabel(one, TASKS[task], task) for one in data]
        collected.append(np.array([EPISODE * float(jnp.mean(one.reward)) for one in rows]).reshape(E, S))
        returns.append(
            [two_phases.learned(config, folder, paid(task), one, keys, rows, task) for one in config.learners]
        )
    folder.save_result(
        explorer=list(config.explorers),
        task=list(config.tasks),
        learner=list(config.learners),
        speeds=speeds.reshape(E, S, 3),
        collected=np.array(collected),
        returns=np.array(returns),
    )


def estimate(config: Config) -> dict[str, int]:
    """Members, programs and environment steps of a run, without evaluations."""
    return two_phases.estimate(config, len(config.tasks))


def scores(result: dict[str, np.ndarray]) -> dict[str, Score | np.ndarray]:
    """Speeds visited, rewards collected without knowing them, returns of the last policies."""
    found: dict[str, Score | np.ndarray] = {}
    for e, name in enumerate(result["explorer"].tolist()):
        # a control is no member, and an explorer's cover stands for its training
        low, _, high = result["speeds"][e].T
        spread = Score(high - low, None, derived=name not in METHODS)
        found[f"{name}: width of the middle 90 % of velocities, m/s"] = spread
        for k, task in enumerate(result["task"].tolist()):
            task = task.replace("_", " ")
            collected = Score(result["collected"][k, e], None, derived=True)
            found[f"{name}, {task}: collected per 1000 steps"] = collected
            for l, learner in enumerate(result["learner"].tolist()):
                found[f"{name}, {task}: return of {learner}"] = result["returns"][k, l, e]
    return found


def figure(folder: RunFolder) -> list[Path]:
    """Returns by explorer, all seeds, a panel per task and learner."""
    result = folder.load_result()
    names, tasks, learners = (result[x].tolist() for x in ("explorer", "task", "learner"))
    with plots.paper():
        fig, axes = plots.subplots(len(tasks), len(learners), width=3.2, height=0.9 + 0.3 * len(names))
        for k, task in enumerate(tasks):
            for l, learner in enumerate(learners):
                ax = axes[k, l]
                plots.seed_dots(ax, names if l == 0 else [""] * len(names), list(result["returns"][k, l]))
                ax.set(xlabel=f"return, {task.replace('_', ' ')}, {learner}", xlim=(0, None))
        return plots.save(fig, folder.figures / "deep_cheetah")
