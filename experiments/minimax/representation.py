"""Representation and lazy limit: particles move 1 / alpha, functions deviate alpha^-2 or alpha^-1.

Checks of `thm_08_representation.py` and `thm_07_lazy_deviation.py` of theory/minimax at full size.
Wasserstein distances are exact, by assignment; the entropic one is drawn to show why it cannot be used.

Legend: `S` draws, `A` scales.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.minimax import members
from experiments.shared import fits
from jaxrl.cli.main import experiment_main
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Positive, Seed, Size, check_fields
from jaxrl.minimax.flow import flow, moved
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import member_keys
from theory.minimax.oracles import entropic_w2, saddle, w2
from theory.minimax.setting import NETWORKS, reference, start
from theory.minimax.thm_07_lazy_deviation import SHIFTED, SYM, instance

MOVED = {1.0: 0.7311, 2.0: 0.7578, 4.0: 0.7725, 8.0: 0.7766, 16.0: 0.7775, 32.0: 0.7777, 64.0: 0.7778}
"""alpha times the root mean squared displacement at t = 10 by an independent implementation, one draw."""
ASYMPTOTIC = 8.0  # slopes are fitted from this scale on


@dataclass(frozen=True)
class Config:
    """Scales, draws, time."""

    alphas: tuple[Positive, ...] = tuple(MOVED)
    """Output scales in ascending order, two at least from 8 on."""
    width: Size = 512
    """Particles per player, an even number."""
    t: Positive = 10.0
    """Time at which the displacement is measured."""
    lazy_t: Positive = 4.0
    """Time at which the deviation from the lazy limit is measured."""
    seeds: Size = 16
    """Number of draws of initial particles."""
    matched: Size = 8
    """Number of draws whose distances are computed by assignment, at most `seeds`."""
    seed: Seed = 0
    """The root seed, in [0, 2^32)."""

    def __post_init__(self) -> None:
        check_fields(self)
        if len([a for a in self.alphas if a >= ASYMPTOTIC]) < 2 or sorted(self.alphas) != list(self.alphas):
            raise UsageError(f"alphas: ascending, two at least from {ASYMPTOTIC:g} on; got {self.alphas}")
        if not 1 <= self.matched <= self.seeds:
            raise UsageError(f"matched: must lie in 1 ... seeds = {self.seeds}, got {self.matched}")


PRESETS = {
    "smoke": Config(alphas=(8.0, 32.0), width=32, t=2.0, lazy_t=2.0, seeds=2, matched=1),
    "quick": Config(),
    "paper": Config(width=2048, seeds=64, matched=8),
}
BETTER = None  # ratios, positions and slopes have a value to meet


def run(config: Config, folder: RunFolder) -> None:
    """Saves `moved [S, A]`, `w2` and `entropic [matched, A]`, `sym` and `shifted [S, A]`, deviations."""
    folder.say(f"representation: seeds {config.seed} + 0 ... {config.seeds - 1}")
    with jax.enable_x64(True):
        made, steps = reference(), round(10 * config.t)
        solution = saddle(made)

        def one(key: Any, alpha: Any) -> Any:
            players = start(key, config.width)
            trace = flow(NETWORKS, players, made, alpha, solution, dt=0.1, steps=steps, every=steps)
            return trace.theta, moved(players, trace)[-1]

        flows = jax.jit(members.table(one))
        keys = member_keys(config.seed, config.seeds)
        theta, shift = map(np.asarray, flows(keys, jnp.array(config.alphas)))
        seeds = dict(seed=config.seed, alphas=config.alphas, draws=config.seeds, width=config.width)
        sym, shifted = (instance(initial=initial, t=config.lazy_t, **seeds) for initial in (SYM, SHIFTED))
    pairs = theta[: config.matched]
    folder.save_result(
        alphas=config.alphas,
        t=config.t,
        lazy_t=config.lazy_t,
        moved=shift,
        w2=[[w2(end, first) for first, end in row] for row in pairs],
        entropic=[[entropic_w2(end, first) for first, end in row] for row in pairs],
        sym=sym,
        shifted=shifted,
    )
    result = folder.load_result()
    for alpha, x in zip(config.alphas, (shift * np.array(config.alphas)).T, strict=True):
        known = f", known {MOVED[alpha]} at t = 10" if alpha in MOVED else ""
        folder.say(f"representation: alpha {alpha:g}: alpha displacement = {x.mean():.4f}{known}")
    for name, predicted in PREDICTED.items():
        folder.say(f"representation: slope of {name} {_slope(result, name)}, predicted {predicted}")


PREDICTED = {"moved": -1, "w2": -1, "sym": -2, "shifted": -1}


def _slope(result: dict[str, np.ndarray], name: str) -> fits.Slope:
    late = result["alphas"] >= (2 if name == "shifted" else 1) * ASYMPTOTIC
    late = late if late.sum() > 1 else result["alphas"] >= ASYMPTOTIC
    return fits.slope(result["alphas"][late], result[name][:, late])


def estimate(config: Config) -> dict[str, int]:
    """Members are flows and fitted slopes."""
    return {"members": config.seeds * len(config.alphas) + len(PREDICTED)}


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray | Score]:
    """alpha times the displacement, `float[S]`, by scale; fitted slopes."""  # noqa: D403
    scaled = (result["alphas"] * result["moved"]).T
    found = {f"alpha displacement, alpha {a:g}": x for a, x in zip(result["alphas"], scaled, strict=True)}
    return found | {f"slope of {name}": _slope(result, name).score() for name in PREDICTED}


def figure(folder: RunFolder) -> list[Path]:
    """Displacement and distances; deviations from the lazy limit."""
    result = folder.load_result()
    alphas = result["alphas"]
    rms = {name: np.sqrt(np.mean(result[name] ** 2, axis=0)) for name in (*PREDICTED, "entropic")}
    with plots.paper():
        fig, axes = plots.subplots(1, 2, width=4.8, height=3.6)
        ax = axes[0, 0]
        ax.plot(alphas, rms["moved"], "o-", label=f"displacement, slope {_slope(result, 'moved')}")
        ax.plot(alphas, rms["w2"], "x--", label=f"exact W2, slope {_slope(result, 'w2')}")
        ax.plot(alphas, rms["entropic"], "s-", label="Sinkhorn at 1 % of the mean cost", alpha=0.6)
        fits.power_law(ax, alphas, 0.7 * rms["moved"], -1, "slope -1 (theorem)")
        ax.set(
            xscale="log",
            yscale="log",
            xlabel=r"$\alpha$",
            ylabel=f"distance from the start, t = {result['t']:g}",
        )
        ax.set_title("representation", fontsize=9)
        ax.legend(fontsize=7)
        ax = axes[0, 1]
        for name, text, predicted in (("sym", "mirror pairs", -2), ("shifted", "no symmetry", -1)):
            label = f"{text}, slope {_slope(result, name)}"
            (line,) = ax.plot(alphas, rms[name], "o-", label=label)
            ax.plot(alphas, result[name].T, color=line.get_color(), alpha=0.15, linewidth=0.6)
            fits.power_law(ax, alphas, 0.7 * rms[name], predicted, f"slope {predicted} (theorem)")
        ax.set(
            xscale="log",
            yscale="log",
            xlabel=r"$\alpha$",
            ylabel=f"distance to the lazy limit, t = {result['lazy_t']:g}",
        )
        ax.set_title(f"functions, root mean square of {len(result['sym'])} draws", fontsize=9)
        ax.legend(fontsize=7)
        return plots.save(fig, folder.figures / "representation")


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
