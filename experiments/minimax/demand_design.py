"""Demand design: mean-field descent-ascent, two-stage least squares and kernels at several sample sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np

from experiments.minimax.regression import MeanField, fit
from jaxrl.cli.main import experiment_main
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Range, Seed, Size, check_fields
from jaxrl.minimax.designs.demand import demand, grid
from jaxrl.minimax.designs.record import Sample, Scale, mse
from jaxrl.minimax.estimators.checks import Predictor
from jaxrl.minimax.estimators.kernel_minimax import kernel_minimax_nystrom
from jaxrl.minimax.estimators.kiv import kiv
from jaxrl.minimax.estimators.two_stage import poly2sls, tsls
from jaxrl.report import plots
from jaxrl.run.folder import RunFolder


def _standardised(fit: Callable[[np.ndarray, np.ndarray, np.ndarray], Predictor], s: Sample) -> Predictor:
    """The fit of standardised data, in the units of the data: an isotropic kernel needs one scale."""
    x, z, y = (Scale.of(a) for a in (s.x, s.z, s.y))
    found = fit(x.to(s.x), z.to(s.z), y.to(s.y))
    return lambda at: y.back(found(x.to(at)))


CLOSED: dict[str, Callable[[Sample], Predictor]] = {
    "2SLS": lambda s: tsls(s.x, s.z, s.y),
    "Poly2SLS cubic": lambda s: poly2sls(s.x, s.z, s.y, degree=3),
    "KIV matlab": lambda s: kiv(s.x, s.z, s.y, variant="matlab").predict,
    "KIV product": lambda s: kiv(s.x, s.z, s.y, variant="product").predict,
    "KIV matlab, z = cost": lambda s: kiv(s.x, s.z[:, :1], s.y, variant="matlab").predict,
    "KIV port": lambda s: kiv(s.x, s.z, s.y, variant="port").predict,
    "kernel minimax Nystrom": lambda s: _standardised(
        lambda x, z, y: kernel_minimax_nystrom(x, z, y, rank=min(100, len(y))).predict, s
    ),
}
"""Estimators without random numbers of their own."""


@dataclass(frozen=True)
class Config:
    """Sizes, correlations and trials; trial i has data, network and batches of its own."""

    sizes: tuple[Size, ...] = (1000,)
    """Numbers of observations. Paper (DFIV): 1000, 5000, 10000."""
    rhos: tuple[Annotated[float, Range(-1, 1)], ...] = (0.5,)
    """Correlations of the noises of price and sales, in [-1, 1]. Paper (DFIV): 0.1, 0.25, 0.5, 0.75, 0.9."""
    flow: MeanField = field(default_factory=lambda: MeanField(alphas=(8.0,), lam=1e-4, updates=20_000))
    """Settings of descent-ascent."""
    closed: tuple[str, ...] = tuple(CLOSED)
    """Names of the estimators in closed form that stand beside it, keys of `CLOSED`."""
    seeds: Size = 10
    """Number of trials. Paper (DFIV): 20."""
    seed: Seed = 0
    """Seed of the data of the first trial, and root of the keys."""

    def __post_init__(self) -> None:
        check_fields(self)
        for name in self.closed:
            if name not in CLOSED:
                raise UsageError(f"Config.closed: {name!r} is none of {', '.join(CLOSED)}")


PRESETS = {
    "smoke": Config(
        sizes=(50,), flow=MeanField(width=16, batch=20, updates=80, alphas=(8.0,), lam=1e-4), seeds=2
    ),
    "quick": Config(),
    "paper": Config(
        sizes=(1000, 5000, 10_000),
        rhos=(0.1, 0.25, 0.5, 0.75, 0.9),
        flow=MeanField(alphas=(1.0, 4.0, 8.0), lam=1e-4, updates=60_000),
        closed=tuple(CLOSED),
        seeds=20,
    ),
}
BETTER = "less"


def run(config: Config, folder: RunFolder) -> None:
    """Saves log10 of the mean squared error on the grid of 2800 points.

    flow `[K, R, A, S]`, of the averaged f; last, the same of the last f; error `[K, R, A, S, L]` while
    training; closed `[K, R, E, S]`; for sizes `K`, correlations `R`, scales `A`, methods `E`, trials `S`.
    """
    at, truth = grid()
    saved: dict[str, list] = {"flow": [], "last": [], "error": [], "closed": []}
    for n in config.sizes:
        for rho in config.rhos:
            trains = [demand(n, rho=rho, seed=config.seed + i) for i in range(config.seeds)]
            flow = fit(config.flow, trains, at, truth, config.seed)
            closed = [[mse(CLOSED[m](s)(at), truth) for s in trains] for m in config.closed]
            saved["flow"].append(np.log10(np.mean((flow.average - truth) ** 2, -1)))
            saved["last"].append(np.log10(np.mean((flow.last - truth) ** 2, -1)))
            saved["error"].append(np.log10(flow.error).astype(np.float32))
            saved["closed"].append(np.log10(closed))
            best = ", ".join(f"{e:.3f}" for e in saved["flow"][-1].mean(-1))
            folder.say(f"demand n = {n}, rho = {rho:g}: descent-ascent {best} at alpha {config.flow.alphas}")
    cells = (len(config.sizes), len(config.rhos))
    folder.save_result(
        sizes=config.sizes,
        rhos=config.rhos,
        alphas=config.flow.alphas,
        methods=config.closed,
        update=config.flow.every * np.arange(1, config.flow.updates // config.flow.every + 1),
        **{key: np.reshape(value, cells + np.shape(value[0])) for key, value in saved.items()},
    )


def estimate(config: Config) -> dict[str, int]:
    """Members are errors that are reported: one per trial, size, correlation and method."""
    each = (len(config.flow.alphas) + len(config.closed)) * config.seeds
    return {
        "members": len(config.sizes) * len(config.rhos) * each,
        "updates": config.flow.updates,
        "compilations": len(config.sizes),
    }


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """log10 of the mean squared error on the grid, `float[S]`."""
    found = {}
    for k, n in enumerate(result["sizes"]):
        for r, rho in enumerate(result["rhos"]):
            for a, alpha in enumerate(result["alphas"]):
                label = f"n {n}, rho {rho:g}: mean field, alpha {alpha:g}"
                found[label] = result["flow"][k, r, a]
            for e, method in enumerate(result["methods"]):
                found[f"n {n}, rho {rho:g}: {method}"] = result["closed"][k, r, e]
    return found


def figure(folder: RunFolder) -> list[Path]:
    """Errors while training, beside the levels of the closed forms; one panel per size and correlation."""
    result = folder.load_result()
    with plots.paper():
        fig, axes = plots.subplots(len(result["sizes"]), len(result["rhos"]), width=5.0, height=3.4)
        for (k, r), ax in np.ndenumerate(axes):
            _draw(ax, result, k, r)
        return plots.save(fig, folder.figures / "demand_design")


def _draw(ax, result: dict[str, np.ndarray], k: int, r: int) -> None:
    for a, alpha in enumerate(result["alphas"]):
        plots.learning_curve(
            ax,
            result["update"],
            result["error"][k, r, a],
            color=plots.PALETTE[a],
            label=rf"mean field, $\alpha$ = {alpha:g}",
            better="less",
            resamples=500,
        )
        ends = result["flow"][k, r, a]
        ax.plot(np.full(len(ends), result["update"][-1]), ends, ">", color=plots.PALETTE[a], clip_on=False)
    for e, method in enumerate(result["methods"]):
        color = (*plots.PALETTE, plots.GREY, "#8a5a2b", "#3b6ea5")[len(result["alphas"]) + e]
        level = np.median(result["closed"][k, r, e])
        ax.axhline(level, color=color, linewidth=1.1, linestyle=("--", ":")[e % 2], label=method)
    ax.set(
        xlabel="updates",
        ylabel=r"$\log_{10}$ error on the grid",
        title=rf"demand, n = {result['sizes'][k]}, $\rho$ = {result['rhos'][r]:g}",
    )
    ax.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0))


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
