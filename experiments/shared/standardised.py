"""Algorithms that see standardised observations."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from jaxrl.core.types import Algorithm, Array, Policy, PyTree
from jaxrl.data.dataset import Dataset


class Standardised(NamedTuple):
    """An affine map of observations to mean 0 and standard deviation 1 over a dataset.

    offset: `[...]` like an observation, the mean. scale: `[...]`, the standard deviation.
    """

    offset: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, data: Dataset) -> Standardised:
        """The map of the rows of `data`; coordinates that do not vary are only shifted."""
        obs = np.asarray(data.obs)
        std = obs.std(0)
        return cls(obs.mean(0), np.where(std > 1e-6, std, 1.0))

    def data(self, data: Dataset) -> Dataset:
        """`data` with mapped observations."""
        return data.replace(obs=self._seen(data.obs), next_obs=self._seen(data.next_obs))

    def algorithm(self, algorithm: Algorithm) -> Algorithm:
        """`algorithm`, trained on mapped data, with policies that take the environment's observations."""

        def act(state: PyTree, hyper: Any, greedy: bool) -> Policy:
            policy = algorithm.act(state, hyper, greedy)
            return policy._replace(act=lambda key, obs, memory: policy.act(key, self._seen(obs), memory))

        made = algorithm.origin
        origin = made and made._replace(standardise=(self.offset, self.scale))
        return algorithm._replace(act=act, origin=origin)

    def _seen(self, obs: Array) -> Array:
        shape = (1,) * (obs.ndim - 1) + self.offset.shape
        return (obs - self.offset.reshape(shape)) / self.scale.reshape(shape)
