"""A step size that knows the horizon, on softmax bandits, beside small bandits with exact values.

Evolution learns log eta = w . (1, n/N, ln N), once with the time inputs masked (blind: one constant step) and
once with them; both arms of a meta-seed share tasks, perturbations and pulls. The chosen mean is evaluated on
bandits that neither training nor its choice has seen, the same for all: told the truth, told another horizon,
and stopped after half of its lifetime. Beside it stand bandits whose optimal rule must know the horizon.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core import spmd
from jaxrl.core.fields import Seed, Size, check_fields
from jaxrl.core.prng import stream
from jaxrl.core.types import Array, Key, PyTree
from jaxrl.meta import bandit, evolution
from jaxrl.meta.objective import MASKS
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import member_keys, sweep
from theory.exact import bandits

ARMS = {"blind": "none", "aware": "paper"}
SITUATIONS = {  # factor of the horizon that is told, share of the lifetime that is played
    "told the truth": (1.0, 1.0),
    "told N/4": (0.25, 1.0),
    "told 4N": (4.0, 1.0),
    "stopped at N/2": (1.0, 0.5),
}
FIXED = {"constant step of 1": (0.0, 0.0, 0.0), "schedule by hand": (1.2, 1.2, -0.6)}
KNOWN = 0.6  # mean of the known arm of the one-armed bandit
SMALL = (2, 5, 10, 20, 50)  # horizons of the two-armed bandit


@dataclass(frozen=True)
class Config:
    """Two arms of one sweep, and the tasks of their evaluation."""

    sizes: bandit.Config = field(default_factory=bandit.Config)
    """Sizes of the bandits that a rule is evolved on."""
    algo: evolution.Config = field(
        default_factory=lambda: evolution.Config(pairs=8, selection=8, select_every=10)
    )
    """Static choices of evolution."""
    hyper: evolution.Hyper = field(
        default_factory=lambda: evolution.Hyper(lr=0.06, lr_decay=0.985, sigma=0.3, beta2=0.99)
    )
    """Hyper-parameters of evolution; the mask is that of each arm."""
    generations: Size = 120
    """Generations of evolution."""
    tasks: Size = 8000
    """Bandits per horizon of the evaluation, which training has not seen."""
    seeds: Size = 5
    """Number of meta-seeds; seed i has the same keys in both arms."""
    seed: Seed = 0
    """Root seed, in [0, 2^32)."""

    def __post_init__(self) -> None:
        check_fields(self)


PRESETS = {
    "smoke": Config(
        sizes=bandit.Config(horizons=(2, 4), tasks=8),
        algo=evolution.Config(pairs=2, selection=2, select_every=2),
        generations=4,
        tasks=64,
        seeds=2,
    ),
    "quick": Config(),
    "paper": Config(generations=600, tasks=100_000, seeds=20),
}
BETTER = "more"


def run(config: Config, folder: RunFolder) -> None:
    """Saves `returns [arm, S, situation, N]`, `fixed [rule, N]`, `weights [arm, S, 3]`, `fitness [arm, S,
    L]` of the mean on the tasks of the choice, and of the small bandits `commit`, `explore` and
    `index_gap`, `[2]` each.
    """
    rule = bandit.step_size()
    members = sweep(
        lambda algo: evolution.make(algo, bandit.problem(config.sizes, rule), spmd.WORK),
        [(config.algo, config.hyper.replace(mask=MASKS[mask])) for mask in ARMS.values()],
        seeds=config.seeds,
        seed=config.seed,
        data=bandit.default_params(),
        updates=config.generations,
        log_every=config.algo.select_every,
        folder=folder,
        work=1,
    )
    # to the host first: what lies on several devices would be evaluated on each of them
    phis = jax.device_get([member.state.best_params for member in members])
    fresh = bandit.Config(config.sizes.arms, config.sizes.horizons, config.tasks)
    key = stream(member_keys(config.seed, config.seeds + 1)[config.seeds], 0)  # of no member
    masks = jnp.array([MASKS[mask] for mask in ARMS.values()])
    values = np.array(
        [
            [
                _returns(fresh, phi, key, masks[i // config.seeds], told, played)
                for told, played in SITUATIONS.values()
            ]
            for i, phi in enumerate(phis)
        ]
    )
    fixed = [_returns(fresh, {"w": jnp.array(w)}, key, masks[1], 1.0, 1.0) for w in FIXED.values()]
    arms = (len(ARMS), config.seeds)
    folder.save_result(
        returns=values.reshape(*arms, *values.shape[1:]),
        fixed=np.array(fixed),
        weights=np.stack([phi["w"] for phi in phis]).reshape(*arms, 3),
        fitness=np.stack([m.history["selection_fitness"] for m in members]).reshape(*arms, -1),
        update=members[0].update,
        horizon=np.array(config.sizes.horizons),
        **small_bandits(),
    )


@partial(jax.jit, static_argnames="config")
def _returns(config: bandit.Config, phi: PyTree, key: Key, mask: Array, told: float, played: float) -> Array:
    """float[N], mean return by horizon."""
    params = bandit.default_params()
    returns = bandit.by_horizon(config, bandit.step_size(), phi, key, mask, params, told=told, played=played)
    return returns.mean(axis=1)


def small_bandits() -> dict[str, np.ndarray]:
    """Exact values that show why a rule must know the horizon.

    commit, explore: float[2], the best totals of 3 and of 4 pulls that begin with the known arm, or the
    other.
    index_gap: float[2], mean loss of two index rules against the optimum over five horizons, blind and aware.
    """
    commit, explore = np.array([bandits.one_armed(KNOWN, n) for n in (3, 4)]).T
    optimum = {n: bandits.two_armed(n) for n in SMALL}

    def gap(width: Any) -> float:
        return float(np.mean([optimum[N] - bandits.index_rule(N, partial(width, N)) for N in SMALL]))

    blind = gap(lambda N, n: 1.25)
    aware = gap(lambda N, n: 1.8 * np.sqrt(1 - (n + 1) / N))
    return {"commit": commit, "explore": explore, "index_gap": np.array([blind, aware])}


def scores(result: dict[str, np.ndarray]) -> dict[str, Score | np.ndarray]:
    """Returns of both arms per meta-seed, paired differences, costs of misinformation, and exact values."""
    returns = result["returns"].mean(axis=-1)  # [arm, S, situation]
    found: dict[str, Score | np.ndarray] = {
        f"{arm}, learned: return": returns[i, :, 0] for i, arm in enumerate(ARMS)
    }
    for name, value in zip(FIXED, result["fixed"].mean(axis=-1), strict=True):
        found[f"{name}: return"] = _derived([value])
    found["gain of time inputs, paired by meta-seed"] = _derived(returns[1, :, 0] - returns[0, :, 0])
    for j, N in enumerate(result["horizon"].tolist()):
        difference = result["returns"][1, :, 0, j] - result["returns"][0, :, 0, j]
        found[f"gain of time inputs, N = {N}"] = _derived(difference)
    for k, situation in list(enumerate(SITUATIONS))[1:]:
        for i, arm in enumerate(ARMS):
            found[f"{arm}, {situation}: change of the return"] = _derived(returns[i, :, k] - returns[i, :, 0])
    for j, name in enumerate(("n/N", "ln N")):
        found[f"aware, weight of {name}"] = Score(result["weights"][1, :, j + 1], derived=True)
    for pulls, commit, explore in zip((3, 4), result["commit"], result["explore"], strict=True):
        found[f"one-armed bandit, {pulls} pulls: exploring minus committing"] = _derived([explore - commit])
    for name, value in zip(ARMS, result["index_gap"], strict=True):
        found[f"two-armed bandit, {name} index rule: loss"] = Score(np.array([value]), "less", derived=True)
    return found


def _derived(values: Any) -> Score:
    return Score(np.asarray(values), BETTER, derived=True)


def estimate(config: Config) -> dict[str, int]:
    """Members, programs and pulls of a run."""
    lifetimes = config.algo.pairs * 2 * config.sizes.tasks * sum(config.sizes.horizons)
    members = len(ARMS) * config.seeds
    return {"members": members, "compilations": 2, "env_steps": members * config.generations * lifetimes}


def figure(folder: RunFolder) -> list[Path]:
    """Fitness over generations, returns by horizon, and the learned step sizes over a lifetime."""
    result = folder.load_result()
    with plots.paper():
        fig, axes = plots.subplots(1, 3, width=3.6)
        left, middle, right = axes[0]
        for arm, curves, color in zip(ARMS, result["fitness"], ("C0", "C1"), strict=True):
            for i, curve in enumerate(curves):
                left.plot(result["update"], curve, color=color, linewidth=1, label=arm if i == 0 else None)
        left.set(xlabel="generation", ylabel="return on the tasks of the choice")
        left.legend()
        horizon = result["horizon"]
        for arm, values, color in zip(ARMS, result["returns"][:, :, 0], ("C0", "C1"), strict=True):
            middle.plot(horizon, values.mean(axis=0), "o-", color=color, label=arm)
        for name, values in zip(FIXED, result["fixed"], strict=True):
            middle.plot(horizon, values, ":", label=name)
        middle.set(xlabel="horizon N", ylabel="return on fresh bandits", xscale="log")
        middle.set_xticks(horizon, horizon)
        middle.set_xticks([], minor=True)
        middle.legend()
        progress = np.linspace(0, 1, 50)
        w = result["weights"][1].mean(axis=0)
        for N in (horizon[0], horizon[-1]):
            step = np.exp(np.clip(w[0] + w[1] * progress + w[2] * np.log(N), -6, 4))
            right.plot(progress, step, label=f"aware, N = {N}")
        blind = np.exp(result["weights"][0, :, 0].mean())
        right.axhline(blind, color=plots.GREY, linestyle=":", label="blind")
        right.set(xlabel="n/N", ylabel="step size (mean weights)")
        right.legend()
        return plots.save(fig, folder.figures / "horizon_bandit")
