"""Collect items by demand where one action in ten is replaced by a random one, on random maps."""

from __future__ import annotations

from experiments.submodular import study
from experiments.submodular.study import Config
from jaxrl.cli.main import experiment_main

PRESETS = {
    "smoke": Config(("noisy items",), ("M", "M total"), n_envs=8, updates=3, seeds=1, maps=2),
    "quick": Config(("noisy items",), maps=2),
    "paper": Config(("noisy items",), ("M", "NM", "ModPO", "NM GRU"), seeds=20, maps=10),
}
BETTER = "more"

run, estimate, scores, figure = study.run, study.estimate, study.scores, study.figure


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
