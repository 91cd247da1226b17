"""PPO on Brax inverted pendulum (spring): four learning rates, eight seeds, one compiled program."""

from __future__ import annotations

from pathlib import Path

from experiments.shared import lr_study
from experiments.shared.lr_study import Config
from jaxrl.baselines import ppo
from jaxrl.cli.main import experiment_main
from jaxrl.envs.adapters.brax import Brax
from jaxrl.rollout.unroll import Pool
from jaxrl.run.folder import RunFolder

ENV = Brax("inverted_pendulum", "spring")
_SCALED = {"squash": True, "free_log_std": False, "normalise_obs": True, "scale_rewards": True}

PRESETS = {
    "smoke": Config(
        algo=ppo.Config(n_envs=8, length=16, widths=(16,), reset=Pool(4)),
        seeds=2,
        updates=4,
        evaluations=2,
        episodes=2,
    ),
    "quick": Config(
        algo=ppo.Config(n_envs=32, length=64, reset=Pool(8), **_SCALED),
        updates=120,
        evaluations=8,
        episodes=4,
    ),
    "paper": Config(
        algo=ppo.Config(n_envs=64, length=128, minibatches=16, reset=Pool(16), **_SCALED),
        seeds=64,
        updates=150,
        evaluations=15,
        episodes=32,
    ),
}
BETTER = "more"


scores = lr_study.scores


def run(config: Config, folder: RunFolder) -> None:
    """Trains every member; see `lr_study.run` for the arrays."""
    lr_study.run(config, folder, ENV)


def figure(folder: RunFolder) -> list[Path]:
    """Learning curves and heat map."""
    return lr_study.figure(folder, "PPO on inverted pendulum (Brax spring)", best=1000.0)


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
