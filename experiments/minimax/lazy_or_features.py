"""Lazy against feature learning: one direction of ten matters, and the output scale decides who finds it.

Instruments z ~ N(0, I), treatments x = rho z + sqrt(1 - rho^2) xi, outcomes y = tanh(2 x_1) + kappa xi_1 +
noise. Full networks at several scales alpha stand beside two that learn no features: one at alpha = 256,
where it is linear in its particles to 1e-4, and one whose first layer is frozen.

Legend: `A` scales, `S` seeds, `P` plain modes (linearised, frozen first layer), `L` evaluations.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np

from experiments.minimax import members
from jaxrl.cli.main import experiment_main
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Finite, NonNegative, Positive, Range, Seed, Size, check_fields
from jaxrl.core.prng import stream
from jaxrl.core.tree import tree_stack
from jaxrl.minimax.particles import TANH, Particles, draw, equal_weights, gram, predict
from jaxrl.minimax.problem import Points, minibatch, points
from jaxrl.minimax.velocity import Networks, Players, velocity
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import member_keys
from theory.minimax.oracles import w2

PLAIN = ("linearised", "frozen first layer")
LINEAR = 256.0
"""A scale at which deviations from the linearised network, of order alpha^-2, are below those of seeds."""
CLAIMED = 1.0
"""The scale whose networks are compared with those that learn no features."""
ALIGNED = 200
"""Test points of the kernel's alignment."""


@dataclass(frozen=True)
class Config:
    """Design, network and scales."""

    alphas: tuple[Positive, ...] = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
    """Scales of full networks, > 0; the last is also that of the frozen first layer."""
    inputs: Size = 10
    """Number of treatments, of which one matters, and of instruments."""
    n: Size = 2000
    """Number of observations."""
    rho: Annotated[float, Range(-1, 1)] = 0.9
    """Correlation of instruments and treatments, in [-1, 1]."""
    kappa: Finite = 0.5
    """Weight of the confounder in the outcome."""
    width: Size = 256
    """Particles per player, an even number."""
    lam: NonNegative = 1e-3
    """Weight of the penalty f^2 / 2, >= 0."""
    eps: Positive = 0.25
    """Step in time, > 0."""
    batch: Size = 200
    """Observations per update, drawn with replacement."""
    updates: Size = 6000
    """Number of updates, a multiple of twice `every`; predictions of the second half are averaged."""
    every: Size = 100
    """Updates between two evaluations on 1000 test points."""
    seeds: Size = 5
    """Number of draws of data, networks and batches."""
    seed: Seed = 0
    """Root seed; draw i has the data of seed + i."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.alphas:
            raise UsageError(f"alphas: needs positive numbers, got {self.alphas}")
        if self.updates % (2 * self.every):
            raise UsageError(f"updates: must be a multiple of 2 every = {2 * self.every}, got {self.updates}")


PRESETS = {
    "smoke": Config(alphas=(1.0, 8.0), n=60, width=16, batch=20, updates=80, every=20, seeds=2),
    "quick": Config(),
    "paper": Config(alphas=(0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0), updates=24_000, seeds=10),
}
BETTER = "less"


def truth(x: np.ndarray) -> np.ndarray:
    """The function tanh(2 x_1) of treatments `[n, d]`."""
    return np.tanh(2 * x[:, 0])


def sample(config: Config, seed: int) -> tuple[Points, np.ndarray, np.ndarray]:
    """`(training data, test treatments [1000, d], their truth)`."""
    rng = np.random.default_rng(seed)
    z, xi = rng.normal(size=(2, config.n + 1000, config.inputs))
    x = config.rho * z + np.sqrt(1 - config.rho**2) * xi
    y = truth(x) + config.kappa * xi[:, 0] + 0.1 * rng.normal(size=len(x))
    train = slice(0, config.n)
    data = points(
        x[train].astype(np.float32)[:, None],
        np.ones((config.n, 1)),
        y[train],
        z[train][:, None],
        lam=config.lam,
    )
    return data, x[config.n :], truth(x[config.n :])


def run(config: Config, folder: RunFolder) -> None:
    """Saves test errors and what happened to the particles of f.

    error `[A, S]` and plain_error `[P, S]`: mean squared, of the average of f over the second half; curve
    `[A, S, L]`, plain_curve `[P, S, L]`; alignment `[A, S]` of the last tangent kernel with the truth,
    alignment_start `[S]` of the first; share `[A, S]` of x_1 in the first layer, share_start `[S]`; distance
    `[A, S]`, W2 of the particles from their start.
    """
    drawn = [sample(config, config.seed + i) for i in range(config.seeds)]
    data = tree_stack([d for d, _, _ in drawn])
    at, target = (jnp.asarray(np.stack([d[i] for d in drawn]), jnp.float32) for i in (1, 2))
    keys = member_keys(config.seed, config.seeds)
    # two more members per seed: a very large scale, and the last one with a frozen first layer
    alphas = jnp.asarray((*config.alphas, LINEAR, config.alphas[-1]))
    frozen = jnp.arange(len(alphas)) == len(alphas) - 1
    both = _program(config)(keys, alphas, frozen, data, at, target)
    full, plain = (
        {k: np.asarray(v[part]) for k, v in both.items()} for part in (slice(0, -2), slice(-2, None))
    )
    pairs = zip(full["start"], full["end"], strict=True)
    folder.save_result(
        alphas=config.alphas,
        update=config.every * np.arange(1, config.updates // config.every + 1),
        error=full["error"],
        curve=full["curve"],
        plain_error=plain["error"],
        plain_curve=plain["curve"],
        alignment=full["alignment"],
        alignment_start=full["alignment_start"][0],
        share=full["share"],
        share_start=full["share_start"][0],
        distance=[[w2(*pair) for pair in zip(*row, strict=True)] for row in pairs],
    )


@cache
def _program(config: Config):
    """Compiled over scales, each with or without a frozen first layer, and seeds."""
    batches, networks = minibatch(config.batch), Networks()
    weights = equal_weights(config.width)
    outer = jnp.eye(1, TANH.parameters(config.inputs))  # of a particle's columns the first, beta

    def member(key, alpha, frozen, data, at, target):
        mask = jnp.where(frozen, outer, 1.0)
        k_theta, k_omega, k_run = jax.random.split(key, 3)
        start = tuple(draw(k, TANH, config.inputs, config.width) for k in (k_theta, k_omega))

        # what is stored is alpha times the displacement, whose digits do not vanish at large scales
        def rows(away):
            return [s + a / alpha for s, a in zip(start, away, strict=True)]

        def step(away, i):
            players = Players(*(Particles(r, weights) for r in rows(away)))
            move = velocity(networks, players, batches(stream(k_run, i), data), alpha)[:2]
            return tuple(a + alpha * config.eps * mask * m for a, m in zip(away, move, strict=True)), None

        def block(away, indices):
            away, _ = jax.lax.scan(step, away, indices)
            return away, predict(TANH, Particles(rows(away)[0], weights), at, alpha)

        indices = jnp.arange(config.updates).reshape(-1, config.every)
        away, seen = jax.lax.scan(block, tuple(map(jnp.zeros_like, start)), indices)
        average, theta = seen[len(seen) // 2 :].mean(0), rows(away)[0]
        return {
            "error": jnp.mean((average - target) ** 2),
            "curve": jnp.mean((seen - target[None]) ** 2, axis=-1),
            "alignment": _alignment(theta, weights, at, target),
            "alignment_start": _alignment(start[0], weights, at, target),
            "share": _share(theta),
            "share_start": _share(start[0]),
            "start": start[0],
            "end": theta,
        }

    every = members.table(lambda mode, own: member(own[0], *mode, *own[1:]))
    return jax.jit(lambda keys, alphas, frozen, *drawn: every((alphas, frozen), (keys, *drawn)))


def _alignment(theta, weights, at, target):
    """Ratio y'K y / (|K| y'y) of the tangent kernel and the truth, both centred; between 0 and 1."""
    k, y = gram(TANH, Particles(theta, weights), at[:ALIGNED]), target[:ALIGNED]
    y = y - y.mean()
    k = k - k.mean(0, keepdims=True)
    k = k - k.mean(1, keepdims=True)
    return y @ k @ y / (jnp.linalg.norm(k) * (y @ y))


def _share(theta):
    """Share of x_1 in the first layer: sum beta^2 w_1^2 over sum beta^2 |w|^2; one in ten by chance."""
    energy = theta[:, :1] ** 2 * theta[:, 1:-1] ** 2
    return energy[:, 0].sum() / energy.sum()


def estimate(config: Config) -> dict[str, int]:
    """Members are networks."""
    return {
        "members": (len(config.alphas) + len(PLAIN)) * config.seeds,
        "updates": config.updates,
        "compilations": 1,
    }


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray | Score]:
    """Mean squared test error, `float[S]`, and its differences on the same draws at alpha = 1."""
    error = {f"full, alpha {a:g}": e for a, e in zip(result["alphas"], result["error"], strict=True)}
    plain = dict(zip(PLAIN, result["plain_error"], strict=True))
    found: dict[str, np.ndarray | Score] = {**error, **plain}
    full = error.get(f"full, alpha {CLAIMED:g}")
    if full is not None:
        for name, e in plain.items():
            found[f"full, alpha 1, minus {name}"] = Score(full - e, BETTER, derived=True)
    return found


def figure(folder: RunFolder) -> list[Path]:
    """Test error, alignment and distance against the scale; every seed is a point."""
    result = folder.load_result()
    alphas = result["alphas"]
    with plots.paper():
        fig, axes = plots.subplots(1, 4, width=3.3, height=3.0)
        error, share, alignment, distance = axes[0]
        _points(error, alphas, result["error"], plots.PALETTE[0], "full network")
        for name, values, color in zip(PLAIN, result["plain_error"], plots.PALETTE[1:], strict=False):
            error.axhline(np.median(values), color=color, linestyle="--", linewidth=1.1, label=name)
        error.set(yscale="log", ylabel="test error", title="error of f")
        error.legend()
        for ax, name in ((share, "share"), (alignment, "alignment")):
            _points(ax, alphas, result[name], plots.PALETTE[0], "after training")
            ax.axhline(np.median(result[f"{name}_start"]), color=plots.GREY, linestyle=":", label="before")
            ax.legend()
        share.set(ylabel=r"share of $x_1$ in the first layer", title="features")
        alignment.set(ylabel="alignment with the truth", title="tangent kernel")
        _points(distance, alphas, alphas[:, None] * result["distance"], plots.PALETTE[0], "")
        distance.set(ylabel=r"$\alpha$ W2 from the start", title="particles")
        for ax in axes[0]:
            ax.set(xscale="log", xlabel=r"scale $\alpha$")
            ax.set_xticks(alphas, [f"{a:g}" for a in alphas])
            ax.minorticks_off()
        return plots.save(fig, folder.figures / "lazy_or_features")


def _points(ax, alphas: np.ndarray, values: np.ndarray, color: str, label: str) -> None:
    ax.plot(alphas, np.median(values, -1), color=color, label=label or None)
    ax.plot(alphas, values, "o", color=color, markersize=3, alpha=0.5)


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
