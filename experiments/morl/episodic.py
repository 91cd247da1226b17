"""Tasks without tables as the experiments train them: settings, configuration, and both stages on a task."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax.numpy as jnp

from experiments.morl.stages import Plan
from jaxrl.baselines import ppo
from jaxrl.core.errors import UsageError, nearest
from jaxrl.core.fields import Positive, Seed, Share, Size, check_fields
from jaxrl.morl.constraints import Optimiser
from jaxrl.morl.learners import EvaluationOptions
from jaxrl.morl.metrics import weight_lattice
from jaxrl.morl.tasks import task


class Setting(NamedTuple):
    """What one task adds: names of its objectives, step of the lattice of stage 1, members selected."""

    objectives: tuple[str, ...]
    step: float
    selected: int


_PARTS = ("lower", "middle", "upper")
SETTINGS = {
    "building-3": Setting(("comfort", "cost", "ramping"), 0.5, 6),
    "building-9": Setting(
        tuple(f"{what}, {part}" for what in ("comfort", "energy", "ramping") for part in _PARTS), 1.0, 6
    ),
    "minecart": Setting(("ore 1", "ore 2", "fuel"), 0.5, 6),
    "minecart-deterministic": Setting(("ore 1", "ore 2", "fuel"), 0.5, 6),
    "hopper-2": Setting(("speed", "height"), 0.2, 5),
    "hopper-3": Setting(("speed", "height", "control"), 0.5, 6),
    "halfcheetah-2": Setting(("speed", "control"), 0.2, 5),
    "walker2d-2": Setting(("speed", "control"), 0.2, 5),
    "ant-2": Setting(("speed along x", "speed along y"), 0.5, 5),
    "ant-3": Setting(("speed along x", "speed along y", "control"), 0.5, 6),
    "humanoid-2": Setting(("speed", "control"), 0.2, 5),
}
"""By task record; steps and selected members are those of the released scripts, where they have the task."""


SCALED: dict[str, Any] = {"normalise_obs": True, "scale_rewards": True, "normalise_advantage": "batch"}
"""Choices of PPO that the released scripts share."""
SMALLEST: dict[str, Any] = {
    "seeds": 1,
    "initial": 2,
    "every": 1,
    "rounds": 1,
    "updates": 1,
    "selected": 1,
    "capacity": 8,
    "episodes": 1,
    "fresh": 2,
}
"""What the smoke presets share: both stages, as short as they can be."""


@dataclass(frozen=True)
class Config:
    """Both stages with networks, as members of one program per task and stage."""

    tasks: tuple[str, ...] = ("building-3",)
    """Names of task records, one or more."""
    optimisers: tuple[Optimiser, ...] = ("barrier",)
    """Constraint optimisers of stage 2, one or more; all extend the archives of the same stage 1."""
    algo: ppo.Config = field(default_factory=ppo.Config)
    """Static choices of PPO. Paper: 8 environments, 512 steps, 10 epochs, 32 minibatches, 64-64 units."""
    hyper: ppo.Hyper = field(default_factory=ppo.Hyper)
    """Hyper-parameters of PPO in stage 1; `updates_total` is set. Stage 2 has the same learning rate without
    annealing, and no entropy bonus. Paper: 3e-4, annealed; discount 0.995."""
    seeds: Size = 3
    """Members per task and variant; member i depends on the root seed and on i alone."""
    seed: Seed = 0
    """The root seed, in [0, 2^32)."""
    initial: Size = 10
    """Evaluations of every learner in stage 1."""
    every: Size = 10
    """Updates of PPO between two of them. Paper: 10."""
    rounds: Size = 2
    """Rounds of stage 2. Paper: 2 to 5 by task."""
    updates: Size = 20
    """Updates of every run in a round. Paper: 20."""
    selected: Size | None = None
    """Members that a round begins from; None takes the number of the task. Paper: 5 or 6."""
    capacity: Size = 128
    """Members of the archive. Paper: 200."""
    beta: Share = 0.9
    """Share of every constrained return that a run retains, in [0, 1]. Paper: 0.9."""
    t: Positive = 20.0
    """Sharpness of the barrier. Paper: 20."""
    episodes: Size = 4
    """Episodes per evaluation before a policy enters the archive. Paper: 5 or 10."""
    fresh: Size = 50
    """Fresh episodes of every member of the final archives, 2 or more; below 50 intervals may be false."""
    hours: Size = 480
    """Steps of the building's episode in which members are compared with what no policy exceeds."""

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("tasks", "optimisers"):
            if not getattr(self, name):
                raise UsageError(f"Config.{name}: must hold at least one name")
        for name in self.tasks:
            if name not in SETTINGS:
                raise UsageError(f"Config.tasks: {name!r} has no setting; {nearest(name, SETTINGS)}")
        if self.fresh < 2:
            raise UsageError(f"Config.fresh: an interval needs 2 episodes or more, got {self.fresh}")


def plan(config: Config, name: str) -> Plan:
    """Both stages on a task, whose parameters have the time limit of its record."""
    one, found = SETTINGS[name], task(name)
    env = found.make()
    data: Any = env.default_params()
    if hasattr(data, "limit"):
        data = data._replace(limit=jnp.full_like(data.limit, found.horizon))
    return Plan(
        name=name,
        env=env,
        data=data,
        objectives=one.objectives,
        reference=found.reference,
        evaluation=EvaluationOptions(found.evaluation, config.episodes, found.horizon),
        learner=config.algo,
        first=config.hyper.replace(updates_total=float(config.initial * config.every)),
        later=config.hyper.replace(updates_total=float(config.updates), anneal=0.0, entropy=0.0),
        weights=weight_lattice(len(found.reference), one.step),
        initial=config.initial,
        every=config.every,
        selected=config.selected or one.selected,
        rounds=config.rounds,
        updates=config.updates,
        capacity=config.capacity,
        gamma=found.gamma,
    )
