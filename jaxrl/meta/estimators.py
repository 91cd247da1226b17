"""Estimators of a meta-gradient behind one signature: back-propagation and evolution strategies.

A lifetime applies N updates that phi steers, and ends with a fitness F(s_N), which is to be maximised. With
windows of K updates, F(s_N) - F(s_0) is the sum of what the windows add.

    truncated       sum over windows of the gradient of what a window adds, the state before it held fixed
    full            the same with K = N, rollouts held fixed
    plain           F(phi + sigma eps) eps / sigma, mean of two members
    antithetic      (F+ - F-) eps / (2 sigma), the members of a pair at phi + sigma eps and phi - sigma eps
    pairwise_rank   sign(F+ - F-) eps / (2 sigma)
    persistent      (N / K) (dF+ - dF-) (eps_1 + .. + eps_b) / (2 sigma), a noise per window, b drawn
    noise_reuse     (N / K) (dF+ - dF-) eps / (2 sigma), one noise for the lifetime, b drawn

The last two see one window of each lifetime, as workers do that carry their states from estimate to estimate.
Sources: antithetic salimans2017evolution, persistent vicol2021persistent, noise_reuse li2023noise,
pairwise_rank jackson2024temporal.

Legend: `D` parameters, `W = N / K` windows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Size, check_fields
from jaxrl.core.prng import stream, streams
from jaxrl.core.types import Array, Key, PyTree
from jaxrl.meta.evolution import shaped

Kind = Literal["truncated", "full", "plain", "antithetic", "pairwise_rank", "persistent", "noise_reuse"]
WINDOWED = ("truncated", "persistent", "noise_reuse")


@dataclass(frozen=True)
class Unrolled:
    """A lifetime of `N` updates, as pure functions of single updates.

    start: `(key) -> state`. update: `(phi, state, n, key) -> state` of update n, int32[]. fitness:
    `(state) -> F`, float[], of the state after some updates.
    """

    start: Callable[[Key], PyTree]
    update: Callable[[Any, PyTree, Array, Key], PyTree]
    fitness: Callable[[PyTree], Array]
    N: int


@dataclass(frozen=True)
class Config:
    """Static choices of an estimator."""

    kind: Kind = "antithetic"
    """Which of the estimators above is computed. Paper: pairwise ranks, truncated for comparison."""
    window: Size = 1
    """Updates K of a window, a divisor of N. "truncated", "persistent" and "noise_reuse" alone read it."""
    samples: Size = 1
    """Independent estimates of which the mean is taken. A sample is a lifetime or, for evolution, two."""
    shared: bool = True
    """Whether both members of an antithetic pair have the same start and the same randomness."""

    def __post_init__(self) -> None:
        check_fields(self)


def estimate(config: Config, lifetime: Unrolled, phi: Array, sigma: Array | float, key: Key) -> Array:
    """The estimated gradient of the expected fitness in phi, float[D], in the direction of ascent.

    phi: float[D]. sigma: float[], standard deviation of the noise; back-propagation does not read it.
    Raises `UsageError` for windows that do not divide the lifetime.
    """
    check_windows(config, lifetime)
    one = _ESTIMATORS[config.kind]
    keys = streams(key, config.samples)
    return jax.vmap(lambda k: one(config, lifetime, phi, sigma, k))(keys).mean(0)


def check_windows(config: Config, lifetime: Unrolled) -> None:
    """Raises `UsageError` unless windows divide the lifetime."""
    if config.kind in WINDOWED and lifetime.N % config.window:
        raise UsageError(f"Config.window: {config.window} updates must divide a lifetime of {lifetime.N}")


def updates(config: Config, N: int) -> int:
    """Updates that an estimate costs, of agents that carry their state from one window to the next."""
    if config.kind in ("truncated", "full"):
        return config.samples * N
    return 2 * config.samples * (config.window if config.kind in ("persistent", "noise_reuse") else N)


def run(lifetime: Unrolled, phis: Array, key: Key, cut: bool = False) -> Array:
    """The fitness at the start and after each window, float[W + 1], with parameters `phis` `[W, D]`.

    cut: whether a window takes the state before it for a constant.
    """
    W = len(phis)
    K = lifetime.N // W
    begin, life = jax.random.split(key)

    def window(state: PyTree, at: tuple[Array, Array]) -> tuple[PyTree, Array]:
        phi, first = at

        def update(state: PyTree, n: Array) -> tuple[PyTree, None]:
            return lifetime.update(phi, state, n, stream(life, n)), None

        state = jax.lax.stop_gradient(state) if cut else state
        state, _ = jax.lax.scan(update, state, first + jnp.arange(K, dtype=jnp.int32))
        return state, lifetime.fitness(state)

    state = lifetime.start(begin)
    _, after = jax.lax.scan(window, state, (phis, K * jnp.arange(W, dtype=jnp.int32)))
    return jnp.concatenate([lifetime.fitness(state)[None], after])


def _truncated(config: Config, lifetime: Unrolled, phi: Array, sigma: Any, key: Key) -> Array:
    """The gradient through windows, or through the whole lifetime."""
    W = 1 if config.kind == "full" else lifetime.N // config.window

    def total(phi: Array) -> Array:
        return run(lifetime, jnp.broadcast_to(phi, (W, *phi.shape)), key, cut=True)[1:].sum()

    return jax.grad(total)(phi)


def _plain(config: Config, lifetime: Unrolled, phi: Array, sigma: Any, key: Key) -> Array:
    """The mean of two members with noise and lifetimes of their own."""

    def member(key: Key) -> Array:
        noise, life = jax.random.split(key)
        eps = jax.random.normal(noise, phi.shape, phi.dtype)
        return run(lifetime, (phi + sigma * eps)[None], life)[-1] * eps / sigma

    return jax.vmap(member)(streams(key, 2)).mean(0)


def _pair(config: Config, lifetime: Unrolled, phi: Array, noise: Array, key: Key) -> Array:
    """Fitness float[2, W + 1] of both members, with scaled noise `[W, D]`."""
    first, second = jax.random.split(key)
    keys = first, first if config.shared else second
    return jnp.stack([run(lifetime, phi[None] + s * noise, k) for s, k in zip((1, -1), keys, strict=True)])


def _antithetic(config: Config, lifetime: Unrolled, phi: Array, sigma: Any, key: Key) -> Array:
    """Differences of a pair, or their signs."""
    noise, life = jax.random.split(key)
    eps = jax.random.normal(noise, phi.shape, phi.dtype)
    ends = _pair(config, lifetime, phi, sigma * eps[None], life)[:, -1]
    weight = shaped(ends[None], "pairwise")[0] if config.kind == "pairwise_rank" else ends[0] - ends[1]
    return weight * eps / (2 * sigma)


def _windowed(config: Config, lifetime: Unrolled, phi: Array, sigma: Any, key: Key) -> Array:
    """What a pair gains in one window, along the noise that has made the difference so far."""
    W = lifetime.N // config.window
    noise, life, draw = jax.random.split(key, 3)
    own = W if config.kind == "persistent" else 1
    eps = jnp.broadcast_to(jax.random.normal(noise, (own, *phi.shape), phi.dtype), (W, *phi.shape))
    along = jnp.cumsum(eps, 0) if config.kind == "persistent" else eps
    gained = jnp.diff(_pair(config, lifetime, phi, sigma * eps, life))
    b = jax.random.randint(draw, (), 0, W, jnp.int32)
    return W * (gained[0, b] - gained[1, b]) * along[b] / (2 * sigma)


_ESTIMATORS: dict[str, Callable[[Config, Unrolled, Array, Any, Key], Array]] = {
    "truncated": _truncated,
    "full": _truncated,
    "plain": _plain,
    "antithetic": _antithetic,
    "pairwise_rank": _antithetic,
    "persistent": _windowed,
    "noise_reuse": _windowed,
}
