"""Measurements of a Gaussian process on a grid: information gained along a path of 40 states.

Each map is the process after five measurements elsewhere.
"""

from __future__ import annotations

from experiments.submodular import study
from experiments.submodular.study import Config
from jaxrl.cli.main import experiment_main

PRESETS = {
    "smoke": Config(("designs",), ("M", "M total"), n_envs=4, updates=2, seeds=1, maps=2, width=2),
    "quick": Config(("designs",), maps=2),
    "paper": Config(("designs",), ("M", "NM", "ModPO", "M natural"), seeds=20, maps=10),
}
BETTER = "more"

run, estimate, scores, figure = study.run, study.estimate, study.scores, study.figure


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
