"""Where to measure a Gaussian process on a grid: information gained along a path of 40 states."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from experiments.submodular import study
from experiments.submodular.study import Config
from jaxrl.run.cli import experiment_main
from jaxrl.run.folder import RunFolder

PRESETS = {
    "smoke": Config(("design",), ("M", "M total"), n_envs=4, updates=2, seeds=1, width=2),
    "quick": Config(("design",), seeds=3),
    "paper": Config(("design",), ("M", "NM", "ModPO", "M natural"), seeds=20),
}


def run(config: Config, folder: RunFolder) -> None:
    """Trains every member; see `study.run` for the arrays."""
    study.run(config, folder)


def estimate(config: Config) -> dict[str, int]:
    """Members and environment steps."""
    return study.estimate(config)


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Mean F of the last update by problem and learner, `float[M]`."""
    return study.scores(result)


def figure(folder: RunFolder) -> list[Path]:
    """Learning curves over the best value seen, and paths."""
    return study.figure(folder)


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
