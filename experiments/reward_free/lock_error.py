"""What planning loses after exploring a combination lock, by method: battery, adversary and bound.

Every method explores without reward and leaves a model; policies are planned with it, without a bonus. Its
worst planning error over all rewards of total at most 1 lies in a bracket: the lower end is attained by a
reward that alternating linear programmes find, the upper end is twice a bound on total variation, at most 1.
The battery has a reward for every state and stage, and random ones; how far its largest error lies below that
of the reward that was found says how much a finite battery hides. Certificates stand beside them, with the
c_beta that would cover the run (rho): one below the lower end is refuted, one at or above the upper end
proved; one of 1 or more says nothing. That of UCRL-RFE+ is for rewards of at most 1 per stage, a larger
class: it can be refuted here, and not proved.
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
from experiments.reward_free.errors import largest_error
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Seed, Size, check_fields
from jaxrl.core.types import Array, Key, PyTree
from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.envs.tabular.mixture_generators import lock
from jaxrl.report import plots, statistics
from jaxrl.report.tables import Score
from jaxrl.reward_free import hf, radii, rewards, ucrl_rfe, ucrl_rfe_plus
from jaxrl.reward_free.features import form_of
from jaxrl.reward_free.tabular import (
    generative,
    inverse_count,
    max_entropy,
    rf_express,
    rf_rl_explore,
    rf_ucrl,
    uniform,
)
from jaxrl.reward_free.tabular.counts import kernel
from jaxrl.reward_free.tabular.multi_target import kernel_of, multi_target_ridge
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import Member, sweep
from theory.exact import planning_error

PER_UPDATE = 10  # episodes of learners on mixtures; budgets are multiples
MIXTURE_LEARNERS = (hf, ucrl_rfe, ucrl_rfe_plus)
MEASURES = ("battery", "lower", "upper", "certificate", "rho")
MethodName = Literal[
    "HF-UCRL-RFE++",
    "HF, last estimate",
    "HF, one series",
    "UCRL-RFE",
    "UCRL-RFE+",
    "RF-UCRL",
    "RF-Express",
    "1/n",
    "maximum entropy",
    "RF-RL-Explore (UCBVI)",
    "uniform policy",
    "uniform policy, multi-target ridge",
    "generative",
]


class Method(NamedTuple):
    """A learner with fields of its `Config` and `Hyper` beside the horizon, and how its model is estimated.

    ridge: whether by multi-target ridge on its counts, in place of frequencies. last: whether of
    HF-UCRL-RFE++ the last plan counts, in place of that with the smallest certificate.
    """

    module: ModuleType
    config: Mapping[str, Any] = {}
    hyper: Mapping[str, Any] = {}
    ridge: bool = False
    last: bool = False


METHODS: dict[str, Method] = {
    "HF-UCRL-RFE++": Method(hf, {}, {"c_beta": 0.03}),
    "HF, last estimate": Method(hf, {}, {"c_beta": 0.03}, last=True),
    "HF, one series": Method(hf, {"estimate": "first"}, {"c_beta": 0.03}),
    "UCRL-RFE": Method(ucrl_rfe, {"value_range": "one"}, {"c_beta": 0.05}),
    "UCRL-RFE+": Method(ucrl_rfe_plus, {}, {"c_beta": 0.003}),
    "RF-UCRL": Method(rf_ucrl, {}, {"bonus_scale": 0.1}),
    "RF-Express": Method(rf_express, {}, {"bonus_scale": 1e-4}),
    "1/n": Method(inverse_count),
    "maximum entropy": Method(max_entropy),
    "RF-RL-Explore (UCBVI)": Method(rf_rl_explore, {}, {"bonus_scale": 0.1}),
    "uniform policy": Method(uniform),
    "uniform policy, multi-target ridge": Method(uniform, ridge=True),
    "generative": Method(generative),
}


def _smallest(config: Any) -> int:
    """The smallest budget of RF-RL-Explore: an episode per state and stage is half of it."""
    return 2 * (config.digits + 2) * (config.horizon - 1)


def _budgets(config: Any, name: str) -> tuple[int, ...]:
    """The budgets at which a method is judged."""
    if METHODS[name].module is rf_rl_explore:
        return tuple(n for n in config.budgets if n >= _smallest(config))
    return config.budgets


@dataclass(frozen=True)
class Config:
    """The lock, the methods, and the numbers of episodes at which their models are judged."""

    methods: tuple[MethodName, ...] = get_args(MethodName)
    """Explorers, in the order of the figure."""
    digits: Size = 6
    """Number of digits of the lock; it has two more states, and an episode has two more steps."""
    actions: Size = 3
    """Number of actions, of which one is right for each digit."""
    budgets: tuple[int, ...] = (100, 300, 1000)
    """Numbers of episodes, increasing multiples of 10. RF-RL-Explore has a run of its own for each that it
    can divide among all states and stages."""
    starts: Size = 60
    """Number of random rewards that the adversary begins at, beside those of the battery."""
    seeds: Size = 8
    """Members per method; member i depends on the root seed and on i alone."""
    seed: Seed = 0
    """Root seed of the members and of the random rewards, in [0, 2^32)."""
    float64: bool = True
    """Whether the run computes in double precision."""

    def __post_init__(self) -> None:
        check_fields(self)
        check_methods(self.methods)
        check_increasing("budgets", self.budgets, PER_UPDATE, PER_UPDATE)
        for name in self.methods:
            if not _budgets(self, name):
                raise UsageError(
                    f"Config.budgets: {name} needs at least {_smallest(self)} episodes, got"
                    f" {self.budgets}; add a larger one or leave the method out"
                )

    @property
    def horizon(self) -> int:
        """Steps of an episode: one per digit, and two at the end."""
        return self.digits + 2


PRESETS = {
    "smoke": Config(("UCRL-RFE", "maximum entropy"), 2, 2, (10, 20), starts=5, seeds=2),
    "quick": Config(),
    "paper": Config(budgets=(30, 100, 300, 1000), seeds=50),
}
BETTER = "less"


def _runs(config: Config) -> list[tuple[str, tuple[int, ...]]]:
    """Programs, each a method and the budgets at which its members are read; the last is their length."""
    found = []
    for name in config.methods:
        budgets = _budgets(config, name)
        of_length = METHODS[name].module is rf_rl_explore
        found += [(name, (n,)) for n in budgets] if of_length else [(name, budgets)]
    return found


def run(config: Config, folder: RunFolder) -> None:
    """Saves `method [M]`, `budget [N]` and `[M, N, seeds]` of `battery`, `lower`, `upper`, `certificate` and
    `rho`; NaN where a method has none.
    """
    mixture = lock(config.digits, config.actions, 0.9, 0.1)
    shape = (len(config.methods), len(config.budgets), config.seeds)
    found = {name: np.full(shape, np.nan) for name in MEASURES}
    for number, (name, budgets) in enumerate(_runs(config)):
        members = _explore(config, folder, mixture, f"run-{number}", METHODS[name], budgets)
        rows = [_judged(config, mixture, member, budgets, METHODS[name]) for member in members]
        places = [config.budgets.index(n) for n in budgets]
        for measure in MEASURES:
            found[measure][config.methods.index(name), places] = np.array([row[measure] for row in rows]).T
    folder.save_result(method=list(config.methods), budget=np.array(config.budgets), **found)


def _per_update(method: Method) -> int:
    return PER_UPDATE if method.module in MIXTURE_LEARNERS else 1


def _explore(
    config: Config, folder: RunFolder, mixture: PyTree, stage: str, method: Method, budgets: tuple[int, ...]
) -> list[Member]:
    """Members of one program, evaluated at least at every budget."""
    env, H, per, module = LinearMixture.of(mixture), config.horizon, _per_update(method), method.module
    own: dict[str, Any] = {}
    if module in MIXTURE_LEARNERS:
        static = module.Config(H, per, **method.config)
        own = {"bound": float(np.linalg.norm(np.asarray(mixture.theta, np.float64)))}
    elif module is rf_rl_explore:
        static = module.Config(H, budgets[-1], **method.config)
    else:
        static = module.Config(H, **method.config)
    return sweep(
        lambda static: module.make(static, env),
        [(static, module.Hyper(horizon=H, **own, **method.hyper))],
        seeds=config.seeds,
        seed=config.seed,
        data=mixture,
        updates=budgets[-1] // per,
        evaluate=lambda static: _evaluation(method, static),
        eval_every=gcd(*budgets) // per,
        env_steps_per_update=per * H,
        folder=folder,
        stage=stage,
        float64=config.float64,
    )


def _battery(config: Config) -> Array:
    """Rewards `[n, H, S, A]`, the same for all methods and members."""
    H, S = config.horizon, config.digits + 2
    return rewards.battery(jax.random.key(config.seed), H, S, config.actions)


def _evaluation(method: Method, static: Any) -> Any:
    """The model of a state, and the certificate with its rho."""

    def measure(key: Key, state: Any, hyper: Any, mixture: PyTree) -> dict[str, Array]:
        if method.last:
            state = state._replace(best=hf.Best(state.certificate, state.theta, state.episodes))
        found = {"eval/model": _model(method, state, mixture)}
        if method.module in MIXTURE_LEARNERS:
            rho = method.module.realised_radius(static, state, hyper, mixture)
            found |= {"eval/certificate": method.module.certificate(state), "eval/rho": rho}
        return found

    return measure


def _model(method: Method, state: Any, mixture: PyTree) -> Array:
    """The estimated kernel `[S, A, S]`."""
    if method.module in MIXTURE_LEARNERS:
        return method.module.model(state, mixture)
    if method.ridge:
        form = form_of(mixture)
        lam = radii.ridge_weight(form.dim, jnp.linalg.norm(mixture.theta))
        return kernel_of(form, multi_target_ridge(form, state.counts, lam))[0]
    return kernel(state.counts)[0]


def _judged(
    config: Config, mixture: PyTree, member: Member, budgets: tuple[int, ...], method: Method
) -> dict[str, list[float]]:
    """Measures of one member, by name, one per budget."""
    P, given = mixture.to_tabular().P, _battery(config)
    history, found = member.history, {name: [] for name in MEASURES}
    for n in budgets:
        row = int(np.flatnonzero(member.update * _per_update(method) == n)[0])
        Q = history["eval/model"][row].astype(np.float64)
        Q /= Q.sum(-1, keepdims=True)  # rows sum to 1 in float32 only
        worst = planning_error.lower(P, Q, config.horizon, starts=given, random=config.starts)
        found["lower"].append(worst.value)
        found["upper"].append(min(1.0, planning_error.upper(P, Q, config.horizon)))  # no error is above 1
        found["battery"].append(float(largest_error(P, jnp.asarray(Q)[None], given)))
        for name in ("certificate", "rho"):
            found[name].append(float(history[f"eval/{name}"][row]) if f"eval/{name}" in history else np.nan)
    return found


def estimate(config: Config) -> dict[str, int]:
    """Members, programs and environment steps of a run."""
    runs = _runs(config)
    episodes = sum(budgets[-1] for _, budgets in runs)
    return {
        "members": len(runs) * config.seeds,
        "compilations": len(runs),
        "env_steps": episodes * config.horizon * config.seeds,
    }


def scores(result: dict[str, np.ndarray]) -> dict[str, Score | np.ndarray]:
    """Errors by method and number of episodes, how far the battery lies below the worst reward found, and
    what the certificates are.
    """
    found: dict[str, Score | np.ndarray] = {}
    budgets = result["budget"].tolist()
    for i, name in enumerate(result["method"].tolist()):
        for j, n in enumerate(budgets):
            row = {measure: result[measure][i, j] for measure in MEASURES}
            if np.isnan(row["battery"]).all():
                continue
            label, own = f"{name}, {n} episodes", n == budgets[-1] or METHODS[name].module is rf_rl_explore
            battery = row["battery"] if own else Score(row["battery"], BETTER, derived=True)
            found[f"{label}: largest battery error"] = battery
            found |= {f"{label}: {key}": score for key, score in _errors(row).items()}
            if np.isfinite(row["certificate"]).all():
                found |= {f"{label}: {key}": score for key, score in _certificates(row).items()}
    return found


def _errors(row: dict[str, np.ndarray]) -> dict[str, Score]:
    """Of members `[seeds]`: both ends of the bracket, and what the battery misses of the lower one."""
    return {
        "worst error found": Score(row["lower"], BETTER, derived=True),
        "upper bound": Score(row["upper"], BETTER, derived=True),
        "worst error found less battery error": Score(row["lower"] - row["battery"], BETTER, derived=True),
    }


def _certificates(row: dict[str, np.ndarray]) -> dict[str, Score]:
    """Of members `[seeds]`: certificates, rho, and shares that say nothing, are proved, open and refuted."""
    empty = row["certificate"] >= 1
    proved, refuted = ~empty & (row["certificate"] >= row["upper"]), row["certificate"] < row["lower"]
    open_ = ~empty & ~proved & ~refuted
    shares = {"of 1 or more": empty, "proved": proved, "open": open_, "refuted": refuted}
    return {
        "certificate": Score(row["certificate"], BETTER, derived=True),
        "rho": Score(row["rho"], BETTER, derived=True),
        **{f"share of certificates {name}": _share(holds) for name, holds in shares.items()},
    }


def _share(holds: np.ndarray) -> Score:
    """A share with its Wilson interval."""
    interval = statistics.proportion_interval(int(holds.sum()), holds.size)
    return Score(holds.astype(float), None, interval, derived=True)


def figure(folder: RunFolder) -> list[Path]:
    """A panel per method: the bracket (band), the battery error (line, seeds as dots) and the certificate."""
    result = folder.load_result()
    methods, columns = result["method"].tolist(), 4
    with plots.paper():
        rows = -(-len(methods) // columns)
        fig, axes = plots.subplots(rows, columns, width=2.6, height=2.2)
        for ax in axes.ravel()[len(methods) :]:
            ax.set_visible(False)
        for i, (ax, name) in enumerate(zip(axes.ravel(), methods, strict=False)):
            _panel(ax, result["budget"], {measure: result[measure][i] for measure in MEASURES})
            ax.set_title(name, fontsize=8)
        axes[0, 0].set(ylabel="planning error")
        axes[0, 0].legend(fontsize=6)
        return plots.save(fig, folder.figures / "lock_error")


def _panel(ax: Any, budget: np.ndarray, row: dict[str, np.ndarray]) -> None:
    """Medians over members `[N, seeds]` at the budgets that a method has."""
    has = np.isfinite(row["battery"]).all(1)
    x = budget[has]
    low, high, battery = (row[name][has] for name in ("lower", "upper", "battery"))
    ax.fill_between(
        x, np.median(low, 1), np.median(high, 1), color=plots.PALETTE[0], alpha=0.25, label="bracket"
    )
    ax.plot(x, np.median(battery, 1), color=plots.PALETTE[1], linewidth=1.2, label="battery")
    ax.plot(np.repeat(x, battery.shape[1]), battery.ravel(), ".", color=plots.PALETTE[1], markersize=3)
    if np.isfinite(row["certificate"][has]).all():
        ax.plot(
            x,
            np.median(row["certificate"][has], 1),
            color=plots.PALETTE[2],
            linestyle=":",
            label="certificate",
        )
    ax.set(xscale="log", xlabel="episodes", ylim=(-0.03, 1.05), xlim=(budget[0] * 0.8, budget[-1] * 1.25))
    ax.set_xticks(budget, [str(n) for n in budget])
    ax.minorticks_off()
