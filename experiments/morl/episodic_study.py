"""What the studies of tasks without tables share: training, scores, figures and pages.

Legend: `S` seeds, `V` variants of stage 2, `C` members of an archive, `m` objectives, `W` preferences.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.morl import episodic_certificate, front_page, rollouts, stages
from experiments.morl.episodic import SETTINGS, Config, plan
from jaxrl.core.tree import tree_take
from jaxrl.morl.metrics import weight_lattice
from jaxrl.morl.tasks import task
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.run.config import config_from_dict

if TYPE_CHECKING:
    from experiments.morl.episodic_certificate import Row
    from jaxrl.run.folder import RunFolder


def run(config: Config, folder: RunFolder) -> None:
    """Trains both stages on every task and evaluates all members again; archives stand in `archives/`.

    Per task i: `variant_i [V]`, their names; `returns_i [V + 1, S, C, m]`, members after stage 1 and after
    every variant by the episodes that chose them, and `fresh_i` of the same shape by fresh ones, zeros where
    `valid_i` is False; `volume_i`, `fresh_volume_i`, `certified_i`, `utility_i [V + 1, S]`; `feasible_i`,
    `gain_i [V, S, rounds]`, and the runs of stage 2 as `stages.records` says. Of the building `preferences_i
    [W, m]`, `bound_i [W]` and `reached_i [V + 1, S, W]`.
    """
    arrays: dict[str, Any] = {"task": list(config.tasks)}
    for i, name in enumerate(config.tasks):
        arrays |= {f"{key}_{i}": x for key, x in _train(config, name, folder).items()}
    rows = episodic_certificate.write(folder, config)
    for i, name in enumerate(config.tasks):
        own = [row for row in rows if row.task == name]
        arrays |= {f"{key}_{i}": x for key, x in _measures(config, own).items()}
    folder.save_result(**arrays)


def _train(config: Config, name: str, folder: RunFolder) -> dict[str, Any]:
    own = plan(config, name)
    begin = stages.initialise(own, config.seeds, config.seed, folder)
    after: dict[str, stages.Extended] = {}
    for optimiser in config.optimisers:
        settings = {optimiser: stages.Bounds(config.t, config.beta)}
        after |= stages.extend(own, config.seeds, config.seed, folder, optimiser, settings, begin)
    every = {"initialise": begin} | {variant: trained.archive for variant, trained in after.items()}
    for stage, archive in every.items():
        for s in range(config.seeds):
            stages.store(folder, name, stage, s, tree_take(archive, s), task(name).record())
    return {"variant": list(after)} | stages.records(own, after)


def _measures(config: Config, rows: list[Row]) -> dict[str, Any]:
    """What the certificate says, by stage and seed."""
    count = 1 + len(config.optimisers)

    def by_stage(values: list[Any]) -> np.ndarray:
        return np.array(values).reshape(count, config.seeds, *np.shape(values[0]))

    def sets(values: list[np.ndarray]) -> dict[str, np.ndarray]:
        return stages.padded(
            [values[i : i + config.seeds] for i in range(0, len(rows), config.seeds)], config.capacity
        )

    fresh = sets([row.fresh for row in rows])
    found = {n: by_stage([getattr(row, n) for row in rows]) for n in ("volume", "fresh_volume", "certified")}
    found |= sets([row.selection for row in rows]) | {"fresh": fresh["returns"]}
    found |= {"utility": stages.utilities(fresh, task(rows[0].task).preferences())}
    found |= {"reached": by_stage([row.reached for row in rows])}
    return found | {"preferences": rows[0].preferences, "bound": rows[0].bound}


def estimate(config: Config) -> dict[str, int]:
    """Members are scores; environment steps of training."""
    variants, members, steps = len(config.optimisers), 0, 0
    window = config.algo.n_envs * config.algo.length
    for name in config.tasks:
        one = SETTINGS[name]
        m, selected = len(one.objectives), config.selected or one.selected
        runs = config.initial * config.every * len(weight_lattice(m, one.step))
        runs += variants * config.rounds * config.updates * selected * m
        members += (3 * (1 + variants) + 2 * variants) * config.seeds
        steps += config.seeds * window * runs
    return {"members": members, "env_steps": steps}


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray | Score]:
    """Per task and stage, `float[S]`: hypervolume by fresh episodes and by those that chose the members, its
    certified bound; per variant the feasible share of iterates and the gain of objective l, means of rounds.
    Of the building the mean gap to the bound over preferences, in percent.
    """
    found: dict[str, np.ndarray | Score] = {}
    for i, name in enumerate(result["task"].tolist()):
        variants = result[f"variant_{i}"].tolist()
        for v, stage in enumerate(["after initialisation", *variants]):
            found[f"{name}: {stage}"] = result[f"fresh_volume_{i}"][v]
            found[f"{name}: {stage}, selection episodes"] = result[f"volume_{i}"][v]
            found[f"{name}: {stage}, certified"] = result[f"certified_{i}"][v]
            if len(result[f"bound_{i}"]):
                gap = 100 * (1 - result[f"reached_{i}"][v] / result[f"bound_{i}"])
                found[f"{name}: {stage}, mean gap to the bound, %"] = Score(
                    gap.mean(-1), "less", derived=True
                )
                found[f"{name}: {stage}, largest gap to the bound, %"] = Score(
                    gap.max(-1), "less", derived=True
                )
        for v, variant in enumerate(variants):
            found[f"{name}: {variant}, feasible"] = result[f"feasible_{i}"][v].mean(-1)
            found[f"{name}: {variant}, gain"] = result[f"gain_{i}"][v].mean(-1)
    return found


def figure(folder: RunFolder) -> list[Path]:
    """Fronts of the first seed, feasibility and gain by round; a page of the front of every task."""
    result, config = folder.load_result(), config_from_dict(Config, folder.config)
    tasks = result["task"].tolist()
    pages = [_page(folder, config, result, i, name) for i, name in enumerate(tasks)]
    with plots.paper():
        fig, axes = plots.subplots(len(tasks), 3, width=3.6, height=3.0)
        for i, name in enumerate(tasks):
            variants = result[f"variant_{i}"].tolist()
            _front(axes[i, 0], result, i, name, variants)
            stages.draw_rounds(axes[i, 1:], result, i, name)
        return [*plots.save(fig, folder.figures / "fronts"), *pages]


def _front(ax: Any, result: dict[str, np.ndarray], i: int, name: str, variants: list[str]) -> None:
    """The first two objectives of the first seed, by fresh episodes."""
    for v, label in enumerate(["initialisation", *variants]):
        points = result[f"fresh_{i}"][v, 0][result[f"valid_{i}"][v, 0]]
        color = plots.PALETTE[v - 1] if v else "black"
        ax.plot(points[:, 0], points[:, 1], ".", color=color, markersize=4, alpha=0.7, label=label)
    first, second, *_ = SETTINGS[name].objectives
    ax.set(title=f"{name}, seed 0", xlabel=first, ylabel=second)
    ax.legend(fontsize=7)


def _page(folder: RunFolder, config: Config, result: dict[str, np.ndarray], i: int, name: str) -> Path:
    """The front of the first variant and seed by fresh episodes, with its extensions."""
    own = plan(config, name)
    variant = result[f"variant_{i}"].tolist()[0]
    arrays = {n: result[f"{n}_{i}"][0, 0] for n in ("start", "end", "threshold", "live")}
    page = front_page.Front(
        title=f"C-MORL on {name}",
        objectives=own.objectives,
        returns=result[f"fresh_{i}"][1, 0][result[f"valid_{i}"][1, 0]],
        reference=own.reference,
        record=task(name).record() | {"episodes": config.fresh},
        rollouts=rollouts.of_task(own, episodic_certificate.members(folder, own, variant, 0).policy),
        **stages.arrows(**arrays),
    )
    path = folder.figures / f"front-{name}.html"
    path.write_text(front_page.render(page))
    return path
