"""Suites of offline data: what each contains, on the scale from a random policy (0) to the expert (100).

Trains the agents where it has to. Legend: `K` suites, `S` seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.data import recipes
from jaxrl.cli.main import experiment_main
from jaxrl.core.errors import UsageError, nearest
from jaxrl.core.fields import Seed, Size, check_fields
from jaxrl.data.dataset import Dataset, dataset_hash
from jaxrl.data.episodes import episode_returns
from jaxrl.data.scores import normalised_score, reference_of
from jaxrl.data.validate import HINTS, validate
from jaxrl.report import plots
from jaxrl.run.folder import RunFolder

_CLASSIC = tuple(f"{env}-{quality}" for env in ("pendulum", "mountaincar") for quality in recipes.QUALITIES)
_HOST = tuple(  # they need a library that is no requirement
    f"{hopper}-{quality}" for hopper in ("hopper", "hopper-noisy") for quality in recipes.QUALITIES
)


@dataclass(frozen=True)
class Config:
    """Suites to make, their seeds and their size."""

    names: tuple[str, ...] = _CLASSIC
    """Names of suites (`recipes.names()`), in the order of the figure."""
    seeds: Size = 1
    """Datasets of each suite, with the seeds `seed`, `seed + 1`, ..."""
    seed: Seed = 0
    """The first seed."""
    episodes: Size | None = None
    """Episodes, or balls of the planner, of each; None takes the recipe's own number."""
    shared: bool = True
    """Whether files are kept where `recipes.suite` looks for them; else in the run folder."""

    def __post_init__(self) -> None:
        check_fields(self)
        for name in self.names:
            if name not in recipes.names():
                raise UsageError(f"names: no suite {name!r}; {nearest(name, recipes.names())}")


PRESETS = {
    "smoke": Config(names=("maze2d-umaze",), episodes=8, shared=False),
    "quick": Config(),
    "paper": Config(names=tuple(name for name in recipes.names() if name not in _HOST), seeds=5),
}
BETTER = "more"


def run(config: Config, folder: RunFolder) -> None:
    """Makes or reads every suite; saves rows, episodes, suspicious rows, mean return and score `[K, S]`."""
    columns = ("rows", "episodes", "suspicious", "mean_return", "score", "low", "high")
    table = {name: np.zeros((len(config.names), config.seeds)) for name in columns}
    hashes = {}
    for k, name in enumerate(config.names):
        for s in range(config.seeds):
            data = _suite(config, folder, name, config.seed + s)
            hashes[f"{name} {config.seed + s}"] = dataset_hash(data)
            for column, value in zip(columns, _facts(data), strict=True):
                table[column][k, s] = value
            folder.say(f"{name}, seed {config.seed + s}: {data.size} rows, score {table['score'][k, s]:.1f}")
    folder.update_meta(datasets=hashes)
    folder.save_result(name=list(config.names), hash=list(hashes.values()), **table)


def estimate(config: Config) -> dict[str, int]:
    """Datasets."""
    return {"members": len(config.names) * config.seeds}


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Score of the mean return by suite, `float[S]`."""
    return dict(zip(result["name"].tolist(), result["score"], strict=True))


def figure(folder: RunFolder) -> list[Path]:
    """The range from the 10 % to the 90 % quantile of returns of each suite, and their mean, by score."""
    result = folder.load_result()
    with plots.paper():
        fig, axes = plots.subplots(1, 1, width=6.5, height=1.0 + 0.28 * len(result["name"]))
        ax = axes[0, 0]
        groups = [name.partition("-")[0] for name in result["name"].tolist()]
        for row, group in enumerate(groups):
            color = plots.PALETTE[sorted(set(groups)).index(group)]
            for low, mean, high in zip(
                result["low"][row], result["score"][row], result["high"][row], strict=True
            ):
                ax.plot((low, high), (row, row), color=color, linewidth=5, alpha=0.25, solid_capstyle="butt")
                ax.plot(mean, row, "o", color=color)
            ax.annotate(
                f"{result['rows'][row].mean():.0f} rows",
                (1.0, row),
                xycoords=("axes fraction", "data"),
                xytext=(8, 0),
                textcoords="offset points",
                va="center",
            )
        ax.set_yticks(range(len(result["name"])), result["name"].tolist())
        ax.invert_yaxis()
        ax.set(xlabel="score of episodes: mean, and 10 % to 90 %; 0 = uniform actions, 100 = expert")
        return plots.save(fig, folder.figures / "suites")


def _suite(config: Config, folder: RunFolder, name: str, seed: int) -> Dataset:
    recipe = None if config.episodes is None else recipes.resized(recipes.recipe_of(name), config.episodes)
    return recipes.suite(name, seed, recipe=recipe, folder=None if config.shared else folder.path / "suites")


def _facts(data: Dataset) -> tuple[float, ...]:
    returns, report = episode_returns(data), validate(data)
    reference = reference_of(data)
    low, high = (normalised_score(np.quantile(returns, q), reference) for q in (0.1, 0.9))
    suspicious = sum(n for name, n in report.counts.items() if name not in HINTS)
    mean = float(returns.mean())
    return (
        data.size,
        report.episodes,
        suspicious,
        mean,
        normalised_score(mean, reference),
        low,
        high,
    )


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
