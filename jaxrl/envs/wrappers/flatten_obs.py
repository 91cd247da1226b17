"""Observations flattened to one vector."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.spaces import Box, Discrete, is_space
from jaxrl.core.types import Array, PyTree, Step
from jaxrl.envs.base import (
    float_dtype,
)
from jaxrl.envs.wrappers.wrapper import Wrapper, box_bounds


@dataclass(frozen=True)
class FlattenObs(Wrapper):
    """Any observation as one float[n]: Discrete as one-hot, Box ravelled, dicts in the order of keys."""

    @property
    def observation_space(self) -> Box:
        """The bounds of the parts, side by side."""
        low, high = [], []
        for space in jax.tree.leaves(self.env.observation_space, is_leaf=is_space):
            one_hot = isinstance(space, Discrete)
            lows, highs = (np.zeros(space.n), np.ones(space.n)) if one_hot else box_bounds(space)
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


flatten_obs = FlattenObs
