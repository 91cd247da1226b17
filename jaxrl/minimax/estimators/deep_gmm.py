"""DeepGMM: a small network against a small critic, moments weighted by their own variance.

    loss of g: E[f(z) e],    loss of f: -E[f(z) e] + 1/4 E[f(z)^2 e^2],    e = g(x) - y

Both step by OAdam on the same batch. Every `every` passes, g and f are evaluated on the dev split; an iterate
of g is scored by its worst critic of the whole history, -max_f (E[f e] - 1/4 E[f^2 e~^2]), with e~ the mean
residual of all iterates. Training of a rate ends where the score has not improved for `patience` evaluations
after `burn_in`; the best iterate of the best rate is the estimate.

Expects standardised treatments, instruments and outcomes, because initial weights and rates are fixed.

Source: Bennett et al. 2019 (1905.12495), released `ToyModelSelectionMethod`. Differences: there the rate is
chosen in a run of half the length and trained anew, and critics of the last rate alone make the history; here
one run per rate serves both purposes with the critics of all.

Legend: `n` observations, `R` rates, `L` evaluations, `S` seeds, `M` points.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Count, Positive, Size, check_fields
from jaxrl.core.prng import stream
from jaxrl.core.types import Array, Key, PyTree
from jaxrl.minimax.designs.record import Sample
from jaxrl.minimax.estimators.checks import observed, single, smallest, table
from jaxrl.minimax.estimators.networks import epoch, leaky
from jaxrl.minimax.optimisers import scale_by_oadam


@dataclass(frozen=True)
class Config:
    """Settings of the released code for its zoo."""

    g_widths: tuple[Size, ...] = (20, 3)
    """Widths of the hidden layers of the estimate g. Paper: 20, 3."""
    f_widths: tuple[Size, ...] = (20,)
    """Widths of the hidden layers of the critic f. Paper: 20."""
    rates: tuple[Positive, ...] = (5e-4, 2e-4, 1e-4)
    """Learning rates of g that are tried, one at least; f has five times as much. Paper: 5e-4, 2e-4, 1e-4."""
    batch: Size = 1024
    """Observations per update; at most all of them are taken. Paper: 1024."""
    epochs: Size = 6000
    """Passes over the data at most, a multiple of `every`. Paper: 6000."""
    every: Size = 20
    """Passes between two evaluations on the dev split. Paper: 20."""
    burn_in: Count = 1000
    """Passes before training may end. Paper: 1000."""
    patience: Size = 20
    """Evaluations without a better score after which training ends. Paper: 20."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.rates:
            raise UsageError("Config.rates: needs one learning rate at least")
        if self.epochs % self.every:
            raise UsageError(f"Config.epochs: must be a multiple of every = {self.every}, got {self.epochs}")


class History(NamedTuple):
    """Evaluations of one run: g and f `[L, n]` on the dev split, at `[L, M]`, g where it was asked for."""

    g: Array
    f: Array
    at: Array


def losses(g: Array, f: Array, y: Array) -> tuple[Array, Array]:
    """`(loss of g, loss of f)`, float[] each, for g(x), f(z), y `[n]`.

    Equation: bennett2019deepgmm [game, released]
    """
    e = g - y
    moment = jnp.mean(f * e)
    return moment, -moment + jnp.mean(f**2 * e**2) / 4


def fit(config: Config, keys: Array, train: Sample, dev: Sample, at: np.ndarray) -> np.ndarray:
    """Estimates `[S, M]` at treatments `at [M, dx]`, one per key `[S]`, for standardised data.

    Raises `UsageError` as `checks.observed`, and `NumericalFailure` where no iterate of a key can be chosen.
    """
    x, z, y = observed(*train[:3])
    dev_x, dev_z, dev_y = observed(*dev[:3])
    dx, dz = x.shape[1], z.shape[1]
    given = table("dev.x", dev_x, dx), table("dev.z", dev_z, dz), table("at", at, dx)
    arrays = [*single(x, z, y), *(jnp.asarray(a, jnp.float32) for a in given)]
    history = _program(config)(keys, jnp.asarray(config.rates, jnp.float32), *arrays)
    g, f, points = (np.asarray(a, np.float64) for a in history)  # [S, R, L, n or M]
    best = [select(config, dev_y, *pair) for pair in zip(g, f, strict=True)]
    return np.stack([points[s, r, i] for s, (r, i) in enumerate(best)])


def select(config: Config, y: np.ndarray, g: np.ndarray, f: np.ndarray) -> tuple[int, int]:
    """`(rate, evaluation)` of the best iterate for dev outcomes y `[n]` and histories g, f `[R, L, n]`.

    Iterates and critics that are not finite are left out. Raises `NumericalFailure` where none is left.
    """
    n = len(y)
    finite = np.isfinite(g).all(-1)
    residual = np.where(finite[..., None], g, y) - y
    tilde = residual.sum((0, 1)) / max(1, finite.sum())
    critics = f.reshape(-1, n)[np.isfinite(f).all(-1).ravel()]
    penalty = (critics**2) @ tilde**2 / (4 * n)
    worst = np.max(residual @ critics.T / n - penalty, axis=-1, initial=-np.inf)  # [R, L]
    score = np.where(finite & np.isfinite(worst), -worst, -np.inf)
    ends = [_stop(row, config.burn_in // config.every, config.patience) for row in score]
    chosen = [int(np.argmax(row[:end])) for row, end in zip(score, ends, strict=True)]
    rate = smallest("rates", [-row[i] for row, i in zip(score, chosen, strict=True)])
    return rate, chosen[rate]


def _stop(score: np.ndarray, burn_in: int, patience: int) -> int:
    """How many evaluations are made before training stops."""
    stale = 0
    for i in range(burn_in, len(score)):
        stale = 0 if i == 0 or score[i] > score[:i].max() else stale + 1
        if stale >= patience:
            return i + 1
    return len(score)


@cache
def _program(config: Config):
    """Compiled over seeds and rates."""
    rates = jax.vmap(partial(member, config), (None, 0, *(None,) * 6))
    return jax.jit(jax.vmap(rates, (0, None, *(None,) * 6)))


def member(
    config: Config,
    key: Key,
    rate: Array,
    x: Array,
    z: Array,
    y: Array,
    x_dev: Array,
    z_dev: Array,
    at: Array,
) -> History:
    """The history of one key and one rate, to be mapped and compiled by the caller.

    x: `[n, dx]`, z: `[n, dz]`, y: `[n]`, of the training split; at: `[M, dx]`; nothing is checked.
    """
    g_net, f_net = leaky((x.shape[1], *config.g_widths, 1)), leaky((z.shape[1], *config.f_widths, 1))
    optimiser = scale_by_oadam(0.5, 0.9)
    k_g, k_f, k_run = jax.random.split(key, 3)
    params = {"g": g_net.init(k_g), "f": f_net.init(k_f)}

    def both(params: PyTree, batch: Array) -> tuple[Array, Array]:
        return losses(
            g_net.apply(params["g"], x[batch])[:, 0], f_net.apply(params["f"], z[batch])[:, 0], y[batch]
        )

    def update(carry, batch):
        params, state = carry
        _, back = jax.vjp(lambda p: both(p, batch), params)
        # each player descends its own loss, from one forward pass
        gradient: dict[str, PyTree] = {"g": back((1.0, 0.0))[0]["g"], "f": back((0.0, 1.0))[0]["f"]}
        move: Any
        move, state = optimiser.update(gradient, state)
        scale = {"g": -rate, "f": -5 * rate}
        move = {k: jax.tree.map(lambda u, k=k: scale[k] * u, move[k]) for k in params}
        return (optax.apply_updates(params, move), state), None

    def one_pass(carry, index):
        return jax.lax.scan(update, carry, epoch(stream(k_run, index), len(y), config.batch))

    def block(carry, indices):
        carry, _ = jax.lax.scan(one_pass, carry, indices)
        g, f = carry[0]["g"], carry[0]["f"]
        seen = g_net.apply(g, x_dev)[:, 0], f_net.apply(f, z_dev)[:, 0], g_net.apply(g, at)[:, 0]
        return carry, History(*seen)

    passes = jnp.arange(config.epochs).reshape(-1, config.every)
    return jax.lax.scan(block, (params, optimiser.init(params)), passes)[1]
