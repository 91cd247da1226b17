"""GoalGrid: a point on a square that is moved by its actions; small enough to draw values and policies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.spaces import Box
from jaxrl.core.types import Array, Key, Policy, PyTree, Step
from jaxrl.envs.base import Entry, integer, real

STEP = 0.25  # largest move along an axis
SIDE = 1.5  # half of the square's

_PIXELS = 120
_COLOURS = ((235, 235, 230), (40, 160, 80), (30, 100, 220))  # floor, goal, point


class GoalGridParams(NamedTuple):
    """Parameters of `GoalGrid`.

    goal: float[2]; reach: distance along each axis within which it pays; max_steps: int32[].
    """

    goal: Array
    reach: Array
    max_steps: Array


@dataclass(frozen=True)
class GoalGrid:
    """Walk to the goal and stay there (the two-dimensional example of ReCOIL's code, 2302.08560).

    Observation: float[2] in the square of +-1.5. Action: float[2] added to it, clipped to +-0.25; the sides
    of the square stop the point. Reward: 1 where the point after the step is within `reach` of the goal along
    both axes, else 0; the example itself has none. Termination: never. Time limit: 20. Start: uniform.
    """

    name: str = "GoalGrid"
    reward_dim: None = None

    @property
    def observation_space(self) -> Box:
        """The square."""
        return Box(-SIDE, SIDE, (2,))

    @property
    def action_space(self) -> Box:
        """A move."""
        return Box(-STEP, STEP, (2,))

    def default_params(self) -> GoalGridParams:
        """The goal of the example, (1.2, 1.2)."""
        return GoalGridParams(jnp.full(2, 1.2, jnp.result_type(float)), real(0.125), integer(20))

    def time_limit(self, params: GoalGridParams) -> Array:
        """int32[], the largest number of steps of an episode."""
        return params.max_steps

    def reset(self, key: Key, params: GoalGridParams) -> tuple[Array, Array]:
        """Anywhere."""
        point = jax.random.uniform(key, (2,), params.goal.dtype, -SIDE, SIDE)
        return point, point

    def step(self, key: Key, state: Array, action: Array, params: GoalGridParams) -> tuple[Array, Step]:
        """`state` float[2] plus `action` float[2]."""
        move = jnp.clip(action, -STEP, STEP).astype(state.dtype)
        after = jnp.clip(state + move, -SIDE, SIDE)
        return after, Step(after, self.reward(params, state, action, after), jnp.asarray(False), {})

    def reward(self, params: GoalGridParams, state: Array, action: Array, next_state: Array) -> Array:
        """float[] of states float[2], see the class."""
        near = jnp.all(jnp.abs(next_state - params.goal) <= params.reach)
        return near.astype(params.goal.dtype)

    def render(self, state: Array, params: GoalGridParams) -> Array:
        """uint8[120, 120, 3] of a state float[2]: where it pays, the point; first axis right, second up."""
        axis = (np.arange(_PIXELS) + 0.5) / _PIXELS * 2 * SIDE - SIDE
        x, y = np.meshgrid(axis, axis[::-1])
        goal = (jnp.abs(x - params.goal[0]) <= params.reach) & (jnp.abs(y - params.goal[1]) <= params.reach)
        point = jnp.hypot(x - state[0], y - state[1]) <= 0.06
        kind = jnp.where(point, 2, jnp.where(goal, 1, 0))
        return jnp.asarray(_COLOURS, jnp.uint8)[kind]


def expert(params: GoalGridParams) -> Policy:
    """The expert of the example: straight along both axes, a = clip(goal - state, -0.25, 0.25)."""

    def act(key: Key, obs: Array, memory: PyTree) -> tuple[Array, tuple[()], PyTree]:
        return jnp.clip(params.goal - obs, -STEP, STEP), (), memory

    return Policy(act)


ENVIRONMENTS = {"GoalGrid": Entry(GoalGrid)}
