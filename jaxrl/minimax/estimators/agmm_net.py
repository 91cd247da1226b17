"""Adversarial GMM with two networks: min_f max_g E[(y - f(x)) g(z) - g(z)^2], alternately by OAdam.

The learner steps first, the adversary answers on the same batch; each has dropout while it moves and none
while the other does. The estimate is the average of f over the last passes. The inner maximum is a quarter of
the squared conditional moment, and g half of it, with the sign of y - f. Expects standardised treatments,
instruments and outcomes, because initial weights and rates are fixed.

Source: Dikkala et al. 2020 (2006.07201), released `mliv/neuralnet/agmm.py`.

Legend: `n` observations, `S` seeds, `M` points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Count, NonNegative, Positive, Range, Size, check_fields
from jaxrl.core.prng import stream
from jaxrl.core.types import Array, Key, PyTree
from jaxrl.minimax.designs.record import Sample
from jaxrl.minimax.estimators.networks import epoch, estimates, leaky
from jaxrl.minimax.optimisers import scale_by_oadam
from jaxrl.nets.net import Net


@dataclass(frozen=True)
class Config:
    """Settings of the paper's experiments."""

    width: Size = 100
    """Units of the hidden layer of both networks. Paper: 100."""
    dropout: Annotated[float, Range(0, 1, open_high=True)] = 0.1
    """Share of the inputs of both layers that is dropped while a network moves, in [0, 1). Paper: 0.1."""
    rate: Positive = 1e-4
    """Learning rate of OAdam, of both networks. Paper: 1e-4."""
    learner_l2: NonNegative = 1e-3
    """Weight decay of the kernels of f, added to the gradient. Paper: 1e-3."""
    adversary_l2: NonNegative = 1e-4
    """Weight decay of the kernels of g, added to the gradient. Paper: 1e-4."""
    batch: Size = 100
    """Observations per update; at most all of them are taken. Paper: 100."""
    epochs: Size = 300
    """Passes over the data. Paper: 300."""
    burn_in: Count = 200
    """Passes before the average of f begins, fewer than `epochs`. Paper: 200."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.burn_in >= self.epochs:
            raise UsageError(f"Config.burn_in: must be < epochs = {self.epochs}, got {self.burn_in}")


def losses(f: Array, g: Array, y: Array) -> tuple[Array, Array]:
    """`(loss of f, loss of g)`, float[] each, for f(x), g(z), y `[n]`.

    Equation: dikkala2020minimax [AGMM, released]
    """
    moment = jnp.mean((y - f) * g)
    return moment, -moment + jnp.mean(g**2)


def optimiser(rate: float, l2: float) -> optax.GradientTransformation:
    """OAdam with betas (0, 0.01), and weight decay l2 of kernels but not of biases added to the gradient."""

    def kernels(params: PyTree) -> PyTree:
        return jax.tree.map(lambda p: p.ndim > 1, params)

    return optax.chain(optax.add_decayed_weights(l2, kernels), scale_by_oadam(0.0, 0.01), optax.scale(-rate))


def networks(config: Config, dx: int, dz: int) -> tuple[Net, Net]:
    """`(f, g)` of `dx` and `dz` inputs."""
    f, g = (leaky((d, config.width, 1), dropout=config.dropout) for d in (dx, dz))
    return f, g


def fit(config: Config, keys: Array, train: Sample, at: np.ndarray) -> np.ndarray:
    """Estimates `[S, M]` at treatments `at [M, dx]`, one per key `[S]`, for standardised data.

    Raises `UsageError` as `checks.observed`.
    """
    return estimates(member, config, keys, train, at)


def member(config: Config, key: Key, x: Array, z: Array, y: Array, at: Array) -> Array:
    """The estimate `[M]` of one key, to be mapped and compiled by the caller, in a population for example.

    x: `[n, dx]`, z: `[n, dz]`, y: `[n]`, at: `[M, dx]`; nothing is checked.
    """
    f_net, g_net = networks(config, x.shape[1], z.shape[1])
    f_rule = optimiser(config.rate, config.learner_l2)
    g_rule = optimiser(config.rate, config.adversary_l2)
    k_f, k_g, k_order, k_drop = jax.random.split(key, 4)
    f, g = f_net.init(k_f), g_net.init(k_g)

    def update(carry, batch):
        f, g, f_state, g_state, count = carry
        k_own, k_other = jax.random.split(stream(k_drop, count))

        def learner(f: PyTree) -> Array:
            g_now = g_net.apply(g, z[batch])[:, 0]
            return losses(f_net.apply(f, x[batch], k_own)[:, 0], g_now, y[batch])[0]

        move, f_state = f_rule.update(jax.grad(learner)(f), f_state, f)
        f = optax.apply_updates(f, move)

        def adversary(g: PyTree) -> Array:
            f_now = f_net.apply(f, x[batch])[:, 0]
            return losses(f_now, g_net.apply(g, z[batch], k_other)[:, 0], y[batch])[1]

        move, g_state = g_rule.update(jax.grad(adversary)(g), g_state, g)
        return (f, optax.apply_updates(g, move), f_state, g_state, count + 1), None

    def one_pass(carry, index):
        carry, total = carry
        carry, _ = jax.lax.scan(update, carry, epoch(stream(k_order, index), len(y), config.batch))
        total = total + jnp.where(index >= config.burn_in, f_net.apply(carry[0], at)[:, 0], 0.0)
        return (carry, total), None

    carry = (f, g, f_rule.init(f), g_rule.init(g), jnp.zeros((), jnp.int32))
    start = (carry, jnp.zeros(len(at)))
    (_, total), _ = jax.lax.scan(one_pass, start, jnp.arange(config.epochs))
    return total / (config.epochs - config.burn_in)
