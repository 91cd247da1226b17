"""Shares of certificates that are proved, open and refuted, by learner, problem and multiplier of the radius.

HF-UCRL-RFE++ and UCRL-RFE (rewards that sum to at most 1) explore until their certificate is at most epsilon.
The worst planning error of the model that is left lies in a bracket, of which the lower end is attained by a
reward and the upper end is twice a bound on total variation. A certified run is proved where the certificate
is at least the upper end, refuted where it is below the lower end, and open between. It was covered by its
radius where c_beta >= rho; a certificate that holds without that came out right by luck.

The radius of the theorem is shown with the number of episodes that its guarantee would need.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from experiments.shared.shares import share
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Positive, Seed, Size, check_fields
from jaxrl.core.types import PyTree
from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.envs.tabular.mixture_generators import hard_instance, lock
from jaxrl.report import plots, statistics
from jaxrl.report.tables import Score
from jaxrl.reward_free import hf, radii, ucrl_rfe
from jaxrl.reward_free.features import form_of
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import sweep
from theory.exact import planning_error

PER_UPDATE = 100  # episodes; exploration stops inside an update
AlgorithmName = Literal["HF-UCRL-RFE++", "UCRL-RFE"]
InstanceName = Literal["3-lock", "6-lock", "hard instance"]


class Instance(NamedTuple):
    """A mixture by the function that makes it, and its horizon in steps."""

    mixture: Callable[[], PyTree]
    horizon: int


INSTANCES = {
    "3-lock": Instance(lambda: lock(3, 2, 0.9, 0.1), 5),
    "6-lock": Instance(lambda: lock(6, 3, 0.9, 0.1), 8),
    "hard instance": Instance(lambda: hard_instance(4, 1000), 16),
}
MODULES: dict[str, Any] = {"HF-UCRL-RFE++": hf, "UCRL-RFE": ucrl_rfe}


@dataclass(frozen=True)
class Config:
    """Learners, instances and multipliers."""

    algorithms: tuple[AlgorithmName, ...] = ("HF-UCRL-RFE++", "UCRL-RFE")
    """Learners, each a program of its own per instance."""
    instances: tuple[InstanceName, ...] = ("3-lock",)
    """Problems: locks of three and six digits with horizons 5 and 8, the hard instance with horizon 16."""
    c_beta: tuple[float, ...] = (0.02, 0.05, 0.1)
    """Multipliers of the radius, > 0. Paper: 1, of the theory radius."""
    epsilon: Positive = 0.25
    """Certificate at which exploration stops, in units of total reward."""
    episodes: Size = 5000
    """Largest number of episodes, rounded up to a multiple of 100."""
    ellipsoids: Literal["all", "first"] = "first"
    """Which ellipsoids the estimate of HF-UCRL-RFE++ is moved into, see `hf.Config`. Paper: "all"."""
    budget: Positive = 3e4
    """Number of episodes K in the logarithm of UCRL-RFE's radius."""
    orders: Size = 4
    """Number M of moment orders of HF-UCRL-RFE++. Paper: ceil(log2(7 K H))."""
    seeds: Size = 50
    """Members per multiplier; member i depends on the root seed and on i alone."""
    seed: Seed = 0
    """Root seed of the members, in [0, 2^32)."""
    float64: bool = True
    """Whether the run computes in double precision."""

    def __post_init__(self) -> None:
        check_fields(self)
        for field in ("algorithms", "instances", "c_beta"):
            found = getattr(self, field)
            if not found or len(set(found)) < len(found):
                raise UsageError(f"Config.{field}: must be at least one, each once, got {found}")
        if min(self.c_beta) <= 0:
            raise UsageError(f"Config.c_beta: must be > 0, got {self.c_beta}")


PRESETS = {
    "smoke": Config(("UCRL-RFE",), c_beta=(0.02,), episodes=100, seeds=2),
    "quick": Config(),
    "all": Config(("HF-UCRL-RFE++",), c_beta=(0.02,), ellipsoids="all"),
    "paper": Config(
        instances=("3-lock", "6-lock", "hard instance"),
        c_beta=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
        episodes=200_000,
        seeds=50,
    ),
}
BETTER = "less"


def run(config: Config, folder: RunFolder) -> None:
    """Saves `[algorithms, instances, c_beta, seeds]` of `episodes` (the first certified one, NaN without),
    `certificate`, `lower`, `upper` and `rho`; and `[instances]` of `theory_radius`, `theory_episodes`.
    """
    rows = [
        _explore(config, folder, algorithm, name)
        for algorithm in config.algorithms
        for name in config.instances
    ]
    shape = (len(config.algorithms), len(config.instances), len(config.c_beta), config.seeds)
    members = [row for group in rows for row in group]
    theory = [_theory(name, config.epsilon) for name in config.instances]
    folder.save_result(
        algorithm=[_named(config, algorithm) for algorithm in config.algorithms],
        instance=list(config.instances),
        c_beta=np.array(config.c_beta),
        **{name: np.array([row[name] for row in members]).reshape(shape) for name in members[0]},
        theory_radius=np.array([radius for radius, _ in theory]),
        theory_episodes=np.array([episodes for _, episodes in theory]),
    )


def _explore(config: Config, folder: RunFolder, algorithm: str, name: str) -> list[dict[str, float]]:
    """Measures of all members of one program, by multiplier, then seed."""
    mixture, H = INSTANCES[name].mixture(), INSTANCES[name].horizon
    env, module, bound = LinearMixture.of(mixture), MODULES[algorithm], _bound(mixture)
    if module is hf:
        static, own = hf.Config(H, PER_UPDATE, config.orders, ellipsoids=config.ellipsoids), {}
    else:
        static, own = ucrl_rfe.Config(H, PER_UPDATE, value_range="one"), {"budget": config.budget}
    members = sweep(
        lambda static: module.make(static, env),
        [
            (static, module.Hyper(horizon=H, c_beta=c, bound=bound, epsilon=config.epsilon, **own))
            for c in config.c_beta
        ],
        seeds=config.seeds,
        seed=config.seed,
        data=mixture,
        updates=-(-config.episodes // PER_UPDATE),
        env_steps_per_update=PER_UPDATE * H,
        folder=folder,
        stage=f"{algorithm}-{name}".lower().replace("+", "p").replace(" ", "-"),
        float64=config.float64,
    )
    P, found = np.asarray(mixture.to_tabular().P), []
    for member in members:
        state = member.state
        bracket = planning_error.bracket(P, module.model(state, mixture), H)
        found.append(
            {
                "episodes": float(state.certified) if int(state.certified) > 0 else np.nan,
                "certificate": float(module.certificate(state)),
                "lower": bracket.lower,
                "upper": bracket.upper,
                "rho": float(module.realised_radius(static, state, member.hyper, mixture)),
            }
        )
    return found


def _named(config: Config, algorithm: str) -> str:
    of_all = MODULES[algorithm] is hf and config.ellipsoids == "all"
    return f"{algorithm}, all ellipsoids" if of_all else algorithm


def _bound(mixture: PyTree) -> float:
    return float(np.linalg.norm(np.asarray(mixture.theta, np.float64)))


def _theory(name: str, epsilon: float) -> tuple[float, float]:
    """The theory radius of HF-UCRL-RFE++ and the episodes after which its guarantee is at most epsilon.

    By bisection on log K to 1e-6.
    """
    mixture, H = INSTANCES[name].mixture(), INSTANCES[name].horizon
    d, bound, delta = float(form_of(mixture).dim), _bound(mixture), 0.1

    def radius(K: float) -> float:
        return float(radii.hf_theory(K, float(H), d, bound, delta, H**-0.5, d**-0.25))

    low, high = np.log(10.0), np.log(1e40)
    while high - low > 1e-6:
        K = float(np.exp((low + high) / 2))
        M = np.ceil(np.log2(7 * K * H))
        certified = float(radii.hf_bound(K, float(H), d, M, radius(K), bound, delta)) <= epsilon
        low, high = (low, np.log(K)) if certified else (np.log(K), high)
    return radius(float(np.exp(high))), float(np.exp(high))


def estimate(config: Config) -> dict[str, int]:
    """Members, programs and the largest number of environment steps of a run."""
    each, updates = len(config.c_beta) * config.seeds, -(-config.episodes // PER_UPDATE)
    programs = len(config.algorithms) * len(config.instances)
    stages = len(config.algorithms) * sum(INSTANCES[name].horizon for name in config.instances)
    return {
        "members": programs * each,
        "compilations": programs,
        "env_steps": stages * each * updates * PER_UPDATE,
    }


def scores(result: dict[str, np.ndarray]) -> dict[str, Score | np.ndarray]:
    """Certificates, shares of certified runs that are proved, open, refuted and covered, and medians."""
    found: dict[str, Score | np.ndarray] = {}
    for a, algorithm in enumerate(result["algorithm"].tolist()):
        for i, instance in enumerate(result["instance"].tolist()):
            for c, c_beta in enumerate(result["c_beta"].tolist()):
                row = {
                    name: result[name][a, i, c]
                    for name in ("episodes", "certificate", "lower", "upper", "rho")
                }
                label = f"{algorithm}, {instance}, c_beta {c_beta:g}"
                found |= {f"{label}: {name}": x for name, x in _scores(row, c_beta).items()}
    for instance, radius, episodes in zip(
        result["instance"].tolist(), result["theory_radius"], result["theory_episodes"], strict=True
    ):
        for name, x in (("theory radius", radius), ("episodes that the theory radius needs", episodes)):
            found[f"HF-UCRL-RFE++, {instance}: {name}"] = Score(np.array([x]), note="no draw", derived=True)
    return found


def _scores(row: dict[str, np.ndarray], c_beta: float) -> dict[str, Score | np.ndarray]:
    """The scores of the members of one multiplier."""
    certified = np.isfinite(row["episodes"])
    proved, refuted = row["certificate"] >= row["upper"], row["certificate"] < row["lower"]
    return {
        "certificate": row["certificate"],
        "share certified": share(certified),
        "share proved": share(proved, certified),
        "share open": share(~proved & ~refuted, certified),
        "share refuted": share(refuted, certified),
        "share covered": share(c_beta >= row["rho"], certified),
        "median episodes to certify": _median(row["episodes"]),
        "median rho": _median(row["rho"]),
        "median lower end": _median(row["lower"]),
        "median upper end": _median(row["upper"]),
    }


def _median(values: np.ndarray) -> Score:
    """The median of the members that have a value, with a bootstrap interval from ten of them on."""
    x = values[np.isfinite(values)]
    note = f"median of {x.size} of {values.size}"
    if not x.size:
        return Score(np.array([np.nan]), note=note, derived=True)
    interval = statistics.bootstrap_interval(lambda y: np.median(y, (-2, -1)), x[:, None])
    pair = None if interval is None else (float(interval[0]), float(interval[1]))
    return Score(np.array([np.median(x)]), None, pair, note, derived=True)


def figure(folder: RunFolder) -> list[Path]:
    """Certificate (dots) against the bracket of the worst planning error (lines) of every member."""
    result = folder.load_result()
    algorithms, instances = result["algorithm"].tolist(), result["instance"].tolist()
    with plots.paper():
        fig, axes = plots.subplots(len(instances), len(algorithms))
        for a, algorithm in enumerate(algorithms):
            for i, instance in enumerate(instances):
                _panel(axes[i][a], {k: result[k][a, i] for k in ("certificate", "lower", "upper")})
                axes[i][a].axhline(folder.config["epsilon"], color=plots.GREY, linewidth=0.8, linestyle=":")
                axes[i][a].set_xticks(range(result["c_beta"].size), [f"{c:g}" for c in result["c_beta"]])
                axes[i][a].set(title=f"{algorithm}, {instance}", xlabel=r"$c_\beta$")
            axes[0][0].set(ylabel="certificate (dots), bracket (lines)")
        return plots.save(fig, folder.figures / "radius_board")


def _panel(ax: Any, row: dict[str, np.ndarray]) -> None:
    """Members `[c_beta, seeds]` side by side at their multiplier."""
    for c in range(row["certificate"].shape[0]):
        x = c + np.linspace(-0.3, 0.3, row["certificate"].shape[1] + 2)[1:-1]
        ax.vlines(x, row["lower"][c], row["upper"][c], color=plots.PALETTE[0], linewidth=1.5)
        ax.plot(x, row["certificate"][c], ".", color=plots.PALETTE[1], markersize=4)
    ax.set(ylim=(0, None))
