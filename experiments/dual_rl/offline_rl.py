"""Offline RL: f-DVL, XQL, IQL and cloning on mixed data, last policy of every seed.

All value losses of a task are one program, seeds and methods being its members. Legend: `K` tasks, `M`
methods, `S` seeds.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from experiments.dual_rl import tasks
from experiments.dual_rl.tasks import TASKS, Standardised, Task
from jaxrl.baselines import bc
from jaxrl.core.errors import UsageError
from jaxrl.data.dataset import Dataset, dataset_hash
from jaxrl.data.episodes import concatenate, episode_returns, take_episodes
from jaxrl.dual_rl import learner
from jaxrl.dual_rl.batches import Data
from jaxrl.run import style
from jaxrl.run.cli import experiment_main
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import Member, sweep

PARAMETERS = {"f-DVL chi2": 0.8, "f-DVL tv": 0.8, "XQL": 1.0, "IQL": 0.7, "SQL": 1.0, "ODICE": 1.0}
CLONES = {"BC": 1.0, "10 % BC": 0.1}
DASHBOARD = ("drift", "v", "ess", "at_cap", "at_clip", "positive", "below_2")


@dataclass(frozen=True)
class Config:
    """Which tasks and methods, how long."""

    tasks: tuple[str, ...] = ("Pendulum", "MountainCar")
    """Names of tasks."""
    methods: tuple[str, ...] = ("f-DVL chi2", "f-DVL tv", "XQL", "IQL", "BC")
    """Rows of the table of methods, or clones."""
    algo: learner.Config = field(default_factory=lambda: learner.Config(batch_size=128, widths=(64, 64)))
    """Static choices; `methods` is replaced."""
    episodes: int = 100
    """Random episodes; Pendulum has a fifth as many of its expert, MountainCar as many of each noisy one."""
    reference_episodes: int = 256
    """Episodes recorded of each kind, whose mean returns are scores 0 and 100; `episodes` are the first."""
    seeds: int = 5
    """Members per task and method."""
    seed: int = 0
    """Root seed of members and data."""
    updates: int = 6000
    """Updates per member."""
    eval_episodes: int = 64
    """Episodes of the last evaluation, one per slot, greedy."""

    def __post_init__(self) -> None:
        for name in self.tasks:
            if name not in TASKS:
                raise UsageError(f"tasks: unknown {name!r}; known: {', '.join(TASKS)}")
        for name in self.methods:
            if name not in {**PARAMETERS, **CLONES}:
                raise UsageError(f"methods: unknown {name!r}; known: {', '.join((*PARAMETERS, *CLONES))}")
        for name in ("seeds", "updates", "eval_episodes"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}: must be >= 1, got {getattr(self, name)}")
        if not 5 <= self.episodes <= self.reference_episodes:
            raise UsageError(f"episodes: must lie in 5 .. reference_episodes, got {self.episodes}")


PRESETS = {
    "smoke": Config(
        tasks=("Pendulum",),
        methods=("f-DVL chi2",),
        algo=learner.Config(batch_size=16, widths=()),
        episodes=5,
        reference_episodes=5,
        seeds=2,
        updates=20,
        eval_episodes=4,
    ),
    "quick": Config(),
    "paper": Config(
        methods=("f-DVL chi2", "f-DVL tv", "XQL", "IQL", "SQL", "ODICE", "BC", "10 % BC"),
        algo=learner.Config(),
        seeds=10,
        updates=50_000,
    ),
}


def dataset(name: str, config: Config) -> Dataset:
    """Pendulum: random episodes, a fifth as many of the expert. MountainCar: random and two noisy experts."""
    shares = {"Pendulum": (1.0, 0.0), "MountainCar": (1.0, 0.4, 0.2)}[name]
    counts = (5, 1) if name == "Pendulum" else (5, 5, 5)
    parts = [
        take_episodes(
            tasks.record(name, config.seed, share, config.reference_episodes), 0, config.episodes * c // 5
        )
        for share, c in zip(shares, counts, strict=True)
    ]
    return concatenate(*parts, meta=(("task", name), ("seed", config.seed)))


def run(config: Config, folder: RunFolder) -> None:
    """Saves `eval_return [K, M, S]`, `reference [K, 2]`, `data_return [K]`, hashes, what members logged."""
    returns = np.full((len(config.tasks), len(config.methods), config.seeds), np.nan)
    logged = {name: np.full_like(returns, np.nan) for name in DASHBOARD}
    facts: dict[str, list[Any]] = {"reference": [], "data_return": [], "data_hash": []}
    for k, name in enumerate(config.tasks):
        task, data = TASKS[name], dataset(name, config)
        facts["reference"].append(tasks.references(name, config.seed, config.reference_episodes))
        facts["data_return"].append(episode_returns(data).mean())
        facts["data_hash"].append(dataset_hash(data))
        found = _duals(config, folder, name, task, data) + _clones(config, folder, name, task, data)
        for method, member in found:
            at = k, config.methods.index(method), member.seed
            returns[at] = member.history["eval/return"][-1]
            for key in DASHBOARD:
                if key in member.history:
                    logged[key][at] = tasks.last(member.history[key])
    folder.save_result(
        task=list(config.tasks), method=list(config.methods), eval_return=returns, **facts, **logged
    )


def _duals(
    config: Config, folder: RunFolder, name: str, task: Task, data: Dataset
) -> list[tuple[str, Member]]:
    """Methods that differ in their loss alone are one bucket of the sweep."""
    chosen = [m for m in config.methods if m in PARAMETERS]
    losses = tuple(m for m in chosen if m not in ("SQL", "ODICE"))
    statics = [replace(config.algo, methods=losses if m in losses else (m,)) for m in chosen]
    members = sweep(
        lambda static: learner.make(static, task.env.observation_space, task.env.action_space),
        [
            (static, learner.hyper(static, m, parameter=PARAMETERS[m], **task.numbers))
            for static, m in zip(statics, chosen, strict=True)
        ],
        data=Data(data),
        evaluate=lambda static: tasks.greedy_return(
            learner.make(static, task.env.observation_space, task.env.action_space),
            task.env,
            config.eval_episodes,
        ),
        **_options(config, folder, f"{name}-dual"),
    )
    return [(chosen[m.index], m) for m in members]


def _clones(
    config: Config, folder: RunFolder, name: str, task: Task, data: Dataset
) -> list[tuple[str, Member]]:
    found = []
    for method in (m for m in config.methods if m in CLONES):
        best = data if CLONES[method] == 1 else bc.best_episodes(data, CLONES[method])
        view = Standardised.of(best)
        static = bc.Config(batch_size=config.algo.batch_size, widths=config.algo.widths)
        algorithm = view.algorithm(bc.make(static, task.env.observation_space, task.env.action_space))
        members = sweep(
            lambda _, algorithm=algorithm: algorithm,
            [(static, bc.Hyper(lr=task.numbers["lr_actor"]))],
            data=view.data(best),
            evaluate=lambda _, algorithm=algorithm: tasks.greedy_return(
                algorithm, task.env, config.eval_episodes
            ),
            **_options(config, folder, f"{name}-{method.replace(' ', '').replace('%', 'p')}"),
        )
        found += [(method, m) for m in members]
    return found


def _options(config: Config, folder: RunFolder, stage: str) -> dict[str, Any]:
    return {
        "seeds": config.seeds,
        "seed": config.seed,
        "updates": config.updates,
        "log_every": max(1, config.updates // 6),
        "folder": folder,
        "stage": stage,
    }


def estimate(config: Config) -> dict[str, int]:
    """Members of all tasks."""
    return {"members": len(config.tasks) * len(config.methods) * config.seeds}


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Score of the last policy, `float[S]`: 0 random, 100 the expert; NaN where a member diverged."""
    return {
        f"{method}, {task}": tasks.score(returns, reference)
        for task, rows, reference in zip(
            result["task"], result["eval_return"], result["reference"], strict=True
        )
        for method, returns in zip(result["method"], rows, strict=True)
    }


def figure(folder: RunFolder) -> list[Path]:
    """Every seed, the interquartile mean and its interval; one panel per task."""
    result = folder.load_result()
    with style.paper():
        names = result["method"].tolist()
        fig, axes = style.subplots(1, len(result["task"]), width=4.6, height=0.9 + 0.36 * len(names))
        panels = zip(
            axes[0],
            result["task"],
            result["eval_return"],
            result["reference"],
            result["data_return"],
            strict=True,
        )
        for ax, task, rows, reference, of_data in panels:
            tasks.draw_scores(ax, names, [tasks.score(x, reference) for x in rows])
            ax.axvline(tasks.score(of_data, reference), color="#5f6670", linewidth=0.8, linestyle=":")
            ax.axvline(100, color="#5f6670", linewidth=0.8)
            ax.set(title=str(task), xlabel="score (0 random, 100 expert; dotted: the data)")
        return style.save(fig, folder.figures / "offline_rl")


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
