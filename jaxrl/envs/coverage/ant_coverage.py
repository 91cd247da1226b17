"""A body that walks over a square and is paid for the floor it has seen (Prajapat et al., arXiv 2307.13372).

The coverage knows nothing of the physics: any environment whose item is a position float[2] will do.

Legend: `n` cells along a side of the square.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Size, check_fields
from jaxrl.core.spaces import Box
from jaxrl.core.types import Array, PyTree, Step
from jaxrl.envs.adapters.brax import Brax, BraxParams
from jaxrl.envs.base import HasItem, RewardFn, real
from jaxrl.envs.wrappers.set_reward import SetParams, SetReward, SetState, set_reward
from jaxrl.envs.wrappers.wrapper import Wrapper


class PatchParams(NamedTuple):
    """Parameters of square patches to be covered.

    low: float[2], lower corner of the square; cell: float[], side of a cell; worth: float[], of one.
    """

    low: Array
    cell: Array
    worth: Array


@dataclass(frozen=True)
class PatchCoverage:
    """F(S) = worth of the cells that a patch has touched; items float[2], positions. Statistic: bool[n, n].

    The patch of a position is the `patch` x `patch` cells whose lower corner is the position's own cell, cut
    at the upper sides; positions outside the square count as in its nearest cell.
    """

    n: Size = 100
    """Cells along a side of the square."""
    patch: Size = 5
    """Cells along a side of a patch, at most n."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.patch > self.n:
            raise UsageError(f"PatchCoverage.patch: must lie in 1 .. n = {self.n}, got {self.patch}")

    def default_params(self) -> PatchParams:
        """The square [-20, 20]^2 for n = 100, in cells of 0.4 worth 0.1."""
        low = jnp.full(2, -0.2 * self.n, jnp.result_type(float))
        return PatchParams(low, real(0.4), real(0.1))

    def holds(self, items: Array) -> np.ndarray:
        """bool[n], which positions `items` float[n, 2] are finite."""
        return np.isfinite(np.asarray(items)).all(-1)

    def init(self, params: PatchParams) -> Array:
        """The statistic of nothing seen."""
        return jnp.zeros((self.n, self.n), bool)

    def gain(self, params: PatchParams, stat: Array, item: Array) -> Array:
        """The worth of what is newly seen."""
        seen = stat.at[self._cells(params, item)].get(mode="fill", fill_value=True)
        return params.worth * jnp.sum(~seen)

    def add(self, params: PatchParams, stat: Array, item: Array) -> tuple[Array, Array]:
        """The cells seen with those of the patch, and the gain."""
        return stat.at[self._cells(params, item)].set(True, mode="drop"), self.gain(params, stat, item)

    def value(self, params: PatchParams, stat: Array) -> Array:
        """The worth of what has been seen."""
        return params.worth * jnp.sum(stat)

    def _cells(self, params: PatchParams, item: Array) -> tuple[Array, Array]:
        # floor before the cast, which would round negative numbers up; clipped, because indices below 0 wrap
        corner = jnp.floor((item - params.low) / params.cell)
        corner = jnp.clip(corner, min=0, max=self.n - 1).astype(jnp.int32)
        offset = jnp.arange(self.patch, dtype=jnp.int32)
        return (corner[0] + offset)[:, None], (corner[1] + offset)[None]


class ArenaParams(NamedTuple):
    """Parameters of the arena.

    half: float[], half the side of the square outside of which an episode ends.
    """

    env: BraxParams
    half: Array


@dataclass(frozen=True)
class Arena(Wrapper):
    """A brax body whose item is its horizontal position, with which obs begins; off the square it ends.

    Reward: 0, for costs and bonuses of the body do not belong to coverage. Time limit: 400 steps by default.
    `info` has "non_finite" and "unhealthy", an end of the body's own.
    """

    env: Brax
    hidden: ClassVar[tuple[type, ...]] = (RewardFn,)
    provides: ClassVar[tuple[type, ...]] = (HasItem,)

    @property
    def observation_space(self) -> Box:
        """The position, then what the body observes."""
        return Box(-np.inf, np.inf, (2 + self.env.observation_space.shape[0],))

    def extend(self, inner: BraxParams) -> ArenaParams:
        """The square [-20, 20]^2; 400 steps."""
        return ArenaParams(inner.replace(time_limit=jnp.full((), 400, jnp.int32)), real(20.0))

    def inner_params(self, params: ArenaParams) -> BraxParams:
        """The parameters of the body."""
        return params.env

    def begin(self, inner: PyTree, obs: Array, params: ArenaParams) -> tuple[PyTree, Array]:
        """The body's observation with the position in front."""
        return inner, jnp.concatenate([self.item(params, inner), obs])

    def advance(self, state: PyTree, inner: PyTree, out: Step, params: ArenaParams) -> tuple[PyTree, Step]:
        """The body's step with the position in front, and the end outside the square."""
        position = self.item(params, inner)
        # a position that is no number is outside, too
        outside = ~jnp.all(jnp.abs(position) <= params.half)
        obs = jnp.concatenate([jnp.where(jnp.isfinite(position), position, 0), out.obs])
        end = out.terminated | outside
        info = {"non_finite": out.info["non_finite"], "unhealthy": out.terminated}
        return inner, Step(obs, jnp.zeros_like(out.reward), end, info)

    def item(self, params: ArenaParams, state: PyTree) -> Array:
        """float[2], the horizontal position of the torso in m."""
        return state.x.pos[0, :2].astype(params.half.dtype)


@dataclass(frozen=True)
class PerStep(SetReward):
    """Pays for where a body is, whatever is new: F({s}) while it is healthy, as ModPO in the paper.

    Reads `info["unhealthy"]` of the inner environment.
    """

    cumulative: bool = False
    """Whether F of all that was seen so far is paid instead, which the released code calls modular."""

    def advance(self, state: SetState, inner: PyTree, out: Step, params: SetParams) -> tuple[SetState, Step]:
        """Adds the new position, and pays as the class says."""
        after, paid = super().advance(state, inner, out, params)
        healthy = jnp.where(out.info["unhealthy"], 0, paid.reward)
        return after, paid._replace(reward=paid.info["F"] if self.cumulative else healthy)


def ant_coverage(
    backend: str = "positional", *, show_stat: bool = False, modular: bool | Literal["cumulative"] = False
) -> SetReward:
    """Brax's ant, paid 0.1 per cell of 0.4 m newly covered by a patch of 2 m x 2 m; obs float[29].

    modular: F({s}), 2.5 away from the upper sides, in each step that ends healthy; "cumulative" pays as was
    released, see `PerStep`. Raises `MissingExtra` without brax, and `UsageError` for another word.
    """
    if modular not in (False, True, "cumulative"):
        raise UsageError(f'ant_coverage.modular: must be False, True or "cumulative", got {modular!r}')
    arena = Arena(Brax("ant", backend))
    if not modular:
        return set_reward(arena, PatchCoverage(), show_stat)
    return PerStep(arena, PatchCoverage(), show_stat, modular=True, cumulative=modular == "cumulative")
