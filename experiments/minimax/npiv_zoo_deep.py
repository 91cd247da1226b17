"""NPIV zoo, neural estimators: DeepGMM, AGMM and DFIV with their published settings, every seed shown."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from experiments.minimax.regression import GRID, ZooConfig, draw_truth
from jaxrl.cli.main import experiment_main
from jaxrl.core.fields import Seed, Size
from jaxrl.core.types import Array
from jaxrl.minimax.designs.npiv_zoo import Variant, Zoo, structural, zoo
from jaxrl.minimax.estimators import agmm_net, deep_gmm, dfiv
from jaxrl.report import plots
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import member_keys

METHODS = ("DeepGMM", "AGMM", "DFIV")


@dataclass(frozen=True)
class Config(ZooConfig):
    """Data and the settings of every estimator."""

    deep_gmm: deep_gmm.Config = field(default_factory=deep_gmm.Config)
    """Settings of DeepGMM, which chooses its rate and its iterate on the dev split."""
    agmm: agmm_net.Config = field(default_factory=agmm_net.Config)
    """Settings of AGMM, which sees the training split alone."""
    dfiv: dfiv.Config = field(default_factory=dfiv.Config)
    """Settings of DFIV, which sees the training split alone."""
    seeds: Size = 5
    """Number of draws of networks and batches; the data are always the same."""
    seed: Seed = 0
    """Root seed of networks and batches."""


PRESETS = {
    "smoke": Config(
        variants=("A",),
        functions=("abs",),
        n=60,
        deep_gmm=deep_gmm.Config((4,), (4,), (5e-3,), epochs=40, burn_in=20),
        agmm=agmm_net.Config(width=8, dropout=0.0, rate=1e-3, epochs=4, burn_in=2),
        dfiv=dfiv.Config((4, 2), (4,), stage1_iter=2, epochs=4),
        seeds=2,
    ),
    "quick": Config(),
    "paper": Config(seeds=10),
}
BETTER = "less"


def run(config: Config, folder: RunFolder) -> None:
    """Saves mse `[V, F, E, S]` on the test split, standardised, and fits on the grid, `[V, F, E, S, G]`."""
    keys = member_keys(config.seed, config.seeds)

    def one(cell: tuple[Variant, str]) -> dict[str, np.ndarray]:
        variant, name = cell
        found = _one(config, keys, zoo(name, variant, n=config.n), structural(name, variant))
        means = ", ".join(f"{m} {e:.4f}" for m, e in zip(METHODS, found["mse"].mean(-1), strict=True))
        folder.say(f"zoo {variant} {name}: {means}")
        return found

    # one program keeps about one core busy
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(one, itertools.product(config.variants, config.functions)))
    cells = (len(config.variants), len(config.functions))
    folder.save_result(
        variants=config.variants,
        functions=config.functions,
        grid=GRID,
        **{key: np.reshape([f[key] for f in found], cells + found[0][key].shape) for key in found[0]},
    )


def _one(
    config: Config, keys: Array, data: Zoo, f0: Callable[[np.ndarray], np.ndarray]
) -> dict[str, np.ndarray]:
    at = np.concatenate([data.test.x, GRID[:, None]])
    found = np.stack(
        [
            deep_gmm.fit(config.deep_gmm, keys, data.train, data.dev, at),
            agmm_net.fit(config.agmm, keys, data.train, at),
            dfiv.fit(config.dfiv, keys, data.train, at),
        ]
    )
    return {
        "mse": np.mean((found[..., : config.n] - data.test.truth) ** 2, -1),
        "shape": found[..., config.n :].astype(np.float32),
        "shape_truth": data.scale.to(f0(GRID)).astype(np.float32),
    }


def estimate(config: Config) -> dict[str, int]:
    """Members are errors that are reported: one per variant, function, method and seed."""
    members = len(config.variants) * len(config.functions) * len(METHODS) * config.seeds
    return {"members": members, "compilations": len(METHODS)}


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Mean squared error on the test split, standardised, `float[S]`."""
    return {
        f"{variant} {function}: {method}": result["mse"][v, f, e]
        for v, variant in enumerate(result["variants"])
        for f, function in enumerate(result["functions"])
        for e, method in enumerate(METHODS)
    }


def figure(folder: RunFolder) -> list[Path]:
    """Every fit of every seed, with its error."""
    result = folder.load_result()
    with plots.paper():
        rows, columns = result["mse"].shape[:2]
        fig, axes = plots.subplots(rows, columns, width=3.0, height=2.5)
        for (v, f), ax in np.ndenumerate(axes):
            title = f"{result['functions'][f]}, data {result['variants'][v]}"
            draw_truth(ax, title, result["shape_truth"][v, f])
            for e, method in enumerate(METHODS):
                for s, curve in enumerate(result["shape"][v, f, e]):
                    label = method if s == 0 else None
                    ax.plot(
                        result["grid"], curve, color=plots.PALETTE[e], linewidth=0.9, alpha=0.8, label=label
                    )
            medians = np.median(result["mse"][v, f], -1)
            text = "\n".join(f"{m} {x:.3f}" for m, x in zip(METHODS, medians, strict=True))
            ax.text(0.97, 0.03, text, ha="right", va="bottom", fontsize=7, transform=ax.transAxes)
            ax.set_xlabel("treatment" if v == rows - 1 else "")
            ax.set_ylabel("outcome, standardised" if f == 0 else "")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        fig.legend(handles, labels, loc="outside lower center", ncols=max(2, columns))
        return plots.save(fig, folder.figures / "npiv_zoo_deep")


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
