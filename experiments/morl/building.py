"""C-MORL on the building with three and nine objectives, beside the bound that no policy exceeds."""

from __future__ import annotations

from dataclasses import dataclass

from experiments.morl import episodic
from experiments.morl.episodic import SCALED, SMALLEST
from experiments.morl.episodic_study import estimate as estimate
from experiments.morl.episodic_study import figure as figure
from experiments.morl.episodic_study import run as run
from experiments.morl.episodic_study import scores as scores
from jaxrl.baselines import ppo
from jaxrl.cli.main import experiment_main

_HYPER = ppo.Hyper(lr=3e-4, gamma=0.995, entropy=0.0, anneal=1.0)


@dataclass(frozen=True)
class Config(episodic.Config):
    """Both stages on the building."""

    tasks: tuple[str, ...] = ("building-3", "building-9")
    """Names of task records, one or more."""


PRESETS = {
    "smoke": Config(
        ("building-3",),
        algo=ppo.Config(n_envs=2, length=16, epochs=1, minibatches=1, widths=(8,), **SCALED),
        hyper=_HYPER,
        **SMALLEST,
        hours=12,
    ),
    "quick": Config(
        algo=ppo.Config(n_envs=8, length=256, epochs=5, minibatches=8, **SCALED),
        hyper=_HYPER.replace(lr=1e-3),
        initial=12,
        every=10,
        rounds=2,
        updates=8,
        capacity=64,
        episodes=2,
        fresh=24,
    ),
    "paper": Config(
        algo=ppo.Config(n_envs=8, length=512, epochs=10, minibatches=32, **SCALED),
        hyper=_HYPER,
        optimisers=("barrier", "lagrangian", "cpo", "none"),
        seeds=5,
        initial=48,
        every=10,
        rounds=3,
        capacity=200,
        episodes=10,
    ),
}
BETTER = "more"


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
