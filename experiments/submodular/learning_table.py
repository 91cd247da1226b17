"""SubPO beside the released code: last values on the paper's problems, to_go against prefix, seed by seed."""

from __future__ import annotations

from pathlib import Path

from experiments.submodular import study
from experiments.submodular.study import Config
from jaxrl.cli.main import experiment_main
from jaxrl.run.folder import RunFolder

PRESETS = {
    "smoke": Config(("items",), ("M", "M prefix"), n_envs=8, updates=3, seeds=2),
    "quick": Config(("items", "bimodal"), ("M", "NM", "ModPO", "M official")),
    "table": Config(
        ("items", "bimodal", "two rooms", "gorilla", "design"), ("M", "NM", "ModPO", "M official")
    ),
    "learners": Config(("items", "bimodal"), ("M", "M natural", "M PPO", "NM", "NM GRU"), seeds=3),
    "paper": Config(
        ("items", "bimodal", "two rooms", "gorilla", "design"),
        ("M", "NM", "ModPO", "M official", "NM official", "ModPO official"),
        seeds=20,
    ),
}
BETTER = "more"

run, estimate, scores = study.run, study.estimate, study.scores


def figure(folder: RunFolder) -> list[Path]:
    """Every seed's last value, and learning curves with paths."""
    return study.spread(folder, "") + study.figure(folder)


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
