"""C-MORL beside one preference-conditioned network as the number of objectives grows, on equal transitions.

Trees of one depth whose leaves are random points of the positive orthant of a sphere, so that every leaf is
best for some preference. Both learners have the same network, window and number of transitions; the
conditioned one reads the preference and trains for random ones, C-MORL starts from unit vectors.

Legend: `M` numbers of objectives, `S` seeds, `W` preferences, `C` members of an archive, `m` objectives.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.morl import stages
from experiments.morl.stages import Plan
from jaxrl.baselines import ppo
from jaxrl.cli.main import experiment_main
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Seed, Size, check_fields
from jaxrl.core.tree import tree_take
from jaxrl.envs.tabular.mdp import TabularMDP, make_mdp
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.morl import conditioned
from jaxrl.morl.learners import EvaluationOptions
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.run.folder import RunFolder

GAMMA, LENGTH, RADIUS = 0.99, 20, 10.0
T, BETA = 100.0, 0.9  # sharpness of the barrier, retained share
METHODS = ("C-MORL", "conditioned")


@dataclass(frozen=True)
class Config:
    """Trees by their number of objectives, and the budget of both learners."""

    objectives: tuple[Size, ...] = (2, 3, 4, 6, 9)
    """Numbers of objectives, each from 2 to 9; a tree per number."""
    depth: Size = 5
    """Decisions until a leaf; a tree has 2 to this power leaves."""
    preferences: Size = 128
    """Number of preferences, drawn uniformly from the simplex once, for which both are evaluated."""
    seeds: Size = 5
    """Members per method and tree; member i depends on the root seed and on i alone."""
    seed: Seed = 0
    """The root seed, in [0, 2^32)."""
    n_envs: Size = 32
    """Environments per learner."""
    width: Size = 64
    """Units of the one hidden layer of actor and critic each."""
    initial: Size = 60
    """Updates of each of the m learners of stage 1."""
    rounds: Size = 4
    """Rounds of stage 2."""
    updates: Size = 20
    """Updates of every run in a round. Paper: 20."""
    selected: Size = 6
    """Members that a round begins from. Paper: 5 or 6."""
    capacity: Size = 128
    """Members of the archive. Paper: 200."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.objectives or not all(2 <= m <= 9 for m in self.objectives):
            raise UsageError(f"Config.objectives: must be numbers from 2 to 9, got {list(self.objectives)}")


PRESETS = {
    "smoke": Config(
        (2,), depth=2, preferences=8, seeds=1, n_envs=4, width=4, initial=2, rounds=1, updates=1, selected=2
    ),
    "quick": Config((2, 4, 9), seeds=3, n_envs=16, rounds=3),
    "paper": Config(depth=7, seeds=10, n_envs=64, initial=120, rounds=8, capacity=256),
}
BETTER = "more"


def leaves(depth: int, m: int) -> np.ndarray:
    """Leaves float64[2^depth, m], fixed by both numbers."""
    points = np.abs(np.random.default_rng([depth, m]).normal(size=(2**depth, m)))
    return RADIUS * points / np.linalg.norm(points, axis=-1, keepdims=True)


def tree(depth: int, m: int) -> TabularMDP:
    """The tree as tables: inner nodes in order of their rows, then the end; actions left and right."""
    inner = 2**depth - 1
    P, R = np.zeros((inner + 1, 2, inner + 1)), np.zeros((inner + 1, 2, m))
    values = leaves(depth, m)
    for s in range(inner):
        for a in range(2):
            child = 2 * s + 1 + a
            P[s, a, min(child, inner)] = 1.0
            if child >= inner:
                R[s, a] = values[child - inner]
    P[inner, :, inner] = 1.0
    return make_mdp(P, R, np.eye(inner + 1)[0], GAMMA, terminal=(inner,), reward_dim=m)


def drawn(config: Config, m: int) -> np.ndarray:
    """Preferences float64[W, m] of the comparison."""
    return np.random.default_rng(m).dirichlet(np.ones(m), config.preferences)


def run(config: Config, folder: RunFolder) -> None:
    """Trains both methods on every tree.

    Per number m of objectives: `utility_m [2, S, W]`, w . G of what each method serves; `best_m [W]`, that of
    the best leaf; `found_m [2, S]`, leaves that C-MORL's archive holds, and that the network reaches for any
    of the preferences; `feasible_m [S]` of stage 2.
    """
    arrays: dict[str, Any] = {"objectives": list(config.objectives)}
    for m in config.objectives:
        arrays |= {f"{key}_{m}": x for key, x in _compare(config, m, folder).items()}
    folder.save_result(**arrays)


def _compare(config: Config, m: int, folder: RunFolder) -> dict[str, np.ndarray]:
    own, W = _plan(config, m), drawn(config, m)
    exact = GAMMA ** (config.depth - 1) * leaves(config.depth, m)
    begin = stages.initialise(own, config.seeds, config.seed, folder)
    settings = {"barrier": stages.Bounds(T, BETA)}
    after = stages.extend(own, config.seeds, config.seed, folder, "barrier", settings, begin)["barrier"]
    sets = [stages.members(after.archive, s) for s in range(config.seeds)]
    served = _conditioned(config, own, W, folder)
    utility = np.array([[(x @ W.T).max(0) for x in sets], (served * W).sum(-1)])
    found = [[_count(x, exact) for x in sets], [_count(x, exact) for x in served]]
    return {
        "utility": utility,
        "best": (exact @ W.T).max(0),
        "found": np.array(found),
        "feasible": after.history["feasible"].mean(-1),
    }


def _count(points: np.ndarray, exact: np.ndarray) -> int:
    """Number of leaves among points float[n, m]."""
    return int((np.abs(points[:, None] - exact).max(-1) < 1e-3).any(0).sum())


def _plan(config: Config, m: int) -> Plan:
    mdp = tree(config.depth, m)
    hyper = ppo.Hyper(lr=3e-3, gamma=GAMMA, entropy=0.3, updates_total=float(config.initial))
    return Plan(
        name=f"tree-{m}",
        env=Tabular.of(mdp),
        data=mdp,
        objectives=tuple(f"objective {j}" for j in range(m)),
        reference=(-1.0,) * m,
        evaluation=EvaluationOptions("greedy", 1, config.depth),
        learner=ppo.Config(
            config.n_envs, LENGTH, epochs=4, minibatches=4, widths=(config.width,), clip_value=False
        ),
        first=hyper,
        later=hyper.replace(entropy=0.0, updates_total=float(config.updates)),
        weights=np.eye(m),
        every=1,
        gamma=GAMMA,
        **stages.budget(config),
    )


def _budget(config: Config, m: int) -> int:
    """Updates of PPO of one seed of C-MORL, which are those of the conditioned network."""
    return stages.learner_updates(config, m, m)


def _conditioned(config: Config, own: Plan, W: np.ndarray, folder: RunFolder) -> np.ndarray:
    """Returns float64[S, W, m] of the network for every preference, after C-MORL's number of transitions."""
    updates = _budget(config, len(own.objectives))
    static, trained = stages.condition(own, config.seeds, config.seed, W, updates, folder)
    algorithm, states = conditioned.make(static, own.env), np.arange(own.data.n_states, dtype=np.int32)

    @jax.jit
    def actions(state: Any) -> Any:
        """Most likely actions int32[W, S] of one member."""
        policy = algorithm.act(state, own.first, True)

        def action(s: Any, w: Any) -> Any:
            return policy.act(jax.random.key(0), {"obs": s, "preference": w}, policy.memory)[0]

        pairs = jax.vmap(jax.vmap(action, (0, None)), (None, 0))
        return pairs(jnp.asarray(states), jnp.asarray(W, jnp.float32))

    state = trained.state
    return np.stack([_served(own, np.asarray(actions(tree_take(state, s)))) for s in range(config.seeds)])


def _served(own: Plan, taken: np.ndarray) -> np.ndarray:
    """Returns float64[W, m] of following the actions int[W, S]."""
    P, R = np.asarray(own.data.P), np.asarray(own.data.R, np.float64)
    W = len(taken)
    G, at = np.zeros((W, R.shape[-1])), np.zeros(W, int)
    for t in range(own.evaluation.limit or 0):
        chosen = taken[np.arange(W), at]
        G += GAMMA**t * R[at, chosen]
        at = P[at, chosen].argmax(-1)
    return G


def estimate(config: Config) -> dict[str, int]:
    """Members are scores; environment steps of both methods."""
    updates = sum(2 * _budget(config, m) for m in config.objectives)
    members = (2 * len(METHODS) + 1) * len(config.objectives) * config.seeds
    return {"members": members, "env_steps": config.seeds * config.n_envs * LENGTH * updates}


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray | Score]:
    """Per number of objectives and method, `float[S]`: mean utility in percent of that of the best leaves,
    and leaves found; feasible share of the iterates of stage 2; the paired difference of utility.
    """
    found: dict[str, np.ndarray | Score] = {}
    for m in result["objectives"].tolist():
        share = 100 * result[f"utility_{m}"].mean(-1) / result[f"best_{m}"].mean()
        for i, method in enumerate(METHODS):
            found[f"m = {m}: {method}, % of the best utility"] = share[i]
            found[f"m = {m}: {method}, leaves"] = result[f"found_{m}"][i].astype(float)
        found[f"m = {m}: C-MORL, feasible"] = result[f"feasible_{m}"]
        found[f"m = {m}: C-MORL minus conditioned, % of the best utility"] = Score(
            share[0] - share[1], "more", derived=True
        )
    return found


def figure(folder: RunFolder) -> list[Path]:
    """Utility and leaves of both methods by the number of objectives, every seed."""
    result = folder.load_result()
    objectives = result["objectives"]
    with plots.paper():
        fig, axes = plots.subplots(1, 2, width=4.0, height=3.0)
        for i, method in enumerate(METHODS):
            share = np.array(
                [100 * result[f"utility_{m}"][i].mean(-1) / result[f"best_{m}"].mean() for m in objectives]
            )
            count = np.array([result[f"found_{m}"][i] for m in objectives])
            for ax, y in zip(axes[0], (share, count), strict=True):
                ax.plot(objectives, y, ".", color=plots.PALETTE[i])
                ax.plot(objectives, y.mean(-1), color=plots.PALETTE[i], label=method)
        axes[0, 0].set(xlabel="objectives", ylabel="% of the best utility")
        axes[0, 1].set(xlabel="objectives", ylabel="leaves found")
        for ax in axes[0]:
            ax.legend(fontsize=7)
        return plots.save(fig, folder.figures / "objectives")


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
