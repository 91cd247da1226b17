"""Riesz representer: the average derivative E g'(X) of X ~ N(0, 1), whose representer is rho(x) = x.

Population flows without a penalty. The representer f that is found gives the average derivative of any g as
E f(X) g(X): of sin it is exp(-1/2), by Stein's identity. Legend: `S` seeds, `T` saved times, `n` nodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.minimax import members
from jaxrl.cli.main import experiment_main
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Positive, Seed, Size, check_fields
from jaxrl.minimax import instances
from jaxrl.minimax.flow import flow
from jaxrl.report import plots
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import member_keys
from theory.minimax.oracles import saddle
from theory.minimax.setting import NETWORKS, start

DERIVATIVE = "average derivative of sin"
ERROR = "representer, relative error"


@dataclass(frozen=True)
class Config:
    """Networks, time, draws."""

    width: Size = 256
    """Particles per player, an even number."""
    alpha: Positive = 8.0
    """Output scale of both networks, > 0."""
    horizon: Positive = 1000.0
    """Time at which the flow ends, by Heun's method in steps of 0.2; a multiple of 10."""
    seeds: Size = 10
    """Number of draws of initial particles."""
    seed: Seed = 0
    """The root seed, in [0, 2^32)."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.width % 2:
            raise UsageError(f"width: must be even and >= 2 (mirror pairs), got {self.width}")
        if self.horizon % 10:
            raise UsageError(f"horizon: must be a multiple of 10, got {self.horizon:g}")


PRESETS = {
    "smoke": Config(width=16, horizon=10.0, seeds=2),
    "quick": Config(),
    "paper": Config(width=1024, seeds=20),
}
BETTER = None  # a derivative has a value to meet


def run(config: Config, folder: RunFolder) -> None:
    """Saves `t [T]`, `error [S, T]` (|rho| is 1), `derivative [S, T]`, and f `[S, n]` at x, p `[n]`."""
    folder.say(f"riesz: closed form, seeds {config.seed} + 0 ... {config.seeds - 1}")
    made = instances.average_derivative()
    x, p = made.x[:, 0], made.p

    def one(key: Any) -> Any:
        players, steps = start(key, config.width), round(config.horizon / 0.2)
        solution = saddle(made)
        trace = flow(
            NETWORKS, players, made, config.alpha, solution, dt=0.2, steps=steps, every=50, scheme="heun"
        )
        return trace.f

    with jax.enable_x64(True):
        f = np.asarray(jax.jit(members.over(one))(member_keys(config.seed, config.seeds)))
    folder.save_result(
        t=10.0 * np.arange(f.shape[1]),
        error=np.sqrt((f - x) ** 2 @ p),
        derivative=f @ (p * np.sin(x)),
        x=x,
        p=p,
        f=f[:, -1],
    )
    for name, found in scores(folder.load_result()).items():
        folder.say(f"riesz: {name}: {found}; closed form {np.exp(-0.5) if name == DERIVATIVE else 0:.7g}")


def estimate(config: Config) -> dict[str, int]:
    """Members are two numbers of every flow."""
    return {"members": 2 * config.seeds, "compilations": 1}


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The average derivative of sin and the error of the representer at the end, `float[S]`."""
    return {DERIVATIVE: result["derivative"][:, -1], ERROR: result["error"][:, -1]}


def figure(folder: RunFolder) -> list[Path]:
    """Errors against time, and the representers at the end."""
    result = folder.load_result()
    t = result["t"]
    with plots.paper():
        fig, axes = plots.subplots(1, 2, width=4.2, height=3.2)
        ax = axes[0, 0]
        off = np.abs(result["derivative"] - np.exp(-0.5))
        for name, y, color in (("representer", result["error"], 0), ("derivative of sin", off, 1)):
            ax.plot(t, np.median(y, axis=0), color=plots.PALETTE[color], label=name)
            ax.plot(t, y.T, color=plots.PALETTE[color], alpha=0.25, linewidth=0.5)
        ax.set(yscale="log", xlabel="t", ylabel="error", title=f"{len(off)} draws")
        ax.legend()
        ax = axes[0, 1]
        middle = np.abs(result["x"]) < 4
        ax.plot(result["x"][middle], result["f"][:, middle].T, color=plots.PALETTE[0], alpha=0.6)
        ax.plot(result["x"][middle], result["x"][middle], "k--", label=r"$\rho(x) = x$")
        ax.set(xlabel="x", ylabel="f(x)", title="at the end")
        ax.legend()
        return plots.save(fig, folder.figures / "riesz")


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
