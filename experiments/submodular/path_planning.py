"""Informative path planning: cover what matters on maps, and two rooms, with 40 to 80 visited states."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from experiments.submodular import study
from experiments.submodular.study import Config
from jaxrl.run.cli import experiment_main
from jaxrl.run.folder import RunFolder

PRESETS = {
    "smoke": Config(("two rooms",), ("M", "M total"), n_envs=8, updates=3, seeds=2),
    "quick": Config(("gorilla", "two rooms")),
    "paper": Config(
        ("bimodal", "gorilla", "gp", "coverage", "two rooms"),
        ("M", "NM", "ModPO", "NM GRU"),
        seeds=20,
        maps=10,
    ),
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
    """Learning curves over the best known value, and paths over the maps."""
    return study.figure(folder)


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
