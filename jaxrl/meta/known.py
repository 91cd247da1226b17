"""Lifetimes whose expected fitness is known exactly, so that estimators and schedules have a truth to meet.

Each is a lifetime with a step size per update, `step_size(phi, n) -> float[]`, made by `table`, `schedule` or
`network`; `truth(phi)` is the expected fitness, a function to differentiate.

    quadratic         residuals of ten modes are multiplied by 1 - a lambda_i; fitness -log sum_i e_i^2 / 10
    noisy_quadratic   theta <- theta - a h (theta + s z), z normal; fitness -sum_i h_i theta_i^2 / 2
    bandit            theta <- theta + a R (onehot(arm) - pi), pi = softmax(theta); fitness pi . mu

Source of the noisy quadratic: wu2018shorthorizon.

Legend: `D` parameters, `N` updates, `M` modes, `K` arms, `t` tasks.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.fields import Size, check_leaf, check_value
from jaxrl.core.types import Array, Key
from jaxrl.meta.estimators import Unrolled

StepSize = Callable[[Array, Array], Array]
MODES = 10
HIDDEN = 16


class Known(NamedTuple):
    """A lifetime and its expected fitness `(phi) -> float[]`."""

    lifetime: Unrolled
    truth: Callable[[Array], Array]


def table(phi: Array, n: Array) -> Array:
    """The step size exp(phi_n), float[], of a table of logarithms, one per update; phi: float[N]."""
    return jnp.exp(phi[n])


def schedule(N: int | Array) -> StepSize:
    """The step size exp(w_0 + w_1 n/N + w_2 ln N), its logarithm clipped to [-6, 4]; phi: float[3]."""
    check_leaf("N", N, Size)

    def step_size(phi: Array, n: Array) -> Array:
        return jnp.exp(jnp.clip(phi[0] + phi[1] * n / N + phi[2] * jnp.log(N), -6, 4))

    return step_size


def network(N: int | Array, longest: int, aware: Array | float = 1.0) -> StepSize:
    """The step size of a 2-16-16-1 tanh network of (n/N, ln N / ln `longest`), its logarithm in [-2, 3].

    aware: float[], the factor of both inputs, 0 hides them. phi: float[337], `network_size()`.
    """
    check_leaf("N", N, Size)

    def step_size(phi: Array, n: Array) -> Array:
        x = aware * jnp.stack([n / N, jnp.log(N) / jnp.log(longest) * jnp.ones_like(phi[0])])
        for i, (inner, outer) in enumerate(_LAYERS):
            W, phi = phi[: inner * outer].reshape(inner, outer), phi[inner * outer :]
            b, phi = phi[:outer], phi[outer:]
            x = x @ W + b
            x = jnp.tanh(x) if i < len(_LAYERS) - 1 else x
        return jnp.exp(jnp.clip(x[0], -2, 3))

    return step_size


_LAYERS = ((2, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, 1))


def network_size() -> int:
    """Parameters of `network`."""
    return sum((inner + 1) * outer for inner, outer in _LAYERS)


def quadratic(N: int, step_size: StepSize) -> Known:
    """Modes 0.1, 0.2, .. , 1 without noise; the fitness is minus the log of the mean squared residual."""
    N = check_value("N", N, Size)

    def start(key: Key) -> Array:
        return jnp.ones(MODES)

    def update(phi: Array, residual: Array, n: Array, key: Key) -> Array:
        return (1 - step_size(phi, n) * jnp.arange(1, MODES + 1) / MODES) * residual

    def fitness(residual: Array) -> Array:
        return -jnp.log(jnp.mean(residual**2))

    def truth(phi: Array) -> Array:
        residual = jnp.ones(MODES)
        for n in range(N):
            residual = update(phi, residual, jnp.int32(n), jax.random.key(0))
        return fitness(residual)

    return Known(Unrolled(start, update, fitness, N), truth)


def noisy_quadratic(
    N: int,
    step_size: StepSize,
    curvature: Sequence[float],
    variance: Sequence[float],
    moments: Sequence[float],
) -> Known:
    """Curvatures h, variances s^2 of the gradient's noise, and squared starts, `[M]` each."""
    N = check_value("N", N, Size)
    h, s, theta = np.asarray(curvature), np.sqrt(variance), np.sqrt(moments)

    def start(key: Key) -> Array:
        return jnp.asarray(theta, jnp.result_type(float))

    def update(phi: Array, theta: Array, n: Array, key: Key) -> Array:
        z = jax.random.normal(key, theta.shape, theta.dtype)
        return theta - step_size(phi, n) * h * (theta + s * z)

    def fitness(theta: Array) -> Array:
        return -(h * theta**2).sum() / 2

    def truth(phi: Array) -> Array:
        A = jnp.asarray(moments, phi.dtype)
        for n in range(N):
            a = step_size(phi, jnp.int32(n)) * h
            A = (1 - a) ** 2 * A + (a * s) ** 2
        return -(h * A).sum() / 2

    return Known(Unrolled(start, update, fitness, N), truth)


def bandit(N: int, step_size: StepSize, means: Sequence[Sequence[float]], noise: float) -> Known:
    """Softmax bandits with means `[t, K]`, one of them drawn per lifetime; a reward is mu_a +- noise.

    The truth enumerates all arms and rewards of a lifetime, (2 K)^N of them per task: for small N alone. With
    `held=True` its derivative holds the probabilities of arms fixed, as back-propagation through rollouts.
    """
    N = check_value("N", N, Size)
    tasks = np.asarray(means)
    arms = tasks.shape[1]

    def start(key: Key) -> tuple[Array, Array]:
        task = jax.random.randint(key, (), 0, len(tasks))
        return jnp.zeros(arms), jnp.asarray(tasks, jnp.result_type(float))[task]

    def moved(phi: Array, theta: Array, mu: Array, n: Array, arm: Array, sign: Array) -> Array:
        pi = jax.nn.softmax(theta)
        reward = mu[arm] + sign * noise
        return theta + step_size(phi, n) * reward * (jax.nn.one_hot(arm, arms, dtype=theta.dtype) - pi)

    def update(phi: Array, state: tuple[Array, Array], n: Array, key: Key) -> tuple[Array, Array]:
        (theta, mu), (pull, pay) = state, jax.random.split(key)
        arm = jax.random.categorical(pull, theta)
        sign = jax.random.rademacher(pay, (), theta.dtype)
        return moved(phi, theta, mu, n, arm, sign), mu

    def fitness(state: tuple[Array, Array]) -> Array:
        theta, mu = state
        return jax.nn.softmax(theta) @ mu

    def truth(phi: Array, held: bool = False) -> Array:
        outcomes = np.array(list(itertools.product(itertools.product(range(arms), (-1, 1)), repeat=N)))

        def played(mu: Array, outcome: Array) -> Array:
            theta, chance = jnp.zeros(arms), 1.0
            for n in range(N):
                arm, sign = outcome[n]
                chance = chance * jax.nn.softmax(theta)[arm] / 2
                theta = moved(phi, theta, mu, jnp.int32(n), arm, sign)
            chance = jax.lax.stop_gradient(chance) if held else chance
            return chance * fitness((theta, mu))

        of_task = jax.vmap(lambda mu: jax.vmap(played, (None, 0))(mu, jnp.asarray(outcomes)).sum())
        return of_task(jnp.asarray(tasks, jnp.result_type(float))).mean()

    return Known(Unrolled(start, update, fitness, N), truth)
