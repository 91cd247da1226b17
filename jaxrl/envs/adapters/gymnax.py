"""gymnax (1.0 or later) environments as `Env`, for comparisons; ours do not depend on it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxrl.core.errors import MissingExtra, UsageError, nearest
from jaxrl.core.spaces import Space
from jaxrl.core.types import Array, Key, PyTree, Step
from jaxrl.envs.adapters.gymnasium import convert_space

_INSTALL = "install it with `pip install 'gymnax>=1.0'` in an environment with jax < 0.12"


@dataclass(frozen=True)
class Gymnax:
    """One gymnax environment, e.g. `Gymnax("CartPole-v1")`.

    Parameters are gymnax's own, as arrays; some of its environments keep derived numbers among them
    (CartPole's `total_mass`), which have to be changed together. gymnax's automatic reset is not used.
    """

    name: str
    reward_dim: None = None

    def __post_init__(self) -> None:
        _load(self.name)

    @property
    def observation_space(self) -> Space:
        """Under the default parameters."""
        env, params = _load(self.name)
        return convert_space(env.observation_space(params))

    @property
    def action_space(self) -> Space:
        """Under the default parameters."""
        env, params = _load(self.name)
        return convert_space(env.action_space(params))

    def default_params(self) -> PyTree:
        """The default parameters, strongly typed."""
        return _strong(_load(self.name)[1])

    def time_limit(self, params: PyTree) -> Array:
        """int32[], gymnax's `max_steps_in_episode`."""
        return jnp.asarray(params.max_steps_in_episode, jnp.int32)

    def reset(self, key: Key, params: PyTree) -> tuple[PyTree, PyTree]:
        """`(state, obs)`."""
        obs, state = _load(self.name)[0].reset_env(key, params)
        return _strong(state), _strong(obs)

    def step(self, key: Key, state: PyTree, action: PyTree, params: PyTree) -> tuple[PyTree, Step]:
        """The transition of gymnax without its reset and its time limit."""
        obs, state, reward, terminated, _ = _load(self.name)[0].step_env(key, state, action, params)
        out = Step(_strong(obs), _strong(jnp.asarray(reward, float)), jnp.asarray(terminated, bool), {})
        return _strong(state), out


@functools.cache
def _load(name: str) -> tuple[Any, PyTree]:
    """Environment and parameters, once the interface is known to be the one of 1.0."""
    try:
        import gymnax
    except ImportError as error:
        raise MissingExtra(f"gymnax: cannot be imported ({error}); {_INSTALL}") from error
    if name not in gymnax.registered_envs:
        raise UsageError(f"Gymnax.name: gymnax has no {name!r}; {nearest(name, gymnax.registered_envs)}")
    with jax.ensure_compile_time_eval():
        env, params = gymnax.make(name)

    def probe(key: Key) -> Any:
        state = env.reset(key, params)[1]
        return env.step(key, state, env.action_space(params).sample(key), params)

    # a resolver that cannot satisfy gymnax's pins falls back to 0.0.9, whose `done` contains the time limit
    values = len(jax.eval_shape(probe, jax.random.key(0)))
    if values != 6:
        raise MissingExtra(f"gymnax: its step returns {values} values, 1.0 returns 6; {_INSTALL}")
    return env, params


def _strong(tree: PyTree) -> PyTree:
    """Leaves as arrays without weak types: 32 bits unless 64 are enabled."""
    return jax.tree.map(lambda x: jax.lax.convert_element_type(x, jnp.asarray(x).dtype), tree)
