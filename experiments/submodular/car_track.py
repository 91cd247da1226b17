"""A race car that is paid for newly seen track (SubPO) or for its position (ModPO): who finishes the lap."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from experiments.shared.medians import median_of_capped
from experiments.submodular import bodies
from jaxrl.baselines import ppo
from jaxrl.cli.main import experiment_main
from jaxrl.core.fields import NonNegative
from jaxrl.core.types import Array
from jaxrl.envs.control.car_track import CarParams, CarTrack, car_track
from jaxrl.report import plots, statistics
from jaxrl.report.tables import Score
from jaxrl.run.folder import RunFolder
from jaxrl.submodular import proximal

_HYPER = ppo.Hyper(lr=3e-4, entropy=0.0)
# positions are paid up to 16 m at each of 700 steps: without a scale of its own the critic of ModPO saturates
_ALGO = proximal.Config(
    n_envs=128, length=128, minibatches=8, widths=(64, 64), normalise_obs=True, scale_rewards=True
)


@dataclass(frozen=True)
class Config(bodies.Config):
    """Configuration of the study, with the worth of a finished lap."""

    prize: NonNegative = 1.0
    """Reward at the finish, where an episode ends, >= 0. Paper: 1. A car that is paid for its position gives
    up as much as 1,640 there, the discounted sum of what it would be paid just before the finish for ever."""


PRESETS = {
    "smoke": Config(
        algo=proximal.Config(n_envs=4, length=16, epochs=1, minibatches=1, widths=(8,), normalise_obs=True),
        seeds=2,
        updates=2,
        evaluations=1,
        episodes=2,
    ),
    "quick": Config(algo=_ALGO, hyper=_HYPER, seeds=3, updates=160, evaluations=20),
    "paper": Config(algo=_ALGO, hyper=_HYPER, seeds=5, updates=480, evaluations=48),
    "prize": Config(algo=_ALGO, hyper=_HYPER, seeds=5, updates=480, evaluations=48, prize=1640.0),
}
BETTER = "more"


def measure(value: Array, length: Array, path: Array) -> dict[str, Array]:
    """Track seen in m, share of episodes that finish the lap, length in s, and what ModPO is paid for its
    positions, in sum over an episode.
    """
    track = CarTrack().default_params()
    played = jnp.arange(1, path.shape[1])[None] <= length[:, None]
    return {
        "track": value.mean(),
        "lap": (value >= track.finish).mean(),
        "seconds": length.mean() * track.dt,
        "position": jnp.sum(path[:, 1:, 0] * played, axis=1).mean(),
    }


def run(config: Config, folder: RunFolder) -> None:
    """Trains both learners on the car and saves what `bodies.run` says, with the measures of `measure`."""
    body = car_track()
    track = body.env.default_params()
    inner = track._replace(prize=jnp.full_like(track.prize, config.prize))
    bodies.run(config, folder, body, measure, inner)


estimate = bodies.estimate


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray | Score]:
    """Share of episodes of the last policy that finish the lap, `float[M]` per learner, and
    `bodies.progress` towards the whole track.

    Of the shares of all evaluations, of which many are 0 or 1, the median over seeds of the largest, and of
    the smallest of the second half.
    """
    found: dict[str, np.ndarray | Score] = {}
    half = result["lap"].shape[-1] // 2
    for a, learner in enumerate(result["learner"].tolist()):
        lap = result["lap"][a]
        found[f"{learner}: laps finished"] = _share(lap[:, -1])
        found[f"{learner}: most laps finished"] = median_of_capped(lap.max(-1), "more")
        found[f"{learner}: fewest laps in the second half"] = median_of_capped(lap[:, half:].min(-1), "more")
    return found | bodies.progress(result, "track", float(CarTrack().default_params().finish))


def _share(values: np.ndarray) -> Score:
    """Shares of episodes [M] with Student's interval of their mean cut at 0 and 1, which it cannot pass."""
    finite = np.isfinite(values).all() and len(values) > 1
    interval = statistics.mean_interval(values[:, None]) if finite else None
    low, high = (0.0, 1.0) if interval is None else (max(0.0, interval[0]), min(1.0, interval[1]))
    return Score(values, "more", None if interval is None else (float(low), float(high)))


def figure(folder: RunFolder) -> list[Path]:
    """Track seen, laps finished, their time, and an episode of each last policy on the track."""
    result = folder.load_result()
    with plots.paper():
        fig, axes = plots.subplots(1, 6, width=3.3, height=3.1)
        labels = {
            "track": "track seen (m)",
            "lap": "share of laps finished",
            "seconds": "episode (s)",
            "position": "positions, summed (m)",
        }
        for ax, (name, label) in zip(axes[0], labels.items(), strict=False):
            bodies.curve(ax, result, name)
            ax.set(title=label, ylim=(0, None))
        for a, learner in enumerate(result["learner"].tolist()):
            _drive(axes[0, 4 + a], result["path"][a], f"{learner}, an episode of each seed")
        return plots.save(fig, folder.figures / "learning_curves")


def _drive(ax: Any, path: np.ndarray, title: str) -> None:
    """Episodes in the plane; a cross where one ended before the finish."""
    track = CarTrack().default_params()
    s = np.linspace(0, float(track.length), 500)
    for bound in (track.upper, track.lower):
        ax.plot(*plane(s, _around(track, bound, s)), color=plots.GREY, linewidth=0.7)
    for e, episode in enumerate(path):
        x, y = plane(episode[:, 0], episode[:, 1])
        ax.plot(x, y, color=plots.PALETTE[e % 7], linewidth=0.7)
        if episode[-1, 0] < float(track.finish):
            ax.plot(x[-1], y[-1], "x", color=plots.PALETTE[e % 7], markersize=7, markeredgewidth=2)
    ax.plot(*plane(np.zeros(1), np.zeros(1)), "o", color="black", markersize=4)
    ax.set(title=title, xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set_visible(False)
    ax.grid(False)


def plane(s: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions in m, `(x [n], y [n])`, of progress `s [n]` and offsets `d [n]` to the left of the line.

    The line is the curvature integrated twice from heading 0; rounded tables leave it open by a little.
    """
    track = CarTrack().default_params()
    fine = np.linspace(0, float(track.length) * 1.02, 4000)
    step = fine[1] - fine[0]
    heading = np.cumsum(_around(track, track.kappa, fine)) * step
    x, y = np.cumsum(np.cos(heading)) * step, np.cumsum(np.sin(heading)) * step
    at = np.interp(s, fine, heading)
    return np.interp(s, fine, x) - d * np.sin(at), np.interp(s, fine, y) + d * np.cos(at)


def _around(track: CarParams, table: Array, s: np.ndarray) -> np.ndarray:
    return np.interp(s, track.knots, table, period=float(track.length))


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
