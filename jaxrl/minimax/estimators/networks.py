"""What the neural estimators share: plain networks with leaky rectifiers, and passes over the data."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.prng import permutation, stream, streams
from jaxrl.core.types import Array, Key, PyTree
from jaxrl.minimax.designs.record import Sample
from jaxrl.minimax.estimators.checks import observed, single, table
from jaxrl.nets.net import Net, mlp


def leaky(sizes: tuple[int, ...], *, dropout: float = 0.0, rectify_last: bool = False) -> Net:
    """Layers of `sizes`, leaky rectifiers (slope 0.01) between them and, if `rectify_last`, after the last.

    `apply(params, x [..., sizes[0]], key=None) -> [..., sizes[-1]]`; with a key each input of each layer is
    dropped with probability `dropout` and the others are scaled up. Initial weights as in torch.
    """
    layers = [mlp(pair, initial="uniform") for pair in pairwise(sizes)]

    def init(key: Key) -> PyTree:
        return [layer.init(k) for layer, k in zip(layers, streams(key, len(layers)), strict=True)]

    def apply(params: PyTree, x: Array, key: Key | None = None) -> Array:
        for i, (layer, own) in enumerate(zip(layers, params, strict=True)):
            if key is not None and dropout > 0:
                kept = jax.random.bernoulli(stream(key, i), 1 - dropout, x.shape)
                x = jnp.where(kept, x / (1 - dropout), 0.0)
            x = layer.apply(own, x)
            if rectify_last or i < len(layers) - 1:
                x = jax.nn.leaky_relu(x)
        return x

    return Net(init, apply)


def epoch(key: Key, n: int, batch: int) -> Array:
    """Batches of one pass in random order, int `[ceil(n / batch), batch]`, the last filled from the first."""
    size = min(batch, n)
    count = -(-n // size)
    return permutation(key, n)[jnp.arange(count * size) % n].reshape(count, size)


def estimates(
    member: Callable[..., Array], config: Any, keys: Array, train: Sample, at: np.ndarray
) -> np.ndarray:
    """Estimates float64 `[S, M]` at treatments `at [M, dx]`, one per key `[S]`, by one program for all keys.

    member: `(config, key, x, z, y, at) -> [M]`, which is compiled once per configuration.

    Raises `UsageError` as `checks.observed`.
    """
    x, z, y = observed(*train[:3])
    points = jnp.asarray(table("at", at, x.shape[1]), jnp.float32)
    return np.asarray(_over_keys(member, config)(keys, *single(x, z, y), points), np.float64)


@cache
def _over_keys(member: Callable[..., Array], config: Any) -> Callable[..., Array]:
    return jax.jit(jax.vmap(partial(member, config), (0, None, None, None, None)))
