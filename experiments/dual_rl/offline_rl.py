"""Offline RL on suites: f-DVL, XQL, IQL and cloning, last policy of every seed.

All value losses of a task are one program, seeds and methods being its members. Legend: `K` tasks, `M`
methods, `S` seeds.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from experiments.dual_rl import tasks
from experiments.dual_rl.tasks import PARAMETERS, World
from experiments.shared.standardised import Standardised
from jaxrl.baselines import bc
from jaxrl.cli.main import experiment_main
from jaxrl.core.fields import Seed, Size, check_fields
from jaxrl.data.dataset import Dataset, dataset_hash
from jaxrl.data.episodes import episode_returns
from jaxrl.data.scores import Reference, normalised_score, reference_of
from jaxrl.dual_rl import agent, forms, implicit
from jaxrl.dual_rl.data import Data
from jaxrl.report import plots
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import Member

Method = Literal["f-DVL chi2", "f-DVL tv", "XQL", "IQL", "SQL", "ODICE", "BC", "10 % BC"]
CLONES = {"BC": 1.0, "10 % BC": 0.1}
DIAGNOSTICS = ("drift", "v", "ess", "at_cap", "at_clip", "positive", "below_2")
COLUMNS = 3  # of the figure


@dataclass(frozen=True)
class Config:
    """Tasks, methods and the length of training."""

    tasks: tuple[str, ...] = ("pendulum-medium-replay", "pendulum-medium-expert", "mountaincar-medium-replay")
    """Names of suites: maze2d-umaze; pendulum-, mountaincar-, brax-hopper- or hopper-, followed by random,
    medium, medium-replay, medium-expert or expert."""
    methods: tuple[Method, ...] = ("f-DVL chi2", "f-DVL tv", "XQL", "IQL", "BC")
    """Rows of the table of methods; BC clones all data, 10 % BC the tenth of the episodes of highest
    return."""
    algo: agent.Config = field(default_factory=lambda: agent.Config(batch_size=128, widths=(64, 64)))
    """Static choices of every method."""
    episodes: Size | None = None
    """Episodes of each suite; None takes the number of the suite's recipe."""
    seeds: Size = 5
    """Members per task and method; all of them learn from the same data."""
    seed: Seed = 0
    """Root seed of members and data."""
    updates: Size = 6000
    """Updates per member, which are multiplied by the `patience` of the task."""
    eval_episodes: Size | None = None
    """Episodes of the last evaluation of greedy policies; None takes the number of each task."""

    def __post_init__(self) -> None:
        check_fields(self)
        for name in self.tasks:
            tasks.task(name)


_PAPER = Config(
    tasks=(*Config.tasks, "maze2d-umaze", "brax-hopper-medium-expert", "hopper-medium-replay"),
    methods=("f-DVL chi2", "f-DVL tv", "XQL", "IQL", "SQL", "ODICE", "BC", "10 % BC"),
    algo=agent.Config(widths=(64, 64)),
    updates=5000,
)
PRESETS = {
    "smoke": Config(
        tasks=("maze2d-umaze",),
        methods=("f-DVL chi2",),
        algo=agent.Config(batch_size=16, widths=()),
        episodes=1,
        seeds=2,
        updates=20,
        eval_episodes=2,
    ),
    "quick": Config(),
    "paper": _PAPER,
    "hopper": replace(_PAPER, tasks=("hopper-medium-expert",)),
}
BETTER = "more"


def run(config: Config, folder: RunFolder) -> None:
    """Saves `eval_return [K, M, S]`, `reference [K, 2]`, `data_return [K]`, `rows [K]`, what members logged.

    All data are there before anything is trained.
    """
    returns = np.full((len(config.tasks), len(config.methods), config.seeds), np.nan)
    logged = {name: np.full_like(returns, np.nan) for name in DIAGNOSTICS}
    data = {name: tasks.data_of(name, config.seed, config.episodes, folder) for name in config.tasks}
    worlds = {name: tasks.world(name) for name in config.tasks}
    folder.update_meta(datasets={name: dataset_hash(d) for name, d in data.items()})
    for k, name in enumerate(config.tasks):
        for train in (_duals, _clones):
            for method, member, value in train(config, folder, name, worlds[name], data[name]):
                at = k, config.methods.index(method), member.seed
                returns[at] = value
                for key in DIAGNOSTICS:
                    if key in member.history:
                        logged[key][at] = tasks.last(member.history[key])
    folder.save_result(
        task=list(config.tasks),
        method=list(config.methods),
        eval_return=returns,
        reference=[reference_of(d) for d in data.values()],
        data_return=[episode_returns(d).mean() for d in data.values()],
        rows=[d.size for d in data.values()],
        **logged,
    )


Found = list[tuple[str, Member, float]]


def _duals(config: Config, folder: RunFolder, name: str, world: World, data: Dataset) -> Found:
    """Members of one program: all implicit maximisers, and each other method by itself."""
    chosen = [m for m in config.methods if m in PARAMETERS]
    if not chosen:
        return []
    together = [m for m in chosen if forms.file_of(m) is implicit]
    statics = [forms.config(*(together if m in together else [m]), **asdict(config.algo)) for m in chosen]
    task = tasks.task(name)
    members = tasks.trained(
        world,
        lambda static: forms.algorithm(static, *world.spaces),
        [
            (static, forms.hyper(static, m, **task.hyper_of(m, task.patience * config.updates)))
            for static, m in zip(statics, chosen, strict=True)
        ],
        data=Data(data),
        **_options(config, folder, name, "dual"),
    )
    return [(chosen[member.index], member, value) for member, value in members]


def _clones(config: Config, folder: RunFolder, name: str, world: World, data: Dataset) -> Found:
    found = []
    lr = tasks.task(name).hyper["lr_actor"]
    for method in (m for m in config.methods if m in CLONES):
        best = data if CLONES[method] == 1 else bc.best_episodes(data, CLONES[method])
        view = Standardised.of(best)
        static = bc.Config(batch_size=config.algo.batch_size, widths=config.algo.widths)
        algorithm = view.algorithm(bc.make(static, *world.spaces))
        members = tasks.trained(
            world,
            lambda _, algorithm=algorithm: algorithm,
            [(static, bc.Hyper(lr=lr))],
            data=view.data(best),
            **_options(config, folder, name, method.replace(" ", "").replace("%", "p")),
        )
        found += [(method, member, value) for member, value in members]
    return found


def _options(config: Config, folder: RunFolder, name: str, stage: str) -> dict[str, Any]:
    task = tasks.task(name)
    updates = task.patience * config.updates
    return {
        "episodes": config.eval_episodes or task.eval_episodes,
        "seeds": config.seeds,
        "seed": config.seed,
        "updates": updates,
        "log_every": max(1, updates // 6),
        "folder": folder,
        "stage": f"{name}-{stage}",
    }


def estimate(config: Config) -> dict[str, int]:
    """Members of all tasks."""
    return {"members": len(config.tasks) * len(config.methods) * config.seeds}


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Score of the last policy, `float[S]`: 0 random, 100 the expert; NaN where a member diverged."""
    return {
        f"{method}, {task}": normalised_score(returns, Reference(*reference))
        for task, rows, reference in zip(
            result["task"], result["eval_return"], result["reference"], strict=True
        )
        for method, returns in zip(result["method"], rows, strict=True)
    }


def figure(folder: RunFolder) -> list[Path]:
    """Every seed, the interquartile mean and its interval; one panel per task."""
    result = folder.load_result()
    names, count = result["method"].tolist(), len(result["task"])
    columns = min(count, COLUMNS)
    with plots.paper():
        fig, axes = plots.subplots(-(-count // columns), columns, width=3.9, height=0.9 + 0.36 * len(names))
        for ax in axes.flat[count:]:
            ax.remove()
        panels = zip(
            axes.flat[:count],
            result["task"],
            result["eval_return"],
            result["reference"],
            result["data_return"],
            strict=True,
        )
        for i, (ax, task, rows, reference, of_data) in enumerate(panels):
            scale = Reference(*reference)
            rows = [normalised_score(x, scale) for x in rows]
            plots.seed_dots(ax, names if i % columns == 0 else [""] * len(names), rows)
            ax.axvline(normalised_score(of_data, scale), color=plots.GREY, linewidth=0.8, linestyle=":")
            ax.axvline(100, color=plots.GREY, linewidth=0.8)
            ax.set(title=str(task), xlabel="score (0 random, 100 expert; dotted: the data)")
        return plots.save(fig, folder.figures / "offline_rl")


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
