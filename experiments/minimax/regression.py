"""Mean-field descent-ascent on a sample of instrumental regression, one program over seeds and scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.minimax import members
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import NonNegative, Positive, Size, check_fields
from jaxrl.core.tree import tree_stack
from jaxrl.minimax import sgda
from jaxrl.minimax.designs.npiv_zoo import FUNCTIONS, Variant
from jaxrl.minimax.designs.record import Sample, Scale
from jaxrl.minimax.problem import Points, minibatch, points
from jaxrl.run.sweep import member_keys

GRID = np.linspace(-4, 4, 161)
"""Treatments at which the fits to the zoo are drawn."""


@dataclass(frozen=True)
class ZooConfig:
    """Choice of the zoo's data."""

    variants: tuple[Variant, ...] = ("A", "B")
    """Variants of the data: A of the released DeepGMM, B of MMR-IV."""
    functions: tuple[Literal["abs", "linear", "sin", "step"], ...] = FUNCTIONS
    """The structural functions to estimate."""
    n: Size = 2000
    """Observations per split; 2000 are the published arrays."""

    def __post_init__(self) -> None:
        check_fields(self)


def draw_truth(ax: Any, title: str, truth: np.ndarray) -> None:
    """The structural function on `GRID`, with some room around it."""
    ax.plot(GRID, truth, color="#000000", linewidth=1.2, label="truth")
    margin = 0.35 * np.ptp(truth) + 0.2
    ax.set(ylim=(truth.min() - margin, truth.max() + margin), title=title)


@dataclass(frozen=True)
class MeanField:
    """Settings of descent-ascent; see `jaxrl.minimax.sgda`."""

    width: Size = 256
    """Particles per player, an even number."""
    alphas: tuple[Positive, ...] = (4.0,)
    """Output scales, > 0, one at least."""
    lam: NonNegative = 1e-3
    """Weight of the penalty f^2 / 2, >= 0."""
    eps: Positive = 0.25
    """Step in time, > 0."""
    batch: Size = 200
    """Observations per update, drawn with replacement."""
    updates: Size = 12_000
    """Number of updates, a multiple of twice `every`; predictions of the second half are averaged."""
    every: Size = 20
    """Updates between two predictions."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.updates % (2 * self.every):
            raise UsageError(f"updates: must be a multiple of 2 every = {2 * self.every}, got {self.updates}")
        if not self.alphas:
            raise UsageError("MeanField.alphas: needs one scale at least")


class Fit(NamedTuple):
    """Predictions and errors of trained members.

    average: `[A, S, M]`, mean over the second half of f at the points; last: `[A, S, M]`, f at the end.
    error: `[A, S, L]`, mean squared error after every `every` updates at the points with a known truth.
    """

    average: np.ndarray
    last: np.ndarray
    error: np.ndarray


def fit(config: MeanField, trains: Sequence[Sample], at: np.ndarray, truth: np.ndarray, seed: int) -> Fit:
    """Trains a member on each sample and scale, and predicts at treatments `at [M, dx]` in units of its y.

    trains: `S` samples of equal size (the same one again where only networks and batches are to differ).
    Inputs and outcomes are standardised by the moments of the own sample. truth: `[m]`, f0 at the first m
    points.
    """
    scales = [[Scale.of(a) for a in (s.x, s.z, s.y)] for s in trains]
    data = [_points(s, scale, config.lam) for s, scale in zip(trains, scales, strict=True)]
    points_at = jnp.asarray(np.stack([x.to(at) for x, _, _ in scales]), jnp.float32)
    targets = jnp.asarray(np.stack([y.to(truth) for _, _, y in scales]), jnp.float32)
    found = _program(config, trains[0].x.shape[1], trains[0].z.shape[1])(
        member_keys(seed, len(trains)), jnp.asarray(config.alphas), tree_stack(data), points_at, targets
    )
    average, last, error = (np.asarray(a, np.float64) for a in found)
    mean, sd = (np.array([getattr(y, name) for _, _, y in scales])[:, None] for name in ("mean", "sd"))
    return Fit(mean + sd * average, mean + sd * last, sd**2 * error)


def _points(sample: Sample, scales: Sequence[Scale], lam: float) -> Points:
    x, z, y = (scale.to(a).astype(np.float32) for scale, a in zip(scales, sample[:3], strict=True))
    return points(x[:, None], np.ones((len(y), 1)), y, z[:, None], lam=lam)


@cache
def _program(config: MeanField, dx: int, dz: int):
    """Compiled once for all samples of one shape."""
    static = sgda.Config(width=config.width, inputs=dx, dual_inputs=dz)
    algorithm = sgda.make(static, minibatch(config.batch))

    def member(key, alpha, data, at, truth):
        hyper = sgda.Hyper(alpha=alpha, eps=config.eps)

        def observe(state):
            f = sgda.evaluate(static, state, hyper, at)
            return f, jnp.mean((f[: len(truth)] - truth) ** 2)

        _, (f, error) = sgda.run(algorithm, key, hyper, data, config.updates, observe, config.every)
        return f[len(f) // 2 :].mean(0), f[-1], error

    every = members.table(lambda alpha, own: member(own[0], alpha, *own[1:]))
    return jax.jit(lambda keys, alphas, *drawn: every(alphas, (keys, *drawn)))
