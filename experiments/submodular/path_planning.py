"""Informative path planning: cover what matters on maps, and two rooms, with 40 to 80 visited states."""

from __future__ import annotations

from experiments.submodular import study
from experiments.submodular.study import Config
from jaxrl.cli.main import experiment_main

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
BETTER = "more"

run, estimate, scores, figure = study.run, study.estimate, study.scores, study.figure


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
