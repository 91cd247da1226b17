"""Rules for targets evolved on small grid levels: REINFORCE, its schedule, LPG and TA-LPG, side by side.

All arms of a meta-seed share levels, horizons, perturbations where their sizes agree, and the keys of their
rollouts. What is
evaluated is the mean that was chosen on tasks of its own, on levels that neither training nor the choice has
seen, the same for all arms, at horizons inside and beyond those of training. Then each rule is told a quarter
and four times the horizon that it has. "Start" is LPG with all parameters zero, under which no policy
changes.

Two units are never mixed: a difference between two rules is over held-out levels, paired, per meta-seed; one
between two methods would be over meta-seeds, of which `quick` has two.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from experiments.meta.levels import ARMS, Kind, Named, OnLevels, environment, rule
from jaxrl.core import spmd
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Size
from jaxrl.core.prng import stream
from jaxrl.core.types import PyTree
from jaxrl.envs.base import Env
from jaxrl.meta import evolution, lifetimes, lpg
from jaxrl.meta.evaluation import evaluate_objective
from jaxrl.meta.objective import MASKS
from jaxrl.meta.zoo import Entry
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.run.config import config_from_dict
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import Member, member_keys, sweep

TOLD = (0.25, 4.0)  # factors of the horizon that a rule is told in place of the truth
PAIRED = (("TA-LPG", "LPG"), ("scheduled REINFORCE", "REINFORCE"), ("LPG", "REINFORCE"))


@dataclass(frozen=True)
class Config(OnLevels):
    """Arms of one sweep per kind of rule, and the levels of their evaluation."""

    kinds: tuple[Kind, ...] = ("REINFORCE", "LPG")
    """Kinds of rules, each blind and told the time."""
    reinforce_algo: evolution.Config = field(
        default_factory=lambda: evolution.Config(pairs=64, lane=8, selection=64, select_every=10)
    )
    """Static choices of evolution for REINFORCE."""
    reinforce_evolution: evolution.Hyper = field(
        default_factory=lambda: evolution.Hyper(lr=0.06, lr_decay=0.985, sigma=0.3)
    )
    """Hyper-parameters of evolution for REINFORCE."""
    lpg_algo: evolution.Config = field(
        default_factory=lambda: evolution.Config(
            pairs=64, lane=8, start="zero", selection=64, select_every=10
        )
    )
    """Static choices of evolution for LPG, which starts at zero. Paper: 512 pairs."""
    lpg_evolution: evolution.Hyper = field(
        default_factory=lambda: evolution.Hyper(lr=0.01, lr_decay=0.997, sigma=0.1)
    )
    """Hyper-parameters of evolution for LPG."""
    generations: Size = 150
    """Generations of evolution. Paper: 2500."""
    evaluated: tuple[Size, ...] = (5, 10, 20, 50, 100)
    """Horizons of the evaluation, in updates."""
    counterfactual: Size = 20
    """Horizon at which a rule is told another one, in updates."""
    named: tuple[Named, ...] = ()
    """Published levels, which no rule has seen, on which the chosen means live the longest horizon of
    training besides; () for none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(set(self.named)) < len(self.named):
            raise UsageError(f"Config.named: must name each level once, got {', '.join(self.named)}")
        if self.counterfactual not in self.evaluated:
            raise UsageError(
                "Config.counterfactual: must be one of Config.evaluated, where the truth is told"
            )


PRESETS = {
    "smoke": Config(
        kinds=("LPG",),
        levels="debug",
        limit=(5, 10),
        learner=lpg.Config(n_envs=2, length=8, predictions=2),
        width=4,
        lpg_algo=evolution.Config(pairs=4, lane=2, start="zero", selection=0),
        lpg_evolution=evolution.Hyper(sigma=2.0),
        horizons=(2, 6),
        episodes=2,
        generations=4,
        evaluated=(2, 4),
        counterfactual=4,
        held_out=8,
        together=4,
        seeds=2,
    ),
    "quick": Config(),
    "paper": Config(
        horizons=(10, 250),
        longest=250.0,
        generations=800,
        evaluated=(5, 10, 25, 50, 100, 250, 500, 1000),
        counterfactual=50,
        named=("dense", "sparse", "long", "longer", "long_dense", "mazes"),
        seeds=5,
    ),
}
BETTER = "more"


def run(config: Config, folder: RunFolder) -> None:
    """Saves `arm` names, `returns [arm, S, N, levels]`, `told [arm, S, 2, levels]` at the counterfactual
    horizon, `start [N, levels]`, `fitness [arm, S, L]` of the population, `chosen [arm, S]`, the generation
    of the mean, `best [arm, S]`, its fitness on the tasks of the choice, per kind its parameters,
    `REINFORCE [arm, S, 3]` and `LPG [arm, S, D]`, and `on_named [named, arm, S, levels]`.
    """
    env = environment(config.levels, config.limit)
    members = _trained(config, env, folder)
    names = [name for name, (kind, _) in ARMS.items() if kind in config.kinds]
    truth = [_returns(config, m, 1.0, np.array(config.evaluated)) for m in members]
    other = [
        np.concatenate([_returns(config, m, f, np.array([config.counterfactual])) for f in TOLD])
        for m in members
    ]
    shape = (len(names), config.seeds)
    folder.save_result(
        arm=np.array(names),
        horizon=np.array(config.evaluated),
        counterfactual=np.array(config.counterfactual),
        returns=np.reshape(truth, (*shape, len(config.evaluated), -1)).astype(np.float32),
        told=np.reshape(other, (*shape, len(TOLD), -1)).astype(np.float32),
        start=_start(config, members[-1]).astype(np.float32),
        fitness=np.reshape([m.history["fitness"] for m in members], (*shape, -1)),
        update=members[0].update,
        chosen=np.reshape([m.state.best_generation for m in members], shape),
        best=np.reshape([m.state.best_fitness for m in members], shape),
        **_parameters(config, members),
        **_on_named(config, members, shape),
    )


def _on_named(config: Config, members: list[Member], shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """Names of published levels, and returns of the chosen means on them."""
    if not config.named:
        return {}
    longest = np.array([config.horizons[1]])
    returns = [
        [_returns(config, member, 1.0, longest, environment(name)) for member in members]
        for name in config.named
    ]
    return {
        "named": np.array(config.named),
        "on_named": np.reshape(returns, (len(config.named), *shape, -1)).astype(np.float32),
    }


def _parameters(config: Config, members: list[Member]) -> dict[str, np.ndarray]:
    """Chosen means by kind, each as one vector in the order of `ravel_pytree`, float32[arm, S, D]."""
    flat = {
        kind: [ravel_pytree(m.state.best_params)[0] for m in members if m.static == kind]
        for kind in config.kinds
    }
    return {
        kind: np.reshape(jax.device_get(rows), (-1, config.seeds, rows[0].size)).astype(np.float32)
        for kind, rows in flat.items()
    }


def _trained(config: Config, env: Env, folder: RunFolder) -> list[Member]:
    """Members in the order of `ARMS`, then meta-seeds."""
    hypers = {"REINFORCE": config.reinforce_evolution, "LPG": config.lpg_evolution}
    algos = {"REINFORCE": config.reinforce_algo, "LPG": config.lpg_algo}

    def problem(kind: Kind) -> evolution.Problem:
        objective = rule(config, kind)
        return lpg.search(
            config.learner, env, objective, config.hyper, config.horizons, episodes=config.episodes
        )

    return sweep(
        lambda kind: evolution.make(algos[kind], problem(kind), spmd.WORK),
        [
            (kind, hypers[kind].replace(mask=MASKS[mask]))
            for kind, mask in ARMS.values()
            if kind in config.kinds
        ],
        seeds=config.seeds,
        seed=config.seed,
        data=(),
        updates=config.generations,
        env_steps_per_update=lambda kind: config.steps_per_generation(algos[kind].pairs),
        log_every=max(1, config.generations // 30),
        folder=folder,
        work=1,
    )


def _returns(
    config: Config, member: Member, factor: float, horizons: np.ndarray, env: Env | None = None
) -> np.ndarray:
    """float[N, levels], returns of the chosen mean, told `factor` times each horizon."""
    kind, phi, mask = member.static, member.state.best_params, np.asarray(member.hyper.mask)
    return _evaluated(config, kind, phi, mask, factor, horizons, env)


def _start(config: Config, member: Member) -> np.ndarray:
    """float[N, levels], returns where all parameters of the last arm's rule are zero."""
    phi = jax.tree.map(jnp.zeros_like, member.state.best_params)
    if member.static == "REINFORCE":
        phi = phi.at[0].set(-jnp.inf)  # a step of zero
    mask = np.asarray(member.hyper.mask)
    return _evaluated(config, member.static, phi, mask, 1.0, np.array(config.evaluated))


def _evaluated(
    config: Config,
    kind: Kind,
    phi: PyTree,
    mask: np.ndarray,
    factor: float,
    horizons: np.ndarray,
    env: Env | None = None,
) -> np.ndarray:
    """float[N, levels]; levels and keys are those of no meta-seed, the same at every call.

    env: levels, those of the study by default.
    """
    env = env or environment(config.levels, config.limit)
    key = stream(member_keys(config.seed, config.seeds + 1)[config.seeds], 0)
    tasks = lifetimes.draw_tasks(env, 1, 1)(key, config.held_out)
    entry = Entry(kind, rule(config, kind), phi, {})
    returns = [
        evaluate_objective(
            entry,
            env,
            N,
            told=factor * N,
            tasks=tasks,
            learner=config.learner,
            hyper=config.hyper,
            mask=mask,
            episodes=config.episodes,
            together=config.together,
        )
        for N in horizons.tolist()
    ]
    return np.stack(returns)


def scores(result: dict[str, np.ndarray]) -> dict[str, Score | np.ndarray]:
    """Returns and paired differences over held-out levels, per meta-seed; what being told another horizon
    does.
    """
    names, returns = result["arm"].tolist(), result["returns"]
    horizons, seeds = result["horizon"].tolist(), returns.shape[1]
    note = f"{returns.shape[-1]} levels"
    found: dict[str, Score | np.ndarray] = {}
    for i, name in enumerate(names):
        found[f"{name}: return, mean of all horizons"] = returns[i].mean(axis=(-2, -1))
    for j, N in enumerate(horizons):
        found[f"start, N = {N}: return"] = Score(result["start"][j], BETTER, note=note, derived=True)
    for s in range(seeds):
        for i, name in enumerate(names):
            for j, N in enumerate(horizons):
                label = f"{name}, N = {N}, meta-seed {s}: return"
                found[label] = Score(returns[i, s, j], BETTER, note=note, derived=True)
        for first, second in (pair for pair in PAIRED if set(pair) <= set(names)):
            difference = returns[names.index(first), s] - returns[names.index(second), s]
            for j, N in enumerate(horizons):
                label = f"{first} minus {second}, N = {N}, meta-seed {s}"
                found[label] = Score(difference[j], BETTER, note=f"{note}, paired", derived=True)
        for i, name in enumerate(names):
            gain = returns[i, s] - result["start"]
            for j, N in enumerate(horizons):
                label = f"{name} minus start, N = {N}, meta-seed {s}"
                found[label] = Score(gain[j], BETTER, note=f"{note}, paired", derived=True)
    found |= _told(result, names, note)
    for k, level in enumerate(result.get("named", np.zeros(0)).tolist()):
        for i, name in enumerate(names):
            for s, values in enumerate(result["on_named"][k, i]):
                found[f"{level}, {name}, meta-seed {s}: return"] = Score(
                    values, BETTER, note=note, derived=True
                )
    return found


def _told(result: dict[str, np.ndarray], names: list[str], note: str) -> dict[str, Score | np.ndarray]:
    """Change of the return where a rule is told another horizon, at the one horizon where that was tried."""
    found: dict[str, Score | np.ndarray] = {}
    at = int(result["counterfactual"])
    for i, name in enumerate(names):
        for s in range(result["told"].shape[1]):
            truth = result["returns"][i, s, result["horizon"].tolist().index(at)]
            for k, text in enumerate(("N/4", "4N")):
                change = result["told"][i, s, k] - truth
                label = f"{name} told {text} at N = {at}, meta-seed {s}: change of the return"
                found[label] = Score(change, BETTER, note=f"{note}, paired", derived=True)
    return found


def estimate(config: Config) -> dict[str, int]:
    """Members, programs and steps of training."""
    algos = {"REINFORCE": config.reinforce_algo, "LPG": config.lpg_algo}
    per_seed = sum(2 * config.steps_per_generation(algos[kind].pairs) for kind in config.kinds)
    return {
        "members": 2 * len(config.kinds) * config.seeds,
        "compilations": 2 * len(config.kinds),
        "env_steps": config.seeds * config.generations * per_seed,
    }


def figure(folder: RunFolder) -> list[Path]:
    """Fitness of the populations over generations, and returns on held-out levels by horizon."""
    result, config = folder.load_result(), config_from_dict(Config, folder.config)
    with plots.paper():
        fig, axes = plots.subplots(1, 2, width=3.6)
        left, right = axes[0]
        for i, name in enumerate(result["arm"].tolist()):
            for s, curve in enumerate(result["fitness"][i]):
                label = name if s == 0 else None
                left.plot(result["update"], curve, color=f"C{i}", linewidth=1, label=label)
            for s, values in enumerate(result["returns"][i].mean(axis=-1)):
                label = name if s == 0 else None
                right.plot(result["horizon"], values, "o-", color=f"C{i}", linewidth=1, label=label)
        start = result["start"].mean(axis=-1)
        right.plot(result["horizon"], start, ":", color=plots.GREY, label="start")
        right.axvspan(*config.horizons, color=plots.GREY, alpha=0.15)
        left.set(xlabel="generation", ylabel="mean return of the population")
        right.set(xlabel="horizon N (trained: shaded)", ylabel="return on held-out levels", xscale="log")
        left.legend(loc="center right", bbox_to_anchor=(1, 0.6), fontsize=7)
        return plots.save(fig, folder.figures / "grid_objectives")
