"""Drifts learned from nothing on CartPole, beside PPO with constant and annealed clips and the closed form
DPO.

The loop takes 32 gradient steps per update, so that ratios leave the neighbourhood of 1 and a drift
matters. Plain LPO and TA-LPO start without any clip; LPO and TA-LPO from PPO, and PPO with a learned
schedule, start as PPO with clip 0.2. All are members of one program: what an arm has is a matter of
factors. The chosen means, and the rules made by hand, then live through lifetimes that neither training nor
the choice has seen, the same for all. With `games` they are learned on SpaceInvaders, and judged on tasks
that they have never seen, too.

Intervals of "learned" rows are over meta-seeds, wide where there are two; all others are over fresh
lifetimes, paired.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from experiments.meta import tasks
from experiments.meta.rules import ARMS, HAND, Arm, Rule, best_clip
from jaxrl.baselines import ppo
from jaxrl.core import spmd
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Count, Seed, Size, check_fields
from jaxrl.core.prng import stream, streams
from jaxrl.core.tree import tree_broadcast
from jaxrl.core.types import PyTree
from jaxrl.envs.base import Env
from jaxrl.meta import arms, drift, evolution, lifetimes
from jaxrl.meta.arms import assembled
from jaxrl.meta.certificates import certificate, grid
from jaxrl.meta.evaluation import TOGETHER, evaluate_objective
from jaxrl.meta.objective import Objective
from jaxrl.meta.zoo import Entry
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import Member, member_keys, sweep


@dataclass(frozen=True)
class Config:
    """The inner loop, its evolution, and the fresh lifetimes."""

    environment: tasks.Trained = "CartPole"
    """Task on which drifts are learned. Paper: SpaceInvaders."""
    learner: ppo.Config = field(
        default_factory=lambda: ppo.Config(n_envs=8, length=32, epochs=8, minibatches=4, widths=(32, 32))
    )
    """Static choices of the learner inside."""
    hyper: ppo.Hyper = field(default_factory=lambda: ppo.Hyper(lr=1e-2))
    """Hyper-parameters of the learner inside."""
    algo: evolution.Config = field(
        default_factory=lambda: evolution.Config(shaping="difference", selection=16, select_every=5)
    )
    """Static choices of evolution."""
    evolve: evolution.Hyper = field(default_factory=evolution.Hyper)
    """Hyper-parameters of evolution; mask and fixed parameters are those of each arm."""
    updates: Size = 40
    """Horizon N of every lifetime in training."""
    hidden: Size = 32
    """Hidden units of the drift network."""
    plain: tuple[Arm, ...] = ("LPO", "TA-LPO")
    """Arms that start without a clip."""
    generations: Size = 40
    """Generations of these."""
    refined: tuple[Arm, ...] = ("LPO from PPO", "TA-LPO from PPO", "scheduled PPO")
    """Arms that start as PPO with clip 0.2; () for none."""
    refinements: Size = 16
    """Generations of those."""
    fresh: Size = 96
    """Lifetimes of the evaluation per rule and situation."""
    episodes: Size = 8
    """Episodes that measure the last policy of a lifetime, actions sampled."""
    unseen: tuple[tasks.Unseen, ...] = ()
    """Tasks on which the chosen means and the rules made by hand are judged besides, each with the learner
    and the horizon of `experiments.meta.tasks`; () for none."""
    unseen_lifetimes: Size = 16
    """Lifetimes per rule on each of them."""
    unseen_learner: ppo.Config | None = None
    """Static choices of the learner on them; None for those of the task."""
    unseen_updates: Count = 0
    """Horizon on them, in updates; 0 for that of the task."""
    situations: Count = 4
    """How many of the situations N/2, 2N, told N/4 and told 4N are evaluated besides, in this order."""
    seeds: Size = 2
    """Number of meta-seeds; seed i has the same keys in all arms."""
    seed: Seed = 0
    """Root seed, in [0, 2^32)."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.fresh > TOGETHER and self.fresh % TOGETHER:
            raise UsageError(f"Config.fresh: must be a multiple of {TOGETHER} beyond it, got {self.fresh}")
        if self.unseen_lifetimes > TOGETHER and self.unseen_lifetimes % TOGETHER:
            raise UsageError(
                f"Config.unseen_lifetimes: must be a multiple of {TOGETHER} beyond it,"
                f" got {self.unseen_lifetimes}"
            )
        if len(set(self.unseen)) < len(self.unseen):
            raise UsageError(f"Config.unseen: must name each task once, got {', '.join(self.unseen)}")


PRESETS = {
    "smoke": Config(
        learner=ppo.Config(n_envs=2, length=8, epochs=2, minibatches=2, widths=()),
        algo=evolution.Config(pairs=2, shaping="difference", selection=0),
        updates=2,
        hidden=4,
        plain=("LPO",),
        generations=2,
        refined=(),
        fresh=4,
        episodes=2,
        situations=0,
        seeds=1,
    ),
    "quick": Config(),
    "paper": Config(generations=100, refinements=100, fresh=1024, seeds=5),
    "games": Config(
        environment="SpaceInvaders",
        learner=tasks.GAMES,
        hyper=tasks.hyper("SpaceInvaders"),
        algo=evolution.Config(pairs=16, lane=4, shaping="difference", selection=16, select_every=5),
        updates=tasks.updates("SpaceInvaders"),
        hidden=128,
        generations=100,
        refinements=100,
        fresh=64,
        unseen=("Breakout", "Freeway", "Asterix", "hopper", "walker2d"),
        seeds=1,
    ),
}
BETTER = "more"
SITUATIONS = {  # horizon played and horizon told, in units of N
    "N/2": (0.5, 0.5),
    "2N": (2.0, 2.0),
    "told N/4": (1.0, 0.25),
    "told 4N": (1.0, 4.0),
}


def run(config: Config, folder: RunFolder) -> None:
    """Saves `learned [arm, S, n]` and `hand [rule, n]`, returns of fresh lifetimes; the same of plain arms
    and of PPO with the clip best at N by situation, `plain_by [arm, S, situation, n]`, `best_by
    [situation, n]`; on unseen tasks `unseen_learned [task, arm, S, m]` and `unseen_hand [task, rule, m]`;
    `fitness [arm, S, L]` on the tasks of the choice, NaN padded; `W1`, `w2`, `schedule` `[arm, S, ...]`;
    `slope [arm, P, R, A]` of seed 0.
    """
    env, objective = tasks.environment(config.environment), drift.family(config.hidden)
    members = [*_evolved(config, folder, "plain"), *_evolved(config, folder, "refined")]
    names = [*config.plain, *config.refined]
    shape = (len(names), config.seeds)
    own = tasks.Task(env, config.learner, config.hyper, config.updates)
    lived = _judge(config, objective, own, config.fresh)
    phis = jax.device_get([member.state.best_params for member in members])
    nothing = jax.tree.map(jnp.zeros_like, phis[0])
    rules = [ARMS[name] for name in names for _ in range(config.seeds)]
    learned = np.stack([lived(phi, rule) for phi, rule in zip(phis, rules, strict=True)])
    hand = np.stack([lived(nothing, rule) for rule in HAND.values()])
    best = best_clip(dict(zip(HAND, hand, strict=True)))
    situations = list(SITUATIONS.values())[: config.situations]
    n_plain = len(config.plain) * config.seeds
    plain_by = [
        [lived(phi, rule, *s) for s in situations] for phi, rule in zip(phis[:n_plain], rules, strict=False)
    ]
    best_by = [lived(nothing, HAND[best], *s) for s in situations]
    tail = (config.situations, config.fresh)
    folder.save_result(
        learned=learned.reshape(*shape, -1),
        hand=hand,
        plain_by=np.array(plain_by).reshape(len(config.plain), config.seeds, *tail),
        best_by=np.array(best_by).reshape(tail),
        fitness=_padded(members).reshape(*shape, -1),
        arm=np.array([list(ARMS).index(name) for name in names]),
        **{k: np.stack([p[k] for p in phis]).reshape(*shape, *phis[0][k].shape) for k in phis[0]},
        **_looked_at(objective, phis[:: config.seeds], rules[:: config.seeds], float(config.updates)),
        **_on_unseen(config, objective, phis, rules),
    )


def _judge(config: Config, objective: Objective, task: tasks.Task, n: int) -> Callable[..., np.ndarray]:
    """`(phi, rule, played, told) -> returns [n]` of fresh lifetimes on a task, in units of its horizon."""
    keys = streams(stream(member_keys(config.seed, config.seeds + 1)[config.seeds], 0), n)
    fresh = lifetimes.Task(tree_broadcast(task.env.default_params(), n), keys, keys)

    def lived(phi: PyTree, rule: Rule, played: float = 1.0, told: float = 1.0) -> np.ndarray:
        fixed, mask = rule
        return evaluate_objective(
            Entry("drift", objective, assembled(phi, fixed), {}),
            task.env,
            max(round(played * task.updates), 1),
            told=max(told * task.updates, 1.0),
            tasks=fresh,
            learner=task.learner,
            hyper=task.hyper,
            mask=mask,
            episodes=config.episodes,
            together=TOGETHER,
        )

    return lived


def _on_unseen(
    config: Config, objective: Objective, phis: list[PyTree], rules: list[Rule]
) -> dict[str, np.ndarray]:
    """Names of the unseen tasks and returns on them, of the chosen means and of the rules made by hand."""
    if not config.unseen:
        return {}
    learned, hand = [], []
    nothing = jax.tree.map(jnp.zeros_like, phis[0])
    for name in config.unseen:
        task = tasks.task(name)
        task = task._replace(
            learner=config.unseen_learner or task.learner, updates=config.unseen_updates or task.updates
        )
        lived = _judge(config, objective, task, config.unseen_lifetimes)
        learned.append([lived(phi, rule) for phi, rule in zip(phis, rules, strict=True)])
        hand.append([lived(nothing, rule) for rule in HAND.values()])
    shape = (len(config.unseen), -1, config.seeds, config.unseen_lifetimes)
    return {
        "unseen": np.array(config.unseen),
        "unseen_learned": np.reshape(learned, shape),
        "unseen_hand": np.array(hand),
    }


def _evolved(config: Config, folder: RunFolder, group: Literal["plain", "refined"]) -> list[Member]:
    """Members of the arms of a group, which start alike and have one number of generations."""
    names: tuple[str, ...] = getattr(config, group)
    if not names:
        return []
    env, objective = tasks.environment(config.environment), drift.family(config.hidden)
    draw = lifetimes.draw_tasks(env, config.updates, config.updates)
    problem = arms.problem(_lifetime(config, env, objective), objective, draw)
    hypers = [config.evolve.replace(mask=ARMS[name][1], fixed=ARMS[name][0]) for name in names]
    steps = config.learner.n_envs * config.learner.length * config.updates
    return sweep(
        lambda algo: evolution.make(algo, problem, spmd.WORK),
        [(config.algo, hyper) for hyper in hypers],
        seeds=config.seeds,
        seed=config.seed,
        data=config.hyper,
        updates=config.generations if group == "plain" else config.refinements,
        log_every=1,
        env_steps_per_update=2 * config.algo.pairs * steps,
        folder=folder,
        stage=group,
        work=1,
    )


def _lifetime(config: Config, env: Env, objective: Objective) -> lifetimes.Lifetime:
    learner = drift.learner(config.learner, env, objective)
    return lifetimes.lifetime(learner, env, episodes=config.episodes)


def _padded(members: list[Member]) -> np.ndarray:
    """float[members, L], fitness of the means on the tasks of the choice, NaN where there was no choice."""
    curves = [m.history.get("selection_fitness", np.zeros(0)) for m in members]
    width = max(1, *(len(c) for c in curves))
    return np.stack(
        [np.pad(c.astype(np.float64), (0, width - len(c)), constant_values=np.nan) for c in curves]
    )


def _looked_at(
    objective: Objective, phis: list[PyTree], rules: list[Rule], horizon: float
) -> dict[str, np.ndarray]:
    """Slopes of r A - f and certificates of the first seed of every arm."""
    slopes, facts = [], []
    for phi, (fixed, mask) in zip(phis, rules, strict=True):
        rule = assembled(phi, jax.tree.map(jnp.float32, fixed))
        found = certificate(objective, rule, horizon=horizon, mask=mask)
        facts.append(
            [found.least, found.slope_at_one, found.dead_zone, found.certified, found.rollback, found.time]
        )
        slopes.append(grid(objective, rule, horizon=horizon, mask=mask).slope)
    return {"slope": np.array(slopes, np.float32), "certificate": np.array(facts)}


def estimate(config: Config) -> dict[str, int]:
    """Members, programs and environment steps of a run, evaluation left out."""
    per = config.learner.n_envs * config.learner.length * config.updates * 2 * config.algo.pairs
    work = len(config.plain) * config.generations + len(config.refined) * config.refinements
    members = (len(config.plain) + len(config.refined)) * config.seeds
    return {
        "members": members,
        "compilations": 3 + len(config.unseen),
        "env_steps": config.seeds * work * per + _unseen_steps(config),
    }


def _unseen_steps(config: Config) -> int:
    """Environment steps of all lifetimes on unseen tasks."""
    rules = (len(config.plain) + len(config.refined)) * config.seeds + len(HAND)
    steps = 0
    for name in config.unseen:
        learner = config.unseen_learner or tasks.learner(name)
        size = learner.n_envs * learner.length
        steps += size * (config.unseen_updates or tasks.updates(name))
    return rules * config.unseen_lifetimes * steps


def scores(result: dict[str, np.ndarray]) -> dict[str, Score | np.ndarray]:
    """Returns of learned rules by meta-seed, and paired differences over fresh lifetimes."""
    hand = dict(zip(HAND, result["hand"], strict=True))
    best = best_clip(hand)
    names = [list(ARMS)[i] for i in result["arm"]]
    found: dict[str, Score | np.ndarray] = {
        f"{name}, learned: return": x.mean(axis=-1) for name, x in zip(names, result["learned"], strict=True)
    }
    for name, values in hand.items():
        found[f"{name}: return"] = _over_lifetimes(values)
    for name, seeds in zip(names, result["learned"], strict=True):
        for i, values in enumerate(seeds):
            found[f"{name}, meta-seed {i}, minus no clip"] = _over_lifetimes(values - hand["no clip"])
            found[f"{name}, meta-seed {i}, minus PPO with its best clip"] = _over_lifetimes(
                values - hand[best]
            )
    for k, situation in enumerate(list(SITUATIONS)[: result["best_by"].shape[0]]):
        for name, seeds, at_n in zip(names, result["plain_by"], result["learned"], strict=False):
            for i, values in enumerate(seeds[:, k]):
                if situation.startswith("told"):
                    label = f"{name}, meta-seed {i}, {situation}: change"
                    found[label] = _over_lifetimes(values - at_n[i])
                else:
                    label = f"{name}, meta-seed {i}, at {situation}, minus PPO with the clip best at N"
                    found[label] = _over_lifetimes(values - result["best_by"][k])
    for blind, aware in (("LPO", "TA-LPO"), ("LPO from PPO", "TA-LPO from PPO")):
        if blind in names and aware in names:
            mean = result["learned"].mean(axis=-1)
            difference = mean[names.index(aware)] - mean[names.index(blind)]
            found[f"{aware} minus {blind}, paired by meta-seed"] = Score(difference, BETTER, derived=True)
    for t, task in enumerate(result.get("unseen", np.zeros(0)).tolist()):
        found |= _unseen_scores(task, names, result["unseen_learned"][t], result["unseen_hand"][t])
    return found


def _unseen_scores(
    task: str, names: list[str], learned: np.ndarray, hand: np.ndarray
) -> dict[str, Score | np.ndarray]:
    """Returns on an unseen task, learned `[arm, S, m]` and by hand `[rule, m]`, and paired differences."""
    by_hand = dict(zip(HAND, hand, strict=True))
    best = by_hand[best_clip(by_hand)]
    found: dict[str, Score | np.ndarray] = {
        f"{task}, {name}: return": _over_lifetimes(values) for name, values in by_hand.items()
    }
    for name, seeds in zip(names, learned, strict=True):
        for i, values in enumerate(seeds):
            label = f"{task}, {name}, meta-seed {i}"
            found[f"{label}: return"] = _over_lifetimes(values)
            found[f"{label}, minus PPO with its best clip"] = _over_lifetimes(values - best)
    return found


def _over_lifetimes(values: np.ndarray) -> Score:
    return Score(values, BETTER, note=f"{values.size} lifetimes", derived=True)


def figure(folder: RunFolder) -> list[Path]:
    """Learning curves with all returns, and the slopes of r A - f that were found."""
    result = folder.load_result()
    names = [list(ARMS)[i] for i in result["arm"]]
    with plots.paper():
        files = _curves(result, names, folder.figures / "drift_objectives")
        return [*files, *_slopes(result, names, folder.figures / "drift_slopes")]


def _curves(result: dict[str, np.ndarray], names: list[str], path: Path) -> list[Path]:
    fig, axes = plots.subplots(1, 2, width=4.6)
    left, right = axes[0]
    for i, (name, curves) in enumerate(zip(names, result["fitness"], strict=True)):
        for s, curve in enumerate(curves):
            known = np.flatnonzero(np.isfinite(curve))
            left.plot(known + 1, curve[known], color=f"C{i}", label=name if s == 0 else None)
    left.set(xlabel="generation", ylabel="return on tasks of the choice")
    left.legend()
    rows = [(name, x.mean(axis=-1)) for name, x in zip(names, result["learned"], strict=True)]
    rows += [(name, np.array([x.mean()])) for name, x in zip(HAND, result["hand"], strict=True)]
    plots.seed_dots(right, [name for name, _ in rows], [values for _, values in rows])
    right.set(xlabel="return on fresh lifetimes")
    return plots.save(fig, path)


def _slopes(result: dict[str, np.ndarray], names: list[str], path: Path) -> list[Path]:
    from jaxrl.meta.certificates import ADVANTAGES, PROGRESS, RATIOS

    fig, axes = plots.subplots(len(names), len(PROGRESS), width=2.6, height=2.2)
    extent = partial(dict, cmap="RdBu_r", vmin=-1.5, vmax=1.5, shading="nearest", rasterized=True)
    for row, name, slopes in zip(axes, names, result["slope"], strict=True):
        for ax, progress, slope in zip(row, PROGRESS, slopes, strict=True):
            sizes = np.where(ADVANTAGES == 0, np.nan, np.abs(ADVANTAGES))
            image = ax.pcolormesh(ADVANTAGES, RATIOS, slope / sizes, **extent())
            ax.set(title=f"{name}\nn/N = {progress:g}", xlabel="A", ylabel="r", yscale="log")
            fig.colorbar(image, ax=ax, label="d/dr (rA - f) / |A|")
    return plots.save(fig, path)
