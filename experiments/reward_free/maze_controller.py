"""A controller that was written for the point maze: it knows the walls and steers around them."""

from __future__ import annotations

import jax.numpy as jnp

from jaxrl.core.types import Array, Key, Policy, PyTree
from jaxrl.envs.control.point_maze import TARGETS


def waypoint(task: str, position: Array) -> Array:
    """The point to steer for, float[2], from `position` float[2], around the cross to the target."""
    if task == "bottom_left":  # the mirror image of the upper right
        return -waypoint("top_right", -position[::-1])[::-1]
    x, y = position
    target = jnp.asarray(TARGETS[task])
    if task == "top_left":
        return target
    over = jnp.asarray([0.24, 0.22])
    if task == "top_right":
        return jnp.where(x < 0.05, over, target)
    down = jnp.asarray([0.215, -0.15])
    return jnp.where((x < 0.195) & (y > 0), over, jnp.where(y > -0.035, down, target))


def controller(task: str) -> Policy:
    """Full force towards the next waypoint, and little where it is near: proportional, and damped."""

    def act(key: Key, obs: Array, memory: PyTree) -> tuple[Array, tuple[()], PyTree]:
        position, velocity = obs[:2], obs[2:]
        return jnp.clip(40 * (waypoint(task, position) - position) - 10 * velocity, -1, 1), (), memory

    return Policy(act)
