"""The environments of the library by name, for configurations and command lines."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import partial

from jaxrl.core.errors import UsageError
from jaxrl.envs.base import Env
from jaxrl.envs.classic import Acrobot, CartPole, MountainCar, MountainCarContinuous, Pendulum
from jaxrl.envs.grid_levels import LEVELS, RANDOM_LEVELS
from jaxrl.envs.gridworld import GridWorld, RandomGridWorld
from jaxrl.envs.linear_mixture import LinearMixture
from jaxrl.envs.tabular import Tabular
from jaxrl.envs.toys import DeepSeaTreasure, ResourceGathering

CATALOGUE: dict[str, Callable[[], Env]] = {
    "CartPole": CartPole,
    "Pendulum": Pendulum,
    "MountainCar": MountainCar,
    "MountainCarContinuous": MountainCarContinuous,
    "Acrobot": Acrobot,
    "Acrobot-raw": partial(Acrobot, raw=True),
    "DeepSeaTreasure": DeepSeaTreasure,
    "DeepSeaTreasure-concave": partial(DeepSeaTreasure, "concave"),
    "ResourceGathering": ResourceGathering,
    "Tabular": partial(Tabular, 5, 3),
    "Tabular-vector": partial(Tabular, 5, 3, reward_dim=2),
    "Tabular-horizon": partial(Tabular, 5, 3, H=10),
    "LinearMixture": partial(LinearMixture, 4, 2, 3),
    "LinearMixture-horizon": partial(LinearMixture, 4, 2, 3, H=10),
    **{f"GridWorld-{name}": partial(GridWorld, levels) for name, levels in LEVELS.items()},
    **{f"GridWorld-{name}": partial(RandomGridWorld, levels) for name, levels in RANDOM_LEVELS.items()},
}


def make(name: str) -> Env:
    """The environment called `name`; raises `UsageError` with the nearest name where there is none."""
    if name not in CATALOGUE:
        near = difflib.get_close_matches(name, CATALOGUE, n=1, cutoff=0.0)
        raise UsageError(f"environment {name!r} does not exist; did you mean {near[0]!r}?")
    return CATALOGUE[name]()
