"""Duality on finite MDPs: values of every divergence, certificates, gradients, and the need for coverage.

Legend: `F` divergences, `K` values of alpha, `G` gradients, `C` levels of coverage, `M` methods, `S` seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from jaxrl.cli.main import experiment_main
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Count, Positive, Range, Seed, Size, check_fields
from jaxrl.dual_rl.divergences import DIVERGENCES, divergence
from jaxrl.report import plots
from jaxrl.run.folder import RunFolder
from theory.dual_rl.duality import dual_v, recoil_v
from theory.dual_rl.gradients import at_rest
from theory.dual_rl.imitation import recoil_released, smodice
from theory.dual_rl.reference import Problem, problem, reference_problem
from theory.exact.occupancy import policy_of
from theory.exact.optimal_control import solve
from theory.exact.policy_evaluation import evaluate_policy
from theory.exact.tables import random_mdps, random_policies

_Inside = Annotated[float, Range(0, 1, open_low=True, open_high=True)]
GRADIENTS = ("full", "semi", "orthogonal")
GRADIENT_DIVERGENCES = ("kl_n", "chi2")
METHODS = (
    "ReCOIL, exact",
    "ReCOIL, released",
    "SMODICE, data and expert",
    "SMODICE, data alone",
    "cloning data and expert",
)


@dataclass(frozen=True)
class Config:
    """Weights of the divergence for the reference MDP, and the random MDPs of the study of coverage."""

    alphas: tuple[Positive, ...] = tuple(float(x) for x in np.logspace(-2, 2, 65))
    """Weights alpha of the divergence."""
    divergences: tuple[str, ...] = tuple(key for key in DIVERGENCES if key != "kl")
    """Keys of the registry of divergences."""
    beta: _Inside = 0.5
    """Share of the policy in ReCOIL's mixtures, in (0, 1)."""
    expert: _Inside = 0.1
    """Share of expert pairs in the unlabelled data of the released ReCOIL, of SMODICE and of cloning, in (0,
    1)."""
    states: Size = 8
    """Number of states of the random MDPs."""
    actions: Annotated[int, Range(2)] = 4
    """Number of actions of the random MDPs, at least 2, so that one can be missing."""
    uncovered: tuple[Count, ...] = (0, 2, 4, 6, 8)
    """Numbers of states in which the suboptimal data lack the expert's action, at most `states`."""
    seeds: Size = 20
    """Number of random MDPs."""
    seed: Seed = 0
    """Seed of the first random MDP; MDP i has seed + i."""

    def __post_init__(self) -> None:
        check_fields(self)
        for key in self.divergences:
            divergence(key)
        if any(not 0 <= k <= self.states for k in self.uncovered):
            raise UsageError(f"uncovered: must lie in 0 .. {self.states}, got {self.uncovered}")
        if not self.alphas:
            raise UsageError("alphas: give at least one")


PRESETS = {
    "smoke": Config(alphas=(0.01, 0.1, 1.0, 10.0), states=5, actions=3, uncovered=(0, 3, 5), seeds=2),
    "quick": Config(),
    "paper": Config(
        alphas=tuple(float(x) for x in np.logspace(-3, 3, 145)),
        states=20,
        actions=5,
        uncovered=tuple(range(0, 21, 2)),
        seeds=100,
    ),
}
BETTER = "more"


def run(config: Config, folder: RunFolder) -> None:
    """Saves `value`, `gap`, `flow` `[F, K]`, `j [D, G, K]` by divergence and gradient, and `score [C, M, S]`.

    score: 1 for the expert's return, 0 for that of the uniform policy.
    """
    m1 = reference_problem()
    duals = [[dual_v(m1.mdp, m1.d_o, key, alpha) for alpha in config.alphas] for key in config.divergences]
    folder.say(f"duality: largest gap {max(abs(d.gap) for row in duals for d in row):.1e}")
    j = [
        [
            [_return(m1, at_rest(m1.mdp, m1.d_o, key, alpha, gradient).policy) for alpha in config.alphas]
            for gradient in GRADIENTS
        ]
        for key in GRADIENT_DIVERGENCES
    ]
    score = np.zeros((len(config.uncovered), len(METHODS), config.seeds))
    for i in range(config.seeds):
        mdp = random_mdps(config.seed + i, 1, config.states, config.actions)[0]
        mu = random_policies(config.seed + i + 1_000_000, 1, config.states, config.actions)[0]
        for c, uncovered in enumerate(config.uncovered):
            score[c, :, i] = _scores(problem(mdp, mu, uncovered), config)
    folder.save_result(
        alpha=config.alphas,
        divergence=config.divergences,
        value=[[d.value for d in row] for row in duals],
        gap=[[abs(d.gap) for d in row] for row in duals],
        flow=[[d.flow for d in row] for row in duals],
        best=_return(m1, solve(m1.mdp).policy),
        behaviour=_return(m1, policy_of(m1.d_o)),
        j=j,
        missing=np.array(config.uncovered) / config.states,
        score=score,
    )


def _scores(p: Problem, config: Config) -> np.ndarray:
    """`[M]`, normalised returns."""
    mixed = (1 - config.expert) * p.d_s + config.expert * p.d_e
    policies = (
        recoil_v(p.mdp, p.d_e, p.d_s, config.beta, "chi2").policy,
        recoil_released(p.mdp, p.d_e, mixed).policy,
        smodice(p.mdp, p.d_e, mixed).policy,
        smodice(p.mdp, p.d_e, p.d_s).policy,
        policy_of(mixed),
    )
    uniform = _return(p, np.full(p.d_e.shape, 1 / p.d_e.shape[1]))
    expert = _return(p, policy_of(p.d_e))
    return np.array([(_return(p, pi) - uniform) / (expert - uniform) for pi in policies])


def _return(p: Problem, policy: np.ndarray) -> float:
    """E_d[r], the return times 1 - gamma."""
    return (1 - float(p.mdp.gamma)) * evaluate_policy(p.mdp, policy).j


def estimate(config: Config) -> dict[str, int]:
    """Members are methods on random MDPs at a level of coverage."""
    return {"members": len(config.uncovered) * len(METHODS) * config.seeds}


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Normalised return `float[S]` by method and share of states whose data lack the expert's action."""
    return {
        f"{method}, {missing:.0%} missing": values
        for missing, level in zip(result["missing"], result["score"], strict=True)
        for method, values in zip(METHODS, level, strict=True)
    }


def figure(folder: RunFolder) -> list[Path]:
    """Values, certificates, gradients, coverage."""
    result = folder.load_result()
    with plots.paper():
        fig, axes = plots.subplots(2, 2, width=4.9, height=3.7)
        _values(axes[0, 0], result)
        _certificates(axes[0, 1], result)
        _gradients(axes[1, 0], result)
        _coverage(axes[1, 1], result)
        return plots.save(fig, folder.figures / "tabular_duality")


def _values(ax, result: dict[str, np.ndarray]) -> None:
    for key, y, color in zip(result["divergence"], result["value"], plots.PALETTE, strict=False):
        ax.plot(result["alpha"], y, label=str(key), color=color)
    for level, name, x in ((result["best"], "linear programme", 1), (result["behaviour"], "behaviour", 0.2)):
        ax.axhline(level, color=plots.GREY, linewidth=0.8, linestyle=":")
        ax.annotate(name, (x, level), (0, 2), xycoords=("axes fraction", "data"), **_NOTE)
    ax.set(xscale="log", xlabel=r"$\alpha$", ylabel="value", title="optimum of each divergence")
    ax.legend(loc="upper right", bbox_to_anchor=(1, 0.92))


def _certificates(ax, result: dict[str, np.ndarray]) -> None:
    for key, gap, flow, color in zip(
        result["divergence"], result["gap"], result["flow"], plots.PALETTE, strict=False
    ):
        ax.plot(result["alpha"], np.maximum(gap, _FLOOR), "o", color=color, markersize=3.5, label=str(key))
        ax.plot(result["alpha"], np.maximum(flow, _FLOOR), "x", color=color, markersize=4)
    ax.set(
        xscale="log",
        yscale="log",
        ylim=(_FLOOR / 3, 1e-9),
        xlabel=r"$\alpha$",
        ylabel="error",
        title="certificates: gap (o), flow residual (x)",
    )
    ax.legend(ncols=3, loc="upper center")


def _gradients(ax, result: dict[str, np.ndarray]) -> None:
    for key, by_gradient, color in zip(GRADIENT_DIVERGENCES, result["j"], plots.PALETTE, strict=False):
        for gradient, y, line in zip(GRADIENTS[1:], by_gradient[1:], ("-", "--"), strict=True):
            ax.plot(result["alpha"], y - by_gradient[0], line, color=color, label=f"{gradient}, {key}")
    ax.axhline(0, color=plots.GREY, linewidth=0.8, linestyle=":")
    ax.set(
        xscale="log",
        xlabel=r"$\alpha$",
        ylabel="return minus that of the full gradient",
        title="policies of semi and orthogonal gradients",
    )
    ax.legend(loc="best")


def _coverage(ax, result: dict[str, np.ndarray]) -> None:
    for i, (name, y) in enumerate(zip(METHODS, result["score"].swapaxes(0, 1), strict=True)):
        plots.learning_curve(
            ax, 100 * result["missing"], y.T, label=name, color=plots.PALETTE[i], better="more"
        )
    for line in ax.lines:
        if str(line.get_label()).startswith(METHODS[1]):
            line.set_linestyle((0, (4, 4)))  # it lies on the exact form
    ax.set(
        xlabel="states whose data lack the expert's action, %",
        ylabel="score (1 expert, 0 uniform)",
        title="imitation without coverage",
    )
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2, fontsize=7.5)


_FLOOR = 1e-17  # shown for errors that are exactly 0
_NOTE = {"textcoords": "offset points", "ha": "right", "fontsize": 7.5, "color": plots.GREY}


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
