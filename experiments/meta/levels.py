"""Grid levels and rules of the studies of rules for targets, and what those of evolved rules share."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Positive, Seed, Size, check_fields
from jaxrl.envs.base import Env
from jaxrl.envs.grids.gridworld import GridWorld
from jaxrl.envs.grids.levels import LEVELS
from jaxrl.envs.wrappers.observe_time import observe_time
from jaxrl.meta import lifetimes, lpg, targets
from jaxrl.meta.objective import Objective

Levels = Literal["small", "debug", "all"]
"""Distributions of levels, see `jaxrl.envs.grids.levels.LEVELS`."""
Named = Literal["dense", "sparse", "long", "longer", "long_dense", "mazes"]
"""Levels whose walls and objects are published; only positions are drawn, and the design of a maze."""
Kind = Literal["REINFORCE", "LPG"]
"""Rules for targets, which have inputs for n/N and ln N."""
ARMS: dict[str, tuple[Kind, str]] = {
    "REINFORCE": ("REINFORCE", "none"),
    "scheduled REINFORCE": ("REINFORCE", "paper"),
    "LPG": ("LPG", "none"),
    "TA-LPG": ("LPG", "paper"),
}
"""Names of rules: their kind, and the mask of their time inputs."""
INPUTS = ("n/N", "ln N")


@dataclass(frozen=True)
class OnLevels:
    """Levels, the learner on them, its lifetimes in training, and the levels of the evaluation."""

    levels: Levels = "small"
    """Distribution of the levels. Paper: "all"."""
    limit: tuple[Size, Size] = (20, 50)
    """Shortest and longest time limit of a level, in steps. Paper: 20 to 750."""
    learner: lpg.Config = field(default_factory=lambda: lpg.Config(n_envs=8))
    """Static choices of the learner."""
    hyper: lpg.Hyper = field(default_factory=lpg.Hyper)
    """Hyper-parameters of every lifetime."""
    width: Size = 32
    """Units of LPG's recurrence. Paper: 256."""
    horizons: tuple[Size, Size] = (5, 50)
    """Shortest and longest lifetime of training, in updates, log-uniform. Paper: 10 to 250."""
    longest: Positive = 50.0
    """Horizon whose logarithm is 1 for the rules, above 1, in updates."""
    episodes: Size = 8
    """Episodes after a lifetime whose mean return is its fitness."""
    held_out: Size = 512
    """Levels of the evaluation, a multiple of `together`."""
    together: Size = 64
    """Levels that are evaluated together."""
    seeds: Size = 2
    """Number of meta-seeds; seed i has the same keys in all arms."""
    seed: Seed = 0
    """Root seed, in [0, 2^32)."""

    def __post_init__(self) -> None:
        check_fields(self)
        lifetimes.check_horizons(*self.horizons, "Config.horizons")
        if self.held_out % self.together:
            raise UsageError(f"Config.held_out: must be a multiple of Config.together, {self.together}")
        if self.longest <= 1:
            raise UsageError("Config.longest: must be above 1, its logarithm divides that of a horizon")

    @property
    def log_scale(self) -> float:
        """The factor of ln N at which that of `longest` is 1."""
        return float(1 / np.log(self.longest))

    def steps_per_generation(self, pairs: int) -> int:
        """Environment steps of a generation of so many pairs, on average."""
        low, high = self.horizons
        mean = (high - low) / np.log(high / low) if high > low else high
        return int(2 * pairs * mean * self.learner.n_envs * self.learner.length)


@functools.cache  # equal rules share programs
def rule(config: OnLevels, kind: Kind) -> Objective:
    """A rule with inputs for progress and for the logarithm of the horizon, which a mask may close."""
    if kind == "REINFORCE":
        return targets.reinforce(inputs=INPUTS, log_scale=config.log_scale)
    return targets.lpg(
        config.learner.predictions, inputs=INPUTS, width=config.width, bias=False, log_scale=config.log_scale
    )


def environment(levels: Levels | Named, limit: tuple[int, int] | None = None) -> Env:
    """Levels observed as an index, with a thousandth of the time; limit: of an episode, in steps, their own
    by default.
    """
    drawn = LEVELS[levels] if limit is None else dataclasses.replace(LEVELS[levels], limit=limit)
    return observe_time(GridWorld(drawn, index=True), scale=0.001)
