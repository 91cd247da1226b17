"""One program over seeds, divergences and their weights: how the policy depends on lambda and b.

Every member of the sweep has its own value loss, number and seed; nothing is compiled twice. Legend: `M`
methods, `L` parameters of each, `S` seeds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from experiments.dual_rl import tasks
from experiments.dual_rl.tasks import TASKS
from jaxrl.core.errors import UsageError
from jaxrl.data.episodes import concatenate, episode_returns
from jaxrl.dual_rl import learner
from jaxrl.dual_rl.batches import Data
from jaxrl.dual_rl.methods import check_parameter, method
from jaxrl.run import style
from jaxrl.run.cli import experiment_main
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import sweep

METHODS = ("f-DVL chi2", "f-DVL tv", "XQL")
SHOWN = ("drift", "v", "ess", "positive", "at_clip", "at_cap")


@dataclass(frozen=True)
class Config:
    """The grid and the task."""

    task: str = "Pendulum"
    """Name of a task."""
    parameters: tuple[tuple[float, ...], ...] = (
        (0.5, 0.6, 0.7, 0.8, 0.9),
        (0.6, 0.7, 0.8, 0.9, 0.95),
        (8.0, 4.0, 2.0, 1.0, 0.5),
    )
    """Of each method in turn, from the mean of Q towards its maximum."""
    algo: learner.Config = field(
        default_factory=lambda: learner.Config(methods=METHODS, batch_size=64, widths=(64, 64))
    )
    """Static choices."""
    shares: tuple[float, ...] = (1.0, 0.6, 0.3)
    """Of random actions, in equally many episodes each."""
    episodes: int = 40
    """Of each share."""
    seeds: int = 5
    """Members per method and parameter."""
    seed: int = 0
    """Root seed of members and data."""
    updates: int = 2500
    """Updates per member."""
    eval_episodes: int = 32
    """Episodes of the last evaluation, one per slot, greedy."""

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise UsageError(f"task: unknown {self.task!r}; known: {', '.join(TASKS)}")
        if len(self.parameters) != len(self.algo.methods) or len({len(p) for p in self.parameters}) != 1:
            raise UsageError("parameters: give every method of algo.methods as many as the others")
        for name, values in zip(self.algo.methods, self.parameters, strict=True):
            for value in values:
                check_parameter(method(name), value)
        for name in ("episodes", "seeds", "updates", "eval_episodes"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}: must be >= 1, got {getattr(self, name)}")


PRESETS = {
    "smoke": Config(
        parameters=((0.8,), (0.8,)),
        algo=learner.Config(methods=("f-DVL chi2", "XQL"), batch_size=16, widths=()),
        shares=(0.2,),
        episodes=4,
        seeds=1,
        updates=10,
        eval_episodes=2,
    ),
    "quick": Config(),
    "paper": Config(
        algo=learner.Config(methods=METHODS, batch_size=256, widths=(64, 64)),
        seeds=8,
        updates=20_000,
    ),
}


def run(config: Config, folder: RunFolder) -> None:
    """Saves `eval_return [M, L, S]`, what members logged at last, likewise, and `reference [2]`."""
    task = TASKS[config.task]
    parts = [tasks.record(config.task, config.seed, share, config.episodes) for share in config.shares]
    data = concatenate(*parts)
    spaces = task.env.observation_space, task.env.action_space
    members = sweep(
        lambda static: learner.make(static, *spaces),
        [
            (config.algo, learner.hyper(config.algo, name, parameter=value, **task.numbers))
            for name, values in zip(config.algo.methods, config.parameters, strict=True)
            for value in values
        ],
        seeds=config.seeds,
        seed=config.seed,
        data=Data(data),
        updates=config.updates,
        log_every=max(1, config.updates // 3),
        evaluate=lambda static: tasks.greedy_return(
            learner.make(static, *spaces), task.env, config.eval_episodes
        ),
        folder=folder,
    )
    shape = len(config.parameters), len(config.parameters[0]), config.seeds

    def last(name: str) -> np.ndarray:
        return np.array([tasks.last(m.history[name]) for m in members]).reshape(shape)

    folder.save_result(
        method=list(config.algo.methods),
        parameter=config.parameters,
        eval_return=last("eval/return"),
        data_return=episode_returns(data).mean(),
        reference=tasks.references(config.task, config.seed, config.episodes),
        **{name: last(name) for name in SHOWN},
    )


def estimate(config: Config) -> dict[str, int]:
    """One program for all members."""
    members = len(config.parameters) * len(config.parameters[0]) * config.seeds
    return {"members": members, "compilations": 1}


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Score of the last policy, `float[S]`: 0 random, 100 the expert; NaN where a member diverged."""
    return {
        f"{name}, {parameter:g}": tasks.score(returns, result["reference"])
        for name, parameters, rows in zip(
            result["method"], result["parameter"], result["eval_return"], strict=True
        )
        for parameter, returns in zip(parameters, rows, strict=True)
    }


def figure(folder: RunFolder) -> list[Path]:
    """Score, level of V and effective sample size against the position in each method's grid."""
    result = folder.load_result()
    position = np.arange(result["parameter"].shape[1])
    with style.paper():
        fig, axes = style.subplots(1, 3, width=4.2, height=3.7)
        panels = {
            "score of the last policy": tasks.score(result["eval_return"], result["reference"]),
            "V on the data": result["v"],
            "effective sample size": result["ess"],
        }
        for ax, (title, values) in zip(axes[0], panels.items(), strict=True):
            for name, parameters, y in zip(result["method"], result["parameter"], values, strict=True):
                label = f"{name}: {', '.join(f'{p:g}' for p in parameters)}"
                style.learning_curve(ax, position, y.T, label=label)
            ax.set(title=title, xlabel="parameter, towards the maximum")
            ax.set_xticks(position)
        of_data = tasks.score(result["data_return"], result["reference"])
        axes[0, 0].axhline(of_data, color="#5f6670", linewidth=0.8, linestyle=":")
        axes[0, 1].legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), fontsize=7.5)
        return style.save(fig, folder.figures / "lambda_sweep")


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
