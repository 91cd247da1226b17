"""What the neural estimators share: plain networks with leaky rectifiers, and passes over the data."""

from __future__ import annotations

from itertools import pairwise

import jax
import jax.numpy as jnp

from jaxrl.core.prng import permutation, stream, streams
from jaxrl.core.types import Array, Key, PyTree
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
