"""Errors on the instances of the lower bound, beside the bound.

The lower bound has an instance for every number of episodes K: from the start action a leads to the rewarding
state with probability p + <mu, a>, mu in {-Delta, Delta}^(d - 1); there are 2^(d - 1) actions, and Delta is
of order K^-1/2, so that K episodes do not tell the signs of mu. Here every member has signs of its own, drawn
at random; it explores K episodes of the instance made for K, and plans with its model, without a bonus, for
the reward of the bound, 1 / H in the rewarding state. B is |theta*| of the instance, which is the same for
all signs. If every algorithm needs C d^2 / epsilon^2 episodes, then no mean error is below sqrt(C) d /
sqrt(K), with C = 1 / (16 sqrt 3)^2, the constant of the regret bound that it is derived from. A policy that
has learned nothing chooses every second sign wrongly, an error of (d - 1) Delta (H - 1) / H: chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np

from experiments.reward_free.checks import check_increasing, check_methods
from experiments.reward_free.errors import LOWER, battery_errors
from jaxrl.core.fields import Seed, Size, check_fields
from jaxrl.core.types import Array, Key, PyTree
from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.envs.tabular.mixture_generators import hard_instance
from jaxrl.report import plots, statistics
from jaxrl.report.tables import Score
from jaxrl.reward_free import hf, radii, ucrl_rfe
from jaxrl.reward_free.features import form_of
from jaxrl.reward_free.tabular import max_entropy, uniform
from jaxrl.reward_free.tabular.counts import kernel
from jaxrl.reward_free.tabular.multi_target import kernel_of, multi_target_ridge
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import member_keys, stack_hypers
from jaxrl.run.train import train

PER_UPDATE = 10  # episodes of learners on mixtures; budgets are multiples
REWARDING = 2  # the state of the instance that pays
MethodName = Literal[
    "HF-UCRL-RFE++",
    "UCRL-RFE",
    "maximum entropy, multi-target ridge",
    "uniform policy, multi-target ridge",
    "uniform policy, frequencies",
]


class Method(NamedTuple):
    """A learner, the c_beta of one on mixtures, and fields of its `Config` beside the horizon.

    ridge: whether the model of a learner on tables comes from multi-target ridge on its counts.
    """

    module: ModuleType
    c_beta: float | None = None
    config: Mapping[str, Any] = {}
    ridge: bool = False


METHODS: dict[str, Method] = {
    "HF-UCRL-RFE++": Method(hf, 0.2),
    "UCRL-RFE": Method(ucrl_rfe, 0.2, {"value_range": "one"}),
    "maximum entropy, multi-target ridge": Method(max_entropy, ridge=True),
    "uniform policy, multi-target ridge": Method(uniform, ridge=True),
    "uniform policy, frequencies": Method(uniform),
}


@dataclass(frozen=True)
class Config:
    """Methods, dimensions and numbers of episodes."""

    methods: tuple[MethodName, ...] = get_args(MethodName)
    """Explorers with the way their models are estimated."""
    dimensions: tuple[int, ...] = (4, 8)
    """Numbers of features d, increasing from 2 on; there are 2^(d - 1) actions."""
    budgets: tuple[int, ...] = (250, 1000)
    """Numbers of episodes K, increasing multiples of 10, each with instances of its own."""
    horizon: Size = 16
    """Number of stages of an episode."""
    seeds: Size = 32
    """Members per method, dimension and number of episodes, each with signs of its own."""
    seed: Seed = 0
    """Root seed of the members and of the signs, in [0, 2^32)."""
    float64: bool = True
    """Whether the run computes in double precision."""

    def __post_init__(self) -> None:
        check_fields(self)
        check_methods(self.methods)
        check_increasing("dimensions", self.dimensions, 2)
        check_increasing("budgets", self.budgets, PER_UPDATE, PER_UPDATE)


PRESETS = {
    "smoke": Config(("UCRL-RFE", "uniform policy, multi-target ridge"), (2,), (10, 20), 3, seeds=2),
    "quick": Config(),
    "paper": Config(dimensions=(4, 6, 8), budgets=(250, 1000, 4000), seeds=200),
}
BETTER = "less"


def run(config: Config, folder: RunFolder) -> None:
    """Saves `method [M]`, `d [D]`, `budget [N]`, `horizon []`, and `error [M, D, N, seeds]`."""
    error = [
        [_errors(config, folder, f"{m}-{d}", METHODS[name], d) for d in config.dimensions]
        for m, name in enumerate(config.methods)
    ]
    folder.save_result(
        method=list(config.methods),
        d=np.array(config.dimensions),
        budget=np.array(config.budgets),
        horizon=np.array(config.horizon),
        error=np.array(error),
    )


def _instances(config: Config, d: int) -> PyTree:
    """Instances of all members, by budget, then seed; member i has the same signs for every budget."""
    found = []
    for K in config.budgets:
        for i in range(config.seeds):
            signs = np.random.default_rng([config.seed, d, i]).choice([-1, 1], d - 1)
            found.append(hard_instance(d, K, signs.tolist()))
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *found)


def _errors(config: Config, folder: RunFolder, stage: str, method: Method, d: int) -> np.ndarray:
    """Planning errors `[N, seeds]` for the reward of the bound; every member is read at its own budget."""
    H, data, N = config.horizon, _instances(config, d), len(config.budgets)
    env, of_mixture = LinearMixture(3, 2 ** (d - 1), d), method.c_beta is not None
    per, module = PER_UPDATE if of_mixture else 1, method.module
    if of_mixture:
        static = module.Config(H, per, **method.config)
        norms = np.linalg.norm(np.asarray(data.theta, np.float64), axis=-1)[:: config.seeds]
        hypers = [module.Hyper(horizon=H, c_beta=method.c_beta, bound=float(B)) for B in norms]
    else:
        static, hypers = module.Config(H, **method.config), [module.Hyper(horizon=H)] * N
    keys = member_keys(config.seed, config.seeds)
    trained = train(
        module.make(static, env),
        keys[np.tile(np.arange(config.seeds), N)],
        stack_hypers(hypers, config.seeds),
        data,
        shared_data=False,
        updates=config.budgets[-1] // per,
        evaluate=_evaluation(config, method),
        eval_every=gcd(*config.budgets) // per,
        env_steps_per_update=per * H,
        folder=folder,
        stage=f"explore-{stage}",
        labels=[f"K = {K}, seed {i}" for K in config.budgets for i in range(config.seeds)],
        float64=config.float64,
    )
    rows = [int(np.flatnonzero(trained.update * per == K)[0]) for K in config.budgets]
    members = trained.history["eval/error"].reshape(-1, N, config.seeds)
    return np.array([members[row, i] for i, row in enumerate(rows)], np.float64)


def _evaluation(config: Config, method: Method) -> Any:
    """The planning error for the reward of the bound."""

    def measure(key: Key, state: Any, hyper: Any, mixture: PyTree) -> dict[str, Array]:
        P = mixture.to_tabular().P
        reward = jnp.zeros((1, config.horizon, *P.shape[:2])).at[:, :, REWARDING].set(1 / config.horizon)
        return {"eval/error": battery_errors(P, _model(method, state, mixture)[None], reward)[0]}

    return measure


def _model(method: Method, state: Any, mixture: PyTree) -> Array:
    """The estimated kernel `[S, A, S]`."""
    if method.c_beta is not None:
        return method.module.model(state, mixture)
    if method.ridge:
        form = form_of(mixture)
        lam = radii.ridge_weight(form.dim, jnp.linalg.norm(mixture.theta))
        return kernel_of(form, multi_target_ridge(form, state.counts, lam))[0]
    return kernel(state.counts)[0]


def estimate(config: Config) -> dict[str, int]:
    """Members, programs and environment steps of a run; members of small budgets run on to the largest."""
    programs = len(config.methods) * len(config.dimensions)
    members = programs * len(config.budgets) * config.seeds
    return {
        "members": members,
        "compilations": programs,
        "env_steps": members * config.budgets[-1] * config.horizon,
    }


def scores(result: dict[str, np.ndarray]) -> dict[str, Score | np.ndarray]:
    """Errors times sqrt(K) / d, which the bound keeps above sqrt(C), the same less that of random signs, and
    the prefactor of the mean error.
    """
    found: dict[str, Score | np.ndarray] = {}
    for d in result["d"].tolist():
        for K in result["budget"].tolist():
            exact = np.array([_chance(d, K, result["horizon"]) * np.sqrt(K) / d])
            label = f"signs at random, d = {d}, K = {K}: error times sqrt(K) / d"
            found[label] = Score(exact, BETTER, note="exact", derived=True)
    for m, name in enumerate(result["method"].tolist()):
        for i, d in enumerate(result["d"].tolist()):
            for j, K in enumerate(result["budget"].tolist()):
                label = f"{name}, d = {d}, K = {K}"
                scaled = result["error"][m, i, j] * np.sqrt(K) / d
                chance = _chance(d, K, result["horizon"]) * np.sqrt(K) / d
                found[f"{label}: error times sqrt(K) / d"] = scaled
                found[f"{label}: the same less that of random signs"] = Score(
                    scaled - chance, BETTER, derived=True
                )
                found[f"{label}: K d^-2 times the squared mean error, over C"] = _prefactor(scaled)
    return found


def _chance(d: int, K: np.ndarray | int, H: np.ndarray | int) -> np.ndarray:
    """The mean error of signs drawn at random on the instances for K, (d - 1) Delta (H - 1) / H."""
    return (d - 1) / np.sqrt(6 * np.asarray(K)) / (4 * np.sqrt(2)) * (H - 1) / H


def _prefactor(scaled: np.ndarray) -> Score:
    """The squared mean of members `[seeds]` over C, with the interval that the mean's becomes."""
    interval = statistics.mean_interval(scaled[:, None])
    pair = None
    if interval is not None:
        low, high = (max(float(x), 0.0) ** 2 / LOWER for x in interval)
        pair = (low, high)
    return Score(np.array([scaled.mean() ** 2 / LOWER]), BETTER, pair, f"n = {scaled.size}", derived=True)


def figure(folder: RunFolder) -> list[Path]:
    """Mean errors against K with 95 % intervals, beside the bound and the error of random signs."""
    result = folder.load_result()
    K, H = result["budget"], result["horizon"]
    with plots.paper():
        fig, axes = plots.subplots(1, len(result["d"]), width=4.0)
        for i, (ax, d) in enumerate(zip(axes[0], result["d"].tolist(), strict=True)):
            for m, name in enumerate(result["method"].tolist()):
                _curve(ax, K * 1.03 ** (m - 2), result["error"][m, i], plots.PALETTE[m], name)
            ax.plot(K, _chance(d, K, H), color=plots.GREY, linestyle="--", label="signs at random")
            ax.plot(K, np.sqrt(LOWER / K) * d, color=plots.GREY, linestyle=":", label=r"$\sqrt{C/K}\,d$")
            ax.set(xscale="log", yscale="log", xlabel="episodes K", title=f"d = {d}")
        axes[0, 0].set(ylabel="mean planning error")
        axes[0, 0].legend(fontsize=6)
        return plots.save(fig, folder.figures / "lower_bound")


def _curve(ax: Any, K: np.ndarray, error: np.ndarray, colour: str, label: str) -> None:
    """Means of errors `[N, seeds]`, with Student's t intervals as bars."""
    ax.plot(K, error.mean(1), "o-", color=colour, markersize=4, linewidth=1, label=label)
    for x, row in zip(K, error, strict=True):
        interval = statistics.mean_interval(row[:, None])
        if interval is not None:
            ax.plot([x, x], np.maximum(interval, 1e-6), color=colour, linewidth=1.5)
