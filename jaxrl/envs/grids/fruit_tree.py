"""Fruit Tree: a binary tree whose leaves are vectors of six nutrients, every one of them Pareto optimal."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxrl.core.fields import check_fields
from jaxrl.core.spaces import Box, Discrete
from jaxrl.core.types import Array, Key, Step
from jaxrl.envs.base import Entry, integer
from jaxrl.envs.tabular.mdp import TabularMDP, from_outcomes

_PIXELS = 512  # width of a picture, 4 per leaf of the deepest tree
_PAPER, _NODE, _PATH, _AGENT = (250, 250, 245), (190, 195, 200), (45, 72, 101), (200, 50, 50)


@functools.cache
def _leaves() -> dict[int, np.ndarray]:
    """Leaves float64[2^d, 6] from left to right by depth d (repository RunzheYang/MORL, MIT licence).

    Points on the sphere of radius 10, drawn once at random by the authors.
    """
    rows = np.loadtxt(Path(__file__).parent / "fruit_tree_leaves.txt")
    return dict(zip((5, 6, 7), np.split(rows, (32, 96)), strict=True))


class FruitParams(NamedTuple):
    """Parameters of `FruitTree`.

    leaves: float[2^d, 6], nutrients of the leaves from left to right.
    """

    leaves: Array


class FruitState(NamedTuple):
    """A node of the tree.

    row: int32[], depth of the node; place: int32[], its place among the 2^row nodes of that depth.
    """

    row: Array
    place: Array


@dataclass(frozen=True)
class FruitTree:
    """Walk down a binary tree to a leaf (Yang et al., arXiv 1908.08342; mo-gymnasium fruit-tree-v0).

    Observation: int32[2], depth of the node and its place in that row. Action: 0 left, 1 right. Reward:
    float[6], the nutrients of a leaf, 0 elsewhere. Termination: at a leaf, after `depth` steps.
    """

    depth: Literal[5, 6, 7] = 6
    """Depth of the tree, which has 2^depth leaves."""
    name: str = "FruitTree"
    reward_dim: int = 6

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def observation_space(self) -> Box:
        """Depth and place."""
        return Box(0, (self.depth, 2**self.depth - 1), (2,), np.int32)

    @property
    def action_space(self) -> Discrete:
        """Left, right."""
        return Discrete(2)

    def default_params(self) -> FruitParams:
        """The published leaves."""
        return FruitParams(jnp.asarray(_leaves()[self.depth]))

    def front(self, gamma: float) -> np.ndarray:
        """float64[2^d, 6], discounted returns of the policies that end at the published leaves.

        All of them are Pareto optimal, and vertices of their convex hull.
        """
        return _leaves()[self.depth] * gamma ** (self.depth - 1)

    def reset(self, key: Key, params: FruitParams) -> tuple[FruitState, Array]:
        """The root."""
        state = FruitState(integer(0), integer(0))
        return state, jnp.stack(state)

    def step(
        self, key: Key, state: FruitState, action: Array, params: FruitParams
    ) -> tuple[FruitState, Step]:
        """Go down to the left or right child."""
        after = self._child(state, action)
        reward = self.reward(params, state, action, after)
        return after, Step(jnp.stack(after), reward, after.row == self.depth, {})

    def reward(self, params: FruitParams, state: FruitState, action: Array, next_state: FruitState) -> Array:
        """float[6], of the node that is entered."""
        return jnp.where(next_state.row == self.depth, params.leaves[next_state.place], 0)

    def to_tabular(self, params: FruitParams) -> TabularMDP:
        """Tables with 2^d rows: inner nodes row by row, and the end."""

        def outcomes(row: Array, action: Array) -> tuple[Array, ...]:
            state = self.state_at(params, row)
            after = self._child(state, action)
            end = (after.row == self.depth).astype(params.leaves.dtype)
            at = jnp.minimum(self.state_index(params, after), 2**self.depth - 2)
            return 1 - end[None], at[None], end, self.reward(params, state, action, after)

        return from_outcomes(outcomes, 2**self.depth - 1, 2, integer(0), params.leaves.dtype)

    def state_index(self, params: FruitParams, state: FruitState) -> Array:
        """int32[], 2^row - 1 + place."""
        return 2**state.row - 1 + state.place

    def state_at(self, params: FruitParams, index: Array, h: Array | int = 0) -> FruitState:
        """Inverse of `state_index`."""
        firsts = 2 ** np.arange(1, self.depth + 1, dtype=np.int32) - 1  # of rows 1, 2, ...
        row = jnp.sum(integer(index) >= firsts, dtype=jnp.int32)
        return FruitState(row, integer(index) - (2**row - 1))

    def item(self, params: FruitParams, state: FruitState) -> Array:
        """int32[], the node."""
        return self.state_index(params, state)

    def render(self, state: FruitState, params: FruitParams) -> Array:
        """uint8[16 (d + 1), 512, 3], the tree row by row, the way from the root to the node."""
        row, y = np.divmod(np.arange(16 * (self.depth + 1)), 16)
        wide = _PIXELS / 2.0**row
        place, inside = np.divmod(np.arange(_PIXELS)[None] + 0.5, wide[:, None])
        half = np.minimum(5, 0.4 * wide)[:, None]
        node = (np.abs(inside - wide[:, None] / 2) < half) & (np.abs(y - 7.5) < 5)[:, None]
        row, place = row[:, None].astype(np.int32), place.astype(np.int32)
        passed = (row <= state.row) & (place == state.place >> jnp.maximum(state.row - row, 0))
        kind = jnp.where(node, 1 + passed + (passed & (row == state.row)), 0)
        return jnp.asarray((_PAPER, _NODE, _PATH, _AGENT), jnp.uint8)[kind]

    def _child(self, state: FruitState, action: Array) -> FruitState:
        return FruitState(state.row + 1, 2 * state.place + action)


ENVIRONMENTS = {
    "FruitTree-5": Entry(partial(FruitTree, 5)),
    "FruitTree-6": Entry(FruitTree),
    "FruitTree-7": Entry(partial(FruitTree, 7)),
}
