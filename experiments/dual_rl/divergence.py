"""Stability on data: in how many runs V leaves the range of returns, by value loss, reward scale and seed.

V is an average or a maximum of Q, which is at most the largest return in absolute value. A run diverged if
the mean of V came to `limit` times that in absolute value, or if a value was not finite. All members of a
task are one program. Legend: `K` tasks, `M` methods, `C` reward scales, `S` seeds, `L` log points.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from experiments.dual_rl import tasks
from experiments.shared.shares import share
from jaxrl.cli.main import experiment_main
from jaxrl.core.fields import Positive, Seed, Size, check_fields
from jaxrl.data.dataset import dataset_hash
from jaxrl.dual_rl import agent, forms
from jaxrl.dual_rl.data import Data
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import Member, sweep

Method = Literal["f-DVL chi2", "f-DVL tv", "XQL", "IQL"]
LOGS = 60  # points at which V is looked at


@dataclass(frozen=True)
class Config:
    """Tasks, losses, reward scales and the length of training."""

    tasks: tuple[str, ...] = ("pendulum-medium-expert", "mountaincar-medium-replay")
    """Names of suites, as in `offline_rl`."""
    methods: tuple[Method, ...] = ("f-DVL chi2", "f-DVL tv", "XQL", "IQL")
    """Rows of the table of methods."""
    scales: tuple[Positive, ...] = (0.1, 1.0, 10.0)
    """Factors of the rewards; the parameters of the losses stay those of the task."""
    limit: Positive = 2.0
    """A run has diverged beyond this |V|, in units of the largest possible |return|."""
    algo: agent.Config = field(default_factory=lambda: agent.Config(batch_size=128, widths=(64, 64)))
    """Static choices of every method."""
    episodes: Size | None = None
    """Episodes of each suite; None takes the number of the suite's recipe."""
    seeds: Size = 3
    """Members per task, method and scale; all of them learn from the same data."""
    seed: Seed = 0
    """Root seed of members and data."""
    updates: Size = 1500
    """Updates per member, which are multiplied by the `patience` of the task."""

    def __post_init__(self) -> None:
        check_fields(self)
        for name in self.tasks:
            tasks.task(name)


PRESETS = {
    "smoke": Config(
        tasks=("maze2d-umaze",),
        methods=("f-DVL tv", "XQL"),
        scales=(0.1, 10.0),
        algo=agent.Config(batch_size=16, widths=()),
        episodes=1,
        seeds=2,
        updates=20,
    ),
    "quick": Config(),
    "paper": Config(tasks=("brax-hopper-medium-expert",), scales=(0.3, 1.85), seeds=5, updates=4000),
}
BETTER = "less"


def run(config: Config, folder: RunFolder) -> None:
    """Saves `peak [K, M, C, S]`, the largest |mean V| by the largest |return|, inf where not finite.

    And `curve [K, M, C, S, L]`, that share along the training, and the `update [K, L]` of its points.
    """
    data = {name: tasks.data_of(name, config.seed, config.episodes, folder) for name in config.tasks}
    folder.update_meta(datasets={name: dataset_hash(d) for name, d in data.items()})
    curves, updates = [], []
    for name, rows in data.items():
        task, where = tasks.task(name), tasks.world(name)
        static = forms.config(*config.methods, **asdict(config.algo))
        hypers = [
            forms.hyper(static, m, **(task.hyper_of(m, task.patience * config.updates) | {"reward_scale": c}))
            for m in config.methods
            for c in config.scales
        ]
        total = task.patience * config.updates
        members = sweep(
            lambda static, where=where: forms.algorithm(static, *where.spaces),
            [(static, hyper) for hyper in hypers],
            seeds=config.seeds,
            seed=config.seed,
            data=Data(rows),
            updates=total,
            log_every=max(1, total // LOGS),
            folder=folder,
            stage=name,
        )
        largest = float(np.abs(np.asarray(rows.reward)).max()) / (1 - task.hyper["gamma"])
        curve = np.array([_share(m, largest * config.scales[m.index % len(config.scales)]) for m in members])
        curves.append(curve.reshape(len(config.methods), len(config.scales), config.seeds, -1))
        updates.append(members[0].update)
    curve = np.array(curves)
    folder.save_result(
        task=list(config.tasks),
        method=list(config.methods),
        scale=config.scales,
        limit=config.limit,
        peak=curve.max(-1),
        curve=curve.astype(np.float32),
        update=np.array(updates),
    )


def _share(member: Member, largest: float) -> np.ndarray:
    """float64[L], |mean V| by the largest |return|; inf from where the member stopped being finite."""
    v = np.abs(np.asarray(member.history["v"], np.float64)) / largest
    bad = member.bucket.diverged[member.position] | ~np.isfinite(v)
    return np.where(bad, np.inf, v)


def estimate(config: Config) -> dict[str, int]:
    """Members of all tasks."""
    return {"members": len(config.tasks) * len(config.methods) * len(config.scales) * config.seeds}


def scores(result: dict[str, np.ndarray]) -> dict[str, Score]:
    """Share of the runs that diverged, with Clopper and Pearson's interval; `float[S]` of 0 and 1."""
    found = {}
    for k, task in enumerate(result["task"].tolist()):
        for c, scale in enumerate(result["scale"].tolist()):
            for m, method in enumerate(result["method"].tolist()):
                gone = result["peak"][k, m, c] > float(result["limit"])
                note = f"{gone.sum()} of {gone.size} diverged"
                label = f"{method}, {task}, reward scale {scale:g}"
                found[label] = share(gone, better=BETTER, note=note, derived=False)
    return found


def figure(folder: RunFolder) -> list[Path]:
    """Largest |V| of every run by loss and scale, by the largest |return|; dotted: the limit."""
    result = folder.load_result()
    names, scales = result["method"].tolist(), result["scale"].tolist()
    with plots.paper():
        fig, axes = plots.subplots(1, len(result["task"]), width=4.2, height=3.0)
        for k, (ax, task) in enumerate(zip(axes[0], result["task"].tolist(), strict=True)):
            peak = np.minimum(result["peak"][k], 1e6)
            for m, name in enumerate(names):
                for c in range(len(scales)):
                    at = c + (m - (len(names) - 1) / 2) * 0.15
                    ax.plot(
                        np.full(peak.shape[-1], at),
                        peak[m, c],
                        "o",
                        color=plots.PALETTE[m],
                        markersize=4,
                        label=name if c == 0 else None,
                    )
            ax.axhline(float(result["limit"]), color=plots.GREY, linewidth=0.8, linestyle=":")
            ax.set_xticks(range(len(scales)), [f"{x:g}" for x in scales])
            ax.set(
                yscale="log", xlabel="reward scale", ylabel="largest |V| / largest |return|", title=str(task)
            )
        axes[0, 0].legend(fontsize=7.5)
        return plots.save(fig, folder.figures / "divergence")


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
