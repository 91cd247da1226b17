"""RND with PPO beside PPO alone on a vehicle that is paid at its goal only: episodes until it succeeds.

Both learn by the same settings; RND adds the error of predicting a random network as a second reward. An
episode succeeds if it reaches the goal within 200 steps, by the policy that is trained, actions drawn.
Legend: `L` numbers of shelves, `M` methods, `S` seeds, `U` updates.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from experiments.shared.medians import median_of
from experiments.shared.returns import offline_returns
from experiments.shared.shares import share
from jaxrl.baselines import ppo
from jaxrl.core.fields import NonNegative, Seed, Share, Size, check_fields
from jaxrl.core.types import Algorithm, Array, Mean, PyTree
from jaxrl.envs.control.agv import Agv
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.reward_free.explorers import rnd_ppo
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import member_keys, stack_hypers
from jaxrl.run.train import train


@dataclass(frozen=True)
class Config:
    """Halls, methods, and the settings of PPO."""

    shelves: tuple[Literal[1, 2], ...] = (1,)
    """Numbers of shelves between the start and the goal, a hall each."""
    methods: tuple[Literal["PPO", "RND + PPO"], ...] = ("PPO", "RND + PPO")
    """Who learns: PPO from the environment's reward alone, or with the reward of RND as a second one."""
    n_envs: Size = 16
    """Number of environments of a member."""
    length: Size = 128
    """Steps of every environment per update."""
    epochs: Size = 4
    """Passes over the steps of an update."""
    minibatches: Size = 4
    """Parts of each pass, one gradient step each; also those of the predictor's one pass."""
    widths: tuple[Size, ...] = (64, 64)
    """Hidden units per layer of every network."""
    lr: NonNegative = 1e-3
    """Learning rate of PPO and of the predictor, >= 0."""
    gamma: Share = 0.99
    """Discount of both rewards, in [0, 1]."""
    updates: Size = 150
    """Updates of a member."""
    recent: Size = 100
    """Number of the most recent episodes whose share of successes counts, as far as updates divide them."""
    episodes: Size = 100
    """Episodes of the evaluation of each last policy, greedy."""
    seeds: Size = 5
    """Members per method and hall."""
    seed: Seed = 0
    """Root seed of the members, in [0, 2^32)."""

    def __post_init__(self) -> None:
        check_fields(self)


PRESETS = {
    "smoke": Config(
        methods=("RND + PPO",),
        n_envs=2,
        length=8,
        epochs=1,
        minibatches=2,
        widths=(8,),
        updates=4,
        episodes=2,
        seeds=2,
    ),
    "quick": Config(),
    "two-shelves": Config(shelves=(2,), updates=300),
    "paper": Config(shelves=(1, 2), updates=2000, seeds=20),
}
BETTER = "more"
_SUCCESS = 0.9  # share of recent episodes


def run(config: Config, folder: RunFolder) -> None:
    """Saves `episodes`, `goals [L, M, S, U]`, those that ended in each update, and `greedy [L, M, S]`.

    `greedy` is the share of successes of the last policies' greedy actions.
    """
    found = [
        [_learned(config, folder, shelves, method) for method in config.methods] for shelves in config.shelves
    ]
    folder.save_result(
        shelves=list(config.shelves),
        method=list(config.methods),
        recent=config.recent,
        **{
            name: np.array([[one[name] for one in row] for row in found])
            for name in ("episodes", "goals", "greedy")
        },
    )


def _learned(config: Config, folder: RunFolder, shelves: Literal[1, 2], method: str) -> dict[str, np.ndarray]:
    env, module = Agv(shelves), ppo if method == "PPO" else rnd_ppo
    choices: dict[str, Any] = {} if module is ppo else {"module_widths": config.widths}
    rates: dict[str, Any] = {} if module is ppo else {"lr_module": config.lr, "gamma_intrinsic": config.gamma}
    static = module.Config(
        n_envs=config.n_envs,
        length=config.length,
        epochs=config.epochs,
        minibatches=config.minibatches,
        widths=config.widths,
        keep=("goal",),
        **choices,
    )
    algorithm = module.make(static, env)
    trained = train(
        counted(algorithm),
        member_keys(config.seed, config.seeds),
        stack_hypers([module.Hyper(lr=config.lr, gamma=config.gamma, entropy=0.0, **rates)], config.seeds),
        env.default_params(),
        updates=config.updates,
        log_every=1,
        evaluate=offline_returns(algorithm, env, config.episodes),
        folder=folder,
        stage=f"{method.lower().replace(' + ', '-')}-{shelves}",
        env_steps_per_update=config.n_envs * config.length,
    )
    history = trained.history
    return {
        "episodes": history["episodes"].T,
        "goals": history["goals"].T,
        "greedy": history["eval/return"][-1],
    }


def counted(algorithm: Algorithm) -> Algorithm:
    """The same algorithm with the metrics `episodes` and `goals`, numbers of episodes that ended in it."""

    def step(state: PyTree, hyper: Any, data: PyTree) -> tuple[PyTree, dict[str, Any]]:
        state, metrics = algorithm.step(state, hyper, data)
        ends: Mean = metrics["train/goal"]
        found: dict[str, Array] = {"episodes": ends.count, "goals": ends.total}
        return state, metrics | found

    return algorithm._replace(step=step)


def milestones(episodes: np.ndarray, goals: np.ndarray, recent: int) -> tuple[float, float]:
    """`(first, steady)` of one member, by what ended in each update [U]: numbers of episodes until then.

    first: until the first goal was reached. steady: until 9 of 10 of at least `recent` of the most recent
    episodes had reached it. Infinite where that did not happen; counted to the end of the update.
    """
    past, reached = (np.concatenate([[0], np.cumsum(x)]) for x in (episodes, goals))
    first = np.append(past[reached > 0], np.inf)[0]
    for u in range(1, len(past)):
        before = np.searchsorted(past, past[u] - recent, side="right") - 1
        if before >= 0 and reached[u] - reached[before] >= _SUCCESS * (past[u] - past[before]):
            return float(first), float(past[u])
    return float(first), float("inf")


def estimate(config: Config) -> dict[str, int]:
    """Members, programs and environment steps of a run, without evaluations."""
    members = len(config.shelves) * len(config.methods) * config.seeds
    return {
        "members": members,
        "compilations": len(config.shelves) * len(config.methods),
        "env_steps": members * config.n_envs * config.length * config.updates,
    }


def scores(result: dict[str, np.ndarray]) -> dict[str, Score | np.ndarray]:
    """Successes of the last policies; episodes to the two milestones, and the seeds that reached them.

    The median over seeds, of which those that did not reach a milestone are the largest; NaN where that is
    half of them or more.
    """
    found: dict[str, Score | np.ndarray] = {}
    for l, shelves in enumerate(result["shelves"].tolist()):
        for m, method in enumerate(result["method"].tolist()):
            episodes, goals = result["episodes"][l, m], result["goals"][l, m]
            both = [milestones(e, g, int(result["recent"])) for e, g in zip(episodes, goals, strict=True)]
            label = f"{method}, {shelves} {'shelf' if shelves == 1 else 'shelves'}"
            found[f"{label}: successes of the last policy, in %"] = 100 * result["greedy"][l, m]
            for name, values in zip(("first goal", "90 % success"), np.array(both).T, strict=True):
                finite = np.where(np.isfinite(values), values, np.nan)
                found[f"{label}: episodes to {name}"] = median_of(finite)
                reached = np.isfinite(finite)
                text = f"{int(reached.sum())} of {reached.size} seeds, Clopper and Pearson"
                found[f"{label}: seeds with {name}"] = share(reached, better="more", note=text)
    return found


def figure(folder: RunFolder) -> list[Path]:
    """Share of successes among the recent episodes against episodes, every seed."""
    result = folder.load_result()
    halls, methods = result["shelves"].tolist(), result["method"].tolist()
    with plots.paper():
        fig, axes = plots.subplots(1, len(halls), width=4.2, height=2.8)
        for l, ax in enumerate(axes[0]):
            for m, method in enumerate(methods):
                for s in range(result["episodes"].shape[2]):
                    past = np.cumsum(result["episodes"][l, m, s])
                    share = recent_share(
                        result["episodes"][l, m, s], result["goals"][l, m, s], int(result["recent"])
                    )
                    label = method if s == 0 else None
                    ax.plot(past, 100 * share, color=plots.PALETTE[m], linewidth=1.1, label=label)
            ax.axhline(100 * _SUCCESS, color=plots.GREY, linewidth=0.8, linestyle=":")
            ax.set(
                title=f"{halls[l]} {'shelf' if halls[l] == 1 else 'shelves'}",
                xlabel="episodes",
                ylabel="recent successes, %",
                ylim=(-3, 103),
            )
            ax.legend()
        return plots.save(fig, folder.figures / "agv")


def recent_share(episodes: np.ndarray, goals: np.ndarray, recent: int) -> np.ndarray:
    """float[U], share of successes among at least `recent` of the most recent episodes, or all so far."""
    past, reached = (np.concatenate([[0], np.cumsum(x)]) for x in (episodes, goals))
    before = np.maximum(np.searchsorted(past, past[1:] - recent, side="right") - 1, 0)
    return (reached[1:] - reached[before]) / np.maximum(past[1:] - past[before], 1)
