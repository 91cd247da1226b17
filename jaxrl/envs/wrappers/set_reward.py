"""Rewards of whole trajectories: a set function as a fold, online in an environment or over stored data.

Legend: `T` steps, `N` environments. Items are pytrees, int32[] for places.
The reward of step t is the marginal gain F(S_{t+1}) - F(S_t), so the return is F(trajectory) - F({s_0}).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Box, Space
from jaxrl.core.types import Array, PyTree, Step, Transition
from jaxrl.envs.base import Env, Finite, HasItem, RewardFn, float_dtype
from jaxrl.envs.sets.protocol import SetFunction, Visit, check_capacity
from jaxrl.envs.wrappers.finite_horizon import FiniteHorizon, HorizonParams, HorizonState, finite_horizon
from jaxrl.envs.wrappers.history import history
from jaxrl.envs.wrappers.wrapper import Wrapper


class SetParams(NamedTuple):
    """Parameters of `SetReward`.

    env: parameters of the inner environment; F: parameters of the set function.
    """

    env: PyTree
    F: PyTree


class SetState(NamedTuple):
    """State of `SetReward`.

    env: inner state; stat: statistic of the items since the reset, the first state's included.
    """

    env: PyTree
    stat: PyTree


@dataclass(frozen=True)
class SetReward(Wrapper):
    """Replaces the reward by the marginal gain of the new state's item, `env.item(params, state)`.

    `info` has "F", the value of all items since the reset, and "gain", the marginal gain.
    """

    F: SetFunction
    """The set function."""
    show_stat: bool = False
    """Whether obs becomes `{"obs": o, "stat": ...}`, the features of F where it has them and otherwise the
    statistic's leaves as floats; without, obs is the base observation, which is Markov for the dynamics but
    not for the reward."""
    modular: bool = False
    """Whether the reward becomes the item's own value F({item}), whatever has been visited."""
    on_top: bool = False
    """Whether the inner reward is added."""
    hidden: ClassVar[tuple[type, ...]] = (Finite, RewardFn)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.env, HasItem):
            raise UsageError(f"SetReward.env: {self.env.name} has no item; give it `item(params, state)`")
        missing = [f for f in ("default_params", "init", "gain", "add", "value") if not hasattr(self.F, f)]
        if missing:
            raise UsageError(f"SetReward.F: has no {missing[0]}; a set function needs it")

    @property
    def reward_dim(self) -> None:
        """None: rewards are scalars."""
        return None

    @property
    def observation_space(self) -> Space:
        """The inner observation, with the statistic beside it where it is shown."""
        space = self.env.observation_space
        if not self.show_stat:
            return space
        stat = jax.eval_shape(lambda p: self._features(self.F.init(p), p), self.F.default_params())
        return {"obs": space, "stat": jax.tree.map(lambda x: Box(-np.inf, np.inf, x.shape), stat)}

    def extend(self, inner: PyTree) -> SetParams:
        """Parameters with the default ones of F."""
        return SetParams(inner, self.F.default_params())

    def inner_params(self, params: SetParams) -> PyTree:
        """The parameters of the inner environment."""
        return params.env

    def inner_state(self, state: SetState) -> PyTree:
        """The state of the inner environment."""
        return state.env

    def begin(self, inner: PyTree, obs: PyTree, params: SetParams) -> tuple[SetState, PyTree]:
        """Adds the first item. Raises `UsageError` where an item changes the shape of the statistic."""
        empty = self.F.init(params.F)
        stat, _ = self.F.add(params.F, empty, self.env.item(params.env, inner))
        before, after = jax.eval_shape(lambda: (empty, stat))
        if before != after:
            raise UsageError(f"SetReward.F: add turns the statistic {before} into {after}; keep its shape")
        return SetState(inner, stat), self._show(obs, stat, params)

    def advance(self, state: SetState, inner: PyTree, out: Step, params: SetParams) -> tuple[SetState, Step]:
        """Adds the new item, and pays for it."""
        item = self.env.item(params.env, inner)
        stat, gain = self.F.add(params.F, state.stat, item)
        reward = self.own_value(params, inner) if self.modular else gain
        reward = reward + out.reward if self.on_top else reward
        info = {**out.info, "F": self.F.value(params.F, stat), "gain": gain}
        return SetState(inner, stat), Step(self._show(out.obs, stat, params), reward, out.terminated, info)

    def own_value(self, params: SetParams, inner: PyTree) -> Array:
        """float[], F({item}) of the inner state's item, whatever has been visited: what `modular` pays."""
        return self.F.gain(params.F, self.F.init(params.F), self.env.item(params.env, inner))

    def _show(self, obs: PyTree, stat: PyTree, params: SetParams) -> PyTree:
        return {"obs": obs, "stat": self._features(stat, params.F)} if self.show_stat else obs

    def _features(self, stat: PyTree, params: PyTree) -> PyTree:
        if hasattr(self.F, "features"):
            return self.F.features(params, stat)
        return jax.tree.map(lambda x: x.astype(float_dtype(params)), stat)


set_reward = SetReward


@dataclass(frozen=True)
class TimedItems(FiniteHorizon):
    """`FiniteHorizon` whose items are `Visit(h, v)`, for set functions that tell times apart."""

    def item(self, params: HorizonParams, state: HorizonState) -> Visit:
        """The inner item with its step index."""
        return Visit(state.h, self.env.item(params.env, state.env))


@dataclass(frozen=True)
class _Place:
    """The place of a visit, for a history; a record, so that environments stay equal by value."""

    env: TimedItems

    def __call__(self, params: HorizonParams, state: HorizonState) -> Array:
        return self.env.item(params, state).v


def set_episode(
    env: Env,
    F: SetFunction,
    states: int,
    *,
    show_history: bool = False,
    show_stat: bool = False,
    modular: bool = False,
) -> SetReward:
    """Episodes of exactly `states` visited states, the first included, so of `states - 1` actions, paid by F.

    obs: `{"obs": o, "h": int32[]}`, around it `{"obs": ..., "history": int32[states]}` with `show_history`
    (the items so far, oldest first, padded by -1), and around that `{"obs": ..., "stat": ...}` with
    `show_stat`. Params: `SetParams(HorizonParams(params of env, horizon), params of F)`. A function that
    tells times apart (`F.timed`) is given `Visit(h, v)`; the history is of places all the same.

    Raises `UsageError` for fewer than 2 states, and for a log-determinant that holds fewer items.
    """
    if states < 2:
        raise UsageError(f"set_episode.states: must be >= 2 visited states, got {states}")
    check_capacity("set_episode.states", F, states, "visited states, the first included")
    episode = TimedItems if getattr(F, "timed", False) else finite_horizon
    timed = episode(env, states - 1)
    if show_history:
        of = _Place(timed) if isinstance(timed, TimedItems) else None
        timed = history(timed, states, of, observe=True)
    return set_reward(timed, F, show_stat, modular)


def relabel(
    F: SetFunction,
    trajectory: Transition,
    params: PyTree = None,
    item: Callable[[PyTree], PyTree] = lambda obs: obs,
) -> Array:
    """float[T, N], the rewards that `set_reward` would have paid along `trajectory` (leaves `[T, N, ...]`).

    Each column must begin at the start of an episode; the fold restarts after each done.
    params: of F, default its own. item: the item of one observation, default the observation itself.
    """
    params = F.default_params() if params is None else params

    def column(obs: PyTree, next_obs: PyTree, done: Array) -> Array:
        def body(carry: tuple[PyTree, Array], row: Any) -> tuple[tuple[PyTree, Array], Array]:
            stat, fresh = carry
            obs, next_obs, done = row
            begun, _ = F.add(params, F.init(params), item(obs))
            stat = jax.tree.map(lambda new, old: jnp.where(fresh, new, old), begun, stat)
            stat, gain = F.add(params, stat, item(next_obs))
            return (stat, done), gain

        return jax.lax.scan(body, (F.init(params), jnp.asarray(True)), (obs, next_obs, done))[1]

    rows = (trajectory.obs, trajectory.next_obs, trajectory.done)
    return jax.vmap(column, in_axes=1, out_axes=1)(*rows)
