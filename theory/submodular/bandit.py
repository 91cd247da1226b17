"""The eps-bandit problem: an action names the place to go to, and succeeds but for a uniform error.

The value of state-independent policies pi_h is extended from the simplices to the down-closed polytope
Q = {pi_h >= 0, sum_a pi_h(a) <= 1}: step h draws place v with probability mu_h(v) = alpha pi_h(v) + beta, and
nothing with the rest, beta = eps / (V - 1), alpha = 1 - eps - beta.

Legend: `H` steps, `V` places, `U` elements.
"""

from __future__ import annotations

import functools
import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.types import Array


class Bandit(NamedTuple):
    """A submodular bandit whose values are tabulated.

    table: float`[V + 1, ...]` with H axes, F of one outcome per step, index V for nothing; eps: float.
    """

    table: np.ndarray
    eps: float

    @property
    def steps(self) -> int:
        """The number of steps H."""
        return self.table.ndim

    @property
    def places(self) -> int:
        """The number of places V."""
        return len(self.table) - 1


def coverage_bandit(covers: np.ndarray, weight: np.ndarray, steps: int, eps: float) -> Bandit:
    """A bandit of weighted coverage.

    covers: bool[V, U], the same in all steps; or [H, V, U].
    """
    covers = np.broadcast_to(covers, (steps, *covers.shape[-2:]))
    rows = np.concatenate([covers, np.zeros((steps, 1, covers.shape[-1]), bool)], axis=1)
    table = np.zeros((rows.shape[1],) * steps)
    for outcome in itertools.product(range(rows.shape[1]), repeat=steps):
        table[outcome] = rows[np.arange(steps), outcome].any(0) @ weight
    return Bandit(table, eps)


def three_places(eps: float) -> Bandit:
    """Two draws from {0, 1, 2}, {2, 3}, {3, 4, 5} with weights 3, 1, 2, 2, 1, 1."""
    covers = np.zeros((3, 6), bool)
    covers[0, :3] = covers[1, 2:4] = covers[2, 3:] = True
    return coverage_bandit(covers, np.array([3.0, 1, 2, 2, 1, 1]), 2, eps)


def half() -> Bandit:
    """Step 0 chooses between items of weights 1 and 0.99, step 1 has the first one only: myopia halves."""
    covers = np.array([[[1, 0], [0, 1]], [[1, 0], [1, 0]]], bool)
    return coverage_bandit(covers, np.array([1.0, 0.99]), 2, 0.0)


def twins(places: int) -> Bandit:
    """Items of worth 1, as many steps as places: the uniform policy is stationary at 1 - (1 - 1/V)^V."""
    return coverage_bandit(np.eye(places, dtype=bool), np.ones(places), places, 0.0)


def tight(places: int) -> Bandit:
    """Two steps where ascent from the uniform policy ends at V / (2 V - 3) of the best.

    All places of step 0 but the last cover item 0, those of step 1 item 1. The last place of either step
    covers the other step's item and one of its own, of weight 1 - 3 / V: worth more only where the other step
    chooses its last place with probability above 1.5 / V.
    """
    covers = np.zeros((2, places, 4), bool)
    covers[0, :-1, 0] = covers[1, :-1, 1] = True
    covers[0, -1, [1, 2]] = covers[1, -1, [0, 3]] = True
    return coverage_bandit(covers, np.array([1, 1, 1 - 3 / places, 1 - 3 / places]), 2, 0.0)


def both_or_decoy(places: int) -> Bandit:
    """Not submodular: two steps pay 1 if both choose place 0, and 0.4 if step 0 chooses place 1."""
    table = np.zeros((places + 1, places + 1))
    table[0, 0], table[1] = 1.0, 0.4
    return Bandit(table, 0.0)


def random_bandit(seed: int, eps: float) -> Bandit:
    """Three draws from three random sets."""
    rng = np.random.default_rng(seed)
    return coverage_bandit(rng.random((3, 5)) < 0.5, rng.random(5), 3, eps)


def extension(pi: Array, bandit: Bandit) -> Array:
    """float[], the extended value at `pi` float[H, V] in Q; on the simplices E[F]."""
    beta = bandit.eps / (bandit.places - 1)
    mu = (1 - bandit.eps - beta) * pi + beta
    value = bandit.table
    for chances in jnp.concatenate([mu, 1 - mu.sum(1, keepdims=True)], axis=1):
        value = jnp.tensordot(chances, value, 1)
    return value


@jax.jit
def values(policies: Array, bandit: Bandit) -> Array:
    """float[B], `extension` of `policies` float[B, H, V]."""
    return jax.vmap(extension, (0, None))(policies, bandit)


@jax.jit
def gaps(policies: Array, bandit: Bandit) -> Array:
    """float[B], max_q <grad J(pi), q - pi> over policies q, at `policies` float[B, H, V]; 0 where stationary.

    Stationary on the simplices: at a vertex the gradient in logits vanishes, and this need not.
    """
    gradient = jax.vmap(jax.grad(extension), (0, None))(policies, bandit)
    return jnp.sum(gradient.max(-1) - jnp.sum(policies * gradient, -1), -1)


def vertices(bandit: Bandit) -> np.ndarray:
    """float[V^H, H, V], all deterministic policies."""
    chosen = itertools.product(range(bandit.places), repeat=bandit.steps)
    return np.eye(bandit.places)[np.array(list(chosen))]


def best(bandit: Bandit) -> float:
    """Largest value: of a deterministic choice per step."""
    return float(values(vertices(bandit), bandit).max())


@functools.partial(jax.jit, static_argnums=1)
def continuous_greedy(bandit: Bandit, iterations: int) -> Array:
    """float[H, V]: from 0, each iteration moves 1 / iterations towards the steepest place of each step."""

    def body(_: int, pi: Array) -> Array:
        gradient = jax.grad(extension)(pi, bandit)
        return pi + jax.nn.one_hot(gradient.argmax(1), bandit.places, dtype=pi.dtype) / iterations

    return jax.lax.fori_loop(0, iterations, body, jnp.zeros((bandit.steps, bandit.places)))


def myopic(bandit: Bandit) -> np.ndarray:
    """float[H, V]: step by step the place of the largest expected gain, the lowest of equals."""
    pi = np.zeros((bandit.steps, bandit.places))
    for h in range(bandit.steps):
        tried = np.repeat(pi[None], bandit.places, axis=0)
        tried[:, h] = np.eye(bandit.places)
        pi = tried[int(np.argmax(values(tried, bandit)))]
    return pi
