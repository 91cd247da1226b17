"""DFIV: two-stage least squares on features that both stages learn.

Stage 1 regresses features of x on features of z on one half of the data, stage 2 regresses y on the predicted
features on the other half; both are ridge regressions with an intercept, solved exactly, and each network
descends its stage's value by Adam: the instrument's `stage1_iter` times, then the treatment's once.

    loss 1 = |phi(x) - W1 psi(z)|^2 + n lam1 |W1|^2,    loss 2 = |y - w2 phi_hat|^2 + m lam2 |w2|^2

Expects standardised treatments, instruments and outcomes, because initial weights and rates are fixed.

Source: Xu et al. 2021 (2010.07154), released `DFIVTrainer`, whose ridge terms are multiplied by the number of
rows of the stage. Without covariates: they belong to x and z here.

Legend: `n`, `m` rows of the stages, `k` features, `S` seeds, `M` points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Positive, Range, Size, check_fields
from jaxrl.core.linear import solve_positive
from jaxrl.core.prng import permutation
from jaxrl.core.types import Array, Key, PyTree
from jaxrl.minimax.designs.record import Sample
from jaxrl.minimax.estimators.networks import estimates, leaky


@dataclass(frozen=True)
class Config:
    """Networks of the size of DeepGMM's, and otherwise the settings of the released code."""

    x_widths: tuple[Size, ...] = (20, 3)
    """Widths of the layers of the treatment's network, one at least; the last is the number of features."""
    z_widths: tuple[Size, ...] = (20,)
    """Widths of the layers of the instrument's network, one at least; the last is the number of features."""
    lam1: Positive = 0.1
    """Ridge of stage 1, per observation of its half. Paper: 0.1."""
    lam2: Positive = 0.1
    """Ridge of stage 2, per observation of its half. Paper: 0.1."""
    stage1_iter: Size = 20
    """Updates of the instrument's network per epoch. Paper: 20."""
    epochs: Size = 100
    """Updates of the treatment's network, each on all observations. Paper: 100."""
    rate: Positive = 1e-3
    """Learning rate of Adam, of both networks. Paper: 1e-3."""
    split: Annotated[float, Range(0, 1, open_low=True, open_high=True)] = 0.5
    """Share of the observations in stage 1, which are chosen at random. Paper: 0.5."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.x_widths or not self.z_widths:
            raise UsageError("Config.x_widths, Config.z_widths: a network needs one layer at least")


def with_constant(features: Array) -> Array:
    """`[n, k + 1]`, features `[n, k]` and a column of ones."""
    return jnp.concatenate([features, jnp.ones_like(features[:, :1])], axis=1)


def ridge(features: Array, target: Array, lam: float) -> Array:
    """Coefficients w `[k, d]` of least |target - features w|^2 + lam |w|^2, for `[n, k]` and `[n, d]`."""
    gram = features.T @ features + lam * jnp.eye(features.shape[1])
    return solve_positive(gram, features.T @ target)


def stage1_loss(phi: Array, psi: Array, lam: float) -> Array:
    """float[], value of the best linear map from psi `[n, k]` (with a constant) to phi `[n, d]`.

    Equation: xu2021dfiv [stage 1, released]
    """
    features = with_constant(psi)
    w = ridge(features, phi, lam)
    return jnp.sum((phi - features @ w) ** 2) + lam * jnp.sum(w**2)


def stage2(phi1: Array, psi1: Array, psi2: Array, y2: Array, lam1: float, lam2: float) -> tuple[Array, Array]:
    """`(loss float[], coefficients [d + 1])` of y2 `[m]` on features that psi2 `[m, k]` predicts.

    The prediction is learned from phi1 `[n, d]` and psi1 `[n, k]`.
    Equation: xu2021dfiv [stage 2, released]
    """
    predicted = with_constant(psi2) @ ridge(with_constant(psi1), phi1, lam1)
    features = with_constant(predicted)
    w = ridge(features, y2[:, None], lam2)
    return jnp.sum((y2[:, None] - features @ w) ** 2) + lam2 * jnp.sum(w**2), w[:, 0]


def fit(config: Config, keys: Array, train: Sample, at: np.ndarray) -> np.ndarray:
    """Estimates `[S, M]` at treatments `at [M, dx]`, one per key `[S]`, for standardised data.

    Raises `UsageError` as `checks.observed`.
    """
    return estimates(member, config, keys, train, at)


def member(config: Config, key: Key, x: Array, z: Array, y: Array, at: Array) -> Array:
    """The estimate `[M]` of one key, to be mapped and compiled by the caller, in a population for example.

    x: `[n, dx]`, z: `[n, dz]`, y: `[n]`, at: `[M, dx]`; nothing is checked.
    """
    x_net = leaky((x.shape[1], *config.x_widths), rectify_last=True)
    z_net = leaky((z.shape[1], *config.z_widths), rectify_last=True)
    adam = optax.adam(config.rate)
    k_x, k_z, k_split = jax.random.split(key, 3)
    n = round(config.split * len(y))
    order = permutation(k_split, len(y))
    x1, z1, z2, y2 = x[order[:n]], z[order[:n]], z[order[n:]], y[order[n:]]
    lam1, lam2 = config.lam1 * n, config.lam2 * (len(y) - n)

    def value(x_params: PyTree, z_params: PyTree) -> tuple[Array, Array]:
        psi1, psi2 = z_net.apply(z_params, z1), z_net.apply(z_params, z2)
        return stage2(x_net.apply(x_params, x1), psi1, psi2, y2, lam1, lam2)

    def one_epoch(carry, _):
        x_params, z_params, x_state, z_state = carry
        phi = x_net.apply(x_params, x1)

        def one(inner, _):
            z_params, z_state = inner
            gradient = jax.grad(lambda p: stage1_loss(phi, z_net.apply(p, z1), lam1))(z_params)
            move, z_state = adam.update(gradient, z_state)
            return (optax.apply_updates(z_params, move), z_state), None

        (z_params, z_state), _ = jax.lax.scan(one, (z_params, z_state), length=config.stage1_iter)
        gradient = jax.grad(lambda p: value(p, z_params)[0])(x_params)
        move, x_state = adam.update(gradient, x_state)
        return (optax.apply_updates(x_params, move), z_params, x_state, z_state), None

    x_params, z_params = x_net.init(k_x), z_net.init(k_z)
    start = (x_params, z_params, adam.init(x_params), adam.init(z_params))
    (x_params, z_params, *_), _ = jax.lax.scan(one_epoch, start, length=config.epochs)
    return with_constant(x_net.apply(x_params, at)) @ value(x_params, z_params)[1]
