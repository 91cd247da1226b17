"""A utility that is not linear, of the expected return (SER) and of the return (ESR), beside exact optima.

Two goods are gathered in turns, one with less luck than the other, and the utility is that of the good there
is less of, in the proportion in which they are needed (Fishwood of Roijers et al. 2018, without rounding). A
learner of the first criterion follows the gradient of the utility; one of the second sees what it has so far.
Every policy that is optimal for a preference gathers one good alone and has utility 0.

Legend: `S` seeds, `m` objectives.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.shared.paired import differences
from jaxrl.baselines import ppo
from jaxrl.cli.main import experiment_main
from jaxrl.core.fields import Seed, Size, check_fields
from jaxrl.core.tree import tree_take
from jaxrl.core.types import Array
from jaxrl.envs.tabular.mdp import TabularMDP, make_mdp
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.envs.wrappers.accrued import accrued
from jaxrl.morl import utility
from jaxrl.morl.learners import EvaluationOptions
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import member_keys, stack_hypers
from jaxrl.run.train import train
from theory.exact.pareto import convex_coverage_set
from theory.exact.return_utility import Layer, Unfolded, best_expected_utility, outcomes, unfold

CHANCES, NEEDED = (0.25, 0.65), (1.0, 2.0)  # of the two goods: luck of a step, and how many are one unit
CRITERIA = ("SER", "ESR")


@dataclass(frozen=True)
class Config:
    """The problem, and two learners of the same number of transitions."""

    steps: Size = 10
    """Steps of an episode, in each of which one of the two goods is looked for."""
    seeds: Size = 5
    """Members per criterion; member i depends on the root seed and on i alone."""
    seed: Seed = 0
    """The root seed, in [0, 2^32)."""
    updates: Size = 150
    """Updates of PPO."""
    n_envs: Size = 64
    """Environments per learner."""
    episodes: Size = 2
    """Episodes per environment and update."""
    hyper: ppo.Hyper = field(default_factory=lambda: ppo.Hyper(lr=0.01, gamma=1.0, entropy=0.01, anneal=1.0))
    """Hyper-parameters of PPO; discount 1, without which the payments of an episode are not its utility."""
    width: Size = 32
    """Units of the hidden layer of the learner that sees returns; the other one has a table."""

    def __post_init__(self) -> None:
        check_fields(self)


PRESETS = {
    "smoke": Config(steps=3, seeds=1, updates=2, n_envs=4, episodes=1, width=4),
    "quick": Config(seeds=3, updates=100, n_envs=32),
    "paper": Config(steps=13, seeds=20, updates=600, n_envs=128),
}
BETTER = "more"


def smaller(returns: Any) -> Any:
    """Units that can be made of returns `[..., m]`, float`[...]`: the utility of both criteria."""
    return (returns / np.array(NEEDED, np.float32)).min(-1)


def two_goods(steps: int) -> TabularMDP:
    """States by step and by what it brought, nothing, the first good or the second; the last ones end."""
    S = 1 + 3 * steps
    P, R = np.zeros((S, 2, S)), np.zeros((S, 2, S, 2))
    for h in range(steps):
        own = [0] if h == 0 else [1 + 3 * (h - 1) + k for k in range(3)]
        for s in own:
            for a, chance in enumerate(CHANCES):
                found = 1 + 3 * h + 1 + a
                P[s, a, 1 + 3 * h], P[s, a, found] = 1 - chance, chance
                R[s, a, found, a] = 1.0
    last = range(S - 3, S)
    for s in last:
        P[s, :, s] = 1.0
    return make_mdp(P, R, 0, 1.0, terminal=tuple(last), reward_dim=2)


def best_of_expected(points: np.ndarray) -> float:
    """The largest utility of mixtures of returns float64[n, 2], which are what policies reach: exact, since
    along an edge the utility is a minimum of two linear functions.
    """
    points = points / np.array(NEEDED)
    best = points.min(-1).max()
    for a in points:
        for b in points:
            gap, change = a[1] - a[0], (b - a)[0] - (b - a)[1]
            if change:
                share = np.clip(gap / change, 0, 1)
                best = max(best, (a + share * (b - a)).min())
    return float(best)


def run(config: Config, folder: RunFolder) -> None:
    """Trains a learner per criterion.

    `optimum [2]`, the largest utility of the expected return and the largest expected utility; `linear`, the
    largest utility of a policy that is optimal for some preference; `reached [2, 2, S]`, of the learner of
    the first index by the criterion of the second; `returns [2, S, 2]`, expected returns of both.
    """
    mdp = two_goods(config.steps)
    whole = unfold(mdp)
    front = convex_coverage_set(mdp)
    tables = {"SER": _expected(config, mdp, folder), "ESR": _accrued(config, mdp, whole, folder)}
    measured = [[_measures(whole, policy) for policy in tables[name]] for name in CRITERIA]
    folder.save_result(
        optimum=np.array([best_of_expected(front), best_expected_utility(whole, smaller)[0]]),
        linear=smaller(front).max(),
        reached=np.array([[x[0] for x in row] for row in measured]).swapaxes(1, 2),
        returns=np.array([[x[1] for x in row] for row in measured]),
    )


def _learner(config: Config, widths: tuple[int, ...]) -> ppo.Config:
    length = config.steps * config.episodes
    return ppo.Config(config.n_envs, length, epochs=4, minibatches=4, widths=widths, clip_value=False)


def _transitions(config: Config) -> int:
    """Transitions of one update of PPO."""
    return config.n_envs * config.steps * config.episodes


def _expected(config: Config, mdp: TabularMDP, folder: RunFolder) -> list[Any]:
    """Policies of the ascent of u(E[G]), as functions of a step and its layer, one per seed."""
    own = utility.Config(_learner(config, ()), evaluation=EvaluationOptions("exact"))
    env = Tabular.of(mdp)
    hyper = utility.Hyper(config.hyper.replace(updates_total=float(config.updates)), gamma=1.0)
    trained = train(
        utility.make(own, env, smaller),
        member_keys(config.seed, config.seeds),
        stack_hypers([hyper], config.seeds),
        mdp,
        updates=config.updates,
        env_steps_per_update=_transitions(config),
        stage="SER",
        folder=folder,
    )
    nets = ppo.networks(own.learner, env)

    @jax.jit
    def table(actor: Any) -> Array:
        return jax.nn.softmax(nets.actor.apply(actor, jnp.eye(env.S)))

    def of(seed: int) -> Any:
        probability = np.asarray(table(tree_take(trained.state.learners.params["actor"], (seed, 0))))
        return lambda step, layer: probability[layer.state]

    return [of(seed) for seed in range(config.seeds)]


def _accrued(config: Config, mdp: TabularMDP, whole: Unfolded, folder: RunFolder) -> list[Any]:
    """Policies of the learner of E[u(G)], as functions of a step and its layer, one per seed."""
    own, env = _learner(config, (config.width,)), accrued(Tabular.of(mdp), smaller)
    trained = train(
        ppo.make(own, env),
        member_keys(config.seed, config.seeds),
        stack_hypers([config.hyper.replace(updates_total=float(config.updates))], config.seeds),
        env.extend(mdp),
        updates=config.updates,
        env_steps_per_update=_transitions(config),
        stage="ESR",
        folder=folder,
    )
    nets = ppo.networks(own, env)
    sizes = [len(layer.state) for layer in whole.layers]
    every = {
        "obs": jnp.asarray(np.concatenate([x.state for x in whole.layers]), jnp.int32),
        "returns": jnp.asarray(np.concatenate([x.returns for x in whole.layers]), jnp.float32),
        "discount": jnp.asarray(np.repeat([x.discount for x in whole.layers], sizes), jnp.float32),
    }

    @jax.jit
    def probabilities(actor: Any) -> Array:
        return jax.nn.softmax(nets.actor.apply(actor, jax.vmap(nets.encode)(every)))

    def of(seed: int) -> Any:
        rows = np.asarray(probabilities(tree_take(trained.state.params["actor"], seed)))
        by_step = np.split(rows, np.cumsum(sizes)[:-1])
        return lambda step, layer: by_step[step]

    return [of(seed) for seed in range(config.seeds)]


def _measures(whole: Unfolded, policy: Any) -> tuple[list[float], np.ndarray]:
    """Exact utility of the expected return and expected utility of a policy, and its expected return."""

    def probability(step: int, layer: Layer) -> np.ndarray:
        found = np.asarray(policy(step, layer), np.float64)
        return found / found.sum(-1, keepdims=True)

    G, p = outcomes(whole, probability)
    return [float(smaller(p @ G)), float(p @ smaller(G))], p @ G


def estimate(config: Config) -> dict[str, int]:
    """Members are scores; environment steps of both learners."""
    return {
        "members": 4 * config.seeds,
        "env_steps": 2 * config.seeds * config.updates * _transitions(config),
    }


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray | Score]:
    """Percent of the exact optimum that both learners reach, by both criteria, `float[S]`; and by each
    criterion the paired difference of its own learner to the other one.
    """
    found: dict[str, np.ndarray | Score] = {}
    share = 100 * result["reached"] / result["optimum"][:, None]
    for j, criterion in enumerate(CRITERIA):
        for i, learner in enumerate(CRITERIA):
            found[f"{criterion} of the {learner} learner, % of the optimum"] = share[i, j]
        found |= differences("own learner minus the other, %", criterion, share[j, j], share[1 - j, j])
    return found


def figure(folder: RunFolder) -> list[Path]:
    """Both learners by both criteria beside the optima; their expected returns on those of all policies."""
    result = folder.load_result()
    with plots.paper():
        fig, axes = plots.subplots(1, 2, width=4.0, height=3.0)
        ax = axes[0, 0]
        for j in range(2):
            ax.plot([j - 0.35, j + 0.35], [result["optimum"][j]] * 2, color="black", linewidth=1.0)
            for i, learner in enumerate(CRITERIA):
                y = result["reached"][i, j]
                x = np.full(len(y), j - 0.15 + 0.3 * i)
                ax.plot(
                    x, y, "o", markersize=3, color=plots.PALETTE[i], label=None if j else f"{learner} learner"
                )
        ax.axhline(float(result["linear"]), color=plots.GREY, linestyle="--", label="best of all preferences")
        ax.set(xticks=[0, 1], xticklabels=["u(E[G])", "E[u(G)]"], ylabel="utility (line: optimum)")
        ax.legend(fontsize=6)
        for i, learner in enumerate(CRITERIA):
            G = result["returns"][i]
            axes[0, 1].plot(
                G[:, 0], G[:, 1], "o", markersize=3, color=plots.PALETTE[i], label=f"{learner} learner"
            )
        unit = result["optimum"][0] * 1.2
        axes[0, 1].plot([0, unit * NEEDED[0]], [0, unit * NEEDED[1]], color=plots.GREY, label="in proportion")
        axes[0, 1].set(xlabel="first good, expected", ylabel="second good, expected")
        axes[0, 1].legend(fontsize=6)
        return plots.save(fig, folder.figures / "utilities")


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
