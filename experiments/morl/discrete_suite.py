"""C-MORL on finite tasks, from the first policies to a certified front, beside runs without constraints.

Legend: `S` seeds, `V` variants of stage 2, `C` members of an archive, `m` objectives, `R` runs of a round.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.morl import certificate, front_page, rollouts, stages
from experiments.morl.settings import Finite, finite, grid, learner, numbers, setting
from experiments.morl.stages import Plan
from jaxrl.cli.main import experiment_main
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Seed, Share, Size, check_fields
from jaxrl.core.tree import tree_take
from jaxrl.morl.constraints import Optimiser
from jaxrl.morl.hypervolume import hypervolume
from jaxrl.morl.metrics import hull_gap
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.run.folder import RunFolder


@dataclass(frozen=True)
class Config:
    """Tasks, seeds, and the variants of stage 2 that extend the same archives."""

    tasks: tuple[str, ...] = ("dst-concave", "dst-convex", "fruit-tree-5")
    """Names of task records that have a setting, one or more."""
    optimisers: tuple[Optimiser, ...] = ("barrier", "none")
    """Constraint optimisers of stage 2, one or more; all extend the archives of the same stage 1."""
    seeds: Size = 3
    """Members per task and variant; member i depends on the root seed and on i alone."""
    seed: Seed = 0
    """The root seed, in [0, 2^32)."""
    n_envs: Size = 64
    """Environments per learner."""
    initial: Size | None = None
    """Updates of stage 1; None takes those of the task's setting."""
    rounds: Size | None = None
    """Rounds of stage 2; None takes those of the task's setting."""
    updates: Size = 20
    """Updates of every run in a round. Paper: 20."""
    capacity: Size = 512
    """Members of the archive. Paper: 200."""
    beta: tuple[Share, ...] = (0.9,)
    """Shares of every constrained return that runs retain, each in [0, 1], one or more; every optimiser of
    stage 2 has a variant for each. Paper: 0.9."""

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("tasks", "optimisers", "beta"):
            if not getattr(self, name):
                raise UsageError(f"Config.{name}: must hold at least one entry")
        if len(set(self.beta)) < len(self.beta):
            raise UsageError(f"Config.beta: must hold different shares, got {list(self.beta)}")
        for name in self.tasks:
            setting(name)


PRESETS = {
    "smoke": Config(
        ("dst-concave",), ("barrier",), seeds=1, n_envs=8, initial=30, rounds=1, updates=4, capacity=64
    ),
    "quick": Config(),
    "concave": Config(("dst-concave",)),
    "convex": Config(("dst-convex",)),
    "tree": Config(("fruit-tree-5",)),
    "constraints": Config(("dst-concave",), ("barrier", "lagrangian", "cpo", "official", "none")),
    "retention": Config(
        ("dst-concave",), ("barrier", "lagrangian", "cpo", "none"), rounds=2, beta=(0.5, 0.9, 0.99)
    ),
    "paper": Config(
        ("dst-concave", "dst-convex", "dst-mirrored", "fruit-tree-5", "fruit-tree-6"),
        ("barrier", "lagrangian", "cpo", "official", "none"),
        seeds=5,
    ),
}
BETTER = "more"


def run(config: Config, folder: RunFolder) -> None:
    """Trains both stages on every task and certifies the archives, which stand in `archives/`.

    Per task i: `variant_i [V]`, their names; `returns_i [V + 1, S, C, m]`, members after stage 1 and after
    every variant, zeros where `valid_i` is False; `volume_i`, `gap_i`, `utility_i [V + 1, S]`; `feasible_i`,
    `gain_i [V, S, rounds]`; `start_i`, `end_i`, `threshold_i [V, S, rounds, R, m]` and `live_i
    [V, S, rounds, R]` of all runs.
    """
    arrays: dict[str, Any] = {"task": list(config.tasks)}
    for i, name in enumerate(config.tasks):
        arrays |= {f"{key}_{i}": x for key, x in _solve(config, name, folder).items()}
    folder.save_result(**arrays)
    certificate.write(folder)


def estimate(config: Config) -> dict[str, int]:
    """Members are scores; environment steps of both stages."""
    members = steps = 0
    for name in config.tasks:
        one = setting(name)
        counts = stages.variants(config.optimisers, one.t, config.beta)
        variants = sum(len(settings) for settings in counts.values())
        m, initial, rounds = len(one.objectives), config.initial or one.initial, config.rounds or one.rounds
        runs = initial * len(grid(one)) + variants * rounds * config.updates * one.selected * m
        members += (1 + 3 * variants) * config.seeds
        steps += config.seeds * config.n_envs * one.length * runs
    return {"members": members, "env_steps": steps}


def plan(config: Config, name: str) -> tuple[Plan, Finite]:
    """Both stages on the tables of a task."""
    one, found = setting(name), finite(name)
    initial = config.initial or one.initial
    own = Plan(
        name=name,
        env=found.env,
        data=found.mdp,
        objectives=one.objectives,
        reference=found.task.reference,
        evaluation=found.evaluation,
        learner=learner(one, config.n_envs),
        first=numbers(one, found, initial),
        later=numbers(one, found, config.updates).replace(entropy=0.0),
        weights=grid(one),
        initial=initial,
        every=1,
        selected=one.selected,
        rounds=config.rounds or one.rounds,
        updates=config.updates,
        capacity=config.capacity,
        gamma=found.task.gamma,
    )
    return own, found


def _solve(config: Config, name: str, folder: RunFolder) -> dict[str, Any]:
    own, found = plan(config, name)
    begin = stages.initialise(own, config.seeds, config.seed, folder)
    after: dict[str, stages.Extended] = {}
    for optimiser, settings in stages.variants(config.optimisers, setting(name).t, config.beta).items():
        after |= stages.extend(own, config.seeds, config.seed, folder, optimiser, settings, begin)
    every = {"initialise": begin} | {variant: trained.archive for variant, trained in after.items()}
    for stage, archive in every.items():
        for s in range(config.seeds):
            stages.store(folder, name, stage, s, tree_take(archive, s), found.task.record())
    sets = [[stages.members(archive, s) for s in range(config.seeds)] for archive in every.values()]
    for stage, row in zip(every, sets, strict=True):
        volumes = ", ".join(f"{hypervolume(x, found.task.reference).value:.4f}" for x in row)
        folder.say(f"{name}, {stage}: hypervolume {volumes}")
    padded = stages.padded(sets, config.capacity)
    utility = stages.utilities(padded, found.task.preferences())
    arrays = padded | {"utility": utility} | _measures(found, sets) | stages.records(own, after)
    return {"variant": list(after)} | arrays


def _measures(found: Finite, sets: list[list[np.ndarray]]) -> dict[str, Any]:
    """Hypervolume and hull gap of every set."""
    z = found.task.reference
    volume = [[hypervolume(x, z).value for x in row] for row in sets]
    gap = [[hull_gap(x, found.front, z) if len(z) < 4 else np.nan for x in row] for row in sets]
    return {"volume": volume, "gap": gap}


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray | Score]:
    """Hypervolume after stage 1 and after every variant, feasible share of iterates, gain of objective l.

    Per seed, `float[S]`; shares and gains are means over rounds.
    """
    found: dict[str, np.ndarray | Score] = {}
    for i, name in enumerate(result["task"].tolist()):
        found[f"{name}: after initialisation"] = result[f"volume_{i}"][0]
        for v, variant in enumerate(result[f"variant_{i}"].tolist()):
            found[f"{name}: {variant}"] = result[f"volume_{i}"][v + 1]
            found[f"{name}: {variant}, feasible"] = result[f"feasible_{i}"][v].mean(-1)
            found[f"{name}: {variant}, gain"] = result[f"gain_{i}"][v].mean(-1)
    return found


def figure(folder: RunFolder) -> list[Path]:
    """Fronts of the first seed, feasibility and gain by round; a page of the front of every task."""
    result = folder.load_result()
    tasks = result["task"].tolist()
    pages = [_page(folder, result, i, name) for i, name in enumerate(tasks)]
    with plots.paper():
        fig, axes = plots.subplots(len(tasks), 3, width=3.6, height=3.0)
        for i, name in enumerate(tasks):
            variants = result[f"variant_{i}"].tolist()
            _front(axes[i, 0], result, i, name, variants)
            stages.draw_rounds(axes[i, 1:], result, i, name)
        return [*plots.save(fig, folder.figures / "fronts"), *pages]


def _front(ax: Any, result: dict[str, np.ndarray], i: int, name: str, variants: list[str]) -> None:
    """The first two objectives of the first seed, beside what deterministic policies reach."""
    exact = finite(name).front
    ax.plot(exact[:, 0], exact[:, 1], "x", color=plots.GREY, label="deterministic policies")
    for v, label in enumerate(["initialisation", *variants]):
        points = result[f"returns_{i}"][v, 0][result[f"valid_{i}"][v, 0]]
        color = plots.PALETTE[v - 1] if v else "black"
        ax.plot(points[:, 0], points[:, 1], ".", color=color, markersize=4, alpha=0.7, label=label)
    first, second, *_ = setting(name).objectives
    ax.set(title=f"{name}, seed 0", xlabel=first, ylabel=second)
    ax.legend(fontsize=7)


def _page(folder: RunFolder, result: dict[str, np.ndarray], i: int, name: str) -> Path:
    """The front of the first variant and seed, with its extensions and the exact front behind it."""
    found, one = finite(name), setting(name)
    arrays = {n: result[f"{n}_{i}"][0, 0] for n in ("start", "end", "threshold", "live")}
    members, tables = certificate.stored(folder, name, result[f"variant_{i}"].tolist()[0], 0, found)
    page = front_page.Front(
        title=f"C-MORL on {name}",
        objectives=one.objectives,
        returns=members.returns,
        reference=found.task.reference,
        record=found.task.record(),
        exact=found.front,
        rollouts=rollouts.on_map(found, tables),
        **stages.arrows(**arrays),
    )
    path = folder.figures / f"front-{name}.html"
    path.write_text(front_page.render(page))
    return path


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
