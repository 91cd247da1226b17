"""Grid levels of the studies of rules for targets."""

from __future__ import annotations

import dataclasses
from typing import Literal

from jaxrl.envs.base import Env
from jaxrl.envs.grids.gridworld import GridWorld
from jaxrl.envs.grids.levels import LEVELS
from jaxrl.envs.wrappers.observe_time import observe_time

Levels = Literal["small", "debug", "all"]
"""Distributions of levels, see `jaxrl.envs.grids.levels.LEVELS`."""


def environment(levels: Levels, limit: tuple[int, int]) -> Env:
    """Levels observed as an index, with a thousandth of the time; limit: of an episode, in steps."""
    drawn = dataclasses.replace(LEVELS[levels], limit=limit)
    return observe_time(GridWorld(drawn, index=True), scale=0.001)
