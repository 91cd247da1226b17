"""Bias and variance of estimators of a meta-gradient where the truth is known, and the schedules they find.

Estimates are compared with the exact gradient on a quadratic, a noisy quadratic and a bandit. Searches look
for the eight step sizes of a quadratic lifetime: a truncated meta-gradient ends at 490, 69 and 11 times the
optimum for K = 1, 2, 4, evolution by whole lifetimes at the optimum; persistent and noise-reuse evolution, at
an eighth of the updates per estimate, end above it. A network of (n/N, ln N) found by evolution serves
lifetimes of 1, 2, 4 and 8 updates at once, better than the best schedule that does not know N (preset
`paper`).

Legend: `P` problems, `E` estimators, `S` seeds, `L` points of a curve.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes

from experiments.meta import searches
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Count, Positive, Seed, Size, check_fields
from jaxrl.core.prng import stream, streams
from jaxrl.core.types import Array, Key
from jaxrl.meta import estimators, known
from jaxrl.meta.estimators import Unrolled
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.run.folder import RunFolder

N = 8  # updates of the lifetimes that are searched
MYOPIA = {"truncated, K = 1": 490.383, "truncated, K = 2": 68.827, "truncated, K = 4": 10.7104, "full": 1.0}
"""F / F* where every block of K updates is optimal by itself."""
ESTIMATORS = {
    "truncated, K = 1": estimators.Config("truncated", window=1),
    "truncated, K = 2": estimators.Config("truncated", window=2),
    "truncated, K = 4": estimators.Config("truncated", window=4),
    "full": estimators.Config("full"),
    "plain": estimators.Config("plain"),
    "antithetic": estimators.Config("antithetic"),
    "antithetic, own tasks": estimators.Config("antithetic", shared=False),
    "pairwise rank": estimators.Config("pairwise_rank"),
    "persistent, K = 1": estimators.Config("persistent", window=1),
    "noise reuse, K = 1": estimators.Config("noise_reuse", window=1),
}
Problem = Literal["quadratic", "noisy quadratic", "bandit"]


@dataclass(frozen=True)
class Config:
    """Draws of the comparison, and lengths of the searches."""

    problems: tuple[Problem, ...] = ("quadratic", "noisy quadratic", "bandit")
    """Problems on which estimates are compared with the exact gradient."""
    compared: tuple[str, ...] = tuple(ESTIMATORS)
    """Names of the estimators that are compared."""
    searched: tuple[str, ...] = (
        *MYOPIA,
        "antithetic",
        "pairwise rank",
        "persistent, K = 1",
        "noise reuse, K = 1",
    )
    """Names of the estimators that search for step sizes."""
    draws: Size = 4096
    """Independent estimates of a seed, an even number; bias and variance are measured over them."""
    sigma: Positive = 0.1
    """Standard deviation of the noise of evolution in the comparison, in logarithms of step sizes."""
    seeds: Size = 3
    """Number of seeds of the comparison and of the searches."""
    steps: Size = 2000
    """Updates of phi in a search for a table, a multiple of 20."""
    samples: Size = 16
    """Estimates per update of phi of those searches that sample: pairs of lifetimes."""
    generations: Size = 6000
    """Generations of the evolution of a network, a multiple of 20."""
    pairs: Size = 64
    """Pairs of a generation of networks."""
    network_seeds: Count = 0
    """Number of networks that see time, and of those that do not; 0 leaves the networks out."""
    seed: Seed = 0
    """The root seed, in [0, 2^32)."""
    float64: bool = True
    """Whether the run computes in double precision."""

    def __post_init__(self) -> None:
        check_fields(self)
        for field in ("compared", "searched"):
            for name in getattr(self, field):
                if name not in ESTIMATORS:
                    raise UsageError(f"Config.{field}: unknown {name!r}; known: {', '.join(ESTIMATORS)}")
        if self.draws % 2:
            raise UsageError(f"Config.draws: must be even, got {self.draws}")
        for field in ("steps", "generations"):
            if getattr(self, field) % searches.POINTS:
                raise UsageError(
                    f"Config.{field}: must be a multiple of {searches.POINTS}, got {getattr(self, field)}"
                )


PRESETS = {
    "smoke": Config(
        problems=("quadratic",),
        compared=("antithetic",),
        searched=("truncated, K = 1",),
        draws=256,
        seeds=2,
        steps=400,
        generations=20,
        pairs=4,
        network_seeds=1,
    ),
    "quick": Config(),
    "paper": Config(draws=131072, seeds=10, steps=20000, network_seeds=3),
}
BETTER = "less"


@functools.cache
def problem(name: Problem) -> tuple[known.Known, np.ndarray]:
    """A problem with its truth, and the phi at which estimates are compared."""
    if name == "quadratic":
        return known.quadratic(8, known.table), np.full(8, np.log(1.3))
    if name == "noisy quadratic":
        made = known.noisy_quadratic(8, known.table, [1.0, 0.1], [1.0, 1.0], [1.0, 100.0])
        return made, np.log(np.linspace(1.5, 0.4, 8))
    return known.bandit(4, known.table, [[2.0, 1.0], [1.0, 2.0]], 0.5), np.full(4, 0.5)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def moments(
    config: estimators.Config, lifetime: Unrolled, draws: int, phi: Array, sigma: float, key: Key
) -> tuple[Array, Array]:
    """Means of both halves of the estimates, float[2, D], and the trace of their covariance, float[]."""
    drawn = jax.vmap(lambda k: estimators.estimate(config, lifetime, phi, sigma, k))(streams(key, draws))
    spread = drawn - drawn.mean(0, keepdims=True)
    return drawn.reshape(2, draws // 2, -1).mean(1), (spread**2).sum() / (draws - 1)


def compare(config: Config, name: Problem, estimator: str) -> tuple[list[float], list[float]]:
    """Squared relative bias and relative variance of an estimator, a number per seed.

    The bias is estimated from two halves, so that it is unbiased and may be negative. The variance is the
    trace of the covariance at the cost of two lifetimes, over the squared gradient. Ranks are scaled onto the
    gradient first.
    """
    made, phi = problem(name)
    chosen, at = ESTIMATORS[estimator], jnp.asarray(phi, jnp.result_type(float))
    g = np.asarray(jax.grad(made.truth)(at))
    biases, variances = [], []
    for s in range(config.seeds):
        key = stream(jax.random.key(config.seed), s)
        halves, trace = moments(chosen, made.lifetime, config.draws, at, config.sigma, key)
        first, second = np.asarray(halves)
        scale = (first + second) @ g / (2 * g @ g) if chosen.kind == "pairwise_rank" else 1.0
        biases.append(float((first / scale - g) @ (second / scale - g) / (g @ g)))
        cost = estimators.updates(chosen, made.lifetime.N) / (2 * made.lifetime.N)
        variances.append(float(trace) * cost / (scale**2 * (g @ g)))
    return biases, variances


def run(config: Config, folder: RunFolder) -> None:
    """Saves `bias`, `variance` `[P, E, S]`, `search` `[A, S, L]` of F / F*, and `aware`, `blind` `[n, L]`
    where networks were evolved.
    """
    found = np.array([[compare(config, p, e) for e in config.compared] for p in config.problems])
    folder.say(f"estimators: {config.draws} draws, root seed {config.seed}, {config.seeds} seeds")
    curves = []
    for name in config.searched:
        chosen = ESTIMATORS[name]
        sampled = chosen.kind not in ("truncated", "full")
        chosen = estimators.Config(chosen.kind, chosen.window, config.samples if sampled else 1)
        keys = streams(jax.random.key(config.seed), config.seeds)
        curves.append(np.asarray(searches.tables(chosen, N, config.steps, keys, 0.03, 0.05)))
        folder.say(f"estimators: {name} ends at {np.round(curves[-1][:, -1], 4).tolist()} times the optimum")
    scores = {}
    if config.network_seeds:
        keys = streams(jax.random.key(config.seed), config.network_seeds)
        for name, sees in (("aware", 1.0), ("blind", 0.0)):
            seen = jnp.full(config.network_seeds, sees)
            scores[name] = searches.networks(config.generations, config.pairs, keys, seen)
    folder.save_result(
        problem=list(config.problems),
        estimator=list(config.compared),
        bias=found[:, :, 0],
        variance=found[:, :, 1],
        searched=list(config.searched),
        search=np.array(curves),
        updates=np.linspace(0, config.steps, searches.POINTS + 1),
        generation=np.linspace(0, config.generations, searches.POINTS + 1),
        **{name: np.asarray(values) for name, values in scores.items()},
    )
    for name, values in scores.items():
        folder.say(f"estimators: networks, {name}, score {np.round(np.asarray(values)[:, -1], 4).tolist()}")


def estimate(config: Config) -> dict[str, int]:
    """Members are searches; each estimator is a program per problem and one per search."""
    programs = len(config.problems) * len(config.compared) + len(config.searched) + 1
    return {
        "members": config.seeds * len(config.searched) + 2 * config.network_seeds,
        "compilations": programs,
    }


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray | Score]:
    """Ends of the searches, scores of the networks, and bias and variance by problem and estimator."""
    found: dict[str, np.ndarray | Score] = {}
    for name, curves in zip(result["searched"].tolist(), result["search"], strict=True):
        found[f"schedule of 8 steps, {name}: F / F*"] = curves[:, -1]
    for name, label in (("aware", "of n/N and ln N"), ("blind", "without inputs")):
        if name in result:
            found[f"network {label}: mean log F / F*"] = result[name][:, -1]
    for p, problem_name in enumerate(result["problem"].tolist()):
        for e, name in enumerate(result["estimator"].tolist()):
            found[f"{problem_name}, {name}: squared relative bias"] = Score(
                result["bias"][p, e], None, derived=True
            )
            found[f"{problem_name}, {name}: relative variance"] = Score(
                result["variance"][p, e], BETTER, derived=True
            )
    return found


def figure(folder: RunFolder) -> list[Path]:
    """What searches reach, what networks reach, and variance against bias on each problem."""
    result = folder.load_result()
    problems = result["problem"].tolist()
    with plots.paper():
        fig, axes = plots.subplots(1, 1 + len(problems) + ("aware" in result), width=3.6)
        for i, (name, curves) in enumerate(zip(result["searched"].tolist(), result["search"], strict=True)):
            color = plots.PALETTE[i % len(plots.PALETTE)]
            plots.learning_curve(
                axes[0][0], result["updates"], curves, label=name, color=color, better=BETTER
            )
        for myopic in MYOPIA.values():
            axes[0][0].axhline(myopic, color="0.6", linewidth=0.6, linestyle=":")
        axes[0][0].set(yscale="log", xlabel="updates of phi", ylabel="F / F*", title="eight step sizes")
        for p, name in enumerate(problems):
            _bias_and_variance(
                axes[0][1 + p], name, result["bias"][p], result["variance"][p], result["estimator"]
            )
        if "aware" in result:
            _networks(axes[0][-1], result)
        labelled = [axes[0][0], axes[0][1], *axes[0][1 + len(problems) :]]  # estimators once, in the first
        for ax in labelled:
            ax.legend(fontsize=5)
        return plots.save(fig, folder.figures / "estimators")


def _networks(ax: Axes, result: dict[str, np.ndarray]) -> None:
    """Scores of networks along their evolution."""
    for i, name in enumerate(("aware", "blind")):
        color = plots.PALETTE[i]
        plots.learning_curve(ax, result["generation"], result[name], label=name, color=color, better=BETTER)
    ax.axhline(0.107636, color="0.6", linewidth=0.6, linestyle=":", label="best of n alone")
    ax.set(xlabel="generation", ylabel="mean log F / F*", title="networks, N = 1, 2, 4, 8")


def _bias_and_variance(
    ax: Axes, name: str, bias: np.ndarray, variance: np.ndarray, labels: np.ndarray
) -> None:
    """One point per estimator; biases below a thousandth, and variances below a millionth, stand at that."""
    for e, label in enumerate(labels.tolist()):
        x, y = max(bias[e].mean(), 1e-3), max(variance[e].mean(), 1e-6)
        color = plots.PALETTE[e % len(plots.PALETTE)]
        ax.plot(x, y, "o" if e < len(plots.PALETTE) else "s", color=color, label=label)
    ax.set(xscale="log", yscale="log", xlabel="squared relative bias", ylabel="relative variance", title=name)
