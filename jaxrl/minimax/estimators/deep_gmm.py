"""DeepGMM: a small network against a small critic, moments weighted by their own variance.

    loss of g: E[f(z) e],    loss of f: -E[f(z) e] + 1/4 E[f(z)^2 e^2],    e = g(x) - y

Both step by OAdam on the same batch. Every `every` passes, g and f are evaluated on the dev split; an iterate
of g is scored by its worst critic of the whole history, -max_f (E[f e] - 1/4 E[f^2 e~^2]), with e~ the mean
residual of all iterates. Training of a rate ends where the score has not improved for `patience` evaluations
after `burn_in`; the best iterate of the best rate is the estimate.

Source: Bennett et al. 2019 (1905.12495), released `ToyModelSelectionMethod`. Differences: there the rate is
chosen in a run of half the length and trained anew, and critics of the last rate alone make the history; here
one run per rate serves both purposes with the critics of all.

Legend: `n` observations, `R` rates, `L` evaluations, `S` seeds, `M` points.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.prng import stream
from jaxrl.core.types import Array, Key, PyTree
from jaxrl.minimax.designs.record import Sample
from jaxrl.minimax.estimators.networks import epoch, leaky
from jaxrl.minimax.optimisers import scale_by_oadam


@dataclass(frozen=True)
class Config:
    """Settings of the released code for its zoo."""

    g_widths: tuple[int, ...] = (20, 3)
    f_widths: tuple[int, ...] = (20,)
    rates: tuple[float, ...] = (5e-4, 2e-4, 1e-4)
    """Of g; f has five times as much."""
    batch: int = 1024
    epochs: int = 6000
    every: int = 20
    """Passes between evaluations."""
    burn_in: int = 1000
    """Passes."""
    patience: int = 20
    """Evaluations."""

    def __post_init__(self) -> None:
        if self.epochs % self.every:
            raise UsageError(f"epochs: must be a multiple of every = {self.every}, got {self.epochs}")


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
    """Estimates `[S, M]` at treatments `at [M, dx]`, one per key `[S]`."""
    arrays = [jnp.asarray(a, jnp.float32) for a in (*train[:3], *dev[:2], at)]
    history = _program(config, train.x.shape[1], train.z.shape[1])(
        keys, jnp.asarray(config.rates, jnp.float32), *arrays
    )
    g, f, points = (np.asarray(a, np.float64) for a in history)  # [S, R, L, n or M]
    best = [select(config, dev.y, *pair) for pair in zip(g, f, strict=True)]
    return np.stack([points[s, r, i] for s, (r, i) in enumerate(best)])


def select(config: Config, y: np.ndarray, g: np.ndarray, f: np.ndarray) -> tuple[int, int]:
    """`(rate, evaluation)` of the best iterate for dev outcomes y `[n]` and histories g, f `[R, L, n]`."""
    residual = g - y
    tilde = residual.mean((0, 1))
    critics = f.reshape(-1, f.shape[-1])
    n = len(y)
    penalty = (critics**2) @ tilde**2 / (4 * n)
    score = -np.max(residual @ critics.T / n - penalty, axis=-1)  # [R, L]
    ends = [_stop(row, config.burn_in // config.every, config.patience) for row in score]
    chosen = [int(np.argmax(row[:end])) for row, end in zip(score, ends, strict=True)]
    rate = int(np.argmax([row[i] for row, i in zip(score, chosen, strict=True)]))
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
def _program(config: Config, dx: int, dz: int):
    """Compiled over seeds and rates."""
    g_net, f_net = leaky((dx, *config.g_widths, 1)), leaky((dz, *config.f_widths, 1))
    optimiser = scale_by_oadam(0.5, 0.9)

    def member(key: Key, rate: Array, x, z, y, x_dev, z_dev, at) -> History:
        k_g, k_f, k_run = jax.random.split(key, 3)
        params = {"g": g_net.init(k_g), "f": f_net.init(k_f)}

        def both(params: PyTree, rows: Array) -> tuple[Array, Array]:
            return losses(
                g_net.apply(params["g"], x[rows])[:, 0], f_net.apply(params["f"], z[rows])[:, 0], y[rows]
            )

        def update(carry, rows):
            params, state = carry
            _, back = jax.vjp(lambda p: both(p, rows), params)
            # each player descends its own loss, from one forward pass
            gradient: dict[str, PyTree] = {"g": back((1.0, 0.0))[0]["g"], "f": back((0.0, 1.0))[0]["f"]}
            move: Any
            move, state = optimiser.update(gradient, state)
            scale = {"g": -rate, "f": -5 * rate}
            moved = {k: jax.tree.map(lambda p, u, k=k: p + scale[k] * u, params[k], move[k]) for k in params}
            return (moved, state), None

        def one_pass(carry, index):
            return jax.lax.scan(update, carry, epoch(stream(k_run, index), len(y), config.batch))

        def block(carry, indices):
            carry, _ = jax.lax.scan(one_pass, carry, indices)
            g, f = carry[0]["g"], carry[0]["f"]
            seen = g_net.apply(g, x_dev)[:, 0], f_net.apply(f, z_dev)[:, 0], g_net.apply(g, at)[:, 0]
            return carry, History(*seen)

        passes = jnp.arange(config.epochs).reshape(-1, config.every)
        return jax.lax.scan(block, (params, optimiser.init(params)), passes)[1]

    rates = jax.vmap(member, (None, 0, *(None,) * 6))
    return jax.jit(jax.vmap(rates, (0, None, *(None,) * 6)))
