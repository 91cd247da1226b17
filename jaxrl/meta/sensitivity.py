"""Certificates of rules for targets: what their policy weights follow, and how far time changes them.

They are taken on windows drawn at random, the same for all rules: rewards are standard normal at a fifth of
the steps and 0 at the others, a twentieth of the steps end an episode, probabilities are uniform and
predictions random. A rule is therefore compared with others, and not with what it met in training.

Legend: `T` steps, `W` workers, `m` entries of a prediction.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array, Key, PyTree
from jaxrl.meta.objective import Objective, Time, Window, mask_of
from jaxrl.rollout.returns import monte_carlo

STEPS, WORKERS, GAMMA = 20, 64, 0.99
PROGRESS = (0.0, 0.25, 0.5, 0.75, 0.975)
TOLD = (0.25, 4.0)  # factors of the horizon


class Sensitivity(NamedTuple):
    """What a rule for targets does on random windows, half-way through a lifetime unless said otherwise.

    slope, correlation: of the policy weight -pihat against the advantage, which is the discounted return to
    the end of the episode or window less its mean over workers; 1 is the correlation of REINFORCE, 0 is
    said where all weights are equal. progress: the largest change of weights between the beginning and a
    later update; horizon: that of being told N/4 or 4N at the same n/N; both as a root mean square, in
    units of that of the weights themselves (0 where those are 0). target_progress, target_horizon: the same
    for targets, as a mean distance of total variation.
    """

    slope: float
    correlation: float
    progress: float
    horizon: float
    target_progress: float
    target_horizon: float


def windows(key: Key, predictions: int) -> Window:
    """A window with leaves `[20, 64, ...]`, drawn at random; predictions: the number m."""
    k_reward, k_sparse, k_done, k_prob, k_y = jax.random.split(key, 5)
    shape = (STEPS, WORKERS)
    reward = jax.random.normal(k_reward, shape) * jax.random.bernoulli(k_sparse, 0.2, shape)
    done = jax.random.bernoulli(k_done, 0.05, shape)
    y = jax.nn.softmax(jax.random.normal(k_y, (STEPS + 1, WORKERS, predictions)))
    prob = jax.random.uniform(k_prob, shape, minval=0.05)
    return Window(reward, done.astype(jnp.float32), done, prob, y[:-1], y[1:], jnp.float32(GAMMA))


def sensitivity(
    objective: Objective,
    phi: PyTree,
    *,
    horizon: float = 20.0,
    predictions: int = 8,
    mask: tuple[float, ...] | None = None,
) -> Sensitivity:
    """The certificate of a rule with parameters `phi`, around the horizon that it is told.

    predictions: entries of a prediction, those that the rule reads. mask: time inputs, those of the rule by
    default.

    Raises:
        UsageError: the rule is of another slot, or reads another number of predictions.
    """
    if objective.slot != "targets":
        raise UsageError(
            f'objective: {objective.name} is of the slot "{objective.slot}", not of "targets";'
            " take certificate"
        )
    live = jnp.asarray(mask_of(objective.inputs) if mask is None else mask)
    window = windows(jax.random.key(0), predictions)
    times = [(p * horizon, horizon) for p in PROGRESS]
    times += [(0.5 * f * horizon, f * horizon) for f in (1.0, *TOLD)]
    weight, target = jax.device_get(_said(objective, phi, window, live, jnp.array(times, jnp.float32)))
    advantage = _advantage(window)
    middle = PROGRESS.index(0.5)
    slope, correlation = _line(advantage.ravel(), weight[middle].ravel())
    later, told = range(1, len(PROGRESS)), range(len(PROGRESS) + 1, len(times))
    return Sensitivity(
        slope,
        correlation,
        max(_relative(weight[i], weight[0]) for i in later),
        max(_relative(weight[i], weight[middle]) for i in told),
        max(_variation(target[i], target[0]) for i in later),
        max(_variation(target[i], target[middle]) for i in told),
    )


@functools.partial(jax.jit, static_argnames="objective")
def _said(objective: Objective, phi: PyTree, window: Window, mask: Array, times: Array) -> Any:
    """`(-pihat [t, T, W], yhat [t, T, W, m])` at the times (n, N), float[t, 2]."""

    def at(time: Array) -> tuple[Array, Array]:
        pihat, yhat = objective.apply(phi, window, Time(time[0], time[1], mask))
        return -pihat, yhat

    return jax.lax.map(at, times)


def _advantage(window: Window) -> np.ndarray:
    discount = jnp.full(window.reward.shape, GAMMA)
    returns, _ = monte_carlo(window.reward, discount, window.cut)
    return np.asarray(returns - returns.mean(1, keepdims=True), np.float64)


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope and correlation of y against x, both 0 where y is constant."""
    x, y = x - x.mean(), np.asarray(y, np.float64) - np.mean(y, dtype=np.float64)
    size = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y / (x @ x)), float(x @ y / size) if size else 0.0


def _relative(x: np.ndarray, reference: np.ndarray) -> float:
    size = float(np.linalg.norm(reference))
    return float(np.linalg.norm(x - reference)) / size if size else 0.0


def _variation(x: np.ndarray, reference: np.ndarray) -> float:
    return float(0.5 * np.abs(x - reference).sum(-1).mean())
