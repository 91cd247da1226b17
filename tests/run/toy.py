"""A tiny real algorithm: tabular Q-learning on a noisy ring, with optional faults to inject.

`width` adds a small network with Adam, so that matrix products and an optimiser are in the state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxrl.core.fields import Count, Discount, Positive, check_fields
from jaxrl.core.prng import stream
from jaxrl.core.spaces import Discrete
from jaxrl.core.types import Algorithm, Array, Key, Mean, Origin, Policy, struct

STATES, ACTIONS = 5, 2


@struct.dataclass
class Hyper:
    """Hyper-parameters of Q-learning."""

    lr: Positive = 0.1
    """Learning rate."""
    gamma: Discount = 0.9
    """Discount of future rewards."""


@struct.dataclass
class State:
    params: Any
    opt_state: Any
    buffer: Array  # the last 8 rewards
    position: Array
    key: Key
    updates: Array


@dataclass(frozen=True)
class Config:
    """Static choices of Q-learning."""

    width: Count = 0
    """Units of the hidden layer, 0 for a table."""
    poison: tuple[int, int] | None = None
    """Update and member in which the reward becomes NaN; members know their number from `data`."""

    def __post_init__(self) -> None:
        check_fields(self)


def make(config: Config, env: Any = None) -> Algorithm:
    """Q-learning; the ring is its own environment."""
    adam = optax.scale_by_adam()

    def init(key: Key, hyper: Hyper, data: Any) -> State:
        if config.width:
            k1, k2 = jax.random.split(key)
            params = {
                "w1": jax.random.normal(k1, (STATES, config.width)) * 0.5,
                "w2": jax.random.normal(k2, (config.width, ACTIONS)) * 0.5,
            }
        else:
            params = {"q": jnp.zeros((STATES, ACTIONS))}
        zero = jnp.zeros((), jnp.int32)
        return State(params, adam.init(params), jnp.zeros(8), zero, key, zero)

    def values(params: Any, state: Array) -> Array:
        if not config.width:
            return params["q"][state]
        return jnp.tanh(jax.nn.one_hot(state, STATES) @ params["w1"]) @ params["w2"]

    def step(state: State, hyper: Hyper, data: Any) -> tuple[State, dict[str, Any]]:
        k_act, k_env = jax.random.split(stream(state.key, state.updates))
        action = jax.random.randint(k_act, (), 0, ACTIONS, jnp.int32)
        noise = jax.random.uniform(k_env)
        after = (state.position + 2 * action - 1 + (noise < 0.1)) % STATES
        reward = (after == 0) * data["scale"]
        if config.poison is not None:
            hit = (state.updates == config.poison[0]) & (data["member"] == config.poison[1])
            reward = jnp.where(hit, jnp.nan, reward)
        target = reward + hyper.gamma * jnp.max(values(state.params, after))

        def loss(params: Any) -> Array:
            return 0.5 * (values(params, state.position)[action] - jax.lax.stop_gradient(target)) ** 2

        value, grads = jax.value_and_grad(loss)(state.params)
        direction, opt_state = adam.update(grads, state.opt_state)
        params = jax.tree.map(lambda p, d: p - hyper.lr * d, state.params, direction)
        metrics = {
            "reward": reward,
            "loss": value,
            "goal": Mean(jnp.where(after == 0, reward, 0.0), (after == 0) * 1.0),
            "visits": jax.nn.one_hot(after, STATES),
        }
        new = State(
            params,
            opt_state,
            state.buffer.at[state.updates % 8].set(reward),
            after,
            state.key,
            state.updates + 1,
        )
        return new, metrics

    def act(state: State, hyper: Hyper, greedy: bool) -> Policy:
        return Policy(lambda key, obs, memory: (jnp.argmax(values(state.params, obs)), (), memory))

    origin = Origin(__name__, config, Discrete(STATES), Discrete(ACTIONS))
    return Algorithm(init, step, act, origin=origin)


def evaluate(key: Key, state: State, hyper: Hyper, data: Any) -> dict[str, Array]:
    """A number that depends on the key and on the state."""
    first = jnp.sum(jax.tree.leaves(state.params)[0])
    return {"eval/value": first + 1e-3 * jax.random.normal(key)}


def data(members: int | None = None) -> dict[str, Array]:
    """Shared data, or one entry per member."""
    if members is None:
        return {"scale": jnp.float32(1.0), "member": jnp.int32(-1)}
    return {"scale": jnp.ones(members), "member": jnp.arange(members)}


def hypers(members: int, lr: list[float] | None = None) -> Hyper:
    """Stacked hyper-parameters."""
    rates = jnp.linspace(0.05, 0.2, members) if lr is None else jnp.asarray(lr, jnp.float32)
    return Hyper(lr=rates, gamma=jnp.full(members, 0.9))
