"""Preferences that change within an episode, to values that were never trained: an archive and one network.

On a ring of places that pay different vectors, in every segment of a walk another preference holds. The
archive of C-MORL serves each with the member of the largest w . G, the conditioned network reads it. Both are
computed exactly on the tables, from where they stand when the preference changes, given that the episode does
not end. The policies that are optimal for the preferences are the scale, and no bound: they look beyond a
segment.

Legend: `S` seeds, `Q` walks, `K` segments, `C` members of an archive, `m` objectives, `X` states, `A`
actions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.morl import stages
from experiments.morl.stages import Plan
from experiments.shared.paired import differences
from jaxrl.baselines import ppo
from jaxrl.cli.main import experiment_main
from jaxrl.core.fields import Count, Seed, Size, check_fields
from jaxrl.core.tree import tree_take
from jaxrl.core.types import Array, PyTree
from jaxrl.envs.tabular.mdp import TabularMDP, make_mdp
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.envs.wrappers.prefer import prefer
from jaxrl.morl import archive as archives
from jaxrl.morl.learners import EvaluationOptions
from jaxrl.morl.metrics import weight_lattice
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.run.folder import RunFolder
from theory.exact.optimal_control import solve

M, END = 3, 0.05  # objectives, chance that an episode ends with a step
T, BETA = 100.0, 0.9  # sharpness of the barrier, retained share
METHODS = ("archive", "conditioned", "one policy", "optimum")


@dataclass(frozen=True)
class Config:
    """The ring, the walks over it, and the budget of both learners."""

    places: Size = 12
    """Places of the ring, each of which pays a vector of its own; steps lead on, back, or stay."""
    walks: Size = 64
    """Number of walks, whose preferences are drawn uniformly from the simplex once."""
    segments: Size = 4
    """Preferences of a walk, one after the other."""
    steps: Size = 10
    """Steps for which a preference holds."""
    seeds: Size = 3
    """Members per method; member i depends on the root seed and on i alone."""
    seed: Seed = 0
    """The root seed, in [0, 2^32)."""
    n_envs: Size = 16
    """Environments per learner."""
    length: Size = 40
    """Steps per environment and update."""
    width: Size = 32
    """Units of the hidden layer of actor and critic each."""
    initial: Size = 60
    """Updates of each of the six learners of stage 1."""
    rounds: Count = 2
    """Rounds of stage 2; 0 leaves it out, and the archive is that of stage 1."""
    updates: Size = 20
    """Updates of every run in a round. Paper: 20."""
    selected: Size = 4
    """Members that a round begins from. Paper: 5 or 6."""
    capacity: Size = 64
    """Members of the archive. Paper: 200."""

    def __post_init__(self) -> None:
        check_fields(self)


PRESETS = {
    "smoke": Config(
        places=3,
        walks=2,
        segments=2,
        steps=2,
        seeds=1,
        n_envs=2,
        length=4,
        width=4,
        initial=2,
        rounds=0,
        capacity=8,
    ),
    "quick": Config(n_envs=8, length=20, initial=40, updates=10),
    "paper": Config(places=32, walks=512, seeds=10, n_envs=64, initial=200, rounds=6, capacity=256),
}
BETTER = None


class Served(NamedTuple):
    """Policies as chains over the places, leaves `[n, ...]`: what some steps pay from every place, and where
    they lead.

    pays: float64[n, X, m]; leads: float64[n, X, X].
    """

    pays: np.ndarray
    leads: np.ndarray


def ring(places: int) -> TabularMDP:
    """Places in a ring, then the end; each pays a point of the sphere above zero, fixed by `places`."""
    points = np.abs(np.random.default_rng(places).normal(size=(places, M)))
    points /= np.linalg.norm(points, axis=-1, keepdims=True)
    P, R = np.zeros((places + 1, 3, places + 1)), np.zeros((places + 1, 3, M))
    for x in range(places):
        for a, move in enumerate((0, 1, -1)):
            P[x, a, (x + move) % places] += 1 - END
            P[x, a, places] = END
        R[x] = points[x]
    P[places, :, places] = 1.0
    mu0 = np.r_[np.full(places, 1 / places), 0.0]
    return make_mdp(P, R, mu0, 1.0, terminal=(places,), reward_dim=M)


def served(mdp: TabularMDP, pi: np.ndarray, steps: int) -> Served:
    """Chains of policies `pi` float[n, X, A], given that no episode ends."""
    P, R = np.asarray(mdp.P, np.float64)[:-1, :, :-1], np.asarray(mdp.R, np.float64)[:-1]
    P = P / P.sum(-1, keepdims=True)
    pi = np.asarray(pi, np.float64)[:, : len(P)]
    step, reward = np.einsum("nxa,xay->nxy", pi, P), np.einsum("nxa,xam->nxm", pi, R)
    pays, leads = np.zeros_like(reward), np.broadcast_to(np.eye(len(P)), step.shape)
    for _ in range(steps):
        pays = pays + leads @ reward
        leads = leads @ step
    return Served(pays, leads)


def walk(
    chains: Served, chosen: np.ndarray, W: np.ndarray, others: Served | None = None
) -> tuple[np.ndarray, ...]:
    """What walks pay, and what the best of `others` would pay from the same places, float64[Q, K] each.

    chosen: int[Q, K], the chain of every segment; W: float64[Q, K, m].
    """
    X = chains.pays.shape[1]
    place = np.full((len(W), X), 1 / X)
    paid, best = np.zeros(chosen.shape), np.zeros(chosen.shape)
    for k in range(chosen.shape[1]):
        paid[:, k] = np.einsum("qx,qxm,qm->q", place, chains.pays[chosen[:, k]], W[:, k])
        if others is not None:
            best[:, k] = np.einsum("qx,cxm,qm->qc", place, others.pays, W[:, k]).max(-1)
        place = np.einsum("qx,qxy->qy", place, chains.leads[chosen[:, k]])
    return paid, best


def run(config: Config, folder: RunFolder) -> None:
    """Trains both methods and computes what they bring on the walks.

    `paid [4, S, Q, K]`, by method of `METHODS`: the archive, the network, the one member that is best for
    the whole walk, and the optimal policy of every preference; `best [2, S, Q, K]`, what the best member of
    the archive would bring in a segment from where the archive, or the network, stands; `members [S]`;
    `feasible [S]` of stage 2, NaN without it.
    """
    own, mdp = _plan(config), ring(config.places)
    W = np.random.default_rng(config.places).dirichlet(np.ones(M), (config.walks, config.segments))
    archive = stages.initialise(own, config.seeds, config.seed, folder)
    feasible = np.full(config.seeds, np.nan)
    if config.rounds:
        settings = {"barrier": stages.Bounds(T, BETA)}
        after = stages.extend(own, config.seeds, config.seed, folder, "barrier", settings, archive)["barrier"]
        archive, feasible = after.archive, after.history["feasible"].mean(-1)
    networks = _conditioned(config, own, W.reshape(-1, M), folder)
    optimal = served(mdp, _optimal(mdp, W.reshape(-1, M)), config.steps)
    found = []
    for s in range(config.seeds):
        members = archives.members(tree_take(archive, s))
        kept = served(mdp, _tables(own, members.policy), config.steps)
        network = served(mdp, networks[s], config.steps)
        found.append(_walks(kept, np.asarray(members.returns, np.float64), network, optimal, W))
    paid, best = (np.moveaxis(np.array(x), 0, 1) for x in zip(*found, strict=True))
    sizes = np.asarray(archive.valid).sum(-1)
    folder.save_result(paid=paid, best=best, members=sizes, feasible=feasible)


def _walks(
    kept: Served, returns: np.ndarray, network: Served, optimal: Served, W: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`(paid [4, Q, K], best [2, Q, K])` of one seed; returns: float64[C, m] of the archive."""
    Q, K, _ = W.shape
    own = np.arange(Q * K).reshape(Q, K)
    looked_up, best = walk(kept, (W @ returns.T).argmax(-1), W, kept)
    read, best_from = walk(network, own, W, kept)
    single = np.stack([walk(kept, np.full((Q, K), c), W)[0] for c in range(len(returns))])
    one = single[single.sum(-1).argmax(0), np.arange(Q)]
    return np.stack([looked_up, read, one, walk(optimal, own, W)[0]]), np.stack([best, best_from])


def _plan(config: Config) -> Plan:
    mdp = ring(config.places)
    hyper = ppo.Hyper(lr=3e-3, gamma=1.0, entropy=0.1, updates_total=float(config.initial))
    return Plan(
        name="ring",
        env=Tabular.of(mdp),
        data=mdp,
        objectives=tuple(f"objective {j}" for j in range(M)),
        reference=(0.0,) * M,
        evaluation=EvaluationOptions("exact"),
        learner=ppo.Config(
            config.n_envs, config.length, epochs=4, minibatches=4, widths=(config.width,), clip_value=False
        ),
        first=hyper,
        later=hyper.replace(entropy=0.0, updates_total=float(config.updates)),
        weights=weight_lattice(M, 0.5),
        every=1,
        gamma=1.0,
        **stages.budget(config),
    )


def _budget(config: Config) -> int:
    """Updates of PPO of one seed of C-MORL, which are those of the network."""
    return stages.learner_updates(config, len(weight_lattice(M, 0.5)), M)


def _tables(own: Plan, policies: PyTree) -> np.ndarray:
    """Probabilities float[n, X, A] of archived policies, leaves `[n, ...]`."""
    nets = ppo.networks(own.learner, own.env)

    def of(actor: PyTree) -> Array:
        return jax.nn.softmax(nets.actor.apply(actor, jnp.eye(own.data.n_states)))

    return np.asarray(jax.jit(jax.vmap(of))(policies["params"]["actor"]))


def _conditioned(config: Config, own: Plan, W: np.ndarray, folder: RunFolder) -> np.ndarray:
    """Probabilities float[S, n, X, A] of the network for the preferences W float64[n, m]."""
    _, trained = stages.condition(own, config.seeds, config.seed, own.weights, _budget(config), folder)
    nets = ppo.networks(own.learner, prefer(own.env))

    def of(actor: PyTree, w: Array) -> Array:
        states = jnp.arange(own.data.n_states, dtype=jnp.int32)
        x = jax.vmap(lambda s: nets.encode({"obs": s, "preference": w}))(states)
        return jax.nn.softmax(nets.actor.apply(actor, x))

    every = jax.jit(jax.vmap(jax.vmap(of, (None, 0)), (0, None)))
    return np.asarray(every(trained.state.learner.params["actor"], jnp.asarray(W, jnp.float32)))


def _optimal(mdp: TabularMDP, W: np.ndarray) -> np.ndarray:
    """Probabilities float64[n, X, A] of the optimal policies of preferences float64[n, m]."""
    return np.stack([np.eye(mdp.n_actions)[solve(mdp, weights=w).policy] for w in W])


def estimate(config: Config) -> dict[str, int]:
    """Members are scores; environment steps of both methods."""
    steps = 2 * config.seeds * _budget(config) * config.n_envs * config.length
    return {"members": (6 if config.rounds else 5) * config.seeds, "env_steps": steps}


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray | Score]:
    """Mean payments of the walks in percent of those of optimal policies, `float[S]`; regret of both methods
    to the best archived policy from where they stand, in the same unit; their paired difference of payments.
    """
    whole = result["paid"].sum(-1).mean(-1)
    percent = 100 / whole[3]
    regret = (result["best"] - result["paid"][:2]).sum(-1).mean(-1) * percent
    found: dict[str, np.ndarray | Score] = {
        f"{name}, % of the optimal policies": Score(whole[i] * percent, "more")
        for i, name in enumerate(METHODS[:3])
    }
    for i, name in enumerate(METHODS[:2]):
        found[f"{name}, regret to the best archived policy, %"] = Score(regret[i], "less")
    if np.isfinite(result["feasible"]).any():
        found["feasible"] = result["feasible"]
    return found | differences(
        "archive minus conditioned, %", "payments", whole[0] * percent, whole[1] * percent
    )


def figure(folder: RunFolder) -> list[Path]:
    """Payments of every segment in percent of those of optimal policies; regret by segment, every seed."""
    result = folder.load_result()
    paid, best = result["paid"], result["best"]
    at = np.arange(1, paid.shape[-1] + 1)
    scale = 100 / paid[3].mean(1)
    with plots.paper():
        fig, axes = plots.subplots(1, 2, width=4.0, height=3.0)
        for i, name in enumerate(METHODS[:3]):
            rows = (paid[i].mean(1) * scale).T
            axes[0, 0].plot(at, rows, "o-", markersize=3, linewidth=0.8, color=plots.PALETTE[i])
            axes[0, 0].plot([], [], color=plots.PALETTE[i], label=name)
        for i, name in enumerate(METHODS[:2]):
            rows = ((best[i] - paid[i]).mean(1) * scale).T
            axes[0, 1].plot(at, rows, "o-", markersize=3, linewidth=0.8, color=plots.PALETTE[i])
            axes[0, 1].plot([], [], color=plots.PALETTE[i], label=name)
        axes[0, 0].set(xlabel="segment", ylabel="% of the optimal policies", xticks=at)
        axes[0, 1].set(xlabel="segment", ylabel="regret to the best archived policy, %", xticks=at)
        for ax in axes[0]:
            ax.legend(fontsize=6)
        return plots.save(fig, folder.figures / "switching")


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
