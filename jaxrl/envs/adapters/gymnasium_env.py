"""Environments of this project as `gymnasium.Env` and `gymnasium.vector.VectorEnv`, for algorithms of others.

Every call runs one compiled program, which all environments share that are equal as values. Episode `e` of an
environment that was seeded with `s` has a key of its own, made of `s` and `e`; environment `i` of a vector
that was seeded with `s` equals a single one seeded with `s + i`.

Legend: `n` environments, `m` reward components.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from jaxrl.core.errors import UsageError
from jaxrl.core.prng import stream
from jaxrl.core.spaces import Box, Discrete, Space, is_space
from jaxrl.core.types import Array, Key, PyTree, Step
from jaxrl.envs.base import Env, HasTimeLimit, Renders

NEVER = np.iinfo(np.int32).max


class GymnasiumEnv(gymnasium.Env):
    """One environment with the parameters `params`, and episodes of at most `limit` steps.

    limit: None for that of the environment itself. Rewards of several components are arrays float32[m], as
    in MO-Gymnasium, and `reward_space` is theirs.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 30}

    def __init__(self, env: Env, params: PyTree, limit: int | None, render_mode: str | None) -> None:
        if render_mode not in (None, "rgb_array"):
            raise UsageError(f"render_mode: must be None or 'rgb_array', got {render_mode!r}")
        if render_mode is not None and not isinstance(env, Renders):
            raise UsageError(f"render_mode: {env.name} draws no pictures; leave it None")
        self.env, self.params, self.render_mode = env, params, render_mode
        self.limit = steps_per_episode(env, params, limit)
        self.observation_space = as_gymnasium_space(env.observation_space)
        self.action_space = as_gymnasium_space(env.action_space)
        if env.reward_dim is not None:
            self.reward_dim = env.reward_dim
            self.reward_space = gymnasium.spaces.Box(-np.inf, np.inf, (env.reward_dim,), np.float32)
        self._root: Key | None = None
        self._state: PyTree = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """`(obs, info)` of the next episode; `info` is empty."""
        super().reset(seed=seed)
        if seed is not None or self._root is None:
            self._root, self._episode = _root_key(self.np_random), -1
        self._episode, self._t = self._episode + 1, 0
        self._key = stream(self._root, self._episode)
        self._state, obs = _reset(self.env, self._key, self.params)
        return _out(self.env.observation_space, obs), {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """`(obs, reward, terminated, truncated, info)`; a time limit is a truncation."""
        if self._state is None:
            raise gymnasium.error.ResetNeeded(f"{self.env.name}: call reset before step")
        action = _in(self.env.action_space, action)
        self._state, out = _step(self.env, self._key, np.int32(self._t), self._state, action, self.params)
        self._t += 1
        terminated = bool(out.terminated)
        reward = float(out.reward) if self.env.reward_dim is None else np.array(out.reward, np.float32)
        info = {name: np.array(x) for name, x in out.info.items()}
        truncated = self._t >= self.limit and not terminated
        return _out(self.env.observation_space, out.obs), reward, terminated, truncated, info

    def render(self) -> Any:
        """uint8[H, W, 3] of the current state where the mode is "rgb_array", else None."""
        if self.render_mode is None:
            return None
        return np.asarray(self.env.render(self._state, self.params))  # pyright: ignore


class GymnasiumVectorEnv(gymnasium.vector.VectorEnv):
    """`n` environments in one program; the step after an end resets, and does not read the action."""

    metadata: ClassVar[dict[str, Any]] = {"autoreset_mode": AutoresetMode.NEXT_STEP}

    def __init__(self, env: Env, n: int, params: PyTree, limit: int | None) -> None:
        self.env, self.num_envs, self.params = env, n, params
        self.limit = steps_per_episode(env, params, limit)
        self.single_observation_space = as_gymnasium_space(env.observation_space)
        self.single_action_space = as_gymnasium_space(env.action_space)
        self.observation_space = batch_space(self.single_observation_space, n)
        self.action_space = batch_space(self.single_action_space, n)
        self._roots: dict[int, Key] = {}
        self._episodes = np.zeros(n, np.int32)
        self._carry: PyTree = None

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """`(obs, info)` of new episodes everywhere; leaves of `obs` are `[n, ...]`, `info` is empty."""
        one = isinstance(seed, int | np.integer)
        seeds = [int(seed) + i for i in range(self.num_envs)] if one else seed
        if seeds is not None and len(seeds) != self.num_envs:
            raise UsageError(f"seed: must be a number or {self.num_envs} numbers, got {len(seeds)}")
        for i, s in enumerate(seeds or [None] * self.num_envs):
            if s is not None or len(self._roots) <= i:
                self._roots[i], self._episodes[i] = _root_key(np_random(s)[0]), -1
        self._episodes = self._episodes + np.int32(1)
        self._keys = jnp.stack([self._roots[i] for i in range(self.num_envs)])
        state, obs = _reset_all(self.env, self._keys, self._episodes, self.params)
        zeros = np.zeros(self.num_envs, np.int32)
        self._carry = (state, self._episodes, zeros, zeros.astype(bool))
        return _out(self.env.observation_space, obs), {}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """`(obs, reward, terminated, truncated, info)`, leaves `[n, ...]`; a time limit is a truncation."""
        if self._carry is None:
            raise gymnasium.error.ResetNeeded(f"{self.env.name}: call reset before step")
        actions = _in(self.env.action_space, actions, (self.num_envs,))
        limit = np.int32(self.limit)
        self._carry, out, truncated, fresh = _step_all(
            self.env, self._keys, self._carry, actions, self.params, limit
        )
        self._episodes = np.array(self._carry[1])
        info = {}
        for name, x in out.info.items():
            info |= {name: np.array(x), f"_{name}": ~np.array(fresh)}
        obs = _out(self.env.observation_space, out.obs)
        return obs, np.array(out.reward), np.array(out.terminated), np.array(truncated), info


def steps_per_episode(env: Env, params: PyTree, limit: int | None) -> int:
    """`limit`, or the environment's own, or none."""
    if limit is not None:
        return limit
    return int(env.time_limit(params)) if isinstance(env, HasTimeLimit) else NEVER


def as_gymnasium_space(space: Space) -> gymnasium.Space:
    """Discrete, Box, and dicts and tuples of them, as gymnasium has them."""
    if isinstance(space, dict):
        return gymnasium.spaces.Dict({name: as_gymnasium_space(part) for name, part in space.items()})
    if isinstance(space, tuple):
        return gymnasium.spaces.Tuple([as_gymnasium_space(part) for part in space])
    if isinstance(space, Discrete):
        return gymnasium.spaces.Discrete(space.n)
    low, high = (np.broadcast_to(np.asarray(b), space.shape) for b in (space.low, space.high))
    if np.issubdtype(space.dtype, np.integer):
        limits = np.iinfo(space.dtype)
        low, high = np.maximum(low, limits.min), np.minimum(high, limits.max)
    return gymnasium.spaces.Box(low.astype(space.dtype), high.astype(space.dtype), space.shape, space.dtype)


def _root_key(generator: np.random.Generator) -> Key:
    return jax.random.key(int(generator.integers(2**32)))


def _cast(leaf: Discrete | Box, x: Any, batch: tuple[int, ...]) -> Any:
    given = np.asarray(x)
    if given.dtype.kind not in "biuf" or given.shape != batch + leaf.shape or not np.isfinite(given).all():
        raise ValueError
    value = given.astype(leaf.dtype)
    if isinstance(leaf, Discrete) and not np.all((value == given) & (value >= 0) & (value < leaf.n)):
        raise ValueError
    return value


def _in(space: Space, x: Any, batch: tuple[int, ...] = ()) -> PyTree:
    """An action of gymnasium's, or a batch of them, with our structure and dtypes.

    Raises UsageError for another structure or shape, for what is not finite, and for an index out of range;
    numbers beyond a `Box` are the environment's to handle.
    """
    try:
        x = dict(x) if isinstance(space, dict) else x
        return jax.tree.map(lambda leaf, part: _cast(leaf, part, batch), space, x, is_leaf=is_space)
    except (ValueError, TypeError) as error:
        many = f"{batch[0]} actions" if batch else "an action"
        raise UsageError(f"action: must be {many} of {space}, got {x!r:.80}") from error


def _out(space: Space, x: PyTree) -> Any:
    """A value of ours as numpy arrays of its own; single indices as numpy integers."""

    def one(leaf: Discrete | Box, x: Any) -> Any:
        if isinstance(leaf, Discrete):
            return np.int64(x) if np.ndim(x) == 0 else np.array(x, np.int64)
        return np.array(x, leaf.dtype)

    return jax.tree.map(one, space, x, is_leaf=is_space)


# entry 0 of an episode's stream is its reset, entry t + 1 its step t
@partial(jax.jit, static_argnums=0)
def _reset(env: Env, key: Key, params: PyTree) -> tuple[PyTree, PyTree]:
    return env.reset(stream(key, 0), params)


@partial(jax.jit, static_argnums=0)
def _step(env: Env, key: Key, t: Array, state: PyTree, action: PyTree, params: PyTree) -> tuple[PyTree, Step]:
    return env.step(stream(key, t + 1), state, action, params)


@partial(jax.jit, static_argnums=0)
def _reset_all(env: Env, roots: Key, episodes: Array, params: PyTree) -> tuple[PyTree, PyTree]:
    return jax.vmap(lambda root, e: _reset(env, stream(root, e), params))(roots, episodes)


@partial(jax.jit, static_argnums=0)
def _step_all(
    env: Env, roots: Key, carry: PyTree, actions: PyTree, params: PyTree, limit: Array
) -> tuple[PyTree, Step, Array, Array]:
    """`(carry, Step, truncated, fresh)`: environments that had ended are reset, with reward 0."""

    def one(root: Key, state: PyTree, episode: Array, t: Array, ended: Array, action: PyTree) -> Any:
        stepped, out = _step(env, stream(root, episode), t, state, action, params)
        state0, obs0 = _reset(env, stream(root, episode + 1), params)
        select = partial(jax.tree.map, partial(jnp.where, ended))
        terminated = out.terminated & ~ended
        truncated = (t + 1 >= limit) & ~terminated & ~ended
        out = Step(select(obs0, out.obs), jnp.where(ended, 0, out.reward), terminated, out.info)
        carry = (
            select(state0, stepped),
            episode + ended,
            jnp.where(ended, 0, t + 1),
            terminated | truncated,
        )
        return carry, out, truncated, ended

    return jax.vmap(one)(roots, *carry, actions)
