"""Offline imitation of one labelled episode, with unlabelled data from useless to expert.

The rewards of all data are replaced by NaN before anything is learned. Legend: `K` kinds of
unlabelled data, `M` methods, `S` seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np

from experiments.data import recipes
from experiments.dual_rl import scripted, tasks
from experiments.dual_rl.tasks import World
from experiments.shared.standardised import Standardised
from jaxrl.baselines import bc
from jaxrl.cli.main import experiment_main
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Count, Positive, Seed, Size, check_fields
from jaxrl.data.dataset import Dataset, dataset_hash
from jaxrl.data.episodes import concatenate, take_episodes
from jaxrl.data.scores import Reference, normalised_score, reference_of
from jaxrl.dual_rl import agent, forms
from jaxrl.dual_rl.data import Data, initial
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import Member

Suite = Literal["pendulum", "hopper-noisy"]
Mixture = Literal["random", "random + few", "random + expert", "medium + expert"]
Method = Literal[
    "ReCOIL released",
    "ReCOIL, beta 0.02",
    "ReCOIL-Q",
    "SMODICE",
    "IQ-Learn",
    "BC of the episode",
    "BC of the data",
]

MIXTURES: dict[str, dict[str, tuple[tuple[str, int], ...]]] = {
    suite: {
        "random": (("random", random),),
        "random + few": (("random", random), ("expert", few)),
        "random + expert": (("random", random), ("expert", expert)),
        "medium + expert": (("medium", medium), ("expert", expert)),
    }
    # episodes of random actions on the hopper have some twenty steps, the expert's a thousand
    for suite, random, medium, few, expert in (
        ("pendulum", 100, 100, 3, 20),
        ("hopper-noisy", 2000, 50, 2, 10),
    )
}
"""By suite and mixture: quality and number of episodes of each part."""
SHARE = {"random": 1.0, "medium": 0.5, "expert": 0.0}
"""Share of random actions in the scripted data of each quality."""

DUALS: dict[str, tuple[str, dict[str, float]]] = {
    "ReCOIL released": ("ReCOIL released", {"parameter": 5.0}),
    "ReCOIL, beta 0.02": ("ReCOIL released", {"parameter": 5.0, "beta": 0.02}),
    "ReCOIL-Q": ("ReCOIL-Q", {"lr_actor": 1e-4, "entropy": 0.01}),
    "SMODICE": ("SMODICE", {"penalty": 0.1}),
    "IQ-Learn": ("IQ-Learn", {"lr_actor": 1e-4, "entropy": 0.01}),
}
"""Methods with networks: their row of the table of methods, and where they differ from the task's."""
CLONES = ("BC of the episode", "BC of the data")
WITHOUT_DATA = ("IQ-Learn", "BC of the episode")


@dataclass(frozen=True)
class Config:
    """Data, methods and the length of training."""

    suite: Suite = "pendulum"
    """Group of suites; hopper-noisy needs MuJoCo and the policies of openai/imitation."""
    mixtures: tuple[Mixture, ...] = ("random + expert", "medium + expert")
    """Kinds of unlabelled data, by the parts that they consist of."""
    methods: tuple[Method, ...] = ("ReCOIL released", "ReCOIL, beta 0.02", "SMODICE")
    """ReCOIL as released and with a smaller weight of the expert's square, other rows of the table of
    methods, and cloning of the labelled episode or of all data."""
    algo: agent.Config = field(default_factory=lambda: agent.Config(batch_size=256, widths=(64, 64)))
    """Static choices of every method."""
    scripted: bool = False
    """Whether data come from `scripted.py`, in a second, instead of the pendulum suites of our own agent."""
    demonstration: Count = 0
    """Index of the labelled episode among the expert's, from 0."""
    scale: Positive = 1.0
    """Factor of the numbers of unlabelled episodes; where a suite has fewer, a larger one is made."""
    seeds: Size = 3
    """Members per kind of data and method; the labelled episode is the same for all."""
    seed: Seed = 0
    """Root seed of members and data."""
    updates: Size = 6000
    """Updates per member, which are multiplied by the `patience` of the task."""
    eval_episodes: Size | None = None
    """Episodes of the last evaluation of greedy policies; None takes the number of the task."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.scripted and self.suite != "pendulum":
            raise UsageError(f"scripted: there is no script for {self.suite}; take suite pendulum")


_PAPER = Config(
    mixtures=tuple(MIXTURES["pendulum"]),
    methods=("ReCOIL released", "SMODICE", "IQ-Learn", *CLONES),
    seeds=5,
)
PRESETS = {
    "smoke": Config(
        mixtures=("random + expert",),
        methods=("ReCOIL released", "ReCOIL, beta 0.02", "BC of the episode"),
        algo=agent.Config(batch_size=16, widths=()),
        scripted=True,
        scale=0.05,
        seeds=2,
        updates=20,
        eval_episodes=4,
    ),
    "quick": Config(),
    "paper": _PAPER,
    "weight": replace(
        _PAPER, mixtures=("random", "medium + expert"), methods=("ReCOIL, beta 0.02", "SMODICE")
    ),
    "hanging": replace(
        _PAPER,
        mixtures=("random + expert",),
        methods=("ReCOIL released", "ReCOIL, beta 0.02", "BC of the episode"),
        demonstration=5,  # the first that begins hanging still
    ),
    "hopper": replace(
        _PAPER,
        suite="hopper-noisy",
        methods=("ReCOIL, beta 0.02", *_PAPER.methods),
        updates=2500,
    ),
}
BETTER = "more"


def labelled(config: Config) -> Dataset:
    """One episode of the expert; the unlabelled ones come after it."""
    first = config.demonstration
    return _blind(take_episodes(_recorded(config, "expert"), first, first + 1))


def unlabelled(config: Config, mixture: str) -> Dataset:
    """The episodes of a mixture, the expert's being those after the labelled one."""
    parts = []
    for quality, count in MIXTURES[config.suite][mixture]:
        first = config.demonstration + 1 if quality == "expert" else 0
        parts.append(take_episodes(_recorded(config, quality), first, first + _scaled(config, count)))
    return _blind(concatenate(*parts))


def _scaled(config: Config, count: int) -> int:
    return max(1, round(config.scale * count))


def _needed(config: Config, quality: str) -> int:
    """Episodes of a quality that some mixture reads, and the labelled ones."""
    parts = [part for mixture in config.mixtures for part in MIXTURES[config.suite][mixture]]
    most = max((_scaled(config, count) for name, count in parts if name == quality), default=0)
    return most + (config.demonstration + 1 if quality == "expert" else 0)


def _recorded(config: Config, quality: str) -> Dataset:
    if config.scripted:
        return scripted.record(config.seed, SHARE[quality], max(8, _needed(config, quality)))
    recipe = recipes.RECIPES[config.suite]
    most = max(_needed(config, name) for name in ("medium", "expert"))
    if isinstance(recipe, recipes.FromMujoco):
        recipe = replace(recipe, random_episodes=max(recipe.random_episodes, _needed(config, "random")))
    else:
        most = max(most, _needed(config, "random"))
    recipe = recipes.resized(recipe, max(recipe.episodes, most))
    return recipes.suite(f"{config.suite}-{quality}", config.seed, recipe=recipe)


def _reference(config: Config) -> Reference:
    """Mean returns of random actions and of the expert, which are scores of 0 and 100."""
    if config.scripted:
        return Reference(*scripted.references(config.seed, max(8, round(256 * config.scale))))
    return reference_of(_recorded(config, "expert"))


def _blind(data: Dataset) -> Dataset:
    return data.replace(reward=jnp.full_like(data.reward, jnp.nan))


def run(config: Config, folder: RunFolder) -> None:
    """Saves `eval_return [K, M, S]`, `drift` likewise and `reference [2]`.

    Methods that see no more of a mixture than where its episodes begin are trained once, with the first one,
    and stand in every row.
    """
    shape = (len(config.mixtures), len(config.methods), config.seeds)
    returns, drift = np.full(shape, np.nan), np.full(shape, np.nan)
    reference, where = _reference(config), tasks.world(f"{config.suite}-expert")
    episode = labelled(config)
    data = {mixture: unlabelled(config, mixture) for mixture in config.mixtures}
    folder.update_meta(datasets={n: dataset_hash(d) for n, d in {**data, "labelled": episode}.items()})
    for k, (mixture, rows) in enumerate(data.items()):
        given = Data(rows, episode, initial(concatenate(rows, episode)))
        chosen = [m for m in config.methods if k == 0 or m not in WITHOUT_DATA]
        stage = mixture.replace(" + ", "-")
        for method, member, value in _trained(config, folder, where, given, chosen, stage):
            mixtures = slice(None) if method in WITHOUT_DATA else k
            at = mixtures, config.methods.index(method), member.seed
            returns[at] = value
            drift[at] = tasks.last(member.history.get("drift", np.full(1, np.nan)))
    folder.save_result(
        mixture=[f"{mixture}{_where(config)}" for mixture in config.mixtures],
        method=list(config.methods),
        eval_return=returns,
        drift=drift,
        reference=reference,
    )


def _where(config: Config) -> str:
    """What a label says beside the mixture, where it is not the first episode of the pendulum."""
    suite = "" if config.suite == "pendulum" else f", {config.suite}"
    return suite + (f", episode {config.demonstration}" if config.demonstration else "")


def _trained(
    config: Config, folder: RunFolder, where: World, data: Data, methods: list[str], stage: str
) -> list[tuple[str, Member, float]]:
    """Every member of the methods with its last return."""
    task, found = tasks.task(f"{config.suite}-expert"), []
    updates = task.patience * config.updates
    options: dict[str, Any] = {
        "episodes": config.eval_episodes or task.eval_episodes,
        "seeds": config.seeds,
        "seed": config.seed,
        "updates": updates,
        "log_every": max(1, updates // 6),
        "folder": folder,
    }
    duals = [m for m in methods if m in DUALS]
    if duals:
        statics = [forms.config(DUALS[m][0], **asdict(config.algo)) for m in duals]
        values = {name: x for name, x in task.hyper.items() if name != "reward_scale"}
        made = [
            (static, forms.hyper(static, **(values | DUALS[m][1])))
            for static, m in zip(statics, duals, strict=True)
        ]
        members = tasks.trained(
            where,
            lambda static: forms.algorithm(static, *where.spaces),
            made,
            data=data,
            stage=f"{stage}-dual",
            **options,
        )
        found += [(duals[member.index], member, value) for member, value in members]
    for method in (m for m in methods if m in CLONES):
        rows = data.expert if method == "BC of the episode" else concatenate(data.reference, data.expert)
        view = Standardised.of(rows)
        static = bc.Config(batch_size=config.algo.batch_size, widths=config.algo.widths)
        algorithm = view.algorithm(bc.make(static, *where.spaces))
        members = tasks.trained(
            where,
            lambda _, algorithm=algorithm: algorithm,
            [(static, bc.Hyper(lr=task.hyper["lr_actor"]))],
            data=view.data(rows),
            stage=f"{stage}-{method.replace(' ', '_').lower()}",
            **options,
        )
        found += [(method, member, value) for member, value in members]
    return found


def estimate(config: Config) -> dict[str, int]:
    """Members, those that stand in several rows counted in each."""
    return {"members": len(config.mixtures) * len(config.methods) * config.seeds}


def _differences(methods: Sequence[str]) -> list[tuple[str, str]]:
    """Each ReCOIL with every other method that it is to be better than."""
    first = [m for m in methods if m.startswith("ReCOIL")]
    return [(a, b) for a in first for b in methods if b in ("SMODICE", *CLONES)]


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray | Score]:
    """Score of the last policy, `float[S]`: 0 random, 100 the expert; NaN where a member diverged.

    And by seed the differences between ReCOIL and SMODICE or cloning.
    """
    scale, methods = Reference(*result["reference"]), result["method"].tolist()
    found: dict[str, np.ndarray | Score] = {}
    for mixture, returns in zip(result["mixture"].tolist(), result["eval_return"], strict=True):
        of = dict(zip(methods, [normalised_score(x, scale) for x in returns], strict=True))
        found |= {f"{method}, {mixture}": x for method, x in of.items()}
        for a, b in _differences(methods):
            found[f"{a} less {b}, {mixture}"] = Score(of[a] - of[b], BETTER, derived=True)
    return found


def figure(folder: RunFolder) -> list[Path]:
    """One panel per kind of data: every seed, interquartile mean and interval."""
    result = folder.load_result()
    names, scale = result["method"].tolist(), Reference(*result["reference"])
    with plots.paper():
        fig, axes = plots.subplots(1, len(result["mixture"]), width=3.6, height=0.9 + 0.36 * len(names))
        for i, (ax, mixture, rows) in enumerate(
            zip(axes[0], result["mixture"], result["eval_return"], strict=True)
        ):
            plots.seed_dots(ax, names if i == 0 else [""] * len(names), normalised_score(rows, scale))
            ax.axvline(100, color=plots.GREY, linewidth=0.8)
            ax.set(title=str(mixture), xlabel="score (0 random, 100 expert)", xlim=(-25, 120))
        return plots.save(fig, folder.figures / "imitation")


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
