"""Known scores: PPO, SAC and TD3 on tasks where the field knows what to expect.

Each task is one compiled population of seeds; every number is the mean return of the last greedy policy over
whole episodes with keys that training has not used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from jaxrl.baselines import ppo, sac, td3
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Seed, Size, check_fields
from jaxrl.envs.adapters.brax import Brax
from jaxrl.envs.base import Env
from jaxrl.envs.control.acrobot import Acrobot
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.envs.control.pendulum import Pendulum
from jaxrl.report import plots
from jaxrl.rollout.evaluate import greedy_return
from jaxrl.rollout.unroll import Pool
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import sweep


class Task(NamedTuple):
    """An algorithm with everything it needs on one environment, and what the field expects of it."""

    method: ModuleType
    env: Callable[[], Env]
    config: Any
    hyper: Any
    updates: int
    expected: float
    random: float  # return of a policy that acts uniformly at random, where the axis of the figure starts


_SCALED = {"normalise_obs": True, "scale_rewards": True}
TASKS = {
    "PPO CartPole": Task(
        ppo, CartPole, ppo.Config(scale_rewards=True), ppo.Hyper(anneal=1.0), 62, 500.0, 22.0
    ),
    "PPO Acrobot": Task(ppo, Acrobot, ppo.Config(**_SCALED), ppo.Hyper(anneal=1.0), 62, -100.0, -500.0),
    "PPO Pendulum": Task(
        ppo,
        Pendulum,
        ppo.Config(epochs=10, minibatches=8, **_SCALED),
        ppo.Hyper(gamma=0.95, entropy=0.0),
        60,
        -200.0,
        -1230.0,
    ),
    "SAC Pendulum": Task(
        sac,
        Pendulum,
        sac.Config(n_envs=8, gradient_steps=8, batch_size=128, capacity=20_000, widths=(64, 64)),
        sac.Hyper(lr_actor=1e-3, lr_critic=1e-3, lr_temperature=1e-3, gamma=0.98, warmup=100),
        2000,
        -200.0,
        -1230.0,
    ),
    "TD3 Pendulum": Task(
        td3,
        Pendulum,
        td3.Config(n_envs=8, gradient_steps=8, batch_size=128, capacity=20_000, widths=(64, 64)),
        td3.Hyper(lr_actor=1e-3, lr_critic=1e-3, gamma=0.98, warmup=100),
        2000,
        -200.0,
        -1230.0,
    ),
    "PPO inverted_pendulum/spring": Task(
        ppo,
        lambda: Brax("inverted_pendulum", "spring"),
        ppo.Config(minibatches=16, squash=True, free_log_std=False, reset=Pool(16), **_SCALED),
        ppo.Hyper(lr=3e-4, anneal=1.0),
        220,
        1000.0,
        15.0,
    ),
    "PPO hopper/spring": Task(
        ppo,
        lambda: Brax("hopper", "spring"),
        ppo.Config(minibatches=8, reset=Pool(16), **_SCALED),
        ppo.Hyper(entropy=0.0),
        120,
        500.0,
        20.0,
    ),
}


@dataclass(frozen=True)
class Config:
    """Tasks and numbers of seeds."""

    tasks: tuple[str, ...] = tuple(name for name in TASKS if not name.startswith("TD3"))
    """Names of tasks, in the order of the figure. TD3 has a preset of its own."""
    seeds: Size = 5
    """Members per task."""
    seed: Seed = 100
    """Root seed; tuning used 0."""
    updates: Size | None = None
    """Updates of every task; None takes the task's own number."""
    episodes: Size = 64
    """Episodes of the evaluation, one per slot, greedy."""

    def __post_init__(self) -> None:
        check_fields(self)
        for name in self.tasks:
            if name not in TASKS:
                raise UsageError(f"Config.tasks: unknown {name!r}; known: {', '.join(TASKS)}")


PRESETS = {
    "smoke": Config(tasks=("PPO CartPole",), seeds=2, updates=2, episodes=4),
    "quick": Config(tasks=("PPO CartPole", "PPO Acrobot", "PPO Pendulum")),
    "paper": Config(),
    "td3": Config(tasks=("TD3 Pendulum",)),
}
BETTER = "more"


def run(config: Config, folder: RunFolder) -> None:
    """Trains task after task and saves `task [K]`, `eval_return [K, S]` and `env_steps [K]`."""
    finals, steps = [], []
    for name, task in zip(config.tasks, _tasks(config), strict=True):
        env, updates = task.env(), config.updates or task.updates
        hyper = task.hyper.replace(updates_total=float(updates)) if task.method is ppo else task.hyper
        per_update = task.config.n_envs * task.config.length
        members = sweep(
            lambda static, task=task, env=env: task.method.make(static, env),
            [(task.config, hyper)],
            seeds=config.seeds,
            seed=config.seed,
            data=env.default_params(),
            updates=updates,
            evaluate=lambda static, task=task, env=env: greedy_return(
                task.method.make(static, env), env, config.episodes
            ),
            env_steps_per_update=per_update,
            folder=folder,
            stage=name.lower().replace(" ", "-").replace("/", "-"),
        )
        finals.append([m.history["eval/return"][-1] for m in members])
        steps.append(updates * per_update)
    folder.save_result(task=list(config.tasks), eval_return=np.array(finals), env_steps=np.array(steps))


def estimate(config: Config) -> dict[str, int]:
    """Members, programs and environment steps of a run, without evaluations."""
    steps = [(config.updates or t.updates) * t.config.n_envs * t.config.length for t in _tasks(config)]
    count = len(config.tasks)
    return {
        "members": count * config.seeds,
        "compilations": count,
        "env_steps": sum(steps) * config.seeds,
    }


def _tasks(config: Config) -> list[Task]:
    return [TASKS[name] for name in config.tasks]


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return of the last policy by task, `float[S]`; NaN where a member diverged."""
    return dict(zip(result["task"].tolist(), result["eval_return"], strict=True))


def figure(folder: RunFolder) -> list[Path]:
    """Every seed of every task, on an axis from a random policy (0) to the known score (1)."""
    found = scores(folder.load_result())
    with plots.paper():
        fig, axes = plots.subplots(1, 1, width=7.0, height=0.7 + 0.45 * len(found))
        ax = axes[0, 0]
        shown = [(x - TASKS[n].random) / (TASKS[n].expected - TASKS[n].random) for n, x in found.items()]
        plots.seed_dots(ax, list(found), shown, plots.PALETTE[:1] * len(found))
        for row, (name, returns) in enumerate(found.items()):
            task = TASKS[name]
            ax.annotate(
                f"{np.nanmean(returns):.0f} (known: {task.expected:.0f})",
                (1.0, row),
                xycoords=("axes fraction", "data"),
                xytext=(8, 0),
                textcoords="offset points",
                va="center",
            )
        ax.axvline(1.0, color=plots.GREY, linewidth=0.8, linestyle=":")
        ax.set(xlabel="return of the last policy, 0 = random, 1 = known score", xlim=(-0.05, 1.3))
        return plots.save(fig, folder.figures / "known_scores")
