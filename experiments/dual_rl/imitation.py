"""Offline imitation of one labelled episode, with unlabelled data from useless to expert.

The rewards of all data are replaced by NaN before anything is learned. Legend: `K` kinds of unlabelled data,
`M` methods, `S` seeds.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import jax.numpy as jnp
import numpy as np

from experiments.data.recipes import suite
from experiments.dual_rl import scripted, tasks
from experiments.shared.returns import offline_returns
from experiments.shared.standardised import Standardised
from jaxrl.baselines import bc
from jaxrl.cli.main import experiment_main
from jaxrl.core.fields import Count, Range, Seed, Size, check_fields
from jaxrl.data.dataset import Dataset, dataset_hash
from jaxrl.data.episodes import concatenate, take_episodes
from jaxrl.data.scores import Reference, normalised_score, reference_of
from jaxrl.dual_rl import agent, forms
from jaxrl.dual_rl.data import Data, initial
from jaxrl.report import plots
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import sweep

Mixture = Literal["random", "random + few", "random + expert", "medium + expert"]
Method = Literal["ReCOIL released", "ReCOIL-Q", "SMODICE", "IQ-Learn", "BC of the episode", "BC of the data"]

MIXTURES = {
    "random": (("random", 100), ("expert", 0)),
    "random + few": (("random", 100), ("expert", 3)),
    "random + expert": (("random", 100), ("expert", 20)),
    "medium + expert": (("medium", 100), ("expert", 20)),
}
"""Quality and number of episodes of each part of a mixture."""
SHARE = {"random": 1.0, "medium": 0.5, "expert": 0.0}
"""Share of random actions in the scripted data of each quality."""

DUALS: dict[str, dict[str, float]] = {
    "ReCOIL released": {"parameter": 5.0},
    "ReCOIL-Q": {"lr_actor": 1e-4, "entropy": 0.01},
    "SMODICE": {"penalty": 0.1},
    "IQ-Learn": {"lr_actor": 1e-4, "entropy": 0.01},
}
"""Methods with networks, with the hyper-parameters that differ from the task's."""
CLONES = ("BC of the episode", "BC of the data")
WITHOUT_DATA = ("IQ-Learn", "BC of the episode")


@dataclass(frozen=True)
class Config:
    """Data, methods and the length of training."""

    mixtures: tuple[Mixture, ...] = tuple(MIXTURES)
    """Kinds of unlabelled data, by the parts that they consist of."""
    methods: tuple[Method, ...] = ("ReCOIL released", "SMODICE", "IQ-Learn", *CLONES)
    """Rows of the table of methods, and cloning of the labelled episode or of all data."""
    algo: agent.Config = field(default_factory=lambda: agent.Config(batch_size=256, widths=(64, 64)))
    """Static choices of every method."""
    scripted: bool = False
    """Whether data come from `scripted.py`, in a second, instead of the pendulum suites of our own agent."""
    demonstration: Count = 0
    """Index of the labelled episode among the expert's, from 0."""
    share: Annotated[float, Range(0, 1, open_low=True)] = 1.0
    """Factor of the numbers of unlabelled episodes, in (0, 1]."""
    seeds: Size = 5
    """Members per kind of data and method; the labelled episode is the same for all."""
    seed: Seed = 0
    """Root seed of members and data."""
    updates: Size = 6000
    """Updates per member."""
    eval_episodes: Size = 64
    """Episodes of the last evaluation of greedy policies."""

    def __post_init__(self) -> None:
        check_fields(self)


PRESETS = {
    "smoke": Config(
        mixtures=("random + expert",),
        methods=("ReCOIL released", "BC of the episode"),
        algo=agent.Config(batch_size=16, widths=()),
        scripted=True,
        share=0.05,
        seeds=2,
        updates=20,
        eval_episodes=4,
    ),
    "quick": Config(),
    "paper": Config(
        methods=(*DUALS, *CLONES), algo=agent.Config(), seeds=10, updates=50_000, eval_episodes=128
    ),
}
BETTER = "more"

TASK = tasks.task("pendulum-expert")
ENV = scripted.ENV


def labelled(config: Config) -> Dataset:
    """One episode of the expert; the unlabelled ones come after it."""
    first = config.demonstration
    return _blind(take_episodes(_recorded(config, "expert"), first, first + 1))


def unlabelled(config: Config, mixture: str) -> Dataset:
    """The episodes of a mixture."""
    parts = []
    for quality, count in MIXTURES[mixture]:
        if count:
            rows = _recorded(config, quality)
            first = config.demonstration + 1 if quality == "expert" else 0
            parts.append(take_episodes(rows, first, first + max(1, round(config.share * count))))
    return _blind(concatenate(*parts))


def _recorded(config: Config, quality: str) -> Dataset:
    if config.scripted:
        return scripted.record(config.seed, SHARE[quality], _count(config))
    return suite(f"pendulum-{quality}", config.seed)


def _reference(config: Config) -> Reference:
    """Mean returns of random actions and of the expert, which are scores of 0 and 100."""
    if config.scripted:
        return Reference(*scripted.references(config.seed, _count(config)))
    return reference_of(_recorded(config, "expert"))


def _count(config: Config) -> int:
    """Scripted episodes of each quality."""
    return max(8, round(256 * config.share))


def _blind(data: Dataset) -> Dataset:
    return data.replace(reward=jnp.full_like(data.reward, jnp.nan))


def run(config: Config, folder: RunFolder) -> None:
    """Saves `eval_return [K, M, S]`, `drift` likewise and `reference [2]`.

    Methods that see no more of a mixture than where its episodes begin are trained once, with the first one,
    and stand in every row.
    """
    shape = (len(config.mixtures), len(config.methods), config.seeds)
    returns, drift = np.full(shape, np.nan), np.full(shape, np.nan)
    data = {mixture: unlabelled(config, mixture) for mixture in config.mixtures}
    folder.update_meta(
        datasets={n: dataset_hash(d) for n, d in {**data, "labelled": labelled(config)}.items()}
    )
    for m, method in enumerate(config.methods):
        for k, mixture in enumerate(config.mixtures):
            if method in WITHOUT_DATA and k > 0:
                returns[k, m], drift[k, m] = returns[0, m], drift[0, m]
                continue
            returns[k, m], drift[k, m] = _train(config, folder, method, mixture)
    folder.save_result(
        mixture=list(config.mixtures),
        method=list(config.methods),
        eval_return=returns,
        drift=drift,
        reference=_reference(config),
    )


def _train(config: Config, folder: RunFolder, method: str, mixture: str) -> tuple[np.ndarray, np.ndarray]:
    """Last return and drift of every seed, `[S]` each."""
    data, episode = unlabelled(config, mixture), labelled(config)
    spaces = ENV.observation_space, ENV.action_space
    if method in CLONES:
        rows = episode if method == "BC of the episode" else concatenate(data, episode)
        view = Standardised.of(rows)
        static: Any = bc.Config(batch_size=config.algo.batch_size, widths=config.algo.widths)
        algorithm, hyper = view.algorithm(bc.make(static, *spaces)), bc.Hyper(lr=TASK.hyper["lr_actor"])
        given: Any = view.data(rows)
    else:
        static = forms.config(method, **asdict(config.algo))
        values = {name: x for name, x in TASK.hyper.items() if name != "reward_scale"}
        algorithm = forms.algorithm(static, *spaces)
        hyper = forms.hyper(static, **(values | DUALS[method]))
        given = Data(data, episode, initial(concatenate(data, episode)))
    members = sweep(
        lambda _: algorithm,
        [(static, hyper)],
        seeds=config.seeds,
        seed=config.seed,
        data=given,
        updates=config.updates,
        log_every=max(1, config.updates // 6),
        evaluate=lambda _: offline_returns(algorithm, ENV, config.eval_episodes),
        folder=folder,
        stage=f"{method}, {mixture}".lower().replace(", ", "-").replace(" + ", "-").replace(" ", "_"),
    )
    moved = [tasks.last(m.history.get("drift", np.full(1, np.nan))) for m in members]
    return np.array([m.history["eval/return"][-1] for m in members]), np.array(moved)


def estimate(config: Config) -> dict[str, int]:
    """Members, those that stand in several rows counted in each."""
    return {"members": len(config.mixtures) * len(config.methods) * config.seeds}


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Score of the last policy, `float[S]`: 0 random, 100 the expert; NaN where a member diverged."""
    scale = Reference(*result["reference"])
    return {
        f"{method}, {mixture}": normalised_score(returns, scale)
        for mixture, rows in zip(result["mixture"], result["eval_return"], strict=True)
        for method, returns in zip(result["method"], rows, strict=True)
    }


def figure(folder: RunFolder) -> list[Path]:
    """One panel per kind of data: every seed, interquartile mean and interval."""
    result = folder.load_result()
    names, scale = result["method"].tolist(), Reference(*result["reference"])
    with plots.paper():
        fig, axes = plots.subplots(1, len(result["mixture"]), width=3.6, height=0.9 + 0.36 * len(names))
        for i, (ax, mixture, rows) in enumerate(
            zip(axes[0], result["mixture"], result["eval_return"], strict=True)
        ):
            plots.seed_dots(
                ax,
                names if i == 0 else [""] * len(names),
                normalised_score(rows, scale),
            )
            ax.axvline(100, color=plots.GREY, linewidth=0.8)
            ax.set(title=str(mixture), xlabel="score (0 random, 100 expert)", xlim=(-25, 110))
        return plots.save(fig, folder.figures / "imitation")


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
