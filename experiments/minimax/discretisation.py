"""Width, step and sampling: errors of order N^-1/2, eps, and eps^1/2 on a fixed interval of time.

The mean-field limit of theory/minimax: particles against a quadrature of their distribution (cosine neurons),
Euler's method and single observations against Runge-Kutta (tanh neurons); alpha = t = 4. Legend: `S` draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
from matplotlib.ticker import NullFormatter

from experiments.shared import fits
from jaxrl.cli.main import experiment_main
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Positive, Seed, Size, check_fields
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.run.folder import RunFolder
from theory.minimax.thm_09_discretisation import euler_errors, sampling_errors, width_errors

KNOWN = {
    "width": {32: 0.0692, 64: 0.0510, 128: 0.0289, 256: 0.0203, 512: 0.0174, 1024: 0.0123, 2048: 0.0075},
    "euler": {0.4: 0.0167, 0.2: 0.0081, 0.1: 0.0040, 0.05: 0.0020, 0.025: 0.00098},
    "sampling": {0.1: 0.288, 0.05: 0.178, 0.025: 0.129, 0.0125: 0.089, 0.00625: 0.0585},
}
"""Errors by an independent implementation."""
PREDICTED = {"width": -0.5, "euler": 1.0, "sampling": 0.5}
RANGE = {"width": (-0.62, -0.42), "euler": (0.95, 1.1), "sampling": (0.4, 0.7)}
"""In which a fitted slope must lie."""


@dataclass(frozen=True)
class Config:
    """Sizes and draws of the three comparisons."""

    widths: tuple[Size, ...] = tuple(KNOWN["width"])
    """Numbers of particles that are compared, all even."""
    steps: tuple[Positive, ...] = tuple(KNOWN["euler"])
    """Steps of Euler's method that are compared, divisors of 4."""
    sampled: tuple[Positive, ...] = tuple(KNOWN["sampling"])
    """Steps of descent-ascent on single observations that are compared."""
    nodes: Size = 32
    """Nodes of the grid in the comparison of widths."""
    orders: tuple[Size, Size, Size] = (6, 28, 16)
    """Orders of the quadrature that stands for infinite width, in beta, w and c."""
    width: Size = 256
    """Particles in the comparisons of steps, an even number."""
    seeds: Size = 16
    """Number of draws per width and per step of Euler's method."""
    runs: Size = 128
    """Number of runs of descent-ascent per step."""
    seed: Seed = 0
    """The root seed, in [0, 2^32)."""

    def __post_init__(self) -> None:
        check_fields(self)
        if any(n % 2 for n in (*self.widths, self.width)):
            raise UsageError(f"widths: even numbers >= 2 (mirror pairs), got {self.widths} and {self.width}")
        if min(len(self.widths), len(self.steps), len(self.sampled)) < 2:
            raise UsageError("widths, steps, sampled: a slope needs two values at least")


PRESETS = {
    "smoke": Config(
        widths=(8, 32),
        steps=(0.4, 0.2),
        sampled=(0.2, 0.1),
        nodes=8,
        orders=(4, 12, 6),
        width=16,
        seeds=2,
        runs=2,
    ),
    "quick": Config(),
    "paper": Config(widths=(*KNOWN["width"], 4096), width=1024, seeds=64, runs=256),
}
BETTER = None  # ratios, positions and slopes have a value to meet


def run(config: Config, folder: RunFolder) -> None:
    """Saves sizes `[n]` and errors `[S, n]` of `width`, `euler` and `sampling`."""
    folder.say(
        f"discretisation: mean-field limit, root seed {config.seed}, {config.seeds} and {config.runs} draws"
    )
    with jax.enable_x64(True):
        found = {
            "width": width_errors(config.seed, config.widths, config.seeds, config.nodes, config.orders),
            "euler": euler_errors(config.seed, config.steps, config.seeds, config.width),
            "sampling": sampling_errors(config.seed, config.sampled, config.runs, config.width),
        }
    folder.save_result(
        **{f"{name}_size": e.size for name, e in found.items()},
        **{f"{name}_error": e.error for name, e in found.items()},
    )
    result = folder.load_result()
    for name, predicted in PREDICTED.items():
        rms = ", ".join(f"{x:.4f}" for x in np.sqrt(np.mean(found[name].error ** 2, axis=0)))
        folder.say(
            f"discretisation: {name} errors {rms}; slope {_slope(result, name)}, predicted {predicted}"
        )


def _slope(result: dict[str, np.ndarray], name: str) -> fits.Slope:
    return fits.slope(result[f"{name}_size"], result[f"{name}_error"])


def estimate(config: Config) -> dict[str, int]:
    """Members are fitted slopes."""
    return {"members": len(PREDICTED)}


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray | Score]:
    """The fitted slopes with the intervals of their regressions."""
    return {f"slope, {name}": _slope(result, name).score() for name in PREDICTED}


def figure(folder: RunFolder) -> list[Path]:
    """One panel per comparison."""
    result = folder.load_result()
    labels = {"width": "particles N", "euler": r"step $\epsilon$", "sampling": r"step $\epsilon$"}
    titles = {"width": "width", "euler": "Euler's method", "sampling": "single observations"}
    with plots.paper():
        fig, axes = plots.subplots(1, 3, width=3.8, height=3.4)
        for ax, (name, predicted) in zip(axes[0], PREDICTED.items(), strict=True):
            size, error = result[f"{name}_size"], result[f"{name}_error"]
            rms = np.sqrt(np.mean(error**2, axis=0))
            ax.plot(size, error.T, ".", color=plots.PALETTE[0], alpha=0.2, markersize=4)
            ax.plot(size, rms, "o-", color=plots.PALETTE[0], label=f"root mean square ({len(error)} draws)")
            known = [(x, y) for x, y in KNOWN[name].items() if x in size]
            if known:
                ax.plot(*zip(*known, strict=True), "x", color=plots.PALETTE[1], label="independent code")
            fits.power_law(ax, size, 0.6 * rms, predicted, f"slope {predicted:g}")
            ax.set(xscale="log", yscale="log", xlabel=labels[name], ylabel="error at t = 4")
            ax.set_title(f"{titles[name]}: {_slope(result, name)}", fontsize=9)
            ax.xaxis.set_minor_formatter(NullFormatter())
            ax.legend(fontsize=7)
        return plots.save(fig, folder.figures / "discretisation")


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
