"""Objectives as data: one record for learned and hand-made rules, and the inputs that tell a rule the time.

A rule stands in one of two slots. In the slot "drift" it is a function f of probability ratio and advantage,
inside the surrogate r A - f of any PPO. In the slot "targets" it maps a window of all workers to weights of
log-probabilities and to targets of predictions. `n` updates of `N` are done; progress n/N is 0 first and
(N - 1)/N in the last update.

Legend: `T` steps of a window, `W` workers, `m` entries of a prediction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array, Key, PyTree

Slot = Literal["drift", "targets"]
"""Where a rule stands: inside a PPO, or inside the learner for targets."""

TIME_INPUTS = ("n/N", "ln N", "N-n", "n", "N")
"""Names of the five time inputs, in the order of every mask."""

MASKS: dict[str, tuple[float, ...]] = {
    "none": (0.0, 0.0, 0.0, 0.0, 0.0),
    "paper": (1.0, 1.0, 0.0, 0.0, 0.0),
    "n/N": (1.0, 0.0, 0.0, 0.0, 0.0),
    "ln N": (0.0, 1.0, 0.0, 0.0, 0.0),
    "N-n": (0.0, 0.0, 1.0, 0.0, 0.0),
    "raw": (0.0, 0.0, 0.0, 1.0, 1.0),
}
"""Rows of the ablation of time inputs; "raw" is what the released code feeds."""


class Time(NamedTuple):
    """What a rule is told about its lifetime.

    n: float[], updates done; N: float[], the horizon as told, >= 1, which need not be the true one; mask:
    float[5], factors of the time inputs, a traced hyper-parameter. Where the horizon told is shorter than the
    lifetime, n/N exceeds 1 in the slot "targets"; in the slot "drift" n stays at N from there on.
    """

    n: Array
    N: Array
    mask: Array | tuple[float, ...] = MASKS["paper"]


class Window(NamedTuple):
    """One update's steps of all workers, in the order of time.

    reward: float[T, W]; done: float[T, W], 1 where no value follows the step: an end of the episode as the
    learner counts ends; cut: bool[T, W], the next row belongs to another episode, so that nothing is carried
    across; prob: float[T, W], probability of the action taken; y, y_next: float[T, W, m], predictions at the
    state and at its successor, each in the simplex; gamma: float[], the learner's discount per step.
    """

    reward: Array
    done: Array
    cut: Array
    prob: Array
    y: Array
    y_next: Array
    gamma: Array


@dataclass(frozen=True)
class Objective:
    """A rule, learned or made by hand.

    init: `(key) -> phi`, a pytree of float arrays, where a search for phi starts; () for a rule without
        parameters.
    apply: `(phi, ratio, log_ratio, advantage, time) -> f`, elementwise on arrays of one shape, in the slot
        "drift"; `(phi, window, time) -> (pihat [T, W], yhat [T, W, m])` in the slot "targets".
    slot: where it stands. inputs: names of the live time inputs, () for a rule blind to time.
    name: what tables call it. features: names of what its network reads, in order, () where it has none.
    schedule: `(phi, hyper, time) -> hyper`, the learner's hyper-parameters at that time; None leaves them
    alone.
    reads: with the arguments of `apply`, what `features` name, float[..., F]; None without features.
    """

    init: Callable[[Key], PyTree]
    apply: Callable[..., Any]
    slot: Slot
    inputs: tuple[str, ...] = ()
    name: str = ""
    features: tuple[str, ...] = ()
    schedule: Callable[[PyTree, Any, Time], Any] | None = None
    reads: Callable[..., Array] | None = None

    def __post_init__(self) -> None:
        if self.slot not in ("drift", "targets"):
            raise UsageError(f'Objective.slot: must be "drift" or "targets", got {self.slot!r}')
        unknown = [name for name in self.inputs if name not in TIME_INPUTS]
        if unknown:
            raise UsageError(f"Objective.inputs: {unknown[0]!r} is none of {', '.join(TIME_INPUTS)}")


def time_inputs(time: Time, log_scale: float = 1.0, longest: float = 1.0) -> Array:
    """float[5], the masked time inputs (n/N, s ln N, (N - n)/N_max, n, N).

    log_scale: the factor s. longest: the horizon N_max of which N - n is a share.
    Equation: jackson2024temporal (9)
    """
    n, N = jnp.asarray(time.n, jnp.float32), jnp.asarray(time.N, jnp.float32)
    values = jnp.stack([n / N, log_scale * jnp.log(N), (N - n) / longest, n, N])
    return values * jnp.asarray(time.mask, jnp.float32)


def mask_of(inputs: Sequence[str]) -> tuple[float, ...]:
    """The mask that lets the named time inputs through.

    Raises `UsageError` for a name that is none of `TIME_INPUTS`, and for a text in place of a sequence.
    """
    unknown = [inputs] if isinstance(inputs, str) else [name for name in inputs if name not in TIME_INPUTS]
    if unknown:
        raise UsageError(f"inputs: {unknown[0]!r} must be a sequence of names from {', '.join(TIME_INPUTS)}")
    return tuple(float(name in inputs) for name in TIME_INPUTS)


def check_mask(mask: Any, aware: bool, name: str = "mask") -> None:
    """Raises `UsageError` unless `mask` fits the time inputs, with a live one for a rule that is `aware`.

    mask: float[5] or [..., 5], on the host.
    """
    values = np.asarray(mask)
    if values.shape[-1:] != (len(TIME_INPUTS),):
        raise UsageError(
            f"{name}: has shape {list(values.shape)}; give one factor for each of {', '.join(TIME_INPUTS)}"
        )
    if aware and not np.all(np.any(values != 0, axis=-1)):
        raise UsageError(f"{name}: no time input is live, so the rule is not time-aware; let one through")
