"""PPO on CartPole: four learning rates, eight seeds, one compiled program."""

from __future__ import annotations

from pathlib import Path

from experiments.shared import lr_study
from experiments.shared.lr_study import Config
from jaxrl.baselines import ppo
from jaxrl.cli.main import experiment_main
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.run.folder import RunFolder

ENV = CartPole()
_HYPER = ppo.Hyper(gamma=0.98, lambda_=0.9, entropy=0.0, anneal=1.0)
_GRID = {"hyper.lr": (3e-4, 1e-3, 3e-3, 1e-2)}

PRESETS = {
    "smoke": Config(
        algo=ppo.Config(n_envs=8, length=32, widths=(16,)), seeds=2, updates=8, evaluations=2, episodes=4
    ),
    "quick": Config(
        algo=ppo.Config(n_envs=32, length=64, epochs=8), hyper=_HYPER, grid=_GRID, updates=50, evaluations=12
    ),
    "paper": Config(
        algo=ppo.Config(n_envs=32, length=64, epochs=8),
        hyper=_HYPER,
        grid=_GRID,
        seeds=64,
        updates=150,
        evaluations=30,
        episodes=64,
    ),
}
BETTER = "more"


scores = lr_study.scores


def run(config: Config, folder: RunFolder) -> None:
    """Trains every member; see `lr_study.run` for the arrays."""
    lr_study.run(config, folder, ENV)


def figure(folder: RunFolder) -> list[Path]:
    """Learning curves and heat map."""
    return lr_study.figure(folder, "PPO on CartPole", best=500.0)


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
