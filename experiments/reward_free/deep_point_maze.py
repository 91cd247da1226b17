"""Explorers of the point maze, without rewards, and what can be learned offline from what they have seen.

Every explorer runs for the same number of steps beside two controls, uniform actions that are drawn at every
step and uniform actions that are held. What it visited is then relabelled with the reward of a task that it
has never seen, and TD3 (or TD3+BC) learns from these rows alone. A controller that was written for the maze
shows what a task can pay. Legend: `E` explorers, `K` tasks, `L` learners, `S` seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.shared.returns import offline_returns
from jaxrl.baselines import td3
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Count, Seed, Size, check_fields
from jaxrl.core.prng import stream
from jaxrl.core.tree import tree_stack, tree_take
from jaxrl.core.types import Array, Key, Policy, PyTree
from jaxrl.data.collect import uniform
from jaxrl.data.dataset import Dataset
from jaxrl.data.record import from_unroll
from jaxrl.data.relabel import Reward, relabel
from jaxrl.envs.control.point_maze import TARGETS, PointMaze, cell_of, task_reward
from jaxrl.envs.wrappers.rescale_obs import RescaleObs, rescale_obs
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.reward_free.explorers import apt, disagreement, gfa_rfe, rnd
from jaxrl.reward_free.explorers.held import held
from jaxrl.reward_free.explorers.learner import visited
from jaxrl.rollout.evaluate import evaluate
from jaxrl.rollout.unroll import start, unroll
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import member_keys, stack_hypers
from jaxrl.run.train import train

Explorer = Literal[
    "uniform",
    "held",
    "RND",
    "RND (fewer updates)",
    "RND (plain critics)",
    "RND (both)",
    "disagreement",
    "APT",
    "GFA-RFE",
    "GFA-RFE (released)",
]
Task = Literal["top_left", "top_right", "bottom_left", "bottom_right"]


class Method(NamedTuple):
    """A learned explorer, and what it changes in the common settings."""

    module: ModuleType
    config: dict[str, Any]
    hyper: dict[str, Any]


_FEWER, _PLAIN, _FAST = {"gradient_steps": 3}, {"layer_norm": False}, {"lr_actor": 1e-3}
METHODS: dict[str, Method] = {
    "RND": Method(rnd, {}, {}),
    "RND (fewer updates)": Method(rnd, _FEWER, {}),
    "RND (plain critics)": Method(rnd, _PLAIN, _FAST),
    "RND (both)": Method(rnd, _FEWER | _PLAIN, _FAST),
    "disagreement": Method(disagreement, {}, {}),
    "APT": Method(apt, {}, {}),
    "GFA-RFE": Method(gfa_rfe, {}, {}),
    "GFA-RFE (released)": Method(gfa_rfe, {"initial": "outputs"}, {}),
}
COMPARED = ("RND", "disagreement", "APT", "GFA-RFE", "GFA-RFE (released)")
FREE_CELLS = 348  # of the 20 x 20 grid, whose centre the ball can reach


@dataclass(frozen=True)
class Config:
    """Explorers, tasks, and the lengths of both phases."""

    explorers: tuple[Explorer, ...] = ("uniform", "held", "RND")
    """Who collects the data. GFA-RFE (released) has the initial weights of the released code. RND with fewer
    updates makes 3 gradient steps per step of all environments; with plain critics it has no layer norm and
    a learning rate of 1e-3 for the actor; with both it has all of these."""
    tasks: tuple[Task, ...] = ("bottom_right",)
    """Targets whose reward relabels the data; the ball starts in the upper left."""
    learners: tuple[Literal["TD3", "TD3+BC"], ...] = ("TD3",)
    """Who learns from the relabelled data."""
    steps: Size = 50_000
    """Steps that every explorer makes, over all its environments."""
    n_envs: Size = 10
    """Number of environments of an explorer, which must divide `steps`."""
    gradient_steps: Size = 10
    """Gradient steps of an explorer per step of all its environments."""
    warmup: Count = 4000
    """First steps of an explorer, which act uniformly at random; URLB: 4000."""
    hold: Size = 100
    """Steps for which the held control keeps an action."""
    widths: tuple[Size, ...] = (64, 64)
    """Hidden units per layer of every network. ExORL: (1024, 1024)."""
    batch_size: Size = 128
    """Transitions per gradient step, in both phases. ExORL: 1024."""
    offline_steps: Size = 10_000
    """Gradient steps of the offline learners. ExORL: 500,000."""
    episodes: Size = 16
    """Episodes of the evaluation of each last policy, greedy, 1000 steps each."""
    scripted: bool = True
    """Whether the controller that was written for the maze is evaluated, too."""
    seeds: Size = 3
    """Members per explorer, each with data of its own."""
    seed: Seed = 0
    """Root seed of the members, in [0, 2^32)."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.steps % self.n_envs:
            raise UsageError(f"Config.n_envs: must divide steps {self.steps}, got {self.n_envs}")


PRESETS = {
    "smoke": Config(
        explorers=("RND",),
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
    data = [one for name in config.explorers for one in _explored(config, folder, env, name, keys)]
    cells = [cell_of(jax.vmap(env.restore)(one.next_obs)) for one in data]
    visits = np.stack([np.bincount(np.asarray(cell), minlength=400) for cell in cells])
    paid, returns = [], []
    for task in config.tasks:
        reward = _seen_reward(env, task)
        relabelled = [relabel(one, reward, task).replace(meta=()) for one in data]
        paid.append(np.array([float((one.reward >= 0.1).mean()) for one in relabelled]).reshape(E, S))
        rows = tree_stack(relabelled)
        returns.append([_learned(config, folder, task, learner, keys, rows) for learner in config.learners])
    folder.save_result(
        explorer=list(config.explorers),
        task=list(config.tasks),
        learner=list(config.learners),
        cells=(visits > 0).sum(1).reshape(E, S),
        full_force=np.array([float((jnp.abs(one.action) > 0.95).mean()) for one in data]).reshape(E, S),
        visits=visits.reshape(E, S, 400)[:, 0],
        paid=np.array(paid),
        returns=np.array(returns).reshape(len(config.tasks), len(config.learners), E, S),
        scripted=[_scripted_return(config, task) for task in config.tasks],
    )


def _seen_reward(env: RescaleObs, task: str) -> Reward:
    """The reward of a task as a function of what the explorers saw."""
    reward = task_reward(task)
    return lambda obs, action, next_obs: reward(env.restore(obs), action, env.restore(next_obs))


def _explored(config: Config, folder: RunFolder, env: RescaleObs, name: str, keys: Array) -> list[Dataset]:
    """What each member has seen."""
    params, updates = env.default_params(), config.steps // config.n_envs
    if name not in METHODS:
        policy = uniform(env) if name == "uniform" else held(env, config.hold)
        return [_controlled(env, policy, key, params, config.n_envs, updates) for key in keys]
    method = METHODS[name]
    choices = {"gradient_steps": config.gradient_steps, "layer_norm": True} | method.config
    static = method.module.Config(
        n_envs=config.n_envs,
        batch_size=config.batch_size,
        capacity=config.steps,
        widths=config.widths,
        module_widths=config.widths,
        policy_delay=1,
        **choices,
    )
    rates = {"lr_actor": 1e-4, "lr_critic": 1e-3, "lr_module": 1e-3} | method.hyper
    hyper = method.module.Hyper(
        tau=0.01, exploration_noise=0.2, warmup=config.warmup // config.n_envs, **rates
    )
    trained = train(
        method.module.make(static, env),
        keys,
        stack_hypers([hyper], config.seeds),
        params,
        updates=updates,
        folder=folder,
        stage="explore-" + "".join(c if c.isalnum() else "-" for c in name.lower()).strip("-"),
        env_steps_per_update=config.n_envs,
    )
    return [visited(static, tree_take(trained.state, i)) for i in range(config.seeds)]


def _controlled(
    env: RescaleObs, policy: Policy, key: Key, params: PyTree, n_envs: int, length: int
) -> Dataset:
    k_start, k_run = jax.random.split(stream(key, 1))
    vec = start(env, policy, k_start, params, n_envs)
    return from_unroll(unroll(env, policy, vec, k_run, params, length=length)[1])


def _learned(
    config: Config, folder: RunFolder, task: str, learner: str, keys: Array, rows: Dataset
) -> np.ndarray:
    """Returns of the last policies, float[E S], of one learner on data `[E S, n, ...]` of one task."""
    env, per_update = rescale_obs(PointMaze(task)), 10
    static = td3.Config(
        gradient_steps=per_update,
        batch_size=config.batch_size,
        widths=config.widths,
        policy_delay=1,
        behaviour_cloning=learner == "TD3+BC",
    )
    algorithm = td3.make(static, env.observation_space, env.action_space)
    count = len(config.explorers)
    trained = train(
        algorithm,
        keys[np.tile(np.arange(config.seeds), count)],
        stack_hypers(
            [td3.Hyper(lr_actor=1e-3, lr_critic=1e-3, tau=0.02, noise_clip=0.3)] * count, config.seeds
        ),
        rows,
        shared_data=False,
        updates=-(-config.offline_steps // per_update),
        evaluate=offline_returns(algorithm, env, config.episodes),
        folder=folder,
        stage=f"{learner.lower().replace('+', '-')}-{task}",
        labels=[f"seed {i} of {name}" for name in config.explorers for i in range(config.seeds)],
    )
    return trained.history["eval/return"][-1]


def waypoint(task: str, position: Array) -> Array:
    """The point to steer for, float[2], from `position` float[2], around the cross to the target."""
    if task == "bottom_left":  # the mirror image of the upper right
        return -waypoint("top_right", -position[::-1])[::-1]
    x, y = position
    target = jnp.asarray(TARGETS[task])
    if task == "top_left":
        return target
    over = jnp.asarray([0.24, 0.22])
    if task == "top_right":
        return jnp.where(x < 0.05, over, target)
    down = jnp.asarray([0.215, -0.15])
    return jnp.where((x < 0.195) & (y > 0), over, jnp.where(y > -0.035, down, target))


def controller(task: str) -> Policy:
    """Full force towards the next waypoint, and little where it is near: proportional, and damped."""

    def act(key: Key, obs: Array, memory: PyTree) -> tuple[Array, tuple[()], PyTree]:
        position, velocity = obs[:2], obs[2:]
        return jnp.clip(40 * (waypoint(task, position) - position) - 10 * velocity, -1, 1), (), memory

    return Policy(act)


def _scripted_return(config: Config, task: str) -> float:
    if not config.scripted:
        return float("nan")
    env = PointMaze(task)
    key = stream(jax.random.key(config.seed), 1)
    found = evaluate(env, controller(task), key, env.default_params(), episodes=config.episodes)
    return float(found.returns.mean())


def estimate(config: Config) -> dict[str, int]:
    """Members, programs and environment steps of a run, without evaluations."""
    learned = len(config.tasks) * len(config.learners)
    methods = sum(name in METHODS for name in config.explorers)
    return {
        "members": config.seeds * (methods + learned * len(config.explorers)),
        "compilations": methods + learned,
        "env_steps": config.seeds * len(config.explorers) * config.steps,
    }


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
