"""The low-dimensional zoo of nonparametric instrumental regression, in the two variants that share its name.

Both use one stream of numpy's legacy generator: of each split (train, dev, test), e ~ N(0, 1) `[n, 1]`, then
z ~ U(-3, 3) `[n, 2]`, then gamma ~ N(0, 0.1) `[n, 1]`, then the noise of y, N(0, 0.1) `[n, 1]`;
x = z_1 + e + gamma and y = f0(x) + c e + noise, in units of the training split's mean and standard deviation.

| variant | c | step | whose |
|---|---|---|---|
| A | 2 | 1 below 0, 2.5 from 0 on | the released DeepGMM (and its published table) |
| B | 1 | 0 below 0, 1 from 0 on | MMR-IV; the formula in DeepGMM's text |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from jaxrl.minimax.designs.record import Sample, Scale

Variant = Literal["A", "B"]
FUNCTIONS = ("abs", "linear", "sin", "step")


class Zoo(NamedTuple):
    """Three splits in standardised units, and the training moments of y that standardised them."""

    train: Sample
    dev: Sample
    test: Sample
    scale: Scale


def structural(name: str, variant: Variant) -> Callable[[np.ndarray], np.ndarray]:
    """f0 before standardisation; ValueError for an unknown function or variant."""
    if variant not in ("A", "B"):
        raise ValueError(f"variant: {variant!r} is neither A nor B")
    low, high = (1.0, 2.5) if variant == "A" else (0.0, 1.0)
    known: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "abs": np.abs,
        "linear": lambda x: x,
        "sin": np.sin,
        "step": lambda x: np.where(x < 0, low, high),
    }
    if name not in known:
        raise ValueError(f"function: {name!r} is none of {', '.join(FUNCTIONS)}")
    return known[name]


def zoo(name: str, variant: Variant, *, n: int = 2000, seed: int = 527) -> Zoo:
    """The problem `name` with `n` observations per split.

    `n = 2000, seed = 527` are the published arrays. Source: Bennett et al. 2019 (1905.12495), its released
    `AGMMZoo(two_gps=False, n_instruments=2)`; Zhang et al. 2020 (2010.07684).
    """
    f0 = structural(name, variant)
    factor = 2.0 if variant == "A" else 1.0
    draw = np.random.RandomState(seed)
    splits = [_draw(draw, n, f0, factor) for _ in range(3)]
    scale = Scale.of(splits[0].y)
    train, dev, test = (s._replace(y=scale.to(s.y), truth=scale.to(s.truth)) for s in splits)
    return Zoo(train, dev, test, scale)


def _draw(
    draw: np.random.RandomState, n: int, f0: Callable[[np.ndarray], np.ndarray], factor: float
) -> Sample:
    e = draw.normal(0, 1, (n, 1))
    z = draw.uniform(-3, 3, (n, 2))
    x = z[:, :1] + e + draw.normal(0, 0.1, (n, 1))
    y = f0(x) + factor * e + draw.normal(0, 0.1, (n, 1))
    return Sample(x, z, y[:, 0], f0(x)[:, 0])
