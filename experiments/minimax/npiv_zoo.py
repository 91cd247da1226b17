"""NPIV zoo: mean-field descent-ascent, two-stage least squares and kernels, against published errors.

Two variants of the data share the name zoo; errors of one say nothing about the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from experiments.minimax.regression import GRID, MeanField, ZooConfig, draw_truth, fit
from jaxrl.cli.main import experiment_main
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Seed, Size
from jaxrl.minimax.designs.npiv_zoo import FUNCTIONS, Variant, Zoo, structural, zoo
from jaxrl.minimax.designs.record import Sample, mse
from jaxrl.minimax.estimators.checks import Predictor
from jaxrl.minimax.estimators.kernel_minimax import (
    kernel_minimax,
    kernel_minimax_cv,
    kernel_minimax_nystrom,
)
from jaxrl.minimax.estimators.kiv import kiv
from jaxrl.minimax.estimators.mmr import mmr_iv
from jaxrl.minimax.estimators.two_stage import ols, poly2sls, poly2sls_plugin, tsls
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.run.folder import RunFolder

CLOSED: dict[str, Callable[[Sample], Predictor]] = {
    "line": lambda s: ols(s.x, s.y),
    "2SLS": lambda s: tsls(s.x, s.z, s.y),
    "Poly2SLS plug-in": lambda s: poly2sls_plugin(s.x, s.z, s.y),
    "Poly2SLS cubic": lambda s: poly2sls(s.x, s.z, s.y, degree=3),
    "kernel minimax": lambda s: kernel_minimax(s.x, s.z, s.y).predict,
    "kernel minimax CV": lambda s: kernel_minimax_cv(s.x, s.z, s.y).predict,
    "kernel minimax Nystrom": lambda s: (
        kernel_minimax_nystrom(s.x, s.z, s.y, rank=min(100, len(s.y))).predict
    ),
    "KIV matlab": lambda s: kiv(s.x, s.z, s.y, variant="matlab").predict,
    "KIV port": lambda s: kiv(s.x, s.z, s.y, variant="port").predict,
    "MMR-IV": lambda s: mmr_iv(s.x, s.z, s.y, rank=min(300, len(s.y))).predict,
}
"""Estimators without random numbers of their own; every one sees the training split."""

BOTH_SPLITS = ("MMR-IV",)
"""Those that see the dev split as well, as in their published rows."""

CURVE = 150
"""Points of a curve of errors that are saved."""


@dataclass(frozen=True)
class Config(ZooConfig):
    """Data, descent-ascent, and which closed forms stand beside it."""

    flow: MeanField = field(default_factory=lambda: MeanField(alphas=(1.0, 4.0)))
    """Settings of descent-ascent."""
    closed: tuple[str, ...] = (
        "line",
        "2SLS",
        "Poly2SLS plug-in",
        "Poly2SLS cubic",
        "kernel minimax Nystrom",
        "KIV port",
        "MMR-IV",
    )
    """Names of the estimators in closed form that stand beside it, keys of `CLOSED`."""
    seeds: Size = 5
    """Number of draws of networks and batches; the data are always the same."""
    seed: Seed = 0
    """Root seed of networks and batches."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.closed:
            if name not in CLOSED:
                raise UsageError(f"Config.closed: {name!r} is none of {', '.join(CLOSED)}")


PRESETS = {
    "smoke": Config(
        variants=("A",),
        functions=("step",),
        n=60,
        flow=MeanField(width=16, batch=20, updates=80, alphas=(1.0, 4.0)),
        closed=("2SLS", "Poly2SLS cubic", "kernel minimax Nystrom", "KIV port", "MMR-IV"),
    ),
    "quick": Config(),
    "paper": Config(seeds=8),
}
BETTER = "less"


def run(config: Config, folder: RunFolder) -> None:
    """Saves errors and curves of every variant, function and method.

    mse `[V, F, A, S]`: of the averaged f on the test split, in units of the training outcomes; last: the
    same of the last f; error `[V, F, A, S, L]` after `update [L]` updates, at most `CURVE` points of them;
    closed `[V, F, E]`. On the grid: shape `[V, F, A, S, G]`, shape_closed `[V, F, E, G]`, shape_truth
    `[V, F, G]`.
    """

    def one(cell: tuple[Variant, str]) -> dict[str, np.ndarray]:
        variant, name = cell
        found = _one(config, zoo(name, variant, n=config.n), structural(name, variant))
        best = ", ".join(f"{e:.4f}" for e in found["mse"].mean(-1))
        folder.say(f"zoo {variant} {name}: descent-ascent {best} at alpha {config.flow.alphas}")
        return found

    # one program keeps about one core busy
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(one, itertools.product(config.variants, config.functions)))
    cells = (len(config.variants), len(config.functions))
    folder.save_result(
        alphas=config.flow.alphas,
        variants=config.variants,
        functions=config.functions,
        methods=config.closed,
        update=_thin(config.flow.every * np.arange(1, config.flow.updates // config.flow.every + 1)),
        grid=GRID,
        **{key: np.reshape([f[key] for f in found], cells + found[0][key].shape) for key in found[0]},
    )


def _one(config: Config, data: Zoo, f0: Callable[[np.ndarray], np.ndarray]) -> dict[str, np.ndarray]:
    test = data.test
    at = np.concatenate([test.x, GRID[:, None]])
    n = len(test.y)
    flow = fit(config.flow, [data.train] * config.seeds, at, test.truth, config.seed)
    both = Sample(*(np.concatenate(pair) for pair in zip(data.train, data.dev, strict=True)))
    predictions = [CLOSED[name](both if name in BOTH_SPLITS else data.train)(at) for name in config.closed]
    return {
        "mse": np.mean((flow.average[..., :n] - test.truth) ** 2, -1),
        "last": np.mean((flow.last[..., :n] - test.truth) ** 2, -1),
        "error": _thin(flow.error).astype(np.float32),
        "closed": np.array([mse(p[:n], test.truth) for p in predictions]),
        "shape": flow.average[..., n:].astype(np.float32),
        "shape_closed": np.array([p[n:] for p in predictions], np.float32),
        "shape_truth": data.scale.to(f0(GRID)).astype(np.float32),
    }


def _thin(curve: np.ndarray) -> np.ndarray:
    """At most `CURVE` points of a curve `[..., L]`, equally far apart, the last among them."""
    every = -(-curve.shape[-1] // CURVE)
    return curve[..., ::-1][..., ::every][..., ::-1]


def estimate(config: Config) -> dict[str, int]:
    """Members are errors that are reported: seeds of descent-ascent, and one per closed form."""
    each = len(config.flow.alphas) * config.seeds + len(config.closed)
    return {
        "members": len(config.variants) * len(config.functions) * each,
        "updates": config.flow.updates,
        "compilations": 1,
    }


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray | Score]:
    """Standardised mean squared error on the test split, `float[S]` of descent-ascent, else `float[1]`."""
    found: dict[str, np.ndarray | Score] = {}
    for v, variant in enumerate(result["variants"]):
        for f, function in enumerate(result["functions"]):
            for a, alpha in enumerate(result["alphas"]):
                found[f"{variant} {function}: mean field, alpha {alpha:g}"] = result["mse"][v, f, a]
            for e, method in enumerate(result["methods"]):
                value = result["closed"][v, f, e : e + 1]
                found[f"{variant} {function}: {method}"] = Score(value, "less", note="no draw")
    return found


def figure(folder: RunFolder) -> list[Path]:
    """The fits of every variant and function, and their errors over training."""
    result = folder.load_result()
    with plots.paper():
        return [*_draw_fits(result, folder), *_draw_errors(result, folder)]


def _draw_fits(result: dict[str, np.ndarray], folder: RunFolder) -> list[Path]:
    rows, columns = result["shape_truth"].shape[:2]
    fig, axes = plots.subplots(rows, columns, width=3.0, height=2.5)
    for (v, f), ax in np.ndenumerate(axes):
        title = f"{result['functions'][f]}, data {result['variants'][v]}"
        draw_truth(ax, title, result["shape_truth"][v, f])
        for a, alpha in enumerate(result["alphas"]):
            color = plots.PALETTE[a]
            for s, curve in enumerate(result["shape"][v, f, a]):
                label = rf"mean field, $\alpha$ = {alpha:g}" if s == 0 else None
                ax.plot(result["grid"], curve, color=color, linewidth=0.9, alpha=0.7, label=label)
        for e, method in enumerate(result["methods"]):
            if method in ("KIV port", "MMR-IV"):
                color = plots.PALETTE[len(result["alphas"]) + (method == "MMR-IV")]
                ax.plot(
                    result["grid"],
                    result["shape_closed"][v, f, e],
                    "--",
                    color=color,
                    linewidth=1,
                    label=method,
                )
        ax.set_xlabel("treatment" if v == rows - 1 else "")
        ax.set_ylabel("outcome, standardised" if f == 0 else "")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=columns)
    return plots.save(fig, folder.figures / "npiv_zoo_fits")


def _draw_errors(result: dict[str, np.ndarray], folder: RunFolder) -> list[Path]:
    rows, columns = result["closed"].shape[:2]
    fig, axes = plots.subplots(rows, columns, width=3.0, height=2.5)
    for (v, f), ax in np.ndenumerate(axes):
        for a, alpha in enumerate(result["alphas"]):
            label = rf"mean field, $\alpha$ = {alpha:g}" if (v, f) == (0, 0) else ""
            plots.learning_curve(
                ax,
                result["update"],
                result["error"][v, f, a],
                color=plots.PALETTE[a],
                label=label,
                better="less",
                resamples=500,
            )
            for value in result["mse"][v, f, a]:
                ax.plot(result["update"][-1], value, ">", color=plots.PALETTE[a], markersize=4, clip_on=False)
        for e, method in enumerate(result["methods"]):
            if method in _LEVELS:
                ax.axhline(
                    result["closed"][v, f, e],
                    color=_LEVELS[method],
                    linewidth=0.9,
                    linestyle=":",
                    label=method,
                )
        variant = str(result["variants"][v])
        for method, values in PUBLISHED[variant].items():
            value = values[FUNCTIONS.index(str(result["functions"][f]))]
            if value > 0:
                ax.axhline(
                    value,
                    color="#000000",
                    linewidth=0.8,
                    linestyle="--",
                    label=f"{method}, published ({variant})",
                )
        ax.set(yscale="log")
        ax.set_title(f"{result['functions'][f]}, data {result['variants'][v]}")
        ax.set_xlabel("updates" if v == rows - 1 else "")
        ax.set_ylabel("test error" if f == 0 else "")
        if (v, f) != (0, 0) and ax.get_legend() is not None:
            ax.get_legend().remove()
    handles: dict[str, Any] = {}
    for ax in axes[:, 0]:
        handles |= dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    handles = {name: handle for name, handle in handles.items() if not name.startswith("n = ")}
    fig.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=columns)
    return plots.save(fig, folder.figures / "npiv_zoo_errors")


PUBLISHED = {"A": {"DeepGMM": (0.03, 0.01, 0.02, 0.01)}, "B": {"MMR-IV": (0.011, 0.001, 0.006, 0.020)}}
"""Errors of abs, linear, sin, step: table 1 of 1905.12495; Zhang's thesis 2022, table 6.1 (train and dev)."""

_LEVELS = {"2SLS": plots.GREY, "KIV port": plots.PALETTE[3], "MMR-IV": plots.PALETTE[4]}


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
