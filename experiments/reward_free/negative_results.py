"""Two results that speak against HF-UCRL-RFE++, reproduced on purpose.

First, the estimate of one series alone. On the combination lock of three digits, exploration and certificate
with the order-0 estimate of the first series; at the certificate two models are planned with, that estimate
and the merged one of all regressions of the same run. Certificates need an estimate that satisfies the
constraints of both series.

Second, problems that need no exploration. On random mixtures the uniform policy with multi-target ridge fits
a better model than HF-UCRL-RFE++, and one at least as good as that of UCRL-RFE, from as many episodes: such
mixtures are no evidence for exploration.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import jax
import numpy as np

from experiments.reward_free.errors import largest_error, one_shots
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import NonNegative, Positive, Seed, Size, check_fields
from jaxrl.core.types import Array, Key, PyTree
from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.envs.tabular.mixture_generators import lock, random_mixture
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.reward_free import hf, radii, ucrl_rfe
from jaxrl.reward_free.features import form_of
from jaxrl.reward_free.regression import merged
from jaxrl.reward_free.tabular import uniform
from jaxrl.reward_free.tabular.multi_target import kernel_of, multi_target_ridge
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import member_keys, stack_hypers, sweep
from jaxrl.run.train import train

PER_UPDATE = 20  # episodes; exploration on the lock stops inside an update
S, A, D, H = 8, 3, 5, 16  # of the random mixtures
LOCK_H = 5
MethodName = Literal["HF-UCRL-RFE++", "UCRL-RFE", "uniform policy, multi-target ridge"]


@dataclass(frozen=True)
class Config:
    """Learners on the lock, and episodes on random mixtures."""

    c_beta: Positive = 0.05
    """Multiplier of the radius on the lock."""
    epsilon: NonNegative = 0.25
    """Certificate at which exploration of the lock stops, in units of total reward."""
    episodes: Size = 3000
    """Largest number of episodes on the lock."""
    orders: Size = 4
    """Number M of moment orders."""
    methods: tuple[MethodName, ...] = get_args(MethodName)
    """Explorers of random mixtures, a program each."""
    mixture_c_beta: Positive = 0.03
    """Multiplier of the radius of HF-UCRL-RFE++ on random mixtures."""
    rfe_c_beta: Positive = 0.05
    """Multiplier of the radius of UCRL-RFE, for rewards that sum to at most 1, on random mixtures."""
    budgets: tuple[int, ...] = (100, 400)
    """Numbers of episodes on random mixtures at which the error is read, increasing multiples of 20."""
    seeds: Size = 50
    """Members, each with a random mixture of its own."""
    seed: Seed = 0
    """Root seed of the members, in [0, 2^32)."""
    float64: bool = True
    """Whether the run computes in double precision."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.methods or len(set(self.methods)) < len(self.methods):
            raise UsageError(f"Config.methods: must be at least one, each once, got {self.methods}")


PRESETS = {
    "smoke": Config(
        methods=("UCRL-RFE", "uniform policy, multi-target ridge"),
        episodes=20,
        orders=2,
        budgets=(20,),
        seeds=2,
    ),
    "quick": Config(),
    "paper": Config(seeds=200),
}
BETTER = "less"


def run(config: Config, folder: RunFolder) -> None:
    """Saves of the lock `certified [S]`, `single [S]`, `merged [S]`, and `error [M, S, N]` of random mixtures
    by `method [M]`, seed and `budget [N]`.
    """
    found = _lock(config, folder)
    error = np.stack([_mixtures(config, folder, number) for number in range(len(config.methods))])
    folder.save_result(**found, method=list(config.methods), budget=np.array(config.budgets), error=error)


def _lock(config: Config, folder: RunFolder) -> dict[str, np.ndarray]:
    mixture = lock(3, 2, 0.9, 0.1)
    env, form, P = LinearMixture.of(mixture), form_of(mixture), mixture.to_tabular().P
    bound = float(np.linalg.norm(np.asarray(mixture.theta, np.float64)))
    hyper = hf.Hyper(horizon=LOCK_H, c_beta=config.c_beta, bound=bound, epsilon=config.epsilon)
    members = sweep(
        lambda static: hf.make(static, env),
        [(hf.Config(LOCK_H, PER_UPDATE, config.orders, estimate="first"), hyper)],
        seeds=config.seeds,
        seed=config.seed,
        data=mixture,
        updates=-(-config.episodes // PER_UPDATE),
        env_steps_per_update=PER_UPDATE * LOCK_H,
        folder=folder,
        stage="lock",
        float64=config.float64,
    )
    rewards = one_shots(LOCK_H, *P.shape[:2])
    lam = radii.ridge_weight(form.dim, bound)

    def error(theta: Array) -> float:
        return float(largest_error(P, form.table(form.kernel(theta))[None], rewards))

    states = [member.state for member in members]
    return {
        "certified": np.array([int(x.certified) if int(x.certified) > 0 else np.nan for x in states]),
        "single": np.array([error(x.regressions.theta[0, 0]) for x in states]),
        "merged": np.array([error(merged(x.regressions, lam).theta) for x in states]),
    }


def _mixtures(config: Config, folder: RunFolder, number: int) -> np.ndarray:
    """Largest error over one-shot rewards, `[seeds, N]`; member i has mixture i, for every method."""
    keys = jax.vmap(lambda key: jax.random.split(key, 2))(member_keys(config.seed, config.seeds))
    mixtures = jax.vmap(lambda key: random_mixture(key, S, A, D, concentration=0.1))(keys[:, 0])
    env = LinearMixture(S, A, D)
    bound, per, method = float(np.sqrt(D)), PER_UPDATE, config.methods[number]
    if method == "HF-UCRL-RFE++":
        algorithm = hf.make(hf.Config(H, per, config.orders), env)
        hyper: Any = hf.Hyper(horizon=H, c_beta=config.mixture_c_beta, bound=bound)
    elif method == "UCRL-RFE":
        algorithm = ucrl_rfe.make(ucrl_rfe.Config(H, per, value_range="one"), env)
        hyper = ucrl_rfe.Hyper(horizon=H, c_beta=config.rfe_c_beta, bound=bound)
    else:
        per, algorithm, hyper = 1, uniform.make(uniform.Config(H), env), uniform.Hyper(H)

    def evaluate(key: Key, state: Any, hyper: Any, mixture: PyTree) -> dict[str, Array]:
        if method == "uniform policy, multi-target ridge":
            form = form_of(mixture)
            Q = kernel_of(form, multi_target_ridge(form, state.counts, radii.ridge_weight(D, bound)))
        else:
            Q = (hf if method == "HF-UCRL-RFE++" else ucrl_rfe).model(state, mixture)[None]
        P = mixture.to_tabular().P
        return {"eval/error": largest_error(P, Q, one_shots(H, S, A), mixture.mu0)}

    trained = train(
        algorithm,
        keys[:, 1],
        stack_hypers([hyper], config.seeds),
        mixtures,
        shared_data=False,
        updates=config.budgets[-1] // per,
        evaluate=evaluate,
        eval_every=PER_UPDATE // per,
        env_steps_per_update=per * H,
        folder=folder,
        stage=f"mixtures-{number}",
        float64=config.float64,
    )
    rows = [int(np.flatnonzero(trained.update * per == n)[0]) for n in config.budgets]
    return trained.history["eval/error"][rows].T


def estimate(config: Config) -> dict[str, int]:
    """Members, programs and the largest number of environment steps of a run."""
    steps = config.episodes * LOCK_H + len(config.methods) * config.budgets[-1] * H
    programs = 1 + len(config.methods)
    return {"members": programs * config.seeds, "compilations": programs, "env_steps": config.seeds * steps}


def scores(result: dict[str, np.ndarray]) -> dict[str, Score | np.ndarray]:
    """Errors of both models on the lock, and by method and number of episodes on random mixtures."""
    found: dict[str, Score | np.ndarray] = {
        "lock, planned with the estimate of one series": result["single"],
        "lock, planned with the merged estimate of the same runs": Score(
            result["merged"], BETTER, derived=True
        ),
        "lock, first certified episode": Score(result["certified"], None, derived=True),
    }
    budgets = result["budget"].tolist()
    for method, error in zip(result["method"].tolist(), result["error"], strict=True):
        for n, values in zip(budgets, error.T, strict=True):
            last = n == budgets[-1]
            label = f"random mixtures, {method}, {n} episodes"
            found[label] = values if last else Score(values, BETTER, derived=True)
    return found


def figure(folder: RunFolder) -> list[Path]:
    """Errors of every seed: both estimates on the lock, and both methods on random mixtures."""
    result = folder.load_result()
    with plots.paper():
        fig, axes = plots.subplots(1, 2, width=5.0)
        left, right = axes[0]
        plots.seed_dots(left, ["one series", "merged"], [result["single"], result["merged"]])
        left.axvline(folder.config["epsilon"], color=plots.GREY, linewidth=0.8, linestyle=":")
        left.set(xlabel="largest battery error on the lock; dotted: certificate", xlim=(-0.02, 1))
        names, values = [], []
        for method, error in zip(result["method"].tolist(), result["error"], strict=True):
            for n, x in zip(result["budget"].tolist(), error.T, strict=True):
                names.append(f"{method.replace(' policy, multi-target', ',')}, {n}")
                values.append(x)
        plots.seed_dots(right, names, values)
        right.set(xlabel="largest battery error on random mixtures")
        return plots.save(fig, folder.figures / "negative_results")
