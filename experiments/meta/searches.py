"""Searches for step sizes of the quadratic lifetime: tables by any estimator, networks by evolution.

Legend: `S` seeds, `L` points of a curve, 21, `D` parameters.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxrl.core.prng import stream
from jaxrl.core.types import Array, Key
from jaxrl.meta import estimators, known
from jaxrl.meta.evolution import shaped
from theory.meta.quadratic import HORIZONS, MODES, best_lifetime

ADAM = optax.scale_by_adam()
POINTS = 20  # of a curve beside its start
SPREAD = (-0.5, 1.5)  # of the logarithms of step sizes at the start


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def tables(config: estimators.Config, N: int, steps: int, keys: Array, lr: float, sigma: float) -> Array:
    """F / F* of tables of N step sizes along a search from random starts, float[S, L].

    keys: [S]. The learning rate `lr` and the standard deviation `sigma` fall linearly, the former to 0, the
    latter to a hundredth.
    """
    problem = known.quadratic(N, known.table)

    def search(key: Key) -> Array:
        begin, noise = jax.random.split(key)
        phi = jax.random.uniform(begin, (N,), minval=SPREAD[0], maxval=SPREAD[1])

        def step(carry: tuple[Array, optax.OptState], t: Array) -> tuple[tuple[Array, optax.OptState], None]:
            phi, opt = carry
            left = 1 - t / steps
            spread = sigma * (0.01 + 0.99 * left)
            g = estimators.estimate(config, problem.lifetime, phi, spread, stream(noise, t))
            direction, opt = ADAM.update(g, opt)
            return (phi + lr * left * direction, opt), None

        def chunk(carry: tuple[Array, optax.OptState], first: Array) -> tuple[tuple, Array]:
            carry, _ = jax.lax.scan(step, carry, first + jnp.arange(steps // POINTS, dtype=jnp.int32))
            return carry, problem.truth(carry[0])

        firsts = jnp.arange(POINTS, dtype=jnp.int32) * (steps // POINTS)
        _, fitness = jax.lax.scan(chunk, (phi, ADAM.init(phi)), firsts)
        return jnp.concatenate([problem.truth(phi)[None], fitness])

    return jnp.exp(-jax.vmap(search)(keys)) / best_lifetime(N).loss


def network_score(phi: Array, aware: Array | float) -> Array:
    """The mean over N = 1, 2, 4, 8 of log F_N / F*_N, float[], of the network phi, float[337]."""
    N = jnp.repeat(jnp.asarray(HORIZONS), np.array(HORIZONS), total_repeat_length=sum(HORIZONS))
    n = jnp.concatenate([jnp.arange(horizon) for horizon in HORIZONS])
    a = jax.vmap(lambda n, N: known.network(N, max(HORIZONS), aware)(phi, n))(n, N)
    kept = (1 - a[:, None] * jnp.asarray(MODES)[None]) ** 2
    ends = np.cumsum(HORIZONS)
    losses = [kept[end - horizon : end].prod(0).mean() for horizon, end in zip(HORIZONS, ends, strict=True)]
    best = jnp.asarray([best_lifetime(horizon).loss for horizon in HORIZONS])
    return jnp.log(jnp.stack(losses) / best).mean()


@functools.partial(jax.jit, static_argnums=(0, 1))
def networks(generations: int, pairs: int, keys: Array, aware: Array) -> Array:
    """Scores of mean parameters along an evolution from phi = 0, float[S, L].

    keys: [S]; aware: float[S], 1 where the network sees n/N and ln N, else 0. Centred ranks, sigma =
    0.05 * 0.9995^t + 0.001, Adam with learning rate 0.03 * 0.9993^t.
    """

    def evolve(key: Key, aware: Array) -> Array:
        def generation(carry: tuple[Array, optax.OptState], t: Array) -> tuple[tuple, None]:
            phi, opt = carry
            sigma = 0.05 * 0.9995**t + 1e-3
            eps = jax.random.normal(stream(key, t), (pairs, len(phi)))
            members = phi[None, None] + sigma * jnp.stack([eps, -eps], 1)
            fitness = -jax.vmap(jax.vmap(lambda member: network_score(member, aware)))(members)
            g = shaped(fitness, "centred") @ eps / (2 * pairs * sigma)
            direction, opt = ADAM.update(g, opt)
            return (phi + 0.03 * 0.9993**t * direction, opt), None

        def chunk(carry: tuple[Array, optax.OptState], first: Array) -> tuple[tuple, Array]:
            carry, _ = jax.lax.scan(
                generation, carry, first + jnp.arange(generations // POINTS, dtype=jnp.int32)
            )
            return carry, network_score(carry[0], aware)

        phi = jnp.zeros(known.network_size())
        firsts = jnp.arange(POINTS, dtype=jnp.int32) * (generations // POINTS)
        _, scores = jax.lax.scan(chunk, (phi, ADAM.init(phi)), firsts)
        return jnp.concatenate([network_score(phi, aware)[None], scores])

    return jax.vmap(evolve)(keys, aware)
