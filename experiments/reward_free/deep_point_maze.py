"""Explorers of the point maze, without rewards, and what can be learned offline from what they have seen.

Every explorer runs for the same number of steps beside two controls, uniform actions that are drawn at every
step and uniform actions that are held. What it visited is then relabelled with the reward of a task that it
has never seen, and TD3 (or TD3+BC) learns from these rows alone. A controller that was written for the maze
shows what a task can pay. Legend: `E` explorers, `K` tasks, `L` learners, `S` seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import jax
import numpy as np

from experiments.reward_free import two_phases
from experiments.reward_free.maze_controller import controller
from experiments.reward_free.two_phases import COMPARED, METHODS
from jaxrl.core.prng import stream
from jaxrl.core.types import Array
from jaxrl.data.relabel import Reward, relabel
from jaxrl.envs.control.point_maze import TARGETS, PointMaze, cell_of, task_reward
from jaxrl.envs.wrappers.rescale_obs import RescaleObs, rescale_obs
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.rollout.evaluate import evaluate
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import member_keys

Task = Literal["top_left", "top_right", "bottom_left", "bottom_right"]
FREE_CELLS = 348  # of the 20 x 20 grid, whose centre the ball can reach


@dataclass(frozen=True)
class Config(two_phases.Config):
    """Both phases on the point maze; episodes of 1000 steps of the maze."""

    tasks: tuple[Task, ...] = ("bottom_right",)
    """Targets whose reward relabels the data; the ball starts in the upper left."""
    scripted: bool = True
    """Whether the controller that was written for the maze is evaluated, too."""


PRESETS = {
    "smoke": Config(
        explorers=("held", "RND"),
        steps=200,
        gradient_steps=1,
        warmup=50,
        widths=(8,),
        batch_size=16,
        offline_steps=20,
        episodes=2,
        scripted=False,
        seeds=2,
    ),
    "quick": Config(),
    "causes": Config(explorers=("RND (fewer updates)", "RND (plain critics)", "RND (both)"), scripted=False),
    "long": Config(tasks=("top_right", "bottom_right"), steps=200_000, offline_steps=20_000),
    "explorers": Config(explorers=COMPARED[1:], scripted=False),
    "paper": Config(
        explorers=("uniform", "held", *COMPARED),
        tasks=tuple(TARGETS),
        learners=("TD3", "TD3+BC"),
        steps=1_000_000,
        batch_size=256,
        widths=(256, 256),
        offline_steps=500_000,
        seeds=8,
    ),
}
BETTER = "more"


def run(config: Config, folder: RunFolder) -> None:
    """Saves `cells [E, S]`, `full_force [E, S]`, `visits [E, 400]` of seed 0, `paid [K, E, S]`, `returns
    [K, L, E, S]` of the last policies, and `scripted [K]`.

    `full_force` is the share of forces beyond 0.95 of the largest, `paid` that of rows with a reward of at
    least 0.1.
    """
    env, (E, S) = rescale_obs(PointMaze()), (len(config.explorers), config.seeds)
    keys = member_keys(config.seed, S)
    data = [one for name in config.explorers for one in two_phases.explored(config, folder, env, name, keys)]
    visits = np.stack([np.bincount(_cells(env, one.next_obs), minlength=400) for one in data])
    paid, returns = [], []
    for task in config.tasks:
        reward, world = _seen_reward(env, task), rescale_obs(PointMaze(task))
        rows = [relabel(one, reward, task) for one in data]
        paid.append(np.array([np.mean(np.asarray(one.reward) >= 0.1) for one in rows]).reshape(E, S))
        returns.append(
            [two_phases.learned(config, folder, world, one, keys, rows, task) for one in config.learners]
        )
    folder.save_result(
        explorer=list(config.explorers),
        task=list(config.tasks),
        learner=list(config.learners),
        cells=(visits > 0).sum(1).reshape(E, S),
        full_force=np.array([np.mean(np.abs(one.action) > 0.95) for one in data]).reshape(E, S),
        visits=visits.reshape(E, S, 400)[:, 0],
        paid=np.array(paid),
        returns=np.array(returns),
        scripted=[_scripted_return(config, task) for task in config.tasks],
    )


@partial(jax.jit, static_argnums=0)
def _cells(env: RescaleObs, obs: Array) -> Array:
    """int32[n], the cells of what the explorers saw `[n, 4]`."""
    return cell_of(jax.vmap(env.restore)(obs))


def _seen_reward(env: RescaleObs, task: str) -> Reward:
    """The reward of a task as a function of what the explorers saw."""
    reward = task_reward(task)
    return lambda obs, action, next_obs: reward(env.restore(obs), action, env.restore(next_obs))


def _scripted_return(config: Config, task: str) -> float:
    if not config.scripted:
        return float("nan")
    env = PointMaze(task)
    key = stream(jax.random.key(config.seed), 1)
    found = evaluate(env, controller(task), key, env.default_params(), episodes=config.episodes)
    return float(found.returns.mean())


def estimate(config: Config) -> dict[str, int]:
    """Members, programs and environment steps of a run, without evaluations."""
    return two_phases.estimate(config, len(config.tasks))


def scores(result: dict[str, np.ndarray]) -> dict[str, Score | np.ndarray]:
    """Cells visited, shares of paid rows and returns of the last policies; the controller's returns."""
    explorers, found = result["explorer"].tolist(), {}
    for e, name in enumerate(explorers):
        # a control is no member: nothing is trained
        cells = Score(result["cells"][e].astype(float), BETTER, derived=name not in METHODS)
        found[f"{name}: cells visited, of {FREE_CELLS}"] = cells
        if name in METHODS:
            force = 100 * result["full_force"][e]
            found[f"{name}: forces beyond 0.95 of the largest, in %"] = Score(force, "less", derived=True)
    for k, task in enumerate(result["task"].tolist()):
        task = task.replace("_", " ")
        for e, name in enumerate(explorers):
            for l, learner in enumerate(result["learner"].tolist()):
                found[f"{name}, {task}: return of {learner}"] = result["returns"][k, l, e]
            found[f"{name}, {task}: rows paid, in %"] = Score(
                100 * result["paid"][k, e], BETTER, derived=True
            )
        if np.isfinite(result["scripted"][k]):
            found[f"{task}: return of the written controller"] = Score(
                result["scripted"][k : k + 1], BETTER, derived=True
            )
    return found


def figure(folder: RunFolder) -> list[Path]:
    """Cells visited and returns by explorer, all seeds; the written controller is the dotted line."""
    result = folder.load_result()
    names = result["explorer"].tolist()
    rows = [(k, l) for k in range(len(result["task"])) for l in range(len(result["learner"]))]
    with plots.paper():
        fig, axes = plots.subplots(
            1, 1 + len(rows), width=3.4 * (1 + len(rows)), height=0.8 + 0.3 * len(names)
        )
        plots.seed_dots(axes[0, 0], names, list(result["cells"].astype(float)))
        axes[0, 0].axvline(FREE_CELLS, color=plots.GREY, linewidth=0.8, linestyle=":")
        axes[0, 0].set(xlabel=f"cells visited, of {FREE_CELLS}", xlim=(0, None))
        for ax, (k, l) in zip(axes[0, 1:], rows, strict=True):
            plots.seed_dots(ax, names, list(result["returns"][k, l]))
            if np.isfinite(result["scripted"][k]):
                ax.axvline(result["scripted"][k], color=plots.GREY, linewidth=0.8, linestyle=":")
            task = result["task"][k].replace("_", " ")
            ax.set(xlabel=f"return, {task}, {result['learner'][l]}", xlim=(0, None))
        return plots.save(fig, folder.figures / "deep_point_maze")
