"""Regret of UCB1 on four arms."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxrl.bandit import ucb
from jaxrl.envs.bandit_arms import Arms

from jaxrl.core.fields import Seed, Size, check_fields
from jaxrl.report import plots
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import sweep


@dataclass(frozen=True)
class Config:
    """One population of learners on one bandit."""

    algo: ucb.Config = field(default_factory=ucb.Config)
    """Static choices of UCB1."""
    arms: Size = 4
    """Number of arms."""
    hyper: ucb.Hyper = field(default_factory=ucb.Hyper)
    """Hyper-parameters of UCB1."""
    seeds: Size = 2
    """Number of members; member i depends on the root seed and on i alone."""
    seed: Seed = 0
    """The root seed, in [0, 2^32)."""
    updates: Size = 50
    """Updates per member, one pull of an arm each."""

    def __post_init__(self) -> None:
        check_fields(self)


PRESETS = {
    "smoke": Config(),
    "quick": Config(seeds=16, updates=500),
    "paper": Config(seeds=64, updates=10000),
}


def run(config: Config, folder: RunFolder) -> None:
    """Saves `regret [S, L]` of seed and log point, averaged over log intervals."""
    env = Arms(config.arms)
    members = sweep(
        lambda algo: ucb.make(algo, env),
        [(config.algo, config.hyper)],
        seeds=config.seeds,
        seed=config.seed,
        data=env.default_params(),
        updates=config.updates,
        folder=folder,
    )
    folder.save_result(regret=np.stack([member.history["regret"] for member in members]))


def figure(folder: RunFolder) -> list[Path]:
    """Regret over time, a line per seed."""
    with plots.paper():
        fig, axes = plots.subplots(1, 1)
        axes[0][0].plot(folder.load_result()["regret"].T)
        return plots.save(fig, folder.figures / "regret")
