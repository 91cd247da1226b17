"""Episodes of HF-UCRL-RFE++ to a certificate against its size and against the dimension.

The hard instance of the lower bound, horizon 16. The theorem has d^2 / epsilon^2 up to logarithms, and the
lower bound C d^2 / epsilon^2, C = 1 / (16 sqrt 3)^2 with the constant of the regret bound that it is derived
from. The number of episodes over d^2 / epsilon^2 stands beside C: what is lost to constants and logarithms.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.reward_free.errors import LOWER
from experiments.reward_free.first_certificate import METHODS, PER_UPDATE, certified, columns, explore
from experiments.shared import fits
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Positive, Seed, Size, check_fields
from jaxrl.envs.tabular.mixture_generators import hard_instance
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.run.folder import RunFolder

METHOD = METHODS["HF-UCRL-RFE++"]


@dataclass(frozen=True)
class Config:
    """Certificates and dimensions."""

    epsilons: tuple[float, ...] = (0.4, 0.2, 0.1)
    """Certificates at which exploration stops, decreasing, for dimension `d`; all are fitted."""
    d: Size = 4
    """Number of features d where the certificate is varied; there are 2^(d - 1) actions."""
    dimensions: tuple[int, ...] = (4, 6, 8)
    """Numbers of features, increasing, for the certificate `epsilon`; the exponent is fitted to all."""
    epsilon: Positive = 0.25
    """Certificate at which exploration stops where the dimension is varied, in units of total reward."""
    horizon: Size = 16
    """Number of stages of an episode."""
    episodes: Size = 40_000
    """Largest number of episodes, rounded up to a multiple of 100."""
    seeds: Size = 16
    """Members per certificate and dimension; member i depends on the root seed and on i alone."""
    seed: Seed = 0
    """Root seed of the members, in [0, 2^32)."""
    float64: bool = True
    """Whether the run computes in double precision."""

    def __post_init__(self) -> None:
        check_fields(self)
        if list(self.dimensions) != sorted(set(self.dimensions)) or min(self.dimensions, default=2) < 2:
            raise UsageError(f"Config.dimensions: must increase from 2 on, got {self.dimensions}")
        if (
            list(self.epsilons) != sorted(set(self.epsilons), reverse=True)
            or min(self.epsilons, default=0) <= 0
        ):
            raise UsageError(f"Config.epsilons: must decrease and be > 0, got {self.epsilons}")


PRESETS = {
    "smoke": Config((1.5, 1.0), 2, (2,), 1.5, horizon=2, episodes=100, seeds=1),
    "quick": Config(),
    "paper": Config((0.8, 0.4, 0.2, 0.1, 0.05), 4, (3, 4, 6, 8, 10), episodes=200_000, seeds=32),
}
BETTER = "less"


def _groups(config: Config) -> dict[int, list[float]]:
    """Certificates by dimension, one program each."""
    found = {d: [config.epsilon] for d in config.dimensions}
    own = found.setdefault(config.d, [])
    own += [epsilon for epsilon in config.epsilons if epsilon not in own]
    return found


def run(config: Config, folder: RunFolder) -> None:
    """Saves `d [R]`, `epsilon [R]`, the numbers `varied_d`, `varied_epsilon` that the other is varied at, and
    `[R, seeds]` of `first_certificate.Certified`.
    """
    rows, labels = [], []
    for d, epsilons in _groups(config).items():
        mixture = hard_instance(d, 1000)
        members = explore(
            METHOD,
            mixture,
            [{"horizon": config.horizon, "epsilon": epsilon} for epsilon in epsilons],
            episodes=config.episodes,
            seeds=config.seeds,
            seed=config.seed,
            folder=folder,
            stage=f"dimension-{d}",
            float64=config.float64,
        )
        rows += [certified(METHOD, member, mixture) for member in members]
        labels += [(d, epsilon) for epsilon in epsilons]
    folder.save_result(
        d=np.array([d for d, _ in labels]),
        epsilon=np.array([epsilon for _, epsilon in labels]),
        epsilons=np.array(config.epsilons),
        varied_d=np.array(config.d),
        dimensions=np.array(config.dimensions),
        varied_epsilon=np.array(config.epsilon),
        **columns(rows, (len(labels), config.seeds)),
    )


def estimate(config: Config) -> dict[str, int]:
    """Members, programs and the largest number of environment steps of a run."""
    groups = _groups(config)
    members = config.seeds * sum(map(len, groups.values()))
    episodes = -(-config.episodes // PER_UPDATE) * PER_UPDATE
    return {"members": members, "compilations": len(groups), "env_steps": members * episodes * config.horizon}


def _curves(result: dict[str, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Sizes `[n]` and first certified episodes `[n, seeds]`, by what is varied."""
    d, epsilon, K = result["d"], result["epsilon"], result["episodes"]
    by_epsilon = [np.flatnonzero((d == result["varied_d"]) & (epsilon == e))[0] for e in result["epsilons"]]
    by_d = [np.flatnonzero((d == n) & (epsilon == result["varied_epsilon"]))[0] for n in result["dimensions"]]
    return {"epsilon": (result["epsilons"], K[by_epsilon]), "d": (result["dimensions"], K[by_d])}


def scores(result: dict[str, np.ndarray]) -> dict[str, Score | np.ndarray]:
    """Certificates, first certified episodes, the same over d^2 / epsilon^2, and fitted exponents."""
    found: dict[str, Score | np.ndarray] = {}
    for i, (d, epsilon) in enumerate(zip(result["d"].tolist(), result["epsilon"].tolist(), strict=True)):
        label, K = f"d = {d}, epsilon = {epsilon:g}", result["episodes"][i]
        found[f"{label}: certificate"] = result["certificate"][i]
        found[f"{label}: episodes"] = Score(K, BETTER, derived=True)
        found[f"{label}: episodes over d^2 / epsilon^2"] = Score(K * epsilon**2 / d**2, BETTER, derived=True)
        found[f"{label}: rho"] = Score(result["rho"][i], BETTER, derived=True)
    for name, (sizes, K) in _curves(result).items():
        if len(sizes) > 1 and np.isfinite(K).all():
            found[f"exponent of {name}"] = fits.slope_of_draws(sizes, K.T).score()._replace(derived=True)
    return found


def figure(folder: RunFolder) -> list[Path]:
    """First certified episodes against epsilon and against d, beside the lower bound."""
    result = folder.load_result()
    fixed = {"epsilon": result["varied_d"], "d": result["varied_epsilon"]}
    with plots.paper():
        fig, axes = plots.subplots(1, 2, width=3.6)
        for ax, (name, (sizes, K)) in zip(axes[0], _curves(result).items(), strict=True):
            ax.plot(np.repeat(sizes, K.shape[1]), K.ravel(), ".", color=plots.PALETTE[0])
            ax.plot(sizes, np.median(K, 1), color=plots.PALETTE[0], label="HF-UCRL-RFE++")
            bound = LOWER * (fixed[name] / sizes if name == "epsilon" else sizes / fixed[name]) ** 2
            ax.plot(sizes, bound, color=plots.GREY, linestyle=":", label=r"$C d^2 / \epsilon^2$")
            ax.set(xscale="log", yscale="log", xlabel=name, ylabel="first certified episode")
        axes[0][0].legend(fontsize=7)
        return plots.save(fig, folder.figures / "accuracy_and_dimension")
