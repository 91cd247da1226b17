"""The square with a goal: values and policies of ReCOIL, of f-DVL and of cloning, drawn over all positions.

The expert is one episode of five steps that stops half-way; the other data are random steps everywhere.
Legend: `M` methods, `S` seeds, `G` points along an axis.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.data import recipes
from experiments.shared.returns import offline_returns
from jaxrl.cli.main import experiment_main
from jaxrl.core.fields import Seed, Size, check_fields
from jaxrl.data.dataset import dataset_hash
from jaxrl.data.episodes import concatenate
from jaxrl.dual_rl import agent, forms
from jaxrl.dual_rl.data import Data
from jaxrl.envs.grids.goal_grid import SIDE, GoalGrid
from jaxrl.report import plots
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import Member, sweep

ENV = GoalGrid()
METHODS: dict[str, dict[str, float]] = {
    "ReCOIL released": {"parameter": 1.0},
    "f-DVL chi2": {"parameter": 0.8},
    "BC": {"parameter": 0.8, "awr": 0.0},
}
"""Hyper-parameters of each row of the figure. Cloning is f-DVL with equal weights of all rows."""
GRID = 31


@dataclass(frozen=True)
class Config:
    """Data and training."""

    episodes: Size = 4000
    """Episodes of five random steps in the unlabelled data. Paper: 100,000."""
    algo: agent.Config = field(default_factory=lambda: agent.Config(batch_size=128, widths=(64, 64)))
    """Static choices of every method."""
    seeds: Size = 5
    """Members per method."""
    seed: Seed = 0
    """Root seed of members and data."""
    updates: Size = 4000
    """Updates per member."""
    eval_episodes: Size = 64
    """Episodes of the last evaluation of greedy policies, from uniform starts."""

    def __post_init__(self) -> None:
        check_fields(self)


PRESETS = {
    "smoke": Config(
        episodes=8, algo=agent.Config(batch_size=16, widths=()), seeds=1, updates=10, eval_episodes=4
    ),
    "quick": Config(),
    "paper": Config(episodes=100_000, algo=agent.Config(), seeds=10, updates=50_000),
}
BETTER = "more"


def run(config: Config, folder: RunFolder) -> None:
    """Saves `eval_return [M, S]`, the first seed's `value [M, G, G]` and `move [M, G, G, 2]`, the path."""
    recipe = recipes.FromGoalGrid(config.episodes, reference_episodes=1)
    data, shown = (
        recipes.suite(f"goalgrid-{part}", config.seed, recipe=recipe, folder=folder.path / "suites")
        for part in ("random", "expert")
    )
    folder.update_meta(datasets={"random": dataset_hash(data), "expert": dataset_hash(shown)})
    given = Data(concatenate(data, shown), shown)
    axis = np.linspace(-SIDE, SIDE, GRID)
    points = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2).astype(np.float32)
    found: dict[str, list[Any]] = {"eval_return": [], "value": [], "move": []}
    for stage, names in (("recoil", ("ReCOIL released",)), ("rewards", ("f-DVL chi2", "BC"))):
        static = forms.config(names[0], **asdict(config.algo))
        algorithm = forms.algorithm(static, ENV.observation_space, ENV.action_space)
        members = sweep(
            lambda _, algorithm=algorithm: algorithm,
            [(static, forms.hyper(static, **_SHARED, **METHODS[name])) for name in names],
            seeds=config.seeds,
            seed=config.seed,
            data=given,
            updates=config.updates,
            log_every=max(1, config.updates // 4),
            evaluate=lambda _, algorithm=algorithm: offline_returns(algorithm, ENV, config.eval_episodes),
            folder=folder,
            stage=stage,
        )
        for i in range(len(names)):
            own = members[i * config.seeds : (i + 1) * config.seeds]
            found["eval_return"].append([m.history["eval/return"][-1] for m in own])
            value, move = _look(algorithm, own[0], points)
            found["value"].append(value.reshape(GRID, GRID))
            found["move"].append(move.reshape(GRID, GRID, 2))
    folder.save_result(method=list(METHODS), axis=axis, path=np.asarray(shown.obs), **found)


_SHARED = {"gamma": 0.9, "tau": 0.02, "lr_value": 1e-3, "lr_actor": 1e-3}


def _look(algorithm: Any, member: Member, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """V and the greedy move at points `[n, 2]`."""
    state = member.state
    policy = algorithm.act(state, member.hyper, True)
    move = jax.jit(jax.vmap(lambda x: policy.act(jax.random.key(0), x, ())[0]))(points)
    value = jax.jit(agent.value, static_argnums=(0, 1, 2))(
        member.static, ENV.observation_space, ENV.action_space, state, points
    )
    return np.asarray(value), np.asarray(move)


def estimate(config: Config) -> dict[str, int]:
    """Members of all methods."""
    return {"members": len(METHODS) * config.seeds, "compilations": 2}


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Steps of 20 that the last policy spends at the goal, from anywhere, `float[S]`."""
    return dict(zip(result["method"].tolist(), result["eval_return"], strict=True))


def figure(folder: RunFolder) -> list[Path]:
    """V as colour, greedy moves to scale, the demonstration as a line, the goal of the rewards as a star."""
    result = folder.load_result()
    axis, every = result["axis"], slice(1, None, 3)
    with plots.paper():
        fig, axes = plots.subplots(1, len(result["method"]), width=4.0, height=3.6)
        panels = zip(axes[0], result["method"], result["value"], result["move"], strict=True)
        for ax, name, value, move in panels:
            image = ax.pcolormesh(axis, axis, value, cmap="cividis", shading="nearest", rasterized=True)
            u, v = np.moveaxis(move[every, every], -1, 0)
            ax.quiver(
                axis[every],
                axis[every],
                u,
                v,
                color="white",
                width=0.005,
                angles="xy",
                scale_units="xy",
                scale=1,
            )
            ax.plot(*result["path"].T, "o-", color=plots.PALETTE[1], markersize=3)
            ax.plot(1.2, 1.2, "*", color=plots.PALETTE[1], markersize=11)
            ax.set(
                title=str(name),
                aspect="equal",
                xticks=[],
                yticks=[],
            )
            ax.grid(False)
            fig.colorbar(image, ax=ax, label="V" if name != "BC" else "V of f-DVL", shrink=0.85)
        return plots.save(fig, folder.figures / "goal_grid")


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
