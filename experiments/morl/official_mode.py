"""What the released code of C-MORL does beside its term: start points that leak, rates that have decayed.

One stage 1 with the released decay of the learning rate, then its archives are extended five times: as
released, with either habit switched off, with both off, and with the barrier in place of the term.

Legend: `S` seeds, `V` variants of stage 2, `m` objectives, `R` runs of a round.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np

from experiments.morl.settings import Finite, Setting, finite, grid, learner, numbers, setting
from jaxrl.cli.main import experiment_main
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Seed, Size, check_fields
from jaxrl.core.prng import stream
from jaxrl.core.tree import tree_take
from jaxrl.morl import archive as archives
from jaxrl.morl import cmorl, released, scalarised
from jaxrl.morl.hypervolume import hypervolume
from jaxrl.morl.preferences import preferences
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import member_keys, stack_hypers
from jaxrl.run.train import Trained, train

Variant = Literal["released", "no leak", "no decay", "term alone", "barrier"]
VARIANTS: dict[Variant, dict[str, Any]] = {
    "released": {},
    "no leak": {"leak": False},
    "no decay": {"decay": False},
    "term alone": {"leak": False, "decay": False},
    "barrier": {"leak": False, "decay": False, "optimiser": "barrier"},
}
"""Changes of `released.Config` by variant."""


@dataclass(frozen=True)
class Config:
    """One task, and how long both stages take."""

    task: Literal["dst-concave", "dst-convex", "dst-mirrored"] = "dst-concave"
    """Name of the task record."""
    variants: tuple[Variant, ...] = get_args(Variant)
    """Variants of stage 2, one or more; all extend the archives of the same stage 1."""
    seeds: Size = 3
    """Members per variant; member i depends on the root seed and on i alone."""
    seed: Seed = 0
    """The root seed, in [0, 2^32)."""
    n_envs: Size = 32
    """Environments per learner."""
    initial: Size = 200
    """Updates of stage 1, over which the learning rate falls to zero."""
    rounds: Size = 5
    """Rounds of stage 2."""
    updates: Size = 20
    """Updates of every run in a round. Paper: 20."""
    capacity: Size = 256
    """Members of the archive. Paper: 200."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.variants:
            raise UsageError("Config.variants: must hold at least one name")


PRESETS = {
    "smoke": Config(variants=("released",), seeds=1, n_envs=8, initial=20, rounds=1, updates=3, capacity=32),
    "quick": Config(),
    "paper": Config(seeds=5, n_envs=64, capacity=512),
}
BETTER = "more"


def run(config: Config, folder: RunFolder) -> None:
    """Saves `volume [V + 1, S]`, stage 1 first, `feasible, gain, leak, rate [V, S, rounds]` and
    `moved [V, S]`.

    rate: as a share of the first learning rate. leak, moved: mean changes of a return by the spread of its
    objective, from the selected policy to the start of a run, and from there to its end.
    """
    one, found = setting(config.task), finite(config.task)
    begin = _initialise(config, one, found, folder).state.archive
    after = {name: _extend(config, one, found, folder, name, begin) for name in config.variants}
    z = found.task.reference
    sets = [begin, *(trained.state.archive for trained in after.values())]
    volume = [
        [
            hypervolume(archives.members(tree_take(x, s)).returns.astype(np.float64), z).value
            for s in range(config.seeds)
        ]
        for x in sets
    ]
    records = [_records(config, one, trained, begin) for trained in after.values()]
    folder.save_result(
        variant=list(after),
        volume=volume,
        **{name: np.stack([record[name] for record in records]) for name in records[0]},
    )


def estimate(config: Config) -> dict[str, int]:
    """Members are scores; environment steps of both stages."""
    one = setting(config.task)
    runs = config.initial * len(grid(one))
    runs += len(config.variants) * config.rounds * config.updates * one.selected * len(one.objectives)
    return {
        "members": (1 + 6 * len(config.variants)) * config.seeds,
        "env_steps": config.seeds * config.n_envs * one.length * runs,
    }


def _initialise(config: Config, one: Setting, found: Finite, folder: RunFolder) -> Trained:
    weights = preferences(grid(one), len(found.task.reference))
    static = scalarised.Config(learner(one, config.n_envs), config.capacity, found.evaluation)
    hyper = scalarised.Hyper(
        weights=weights,
        reference=np.asarray(found.task.reference, np.float32),
        learner=numbers(one, found, config.initial).replace(anneal=1.0),
        gamma=found.task.gamma,
    )
    return train(
        scalarised.make(static, found.env, released.with_optimiser),
        member_keys(config.seed, config.seeds),
        stack_hypers([hyper], config.seeds),
        found.mdp,
        updates=config.initial,
        env_steps_per_update=len(weights) * config.n_envs * one.length,
        stage="initialise",
        folder=folder,
    )


def _extend(
    config: Config, one: Setting, found: Finite, folder: RunFolder, name: Variant, begin: archives.Archive
) -> Trained:
    static = released.Config(
        learner=learner(one, config.n_envs),
        evaluation=found.evaluation,
        selected=one.selected,
        updates=config.updates,
        rounds=config.rounds,
        **VARIANTS[name],
    )
    hyper = cmorl.Hyper(
        reference=np.asarray(found.task.reference, np.float32),
        learner=numbers(one, found, config.updates).replace(entropy=0.0),
        gamma=found.task.gamma,
        t=one.t[0],
    )
    shared = jax.tree.map(lambda x: jnp.broadcast_to(x, (config.seeds, *x.shape)), found.mdp)
    return train(
        released.make(static, found.env),
        # entries 0 and 1 of a member's stream are those of its first stage
        jax.vmap(stream, (0, None))(member_keys(config.seed, config.seeds), 2),
        stack_hypers([hyper], config.seeds),
        cmorl.Data(shared, begin),
        shared_data=False,
        updates=config.rounds,
        log_every=1,
        env_steps_per_update=config.updates * one.selected * len(one.objectives) * config.n_envs * one.length,
        stage=f"extend-{name.replace(' ', '-')}",
        folder=folder,
    )


def _records(
    config: Config, one: Setting, trained: Trained, begin: archives.Archive
) -> dict[str, np.ndarray]:
    """What one variant leaves, `[S, rounds]` or `[S]`."""
    m = len(one.objectives)
    history = {name: np.moveaxis(x, 0, 1) for name, x in trained.history.items()}
    shape = (config.seeds, config.rounds, one.selected, m, m)
    start, end = (history[f"extension/{n}"].reshape(shape) for n in ("start", "end"))
    live = np.broadcast_to((history["extension/live"] > 0)[..., None], shape[:-1])
    spread = np.asarray(jax.vmap(archives.spread)(begin))[:, None, None, None]
    moved = (np.abs(end - start) / spread).mean(-1)
    return {
        "feasible": history["feasible"],
        "gain": history["gain"],
        "leak": history["leak"],
        "rate": history["rate"] / numbers(one, finite(config.task), 1).lr,
        "moved": np.where(live, moved, 0).sum((1, 2, 3)) / live.sum((1, 2, 3)),
    }


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray | Score]:
    """Per variant and seed: hypervolume, feasible share, gain of objective l, and what explains them."""
    found: dict[str, np.ndarray | Score] = {"after initialisation": result["volume"][0]}
    for v, name in enumerate(result["variant"].tolist()):
        found[name] = result["volume"][v + 1]
        found[f"{name}, feasible"] = result["feasible"][v].mean(-1)
        found[f"{name}, gain"] = result["gain"][v].mean(-1)
        found[f"{name}, learning rate left"] = result["rate"][v].mean(-1)
        found[f"{name}, returns moved by a run"] = result["moved"][v]
        found[f"{name}, returns moved before it"] = result["leak"][v].mean(-1)
    return found


def figure(folder: RunFolder) -> list[Path]:
    """Hypervolume, learning rates, starts within bounds, and feasibility by variant, every seed."""
    result = folder.load_result()
    names = result["variant"].tolist()
    panels = {
        "hypervolume": result["volume"][1:],
        "learning rate left": result["rate"].mean(-1),
        "returns moved before a run": result["leak"].mean(-1),
        "feasible share of iterates": result["feasible"].mean(-1),
    }
    with plots.paper():
        fig, axes = plots.subplots(1, len(panels), width=3.0, height=2.8)
        for ax, (title, x) in zip(axes[0], panels.items(), strict=True):
            for v in range(len(names)):
                ax.plot(np.full(x.shape[1], v), x[v], "o", color=plots.PALETTE[v], markersize=4)
            ax.set(title=title)
            ax.set_xticks(range(len(names)), names, rotation=40, ha="right")
        return plots.save(fig, folder.figures / "official_mode")


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
