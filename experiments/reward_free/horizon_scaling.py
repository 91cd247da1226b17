"""Episodes to the first certificate against the horizon, by method: where the independence of it sits.

The hard instance of the lower bound with d = 4. HF-UCRL-RFE++ weighs its regressions by moments of higher
order; its number of episodes, divided by the square of its radius, rises by a fifth from H = 8 to 32 and
stays level from there on. Without the weights, or with a smallest standard deviation that does not fall with
H, it grows like H. UCRL-RFE grows like H where rewards sum to at most 1, and like H^3 with the range of the
paper, on this instance; the exponents of its theorems are upper bounds. At the absorbing states the next
value has no variance, so that weights grow to H there and the sum of H bonuses is of order k^-1/2; without
them it is of order (H / k)^1/2, with values up to H of order (H^3 / k)^1/2.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.reward_free.first_certificate import METHODS, PER_UPDATE, certified, columns, explore
from experiments.shared import fits
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Positive, Seed, Size, check_fields
from jaxrl.envs.tabular.mixture_generators import hard_instance
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.run.folder import RunFolder

FIELDS = {
    "HF-UCRL-RFE++": "weighted",
    "HF, alpha = 1": "unweighted",
    "HF, no weights": "unweighted",
    "UCRL-RFE, range 1": "range_one",
    "UCRL-RFE, published range": "published",
}
LEVEL = 32  # from here on K / beta^2 is to stay level


@dataclass(frozen=True)
class Config:
    """Horizons of each method; no horizons leave a method out."""

    weighted: tuple[int, ...] = (8, 16, 32, 64, 128, 256)
    """Horizons of HF-UCRL-RFE++, increasing."""
    unweighted: tuple[int, ...] = (8, 16, 32)
    """Horizons of HF-UCRL-RFE++ with alpha = 1, and without weights."""
    range_one: tuple[int, ...] = (8, 16, 32, 64, 128)
    """Horizons of UCRL-RFE where rewards sum to at most 1."""
    published: tuple[int, ...] = (4, 8, 16, 32)
    """Horizons of UCRL-RFE where every reward is at most 1 and values at most H."""
    d: Size = 4
    """Number of features of the instance, which has 2^(d - 1) actions."""
    epsilon: Positive = 0.25
    """Certificate at which exploration stops, in units of total reward."""
    episodes: Size = 150_000
    """Largest number of episodes, rounded up to a multiple of 100."""
    seeds: Size = 2
    """Members per method and horizon; member i depends on the root seed and on i alone."""
    seed: Seed = 0
    """Root seed of the members, in [0, 2^32)."""
    float64: bool = True
    """Whether the run computes in double precision."""

    def __post_init__(self) -> None:
        check_fields(self)
        for field in set(FIELDS.values()):
            found = getattr(self, field)
            if list(found) != sorted(set(found)) or (found and found[0] < 2):
                raise UsageError(f"Config.{field}: must increase and begin at 2 or more, got {found}")
        if not any(getattr(self, field) for field in FIELDS.values()):
            raise UsageError("Config.weighted: no method has a horizon; give at least one")


PRESETS = {
    "smoke": Config((2, 3), (), (2, 3), (), epsilon=1.0, episodes=400, seeds=1),
    "quick": Config(),
    "seeds": Config(unweighted=(), range_one=(), published=(), seeds=8),
    "paper": Config(
        (8, 16, 32, 64, 128, 256, 512, 1024),
        (8, 16, 32, 64),
        (8, 16, 32, 64, 128, 256),
        (4, 8, 16, 32),
        episodes=400_000,
        seeds=8,
    ),
}
BETTER = "less"


def _horizons(config: Config) -> dict[str, tuple[int, ...]]:
    """Horizons of the methods that have any."""
    found = {name: getattr(config, field) for name, field in FIELDS.items()}
    return {name: horizons for name, horizons in found.items() if horizons}


def run(config: Config, folder: RunFolder) -> None:
    """Saves `method [R]`, `horizon [R]`, and `[R, seeds]` of `first_certificate.Certified`."""
    mixture, rows, labels = hard_instance(config.d, 1000), [], []
    for number, (name, horizons) in enumerate(_horizons(config).items()):
        members = explore(
            METHODS[name],
            mixture,
            [{"horizon": H, "epsilon": config.epsilon} for H in horizons],
            episodes=config.episodes,
            seeds=config.seeds,
            seed=config.seed,
            folder=folder,
            stage=f"method-{number}",
            float64=config.float64,
        )
        rows += [certified(METHODS[name], member, mixture) for member in members]
        labels += [(name, H) for H in horizons]
    folder.save_result(
        method=[name for name, _ in labels],
        horizon=np.array([H for _, H in labels]),
        **columns(rows, (len(labels), config.seeds)),
    )


def estimate(config: Config) -> dict[str, int]:
    """Members, programs and the largest number of environment steps of a run."""
    horizons, updates = _horizons(config), -(-config.episodes // PER_UPDATE)
    steps = sum(sum(each) for each in horizons.values())
    return {
        "members": config.seeds * sum(map(len, horizons.values())),
        "compilations": len(horizons),
        "env_steps": config.seeds * steps * updates * PER_UPDATE,
    }


def scores(result: dict[str, np.ndarray]) -> dict[str, Score | np.ndarray]:
    """Certificates, first certified episodes by method and horizon, and fitted exponents."""
    found: dict[str, Score | np.ndarray] = {}
    for i, (name, H) in enumerate(zip(result["method"].tolist(), result["horizon"].tolist(), strict=True)):
        label = f"{name}, H = {H}"
        found[f"{label}: certificate"] = result["certificate"][i]
        found[f"{label}: episodes"] = Score(result["episodes"][i], BETTER, derived=True)
        found[f"{label}: episodes over beta^2"] = Score(result["scaled"][i], BETTER, derived=True)
        found[f"{label}: rho"] = Score(result["rho"][i], BETTER, derived=True)
    for name in dict.fromkeys(result["method"].tolist()):
        rows = result["method"] == name
        H, K = result["horizon"][rows], result["episodes"][rows].T
        if len(H) > 1 and np.isfinite(K).all():
            exponent = fits.slope_of_draws(H, K).score()
            found[f"{name}: exponent of H"] = exponent._replace(derived=True)
        if name == "HF-UCRL-RFE++" and H[-1] > LEVEL:
            level = result["scaled"][rows][H >= LEVEL]
            found["HF-UCRL-RFE++: episodes at the largest over the smallest H"] = Score(
                K[:, -1] / K[:, 0], BETTER, derived=True
            )
            found[f"HF-UCRL-RFE++: spread of episodes over beta^2, H >= {LEVEL}"] = Score(
                level.std(0) / level.mean(0), BETTER, derived=True
            )
    return found


def figure(folder: RunFolder) -> list[Path]:
    """First certified episodes of all methods against H, and those of HF-UCRL-RFE++ over beta^2."""
    result = folder.load_result()
    names = list(dict.fromkeys(result["method"].tolist()))
    with plots.paper():
        fig, axes = plots.subplots(1, 2, width=4.6)
        left, right = axes[0]
        for i, name in enumerate(names):
            rows, colour = result["method"] == name, plots.PALETTE[i]
            _curve(left, result["horizon"][rows], result["episodes"][rows], colour, name)
            if name.startswith("HF"):
                _curve(right, result["horizon"][rows], result["scaled"][rows], colour, name)
        left.set(xlabel="horizon H", ylabel="first certified episode K", title="raw")
        right.set(xlabel="horizon H", ylabel=r"$K / \beta_K^2$", title="divided by the squared radius")
        left.legend(fontsize=7)
        return plots.save(fig, folder.figures / "horizon_scaling")


def _curve(ax: Any, H: np.ndarray, K: np.ndarray, colour: str, label: str) -> None:
    """Runs `[n, seeds]` as dots and their medians as a line, both axes logarithmic."""
    ax.plot(np.repeat(H, K.shape[1]), K.ravel(), ".", color=colour, markersize=4)
    ax.plot(H, np.median(K, 1), color=colour, linewidth=1.2, label=label)
    ax.set(xscale="log", yscale="log")
