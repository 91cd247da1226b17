"""Tiny algorithms whose work devices share: evolution gathers, descent averages, and `apart` forgets to."""

from __future__ import annotations

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core import spmd
from jaxrl.core.fields import Positive
from jaxrl.core.prng import stream
from jaxrl.core.spaces import Discrete
from jaxrl.core.types import Algorithm, Array, Key, Origin, Policy, struct
from jaxrl.run.sweep import member_keys
from jaxrl.run.train import Trained, train

PAIRS, SIZE = 8, 3
TARGET = np.arange(1.0, SIZE + 1, dtype=np.float32)


@struct.dataclass
class Hyper:
    """Hyper-parameters of all."""

    lr: Positive = 0.1
    """Learning rate."""


@struct.dataclass
class State:
    params: Array  # float[SIZE]
    key: Key
    updates: Array


def loss(params: Array, x: Array) -> Array:
    """Mean squared error of a linear map on rows [B, SIZE]."""
    return jnp.square(x @ (params - TARGET)).mean()


Kind = Literal["evolution", "descent", "apart"]


def make(kind: Kind, axis: str | None) -> Algorithm:
    """Evolution compares antithetic pairs one by one; descent takes one gradient per update.

    `apart` is descent on a device's own share of the rows.
    """

    def init(key: Key, hyper: Hyper, data: Any) -> State:
        return State(jnp.zeros(SIZE), key, jnp.zeros((), jnp.int32))

    def evolve(state: State, hyper: Hyper) -> tuple[Array, dict[str, Array]]:
        noise = jax.random.normal(stream(state.key, state.updates), (PAIRS, SIZE))

        def better(one: Array) -> Array:
            x = jax.random.normal(state.key, (5, SIZE))
            return loss(state.params - 0.1 * one, x) - loss(state.params + 0.1 * one, x)

        gain = spmd.gather(jax.lax.map(better, spmd.share(noise, axis)), axis, 0)
        direction = (jnp.sign(gain)[:, None] * noise).mean(0)
        return state.params + hyper.lr * direction, {"gain": gain}

    def descend(state: State, hyper: Hyper) -> tuple[Array, dict[str, Array]]:
        x = jax.random.normal(stream(state.key, state.updates), (PAIRS, SIZE))
        averaged = axis if kind == "descent" else None
        value, grad = spmd.pmean_grad(loss, averaged)(state.params, spmd.share(x, axis))
        return state.params - hyper.lr * grad, {"loss": value}

    def step(state: State, hyper: Hyper, data: Any) -> tuple[State, dict[str, Array]]:
        params, metrics = (evolve if kind == "evolution" else descend)(state, hyper)
        return state.replace(params=params, updates=state.updates + 1), metrics

    def act(state: State, hyper: Hyper, greedy: bool) -> Policy:
        return Policy(lambda key, obs, memory: (jnp.zeros((), jnp.int32), (), memory))

    return Algorithm(init, step, act, origin=Origin(__name__, kind, Discrete(1), Discrete(1)))


def run(kind: Kind, shape: tuple[int, int] | None, members: int = 2, **options: Any) -> Trained:
    """Trains on a mesh of `shape` (groups of members, devices per member); None is a plain algorithm."""
    groups, work = shape or (2, None)
    return train(
        make(kind, None if shape is None else spmd.WORK),
        member_keys(0, members),
        Hyper(lr=jnp.full(members, 0.1)),
        (),
        updates=options.pop("updates", 6),
        devices=jax.devices()[: groups * (work or 1)],
        work=work,
        progress=False,
        **options,
    )
