"""Generalised advantages are one-step errors at lambda 0 and Monte-Carlo returns less values at 1.

Statement. Let v'_t be the value of the true successor: equal to v_{t+1} inside an episode, unrelated to it
at an end. Then lambda = 0 gives A_t = r_t + discount_t v'_t - v_t, and lambda = 1 gives A_t + v_t = the
return that bootstraps once, at the cut or the window's end, because sum_k gamma^k delta_{t+k} telescopes
(Schulman et al. 2016, equations 16 to 18).

Check. 100 random windows of 12 steps x 4 environments with terminations and truncations; the right side as a
sum over the rest of the episode.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.rollout.returns import gae
from theory.exact.result import Result, identity


class Window(NamedTuple):
    """Arrays `[T, N]` as in `jaxrl.rollout.returns`."""

    reward: np.ndarray
    value: np.ndarray
    next_value: np.ndarray
    discount: np.ndarray
    cut: np.ndarray


def instance(seed: int, T: int = 12, N: int = 4, gamma: float = 0.9) -> Window:
    """A random window whose values agree inside episodes and differ across their ends."""
    rng = np.random.default_rng(seed)
    reward, value, other = rng.normal(size=(3, T, N))
    terminated, truncated = rng.random((2, T, N)) < 0.15
    cut = terminated | truncated
    cut_or_last = cut | (np.arange(T) == T - 1)[:, None]
    next_value = np.where(cut_or_last, other, np.roll(value, -1, axis=0))
    return Window(reward, value, next_value, gamma * ~terminated, cut)


def monte_carlo(w: Window) -> np.ndarray:
    """`[T, N]`, discounted rewards to the cut plus the discounted value of the last successor."""
    T, N = w.reward.shape
    out = np.zeros((T, N))
    for t, i in np.ndindex(T, N):
        weight = 1.0
        for k in range(t, T):
            out[t, i] += weight * w.reward[k, i]
            weight *= w.discount[k, i]
            if w.cut[k, i] or k == T - 1:
                out[t, i] += weight * w.next_value[k, i]
                break
    return out


def check(estimator: Callable[..., jax.Array] = gae) -> Result:
    """Errors at both ends of lambda."""
    errors = []
    with jax.enable_x64(True):
        estimate = jax.jit(estimator)
        for seed in range(100):
            w = instance(seed)
            arrays = [jnp.asarray(x) for x in w]
            one_step = w.reward + w.discount * w.next_value - w.value
            errors.append(np.asarray(estimate(*arrays, 0.0)) - one_step)
            errors.append(np.asarray(estimate(*arrays, 1.0)) + w.value - monte_carlo(w))
    return identity(np.array(errors))


def broken() -> Result:
    """Values shifted by one row instead of successors' values: at a truncation, those of another episode."""

    def shifted(reward, value, next_value, discount, cut, lambda_):
        return gae(reward, value, jnp.concatenate([value[1:], next_value[-1:]]), discount, cut, lambda_)

    return check(shifted)
