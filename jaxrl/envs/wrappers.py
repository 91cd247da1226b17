"""Wrappers: environments around an environment.

Each is a frozen dataclass whose first field is the environment inside. Where a wrapper adds numbers, its
`Params` is a record `(env, ...)` around the inner parameters; where it adds state, its state is a record
`(env, ...)` around the inner state. Optional capabilities of the inner environment stay visible unless the
wrapper changes what they mean.

Order, inside out: dynamics, `finite_horizon`, `history`, reward wrappers (`set_reward` outermost),
observation wrappers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.prng import streams
from jaxrl.core.spaces import Box, Discrete, Space, is_space
from jaxrl.core.tree import tree_where
from jaxrl.core.types import Array, Key, PyTree, Step
from jaxrl.envs.base import (
    CAPABILITIES,
    Env,
    Finite,
    HasItem,
    HasTimeLimit,
    RewardFn,
    SamplesParams,
    Scripted,
    float_dtype,
    integer,
    real,
)
from jaxrl.envs.tabular import TabularMDP, time_indexed


@dataclass(frozen=True)
class Wrapper:
    """Behaves exactly as `env`; subclasses override the hooks below.

    hidden: capabilities that the wrapper invalidates. provides: capabilities it has whatever `env` has.
    """

    env: Env
    hidden: ClassVar[tuple[type, ...]] = ()
    provides: ClassVar[tuple[type, ...]] = ()

    def __post_init__(self) -> None:
        missing: tuple[str, ...] = ()
        for capability, methods in CAPABILITIES.items():
            inside = isinstance(self.env, capability) and capability not in self.hidden
            if not inside and capability not in self.provides:
                missing += methods
        # isinstance looks at the class, so objects that lack a capability have a class that lacks it
        object.__setattr__(self, "__class__", _without(getattr(type(self), "whole", type(self)), missing))

    # --- hooks ---

    def extend(self, inner: PyTree) -> PyTree:
        """Params of the wrapper around those of the inner environment."""
        return inner

    def inner_params(self, params: PyTree) -> PyTree:
        """Inverse of `extend`."""
        return params

    def inner_state(self, state: PyTree) -> PyTree:
        """State of the inner environment."""
        return state

    def map_action(self, action: PyTree) -> PyTree:
        """Action of the inner environment."""
        return action

    def begin(self, inner: PyTree, obs: PyTree, params: PyTree) -> tuple[PyTree, PyTree]:
        """`(state, obs)` after the inner reset."""
        return inner, obs

    def advance(self, state: PyTree, inner: PyTree, out: Step, params: PyTree) -> tuple[PyTree, Step]:
        """`(state, Step)` from the state before, the inner state after, and what the inner step emitted."""
        return inner, out

    # --- Env ---

    @property
    def name(self) -> str:
        """Names of the wrapper and of what it wraps."""
        return f"{type(self).__name__}({self.env.name})"

    @property
    def observation_space(self) -> Space:
        """The inner one."""
        return self.env.observation_space

    @property
    def action_space(self) -> Space:
        """The inner one."""
        return self.env.action_space

    @property
    def reward_dim(self) -> int | None:
        """The inner one."""
        return self.env.reward_dim

    def default_params(self) -> PyTree:
        """Around the inner defaults."""
        return self.extend(self.env.default_params())

    def reset(self, key: Key, params: PyTree) -> tuple[PyTree, PyTree]:
        """The inner reset, then `begin`."""
        inner, obs = self.env.reset(key, self.inner_params(params))
        return self.begin(inner, obs, params)

    def step(self, key: Key, state: PyTree, action: PyTree, params: PyTree) -> tuple[PyTree, Step]:
        """The inner step, then `advance`."""
        inner = self.env.step(
            key, self.inner_state(state), self.map_action(action), self.inner_params(params)
        )
        return self.advance(state, *inner, params)

    # --- capabilities, None where they do not hold ---

    def sample_params(self, key: Key) -> PyTree:
        """Around an inner sample."""
        return self.extend(self.env.sample_params(key))

    def time_limit(self, params: PyTree) -> Array:
        """The inner limit."""
        return self.env.time_limit(self.inner_params(params))

    def to_tabular(self, params: PyTree) -> TabularMDP:
        """The inner tables."""
        return self.env.to_tabular(self.inner_params(params))

    def state_index(self, params: PyTree, state: PyTree) -> Array:
        """The inner row."""
        return self.env.state_index(self.inner_params(params), self.inner_state(state))

    def state_at(self, params: PyTree, index: Array, h: Array | int = 0) -> PyTree:
        """The inner state."""
        return self.env.state_at(self.inner_params(params), index, h)

    def reward(self, params: PyTree, state: PyTree, action: PyTree, next_state: PyTree) -> Array:
        """The inner reward."""
        inner = self.inner_state(state), self.map_action(action), self.inner_state(next_state)
        return self.env.reward(self.inner_params(params), *inner)

    def render(self, state: PyTree, params: PyTree) -> Array:
        """The inner picture."""
        return self.env.render(self.inner_state(state), self.inner_params(params))

    def item(self, params: PyTree, state: PyTree) -> PyTree:
        """The inner item."""
        return self.env.item(self.inner_params(params), self.inner_state(state))

    def step_u(self, state: PyTree, action: PyTree, u: Array, params: PyTree) -> tuple[PyTree, Step]:
        """The inner scripted step, then `advance`."""
        inner = self.env.step_u(
            self.inner_state(state), self.map_action(action), u, self.inner_params(params)
        )
        return self.advance(state, *inner, params)


@functools.cache
def _without(whole: type, methods: tuple[str, ...]) -> type:
    """`whole` with `methods` set to None: isinstance then denies them, as `__hash__ = None` does for hash."""
    return type(whole.__name__, (whole,), {**dict.fromkeys(methods), "whole": whole})


# --- time -------------------------------------------------------------------------------------------------


class HorizonParams(NamedTuple):
    """horizon: int32[], at most the H of the wrapper."""

    env: PyTree
    horizon: Array


class HorizonState(NamedTuple):
    """h: int32[], steps taken."""

    env: PyTree
    h: Array


@dataclass(frozen=True)
class FiniteHorizon(Wrapper):
    """An H-step problem: also terminates when the step index h reaches H, and shows h (rule E9).

    obs becomes `{"obs": o, "h": int32[]}`; with `one_hot`, float[n] becomes float[n + H + 1] by an appended
    one-hot of h. `H` is the largest horizon; `Params.horizon` (default H) may be smaller, and vmapped.
    """

    H: int
    one_hot: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.H < 1:
            raise UsageError(f"finite_horizon.H: must be >= 1, got {self.H}")
        if self.one_hot:
            _flat_box("finite_horizon.one_hot", self.env.observation_space)

    @property
    def observation_space(self) -> Space:
        """See the class."""
        space = self.env.observation_space
        if self.one_hot:
            return _append(space, [0.0] * (self.H + 1), [1.0] * (self.H + 1))
        return {"obs": space, "h": Discrete(self.H + 1)}

    def extend(self, inner: PyTree) -> HorizonParams:
        """With the horizon."""
        return HorizonParams(inner, integer(self.H))

    def inner_params(self, params: HorizonParams) -> PyTree:
        """Without the horizon."""
        return params.env

    def inner_state(self, state: HorizonState) -> PyTree:
        """Without the step index."""
        return state.env

    def begin(self, inner: PyTree, obs: PyTree, params: HorizonParams) -> tuple[HorizonState, PyTree]:
        """At step 0."""
        state = HorizonState(inner, integer(0))
        return state, self._show(obs, state.h)

    def advance(
        self, state: HorizonState, inner: PyTree, out: Step, params: HorizonParams
    ) -> tuple[HorizonState, Step]:
        """One step on."""
        after = HorizonState(inner, state.h + 1)
        end = out.terminated | (after.h >= params.horizon)
        return after, out._replace(obs=self._show(out.obs, after.h), terminated=end)

    def to_tabular(self, params: HorizonParams) -> TabularMDP:
        """Tables `[H, ...]`, without reward from step `Params.horizon` on."""
        mdp = time_indexed(self.env.to_tabular(params.env), self.H)
        alive = (jnp.arange(self.H) < params.horizon).reshape(-1, *(1,) * (mdp.R.ndim - 1))
        return mdp.replace(R=jnp.where(alive, mdp.R, 0))

    def state_at(self, params: HorizonParams, index: Array, h: Array | int = 0) -> HorizonState:
        """With step index `h`."""
        return HorizonState(self.env.state_at(params.env, index), integer(h))

    def _show(self, obs: PyTree, h: Array) -> PyTree:
        if self.one_hot:
            return jnp.concatenate([obs, jax.nn.one_hot(h, self.H + 1, dtype=obs.dtype)])
        return {"obs": obs, "h": h}


def actions_per_episode(env: Env) -> int | None:
    """H of the `finite_horizon` around or inside of `env`, None where there is none."""
    while isinstance(env, Wrapper):
        if isinstance(env, FiniteHorizon):
            return env.H
        env = env.env
    return None


class TimeState(NamedTuple):
    """elapsed: int32[], steps taken."""

    env: PyTree
    elapsed: Array


class TimeParams(NamedTuple):
    """scale: float[], what one step adds to the shown time."""

    env: PyTree
    scale: Array


@dataclass(frozen=True)
class ObserveTime(Wrapper):
    """Shows elapsed / limit, or scale * elapsed when a scale is given.

    Appended to an observation float[n]; any other becomes `{"obs": o, "time": float[]}`. Without a scale the
    environment needs a time limit.
    """

    scale: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scale is None and not isinstance(self.env, HasTimeLimit):
            raise UsageError(f"observe_time.scale: {self.env.name} has no time limit; give a scale")

    @property
    def observation_space(self) -> Space:
        """See the class."""
        space = self.env.observation_space
        if _is_flat_box(space):
            return _append(space, [-np.inf], [np.inf])
        return {"obs": space, "time": Box(-np.inf, np.inf, ())}

    def extend(self, inner: PyTree) -> PyTree:
        """With the scale, where there is one."""
        return inner if self.scale is None else TimeParams(inner, real(self.scale))

    def inner_params(self, params: PyTree) -> PyTree:
        """Without the scale."""
        return params if self.scale is None else params.env

    def inner_state(self, state: TimeState) -> PyTree:
        """Without the time."""
        return state.env

    def begin(self, inner: PyTree, obs: PyTree, params: PyTree) -> tuple[TimeState, PyTree]:
        """Time 0."""
        state = TimeState(inner, integer(0))
        return state, self._show(obs, state.elapsed, params)

    def advance(self, state: TimeState, inner: PyTree, out: Step, params: PyTree) -> tuple[TimeState, Step]:
        """Time + 1."""
        after = TimeState(inner, state.elapsed + 1)
        return after, out._replace(obs=self._show(out.obs, after.elapsed, params))

    def state_at(self, params: PyTree, index: Array, h: Array | int = 0) -> TimeState:
        """At time `h`."""
        return TimeState(self.env.state_at(self.inner_params(params), index, h), integer(h))

    def _show(self, obs: PyTree, elapsed: Array, params: PyTree) -> PyTree:
        dtype = float_dtype(params)
        if self.scale is None:
            time = elapsed.astype(dtype) / self.env.time_limit(params).astype(dtype)
        else:
            time = elapsed.astype(dtype) * params.scale
        if _is_flat_box(self.env.observation_space):
            return jnp.append(obs, time.astype(obs.dtype))
        return {"obs": obs, "time": time}


class HistoryState(NamedTuple):
    """items: int32[n], oldest first, -1 where the episode has not been yet."""

    env: PyTree
    items: Array


@dataclass(frozen=True)
class History(Wrapper):
    """State gains the last `n` items of the episode, the first state's included, oldest first, padded by -1.

    of: `(params, state) -> int32[]` of the inner environment, default its own `item`. With `observe`, obs
    becomes `{"obs": o, "history": int32[n]}`.
    """

    n: int
    of: Callable[[PyTree, PyTree], Array] | None = None
    observe: bool = False
    hidden: ClassVar[tuple[type, ...]] = (Finite,)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n < 1:
            raise UsageError(f"history.n: must be >= 1, got {self.n}")
        if self.of is None and not isinstance(self.env, HasItem):
            raise UsageError(f"history.of: {self.env.name} has no item; give a function (params, state)")

    @property
    def observation_space(self) -> Space:
        """See the class."""
        space = self.env.observation_space
        if not self.observe:
            return space
        return {"obs": space, "history": Box(-1, np.iinfo(np.int32).max, (self.n,), np.int32)}

    def inner_state(self, state: HistoryState) -> PyTree:
        """Without the items."""
        return state.env

    def begin(self, inner: PyTree, obs: PyTree, params: PyTree) -> tuple[HistoryState, PyTree]:
        """The first item."""
        items = jnp.full(self.n, -1, jnp.int32).at[0].set(self._item(params, inner))
        return HistoryState(inner, items), self._show(obs, items)

    def advance(
        self, state: HistoryState, inner: PyTree, out: Step, params: PyTree
    ) -> tuple[HistoryState, Step]:
        """One item more; the oldest goes when the buffer is full."""
        seen = jnp.sum(state.items >= 0)
        items = jnp.where(seen < self.n, state.items, jnp.roll(state.items, -1))
        items = items.at[jnp.minimum(seen, self.n - 1)].set(self._item(params, inner))
        return HistoryState(inner, items), out._replace(obs=self._show(out.obs, items))

    def _item(self, params: PyTree, inner: PyTree) -> Array:
        return (self.env.item if self.of is None else self.of)(params, inner)

    def _show(self, obs: PyTree, items: Array) -> PyTree:
        return {"obs": obs, "history": items} if self.observe else obs


# --- reward -----------------------------------------------------------------------------------------------


class RewardParams(NamedTuple):
    """reward: whatever the reward function reads."""

    env: PyTree
    reward: PyTree


@dataclass(frozen=True)
class WithReward(Wrapper):
    """Replaces the reward by `fn(params, state, action, next_state)`, float[] or float[dim].

    init: None, then `fn` reads the inner parameters; or a function `() -> pytree` of default reward
    parameters, then `Params` is `RewardParams(env, reward)`, so that rewards can be vmapped, and
    `fn` reads that.
    """

    fn: Callable[[PyTree, PyTree, PyTree, PyTree], Array]
    dim: int | None = None
    init: Callable[[], PyTree] | None = None
    provides: ClassVar[tuple[type, ...]] = (RewardFn,)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not callable(self.fn):
            raise UsageError("with_reward.fn: must be a function (params, state, action, next_state)")
        if self.dim is not None and self.dim < 1:
            raise UsageError(f"with_reward.dim: must be None (scalar) or >= 1, got {self.dim}")

    @property
    def reward_dim(self) -> int | None:
        """`dim`."""
        return self.dim

    def extend(self, inner: PyTree) -> PyTree:
        """With the reward parameters, where there are some."""
        return inner if self.init is None else RewardParams(inner, self.init())

    def inner_params(self, params: PyTree) -> PyTree:
        """Without the reward parameters."""
        return params if self.init is None else params.env

    def step(self, key: Key, state: PyTree, action: PyTree, params: PyTree) -> tuple[PyTree, Step]:
        """The inner step with the reward replaced."""
        after, out = super().step(key, state, action, params)
        return after, out._replace(reward=self.fn(params, state, action, after))

    def step_u(self, state: PyTree, action: PyTree, u: Array, params: PyTree) -> tuple[PyTree, Step]:
        """The inner scripted step with the reward replaced."""
        after, out = super().step_u(state, action, u, params)
        return after, out._replace(reward=self.fn(params, state, action, after))

    def reward(self, params: PyTree, state: PyTree, action: PyTree, next_state: PyTree) -> Array:
        """`fn`."""
        return self.fn(params, state, action, next_state)

    def to_tabular(self, params: PyTree) -> TabularMDP:
        """The inner tables with `R [S, A, S]` from `fn`; 0 in terminal states."""
        mdp = super().to_tabular(params)
        s, a = jnp.arange(mdp.n_states), jnp.arange(mdp.n_actions)

        def table(h: Array) -> Array:
            rows = jax.vmap(self.state_at, (None, 0, None))
            over_next = jax.vmap(self.fn, (None, None, None, 0))
            over_action = jax.vmap(over_next, (None, None, 0, None))
            return jax.vmap(over_action, (None, 0, None, None))(
                params, rows(params, s, h), a, rows(params, s, h + 1)
            )

        horizon = mdp.horizon
        R = table(integer(0)) if horizon is None else jax.vmap(table)(jnp.arange(horizon))
        dead = mdp.terminal.reshape(-1, *(1,) * (2 + (self.dim is not None)))
        return mdp.replace(R=jnp.where(dead, 0, R), reward_dim=self.dim)


class ScalariseParams(NamedTuple):
    """w: float[m]."""

    env: PyTree
    w: Array


@dataclass(frozen=True)
class Scalarise(Wrapper):
    """Vector reward r -> w . r. The weights live in `Params`: a sweep over them is a vmap.

    w: the default weights, m numbers.
    """

    w: Sequence[float]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.env.reward_dim is None:
            raise UsageError(f"scalarise.env: {self.env.name} has a scalar reward already")
        object.__setattr__(self, "w", tuple(float(x) for x in self.w))
        if len(self.w) != self.env.reward_dim:
            raise UsageError(
                f"scalarise.w: {len(self.w)} weights for {self.env.reward_dim} reward components"
            )

    @property
    def reward_dim(self) -> None:
        """Scalar."""
        return None

    def extend(self, inner: PyTree) -> ScalariseParams:
        """With the weights."""
        return ScalariseParams(inner, jnp.asarray(np.array(self.w)))

    def inner_params(self, params: ScalariseParams) -> PyTree:
        """Without the weights."""
        return params.env

    def advance(
        self, state: PyTree, inner: PyTree, out: Step, params: ScalariseParams
    ) -> tuple[PyTree, Step]:
        """The scalar w . r."""
        return inner, out._replace(reward=jnp.sum(params.w * out.reward))

    def reward(self, params: ScalariseParams, state: PyTree, action: PyTree, next_state: PyTree) -> Array:
        """The scalar w . r."""
        return jnp.sum(params.w * super().reward(params, state, action, next_state))

    def to_tabular(self, params: ScalariseParams) -> TabularMDP:
        """The inner tables with `R . w`."""
        mdp = super().to_tabular(params)
        return mdp.replace(R=jnp.einsum("...m,m->...", mdp.R, params.w), reward_dim=None)


# --- actions and observations -----------------------------------------------------------------------------


@dataclass(frozen=True)
class ActionRepeat(Wrapper):
    """Applies each action `k` times and adds the rewards; stops, and stops adding, at a termination.

    `info` is that of the last step taken. A time limit of L inner steps becomes ceil(L / k).
    """

    k: int
    hidden: ClassVar[tuple[type, ...]] = (Finite, RewardFn, Scripted)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.k < 1:
            raise UsageError(f"action_repeat.k: must be >= 1, got {self.k}")

    def step(self, key: Key, state: PyTree, action: PyTree, params: PyTree) -> tuple[PyTree, Step]:
        """`k` inner steps."""
        keys = streams(key, self.k)

        def again(carry: tuple[PyTree, Step], key: Key) -> tuple[tuple[PyTree, Step], None]:
            state, out = carry
            after, new = self.env.step(key, state, action, params)
            new = new._replace(reward=out.reward + new.reward)
            return tree_where(out.terminated, carry, (after, new)), None

        first = self.env.step(keys[0], state, action, params)
        return jax.lax.scan(again, first, keys[1:])[0]

    def time_limit(self, params: PyTree) -> Array:
        """In outer steps."""
        return -(-self.env.time_limit(params) // self.k)


@dataclass(frozen=True)
class Discretise(Wrapper):
    """Box actions as Discrete(bins ** d): a grid from low to high, ends included, last axis fastest."""

    bins: int
    hidden: ClassVar[tuple[type, ...]] = (Finite,)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bins < 2:
            raise UsageError(f"discretise.bins: must be >= 2, got {self.bins}")
        space = self.env.action_space
        if not isinstance(space, Box) or not np.all(np.isfinite(_bounds(space))):
            raise UsageError(f"discretise.env: {self.env.name} needs a Box action space with finite bounds")

    @property
    def action_space(self) -> Discrete:
        """See the class."""
        return Discrete(self.bins ** int(np.prod(self.env.action_space.shape)))

    def map_action(self, action: Array) -> Array:
        """The grid point."""
        space = self.env.action_space
        low, high = _bounds(space)
        digits = jnp.unravel_index(action, (self.bins,) * int(np.prod(space.shape)))
        part = jnp.stack(digits).reshape(space.shape).astype(space.dtype) / (self.bins - 1)
        return jnp.asarray(low, space.dtype) + part * jnp.asarray(high - low, space.dtype)


@dataclass(frozen=True)
class ClipAction(Wrapper):
    """Box actions are clipped to the bounds of their space before they are applied."""

    hidden: ClassVar[tuple[type, ...]] = (Finite,)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.env.action_space, Box):
            raise UsageError(f"clip_action.env: {self.env.name} needs a Box action space")

    def map_action(self, action: Array) -> Array:
        """Within the bounds."""
        low, high = _bounds(self.env.action_space)
        return jnp.clip(action, jnp.asarray(low, action.dtype), jnp.asarray(high, action.dtype))


@dataclass(frozen=True)
class FlattenObs(Wrapper):
    """Any observation as one float[n]: Discrete as one-hot, Box ravelled, dicts in the order of keys."""

    @property
    def observation_space(self) -> Box:
        """The bounds of the parts, side by side."""
        low, high = [], []
        for space in jax.tree.leaves(self.env.observation_space, is_leaf=is_space):
            one_hot = isinstance(space, Discrete)
            lows, highs = (np.zeros(space.n), np.ones(space.n)) if one_hot else _bounds(space)
            low += lows.ravel().tolist()
            high += highs.ravel().tolist()
        return Box(low, high, (len(low),))

    def begin(self, inner: PyTree, obs: PyTree, params: PyTree) -> tuple[PyTree, PyTree]:
        """Flat."""
        return inner, self._flat(obs, params)

    def advance(self, state: PyTree, inner: PyTree, out: Step, params: PyTree) -> tuple[PyTree, Step]:
        """Flat."""
        return inner, out._replace(obs=self._flat(out.obs, params))

    def _flat(self, obs: PyTree, params: PyTree) -> Array:
        spaces, tree = jax.tree.flatten(self.env.observation_space, is_leaf=is_space)
        dtype = float_dtype(params)
        parts = [
            jax.nn.one_hot(x, space.n, dtype=dtype)
            if isinstance(space, Discrete)
            else x.ravel().astype(dtype)
            for space, x in zip(spaces, tree.flatten_up_to(obs), strict=True)
        ]
        return jnp.concatenate(parts)


# --- tasks ------------------------------------------------------------------------------------------------


class ResampleParams(NamedTuple):
    """limit: int32[], one time limit for all tasks."""

    limit: Array


class TaskState(NamedTuple):
    """task: the inner parameters of this episode."""

    env: PyTree
    task: PyTree


@dataclass(frozen=True)
class ResampleTask(Wrapper):
    """A new task at every reset: `reset` draws the inner parameters, the state carries them.

    `Params` is only the time limit (that of the inner defaults), and `()` for an environment without one;
    tasks' own limits do not apply.
    """

    hidden: ClassVar[tuple[type, ...]] = (SamplesParams, Finite)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.env, SamplesParams):
            raise UsageError(f"resample_params.env: {self.env.name} has no sample_params")

    def default_params(self) -> PyTree:
        """The inner time limit."""
        if not isinstance(self.env, HasTimeLimit):
            return ()
        return ResampleParams(self.env.time_limit(self.env.default_params()))

    def time_limit(self, params: ResampleParams) -> Array:
        """`Params.limit`."""
        return params.limit

    def reset(self, key: Key, params: PyTree) -> tuple[TaskState, PyTree]:
        """A task, then its reset."""
        k_task, k_reset = jax.random.split(key)
        task = self.env.sample_params(k_task)
        inner, obs = self.env.reset(k_reset, task)
        return TaskState(inner, task), obs

    def step(self, key: Key, state: TaskState, action: PyTree, params: PyTree) -> tuple[TaskState, Step]:
        """The inner step of the task."""
        inner, out = self.env.step(key, state.env, action, state.task)
        return TaskState(inner, state.task), out

    def step_u(self, state: TaskState, action: PyTree, u: Array, params: PyTree) -> tuple[TaskState, Step]:
        """The inner scripted step of the task."""
        inner, out = self.env.step_u(state.env, action, u, state.task)
        return TaskState(inner, state.task), out

    def reward(self, params: PyTree, state: TaskState, action: PyTree, next_state: TaskState) -> Array:
        """The inner reward of the task."""
        return self.env.reward(state.task, state.env, action, next_state.env)

    def render(self, state: TaskState, params: PyTree) -> Array:
        """The inner picture of the task."""
        return self.env.render(state.env, state.task)

    def item(self, params: PyTree, state: TaskState) -> PyTree:
        """The inner item of the task."""
        return self.env.item(state.task, state.env)


finite_horizon = FiniteHorizon
observe_time = ObserveTime
history = History
with_reward = WithReward
scalarise = Scalarise
action_repeat = ActionRepeat
discretise = Discretise
clip_action = ClipAction
flatten_obs = FlattenObs
resample_params = ResampleTask


def _is_flat_box(space: Space) -> bool:
    return isinstance(space, Box) and len(space.shape) == 1 and np.issubdtype(space.dtype, np.floating)


def _flat_box(name: str, space: Space) -> None:
    if not _is_flat_box(space):
        raise UsageError(f"{name}: needs observations float[n], got {space}; apply flatten_obs first")


def _bounds(space: Box) -> Any:
    """`(low, high)`, numpy arrays of the full shape."""
    return np.broadcast_to(space.low, space.shape), np.broadcast_to(space.high, space.shape)


def _append(space: Box, low: list[float], high: list[float]) -> Box:
    lows, highs = _bounds(space)
    n = space.shape[0] + len(low)
    return Box([*lows.tolist(), *low], [*highs.tolist(), *high], (n,), space.dtype)
