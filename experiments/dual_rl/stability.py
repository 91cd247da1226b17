"""Stability: what a few large outliers in Q do to V under the Gumbel loss, chi2, tv and the expectile.

One state, V a number learned by Adam from batches of Q ~ N(0, 1), of which a small share is moved up. Legend:
`N` losses, `Z` sizes of outliers, `S` seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxrl.cli.main import experiment_main
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Positive, Range, Seed, Size, check_fields
from jaxrl.core.prng import stream
from jaxrl.core.types import Array, Key
from jaxrl.dual_rl.objectives import EXPECTILE, GUMBEL, Maximiser, conjugate
from jaxrl.report import plots
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import member_keys

LOSSES: dict[str, tuple[Maximiser, float]] = {
    "Gumbel, b 1": (Maximiser(GUMBEL.loss), 1.0),
    "Gumbel released, b 1": (GUMBEL, 1.0),
    "chi2, lambda 0.8": (conjugate("chi2", "relu"), 0.8),
    "tv, lambda 0.8": (conjugate("tv", "relu"), 0.8),
    "expectile, tau 0.8": (EXPECTILE, 0.8),
}
CLIP = 7.0


@dataclass(frozen=True)
class Config:
    """Outliers and batches."""

    sizes: tuple[float, ...] = (0.0, 1.0, 2.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0)
    """Distances by which outliers are moved up, in standard deviations of Q; the first is 0."""
    reported: float = 16.0
    """Size of the outliers in the scores and in the traces of the figure; one of `sizes`."""
    share: Annotated[float, Range(0, 1, open_high=True)] = 0.002
    """Share of the samples that are outliers, in [0, 1)."""
    batch: Size = 256
    """Samples of Q per update."""
    updates: Size = 3000
    """Updates of V by Adam."""
    lr: Positive = 0.01
    """Learning rate of Adam."""
    seeds: Size = 20
    """Runs per loss and size."""
    seed: Seed = 0
    """Root seed of all runs."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.reported not in self.sizes or self.sizes[0] != 0:
            raise UsageError(
                f"sizes: must begin with 0 and contain reported {self.reported}, got {self.sizes}"
            )


PRESETS = {
    "smoke": Config(sizes=(0.0, 16.0), batch=32, updates=50, seeds=2),
    "quick": Config(),
    "paper": Config(updates=20_000, seeds=100),
}
BETTER = "less"


def run(config: Config, folder: RunFolder) -> None:
    """Saves `[N, Z, S]` of the last half of all updates: `error`, mean |V - V without outliers|; `wobble`,
    standard deviation of V; `step`, mean |gradient| of the other samples. And `trace [N, T]`, one run.
    """
    keys, sizes = member_keys(config.seed, config.seeds), jnp.asarray(config.sizes, jnp.float32)
    half = config.updates // 2
    found: dict[str, list[Any]] = {"error": [], "wobble": [], "step": [], "trace": []}
    for name, (maximiser, parameter) in LOSSES.items():
        v, step = _learn(maximiser, config, keys, sizes, jnp.float32(parameter))
        v = np.asarray(v, np.float64)  # [Z, S, T]
        clean = np.median(v[0, :, half:])
        found["error"].append(np.abs(v[..., half:] - clean).mean(-1))
        found["wobble"].append(v[..., half:].std(-1))
        found["step"].append(np.asarray(step)[..., half:].mean(-1))
        found["trace"].append(v[config.sizes.index(config.reported), 0])
        folder.say(f"stability: {name} done")
    folder.save_result(size=config.sizes, reported=config.reported, loss=list(LOSSES), **found)


@partial(jax.jit, static_argnums=(0, 1))
def _learn(
    maximiser: Maximiser, config: Config, keys: Array, sizes: Array, parameter: Array
) -> tuple[Array, Array]:
    """V after every update, and mean |gradient| of samples that are no outliers; `[Z, S, T]` each."""
    adam = optax.adam(config.lr)

    def one(key: Key, size: Array) -> tuple[Array, Array]:
        def update(carry: tuple[Array, Any], index: Array) -> tuple[tuple[Array, Any], tuple[Array, Array]]:
            v, opt_state = carry
            k_q, k_coin = jax.random.split(stream(key, index))
            moved = jax.random.bernoulli(k_coin, config.share, (config.batch,)) & (size > 0)
            q = jax.random.normal(k_q, (config.batch,)) + jnp.where(moved, size, 0.0)
            slope = jax.grad(lambda y: maximiser.on_batch(y, parameter, CLIP).sum())(q - v)
            direction, opt_state = adam.update(-slope.mean(), opt_state)
            v = v + direction
            usual = jnp.where(moved, 0.0, jnp.abs(slope)).sum() / jnp.maximum((~moved).sum(), 1)
            return (v, opt_state), (v, usual)

        start = jnp.zeros(())
        return jax.lax.scan(update, (start, adam.init(start)), jnp.arange(config.updates))[1]

    return jax.vmap(jax.vmap(one, (0, None)), (None, 0))(keys, sizes)


def estimate(config: Config) -> dict[str, int]:
    """Members of the scores, all at the reported size."""
    return {"members": len(LOSSES) * config.seeds, "compilations": len(LOSSES)}


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Error of V with outliers of the reported size, `float[S]`; NaN where V is not finite."""
    at = result["size"].tolist().index(float(result["reported"]))
    return {
        f"{name}, outliers of {float(result['reported']):g}": x[at]
        for name, x in zip(result["loss"].tolist(), result["error"], strict=True)
    }


def figure(folder: RunFolder) -> list[Path]:
    """Error and step size against the size of outliers; one run."""
    result = folder.load_result()
    with plots.paper():
        fig, axes = plots.subplots(1, 3, width=4.2, height=3.6)
        for i, name in enumerate(result["loss"].tolist()):
            color = plots.PALETTE[i]
            plots.learning_curve(
                axes[0, 0],
                result["size"],
                result["error"][i].T + 1e-4,
                label=name,
                color=color,
                better="less",
            )
            usual = result["step"][i]
            axes[0, 1].plot(result["size"], np.median(usual / usual[:1], axis=1), color=color)
            axes[0, 2].plot(result["trace"][i], color=color, linewidth=0.8)
        axes[0, 0].set(
            yscale="log", xlabel="size of outliers", ylabel="|V - V without outliers|", title="error"
        )
        axes[0, 1].set(
            yscale="log",
            xlabel="size of outliers",
            ylabel="relative to none",
            title="gradient of all other samples",
        )
        axes[0, 2].set(
            xlabel="updates", ylabel="V", title=f"one run, outliers of {float(result['reported']):g}"
        )
        axes[0, 0].legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=1, fontsize=7.5)
        return plots.save(fig, folder.figures / "stability")


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
