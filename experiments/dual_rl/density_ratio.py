"""Why ReCOIL as released depends on the unlabelled data and on the labelled episode, exactly.

At its fixed point Q is G with the share beta dE / (beta dE + (1 - beta) dmix), and with the rest of it what
follows is worth. A Q that tells all pairs apart ranks actions by that share, and finds the expert whatever
the data. One that does not, as a network with few labelled rows, spreads the share over other pairs, and
where it is near 1 no longer looks ahead: the prediction is that a smaller beta mends what that breaks, and
changes nothing where Q tells all pairs apart. All is computed on a pendulum on a grid: for a Q that tells
apart all pairs, all but neighbouring states, or states alone; for unlabelled data that seldom (random) or
often (medium) stand upright; and for labelled rows of the whole expert, of one episode, and of one that
begins hanging.

Legend: `K` kinds of unlabelled data, `L` of labelled rows, `R` resolutions of Q, `B` values of beta, `S`
drawn episodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np

from jaxrl.cli.main import experiment_main
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Positive, Range, Seed, Size, check_fields
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.run.folder import RunFolder
from theory.dual_rl import pendulum
from theory.dual_rl.imitation import released_fixed_point

Mixture = Literal["random + expert", "medium + expert"]
_Inside = Annotated[float, Range(0, 1, open_low=True, open_high=True)]
LABELLED = ("all rows", "one episode", "one from hanging")
RESOLUTIONS = ("pairs", "neighbours", "states")
RANDOM_EPISODES, EXPERT_EPISODES = 100, 20
FLOOR = 1e-6  # weight of uniform pairs in the unlabelled data, so that V is defined everywhere


@dataclass(frozen=True)
class Config:
    """The grid, the data and the weights of the expert's square."""

    side: Annotated[int, Range(5)] = 41
    """Angles and speeds of the grid, odd and at least 5."""
    steps: Size = 100
    """Steps of an episode, of two steps of the environment each."""
    mixtures: tuple[Mixture, ...] = ("random + expert", "medium + expert")
    """Kinds of unlabelled data: 100 episodes of random or medium actions, and 20 of the expert."""
    medium: _Inside = 0.5
    """Share of uniformly random actions of the medium policy, in (0, 1)."""
    betas: tuple[_Inside, ...] = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01)
    """Weights beta of the expert's square, in (0, 1); the released code has 0.5."""
    temperature: Positive = 5.0
    """Temperature of the Gumbel loss."""
    seeds: Size = 5
    """Labelled episodes that are drawn, of each kind that is drawn."""
    seed: Seed = 0
    """Seed of the draws."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.side % 2 == 0:
            raise UsageError(f"side: must be odd, got {self.side}; resting upright has to be a state")


PRESETS = {
    "smoke": Config(side=15, steps=20, betas=(0.5, 0.02), seeds=2),
    "quick": Config(),
    "paper": Config(side=61, seeds=10),
}
BETTER = "more"


class _Problem(NamedTuple):
    """A grid, distributions of the expert and of each mixture, `[S, A]`, and returns of scores 0 and 100."""

    grid: pendulum.Grid
    expert: np.ndarray
    d_e: np.ndarray
    d_mix: dict[str, np.ndarray]
    random: float
    best: float


def run(config: Config, folder: RunFolder) -> None:
    """Saves `score` and `order`, V upright minus V hanging, both `[K, L, R, B, S]`.

    Nothing is drawn for the first kind of labelled rows, of which only the first entry is finite.
    """
    p = _problem(config)
    shape = (len(config.mixtures), len(LABELLED), len(RESOLUTIONS), len(config.betas), config.seeds)
    score, order = np.full(shape, np.nan), np.full(shape, np.nan)
    for k, mixture in enumerate(config.mixtures):
        for index, labelled in _labelled(config, p):
            for r, resolution in enumerate(RESOLUTIONS):
                for b, beta in enumerate(config.betas):
                    found = released_fixed_point(
                        p.grid.transitions,
                        p.grid.gamma,
                        labelled,
                        p.d_mix[mixture],
                        temperature=config.temperature,
                        beta=beta,
                        seen=_seen(config, resolution),
                        tolerance=1e-9,
                    )
                    at = (k, index[0], r, b, index[1])
                    score[at] = 100 * (_return(config, p.grid, found.policy) - p.random) / (p.best - p.random)
                    order[at] = found.v[p.grid.upright].mean() - found.v[p.grid.hanging]
        folder.say(f"density_ratio: {mixture} done")
    folder.save_result(
        mixture=list(config.mixtures),
        labelled=list(LABELLED),
        resolution=list(RESOLUTIONS),
        beta=config.betas,
        score=score,
        order=order,
        upright=[float(d[p.grid.upright].sum()) for d in p.d_mix.values()],
    )


def _seen(config: Config, resolution: str) -> Callable[[np.ndarray], np.ndarray] | None:
    if resolution == "neighbours":
        return lambda d: pendulum.over_neighbours(d, config.side)
    return pendulum.without_actions if resolution == "states" else None


def _problem(config: Config) -> _Problem:
    g = pendulum.grid(config.side)
    expert = np.eye(g.reward.shape[1])[pendulum.best(g, 0.98**2)]
    uniform = np.full_like(expert, 1 / expert.shape[1])
    others = {"random": uniform, "medium": config.medium * uniform + (1 - config.medium) * expert}
    d_e, total = pendulum.visits(g, expert, config.steps), RANDOM_EPISODES + EXPERT_EPISODES
    d_mix = {}
    for mixture in config.mixtures:
        other = pendulum.visits(g, others[mixture.partition(" ")[0]], config.steps)
        rows = (RANDOM_EPISODES * other + EXPERT_EPISODES * d_e) / total
        d_mix[mixture] = (1 - FLOOR) * rows + FLOOR / rows.size
    return _Problem(g, expert, d_e, d_mix, _return(config, g, uniform), _return(config, g, expert))


def _labelled(config: Config, p: _Problem) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    """`((kind, draw), labelled pairs)`."""
    yield (0, 0), p.d_e
    rng = np.random.default_rng(config.seed)
    for i in range(config.seeds):
        start = int(rng.choice(p.grid.begin.size, p=p.grid.begin))
        yield (1, i), pendulum.episode(p.grid, p.expert, config.steps, start, rng)
        yield (2, i), pendulum.episode(p.grid, p.expert, config.steps, p.grid.hanging, rng)


def _return(config: Config, g: pendulum.Grid, policy: np.ndarray) -> float:
    return config.steps * float((pendulum.visits(g, policy, config.steps) * g.reward).sum())


def estimate(config: Config) -> dict[str, int]:
    """Members are fixed points."""
    return {"members": len(RESOLUTIONS) * len(config.mixtures) * (1 + 2 * config.seeds) * len(config.betas)}


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray | Score]:
    """Score of the policy, and its gain over that at the first beta; `float[S]`, [1] if nothing is drawn."""
    found: dict[str, np.ndarray | Score] = {}
    betas = result["beta"].tolist()
    for k, mixture in enumerate(result["mixture"].tolist()):
        for i, labelled in enumerate(result["labelled"].tolist()):
            for r, resolution in enumerate(result["resolution"].tolist()):
                values = result["score"][k, i, r][:, : 1 if i == 0 else None]
                of = f"{mixture}, {labelled}, Q of {resolution}"
                for b, beta in enumerate(betas):
                    found[f"{of}, beta {beta:g}"] = values[b]
                    if b > 0:
                        gain = Score(values[b] - values[0], BETTER, derived=True)
                        found[f"{of}, beta {beta:g} less {betas[0]:g}"] = gain
    return found


def figure(folder: RunFolder) -> list[Path]:
    """Median score against beta: a row per kind of unlabelled data, a column per resolution of Q."""
    result = folder.load_result()
    mixtures, resolutions = result["mixture"].tolist(), result["resolution"].tolist()
    with plots.paper():
        fig, axes = plots.subplots(len(mixtures), len(resolutions), width=2.7, height=2.4)
        for k, mixture in enumerate(mixtures):
            for r, resolution in enumerate(resolutions):
                ax = axes[k, r]
                for i, labelled in enumerate(result["labelled"].tolist()):
                    y = np.median(result["score"][k, i, r][:, : 1 if i == 0 else None], axis=-1)
                    ax.plot(result["beta"], y, marker="o", color=plots.PALETTE[i], label=labelled)
                ax.axvline(0.5, color=plots.GREY, linewidth=0.8, linestyle=":")
                ax.set(xscale="log", ylim=(-5, 105), title=f"{mixture}:\nQ of {resolution}")
                ax.set(
                    xlabel=r"$\beta$ (dotted: released)" if k == len(mixtures) - 1 else "",
                    ylabel="score" if r == 0 else "",
                )
        axes[-1, 0].legend(loc="lower left", fontsize=7.5, title="labelled", title_fontsize=7.5)
        return plots.save(fig, folder.figures / "density_ratio")


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
