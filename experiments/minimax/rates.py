"""Gap against time: the average decays like C / T with the constant of the sum rule, at every scale alpha.

Checks of `thm_05_rate.py` and `thm_06_sum_rule.py` of theory/minimax at full size: planted instances of the
reference problem (Gaussian instruments of correlation 0.7, lam = 0.1), whose saddle lies at distance
O(1 / alpha) from the initial particles. Beside them the lazy limit of cosine neurons, in which G rises before
it falls. The gap is measured to the penalised saddle.

Legend: `S` seeds, `A` scales, `T` saved times.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.minimax import members
from experiments.shared import fits
from jaxrl.cli.main import experiment_main
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Positive, Range, Seed, Size, check_fields
from jaxrl.minimax.flow import flow, gap
from jaxrl.minimax.lazy import check_step
from jaxrl.minimax.particles import cos_kernel
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import member_keys
from theory.minimax.oracles import lazy_solution, planted, saddle
from theory.minimax.setting import NETWORKS, coefficients, reference, start

RATIO = {1.0: 0.898, 2.0: 0.968, 4.0: 0.991, 8.0: 0.9976, 16.0: 0.9992, 32.0: 0.9996, 64.0: 0.9997}
"""T avg G / C at T = 400 by an independent implementation, one draw, N = 256."""


@dataclass(frozen=True)
class Config:
    """Scales, draws and the grid of time."""

    alphas: tuple[Positive, ...] = tuple(RATIO)
    """Output scales, > 0, one at least."""
    width: Size = 256
    """Particles per player, an even number."""
    horizon: Annotated[float, Range(10)] = 400.0
    """Time T at which the flow ends, >= 10."""
    dt: Positive = 0.1
    """Step in time of the Runge-Kutta method."""
    seeds: Size = 8
    """Number of draws of initial particles."""
    seed: Seed = 0
    """The root seed, in [0, 2^32)."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.alphas:
            raise UsageError("Config.alphas: needs one scale at least")


PRESETS = {
    "smoke": Config(alphas=(2.0, 16.0), width=16, horizon=20.0, seeds=2),
    "quick": Config(),
    "paper": Config(width=1024, seeds=32),
}
BETTER = None  # ratios, positions and slopes have a value to meet


def run(config: Config, folder: RunFolder) -> None:
    """Saves `t [T]`, `gap`, `dissipated [S, A, T]`, `bound [S]`, and the lazy curve `lazy_t`, `lazy_gap`."""
    folder.say(f"rates: rate and sum rule, seeds {config.seed} + 0 ... {config.seeds - 1}")
    with jax.enable_x64(True):
        made = reference()
        every = max(1, round(config.horizon / config.dt) // 200)
        steps = every * round(config.horizon / config.dt / every)
        keys = member_keys(config.seed, config.seeds)
        limit = check_step(NETWORKS, start(keys[0], config.width), made, config.dt)

        def one(key: Any, alpha: Any) -> Any:
            players = start(key, config.width)
            plan = planted(NETWORKS, players, made, *coefficients(made), alpha)
            trace = flow(
                NETWORKS, players, plan.problem, alpha, plan.saddle, dt=config.dt, steps=steps, every=every
            )
            return trace.t, trace.gap, trace.dissipated, plan.bound

        flows = jax.jit(members.table(one))
        t, G, dissipated, bound = map(np.asarray, flows(keys, jnp.array(config.alphas)))
        lazy_t, lazy_gap = _lazy_curve()
    folder.save_result(
        alphas=config.alphas,
        t=t[0, 0],
        gap=G,
        dissipated=dissipated,
        bound=bound[:, 0],
        lazy_t=lazy_t,
        lazy_gap=lazy_gap,
    )
    ratio = dissipated[..., -1] / bound
    for alpha, x in zip(config.alphas, ratio.T, strict=True):
        known = f", known {RATIO[alpha]} at T = 400" if alpha in RATIO else ""
        folder.say(f"rates: alpha {alpha:g}: T avg G / C = {x.mean():.4f} at T = {t[0, 0, -1]:g}{known}")
    folder.say(f"rates: slope of avg G {_slope(folder.load_result())}, predicted -1; Euler limit {limit:.3g}")


def _lazy_curve() -> tuple[np.ndarray, np.ndarray]:
    """G along the linear equation of infinitely many cosine neurons, 32 nodes, to t = 10."""
    made = reference(32)
    kernel = np.asarray(cos_kernel(made.x[:, 0], made.x[:, 0]))
    t = 0.05 * np.arange(201)
    path = jnp.array([lazy_solution(made, kernel, kernel, float(now)) for now in t])
    return t, np.asarray(gap(made, path[:, :32], path[:, 32:], saddle(made)))


def _average(result: dict[str, np.ndarray]) -> np.ndarray:
    """`[S, A, T - 1]`, running average of G without the start."""
    return result["dissipated"][..., 1:] / result["t"][1:]


def _slope(result: dict[str, np.ndarray]) -> fits.Slope:
    """Exponent of the running average over the last seven eighths of time, largest scale."""
    t = result["t"][1:]
    late = t >= t[-1] / 8
    return fits.slope_of_draws(t[late], _average(result)[:, -1, late])


def estimate(config: Config) -> dict[str, int]:
    """Members are two numbers of every flow, the slope of every draw, and the lazy curve."""
    return {"members": config.seeds * (2 * len(config.alphas) + 1) + 1}


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray | Score]:
    """T avg G / C and G at the end, `float[S]`, by scale; slopes of draws; the lazy curve at t = 10."""
    ratio = result["dissipated"][..., -1] / result["bound"][:, None]
    found: dict[str, np.ndarray | Score] = {
        f"T avg G / C, alpha {a:g}": x for a, x in zip(result["alphas"], ratio.T, strict=True)
    }
    ends = zip(result["alphas"], result["gap"][..., -1].T, strict=True)
    found |= {f"G at the end, alpha {a:g}": x for a, x in ends}
    late = result["t"][1:] >= result["t"][-1] / 8
    found["slope of avg G"] = fits.slopes(result["t"][1:][late], _average(result)[:, -1, late])
    return found | {"lazy G(10)": Score(result["lazy_gap"][-1:], note="no draw")}


def figure(folder: RunFolder) -> list[Path]:
    """Average gap with the line C / T, the ratio to it, the gap itself, and the lazy curve."""
    result = folder.load_result()
    t, average = result["t"][1:], _average(result)
    bound = result["bound"][:, None, None]
    with plots.paper():
        fig, axes = plots.subplots(2, 2, width=4.8, height=3.6)
        ax = axes[0, 0]
        for a, y in zip(result["alphas"], np.median(average / bound, axis=0), strict=True):
            ax.plot(t, y, label=rf"$\alpha$ = {a:g}")
        ax.plot(t, 1 / t, color=plots.GREY, linestyle=":", label="C / T (sum rule)")
        ax.set(xscale="log", yscale="log", xlabel="T", ylabel="average of G up to T, over C")
        ax.set_title(f"slope {_slope(result)}, predicted -1", fontsize=9)
        ax.legend(ncols=2, fontsize=7)
        ax = axes[0, 1]
        for a, y in zip(result["alphas"], np.swapaxes(average * t / bound, 0, 1), strict=True):
            (line,) = ax.plot(t, y.mean(0), label=rf"{a:g}")
            ax.fill_between(t, y.min(0), y.max(0), color=line.get_color(), alpha=0.2, linewidth=0)
        ax.axhline(1, color=plots.GREY, linestyle=":")
        ax.set(xscale="log", xlabel="T", ylabel="T avg G / C")
        ax.set_title(f"approaches 1 like $\\alpha^{{-2}}$ ({len(bound)} draws, range)", fontsize=9)
        ax = axes[1, 0]
        for a, y in zip(result["alphas"], np.median(result["gap"], axis=0), strict=True):
            ax.plot(result["t"][1:], y[1:], label=rf"{a:g}")
        ax.set(xscale="log", yscale="log", xlabel="t", ylabel="G(t), median")
        ax.set_title(r"no floor of height $1 / \alpha$", fontsize=9)
        ax = axes[1, 1]
        ax.plot(result["lazy_t"], result["lazy_gap"], color=plots.PALETTE[0])
        ax.set(xlabel="t", ylabel="G(t)", ylim=(0, None))
        ax.set_title("lazy limit, cosine neurons: G is not monotone", fontsize=9)
        return plots.save(fig, folder.figures / "rates")


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
