"""Offline RL on suites: f-DVL, XQL, IQL and cloning, last policy of every seed.

All value losses of a task are one program, seeds and methods being its members; "<method> share" is a method
whose weights have a given effective share in place of a temperature (`jaxrl/dual_rl/weighting.py`). Legend:
`K` tasks, `M` methods, `S` seeds.
"""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from experiments.dual_rl import tasks
from experiments.dual_rl.shares import picture
from experiments.dual_rl.tasks import World
from experiments.shared.paired import differences, pairs_needed
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
from jaxrl.report.tables import Score
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import Member

Method = Literal[
    "f-DVL chi2",
    "f-DVL tv",
    "XQL",
    "IQL",
    "SQL",
    "ODICE",
    "f-DVL chi2 share",
    "f-DVL tv share",
    "XQL share",
    "IQL share",
    "SQL share",
    "ODICE share",
    "BC paired",
    "BC",
    "10 % BC",
]
CLONES = {"BC": 1.0, "10 % BC": 0.1}
PAIRED = "BC paired"
DIAGNOSTICS = ("drift", "v", "ess", "agreement", "at_cap", "at_clip", "positive", "below_2")
HALF_WIDTH = 3.0  # of the interval of a paired difference, in units of scores
COLUMNS = 3  # of the figure


@dataclass(frozen=True)
class Config:
    """Tasks, methods and the length of training."""

    tasks: tuple[str, ...] = ("pendulum-medium-replay", "pendulum-medium-expert", "mountaincar-medium-replay")
    """Names of suites: maze2d-umaze; pendulum-, mountaincar-, brax-hopper- or hopper-, followed by random,
    medium, medium-replay, medium-expert or expert."""
    methods: tuple[Method, ...] = ("f-DVL chi2", "f-DVL tv", "XQL", "IQL", "BC")
    """Rows of the table of methods; BC clones all data, 10 % BC the tenth of the episodes of highest return,
    and BC paired all data with the initial policies, batches and learning rates of the value losses, whose
    scores are compared with it seed by seed."""
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
_PAIRED = Config(
    methods=("f-DVL chi2", "f-DVL chi2 share", "f-DVL tv share", "BC paired"), seeds=10, updates=4000
)
#: one arm beside cloning, since 15,000 updates of one more take as long again
_PAIRED_HOPPER = replace(_PAPER, methods=("f-DVL chi2 share", "BC paired"), seeds=6)
PRESETS = {
    "smoke": Config(
        tasks=("maze2d-umaze",),
        methods=("f-DVL chi2 share", "BC paired"),  # one program
        algo=agent.Config(batch_size=16, widths=()),
        episodes=1,
        seeds=2,
        updates=20,
        eval_episodes=2,
    ),
    "quick": Config(),
    "paper": _PAPER,
    "hopper": replace(_PAPER, tasks=("hopper-medium-expert",)),
    "paired-mixed": replace(_PAIRED, tasks=("pendulum-medium-expert",)),
    "paired-replay": replace(_PAIRED, tasks=("pendulum-medium-replay",)),
    "paired-car": replace(_PAIRED, tasks=("mountaincar-medium-replay",)),
    "paired-maze": replace(_PAIRED, tasks=("maze2d-umaze",)),
    "paired-hopper-replay": replace(_PAIRED_HOPPER, tasks=("hopper-medium-replay",)),
    # as many as six pairs said that a half-width of 3 takes
    "paired-hopper-expert": replace(_PAIRED_HOPPER, tasks=("hopper-medium-expert",), seeds=20),
    "paired-brax": replace(_PAIRED_HOPPER, tasks=("brax-hopper-medium-expert",), seeds=20),
}
BETTER = "more"


def run(config: Config, folder: RunFolder) -> None:
    """Saves `eval_return [K, M, S]`, `reference [K, 2]`, `data_return [K]`, `rows [K]`, what members logged.

    All data are there before anything is trained. Says how many pairs a paired difference takes.
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
    for label, score in scores(folder.load_result()).items():
        if isinstance(score, Score) and len(score.values) == config.seeds > 1 and PAIRED in label:
            needed = pairs_needed(score.values, HALF_WIDTH)
            folder.say(f"{label}: {needed} pairs reach a half-width of {HALF_WIDTH:g}, from {config.seeds}")


Found = list[tuple[str, Member, float]]


def _duals(config: Config, folder: RunFolder, name: str, world: World, data: Dataset) -> Found:
    """Members of one program: all implicit maximisers, and each other method by itself."""
    chosen = [m for m in config.methods if m not in CLONES]
    if not chosen:
        return []
    task = tasks.task(name)
    members = tasks.trained(
        world,
        lambda static: forms.algorithm(static, *world.spaces),
        [_member(config, m, task) for m in chosen],
        data=Data(data),
        **_options(config, folder, name, "dual"),
    )
    return [(chosen[member.index], member, value) for member, value in members]


def _member(config: Config, label: str, task: tasks.Task) -> tuple[forms.Config, forms.Hyper]:
    """Static choices and hyper-parameters of one row; value losses of one weighting are one program."""
    rows = {m: _method(m) for m in config.methods if m not in CLONES}
    base, weighting = rows[label]
    others = [b for b, w in rows.values() if w == weighting and forms.file_of(b) is implicit]
    names = list(dict.fromkeys(others)) if forms.file_of(base) is implicit else [base]
    static = forms.config(*names, **asdict(config.algo), weighting=weighting)
    hyper = task.hyper_of(base, task.patience * config.updates)
    return static, forms.hyper(static, base, **hyper, **({"share": 1.0} if label == PAIRED else {}))


def _method(label: str) -> tuple[str, str]:
    """The row of the table of methods and the weighting of a row of the experiment."""
    if label == PAIRED:
        return "f-DVL chi2", "share"
    base = label.removesuffix(" share")
    return base, "published" if base == label else "share"


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


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray | Score]:
    """Score of the last policy, `float[S]`: 0 random, 100 the expert; NaN where a member diverged.

    Both f-DVL less XQL and IQL, seed by seed; where there is a paired clone, every other method minus it.
    """
    found: dict[str, np.ndarray | Score] = {}
    for task, rows, reference in zip(result["task"], result["eval_return"], result["reference"], strict=True):
        own = dict(zip(result["method"].tolist(), normalised_score(rows, Reference(*reference)), strict=True))
        found |= {f"{method}, {task}": values for method, values in own.items()}
        for a, b in itertools.product(("f-DVL chi2", "f-DVL tv"), ("XQL", "IQL")):
            if a in own and b in own:
                found[f"{a} less {b}, {task}"] = Score(own[a] - own[b], BETTER, derived=True)
        for method, values in own.items():
            if PAIRED in own and method not in (PAIRED, *CLONES):
                found |= differences(f"{method} - {PAIRED}", task, values, own[PAIRED], HALF_WIDTH)
    return found


def figure(folder: RunFolder) -> list[Path]:
    """Every seed, the interquartile mean and its interval, one panel per task; and scores by share."""
    result = folder.load_result()
    shown = picture([result], folder.figures / "share", COLUMNS) if "ess" in result else []
    return [*_by_method(folder, result), *shown]


def _by_method(folder: RunFolder, result: dict[str, np.ndarray]) -> list[Path]:
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
