"""Collect items by demand where one action in ten is replaced by a random one, on random maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from experiments.submodular import study
from experiments.submodular.study import Config
from jaxrl.run.cli import experiment_main
from jaxrl.run.folder import RunFolder

PRESETS = {
    "smoke": Config(("noisy items",), ("M", "M total"), n_envs=8, updates=3, seeds=1, maps=2),
    "quick": Config(("noisy items",), maps=2),
    "paper": Config(("noisy items",), ("M", "NM", "ModPO", "NM GRU"), seeds=20, maps=10),
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
    """Learning curves over the sum of demands, and paths over the first map."""
    return study.figure(folder)


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
