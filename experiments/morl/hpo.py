"""Hyper-parameters of C-MORL by random search (arXiv 2310.16487): tuned against default on seeds not seen.

The objective of a configuration is the mean hypervolume over the seeds of tuning on one task. The best one
and the default are then trained with other seeds, on that task and on another one. All configurations and
seeds of a stage are members of one program.

Legend: `K` configurations, the first of which is the default, `S` seeds, `H` held-out seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.morl import stages
from experiments.morl.settings import SEA, Finite, finite, grid, learner, numbers
from experiments.shared.paired import differences
from jaxrl.cli.main import experiment_main
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Seed, Size, check_fields
from jaxrl.core.prng import stream
from jaxrl.morl import cmorl, scalarised
from jaxrl.morl.hypervolume import hypervolume
from jaxrl.morl.preferences import preferences
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import member_keys, stack_hypers
from jaxrl.run.train import train

RANGES = {
    "lr": (1e-3, 1e-1),
    "entropy": (0.1, 3.0),
    "clip": (0.1, 0.5),
    "lambda_": (0.9, 0.99),
    "beta": (0.5, 0.99),
    "t": (5.0, 500.0),
}
"""Drawn uniformly, learning rate, entropy bonus and t in their logarithms."""
_LOGARITHMIC = ("lr", "entropy", "t")
DEFAULT = {"lr": 0.02, "entropy": 2.0, "clip": 0.2, "lambda_": 0.95, "beta": 0.9, "t": 20.0}


@dataclass(frozen=True)
class Config:
    """The search and its test."""

    tuned: str = "dst-convex"
    """Task of the search."""
    other: str = "dst-concave"
    """Task that the search has not seen."""
    configurations: Size = 16
    """Number of configurations, the default among them."""
    seeds: Size = 3
    """Seeds of tuning per configuration."""
    held_out: Size = 5
    """Seeds of the test, none of which tuning has seen."""
    seed: Seed = 0
    """The root seed, in [0, 2^32)."""
    n_envs: Size = 8
    """Environments per learner."""
    initial: Size = 60
    """Updates of stage 1."""
    rounds: Size = 2
    """Rounds of stage 2."""
    updates: Size = 10
    """Updates of every run in a round. Paper: 20."""
    capacity: Size = 128
    """Members of the archive. Paper: 200."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.configurations < 2:
            raise UsageError(f"Config.configurations: must be 2 or more, got {self.configurations}")
        for name in ("tuned", "other"):
            if getattr(self, name) not in ("dst-convex", "dst-concave", "dst-mirrored"):
                raise UsageError(f"Config.{name}: must be a Deep Sea Treasure, got {getattr(self, name)!r}")


PRESETS = {
    # sizes of the smoke preset of `discrete_suite`, so that both run the same compiled programs
    "smoke": Config(configurations=2, seeds=1, held_out=2, initial=30, rounds=1, updates=4, capacity=64),
    "quick": Config(),
    "paper": Config(
        configurations=64, held_out=10, n_envs=64, initial=200, rounds=5, updates=20, capacity=512
    ),
}
BETTER = "more"


def drawn(config: Config) -> list[dict[str, float]]:
    """The configurations, the default first."""
    rng = np.random.default_rng(config.seed)
    found = [DEFAULT]
    for _ in range(config.configurations - 1):
        one = {}
        for name, (low, high) in RANGES.items():
            u = float(rng.random())
            logarithmic = name in _LOGARITHMIC
            one[name] = float(low * (high / low) ** u) if logarithmic else float(low + u * (high - low))
        found.append(one)
    return found


def run(config: Config, folder: RunFolder) -> None:
    """Searches on one task and tests on both.

    `searched [K, S]`, hypervolumes of tuning; `values [K, 6]`, configurations in the order of `RANGES`;
    `best` int[], the tuned one; `default_i`, `best_i [H]`, hypervolumes of the test on task i.
    """
    configurations = drawn(config)
    keys = member_keys(config.seed, config.seeds + config.held_out)
    searched = _trained(config, config.tuned, "search", configurations, keys[: config.seeds], folder)
    best = int(searched.mean(-1).argmax())
    arrays: dict[str, Any] = {"searched": searched, "best": best, "task": [config.tuned, config.other]}
    arrays["values"] = np.array([[one[name] for name in RANGES] for one in configurations])
    folder.say(f"configuration {best} of {config.tuned}: {configurations[best]}")
    pair = [configurations[0], configurations[best]]
    for i, name in enumerate((config.tuned, config.other)):
        tested = _trained(config, name, f"test-{i}", pair, keys[config.seeds :], folder)
        arrays |= {f"default_{i}": tested[0], f"best_{i}": tested[1]}
    folder.save_result(**arrays)


def _trained(
    config: Config,
    name: str,
    stage: str,
    configurations: list[dict[str, float]],
    keys: Any,
    folder: RunFolder,
) -> np.ndarray:
    """Hypervolumes float64[K, S] after both stages."""
    found, count = finite(name), len(keys)
    later_keys = jax.vmap(stream, (0, None))(keys, 2)
    every = np.tile(np.arange(count), len(configurations))
    first = train(
        scalarised.make(
            scalarised.Config(learner(SEA, config.n_envs), config.capacity, found.evaluation), found.env
        ),
        keys[every],
        stack_hypers([_first(config, found, one) for one in configurations], count),
        found.mdp,
        updates=config.initial,
        env_steps_per_update=len(grid(SEA)) * config.n_envs * SEA.length,
        stage=f"{stage}-initialise",
        folder=folder,
    )
    static = cmorl.Config(
        learner=learner(SEA, config.n_envs),
        evaluation=found.evaluation,
        selected=SEA.selected,
        updates=config.updates,
        rounds=config.rounds,
    )
    shared = jax.tree.map(lambda x: jnp.broadcast_to(x, (len(every), *jnp.shape(x))), found.mdp)
    after = train(
        cmorl.make(static, found.env),
        later_keys[every],
        stack_hypers([_later(config, found, one) for one in configurations], count),
        cmorl.Data(shared, first.state.archive),
        shared_data=False,
        updates=config.rounds,
        log_every=1,
        env_steps_per_update=config.updates * SEA.selected * 2 * config.n_envs * SEA.length,
        stage=f"{stage}-extend",
        folder=folder,
    )
    sets = [stages.members(after.state.archive, s) for s in range(len(every))]
    volumes = [hypervolume(x, found.task.reference).value if len(x) else 0.0 for x in sets]
    return np.array(volumes).reshape(len(configurations), count)


def _learner(config: Config, found: Finite, one: dict[str, float], updates: int) -> Any:
    own = numbers(SEA, found, updates)
    return own.replace(**{name: one[name] for name in ("lr", "entropy", "clip", "lambda_")})


def _first(config: Config, found: Finite, one: dict[str, float]) -> scalarised.Hyper:
    return scalarised.Hyper(
        weights=preferences(grid(SEA), 2),
        reference=np.asarray(found.task.reference, np.float32),
        learner=_learner(config, found, one, config.initial),
        gamma=found.task.gamma,
    )


def _later(config: Config, found: Finite, one: dict[str, float]) -> cmorl.Hyper:
    return cmorl.Hyper(
        reference=np.asarray(found.task.reference, np.float32),
        learner=_learner(config, found, one, config.updates).replace(entropy=0.0),
        gamma=found.task.gamma,
        beta=one["beta"],
        t=one["t"],
    )


def estimate(config: Config) -> dict[str, int]:
    """Members are scores; environment steps of the search and of both tests."""
    runs = config.initial * len(grid(SEA)) + config.rounds * config.updates * SEA.selected * 2
    trained = config.configurations * config.seeds + 4 * config.held_out
    members = 2 * config.seeds + 4 * config.held_out
    return {"members": members, "env_steps": trained * runs * config.n_envs * SEA.length}


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray | Score]:
    """Hypervolumes of default and tuned configuration: in tuning `float[S]`, on held-out seeds of both tasks
    `float[H]`, and there their paired difference.
    """
    best = int(result["best"])
    found: dict[str, np.ndarray | Score] = {
        "default, seeds of tuning": result["searched"][0],
        "tuned, seeds of tuning": result["searched"][best],
    }
    for i, name in enumerate(result["task"].tolist()):
        found[f"{name}: default"] = result[f"default_{i}"]
        found[f"{name}: tuned"] = result[f"best_{i}"]
        found |= differences("tuned minus default", name, result[f"best_{i}"], result[f"default_{i}"])
    return found


def figure(folder: RunFolder) -> list[Path]:
    """Mean hypervolume of every configuration in tuning, and both on held-out seeds."""
    result = folder.load_result()
    with plots.paper():
        fig, axes = plots.subplots(1, 3, width=3.6, height=3.0)
        means = result["searched"].mean(-1)
        order = np.argsort(means)
        axes[0, 0].plot(np.arange(len(means)), means[order], "o", markersize=3, color=plots.PALETTE[0])
        default = int(np.flatnonzero(order == 0)[0])
        axes[0, 0].plot([default], [means[0]], "x", color="black", label="default")
        axes[0, 0].set(xlabel="rank", ylabel="mean hypervolume, tuning")
        axes[0, 0].xaxis.get_major_locator().set_params(integer=True)
        axes[0, 0].legend(fontsize=7)
        for i, name in enumerate(result["task"].tolist()):
            ax = axes[0, i + 1]
            pair = np.stack([result[f"default_{i}"], result[f"best_{i}"]])
            ax.plot([0, 1], pair, "o-", markersize=3, linewidth=0.8, color=plots.PALETTE[0])
            ax.set(title=name, xticks=[0, 1], xticklabels=["default", "tuned"], ylabel="held-out seeds")
        return plots.save(fig, folder.figures / "tuning")


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
