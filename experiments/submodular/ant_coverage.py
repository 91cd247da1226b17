"""Brax's ant, paid for newly covered floor (SubPO) or for being there (ModPO): how much floor each covers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import matplotlib
import numpy as np

from experiments.submodular import bodies
from jaxrl.baselines import ppo
from jaxrl.cli.main import experiment_main
from jaxrl.core.types import Array
from jaxrl.envs.coverage.ant_coverage import ant_coverage
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.rollout.unroll import Pool
from jaxrl.run.folder import RunFolder
from jaxrl.submodular import proximal

HALF, WORTH = 20.0, 0.1  # half the side of the square, m; worth of a cell
_HYPER = ppo.Hyper(lr=1e-3, entropy=0.0)
_SCALED = {"normalise_obs": True, "scale_rewards": True, "squash": True}
_SMALL = proximal.Config(n_envs=64, length=64, minibatches=8, widths=(64, 64), reset=Pool(8), **_SCALED)


@dataclass(frozen=True)
class Config(bodies.Config):
    """Configuration of the study, with the physics engine."""

    backend: Literal["positional", "spring", "generalized"] = "spring"
    """Physics engine of Brax; `spring` is the fastest on a CPU."""


PRESETS = {
    "smoke": Config(
        algo=proximal.Config(n_envs=2, length=8, epochs=1, minibatches=1, widths=(8,), reset=Pool(2)),
        seeds=2,
        updates=2,
        evaluations=1,
        episodes=2,
    ),
    "quick": Config(algo=_SMALL, hyper=_HYPER, updates=160, evaluations=8, episodes=16),
    "long": Config(algo=_SMALL, hyper=_HYPER, seeds=5, updates=320, evaluations=16, episodes=16),
    "paper": Config(
        algo=proximal.Config(
            n_envs=2048, length=32, minibatches=32, widths=(128, 128), reset=Pool(64), **_SCALED
        ),
        hyper=_HYPER.replace(lr=3e-4),
        seeds=5,
        updates=600,
        evaluations=30,
        episodes=128,
        backend="positional",
    ),
}
BETTER = "more"


def measure(value: Array, length: Array, path: Array) -> dict[str, Array]:
    """Covered cells, and steps until the end."""
    return {"cells": value.mean() / WORTH, "steps": length.mean()}


def run(config: Config, folder: RunFolder) -> None:
    """Trains both learners on the ant and saves what `bodies.run` says, with the measures of `measure`."""
    bodies.run(config, folder, ant_coverage(config.backend), measure)


estimate = bodies.estimate


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray | Score]:
    """Cells covered by the last policy, `float[M]` per learner, what that is more than before training, and
    `bodies.progress` towards the best evaluation of any seed, as no optimum is known.
    """
    found: dict[str, np.ndarray | Score] = {}
    for a, learner in enumerate(result["learner"].tolist()):
        last = result["cells"][a, :, -1]
        found[f"{learner}: cells"] = last
        found[f"{learner}: cells minus untrained"] = Score(
            last - result["untrained_cells"], "more", derived=True
        )
    return found | bodies.progress(result, "cells", float(result["cells"].max()))


def figure(folder: RunFolder) -> list[Path]:
    """Covered cells, lengths of episodes, and an episode of each last policy over the floor of the first."""
    result = folder.load_result()
    with plots.paper():
        fig, axes = plots.subplots(1, 4, width=3.5, height=3.2)
        for ax, (name, label) in zip(axes[0], (("cells", "cells covered"), ("steps", "steps")), strict=False):
            bodies.curve(ax, result, name)
            ax.set(title=f"{label} per episode", ylim=(0, None))
        reach = max(4.0, 1.1 * float(np.abs(result["path"]).max()))
        for a, learner in enumerate(result["learner"].tolist()):
            _floor(axes[0, 2 + a], result["seen"][a, 0], result["path"][a], min(reach, HALF))
            axes[0, 2 + a].set(title=f"{learner}, an episode of each seed")
        return plots.save(fig, folder.figures / "learning_curves")


def _floor(ax: Any, seen: np.ndarray, path: np.ndarray, reach: float) -> None:
    """Cells that the first episode covered, and the paths of all."""
    palette = matplotlib.colormaps["Blues"]
    ax.imshow(seen.T, cmap=palette, vmin=0, vmax=3, origin="lower", extent=(-HALF, HALF, -HALF, HALF))
    for e, (x, y) in enumerate(path.transpose(0, 2, 1)):
        ax.plot(x, y, color=plots.PALETTE[e % 7], linewidth=1.4 if e == 0 else 0.7)
        ax.plot(x[-1], y[-1], ".", color=plots.PALETTE[e % 7], markersize=5)
    ax.plot(0, 0, "o", color="black", markersize=4)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel="x (m)", ylabel="y (m)", aspect="equal")
    ax.grid(False)


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
