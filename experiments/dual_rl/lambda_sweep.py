"""One program over seeds, divergences and their weights: how the policy depends on lambda and b.

Every member of the sweep has its own value loss, parameter and seed; nothing is compiled twice. Cloning of
all data is f-DVL with `awr` 0, so that all weights are equal. Legend: `M` methods, `L` parameters of each,
`S` seeds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from experiments.data import recipes
from experiments.dual_rl import tasks
from experiments.shared.returns import offline_returns
from jaxrl.cli.main import experiment_main
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Positive, Seed, Size, check_fields
from jaxrl.data.dataset import dataset_hash
from jaxrl.data.episodes import episode_returns
from jaxrl.data.scores import Reference, normalised_score, reference_of
from jaxrl.dual_rl import forms, implicit
from jaxrl.dual_rl.data import Data
from jaxrl.dual_rl.methods import check_parameter, method
from jaxrl.report import plots
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import sweep

METHODS: tuple[implicit.Name, ...] = ("f-DVL chi2", "f-DVL tv", "XQL")
SHOWN = ("drift", "v", "ess", "positive", "at_clip", "at_cap")


@dataclass(frozen=True)
class Config:
    """The grid and the task."""

    task: str = "mountaincar-medium-replay"
    """Name of a suite of a compiled environment: maze2d-umaze; pendulum-, mountaincar- or brax-hopper-,
    followed by random, medium, medium-replay, medium-expert or expert."""
    parameters: tuple[tuple[float, ...], ...] = (
        (0.5, 0.6, 0.7, 0.8, 0.9),
        (0.6, 0.7, 0.8, 0.9, 0.95),
        (8.0, 4.0, 2.0, 1.0, 0.5),
    )
    """Parameters of each method of `algo.methods` in turn, from the mean of Q towards its maximum."""
    algo: implicit.Config = field(
        default_factory=lambda: implicit.Config(methods=METHODS, batch_size=64, widths=(64, 64))
    )
    """Methods and static choices."""
    reward_scale: Positive = 1.0
    """Factor of rewards. At 0.1, which other experiments use, the policy weights of MountainCar are alike,
    and so are all methods."""
    episodes: Size | None = None
    """Episodes of the suite; None takes the number of the suite's recipe."""
    seeds: Size = 5
    """Members per method and parameter."""
    seed: Seed = 0
    """Root seed of members and data."""
    updates: Size = 7500
    """Updates per member."""
    eval_episodes: Size = 64
    """Episodes of the last evaluation, of greedy policies and of sampled actions."""

    def __post_init__(self) -> None:
        check_fields(self)
        tasks.task(self.task)
        recipes.environment(self.task)
        if len(self.parameters) != len(self.algo.methods) or len({len(p) for p in self.parameters}) != 1:
            raise UsageError("parameters: give every method of algo.methods as many as the others")
        for name, values in zip(self.algo.methods, self.parameters, strict=True):
            for value in values:
                check_parameter(method(name), value)


PRESETS = {
    "smoke": Config(
        parameters=((0.8,), (0.8,)),
        algo=implicit.Config(methods=("f-DVL chi2", "XQL"), batch_size=16, widths=()),
        task="maze2d-umaze",
        episodes=1,
        seeds=1,
        updates=10,
        eval_episodes=2,
    ),
    "quick": Config(),
    "paper": Config(
        algo=implicit.Config(methods=METHODS, batch_size=256, widths=(64, 64)),
        seeds=8,
        updates=20_000,
    ),
}
BETTER = "more"


def run(config: Config, folder: RunFolder) -> None:
    """Saves `eval_return`, `sampled_return [M, L, S]`, what members logged at last, likewise, `clone [2, S]`
    (returns of cloning, greedy and drawn), `reference [2]` and `data_return []`.
    """
    task, env = tasks.task(config.task), recipes.environment(config.task)
    data = tasks.data_of(config.task, config.seed, config.episodes, folder)
    folder.update_meta(datasets={config.task: dataset_hash(data)})
    spaces = env.observation_space, env.action_space

    def hyper(name: str, **others: float) -> implicit.Hyper:
        values = task.hyper_of(name, config.updates) | {"reward_scale": config.reward_scale}
        return forms.hyper(config.algo, name, **(values | others))

    grid = [
        hyper(name, parameter=value)
        for name, values in zip(config.algo.methods, config.parameters, strict=True)
        for value in values
    ]
    members = sweep(
        lambda static: forms.algorithm(static, *spaces),
        [(config.algo, h) for h in (*grid, hyper(config.algo.methods[0], awr=0.0))],
        seeds=config.seeds,
        seed=config.seed,
        data=Data(data),
        updates=config.updates,
        log_every=max(1, config.updates // 3),
        evaluate=lambda static: offline_returns(
            forms.algorithm(static, *spaces), env, config.eval_episodes, sampled=True
        ),
        folder=folder,
    )
    shape = len(config.parameters), len(config.parameters[0]), config.seeds
    clones = members[-config.seeds :]

    def last(name: str) -> np.ndarray:
        return np.array([tasks.last(m.history[name]) for m in members[: -config.seeds]]).reshape(shape)

    def final(name: str) -> np.ndarray:  # NaN where a member diverged, whatever it had reached before
        return np.array([m.history[name][-1] for m in members[: -config.seeds]]).reshape(shape)

    folder.save_result(
        method=list(config.algo.methods),
        parameter=config.parameters,
        eval_return=final("eval/return"),
        sampled_return=final("eval/sampled"),
        clone=[[m.history[name][-1] for m in clones] for name in ("eval/return", "eval/sampled")],
        data_return=episode_returns(data).mean(),
        reference=reference_of(data),
        **{name: last(name) for name in SHOWN},
    )


def estimate(config: Config) -> dict[str, int]:
    """One program for all members, cloning among them."""
    members = (len(config.parameters) * len(config.parameters[0]) + 1) * config.seeds
    return {"members": members, "compilations": 1}


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Score of the last policy with drawn actions, `float[S]`: 0 random, 100 the expert; NaN: diverged."""
    scale = Reference(*result["reference"])
    found = {
        f"{name}, {parameter:g}": normalised_score(returns, scale)
        for name, parameters, rows in zip(
            result["method"], result["parameter"], result["sampled_return"], strict=True
        )
        for parameter, returns in zip(parameters, rows, strict=True)
    }
    return found | {"BC": normalised_score(result["clone"][1], scale)}


def figure(folder: RunFolder) -> list[Path]:
    """Scores, level of V and effective sample size against the position in each method's grid."""
    result = folder.load_result()
    position, scale = np.arange(result["parameter"].shape[1]), Reference(*result["reference"])
    panels = {
        "score, actions drawn": normalised_score(result["sampled_return"], scale),
        "score, greedy": normalised_score(result["eval_return"], scale),
        "V on the data": result["v"],
        "effective sample size": result["ess"],
    }
    with plots.paper():
        fig, axes = plots.subplots(1, len(panels), width=3.8, height=3.7)
        for ax, (title, values) in zip(axes[0], panels.items(), strict=True):
            for name, parameters, y in zip(result["method"], result["parameter"], values, strict=True):
                label = f"{name}: {', '.join(f'{p:g}' for p in parameters)}"
                plots.learning_curve(ax, position, y.T, label=label, better="more")
            ax.set(title=title, xlabel="parameter, towards the maximum")
            ax.set_xticks(position)
        for ax, clones in zip(axes[0, :2], result["clone"][::-1], strict=True):
            lines = (("the data", result["data_return"], ":"), ("BC of all", np.nanmean(clones), "--"))
            for label, x, dashes in lines:
                y = normalised_score(x, scale)
                ax.axhline(y, color=plots.GREY, linewidth=1.0, linestyle=dashes, label=label)
        axes[0, 1].legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), fontsize=7.5)
        return plots.save(fig, folder.figures / "lambda_sweep")


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
