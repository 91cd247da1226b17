"""C-MORL on finite tasks, from the first policies to a certified front, beside runs without constraints.

Legend: `S` seeds, `V` variants of stage 2, `C` members of an archive, `m` objectives, `R` runs of a round.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.morl import certificate, front_page, rollouts
from experiments.morl.settings import Finite, Setting, finite, grid, learner, numbers, setting
from jaxrl.cli.main import experiment_main
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Positive, Seed, Size, check_fields
from jaxrl.core.prng import stream
from jaxrl.core.tree import tree_take
from jaxrl.morl import archive as archives
from jaxrl.morl import cmorl, objectives, scalarised
from jaxrl.morl.constraints import Optimiser
from jaxrl.morl.hypervolume import hypervolume
from jaxrl.morl.metrics import expected_utility, hull_gap
from jaxrl.morl.preferences import preferences
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import member_keys, stack_hypers
from jaxrl.run.train import Trained, train


@dataclass(frozen=True)
class Config:
    """Tasks, seeds, and the variants of stage 2 that extend the same archives."""

    tasks: tuple[str, ...] = ("dst-concave", "dst-convex", "fruit-tree-5")
    """Names of task records that have a setting, one or more."""
    optimisers: tuple[Optimiser, ...] = ("barrier", "none")
    """Constraint optimisers of stage 2, one or more; all extend the archives of the same stage 1."""
    seeds: Size = 3
    """Members per task and variant; member i depends on the root seed and on i alone."""
    seed: Seed = 0
    """The root seed, in [0, 2^32)."""
    n_envs: Size = 64
    """Environments per learner."""
    initial: Size | None = None
    """Updates of stage 1; None takes those of the task's setting."""
    rounds: Size | None = None
    """Rounds of stage 2; None takes those of the task's setting."""
    updates: Size = 20
    """Updates of every run in a round. Paper: 20."""
    capacity: Size = 512
    """Members of the archive. Paper: 200."""
    beta: Positive = 0.9
    """Share of every constrained return that a run retains, in (0, 1]. Paper: 0.9."""

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("tasks", "optimisers"):
            if not getattr(self, name):
                raise UsageError(f"Config.{name}: must hold at least one name")
        for name in self.tasks:
            setting(name)


PRESETS = {
    "smoke": Config(
        ("dst-concave",), ("barrier",), seeds=1, n_envs=8, initial=30, rounds=1, updates=4, capacity=64
    ),
    "quick": Config(),
    "concave": Config(("dst-concave",)),
    "convex": Config(("dst-convex",)),
    "tree": Config(("fruit-tree-5",)),
    "constraints": Config(("dst-concave",), ("barrier", "lagrangian", "cpo", "official", "none")),
    "paper": Config(
        ("dst-concave", "dst-convex", "dst-mirrored", "fruit-tree-5", "fruit-tree-6"),
        ("barrier", "lagrangian", "cpo", "official", "none"),
        seeds=5,
    ),
}
BETTER = "more"


def run(config: Config, folder: RunFolder) -> None:
    """Trains both stages on every task and certifies the archives, which stand in `archives/`.

    Per task i: `variant_i [V]`, their names; `returns_i [V + 1, S, C, m]`, members after stage 1 and after
    every variant, zeros where `valid_i` is False; `volume_i`, `gap_i`, `utility_i [V + 1, S]`; `feasible_i`,
    `gain_i [V, S, rounds]`; `start_i`, `end_i`, `threshold_i [V, S, rounds, R, m]` and `live_i
    [V, S, rounds, R]` of all runs.
    """
    arrays: dict[str, Any] = {"task": list(config.tasks)}
    for i, name in enumerate(config.tasks):
        arrays |= {f"{key}_{i}": x for key, x in _solve(config, name, folder).items()}
    folder.save_result(**arrays)
    certificate.write(folder)


def estimate(config: Config) -> dict[str, int]:
    """Members are scores; environment steps of both stages."""
    members = steps = 0
    for name in config.tasks:
        one = setting(name)
        m, variants = len(one.objectives), len(_variants(config, one))
        initial, rounds = config.initial or one.initial, config.rounds or one.rounds
        runs = initial * len(grid(one)) + variants * rounds * config.updates * one.selected * m
        members += (1 + 3 * variants) * config.seeds
        steps += config.seeds * config.n_envs * one.length * runs
    return {"members": members, "env_steps": steps}


def _variants(config: Config, one: Setting) -> dict[str, tuple[Optimiser, float]]:
    """Variants of stage 2 by name: the barrier with every sharpness of the setting, and the others."""
    found: dict[str, tuple[Optimiser, float]] = {}
    for optimiser in config.optimisers:
        if optimiser == "barrier":
            found |= {f"barrier, t = {t:g}": (optimiser, t) for t in one.t}
        else:
            found[optimiser] = (optimiser, one.t[0])
    return found


def _solve(config: Config, name: str, folder: RunFolder) -> dict[str, Any]:
    one, found = setting(name), finite(name)
    first = _initialise(config, one, found, folder, name)
    begin = first.state.archive
    for s in np.flatnonzero(~first.diverged):
        line = archives.check_reference(tree_take(begin, int(s)), found.task.reference)
        if line is not None:
            folder.say(f"{name}, seed {s}: {line}")
    after: dict[str, _Extended] = {}
    for optimiser in config.optimisers:
        after |= _extend(config, one, found, folder, name, optimiser, begin)
    stages = {"initialise": begin} | {name: trained.archive for name, trained in after.items()}
    for stage, archive in stages.items():
        for s in range(config.seeds):
            certificate.store(folder, name, stage, s, tree_take(archive, s), found.task.record())
    sets = [[_members(archive, s) for s in range(config.seeds)] for archive in stages.values()]
    for stage, row in zip(stages, sets, strict=True):
        volumes = ", ".join(f"{hypervolume(x, found.task.reference).value:.4f}" for x in row)
        folder.say(f"{name}, {stage}: hypervolume {volumes}")
    arrays = _measures(found, sets) | _returns(sets, config.capacity) | _records(one, after)
    return {"variant": list(after)} | arrays


class _Extended(NamedTuple):
    """One variant of stage 2: archives `[S, ...]`, metrics by name `[S, rounds, ...]`."""

    archive: archives.Archive
    history: dict[str, np.ndarray]


def _initialise(config: Config, one: Setting, found: Finite, folder: RunFolder, name: str) -> Trained:
    updates = config.initial or one.initial
    weights = preferences(grid(one), len(found.task.reference))
    static = scalarised.Config(learner(one, config.n_envs), config.capacity, found.evaluation)
    hyper = scalarised.Hyper(
        weights=weights,
        reference=np.asarray(found.task.reference, np.float32),
        learner=numbers(one, found, updates),
        gamma=found.task.gamma,
    )
    trained = train(
        scalarised.make(static, found.env),
        member_keys(config.seed, config.seeds),
        stack_hypers([hyper], config.seeds),
        found.mdp,
        updates=updates,
        env_steps_per_update=len(weights) * config.n_envs * one.length,
        stage=f"initialise-{name}",
        folder=folder,
    )
    shown = [f"preference {w.round(6).tolist()}" for w in weights]
    for text in diverged(trained, shown):
        folder.say(f"{name}, initialise, {text}")
    return trained


def diverged(trained: Trained, learners: list[str]) -> list[str]:
    """One line per learner whose `loss/<i>` was not finite: member, what it is called, and update."""
    return [
        f"member {member}: {what} diverged at update {trained.first_bad[f'loss/{i}'][member]}"
        for i, what in enumerate(learners)
        for member in np.flatnonzero(trained.first_bad[f"loss/{i}"] >= 0).tolist()
    ]


def _extend(
    config: Config,
    one: Setting,
    found: Finite,
    folder: RunFolder,
    name: str,
    optimiser: Optimiser,
    begin: archives.Archive,
) -> dict[str, _Extended]:
    """All variants of one optimiser, as members of one program."""
    variants = {v: t for v, (o, t) in _variants(config, one).items() if o == optimiser}
    rounds, m = config.rounds or one.rounds, len(one.objectives)
    static = cmorl.Config(
        learner=learner(one, config.n_envs),
        evaluation=found.evaluation,
        selected=one.selected,
        updates=config.updates,
        rounds=rounds,
        optimiser=optimiser,
    )
    hyper = cmorl.Hyper(
        reference=np.asarray(found.task.reference, np.float32),
        learner=numbers(one, found, config.updates).replace(entropy=0.0),
        gamma=found.task.gamma,
        beta=config.beta,
    )
    seeds, members = config.seeds, config.seeds * len(variants)
    # entries 0 and 1 of a member's stream are those of its first stage
    keys = jax.vmap(stream, (0, None))(member_keys(config.seed, seeds), 2)
    every = np.tile(np.arange(seeds), len(variants))
    shared = jax.tree.map(lambda x: jnp.broadcast_to(x, (members, *x.shape)), found.mdp)
    trained = train(
        cmorl.make(static, found.env),
        keys[every],
        stack_hypers([hyper.replace(t=t) for t in variants.values()], seeds),
        cmorl.Data(shared, jax.tree.map(lambda x: x[every], begin)),
        shared_data=False,
        updates=rounds,
        log_every=1,
        env_steps_per_update=config.updates * one.selected * m * config.n_envs * one.length,
        stage=f"extend-{name}-{optimiser}",
        labels=[f"{variant}, seed {s}" for variant in variants for s in range(seeds)],
        folder=folder,
    )

    shown = [f"start {i // m}, objective {one.objectives[i % m]}" for i in range(one.selected * m)]
    for text in diverged(trained, shown):
        folder.say(f"{name}, {optimiser}, {text}")

    def own(v: int) -> slice:
        return slice(v * seeds, (v + 1) * seeds)

    return {
        variant: _Extended(
            jax.tree.map(lambda x, v=v: x[own(v)], trained.state.archive),
            {n: np.moveaxis(x[:, own(v)], 1, 0) for n, x in trained.history.items()},
        )
        for v, variant in enumerate(variants)
    }


def _members(archive: archives.Archive, seed: int) -> np.ndarray:
    """Returns float64[n, m] of the members of one archive."""
    return np.asarray(archives.members(tree_take(archive, seed)).returns, np.float64)


def _measures(found: Finite, sets: list[list[np.ndarray]]) -> dict[str, Any]:
    """Hypervolume, hull gap and expected utility of every set."""
    z, grid_ = found.task.reference, found.task.preferences()
    utility = [
        [float(expected_utility(jnp.asarray(x), jnp.ones(len(x), bool), jnp.asarray(grid_))) for x in row]
        for row in sets
    ]
    volume = [[hypervolume(x, z).value for x in row] for row in sets]
    gap = [[hull_gap(x, found.front, z) if len(z) < 4 else np.nan for x in row] for row in sets]
    return {"volume": volume, "gap": gap, "utility": utility}


def _returns(sets: list[list[np.ndarray]], capacity: int) -> dict[str, Any]:
    """Members of every set in arrays of one shape."""
    rows = [[np.pad(x, ((0, capacity - len(x)), (0, 0))) for x in row] for row in sets]
    valid = [[np.arange(capacity) < len(x) for x in row] for row in sets]
    return {"returns": np.array(rows, np.float32), "valid": np.array(valid)}


def _records(one: Setting, after: dict[str, _Extended]) -> dict[str, Any]:
    """Feasibility and gain by round, and every run of stage 2, `[V, S, rounds, ...]`."""
    m, runs = len(one.objectives), one.selected * len(one.objectives)

    def history(name: str) -> np.ndarray:
        return np.stack([trained.history[name] for trained in after.values()])

    vectors = {n: history(f"extension/{n}") for n in ("start", "end", "threshold")}
    return {
        "feasible": history("feasible"),
        "gain": history("gain"),
        "live": np.repeat(history("extension/live"), m, axis=-1) > 0,
        **{n: x.reshape(*x.shape[:-1], runs, m) for n, x in vectors.items()},
    }


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray | Score]:
    """Hypervolume after stage 1 and after every variant, feasible share of iterates, gain of objective l.

    Per seed, `float[S]`; shares and gains are means over rounds.
    """
    found: dict[str, np.ndarray | Score] = {}
    for i, name in enumerate(result["task"].tolist()):
        found[f"{name}: after initialisation"] = result[f"volume_{i}"][0]
        for v, variant in enumerate(result[f"variant_{i}"].tolist()):
            found[f"{name}: {variant}"] = result[f"volume_{i}"][v + 1]
            found[f"{name}: {variant}, feasible"] = result[f"feasible_{i}"][v].mean(-1)
            found[f"{name}: {variant}, gain"] = result[f"gain_{i}"][v].mean(-1)
    return found


def figure(folder: RunFolder) -> list[Path]:
    """Fronts of the first seed, feasibility and gain by round; a page of the front of every task."""
    result = folder.load_result()
    tasks = result["task"].tolist()
    pages = [_page(folder, result, i, name) for i, name in enumerate(tasks)]
    with plots.paper():
        fig, axes = plots.subplots(len(tasks), 3, width=3.6, height=3.0)
        for i, name in enumerate(tasks):
            variants = result[f"variant_{i}"].tolist()
            _front(axes[i, 0], result, i, name, variants)
            for ax, what, text in (
                (axes[i, 1], "feasible", "feasible share"),
                (axes[i, 2], "gain", "gain of objective l"),
            ):
                for v, variant in enumerate(variants):
                    rows = result[f"{what}_{i}"][v]
                    rounds = np.arange(1, rows.shape[-1] + 1)
                    ax.plot(rounds, rows.T, "o-", color=plots.PALETTE[v], markersize=3, linewidth=0.8)
                    ax.plot([], [], color=plots.PALETTE[v], label=variant)
                ax.set(title=name, xlabel="round", ylabel=f"{text}, every seed", xticks=rounds)
                ax.legend(fontsize=7)
        return [*plots.save(fig, folder.figures / "fronts"), *pages]


def _front(ax: Any, result: dict[str, np.ndarray], i: int, name: str, variants: list[str]) -> None:
    """The first two objectives of the first seed, beside what deterministic policies reach."""
    exact = finite(name).front
    ax.plot(exact[:, 0], exact[:, 1], "x", color=plots.GREY, label="deterministic policies")
    for v, label in enumerate(["initialisation", *variants]):
        points = result[f"returns_{i}"][v, 0][result[f"valid_{i}"][v, 0]]
        color = plots.PALETTE[v - 1] if v else "black"
        ax.plot(points[:, 0], points[:, 1], ".", color=color, markersize=4, alpha=0.7, label=label)
    first, second, *_ = setting(name).objectives
    ax.set(title=f"{name}, seed 0", xlabel=first, ylabel=second)
    ax.legend(fontsize=7)


def _page(folder: RunFolder, result: dict[str, np.ndarray], i: int, name: str) -> Path:
    """The front of the first variant and seed, with its extensions and the exact front behind it."""
    found, one = finite(name), setting(name)
    live = result[f"live_{i}"][0, 0]
    starts, ends, bounds = (result[f"{n}_{i}"][0, 0][live] for n in ("start", "end", "threshold"))
    extended = np.tile(np.eye(len(one.objectives)), (one.selected, 1))[None].repeat(len(live), 0)[live]
    members, tables = certificate.stored(folder, name, result[f"variant_{i}"].tolist()[0], 0, found)
    page = front_page.Front(
        title=f"C-MORL on {name}",
        objectives=one.objectives,
        returns=members.returns,
        reference=found.task.reference,
        record=found.task.record(),
        exact=found.front,
        starts=starts,
        ends=ends,
        feasible=np.asarray(jax.vmap(objectives.feasible)(ends, bounds, 1 - extended)),
        rollouts=rollouts.on_map(found, tables),
    )
    path = folder.figures / f"front-{name}.html"
    path.write_text(front_page.render(page))
    return path


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
