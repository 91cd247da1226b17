"""A ball with a force on each axis in a maze of square cells, the maze2d of D4RL (2004.07219).

The free motion is that of the MuJoCo model to 1e-5, by replay of recorded transitions. Contacts are not:
the ball is pushed out of a wall along the contact normal and loses its inward velocity, where contacts of
MuJoCo are soft. Positions are those of D4RL: a cell (w, h) of the map is centred at (w - 0.2, h - 0.2).

Legend: `W, H` rows and columns of the map; cells are flat indices w * H + h.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Box
from jaxrl.core.types import Array, Key, Policy, Step
from jaxrl.envs.base import Entry, integer, real

# '#' wall, '.' free, 'G' goal
MAPS = {
    "umaze": ("#####", "#G..#", "###.#", "#...#", "#####"),
    "medium": (
        "########",
        "#..##..#",
        "#..#...#",
        "##...###",
        "#..#...#",
        "#.#..#.#",
        "#...#.G#",
        "########",
    ),
    "large": (
        "############",
        "#....#.....#",
        "#.##.#.#.#.#",
        "#......#...#",
        "#.####.###.#",
        "#..#.#.....#",
        "##.#.#.#.###",
        "#..#...#.G.#",
        "############",
    ),
}
HORIZONS = {"umaze": 300, "medium": 600, "large": 800}

_OFFSET = 1.2  # from positions to the frame of the walls, in which cell (w, h) is centred at (w + 1, h + 1)
# the cell of the ball, its neighbours, its diagonals: a flat wall is met before the corner of the next one
_AROUND = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))
_PIXELS = 16  # per cell
_FLOOR, _WALL, _GOAL, _BALL = (235, 235, 230), (70, 75, 85), (40, 160, 80), (30, 100, 220)


class MazeParams(NamedTuple):
    """SI units; forces are `gear` per unit of action.

    target: float[2], position that pays; reach: its radius; max_speed: to which each velocity is clipped
    before a step; spread: standard deviation of initial velocities.
    """

    gear: Array
    damping: Array
    mass: Array
    radius: Array
    dt: Array
    max_speed: Array
    target: Array
    reach: Array
    spread: Array
    max_steps: Array


class MazeState(NamedTuple):
    """State of the ball.

    position, velocity: float[2].
    """

    position: Array
    velocity: Array


@dataclass(frozen=True)
class Maze2D:
    """Steer the ball to the target and stay there (maze2d-umaze, -medium, -large of D4RL).

    Observation: float[4], position and velocity. Action: float[2], clipped to +-1. Reward: of the state after
    the step, 1 within `reach` of the target, or exp(-distance) with `dense`. Termination: never. Time limit:
    300, 600, 800. Start: uniform over the cells without walls, +-0.1, velocity normal.
    """

    maze: str = "umaze"
    dense: bool = False
    name: str = "Maze2D"
    reward_dim: None = None

    def __post_init__(self) -> None:
        if self.maze not in MAPS:
            raise UsageError(f"Maze2D.maze: unknown {self.maze!r}; known: {', '.join(MAPS)}")

    @property
    def observation_space(self) -> Box:
        """Positions inside the outer walls; at a corner the speeds of both axes may become that of one."""
        rows, columns = self.walls.shape
        return Box((0.0, 0.0, -7.4, -7.4), (rows - 1.0, columns - 1.0, 7.4, 7.4), (4,))

    @property
    def action_space(self) -> Box:
        """Force on each axis."""
        return Box(-1.0, 1.0, (2,))

    @property
    def walls(self) -> np.ndarray:
        """bool[W, H], the cells that are walls."""
        return _grid(self.maze) == "#"

    @property
    def free(self) -> np.ndarray:
        """int32[n], cells without a wall."""
        return np.flatnonzero(~self.walls).astype(np.int32)

    @property
    def goal(self) -> int:
        """The cell marked as the goal."""
        return int(np.flatnonzero(_grid(self.maze) == "G")[0])

    def default_params(self) -> MazeParams:
        """The mass is that of a ball of radius 0.1 and density 1000."""
        gear, damping, mass, radius, dt, max_speed = map(real, (100.0, 1.0, 4.18879020, 0.1, 0.01, 5.0))
        target = jnp.asarray(divmod(self.goal, self.walls.shape[1]), gear.dtype)
        return MazeParams(
            gear,
            damping,
            mass,
            radius,
            dt,
            max_speed,
            target,
            real(0.5),
            real(0.1),
            integer(HORIZONS[self.maze]),
        )

    def time_limit(self, params: MazeParams) -> Array:
        """int32[], the largest number of steps of an episode."""
        return params.max_steps

    def reset(self, key: Key, params: MazeParams) -> tuple[MazeState, Array]:
        """Anywhere free."""
        k_cell, k_place, k_speed = jax.random.split(key, 3)
        dtype = params.gear.dtype
        cell = jax.random.choice(k_cell, jnp.asarray(self.free))
        place = jax.random.uniform(k_place, (2,), dtype, -0.1, 0.1)
        velocity = params.spread * jax.random.normal(k_speed, (2,), dtype)
        state = MazeState(self.position_of(cell).astype(dtype) + place, velocity)
        return state, jnp.concatenate(state)

    def step(self, key: Key, state: MazeState, action: Array, params: MazeParams) -> tuple[MazeState, Step]:
        """One step of `dt` seconds with implicit damping, then the walls."""
        force = params.gear * jnp.clip(action, -1.0, 1.0)
        velocity = jnp.clip(state.velocity, -params.max_speed, params.max_speed)
        inertia = params.mass + params.dt * params.damping
        velocity = velocity + params.dt * (force - params.damping * velocity) / inertia
        position = state.position + params.dt * velocity
        position, velocity = _collide(self.walls, position + _OFFSET, velocity, params.radius)
        after = MazeState(position - _OFFSET, velocity)
        reward = self.reward(params, state, action, after)
        return after, Step(jnp.concatenate(after), reward, jnp.asarray(False), {})

    def reward(self, params: MazeParams, state: MazeState, action: Array, next_state: MazeState) -> Array:
        """float[], see the class."""
        distance = _norm(next_state.position - params.target)
        reward = jnp.exp(-distance) if self.dense else distance <= params.reach
        return reward.astype(params.gear.dtype)

    def position_of(self, cell: Array) -> Array:
        """float32[..., 2], where D4RL places a cell int32[...]."""
        columns = self.walls.shape[1]
        return jnp.stack([cell // columns, cell % columns], axis=-1).astype(jnp.float32)

    def cell_of(self, position: Array) -> Array:
        """int32[...], the cell nearest to a position float[..., 2]."""
        rows, columns = self.walls.shape
        w, h = jnp.rint(position[..., 0]), jnp.rint(position[..., 1])
        return (jnp.clip(w, 0, rows - 1) * columns + jnp.clip(h, 0, columns - 1)).astype(jnp.int32)

    def render(self, state: MazeState, params: MazeParams) -> Array:
        """uint8[16 W, 16 H, 3]: walls, the target's disc, the ball."""
        rows, columns = self.walls.shape
        walls = self.walls.repeat(_PIXELS, 0).repeat(_PIXELS, 1)[..., None]
        # a cell spans +-0.5 around its centre
        axes = [(np.arange(n * _PIXELS) + 0.5) / _PIXELS - 0.5 + 1 - _OFFSET for n in (rows, columns)]
        points = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
        picture = jnp.where(walls, _colour(_WALL), _colour(_FLOOR))
        for centre, radius, colour in (
            (params.target, params.reach, _GOAL),
            (state.position, params.radius, _BALL),
        ):
            disc = _norm(points - centre[None, None]) <= radius
            picture = jnp.where(disc[..., None] & ~walls, _colour(colour), picture)
        return picture


class Plan(NamedTuple):
    """Memory of the controller.

    goal, cell: int32[] of the goal and of the waypoint; waypoint: float32[2]; elapsed: int32[], steps towards
    this goal; begun: bool[].
    """

    goal: Array
    cell: Array
    waypoint: Array
    elapsed: Array
    begun: Array


def controller(env: Maze2D, *, wander: bool, noise: float = 0.0) -> Policy:
    """The waypoint controller of D4RL: a = clip(10 (waypoint - position) - velocity, -1, 1).

    Waypoints are the cells of a shortest path, each but the last one moved by -U(0, 0.2)^2, and left behind
    within 0.1. wander: a random free cell is the next goal once the last one was reached within 0.1, or after
    the environment's horizon, and the policy's `aux`, bool[], says that an action is the first towards a new
    goal; otherwise the goal is that of the map. noise: standard deviation of what is added
    before clipping.
    """
    successor, horizon = jnp.asarray(_paths(env.maze)), HORIZONS[env.maze]

    def aim(key: Key, goal: Array, cell: Array) -> Array:
        shift = 0.2 * jax.random.uniform(key, (2,))
        return env.position_of(cell) - jnp.where(cell == goal, 0.0, shift)

    def act(key: Key, obs: Array, plan: Plan) -> tuple[Array, Array, Plan]:
        k_goal, k_aim, k_noise = jax.random.split(key, 3)
        position, velocity = obs[:2].astype(jnp.float32), obs[2:].astype(jnp.float32)
        solved = _norm(position - env.position_of(plan.goal)) < 0.1
        fresh = ~plan.begun
        if wander:
            fresh |= solved | (plan.elapsed >= horizon)
            goal = jnp.where(fresh, jax.random.choice(k_goal, jnp.asarray(env.free)), plan.goal)
        else:
            goal = integer(env.goal)
        near = (_norm(position - plan.waypoint) < 0.1) & (plan.cell != goal)
        cell = jnp.where(fresh, env.cell_of(position), plan.cell)
        cell = jnp.where(fresh | near, successor[goal, cell], cell)
        waypoint = jnp.where(fresh | near, aim(k_aim, goal, cell), plan.waypoint)
        force = 10.0 * (waypoint - position) - velocity + noise * jax.random.normal(k_noise, (2,))
        elapsed = jnp.where(fresh, 1, plan.elapsed + 1)
        plan = Plan(goal, cell, waypoint, elapsed, jnp.asarray(True))
        return jnp.clip(force, -1.0, 1.0), fresh, plan

    start = Plan(
        integer(env.goal), integer(env.goal), jnp.zeros(2, jnp.float32), integer(0), jnp.asarray(False)
    )
    return Policy(act, start)


@cache
def _grid(maze: str) -> np.ndarray:
    """Characters [W, H]."""
    return np.array([list(row) for row in MAPS[maze]])


@cache
def _paths(maze: str) -> np.ndarray:
    """int32[W * H, W * H], the next cell of a shortest path to the goal, by [goal, cell]."""
    grid = _grid(maze)
    columns, free = grid.shape[1], (grid != "#").ravel()
    table = np.tile(np.arange(grid.size, dtype=np.int32), (grid.size, 1))
    for goal in np.flatnonzero(free):
        queue, seen = deque([goal]), {goal}
        while queue:
            cell = queue.popleft()
            for neighbour in (cell + columns, cell - columns, cell + 1, cell - 1):
                if free[neighbour] and neighbour not in seen:
                    seen.add(neighbour)
                    table[goal, neighbour] = cell
                    queue.append(neighbour)
    return table


def _colour(rgb: tuple[int, int, int]) -> np.ndarray:
    return np.array(rgb, np.uint8).reshape(1, 1, 3)


def _collide(walls: np.ndarray, point: Array, velocity: Array, radius: Array) -> tuple[Array, Array]:
    """A ball at `point` float[2] with `velocity` float[2], out of the walls; in the frame of the walls."""
    solid, limit, moves = jnp.asarray(walls), jnp.asarray(walls.shape) - 1, jnp.asarray(_AROUND)

    def one_pass(_: int, ball: tuple[Array, Array]) -> tuple[Array, Array]:
        cell = jnp.clip(jnp.rint(ball[0] - 1).astype(jnp.int32), 0, limit)

        def touch(i: Array, ball: tuple[Array, Array]) -> tuple[Array, Array]:
            point, velocity = ball
            at = jnp.clip(cell + moves[i], 0, limit)
            centre = (at + 1).astype(point.dtype)
            away = point - jnp.clip(point, centre - 0.5, centre + 0.5)
            distance = _norm(away)
            normal = away / jnp.where(distance > 0, distance, 1.0)
            hit = solid[at[0], at[1]] & (distance < radius)
            inward = jnp.minimum(jnp.sum(velocity * normal), 0.0)
            point = jnp.where(hit, point + (radius - distance) * normal, point)
            return point, jnp.where(hit, velocity - inward * normal, velocity)

        return jax.lax.fori_loop(0, len(_AROUND), touch, ball)

    return jax.lax.fori_loop(0, 2, one_pass, (point, velocity))


def _norm(x: Array) -> Array:
    """Euclidean length over the last axis, with gradient 0 at 0."""
    square = jnp.sum(jnp.square(x), axis=-1)
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)


# random actions never reach the targets of the larger maps
_FAR = ("target", "reach")
ENVIRONMENTS = {
    "Maze2D-umaze": Entry(Maze2D),
    "Maze2D-umaze-dense": Entry(partial(Maze2D, dense=True), inert=("reach",)),
    "Maze2D-medium": Entry(partial(Maze2D, "medium"), inert=_FAR),
    "Maze2D-large": Entry(partial(Maze2D, "large"), inert=_FAR),
}
