"""How often a plan is needed: first certified episodes and plans of HF-UCRL-RFE++ by schedule.

The hard instance of the lower bound with d = 4. The determinant schedule plans where the Gram matrices of
order 0 have grown by a ratio, which the theorem's proof allows; the geometric one at episodes k, g k, g^2 k,
and so on, which it does not: one plan covers about one direction, so that of the order of g^d episodes are
needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.reward_free.first_certificate import METHODS, PER_UPDATE, certified, columns, explore
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Positive, Seed, Size, check_fields
from jaxrl.envs.tabular.mixture_generators import hard_instance
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.run.folder import RunFolder

METHOD = METHODS["HF-UCRL-RFE++"]


@dataclass(frozen=True)
class Config:
    """Schedules, and the instance."""

    ratios: tuple[float, ...] = (1.05, 1.2, 2.0, 16.0)
    """Growths of the determinants after which a plan is made, >= 1. Paper: 1, a plan in every episode."""
    growths: tuple[float, ...] = (1.2,)
    """Ratios of successive episodes with a plan of the geometric schedule, > 1."""
    horizon: Size = 16
    """Number of stages of an episode."""
    d: Size = 4
    """Number of features of the instance, which has 2^(d - 1) actions."""
    epsilon: Positive = 0.25
    """Certificate at which exploration stops, in units of total reward."""
    episodes: Size = 20_000
    """Largest number of episodes, rounded up to a multiple of 100."""
    seeds: Size = 16
    """Members per schedule; member i depends on the root seed and on i alone."""
    seed: Seed = 0
    """Root seed of the members, in [0, 2^32)."""
    float64: bool = True
    """Whether the run computes in double precision."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.ratios or min(self.ratios) < 1:
            raise UsageError(f"Config.ratios: must be at least one, each >= 1, got {self.ratios}")
        if self.growths and min(self.growths) <= 1:
            raise UsageError(f"Config.growths: each must be > 1, got {self.growths}")


PRESETS = {
    "smoke": Config((1.2, 2.0), (), horizon=2, epsilon=1.0, episodes=100, seeds=1),
    "quick": Config(),
    "paper": Config((1.0, 1.05, 1.2, 2.0, 16.0), (1.05, 1.2), seeds=50),
}
BETTER = "less"


def run(config: Config, folder: RunFolder) -> None:
    """Saves `schedule [R]`, and `[R, seeds]` of `first_certificate.Certified`."""
    mixture, rows, labels = hard_instance(config.d, 1000), [], []
    hyper = {"horizon": config.horizon, "epsilon": config.epsilon}
    groups = [("determinants", None, config.ratios)]
    groups += [("episodes", growth, (growth,)) for growth in config.growths]
    for number, (what, growth, values) in enumerate(groups):
        geometric = {} if growth is None else {"replan": "geometric", "growth": growth}
        members = explore(
            METHOD,
            mixture,
            [hyper if growth else hyper | {"ratio": ratio} for ratio in values],
            episodes=config.episodes,
            config=geometric,
            seeds=config.seeds,
            seed=config.seed,
            folder=folder,
            stage=f"schedule-{number}",
            float64=config.float64,
        )
        rows += [certified(METHOD, member, mixture) for member in members]
        labels += [f"{what} grown by {value:g}" for value in values]
    folder.save_result(schedule=labels, **columns(rows, (len(labels), config.seeds)))


def estimate(config: Config) -> dict[str, int]:
    """Members, programs and the largest number of environment steps of a run."""
    members = config.seeds * (len(config.ratios) + len(config.growths))
    episodes = -(-config.episodes // PER_UPDATE) * PER_UPDATE
    return {
        "members": members,
        "compilations": 1 + len(config.growths),
        "env_steps": members * episodes * config.horizon,
    }


def scores(result: dict[str, np.ndarray]) -> dict[str, Score | np.ndarray]:
    """Certificates, first certified episodes and numbers of plans, by schedule."""
    found: dict[str, Score | np.ndarray] = {}
    for i, label in enumerate(result["schedule"].tolist()):
        found[f"{label}: certificate"] = result["certificate"][i]
        found[f"{label}: episodes"] = Score(result["episodes"][i], BETTER, derived=True)
        found[f"{label}: plans"] = Score(result["plans"][i], BETTER, derived=True)
        found[f"{label}: rho"] = Score(result["rho"][i], BETTER, derived=True)
    return found


def figure(folder: RunFolder) -> list[Path]:
    """First certified episode against the number of plans, all runs."""
    result = folder.load_result()
    with plots.paper():
        fig, axes = plots.subplots(1, 1, width=4.6)
        ax = axes[0][0]
        for i, label in enumerate(result["schedule"].tolist()):
            ax.plot(result["plans"][i], result["episodes"][i], "o", color=plots.PALETTE[i], label=label)
        ax.set(xscale="log", xlabel="plans", ylabel="first certified episode")
        ax.legend(fontsize=7)
        return plots.save(fig, folder.figures / "replanning")
