"""Data-generating processes of the adversarial GMM experiments, and their sixteen structural functions.

Legend: e ~ N(0, 1) confounder, g strength of the instrument, z `[n, k]` instruments, all noises N(0, 0.1).

| process | z | x | y |
|---|---|---|---|
| 1 | N(0, I) | 2 g (z_1 [z_1 > 0] + z_2 [z_2 < 0]) + 2 (1 - g) e + noise | f(x) + 2 e + noise |
| 2 | N(0, I) | 2 g z_1 + 2 (1 - g) e + noise | f(x) + 2 e + noise |
| 4 | N(1/2, I) | g min_j z_j + (1 - g) e + noise | f(x) + 2 e + noise |
| 5 | N(0, 4 I) | g z + (1 - g) U + noise `[n, k]`, U ~ N(0, 4) | f(x_1) + U + noise |

Process 3 of the released code is left out: a demand design whose price is standardised before demand is
computed, so another function than that of `designs.demand`. Source: Dikkala et al. 2020 (2006.07201),
released `mliv/dgps.py`; draws of one legacy generator come in its order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxrl.minimax.designs.record import Sample, Scale

Function = Callable[[np.ndarray], np.ndarray]
PROCESSES = (1, 2, 4, 5)


def _step(x: np.ndarray) -> np.ndarray:
    return np.where(x < 0, 1.0, 2.5)


def _band(x: np.ndarray) -> np.ndarray:
    return (np.abs(x) <= 0.75) * 1.0


FUNCTIONS: dict[str, Function] = {
    "abs": np.abs,
    "2dpoly": lambda x: -1.5 * x + 0.9 * x**2,
    "sigmoid": lambda x: 2 / (1 + np.exp(-2 * x)),
    "sin": np.sin,
    "frequent_sin": lambda x: np.sin(3 * x),
    "abs_sqrt": lambda x: np.sqrt(np.abs(x)),
    "step": _step,
    "3dpoly": lambda x: -1.5 * x + 0.9 * x**2 + x**3,
    "linear": lambda x: x,
    "abspos": lambda x: np.maximum(x, 0),
    "sqrpos": lambda x: np.maximum(x, 0) ** 2,
    "band": _band,
    "invband": lambda x: 1 - _band(x),
    "steplinear": lambda x: 2.0 * (x >= 0) - x,
    "pwlinear": lambda x: np.sign(x) * np.maximum(np.abs(x) - 1, 0),
}
"""Functions of the first treatment that are fixed; the sixteenth, `rand_pw`, is drawn."""


class Agmm(NamedTuple):
    """Training and fresh test data, both in units of the training mean and standard deviation of y."""

    train: Sample
    test: Sample


def random_pieces(draw: np.random.RandomState, low: float = -2.0, high: float = 2.0) -> Function:
    """`rand_pw`: continuous, linear on five random pieces of [low, high], and on to infinity."""
    knots = np.sort(draw.choice(np.arange(low, high, 0.1), 4, replace=False))
    slopes = draw.uniform(-4, 4, 5)
    left = np.concatenate([[low], knots])
    start = draw.uniform(-1, 1) + np.concatenate([[0.0], np.cumsum(slopes[:-1] * np.diff(left))])

    def function(x: np.ndarray) -> np.ndarray:
        i = np.searchsorted(knots, x)
        return start[i] + slopes[i] * (x - left[i])

    return function


def observe(
    draw: np.random.RandomState, process: int, f: Function, *, n: int, instruments: int, strength: float
) -> Sample:
    """`n` observations of a process in the units of `f`; x has `instruments` columns in process 5, else one.

    ValueError for an unknown process, or fewer than two instruments in process 1.
    """
    if process not in PROCESSES:
        raise ValueError(f"process: {process} is none of {PROCESSES}")
    if instruments < (2 if process == 1 else 1):
        raise ValueError(f"instruments: process {process} needs at least {2 if process == 1 else 1}")
    e = draw.normal(0, 1, (n, 1))
    z = draw.normal(0, 1, (n, instruments))  # drawn, and thrown away below, in the released code too
    if process == 4:
        z = draw.normal(0.5, 1, (n, instruments))
    if process == 5:
        z = draw.normal(0, 2, (n, instruments))
        u, delta, noise = draw.normal(0, 2, (n, 1)), draw.normal(0, 0.1, (n, 1)), draw.normal(0, 0.1, (n, 1))
        x = strength * z + (1 - strength) * u + delta
        return Sample(x, z, (f(x[:, :1]) + u + noise)[:, 0], f(x[:, 0]))
    first, scale = {
        1: lambda: (np.maximum(z[:, :1], 0) + np.minimum(z[:, 1:2], 0), 2.0),
        2: lambda: (z[:, :1], 2.0),
        4: lambda: (z.min(1, keepdims=True), 1.0),
    }[process]()
    x = scale * strength * first + scale * (1 - strength) * e + draw.normal(0, 0.1, (n, 1))
    return Sample(x, z, (f(x) + 2 * e + draw.normal(0, 0.1, (n, 1)))[:, 0], f(x[:, 0]))


def agmm(
    name: str,
    process: int,
    *,
    n: int,
    seed: int,
    instruments: int = 2,
    strength: float = 0.6,
    n_test: int = 1000,
) -> Agmm:
    """Data with the function `name` (a key of `FUNCTIONS` or `rand_pw`); ValueError if unknown."""
    draw = np.random.RandomState(seed)
    if name not in FUNCTIONS and name != "rand_pw":
        raise ValueError(f"function: {name!r} is none of {', '.join((*FUNCTIONS, 'rand_pw'))}")
    f = random_pieces(draw) if name == "rand_pw" else FUNCTIONS[name]
    train, test = (
        observe(draw, process, f, n=k, instruments=instruments, strength=strength) for k in (n, n_test)
    )
    scale = Scale.of(train.y)
    return Agmm(*(s._replace(y=scale.to(s.y), truth=scale.to(s.truth)) for s in (train, test)))
