"""Observations of policies for a set function: Markov, or with what has been visited.

    markov        cell and step, both one-hot (M-SubPO)
    markov_raw    cell and step as two plain numbers, as released
    history_raw   the cells so far as plain numbers, padded by -1, as released (NM-SubPO)
    visited       Markov, and which cells were visited (NM)
    statistic     Markov, and the statistic of F or its features (NM)

A recurrent policy is `markov` with `Config.memory`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Box, is_space
from jaxrl.core.types import Array, PyTree, Step
from jaxrl.envs.base import Env, float_dtype
from jaxrl.envs.wrappers.wrapper import Wrapper

FEATURES = ("markov", "markov_raw", "history_raw", "visited", "statistic")


def with_features(name: str, problem: Callable[..., Env], n_items: int) -> Env:
    """The environment `problem(show_history=..., show_stat=...)` with the observations of that name.

    problem: such as `partial(coverage_grid, "bimodal")` of `jaxrl.envs.coverage`; n_items: how many
    items there are. Raises `UsageError` for another name, and for items of a grid that `visited` has no room
    for.
    """
    if name not in FEATURES:
        raise UsageError(f"features: must be one of {', '.join(FEATURES)}, got {name!r}")
    if name == "markov":
        return problem()
    if name == "markov_raw":
        return PlainNumbers(problem())
    if name == "statistic":
        return problem(show_stat=True)
    env = problem(show_history=True)
    return Visited(env, n_items) if name == "visited" else PlainNumbers(env, history_only=True)


@dataclass(frozen=True)
class PlainNumbers(Wrapper):
    """obs as float[k] without any scaling: an index is one number.

    history_only: of `{"obs": ..., "history": int32[n]}` the first n - 1 entries, all but the last state's,
    after which there is no action.
    """

    history_only: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.history_only:
            _history(self, "PlainNumbers.history_only")

    @property
    def observation_space(self) -> Box:
        """A box of k unbounded numbers."""
        space = self.env.observation_space
        if self.history_only:
            return Box(-np.inf, np.inf, (space["history"].shape[0] - 1,))
        leaves = jax.tree.leaves(space, is_leaf=is_space)
        return Box(-np.inf, np.inf, (sum(int(np.prod(leaf.shape)) for leaf in leaves),))

    def begin(self, inner: PyTree, obs: PyTree, params: PyTree) -> tuple[PyTree, Array]:
        """The observation as numbers."""
        return inner, self._numbers(obs, params)

    def advance(self, state: PyTree, inner: PyTree, out: Step, params: PyTree) -> tuple[PyTree, Step]:
        """The step with its observation as numbers."""
        return inner, out._replace(obs=self._numbers(out.obs, params))

    def _numbers(self, obs: PyTree, params: PyTree) -> Array:
        if self.history_only:
            obs = obs["history"][:-1]
        return jnp.concatenate([jnp.ravel(x).astype(float_dtype(params)) for x in jax.tree.leaves(obs)])


@dataclass(frozen=True)
class Visited(Wrapper):
    """obs `{"obs": o, "history": int32[n]}` becomes `{"obs": o, "visited": float[n_items]}` of 0 and 1."""

    n_items: int

    def __post_init__(self) -> None:
        super().__post_init__()
        _history(self, "Visited.env")
        places = getattr(_inmost(self.env), "n_places", 1)
        if self.n_items < places:
            raise UsageError(f"Visited.n_items: must be >= {places}, the number of items, got {self.n_items}")

    @property
    def observation_space(self) -> dict:
        """The inner observation, and one number in [0, 1] per item."""
        return {"obs": self.env.observation_space["obs"], "visited": Box(0.0, 1.0, (self.n_items,))}

    def begin(self, inner: PyTree, obs: PyTree, params: PyTree) -> tuple[PyTree, PyTree]:
        """The observation with a mask in place of the history."""
        return inner, self._mask(obs, params)

    def advance(self, state: PyTree, inner: PyTree, out: Step, params: PyTree) -> tuple[PyTree, Step]:
        """The step with a mask in place of the history."""
        return inner, out._replace(obs=self._mask(out.obs, params))

    def _mask(self, obs: PyTree, params: PyTree) -> PyTree:
        seen = obs["history"]
        seen = jnp.where(seen < 0, self.n_items, seen)  # -1 would count from the end
        nothing = jnp.zeros(self.n_items, float_dtype(params))
        return {"obs": obs["obs"], "visited": nothing.at[seen].set(1.0, mode="drop")}


def _history(wrapper: Wrapper, name: str) -> None:
    space = wrapper.env.observation_space
    if not isinstance(space, dict) or "history" not in space:
        raise UsageError(f"{name}: {wrapper.env.name} shows no history; build it with show_history=True")


def _inmost(env: Env) -> Env:
    while isinstance(env, Wrapper):
        env = env.env
    return env
