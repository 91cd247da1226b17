"""APT: a particle estimate of the entropy of visited states (Liu, Abbeel 2021, 2103.04551), within batches.

    x      = tanh(norm(W s))                                     representation, standardised over its units
    reward = log(1 + mean of |x - x'|_2 over the k nearest x' of the batch, x itself among them)

The representation is that of URLB's ICM (Pathak et al. 2017; Laskin et al. 2021, 2110.15191), trained so that
two heads on it predict the next representation and the action between them:

    minimise mean |forward(x, a) - x'|_2 + mean |inverse(x, x') - a|_2

Legend: `B` batch size, `q` units of the representation, `d` action coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxrl.baselines import td3
from jaxrl.core.descent import descend
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import NonNegative, Size
from jaxrl.core.types import Algorithm, Array, Key, PyTree, struct
from jaxrl.envs.base import Env
from jaxrl.nets import net
from jaxrl.reward_free.explorers.learner import explorer, sizes

_SMALL = 1e-8  # least norm of an error that has a gradient
_TINY = 1e-5  # added to the variance over the units, as torch's layer normalisation does


@dataclass(frozen=True)
class Config(td3.Config):
    """Static choices of APT: those of TD3, the networks, and the number of neighbours."""

    module_widths: tuple[Size, ...] = (256,)
    """Hidden units per layer of the forward and the inverse head each. URLB: (1024,)."""
    units: Size = 64
    """Number of units q of the representation. URLB: 512."""
    neighbours: Size = 12
    """Number of nearest states of the batch, at most `batch_size`; the state itself is one. URLB: 12."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.neighbours > self.batch_size:
            raise UsageError(
                f"Config.neighbours: must be at most the batch_size {self.batch_size}, got {self.neighbours}"
            )


@struct.dataclass
class Hyper(td3.Hyper):
    """Hyper-parameters of APT: those of TD3, and the learning rate of the representation."""

    lr_module: NonNegative = 1e-4
    """Learning rate of the representation and its heads, >= 0. URLB: 1e-4."""


class Module(NamedTuple):
    """State of APT.

    params: `trunk`, `forward`, `inverse`; opt_state: of their optimiser.
    """

    params: dict[str, PyTree]
    opt_state: PyTree


def make(config: Config, env: Env, *, optimiser: optax.GradientTransformation | None = None) -> Algorithm:
    """TD3 with the reward of APT on `env`; `data` of the algorithm is the environment's parameters.

    optimiser: optax transformation of the gradients of actor and critics; default Adam.

    Raises `UsageError` as `td3.make` does.
    """
    return explorer(__name__, config, env, optimiser, intrinsic(config, *sizes(env)))


def intrinsic(config: Config, k: int, d: int) -> td3.Intrinsic:
    """The reward of APT for `k` observation features and `d` action coordinates."""
    q = config.units
    nets = {
        "trunk": net.mlp((k, q)),
        "forward": net.mlp((q + d, *config.module_widths, q), "relu"),
        "inverse": net.mlp((2 * q, *config.module_widths, d), "relu"),
    }
    optimiser = optax.scale_by_adam()

    def init(key: Key) -> Module:
        keys = jax.random.split(key, 3)
        params = {name: one.init(k) for (name, one), k in zip(nets.items(), keys, strict=True)}
        return Module(params, optimiser.init(params))

    def represent(params: dict[str, PyTree], obs: Array) -> Array:
        return squashed(nets["trunk"].apply(params["trunk"], obs))

    def reward(state: Module, hyper: Hyper, obs: Array, action: Array, next_obs: Array) -> Array:
        return particle_entropy(represent(state.params, obs), config.neighbours)

    def loss(params: dict[str, PyTree], obs: Array, action: Array, next_obs: Array) -> Array:
        x, y = represent(params, obs), represent(params, next_obs)
        ahead = nets["forward"].apply(params["forward"], jnp.concatenate([x, action], -1))
        between = jnp.tanh(nets["inverse"].apply(params["inverse"], jnp.concatenate([x, y], -1)))
        errors = (optax.safe_norm(e, _SMALL, axis=-1).mean() for e in (ahead - y, between - action))
        return sum(errors)

    def update(
        state: Module,
        hyper: Hyper,
        key: Key,
        obs: Array,
        action: Array,
        next_obs: Array,
        next_action: Array,
    ) -> Module:
        grad = jax.grad(loss)(state.params, obs, action, next_obs)
        return Module(*descend(optimiser, grad, state.opt_state, state.params, hyper.lr_module))

    return td3.Intrinsic(init, reward, update)


def squashed(x: Array) -> Array:
    """The tanh of [B, q], standardised over the units of each row."""
    centred = x - x.mean(-1, keepdims=True)
    return jnp.tanh(centred / jnp.sqrt(jnp.square(centred).mean(-1, keepdims=True) + _TINY))


def particle_entropy(x: Array, neighbours: int) -> Array:
    """float[B], log(1 + mean distance) to the nearest `neighbours` rows of x [B, q], each itself among them.

    Equation: liu2021apt [particle-based entropy].
    """
    # by inner products: differences of all pairs would be an array [B, B, q]
    x = x - x.mean(0, keepdims=True)
    square = jnp.square(x).sum(-1)
    squares = square[:, None] + square[None, :] - 2 * jnp.matmul(x, x.T, precision=jax.lax.Precision.HIGHEST)
    distances = jnp.sqrt(jnp.maximum(squares, 0) * (1 - jnp.eye(len(x))))
    nearest = -jax.lax.top_k(-distances, neighbours)[0]
    return jnp.log1p(nearest.mean(-1))
