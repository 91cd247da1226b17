"""Implicit Q-learning written by hand with optax, in one function: what an update costs without a library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxrl.core.types import Array, PyTree
from jaxrl.data.dataset import Dataset

Layers = list[tuple[Array, Array]]
Function = Callable[..., Any]


def make(batch: int, widths: tuple[int, ...], k: int, d: int) -> tuple[Function, Function]:
    """`init(key) -> carry` and `step(carry, data) -> carry`: V, policy, twin Q and targets on one batch.

    k: features; d: action coordinates. Hyper-parameters are the defaults of `jaxrl.dual_rl.implicit`.
    """
    adam = optax.adam(3e-4)

    def layers(key: Array, *sizes: int) -> Layers:
        keys = jax.random.split(key, len(sizes) - 1)
        pairs = zip(keys, sizes[:-1], sizes[1:], strict=True)
        return [(jax.random.normal(key, (m, n)) * m**-0.5, jnp.zeros(n)) for key, m, n in pairs]

    def apply(net: Layers, x: Array) -> Array:
        for w, b in net[:-1]:
            x = jax.nn.relu(x @ w + b[None])
        return x @ net[-1][0] + net[-1][1][None]

    def init(key: Array) -> PyTree:
        k_v, k_1, k_2, k_pi, key = jax.random.split(key, 5)
        qs = [layers(one, k + d, *widths, 1) for one in (k_1, k_2)]
        pi = layers(k_pi, k, *widths, d), jnp.zeros(d)
        nets = {"v": layers(k_v, k, *widths, 1), "q": qs, "pi": pi}
        return nets, {name: adam.init(p) for name, p in nets.items()}, qs, key

    def step(carry: PyTree, data: Dataset) -> PyTree:
        nets, slopes, target, key = carry
        key, draw = jax.random.split(key)
        rows = data.take(jax.random.randint(draw, (batch,), 0, data.size))
        pair = jnp.concatenate([rows.obs, rows.action], -1)
        q = jnp.minimum(*(apply(one, pair)[:, 0] for one in target))

        def descend(name: str, loss: Callable[[PyTree], Array]) -> PyTree:
            change, slopes[name] = adam.update(jax.grad(loss)(nets[name]), slopes[name])
            nets[name] = optax.apply_updates(nets[name], change)
            return nets[name]

        def v_loss(v: Layers) -> Array:
            y = q - apply(v, rows.obs)[:, 0]
            return (jnp.where(y < 0, 0.1, 0.9) * y**2).mean()

        def pi_loss(pi: tuple[Layers, Array]) -> Array:
            mean, log_std = jnp.tanh(apply(pi[0], rows.obs)), jnp.clip(pi[1], -5, 2)[None]
            log_prob = (-0.5 * ((rows.action - mean) / jnp.exp(log_std)) ** 2 - log_std).sum(-1)
            return -(weight * log_prob).mean()

        def q_loss(qs: list[Layers]) -> Array:
            return sum(((apply(one, pair)[:, 0] - goal) ** 2).mean() for one in qs)

        nets, slopes = dict(nets), dict(slopes)
        v = descend("v", v_loss)
        weight = jnp.minimum(jnp.exp(3 * (q - apply(v, rows.obs)[:, 0])), 100)
        descend("pi", pi_loss)
        goal = rows.reward + 0.99 * (1 - rows.terminated) * apply(v, rows.next_obs)[:, 0]
        qs = descend("q", q_loss)
        target = optax.incremental_update(qs, target, 0.005)
        return nets, slopes, target, key

    return init, step
