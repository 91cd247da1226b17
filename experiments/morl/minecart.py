"""C-MORL on Minecart: ores against fuel, from fresh episodes to a page of the carts' ways."""

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

_HYPER = ppo.Hyper(lr=3e-4, gamma=0.98, entropy=0.01, anneal=1.0)


@dataclass(frozen=True)
class Config(episodic.Config):
    """Both stages on Minecart."""

    tasks: tuple[str, ...] = ("minecart-deterministic",)
    """Names of task records, one or more."""


PRESETS = {
    "smoke": Config(
        algo=ppo.Config(n_envs=2, length=16, epochs=1, minibatches=1, widths=(8,), **SCALED),
        hyper=_HYPER,
        **SMALLEST,
    ),
    "quick": Config(
        algo=ppo.Config(n_envs=32, length=128, epochs=4, minibatches=8, **SCALED),
        hyper=_HYPER.replace(lr=1e-3),
        initial=30,
        every=4,
        rounds=2,
        updates=10,
        episodes=1,
        fresh=2,
    ),
    "paper": Config(
        ("minecart-deterministic", "minecart"),
        ("barrier", "lagrangian", "cpo", "none"),
        algo=ppo.Config(n_envs=8, length=512, epochs=10, minibatches=32, **SCALED),
        hyper=_HYPER,
        seeds=5,
        initial=65,
        every=1,
        rounds=2,
        capacity=200,
        episodes=10,
    ),
}
BETTER = "more"


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
