"""What the learning-rate studies of PPO share: configuration, run, result arrays and pictures.

Legend: `G` grid points, `S` seeds, `L` evaluation points.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from jaxrl.baselines import ppo
from jaxrl.core.fields import Seed, Size, check_fields
from jaxrl.envs.base import Env
from jaxrl.report import plots, statistics
from jaxrl.rollout.evaluate import greedy_return
from jaxrl.run.grid import check_grid, expand, labels
from jaxrl.run.sweep import Member, sweep

if TYPE_CHECKING:
    from pathlib import Path

    from jaxrl.run.folder import RunFolder

LEARNING_RATES = (1e-4, 3e-4, 1e-3, 3e-3)


@dataclass(frozen=True)
class Config:
    """A sweep of PPO: every grid point with every seed, as one compiled program per static configuration."""

    algo: ppo.Config = field(default_factory=ppo.Config)
    """Static choices of PPO."""
    hyper: ppo.Hyper = field(default_factory=ppo.Hyper)
    """Hyper-parameters of PPO; `updates_total` is set to `updates`."""
    grid: dict[str, tuple[int | float | bool | str, ...]] = field(
        default_factory=lambda: {"hyper.lr": LEARNING_RATES}
    )
    """Values to sweep, by field: `hyper.lr`, `algo.n_envs` and so on; the run trains every combination."""
    seeds: Size = 8
    """Members per grid point."""
    seed: Seed = 0
    """Root seed; member i depends on it and on i alone."""
    updates: Size = 25
    """Updates per member."""
    evaluations: Size = 12
    """Points of the learning curve."""
    episodes: Size = 16
    """Episodes per evaluation, one per slot, greedy."""

    def __post_init__(self) -> None:
        check_fields(self)
        check_grid(self, self.grid, lambda point: member(self, point))


def member(study: Config, point: Config) -> tuple[ppo.Config, ppo.Hyper]:
    """What the rows of one grid point train in a study."""
    return point.algo, point.hyper.replace(updates_total=float(study.updates))


def run(config: Config, folder: RunFolder, env: Env) -> None:
    """Trains and saves `update [L]`, `env_steps [G, L]`, `point [G]` and `eval_return [G, S, L]`."""
    points = expand(config, config.grid)
    members = _train(config, folder, env)
    shown = np.isfinite(np.stack([m.history["eval/return"] for m in members])).any(0)
    returns = np.stack([m.history["eval/return"][shown] for m in members])
    update = members[0].update[shown]
    folder.save_result(
        update=update,
        env_steps=np.stack([update * p.algo.n_envs * p.algo.length for p in points]),
        point=labels(config.grid),
        eval_return=returns.reshape(len(points), config.seeds, -1),
        diverged=np.array([max(m.first_bad.values()) >= 0 for m in members]).reshape(len(points), -1),
    )


def _train(config: Config, folder: RunFolder, env: Env) -> list[Member]:
    """All members, by grid point and seed; a finished run is restored from its checkpoints."""
    return sweep(
        lambda algo: ppo.make(algo, env),
        [member(config, point) for point in expand(config, config.grid)],
        seeds=config.seeds,
        seed=config.seed,
        data=env.default_params(),
        updates=config.updates,
        evaluate=lambda algo: greedy_return(ppo.make(algo, env), env, config.episodes),
        eval_every=max(1, config.updates // config.evaluations),
        env_steps_per_update=lambda algo: algo.n_envs * algo.length,
        folder=folder,
    )


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return of the last policy, `float[S]` per grid point; NaN where a member diverged."""
    last = np.where(result["diverged"], np.nan, result["eval_return"][:, :, -1])
    return dict(zip(result["point"].tolist(), last, strict=True))


def figure(folder: RunFolder, title: str, best: float) -> list[Path]:
    """Learning curves with the maximum `best`, and the last policy of every member as a heat map."""
    result = folder.load_result()
    with plots.paper():
        fig, axes = plots.subplots(1, 2, width=5.4, height=3.6)
        curves, map_ = axes[0]
        for label, x, y in zip(result["point"], result["env_steps"], result["eval_return"], strict=True):
            plots.learning_curve(curves, x, y, label=str(label), better="more", worst=0.0)
        curves.axhline(best, color=plots.GREY, linewidth=0.8, linestyle=":")
        around = "95 % band" if result["eval_return"].shape[1] >= statistics.MIN_RUNS else "every seed"
        curves.set(title=title, xlabel="environment steps per member", ylabel=f"return (IQM, {around})")
        curves.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
        last = np.stack(list(scores(result).values()))
        columns = [str(i) for i in range(last.shape[1])]
        plots.heat_map(map_, last, result["point"].tolist(), columns, label="return")
        map_.set(title="last policy of every member", xlabel="seed")
        return plots.save(fig, folder.figures / "learning_curves")
