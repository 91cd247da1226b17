"""Rewards of whole trajectories: a set function as a fold, online in an environment or over stored data.

Legend: `V` items (places), `U` elements of a universe, `T` steps, `N` environments. Items are int32[].
The reward of step t is the marginal gain F(S_{t+1}) - F(S_t), so the return is F(trajectory) - F({s_0}).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError, check_sizes
from jaxrl.core.spaces import Box, Space
from jaxrl.core.types import Array, PyTree, Step, Transition
from jaxrl.envs.base import Env, Finite, HasItem, RewardFn, float_dtype, real
from jaxrl.envs.wrappers import FiniteHorizon, HorizonParams, HorizonState, Wrapper, finite_horizon, history


class SetFunction(Protocol):
    """F as a fold over items: hashable, compared by value; any record of these five functions is one.

    The statistic has a shape that does not depend on the number of items; every number of F is a leaf of its
    own parameters. Optional are a function `features(params, stat) -> pytree of floats`, what a policy is
    shown of the statistic where the statistic itself is not fit to be seen; an attribute `capacity`, the most
    items it can hold, None for no limit; and an attribute `timed`, true where items are `Visit(h, v)`.
    """

    def default_params(self) -> PyTree:
        """Strongly typed arrays."""
        ...

    def init(self, params: PyTree) -> PyTree:
        """Statistic of the empty set."""
        ...

    def gain(self, params: PyTree, stat: PyTree, item: PyTree) -> Array:
        """float[], F(S + item) - F(S)."""
        ...

    def add(self, params: PyTree, stat: PyTree, item: PyTree) -> tuple[PyTree, Array]:
        """`(statistic of S + item, gain)`."""
        ...

    def value(self, params: PyTree, stat: PyTree) -> Array:
        """float[], F(S), 0 for the empty set."""
        ...


def check_capacity(name: str, F: SetFunction, items: int, what: str = "items") -> None:
    """Raises `UsageError` where F cannot hold `items` items; `name` is the field that asks for so many."""
    capacity = getattr(F, "capacity", None)
    if capacity is not None and capacity < items:
        raise UsageError(
            f"{name}: {items} {what}, but F.capacity is {capacity}; make F with capacity >= {items}"
        )


def check_shape(F: SetFunction, field: str, x: Array, shape: tuple[int, ...]) -> None:
    """Raises `UsageError` where the parameters `x` `[...]` of F are not `[*shape]`: indices would be cut."""
    if x.shape != shape:
        raise UsageError(f"{type(F).__name__}.{field}: has shape {x.shape}, but F is made for {shape}")


class CoverageParams(NamedTuple):
    """covers: bool[V, U], what each item covers; weight: float[U]."""

    covers: Array
    weight: Array


@dataclass(frozen=True)
class Coverage:
    """F(S) = sum of weights of the elements that some item of S covers. Statistic: bool[U].

    n_universe: U, default V. By default each item covers the element of its own index, with weight 1: the
    number of distinct items. Check your own parameters with `coverage_params`.
    """

    n_items: int
    n_universe: int | None = None

    def __post_init__(self) -> None:
        check_sizes(self, "n_items", "n_universe")

    def default_params(self) -> CoverageParams:
        """See the class."""
        shape = (self.n_items, self.n_universe or self.n_items)
        return CoverageParams(jnp.eye(*shape, dtype=bool), jnp.ones(shape[1], jnp.result_type(float)))

    def init(self, params: CoverageParams) -> Array:
        """Nothing covered. Raises `UsageError` for parameters of other sizes."""
        check_shape(self, "covers", params.covers, (self.n_items, self.n_universe or self.n_items))
        return jnp.zeros(params.weight.shape, bool)

    def gain(self, params: CoverageParams, stat: Array, item: Array) -> Array:
        """Weight of what is newly covered."""
        return jnp.sum(jnp.where(params.covers[item] & ~stat, params.weight, 0))

    def add(self, params: CoverageParams, stat: Array, item: Array) -> tuple[Array, Array]:
        """Union."""
        return stat | params.covers[item], self.gain(params, stat, item)

    def value(self, params: CoverageParams, stat: Array) -> Array:
        """Weight covered."""
        return jnp.sum(jnp.where(stat, params.weight, 0))


def coverage_params(covers: Any, weight: Any = None) -> CoverageParams:
    """Host check of `Coverage` parameters, `covers` `[V, U]` of truth values, `weight` `[U]` (default 1).

    Raises `UsageError` for other shapes and for weights that are negative or NaN.
    """
    covers = np.asarray(covers)
    if covers.ndim != 2:
        raise UsageError(f"coverage_params.covers: shape {covers.shape} is not [V, U]")
    weight = np.ones(covers.shape[1]) if weight is None else weight
    return CoverageParams(
        jnp.asarray(covers, bool), nonnegative(weight, covers.shape[1:], "coverage_params.weight")
    )


def nonnegative(weight: Any, shape: tuple[int, ...] | None = None, name: str = "nonnegative.weight") -> Array:
    """float[...], host check of weights: of a `Sum` `[n]`, of `Modular` `[V]`, of visits `[H + 1, V]`.

    Raises `UsageError`, which begins with `name`, for entries below 0 or NaN, and for another `shape`.
    """
    weight = np.asarray(weight)
    if shape is not None and weight.shape != shape:
        raise UsageError(f"{name}: has shape {weight.shape}, not {shape}")
    if not np.all(weight >= 0):
        raise UsageError(f"{name}: has negative or NaN entries, and F would not be monotone")
    return jnp.asarray(weight, jnp.result_type(float))


@dataclass(frozen=True)
class Modular:
    """F(S) = sum of the weights of the visits; a revisit counts again. Params float[V], statistic float[].

    Check your own weights with `nonnegative`.
    """

    n_items: int

    def __post_init__(self) -> None:
        check_sizes(self, "n_items")

    def default_params(self) -> Array:
        """Weight 1."""
        return jnp.ones(self.n_items, jnp.result_type(float))

    def init(self, params: Array) -> Array:
        """The empty sum. Raises `UsageError` for parameters of another size."""
        check_shape(self, "weight", params, (self.n_items,))
        return jnp.zeros((), params.dtype)

    def gain(self, params: Array, stat: Array, item: Array) -> Array:
        """The item's weight."""
        return params[item]

    def add(self, params: Array, stat: Array, item: Array) -> tuple[Array, Array]:
        """The running sum."""
        return stat + params[item], params[item]

    def value(self, params: Array, stat: Array) -> Array:
        """The sum."""
        return stat


@dataclass(frozen=True)
class FacilityLocation:
    """F(S) = sum_u max_{v in S} similarity[v, u]. Params: float[V, U] >= 0; statistic: float[U], the maxima.

    n_universe: U, default V. The default similarity is the identity; check your own with `similarities`.
    """

    n_items: int
    n_universe: int | None = None

    def __post_init__(self) -> None:
        check_sizes(self, "n_items", "n_universe")

    def default_params(self) -> Array:
        """See the class."""
        return jnp.eye(self.n_items, self.n_universe or self.n_items, dtype=jnp.result_type(float))

    def init(self, params: Array) -> Array:
        """All maxima 0. Raises `UsageError` for parameters of other sizes."""
        check_shape(self, "similarity", params, (self.n_items, self.n_universe or self.n_items))
        return jnp.zeros(params.shape[1], params.dtype)

    def gain(self, params: Array, stat: Array, item: Array) -> Array:
        """By how much the maxima rise."""
        return jnp.sum(jnp.maximum(params[item] - stat, 0))

    def add(self, params: Array, stat: Array, item: Array) -> tuple[Array, Array]:
        """Running maxima."""
        return jnp.maximum(stat, params[item]), self.gain(params, stat, item)

    def value(self, params: Array, stat: Array) -> Array:
        """Sum of the maxima."""
        return jnp.sum(stat)


def similarities(matrix: Any) -> Array:
    """Host check of `FacilityLocation` parameters; raises `UsageError` for negative entries."""
    matrix = np.asarray(matrix)
    if matrix.ndim != 2:
        raise UsageError(f"similarities.matrix: shape {matrix.shape} is not [V, U]")
    if not np.all(matrix >= 0):
        raise UsageError("similarities.matrix: has negative or NaN entries, and F would not be monotone")
    return jnp.asarray(matrix, jnp.result_type(float))


class LogDetParams(NamedTuple):
    """kernel: float[V, V], positive semidefinite; noise: float[], the variance sigma^2 > 0."""

    kernel: Array
    noise: Array


class LogDetStat(NamedTuple):
    """columns: float[n, n], row j is column j of the Cholesky factor of K + sigma^2 I over `items` int32[n],
    that of the identity in unused rows.

    count: int32[]; value: float[].
    """

    items: Array
    columns: Array
    count: Array
    value: Array


@dataclass(frozen=True)
class LogDet:
    """F(S) = 1/2 log det(I + K_SS / sigma^2), the information of noisy measurements; revisits measure again.

    capacity: most items of an episode, horizon + 1; the gain of any further item is NaN. O(capacity^2) per
    step.
    By default K is the identity and sigma^2 is 1; check your own with `kernel_params`.
    """

    n_items: int
    capacity: int

    def __post_init__(self) -> None:
        check_sizes(self, "n_items", "capacity")

    def default_params(self) -> LogDetParams:
        """See the class."""
        return LogDetParams(jnp.eye(self.n_items, dtype=jnp.result_type(float)), real(1.0))

    def init(self, params: LogDetParams) -> LogDetStat:
        """No rows. Raises `UsageError` for a kernel of another size."""
        check_shape(self, "kernel", params.kernel, (self.n_items, self.n_items))
        dtype = params.kernel.dtype
        return LogDetStat(
            items=jnp.zeros(self.capacity, jnp.int32),
            columns=jnp.eye(self.capacity, dtype=dtype),
            count=jnp.zeros((), jnp.int32),
            value=jnp.zeros((), dtype),
        )

    def gain(self, params: LogDetParams, stat: LogDetStat, item: Array) -> Array:
        """1/2 log(1 + posterior variance / sigma^2)."""
        return self._row(params, stat, item)[1]

    def add(self, params: LogDetParams, stat: LogDetStat, item: Array) -> tuple[LogDetStat, Array]:
        """One row more."""
        row, gain = self._row(params, stat, item)
        after = LogDetStat(
            items=stat.items.at[stat.count].set(item),
            columns=stat.columns.at[:, stat.count].set(row),
            count=stat.count + 1,
            value=stat.value + gain,
        )
        return after, gain

    def value(self, params: LogDetParams, stat: LogDetStat) -> Array:
        """Sum of the gains."""
        return stat.value

    def features(self, params: LogDetParams, stat: LogDetStat) -> Array:
        """float[V], how often each item was measured: all that F remembers."""
        taken = jnp.arange(self.capacity) < stat.count
        return jnp.zeros(params.kernel.shape[:1], params.kernel.dtype).at[stat.items].add(taken)

    def _row(self, params: LogDetParams, stat: LogDetStat, item: Array) -> tuple[Array, Array]:
        """The new row of L `[n]`, and the gain."""
        at = jnp.arange(self.capacity)
        k = jnp.where(at < stat.count, params.kernel[stat.items, item], 0)

        def eliminate(y: Array, row: tuple[Array, Array]) -> tuple[Array, None]:
            j, column = row
            y_j = y[j] / column[j]
            return jnp.where(at == j, y_j, y - y_j * column), None

        # forward substitution L y = k, written out because batched LAPACK calls spread over several CPU
        # devices can deadlock
        y, _ = jax.lax.scan(eliminate, k, (at, stat.columns))
        schur = params.kernel[item, item] + params.noise - jnp.sum(y * y)
        # rounding may take the posterior variance below 0, where it is 0 in exact arithmetic
        schur = jnp.maximum(schur, params.noise)
        gain = jnp.where(stat.count < self.capacity, 0.5 * jnp.log(schur / params.noise), jnp.nan)
        return jnp.where(at == stat.count, jnp.sqrt(schur), y), gain


def kernel_params(kernel: Any, noise: float) -> LogDetParams:
    """Host check of `LogDet` parameters; raises `UsageError` unless K is symmetric and PSD and noise > 0.

    What rounding in the precision of `kernel` explains is let through, but no eigenvalue below -noise / 10.
    """
    given = np.asarray(kernel)
    kernel = given.astype(np.float64)
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1]:
        raise UsageError(f"kernel_params.kernel: shape {kernel.shape} is not [V, V]")
    if not np.all(np.isfinite(kernel)):
        raise UsageError("kernel_params.kernel: has entries that are not finite")
    if not noise > 0:
        raise UsageError(f"kernel_params.noise: must be > 0, got {noise}")
    precision = np.finfo(given.dtype if given.dtype.kind == "f" else np.float64).eps
    rounding = 10 * precision * len(kernel) * np.abs(kernel).max()
    if np.abs(kernel - kernel.T).max() > rounding:
        raise UsageError("kernel_params.kernel: must be symmetric")
    # below -noise the matrix of measurements itself would be indefinite
    if np.linalg.eigvalsh(kernel).min() < -min(rounding, noise / 10):
        raise UsageError("kernel_params.kernel: has a negative eigenvalue; pass a covariance matrix")
    return LogDetParams(jnp.asarray(kernel, jnp.result_type(float)), real(noise))


# --- online and offline -----------------------------------------------------------------------------------


class SetParams(NamedTuple):
    """F: parameters of the set function."""

    env: PyTree
    F: PyTree


class SetState(NamedTuple):
    """stat: statistic of the items since the reset, the first state's included."""

    env: PyTree
    stat: PyTree


@dataclass(frozen=True)
class SetReward(Wrapper):
    """Replaces the reward by the marginal gain of the new state's item, `env.item(params, state)`.

    show_stat: obs becomes `{"obs": o, "stat": ...}`, the features of F where it has them and otherwise the
        statistic's leaves as floats; without, obs is the base observation, which is Markov for the dynamics
        but not for the reward.
    modular: the reward becomes the item's own value F({item}), whatever has been visited.
    on_top: the inner reward is added.
    `info` has "F", the value of all items since the reset, and "gain", the marginal gain.
    """

    F: SetFunction
    show_stat: bool = False
    modular: bool = False
    on_top: bool = False
    hidden: ClassVar[tuple[type, ...]] = (Finite, RewardFn)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.env, HasItem):
            raise UsageError(f"set_reward.env: {self.env.name} has no item; give it `item(params, state)`")
        missing = [f for f in ("default_params", "init", "gain", "add", "value") if not hasattr(self.F, f)]
        if missing:
            raise UsageError(f"set_reward.F: has no {missing[0]}; a set function needs it")

    @property
    def reward_dim(self) -> None:
        """Scalar."""
        return None

    @property
    def observation_space(self) -> Space:
        """See the class."""
        space = self.env.observation_space
        if not self.show_stat:
            return space
        stat = jax.eval_shape(lambda p: self._features(self.F.init(p), p), self.F.default_params())
        return {"obs": space, "stat": jax.tree.map(lambda x: Box(-np.inf, np.inf, x.shape), stat)}

    def extend(self, inner: PyTree) -> SetParams:
        """With those of F."""
        return SetParams(inner, self.F.default_params())

    def inner_params(self, params: SetParams) -> PyTree:
        """Without those of F."""
        return params.env

    def inner_state(self, state: SetState) -> PyTree:
        """Without the statistic."""
        return state.env

    def begin(self, inner: PyTree, obs: PyTree, params: SetParams) -> tuple[SetState, PyTree]:
        """The first item. Raises `UsageError` for a function whose statistic changes shape with an item."""
        empty = self.F.init(params.F)
        stat, _ = self.F.add(params.F, empty, self.env.item(params.env, inner))
        before, after = jax.eval_shape(lambda: (empty, stat))
        if before != after:
            raise UsageError(f"set_reward.F: add turns the statistic {before} into {after}; keep its shape")
        return SetState(inner, stat), self._show(obs, stat, params)

    def advance(self, state: SetState, inner: PyTree, out: Step, params: SetParams) -> tuple[SetState, Step]:
        """One item more."""
        item = self.env.item(params.env, inner)
        stat, gain = self.F.add(params.F, state.stat, item)
        reward = self.F.gain(params.F, self.F.init(params.F), item) if self.modular else gain
        reward = reward + out.reward if self.on_top else reward
        info = {**out.info, "F": self.F.value(params.F, stat), "gain": gain}
        return SetState(inner, stat), Step(self._show(out.obs, stat, params), reward, out.terminated, info)

    def _show(self, obs: PyTree, stat: PyTree, params: SetParams) -> PyTree:
        return {"obs": obs, "stat": self._features(stat, params.F)} if self.show_stat else obs

    def _features(self, stat: PyTree, params: PyTree) -> PyTree:
        if hasattr(self.F, "features"):
            return self.F.features(params, stat)
        return jax.tree.map(lambda x: x.astype(float_dtype(params)), stat)


set_reward = SetReward


class Visit(NamedTuple):
    """A place at a time, as element of a set. h: int32[]; v: the item of the state."""

    h: Array
    v: PyTree


@dataclass(frozen=True)
class TimedItems(FiniteHorizon):
    """`FiniteHorizon` whose items are `Visit(h, v)`, for set functions that tell times apart."""

    def item(self, params: HorizonParams, state: HorizonState) -> Visit:
        """The inner item and the step index."""
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
