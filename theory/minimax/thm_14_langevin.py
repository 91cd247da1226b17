"""Langevin descent-ascent of a bilinear payoff has Gaussian moments in closed form.

Statement. For the payoff x y with divergences from N(0, 1) of weight tau, the means of both players obey
m_x' = -m_y - tau m_x, m_y' = m_x - tau m_y, and the variances v' = 2 tau (1 - v).

Check. tau = 0.3, steps of 0.005 to t = 3 from points at (1, 0.5), 20 000 particles: means and variances of
both players in units of 4 standard errors, v^(1/2) / N^(1/2) and v (2 / N)^(1/2).
"""

from __future__ import annotations

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.minimax import mfl
from theory.exact.result import Result
from theory.minimax.setting import at_most

N, TAU, EPS, T = 20_000, 0.3, 0.005, 3.0


@cache
def instance(seed: int) -> np.ndarray:
    """`[2, N]`, the particles of both players at time T."""
    algorithm, hyper = mfl.make(mfl.Config(width=N), mfl.BILINEAR), mfl.Hyper(eps=EPS, temperature=TAU)

    @jax.jit
    def run() -> list[jax.Array]:
        state = algorithm.init(jax.random.key(seed), hyper, None)
        state = state.replace(params=(jnp.full((N, 1), 1.0), jnp.full((N, 1), 0.5)))
        state, _ = jax.lax.scan(
            lambda s, _: (algorithm.step(s, hyper, None)[0], None), state, length=round(T / EPS)
        )
        return [rows[:, 0] for rows in state.params]

    return np.array(run())


def check(rate: float = 2.0) -> Result:
    """All four errors, the variance with `rate` tau."""
    rows = instance(14).astype(np.float64)
    turn = np.array([[np.cos(T), -np.sin(T)], [np.sin(T), np.cos(T)]])
    mean = np.exp(-TAU * T) * turn @ [1.0, 0.5]
    v = 1 - np.exp(-rate * TAU * T)
    errors = [(rows.mean(1) - mean) / np.sqrt(v / N), (rows.var(1) - v) / (v * np.sqrt(2 / N))]
    return at_most(np.array(errors) / 4, 1.0)


def broken() -> Result:
    """Noise of half the variance."""
    return check(rate=1.0)
