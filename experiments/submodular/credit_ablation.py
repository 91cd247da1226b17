"""Ablation of credits: gain to go, total, own gain, prefix, and generalised advantages, on the same seeds."""

from __future__ import annotations

from pathlib import Path

from experiments.submodular import study
from experiments.submodular.study import CREDITS, Config
from jaxrl.cli.main import experiment_main
from jaxrl.run.folder import RunFolder

PRESETS = {
    "smoke": Config(("items",), ("M", "M total", "M marginal", "M prefix"), n_envs=8, updates=3, seeds=2),
    "quick": Config(("items", "bimodal"), ("M", "M total", "M marginal", "M prefix", "M gae")),
    "paper": Config(
        ("items", "bimodal", "two rooms"),
        ("M", "M total", "M marginal", "M prefix", "M gae", "M official"),
        seeds=20,
    ),
    "maps": Config(
        ("gorilla", "noisy items"),
        ("M", *CREDITS, "ModPO"),
        seeds=5,
    ),
    "design": Config(
        ("design",),
        ("M", *CREDITS, "ModPO"),
        seeds=5,
    ),
}
BETTER = "more"

run, estimate, scores = study.run, study.estimate, study.scores


def figure(folder: RunFolder) -> list[Path]:
    """Every seed's last value, and learning curves with paths."""
    return study.spread(folder, "") + study.figure(folder)


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
