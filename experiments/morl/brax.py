"""C-MORL on brax's bodies with vector rewards; `quick` is the hopper with two objectives."""

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
from jaxrl.core.errors import UsageError
from jaxrl.envs.adapters.brax_objectives import TASKS
from jaxrl.rollout.unroll import Pool

_HYPER = ppo.Hyper(lr=3e-4, gamma=0.99, entropy=0.0, anneal=1.0)


@dataclass(frozen=True)
class Config(episodic.Config):
    """Both stages on bodies that the back-end `spring` simulates."""

    tasks: tuple[str, ...] = ("hopper-2",)
    """Names of task records of brax's bodies, one or more."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.tasks:
            if name not in TASKS:
                raise UsageError(f"Config.tasks: {name!r} is no body of brax; choose of {', '.join(TASKS)}")


PRESETS = {
    "smoke": Config(
        algo=ppo.Config(n_envs=2, length=8, epochs=1, minibatches=1, widths=(8,), reset=Pool(2), **SCALED),
        hyper=_HYPER,
        **SMALLEST,
    ),
    "quick": Config(
        algo=ppo.Config(n_envs=32, length=64, epochs=4, minibatches=8, reset=Pool(8), **SCALED),
        hyper=_HYPER.replace(lr=1e-3),
        seeds=2,
        initial=15,
        every=8,
        rounds=2,
        updates=8,
        capacity=64,
        fresh=16,
    ),
    "paper": Config(
        ("hopper-2", "hopper-3", "halfcheetah-2", "ant-2", "ant-3", "walker2d-2", "humanoid-2"),
        ("barrier", "none"),
        algo=ppo.Config(n_envs=64, length=64, epochs=10, minibatches=32, reset=Pool(8), **SCALED),
        hyper=_HYPER,
        seeds=5,
        initial=32,
        every=10,
        rounds=5,
        capacity=200,
        episodes=10,
    ),
}
BETTER = "more"


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
