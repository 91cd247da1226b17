"""Implicit maximisers: the V of every surrogate against lambda, from the mean of Q to its maximum and beyond.

Legend: `N` maximisers, `L` values of lambda (or tau, or 1 / (1 + b)), `R` reward scales, `S` seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxrl.cli.main import experiment_main
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Positive, Seed, Share, Size, check_fields
from jaxrl.dual_rl.divergences import check_lambda
from jaxrl.dual_rl.objectives import EXPECTILE, GUMBEL, conjugate
from jaxrl.report import plots
from jaxrl.run.folder import RunFolder
from theory.dual_rl.maximisers import fixed_point, implicit_maximum
from theory.dual_rl.reference import behaviour, reference_mdp
from theory.exact.optimal_control import solve
from theory.exact.policy_evaluation import evaluate_policy
from theory.exact.tables import random_mdps, random_policies

CUT = {f"{key} relu": conjugate(key, "relu") for key in ("chi2", "tv", "kl_n", "hel", "js")}
EXACT = {f"{key} exact": conjugate(key, "exact") for key in ("chi2", "tv", "kl_n", "hel", "js", "fkl")}
LITERAL = {"chi2 literal": conjugate("chi2", "literal")}
OTHERS = {"expectile": EXPECTILE, "Gumbel": GUMBEL}
MAXIMISERS = {**CUT, **LITERAL, **OTHERS}

Q = np.array([0.0, 0.5, 1.0, 2.0])
"""Values of one state, with the probabilities below."""
MU = np.array([0.3, 0.3, 0.2, 0.2])


@dataclass(frozen=True)
class Config:
    """Levels, scales and random MDPs."""

    lambdas: tuple[Share, ...] = tuple(round(0.52 + 0.02 * i, 2) for i in range(24))
    """Levels in (1/2, 1), ascending: lambda of conjugates, tau of expectiles, 1 / (1 + b) of the Gumbel
    loss."""
    reported: Share = 0.8
    """Level of the scores and of the figure over scales; one of `lambdas`."""
    scales: tuple[Positive, ...] = tuple(float(x) for x in np.logspace(-1, 3, 33))
    """Factors of Q in the figure over scales."""
    seeds: Size = 20
    """Number of random MDPs, of 8 states and 4 actions each."""
    seed: Seed = 0
    """Seed of the first random MDP; MDP i has seed + i."""

    def __post_init__(self) -> None:
        check_fields(self)
        for level in self.lambdas:
            check_lambda("tv", level)
        if self.reported not in self.lambdas:
            raise UsageError(f"reported: must be one of lambdas {self.lambdas}, got {self.reported}")


PRESETS = {
    "smoke": Config(lambdas=(0.6, 0.8, 0.95), scales=(0.1, 10.0, 1000.0), seeds=2),
    "quick": Config(),
    "paper": Config(lambdas=tuple(round(0.51 + 0.01 * i, 2) for i in range(49)), seeds=100),
}
BETTER = None  # ratios, positions and slopes have a value to meet


def run(config: Config, folder: RunFolder) -> None:
    """Saves `one_state [N, L]`, `position [N, S, L]`, `by_scale [N, R]`, and of exact conjugates `overshoot`.

    position: (V - V^mu) / (V* - V^mu), averaged over states: 0 for the behaviour's values, 1 for the optimum.
    """
    level = np.array(config.lambdas)
    best = solve(reference_mdp()).v
    position = np.zeros((len(MAXIMISERS), config.seeds, len(level)))
    for i in range(config.seeds):
        mdp = random_mdps(config.seed + i, 1, 8, 4)[0]
        mu = random_policies(config.seed + i + 1_000_000, 1, 8, 4)[0]
        low, high = evaluate_policy(mdp, mu).v, solve(mdp).v
        for n, (name, maximiser) in enumerate(MAXIMISERS.items()):
            v = fixed_point(maximiser, _parameter(name, level), mdp, mu)
            position[n, i] = ((v - low) / (high - low)).mean(-1)
        folder.say(f"implicit_maximisers: MDP {i + 1} of {config.seeds}")
    folder.save_result(
        level=level,
        scale=config.scales,
        reported=config.reported,
        one_state=[_one_state(name, m, level, np.ones_like(level)) for name, m in MAXIMISERS.items()],
        overshoot=[
            (fixed_point(m, _parameter(name, level), reference_mdp(), behaviour()) - best).max(-1)
            for name, m in EXACT.items()
        ],
        position=position,
        by_scale=[
            _one_state(name, m, np.full(len(config.scales), config.reported), np.array(config.scales))
            / np.array(config.scales)
            for name, m in MAXIMISERS.items()
        ],
    )


def _parameter(name: str, level: np.ndarray) -> np.ndarray:
    return 1 / level - 1 if name == "Gumbel" else level


def _one_state(name: str, maximiser, level: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """`[L]`, V of the state with values `scale [L]` times Q."""
    q = scale[:, None, None] * Q
    return implicit_maximum(maximiser, _parameter(name, level), q, np.broadcast_to(MU, q.shape))[:, 0]


def estimate(config: Config) -> dict[str, int]:
    """Members are maximisers on random MDPs."""
    return {"members": len(MAXIMISERS) * config.seeds}


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Position between the behaviour's values (0) and the optimum (1), `float[S]`, at the reported level."""
    at = int(np.argmax(result["level"] == result["reported"]))
    return {
        f"{name}, level {float(result['reported']):g}": x[:, at]
        for name, x in zip(MAXIMISERS, result["position"], strict=True)
    }


def figure(folder: RunFolder) -> list[Path]:
    """One state, overshoot, random MDPs, reward scale."""
    result = folder.load_result()
    with plots.paper():
        fig, axes = plots.subplots(2, 2, width=5.2, height=4.0)
        _draw_one_state(axes[0, 0], result)
        _draw_overshoot(axes[0, 1], result)
        _draw_position(axes[1, 0], result)
        _draw_scale(axes[1, 1], result)
        return plots.save(fig, folder.figures / "implicit_maximisers")


def _draw_one_state(ax, result: dict[str, np.ndarray]) -> None:
    for name, y in zip(MAXIMISERS, result["one_state"], strict=True):
        ax.plot(result["level"], y, **_look(name), label=name)
    for height, name in ((Q.max(), "max Q"), (MU @ Q, "mean Q")):
        _level(ax, height, name)
    ax.set(
        ylim=(-0.1, 2.2),
        xlabel=_LEVEL,
        ylabel="V of one state",
        title="one state: from the mean towards the maximum",
    )
    ax.legend(ncols=2, loc="lower right", fontsize=7.5)


def _draw_overshoot(ax, result: dict[str, np.ndarray]) -> None:
    for name, y in zip(EXACT, result["overshoot"], strict=True):
        ax.plot(result["level"], y, **_look(name), label=name)
    _level(ax, 0.0, "optimum")
    _level(ax, 20.0, r"limit of chi2, $2 / (1 - \gamma)$", end=0.4)
    ax.set(
        ylim=(-12, 42),
        xlabel=_LEVEL,
        ylabel="max (V - V*), reference MDP",
        title="exact conjugates overshoot",
    )
    ax.legend(loc="upper left")


def _draw_position(ax, result: dict[str, np.ndarray]) -> None:
    for name, y in zip(MAXIMISERS, result["position"], strict=True):
        look = _look(name)
        plots.learning_curve(ax, result["level"], y, label=name, color=look["color"])
        ax.lines[-1 if len(y) == 1 or len(y) >= 10 else -1 - len(y)].set_linestyle(look["linestyle"])
    _level(ax, 1.0, "optimum")
    ax.set(xlabel=_LEVEL, ylabel="0 behaviour, 1 optimum", title="fixed points on random MDPs")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, fontsize=7)


def _draw_scale(ax, result: dict[str, np.ndarray]) -> None:
    for name, y in zip(MAXIMISERS, result["by_scale"], strict=True):
        ax.plot(result["scale"], y, **_look(name), label=name)
    for height, name in ((Q.max(), "max Q"), (MU @ Q, "mean Q")):
        _level(ax, height, name)
    level = float(result["reported"])
    ax.set(
        xscale="log",
        ylim=(0.6, 2.2),
        xlabel="scale of Q",
        ylabel="V / scale",
        title=f"only quantiles and expectiles are scale free (level {level:g})",
    )


def _level(ax, height: float, name: str, end: float = 1.0) -> None:
    ax.axhline(height, color=plots.GREY, linewidth=0.8, linestyle=":")
    ax.annotate(
        name,
        (end, height),
        (0, 2),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        ha="right",
        fontsize=7.5,
        color=plots.GREY,
    )


def _look(name: str) -> dict[str, str]:
    """Colour by divergence, dashes by surrogate."""
    key, _, mode = name.partition(" ")
    keys = ("chi2", "tv", "kl_n", "hel", "js", "fkl", "expectile", "Gumbel")
    colors = (*plots.PALETTE[:7], "#7f7f7f")
    lines = {"relu": "-", "exact": "--", "literal": ":"}
    return {"color": colors[keys.index(key)], "linestyle": lines.get(mode, "-")}


_LEVEL = r"level: $\lambda$, $\tau$, or $1 / (1 + b)$"


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
