"""Procedural grid worlds with objects that end, pay and respawn (Oh et al. 2020; Jackson et al. 2023).

Legend: `G` largest side, `O` objects, `Q` object types. Cells are flat indices row * side + column with the
level's own side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.prng import stream
from jaxrl.core.spaces import Box, Discrete, Space
from jaxrl.core.types import Array, Key, Step
from jaxrl.envs.base import integer
from jaxrl.envs.tabular.mdp import TabularMDP, from_outcomes

Range = tuple[float, float]

_MOVES = np.array([(-1, 0), (1, 0), (0, -1), (0, 1), (0, 0)], np.int32)  # up, down, left, right, stay
_FLOOR, _WALL, _OUTSIDE, _AGENT = (235, 235, 230), (70, 75, 85), (20, 20, 25), (30, 100, 220)
_PALETTE = np.array(
    [(40, 160, 80), (210, 60, 60), (240, 170, 30), (150, 80, 190), (30, 170, 170), (120, 90, 60)], np.uint8
)


@dataclass(frozen=True)
class Levels:
    """A distribution over levels: ranges `(low, high)`, ends included; a fixed number is the range `(x, x)`.

    side, used (objects in play), limit: integers, uniform but for the limit, which is log-uniform.
    kinds: type of each object. reward: per type, uniform. p_end, p_respawn: per type, log-uniform.
    random_walls: number of wall cells among the G * G indices, of which those below side^2 matter.
    designs: sets of wall cells, of which a level takes one.
    """

    side: tuple[int, int]
    limit: tuple[int, int]
    kinds: tuple[int, ...]
    used: tuple[int, int]
    reward: tuple[Range, ...]
    p_end: tuple[Range, ...]
    p_respawn: tuple[Range, ...]
    random_walls: int = 0
    designs: tuple[tuple[int, ...], ...] = ((),)

    def __post_init__(self) -> None:
        for name, (low, high) in (("side", self.side), ("limit", self.limit), ("used", self.used)):
            if not 1 <= low <= high:
                raise UsageError(
                    f"Levels.{name}: must be (low, high) with 1 <= low <= high, got {(low, high)}"
                )
        if self.used[1] > len(self.kinds):
            raise UsageError(f"Levels.used: {self.used[1]} objects in play, but kinds has {len(self.kinds)}")
        n = len(self.reward)
        if (len(self.p_end), len(self.p_respawn)) != (n, n):
            raise UsageError("Levels.p_end, p_respawn: must have one range per type, as reward")
        if not all(0 <= kind < n for kind in self.kinds):
            raise UsageError(f"Levels.kinds: must be types 0 .. {n - 1}, got {self.kinds}")
        for name, ranges in (("p_end", self.p_end), ("p_respawn", self.p_respawn)):
            if any(not 0 <= low <= high <= 1 or (low == 0 < high) for low, high in ranges):
                raise UsageError(f"Levels.{name}: ranges must be (p, p) or 0 < low < high <= 1, got {ranges}")
        cells = self.side[1] ** 2
        if not 0 <= self.random_walls < cells - len(self.kinds):
            raise UsageError(f"Levels.random_walls: {self.random_walls} walls leave no room in {cells} cells")
        if not self.designs:
            raise UsageError(
                "Levels.designs: must be at least one set of wall cells; () is one without walls"
            )
        if any(not 0 <= cell < cells for design in self.designs for cell in design):
            raise UsageError(f"Levels.designs: wall cells must lie in 0 .. {cells - 1}")
        self.check_room(1 + len(self.kinds))

    def check_room(self, needed: int) -> None:
        """Raises `UsageError` where a side and a design never leave that many free cells.

        Random walls may leave too few by chance, too; then they are drawn again.
        """
        cells = self.side[1] ** 2
        for i, design in enumerate(self.designs):
            for side in range(self.side[0], self.side[1] + 1):
                free = side**2 - sum(cell < side**2 for cell in set(design))
                most = free - max(
                    0, self.random_walls - (cells - free)
                )  # walls outside or on walls cost none
                if most < needed:
                    raise UsageError(
                        f"Levels.designs: design {i} with {self.random_walls} random walls leaves at most"
                        f" {most} free cells on side {side}, but {needed} are needed for the agent and"
                        f" {len(self.kinds)} objects; take fewer walls or objects, or a longer side"
                    )


class GridParams(NamedTuple):
    """One level.

    side, start, n_objects, limit: int32[]; walls: bool[G * G]; kind: int32[O]; cells: int32[O], ()
    where objects start anywhere; reward, p_end, p_respawn: float[Q].
    """

    side: Array
    walls: Array
    start: Array
    n_objects: Array
    kind: Array
    cells: Array | tuple[()]
    reward: Array
    p_end: Array
    p_respawn: Array
    limit: Array


class GridState(NamedTuple):
    """Positions of the agent and of the objects.

    cell: int32[] of the agent; exists: bool[O]; cells: int32[O] of the objects.
    """

    cell: Array
    exists: Array
    cells: Array


@dataclass(frozen=True)
class _Grid:
    """What the two grid worlds share: moves, collection, ends, levels, pictures."""

    levels: Levels

    @property
    def room(self) -> int:
        """Free cells that a level needs: one for the agent and one for every object."""
        return 1 + self.O

    @property
    def G(self) -> int:
        """Largest side."""
        return self.levels.side[1]

    @property
    def O(self) -> int:  # noqa: E743
        """Objects."""
        return len(self.levels.kinds)

    @property
    def Q(self) -> int:
        """Object types."""
        return len(self.levels.reward)

    @property
    def reward_dim(self) -> None:
        """Scalar."""
        return None

    @property
    def action_space(self) -> Discrete:
        """Up, down, left, right, stay."""
        return Discrete(5)

    def default_params(self) -> GridParams:
        """One fixed level of the distribution."""
        return jax.jit(self.sample_params)(jax.random.key(0))

    def time_limit(self, params: GridParams) -> Array:
        """int32[], the largest number of steps of an episode."""
        return params.limit

    def item(self, params: GridParams, state: GridState) -> Array:
        """int32[], the agent's cell."""
        return state.cell

    def sample_params(self, key: Key) -> GridParams:
        """A level; start and objects on distinct free cells. Connectivity is not guaranteed."""
        levels, dtype = self.levels, jnp.result_type(float)
        k_side, k_limit, k_used, k_map, k_reward, k_end, k_respawn = jax.random.split(key, 7)
        side = jax.random.randint(k_side, (), levels.side[0], levels.side[1] + 1, jnp.int32)
        limit = jnp.rint(_log_uniform(k_limit, (levels.limit,), jnp.float32)[0]).astype(jnp.int32)
        low, high = np.array(levels.reward, dtype).T
        u = jax.random.uniform(k_reward, (self.Q,), dtype)
        walls, cells = self._map(k_map, side)
        return GridParams(
            side=side,
            walls=walls,
            start=cells[0],
            n_objects=jax.random.randint(k_used, (), levels.used[0], levels.used[1] + 1, jnp.int32),
            kind=jnp.asarray(levels.kinds, jnp.int32),
            cells=cells[1:],
            reward=low + u * (high - low),
            p_end=_log_uniform(k_end, levels.p_end, dtype),
            p_respawn=_log_uniform(k_respawn, levels.p_respawn, dtype),
            limit=limit,
        )

    def _map(self, key: Key, side: Array) -> tuple[Array, Array]:
        """Walls bool[G * G], and distinct free cells int32[1 + O]; drawn again until there are enough."""
        masks = np.zeros((len(self.levels.designs), self.G**2), bool)
        for mask, design in zip(masks, self.levels.designs, strict=True):
            mask[list(design)] = True

        def draw(i: Array) -> tuple[Array, Array, Array]:
            k_walls, k_design, k_cells = jax.random.split(stream(key, i), 3)
            everywhere = jnp.ones(self.G**2, bool)
            order = _first(
                jax.random.uniform(k_walls, everywhere.shape), everywhere, self.levels.random_walls
            )
            design = jnp.asarray(masks)[jax.random.randint(k_design, (), 0, len(masks))]
            walls = design.at[order].set(True)
            free = (jnp.arange(self.G**2) < side**2) & ~walls
            cells = _first(jax.random.uniform(k_cells, free.shape), free, 1 + self.O)
            return walls, cells, free.sum() >= self.room

        nothing = jnp.zeros(self.G**2, bool), jnp.zeros(1 + self.O, jnp.int32), jnp.asarray(False)
        _, (walls, cells, _) = jax.lax.while_loop(
            lambda carry: ~carry[1][2], lambda carry: (carry[0] + 1, draw(carry[0])), (integer(0), nothing)
        )
        return walls, cells

    def step(self, key: Key, state: GridState, action: Array, params: GridParams) -> tuple[GridState, Step]:
        """`step_u` with uniform numbers."""
        return self.step_u(state, action, jax.random.uniform(key, self.u_shape, params.reward.dtype), params)

    @property
    def u_shape(self) -> tuple[int, ...]:
        """One uniform per object (respawn) and one for the end."""
        return (self.O + 1,)

    def step_u(self, state: GridState, action: Array, u: Array, params: GridParams) -> tuple[GridState, Step]:
        """Move, collect what existed, respawn, end; an object cannot respawn in the step that collects it."""
        cell, collected, p_end, reward = self._collect(state, action, params)
        respawned = u[: self.O] < params.p_respawn[params.kind]
        cells = self._place(state, cell, respawned & ~state.exists, u, params)
        exists = (state.exists | respawned) & ~collected & (jnp.arange(self.O) < params.n_objects)
        after = GridState(cell, exists, cells)
        return after, Step(self._obs(after, params), reward, u[self.O] < p_end, {})

    def reward(self, params: GridParams, state: GridState, action: Array, next_state: GridState) -> Array:
        """float[], of the objects collected."""
        return self._collect(state, action, params)[3]

    def _collect(
        self, state: GridState, action: Array, params: GridParams
    ) -> tuple[Array, Array, Array, Array]:
        """`(cell after the move, collected bool[O], probability of the end, reward)`."""
        row, col = state.cell // params.side, state.cell % params.side
        row, col = row + jnp.asarray(_MOVES)[action, 0], col + jnp.asarray(_MOVES)[action, 1]
        inside = (row >= 0) & (row < params.side) & (col >= 0) & (col < params.side)
        target = row * params.side + col
        cell = jnp.where(inside & ~params.walls[target], target, state.cell)
        collected = state.exists & (state.cells == cell)
        ends = jnp.where(collected, params.p_end[params.kind], 0).sum()
        return cell, collected, ends, jnp.where(collected, params.reward[params.kind], 0).sum()

    def _place(self, state: GridState, cell: Array, moved: Array, u: Array, params: GridParams) -> Array:
        """Cells int32[O] after the step; `moved` bool[O] marks objects that come back."""
        return state.cells

    def render(self, state: GridState, params: GridParams) -> Array:
        """uint8[8 G, 8 G, 3]: floor, walls, objects by type, agent."""
        row, col = np.divmod(np.arange(self.G**2), self.G)
        flat = row * params.side + col
        inside = ((row < params.side) & (col < params.side))[:, None]
        walls = params.walls[jnp.minimum(flat, self.G**2 - 1)][:, None]
        picture = jnp.where(walls, np.array(_WALL, np.uint8), np.array(_FLOOR, np.uint8))
        for i in range(self.O):
            here = state.exists[i] & (flat == state.cells[i])
            colour = jnp.asarray(_PALETTE)[params.kind[i] % len(_PALETTE)]
            picture = jnp.where(here[:, None], colour[None], picture)
        picture = jnp.where((flat == state.cell)[:, None], np.array(_AGENT, np.uint8), picture)
        picture = jnp.where(inside, picture, np.array(_OUTSIDE, np.uint8))
        return picture.reshape(self.G, self.G, 3).repeat(8, 0).repeat(8, 1)


@dataclass(frozen=True)
class GridWorld(_Grid):
    """Objects respawn where they were; the state is (cell, which objects exist), so the level is finite.

    Observation: float[G^2 2^O], one-hot of cell + G^2 sum_i exists_i 2^i; with `index` that int32[] itself.
    Action: up, down, left, right, stay. Reward: sum over the objects collected. Termination: with the
    probabilities `p_end` of the objects collected. Time limit: the level's.
    """

    index: bool = False
    name: str = "GridWorld"

    @property
    def observation_space(self) -> Space:
        """Cell and existing objects together, float[G^2 2^O] one-hot, or their index."""
        n = self.G**2 * 2**self.O
        return Discrete(n) if self.index else Box(0.0, 1.0, (n,))

    def reset(self, key: Key, params: GridParams) -> tuple[GridState, Array]:
        """The agent at the start, all used objects in place."""
        state = GridState(params.start, jnp.arange(self.O) < params.n_objects, params.cells)
        return state, self._obs(state, params)

    def to_tabular(self, params: GridParams) -> TabularMDP:
        """`[S, 5, S]` with S = G^2 2^O + 1, the last row the end of the episode."""
        bits = _bits(self.O)
        used = jnp.arange(self.O) < params.n_objects

        def outcomes(row: Array, action: Array) -> tuple[Array, ...]:
            state = self.state_at(params, row)
            cell, collected, p_end, reward = self._collect(state, action, params)
            p = jnp.where(state.exists, 1, params.p_respawn[params.kind])
            p = jnp.where(collected | ~used, 0, p)
            each = jnp.where(bits, p[None], 1 - p[None]).prod(1)
            # p_end of several objects may add up to more than 1, as in step_u
            p_end = jnp.clip(p_end, 0, 1)
            return each * (1 - p_end), cell + self.G**2 * jnp.arange(2**self.O), p_end, reward

        start, _ = self.reset(jax.random.key(0), params)
        n = self.G**2 * 2**self.O
        return from_outcomes(outcomes, n, 5, self.state_index(params, start), params.reward.dtype)

    def state_index(self, params: GridParams, state: GridState) -> Array:
        """int32[], cell + G^2 sum_i exists_i 2^i."""
        return state.cell + self.G**2 * jnp.sum(
            jnp.where(state.exists, 2 ** np.arange(self.O), 0), dtype=jnp.int32
        )

    def state_at(self, params: GridParams, index: Array, h: Array | int = 0) -> GridState:
        """Inverse of `state_index`."""
        exists = jnp.asarray(_bits(self.O))[index // self.G**2]
        return GridState(integer(index % self.G**2), exists, params.cells)

    def _obs(self, state: GridState, params: GridParams) -> Array:
        index = self.state_index(params, state)
        if self.index:
            return index
        return jax.nn.one_hot(index, self.G**2 * 2**self.O, dtype=params.reward.dtype)


@dataclass(frozen=True)
class RandomGridWorld(_Grid):
    """Objects start, and come back, on random free cells.

    Observation: float[G^2 (Q + 1)], a plane of the agent and one plane per type. Action, reward, termination,
    time limit: as `GridWorld`.

    legacy_wall_bug: the released code looks cells up in the boolean wall mask, so it keeps objects off cells
    0 and 1 instead of off the walls.

    Raises `UsageError` for levels that never have a free cell for every object that comes back.
    """

    legacy_wall_bug: bool = False
    name: str = "RandomGridWorld"

    def __post_init__(self) -> None:
        self.levels.check_room(self.room)

    @property
    def room(self) -> int:
        """Free cells that a level needs: objects come back neither where objects were nor at the agent."""
        return 1 + 2 * self.O

    @property
    def observation_space(self) -> Box:
        """Planes of the agent and of every object, float[G^2 (Q + 1)]."""
        return Box(0.0, 1.0, (self.G**2 * (self.Q + 1),))

    @property
    def u_shape(self) -> tuple[int, ...]:
        """One uniform per object (respawn), one for the end, one per cell (places)."""
        return (self.O + 1 + self.G**2,)

    def sample_params(self, key: Key) -> GridParams:
        """A level, without cells of objects."""
        return super().sample_params(key)._replace(cells=())

    def reset(self, key: Key, params: GridParams) -> tuple[GridState, Array]:
        """The agent at the start, all used objects on random cells."""
        u = jax.random.uniform(key, (self.G**2,), params.reward.dtype)
        cells = _first(u, self._free(params.start, params), self.O)
        state = GridState(params.start, jnp.arange(self.O) < params.n_objects, cells)
        return state, self._obs(state, params)

    def _free(self, agent: Array, params: GridParams) -> Array:
        """bool[G * G], where an object may be put."""
        cell = jnp.arange(self.G**2)
        walls = params.walls
        if self.legacy_wall_bug:
            walls = ((cell == 0) & ~walls.all()) | ((cell == 1) & walls.any())
        return (cell < params.side**2) & ~walls & (cell != agent)

    def _place(self, state: GridState, cell: Array, moved: Array, u: Array, params: GridParams) -> Array:
        taken = jnp.zeros(self.G**2, bool).at[state.cells].set(True)
        order = _first(u[self.O + 1 :], self._free(cell, params) & ~taken, self.O)
        return jnp.where(moved, order[jnp.cumsum(moved) - 1], state.cells)

    def _obs(self, state: GridState, params: GridParams) -> Array:
        planes = jnp.zeros((self.Q + 1) * self.G**2, params.reward.dtype)
        objects = state.cells + self.G**2 * (1 + params.kind)
        return planes.at[state.cell].set(1).at[objects].max(state.exists.astype(planes.dtype))


def _bits(n: int) -> np.ndarray:
    """bool[2^n, n], binary digits, the lowest first."""
    return (np.arange(2**n)[:, None] >> np.arange(n)) % 2 == 1


def _first(u: Array, free: Array, k: int) -> Array:
    """int32[k], the free cells of the k smallest `u`; where there are fewer, then any others."""
    return jax.lax.top_k(jnp.where(free, -u, -2), k)[1]


def _log_uniform(key: Key, ranges: tuple[Range, ...], dtype: jnp.dtype) -> Array:
    """float[n]; exact where low = high."""
    low, high = np.array(ranges, dtype).T
    fixed = low == high
    logs = np.log(np.where(fixed, 1, low)), np.log(np.where(fixed, 1, high))
    u = jax.random.uniform(key, low.shape, dtype)
    return jnp.where(fixed, low, jnp.exp(logs[0] + u * (logs[1] - logs[0])))
