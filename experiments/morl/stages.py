"""Both stages of C-MORL on one task for a population of seeds: what the experiments of the family share.

Legend: `S` seeds, `V` variants of stage 2, `C` members of an archive, `m` objectives, `R` runs of a round.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrl.baselines import ppo
from jaxrl.core.prng import stream
from jaxrl.core.tree import tree_take
from jaxrl.core.types import PyTree
from jaxrl.envs.base import Env
from jaxrl.morl import archive as archives
from jaxrl.morl import cmorl, conditioned, objectives, scalarised
from jaxrl.morl.constraints import Optimiser
from jaxrl.morl.learners import EvaluationOptions
from jaxrl.morl.metrics import expected_utility
from jaxrl.morl.preferences import preferences
from jaxrl.report import plots
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import member_keys, stack_hypers
from jaxrl.run.train import Trained, train


class Plan(NamedTuple):
    """How both stages train on one task.

    name: of the task; env, data: the environment and its parameters; first, later: hyper-parameters of PPO in
    either stage; weights: preferences float[M, m] of stage 1; initial: evaluations of stage 1; every: updates
    of PPO between two of them; selected, rounds, updates: N, rounds and K of stage 2; capacity: members of
    the archive; gamma: discount of the evaluation.
    """

    name: str
    env: Env
    data: PyTree
    objectives: tuple[str, ...]
    reference: tuple[float, ...]
    evaluation: EvaluationOptions
    learner: ppo.Config
    first: ppo.Hyper
    later: ppo.Hyper
    weights: np.ndarray
    initial: int
    every: int
    selected: int
    rounds: int
    updates: int
    capacity: int
    gamma: float

    @property
    def window(self) -> int:
        """Transitions of one learner in one update of PPO."""
        return self.learner.n_envs * self.learner.length


class Bounds(NamedTuple):
    """How a variant of stage 2 constrains its runs.

    t: sharpness of the barrier, which the other optimisers do not read; beta: retained share, in [0, 1].
    """

    t: float
    beta: float


class Extended(NamedTuple):
    """One variant of stage 2: archives `[S, ...]`, metrics by name `[S, rounds, ...]`."""

    archive: archives.Archive
    history: dict[str, np.ndarray]


def initialise(plan: Plan, seeds: int, seed: int, folder: RunFolder) -> archives.Archive:
    """Archives `[S, ...]` of stage 1 on the host; says which learners diverged and what the reference point
    left out.
    """
    weights = preferences(plan.weights, len(plan.reference))
    static = scalarised.Config(plan.learner, plan.capacity, plan.evaluation, plan.every)
    hyper = scalarised.Hyper(
        weights=weights,
        reference=np.asarray(plan.reference, np.float32),
        learner=plan.first,
        gamma=plan.gamma,
    )
    trained = train(
        scalarised.make(static, plan.env),
        member_keys(seed, seeds),
        stack_hypers([hyper], seeds),
        plan.data,
        updates=plan.initial,
        env_steps_per_update=len(weights) * plan.every * plan.window,
        stage=f"initialise-{plan.name}",
        folder=folder,
    )
    for text in diverged(trained, [f"preference {w.round(6).tolist()}" for w in weights]):
        folder.say(f"{plan.name}, initialise, {text}")
    archive = jax.device_get(trained.state.archive)
    for s in np.flatnonzero(~trained.diverged):
        line = archives.check_reference(tree_take(archive, int(s)), plan.reference)
        if line is not None:
            folder.say(f"{plan.name}, seed {s}: {line}")
    return archive


def extend(
    plan: Plan,
    seeds: int,
    seed: int,
    folder: RunFolder,
    optimiser: Optimiser,
    settings: dict[str, Bounds],
    begin: archives.Archive,
) -> dict[str, Extended]:
    """Stage 2 by one optimiser from the archives `begin` `[S, ...]`: `{variant: its result}`.

    settings: by variant; all variants and seeds are members of one program.
    """
    m = len(plan.objectives)
    static = cmorl.Config(
        learner=plan.learner,
        evaluation=plan.evaluation,
        selected=plan.selected,
        updates=plan.updates,
        rounds=plan.rounds,
        optimiser=optimiser,
    )
    hyper = cmorl.Hyper(
        reference=np.asarray(plan.reference, np.float32),
        learner=plan.later,
        gamma=plan.gamma,
    )
    members = seeds * len(settings)
    # copies on the host, whose rows are taken without compiling anything
    begin, data = jax.device_get((begin, plan.data))
    # entries 0 and 1 of a member's stream are those of its first stage
    keys = jax.vmap(stream, (0, None))(member_keys(seed, seeds), 2)
    every = np.tile(np.arange(seeds), len(settings))
    shared = jax.tree.map(lambda x: np.broadcast_to(x, (members, *np.shape(x))), data)
    trained = train(
        cmorl.make(static, plan.env),
        keys[every],
        stack_hypers([hyper.replace(t=x.t, beta=x.beta) for x in settings.values()], seeds),
        cmorl.Data(shared, jax.tree.map(lambda x: x[every], begin)),
        shared_data=False,
        updates=plan.rounds,
        log_every=1,
        env_steps_per_update=plan.updates * plan.selected * m * plan.window,
        stage=f"extend-{plan.name}-{optimiser}",
        labels=[f"{variant}, seed {s}" for variant in settings for s in range(seeds)],
        folder=folder,
    )
    shown = [f"start {i // m}, objective {plan.objectives[i % m]}" for i in range(plan.selected * m)]
    for text in diverged(trained, shown):
        folder.say(f"{plan.name}, {optimiser}, {text}")
    if "recovered" in trained.history:
        text = f"{np.nanmean(trained.history['recovered']):.1%} of the steps had no feasible point"
        folder.say(f"{plan.name}, {optimiser}: {text} and were steps of recovery")

    def own(v: int) -> slice:
        return slice(v * seeds, (v + 1) * seeds)

    archive = jax.device_get(trained.state.archive)
    return {
        variant: Extended(
            tree_take(archive, own(v)),
            {n: np.moveaxis(x[:, own(v)], 1, 0) for n, x in trained.history.items()},
        )
        for v, variant in enumerate(settings)
    }


def condition(
    plan: Plan, seeds: int, seed: int, weights: np.ndarray, updates: int, folder: RunFolder
) -> tuple[conditioned.Config, Trained]:
    """One network that reads the preference, after `updates` updates of PPO: `(static, trained)`.

    weights: preferences float[n, m] for which it is evaluated at its end.
    """
    hyper = conditioned.Hyper(
        weights=weights.astype(np.float32),
        reference=np.asarray(plan.reference, np.float32),
        learner=plan.first.replace(updates_total=float(updates)),
        gamma=plan.gamma,
    )
    static = conditioned.Config(plan.learner, len(weights), plan.evaluation, updates)
    trained = train(
        conditioned.make(static, plan.env),
        member_keys(seed, seeds),
        stack_hypers([hyper], seeds),
        plan.data,
        updates=1,
        env_steps_per_update=updates * plan.window,
        stage=f"conditioned-{plan.name}",
        folder=folder,
    )
    return static, trained


def learner_updates(config: Any, learners: int, m: int) -> int:
    """Updates of PPO of one seed of both stages, by a configuration with the fields of `budget`."""
    return learners * config.initial + config.rounds * config.updates * config.selected * m


def budget(config: Any) -> dict[str, int]:
    """What a plan takes from a configuration whose fields have the same names."""
    return {name: getattr(config, name) for name in ("initial", "selected", "rounds", "updates", "capacity")}


def variants(
    optimisers: tuple[Optimiser, ...], t: tuple[float, ...], beta: tuple[float, ...]
) -> dict[Optimiser, dict[str, Bounds]]:
    """Bounds by name of variant for every optimiser: the barrier with each t, the others once, and all of
    them with each beta, which is named where there are several.
    """

    def named(optimiser: Optimiser) -> dict[str, Bounds]:
        ends = [(b, f", beta = {b:g}" if len(beta) > 1 else "") for b in beta]
        if optimiser == "barrier":
            return {f"barrier, t = {x:g}{end}": Bounds(x, b) for x in t for b, end in ends}
        return {optimiser + end: Bounds(t[0], b) for b, end in ends}

    return {optimiser: named(optimiser) for optimiser in optimisers}


def diverged(trained: Trained, learners: list[str]) -> list[str]:
    """One line per learner whose `loss/<i>` was not finite: member, what it is called, and update."""
    return [
        f"member {member}: {what} diverged at update {trained.first_bad[f'loss/{i}'][member]}"
        for i, what in enumerate(learners)
        for member in np.flatnonzero(trained.first_bad[f"loss/{i}"] >= 0).tolist()
    ]


def members(archive: archives.Archive, seed: int) -> np.ndarray:
    """Returns float64[n, m] of the members of one archive of `[S, ...]`."""
    return np.asarray(archives.members(tree_take(archive, seed)).returns, np.float64)


def padded(sets: list[list[np.ndarray]], capacity: int) -> dict[str, np.ndarray]:
    """Members of every set in arrays of one shape: `returns [V, S, C, m]`, zeros where `valid` is False."""
    rows = [[np.pad(x, ((0, capacity - len(x)), (0, 0))) for x in row] for row in sets]
    valid = [[np.arange(capacity) < len(x) for x in row] for row in sets]
    return {"returns": np.array(rows, np.float32), "valid": np.array(valid)}


_utilities = jax.jit(jax.vmap(jax.vmap(expected_utility, (0, 0, None)), (0, 0, None)))


def utilities(sets: dict[str, np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Expected utility float[V, S] of sets as `padded` makes them, over preferences float[W, m]."""
    return np.asarray(_utilities(sets["returns"], sets["valid"], weights.astype(np.float32)), np.float64)


def records(plan: Plan, after: dict[str, Extended]) -> dict[str, Any]:
    """Feasibility and gain by round, and every run of stage 2, `[V, S, rounds, ...]`."""
    m, runs = len(plan.objectives), plan.selected * len(plan.objectives)

    def history(name: str) -> np.ndarray:
        return np.stack([trained.history[name] for trained in after.values()])

    vectors = {n: history(f"extension/{n}") for n in ("start", "end", "threshold")}
    return {
        "feasible": history("feasible"),
        "gain": history("gain"),
        "live": np.repeat(history("extension/live"), m, axis=-1) > 0,
        **{n: x.reshape(*x.shape[:-1], runs, m) for n, x in vectors.items()},
    }


def arrows(start: np.ndarray, end: np.ndarray, threshold: np.ndarray, live: np.ndarray) -> dict[str, Any]:
    """Starts and ends of the live runs of one member, the objectives that they raise, and whether the ends
    keep their bounds, for its page.

    start, end, threshold: float[rounds, R, m]; live: bool[rounds, R].
    """
    m = start.shape[-1]
    others = np.broadcast_to(1 - np.tile(np.eye(m), (start.shape[1] // m, 1)), start.shape)
    keep = np.asarray(jax.vmap(objectives.feasible)(end[live], threshold[live], others[live]))
    raised = np.broadcast_to(np.arange(start.shape[1]) % m, live.shape)[live]
    return {"starts": start[live], "ends": end[live], "feasible": keep, "extended": raised}


def store(
    folder: RunFolder, task: str, stage: str, seed: int, archive: archives.Archive, record: dict
) -> None:
    """Writes an archive into the run folder, with all that is needed to evaluate it again."""
    if not folder.writes:
        return
    place = folder.path / "archives"
    place.mkdir(exist_ok=True)
    archives.save(
        place / f"{task}--{stage}--{seed}.npz", archive, record | {"task": task, "stage": stage, "seed": seed}
    )


def draw_rounds(axes: np.ndarray, result: dict[str, np.ndarray], i: int, name: str) -> None:
    """Feasible share and gain of every seed by round of stage 2, on two axes, for task i called `name`."""
    for ax, what, text in (
        (axes[0], "feasible", "feasible share"),
        (axes[1], "gain", "gain of objective l"),
    ):
        for v, variant in enumerate(result[f"variant_{i}"].tolist()):
            rows = result[f"{what}_{i}"][v]
            rounds = np.arange(1, rows.shape[-1] + 1)
            ax.plot(rounds, rows.T, "o-", color=plots.PALETTE[v], markersize=3, linewidth=0.8)
            ax.plot([], [], color=plots.PALETTE[v], label=variant)
        ax.set(title=name, xlabel="round", ylabel=f"{text}, every seed", xticks=rounds)
        ax.legend(fontsize=7)


def share(x: float) -> str:
    """A share in percent, "-" where there is none."""
    return "-" if np.isnan(x) else f"{x:.2%}"
