"""Configuration, training, reference planner, arrays and pictures that the experiments on SubPO share.

Legend: `A` learners, `M` members of a learner (maps times seeds, maps first), `L` updates, `S` visited
states, `E` episodes shown, R x C cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np

from experiments.shared.medians import median_of
from experiments.submodular.efficiency import LEVEL, first_of_both, steps_to
from experiments.submodular.episodes import ShowItem, play
from experiments.submodular.problems import (
    LEARNERS,
    PROBLEMS,
    LearnerName,
    Problem,
    ProblemName,
    make,
    picture,
    stacked,
)
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Seed, Size, check_fields
from jaxrl.core.prng import streams
from jaxrl.core.tree import tree_take
from jaxrl.core.types import Algorithm
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.run.sweep import member_keys, stack_hypers
from jaxrl.run.train import train
from jaxrl.submodular.exact import successors
from jaxrl.submodular.search import beam_search, greedy_rollout

if TYPE_CHECKING:
    from pathlib import Path

    from jaxrl.run.folder import RunFolder

CREDITS = ("M total", "M marginal", "M prefix", "M gae", "M official")
"""Learners that differ from M in the credit of an action."""
SHOWN = 8  # episodes of the first member that are drawn


@dataclass(frozen=True)
class Config:
    """Learners on problems, seeds paired between learners; one compiled program per kind of learner."""

    problems: tuple[ProblemName, ...] = ("items", "bimodal")
    """Problems to train on, one or more, see `problems.PROBLEMS`."""
    learners: tuple[LearnerName, ...] = ("M", "NM", "ModPO")
    """Learners to compare, one or more, see `problems.LEARNERS`."""
    seeds: Size = 5
    """Members per learner and map; member i depends on the root seed and on i alone."""
    seed: Seed = 0
    """The root seed, in [0, 2^32)."""
    maps: Size = 1
    """Maps per problem, at most as many as it has; a problem of one map keeps that one."""
    n_envs: Size = 500
    """Episodes per update. Paper: 500."""
    updates: Size | None = None
    """Updates per member; None takes those of the released configuration of each problem."""
    width: Size = 300
    """Partial paths of the beam search that finds the value to compare with, on maps where none is known."""

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("problems", "learners"):
            if not getattr(self, name):
                raise UsageError(f"Config.{name}: must hold at least one name")


def run(config: Config, folder: RunFolder) -> None:
    """Trains all learners on all problems and saves values, episodes, and values to compare with.

    Per problem p: `value_p [A, M, L]`, mean F over the episodes of each update; `best_p [maps]`, the largest
    value known; `greedy_p [maps]`, that of the myopic planner; `cells_p [A, E, S]`, episodes of the trained
    policies on the first map; `map_p [R, C]`. For all problems `n_envs`, the episodes of an update.
    """
    arrays: dict[str, Any] = {"problem": list(config.problems), "learner": list(config.learners)}
    arrays["n_envs"] = config.n_envs
    for index, name in enumerate(config.problems):
        found = _solve(config, PROBLEMS[name], folder, stage=f"problem-{index}")
        arrays |= {f"{key}_{index}": x for key, x in found.items()}
    folder.save_result(**arrays)


def estimate(config: Config) -> dict[str, int]:
    """Members of all learners, and environment steps."""
    members = steps = 0
    for name in config.problems:
        problem = PROBLEMS[name]
        count = len(config.learners) * config.seeds * min(config.maps, problem.maps)
        members += count
        steps += count * (config.updates or problem.updates) * config.n_envs * (problem.states - 1)
    return {"members": members, "env_steps": steps}


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray | Score]:
    """What is reached by problem and learner, and after how many environment steps.

    Per problem and learner the mean F over the last update's episodes, `float[M]`, NaN where it diverged,
    and the steps until the mean over an update's episodes is 90 % of the best known value. Beside ModPO the
    paired difference to it, and the share of seeds that reach the 90 % before it does. Of the gain to go (M)
    the paired difference to every other credit.
    """
    found: dict[str, np.ndarray | Score] = {}
    # results from before the number of episodes was saved have the released 500
    episodes = int(result.get("n_envs", 500))
    for p, name in enumerate(result["problem"].tolist()):
        problem, learners = PROBLEMS[name], result["learner"].tolist()
        last = result[f"value_{p}"][:, :, -1] * problem.unit
        curves = _normalised(result, p)
        count = episodes * (problem.states - 1) * np.arange(1, curves.shape[-1] + 1)
        steps = [steps_to(curve, count, LEVEL) for curve in curves]
        for a, learner in enumerate(learners):
            found[f"{name}: {learner}"] = last[a]
            found[f"{name}: {learner}, steps to 90 %"] = median_of(steps[a])
        for credit in (c for c in CREDITS if c in learners and "M" in learners):
            difference = last[learners.index("M")] - last[learners.index(credit)]
            found[f"{name}: M minus {credit}"] = Score(difference, "more", derived=True)
        if "ModPO" in learners:
            other = learners.index("ModPO")
            for a in (a for a in range(len(learners)) if a != other):
                difference = Score(last[a] - last[other], "more", derived=True)
                found[f"{name}: {learners[a]} minus ModPO"] = difference
                found[f"{name}: {learners[a]} at 90 % before ModPO"] = first_of_both(steps[a], steps[other])
    return found


def _solve(config: Config, problem: Problem, folder: RunFolder, stage: str) -> dict[str, Any]:
    maps = problem.data(min(config.maps, problem.maps))
    learners = [LEARNERS[name] for name in config.learners]
    buckets: dict[Any, list[int]] = {}
    for a, learner in enumerate(learners):
        buckets.setdefault(learner.static(problem, config.n_envs), []).append(a)
    members, updates = len(maps) * config.seeds, config.updates or problem.updates
    value = np.zeros((len(learners), members, updates))
    cells = np.zeros((len(learners), SHOWN, problem.states), np.int32)
    for number, ((features, modular, static), chosen) in enumerate(buckets.items()):
        env = problem.env(features, modular)
        algorithm = make(static, env)
        hypers = [learners[a].hyper(problem) for a in chosen for _ in maps]
        keys = member_keys(config.seed, config.seeds)
        shared = len(maps) == 1
        trained = train(
            algorithm,
            keys[np.tile(np.arange(config.seeds), len(hypers))],
            stack_hypers(hypers, config.seeds),
            maps[0] if shared else stacked(maps, config.seeds, len(chosen)),
            updates=updates,
            log_every=1,
            shared_data=shared,
            env_steps_per_update=static.n_envs * static.length,
            labels=[f"{config.learners[a]}, {i}" for a in chosen for i in range(members)],
            stage=f"{stage}-{number}",
            folder=folder,
        )
        for position, a in enumerate(chosen):
            value[a] = trained.history["train/F"][:, position * members : (position + 1) * members].T
            state = tree_take(trained.state, position * members)
            cells[a] = _episodes(algorithm, env, state, hypers[0], maps[0], problem.states)
    env = problem.make(0, states=problem.states)
    greedy, best = zip(*(_references(env, data, problem, config.width) for data in maps), strict=True)
    return {
        "value": value.astype(np.float32),
        "cells": cells,
        "greedy": greedy,
        "best": best,
        "map": picture(problem, maps[0]),
    }


def _episodes(algorithm: Algorithm, env: Any, state: Any, hyper: Any, data: Any, states: int) -> np.ndarray:
    """int32[E, S], the cells of sampled episodes."""

    @jax.jit
    def run(state: Any, data: Any) -> jax.Array:
        policy = algorithm.act(state, hyper, False)
        first, _, batch = play(
            ShowItem(env), policy, jax.random.key(0), data, SHOWN, states - 1, keep=("item",)
        )
        start = jax.vmap(env.item, (None, 0))(data, first.env_state)
        return jnp.concatenate([start[None], batch.info["item"]]).T

    return np.asarray(run(state, data))


def _references(env: Any, data: Any, problem: Problem, width: int) -> tuple[float, float]:
    """`(mean F of the myopic planner, largest value known)` on one map; a beam search where none is known."""
    grid, place = env.env.env, data.env.env
    successor, probability = successors(np.asarray(grid.to_tabular(place).P))
    moves = jnp.asarray(successor, jnp.int32), jnp.asarray(probability, jnp.float32)
    walk = partial(greedy_rollout, env.F, data.F, *moves, place.start, problem.states)
    paths = jax.jit(jax.vmap(walk))(streams(jax.random.key(1), 100 if place.slip > 0 else 1))
    greedy = float(paths.value.mean())
    if problem.best:
        return greedy, problem.best
    ends = successor[np.arange(len(successor))[:, None], probability.argmax(-1)]
    return greedy, beam_search(env.F, data.F, ends, int(place.start), problem.states, width)[1]


# --- pictures ---------------------------------------------------------------------------------------------


def figure(folder: RunFolder) -> list[Path]:
    """Learning curves over the best known value, and episodes of the first trained member over the map."""
    result = folder.load_result()
    learners = result["learner"].tolist()
    with plots.paper():
        rows, columns = len(result["problem"]), 1 + len(learners)
        fig, axes = plots.subplots(rows, columns, width=3.1, height=2.9)
        for p, name in enumerate(result["problem"].tolist()):
            _curves(axes[p, 0], result, p, name)
            for a, learner in enumerate(learners):
                _paths(axes[p, 1 + a], result[f"map_{p}"], result[f"cells_{p}"][a], f"{name}: {learner}")
        return plots.save(fig, folder.figures / "learning_curves")


def _curves(ax: Any, result: dict[str, np.ndarray], p: int, title: str) -> None:
    value = _normalised(result, p)
    update = np.arange(1, value.shape[-1] + 1)
    for a, learner in enumerate(result["learner"].tolist()):
        plots.learning_curve(
            ax, update, value[a], label=learner, color=plots.PALETTE[a % 7], better="more", worst=0.0
        )
    greedy = float(np.mean(result[f"greedy_{p}"] / result[f"best_{p}"]))
    ax.axhline(greedy, color=plots.GREY, linewidth=0.8, linestyle=":")
    ax.annotate("greedy planner", (1, greedy), (0, 2), xycoords=("axes fraction", "data"),
                textcoords="offset points", ha="right", fontsize=7.5, color=plots.GREY)  # fmt: skip
    ax.set(title=title, xlabel="update", ylabel="F / best known value", ylim=(0, 1.05))
    ax.legend(fontsize=7)


def _paths(ax: Any, values: np.ndarray, cells: np.ndarray, title: str) -> None:
    """Episodes as thin lines over the map, shifted a little so that they do not hide each other."""
    low, high = np.nanmin(values), np.nanmax(values)
    palette = matplotlib.colormaps["Greys"].with_extremes(bad=plots.GREY)
    ax.imshow(values, cmap=palette, vmin=low, vmax=high if high > low else low + 1, alpha=0.55)
    columns = values.shape[1]
    for e, path in enumerate(cells):
        shift = 0.06 * (e - len(cells) / 2)
        ax.plot(path % columns + shift, path // columns + shift, color=plots.PALETTE[e % 7], linewidth=0.9)
    ax.plot(cells[0, 0] % columns, cells[0, 0] // columns, "o", color="black", markersize=4)
    ax.set(xticks=[], yticks=[])
    ax.set_title(title, fontsize=8.5)
    ax.grid(False)


def spread(folder: RunFolder, title: str) -> list[Path]:
    """The value of every member after the last update, one row per learner, one panel per problem."""
    result = folder.load_result()
    learners = result["learner"].tolist()
    with plots.paper():
        fig, axes = plots.subplots(1, len(result["problem"]), width=3.6, height=3.2)
        for p, (ax, name) in enumerate(zip(axes[0], result["problem"].tolist(), strict=True)):
            plots.seed_dots(ax, learners, list(_normalised(result, p)[:, :, -1]))
            ax.set(title=f"{name}{title}", xlabel="F / best known value, every seed", xlim=(0, 1.05))
        return plots.save(fig, folder.figures / "spread")


def _normalised(result: dict[str, np.ndarray], p: int) -> np.ndarray:
    """float[A, M, L], of the largest value known on each member's map."""
    value, best = result[f"value_{p}"], np.atleast_1d(result[f"best_{p}"])
    return value / np.repeat(best, value.shape[1] // len(best))[:, None]
