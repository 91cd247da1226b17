"""Online episodes that HF-UCRL-RFE++ needs for a certificate, after offline data of growing size.

The combination lock of three digits. Offline episodes follow the uniform policy; the learner begins with
their transitions in its moment-0 regressions and explores online until its certificate is at most epsilon.
The error of what it then plans is shown by a battery of one-shot rewards inside the bracket of the worst
reward, and rho beside c_beta: the certificate is covered by its radius where c_beta >= rho.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.reward_free.errors import largest_error, one_shots
from jaxrl.core.fields import NonNegative, Positive, Seed, Size, check_fields
from jaxrl.core.prng import stream
from jaxrl.core.types import Array, PyTree
from jaxrl.data.collect import collect
from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.envs.tabular.mixture_generators import lock
from jaxrl.envs.wrappers.finite_horizon import finite_horizon
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.reward_free import hf, warm_start
from jaxrl.reward_free.features import form_of
from jaxrl.reward_free.tabular import uniform
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import member_keys, stack_hypers
from jaxrl.run.train import train
from theory.exact import planning_error

PER_UPDATE = 20  # episodes; exploration stops inside an update


@dataclass(frozen=True)
class Config:
    """Sizes of the offline data, and the learner."""

    offline: tuple[int, ...] = (0, 10, 100, 1000)
    """Numbers of offline episodes of the uniform policy, each of `horizon` transitions."""
    horizon: Size = 5
    """Number of stages of an episode."""
    orders: Size = 4
    """Number M of moment orders of the learner."""
    c_beta: Positive = 0.05
    """Multiplier of the learner's radius."""
    epsilon: NonNegative = 0.25
    """Certificate at which exploration stops, in units of total reward."""
    episodes: Size = 3000
    """Largest number of online episodes."""
    bracket: bool = True
    """Whether the worst planning error is bracketed, by linear programmes."""
    seeds: Size = 50
    """Members per size; data and exploration of member i depend on the root seed and i alone."""
    seed: Seed = 0
    """Root seed of the members, in [0, 2^32)."""
    float64: bool = True
    """Whether the run computes in double precision."""

    def __post_init__(self) -> None:
        check_fields(self)


PRESETS = {
    "smoke": Config(offline=(0, 20), episodes=20, orders=2, bracket=False, seeds=2),
    "quick": Config(),
    "paper": Config(offline=(0, 3, 10, 30, 100, 300, 1000), seeds=50),
}
BETTER = "less"


def run(config: Config, folder: RunFolder) -> None:
    """Saves `offline [K]` in transitions, and `[K, S]` of `episodes` (NaN where there is no certificate),
    `certificate`, `rho`, `battery`, and the bracket `lower`, `upper`.
    """
    mixture = lock(3, 2, 0.9, 0.1)
    env = LinearMixture.of(mixture)
    bound = float(np.linalg.norm(np.asarray(mixture.theta, np.float64)))
    static = hf.Config(config.horizon, PER_UPDATE, config.orders)
    hyper = hf.Hyper(horizon=config.horizon, c_beta=config.c_beta, bound=bound, epsilon=config.epsilon)
    keys = member_keys(config.seed, config.seeds)
    K, S = len(config.offline), config.seeds
    trained = train(
        warm_start.make(static, env),
        keys[np.tile(np.arange(S), K)],
        stack_hypers([hyper] * K, S),
        _data(config, mixture, env, keys),
        shared_data=False,
        updates=-(-config.episodes // PER_UPDATE),
        folder=folder,
        env_steps_per_update=PER_UPDATE * config.horizon,
        labels=[f"seed {i} ({n} offline episodes)" for n in config.offline for i in range(S)],
        float64=config.float64,
    )
    rows = [
        _measures(config, static, hyper, mixture, jax.tree.map(lambda x, i=i: x[i], trained.state))
        for i in range(K * S)
    ]
    folder.save_result(
        offline=np.array(config.offline) * config.horizon,
        **{name: np.array([row[name] for row in rows]).reshape(K, S) for name in rows[0]},
    )


def _data(config: Config, mixture: PyTree, env: LinearMixture, keys: Array) -> warm_start.Data:
    """Data of every member, `[K S, ...]`; member i's keys are its own."""
    H, timed = config.horizon, finite_horizon(env, config.horizon)
    explorer, hyper = uniform.make(uniform.Config(H), env), uniform.Hyper(H)
    policy = explorer.act(explorer.init(keys[0], hyper, mixture), hyper, False)
    counts = []
    for n in config.offline:
        for key in keys:
            if n == 0:
                counts.append(jnp.zeros((1, env.S, env.A, env.S), jnp.int32))
                continue
            key = stream(key, n)
            rows = collect(timed, policy, key, timed.extend(mixture), episodes=n, limit=H)
            counts.append(warm_start.offline_counts(rows, env.S, env.A))
    repeated = jax.tree.map(lambda x: jnp.repeat(x[None], len(counts), axis=0), mixture)
    return warm_start.Data(repeated, jnp.stack(counts))


def _measures(
    config: Config, static: hf.Config, hyper: hf.Hyper, mixture: PyTree, state: Any
) -> dict[str, float]:
    H, form, P = config.horizon, form_of(mixture), mixture.to_tabular().P
    Q = form.table(form.kernel(state.best.theta))
    found = {
        "episodes": float(state.episodes) if int(state.certified) > 0 else np.nan,
        "certificate": float(hf.certificate(state)),
        "rho": float(hf.realised_radius(static, state, hyper, mixture)),
        "battery": float(largest_error(P, Q[None], one_shots(H, *P.shape[:2]))),
        "lower": np.nan,
        "upper": np.nan,
    }
    if config.bracket:
        bracket = planning_error.bracket(P, Q, H)
        found |= {"lower": bracket.lower, "upper": bracket.upper}
    return found


def estimate(config: Config) -> dict[str, int]:
    """Members, programs and the largest number of environment steps of a run."""
    members = len(config.offline) * config.seeds
    return {
        "members": members,
        "compilations": 1,
        "env_steps": members * config.episodes * config.horizon,
    }


def scores(result: dict[str, np.ndarray]) -> dict[str, Score | np.ndarray]:
    """Error, online episodes and bracket by offline size; a member without certificate has no episodes."""
    found: dict[str, Score | np.ndarray] = {}
    for k, n in enumerate(result["offline"].tolist()):
        name = f"{n} offline transitions"
        found[f"{name}: largest battery error"] = result["battery"][k]
        found[f"{name}: online episodes to the certificate"] = Score(
            result["episodes"][k], BETTER, derived=True
        )
        found[f"{name}: rho"] = Score(result["rho"][k], None, derived=True)
        if np.isfinite(result["upper"][k]).all():
            found[f"{name}: error of the worst reward found"] = Score(
                result["lower"][k], BETTER, derived=True
            )
            found[f"{name}: upper bound on the error"] = Score(result["upper"][k], BETTER, derived=True)
    return found


def figure(folder: RunFolder) -> list[Path]:
    """Online episodes to the certificate, and the error of the plans with its bracket, by offline size."""
    result = folder.load_result()
    names = [str(n) for n in result["offline"]]
    with plots.paper():
        fig, axes = plots.subplots(1, 2)
        episodes, errors = axes[0]
        if np.isfinite(result["episodes"]).any():
            plots.seed_dots(episodes, names, list(result["episodes"]))
        episodes.set(xlabel="online episodes to the certificate", ylabel="offline transitions")
        plots.seed_dots(errors, names, list(result["battery"]))
        for k, (low, high) in enumerate(zip(result["lower"], result["upper"], strict=True)):
            errors.plot(low, np.full(low.size, k - 0.3), "<", color=plots.GREY, markersize=3)
            errors.plot(high, np.full(high.size, k - 0.3), ">", color=plots.GREY, markersize=3)
        errors.set(xlabel="planning error: battery (dots), bracket (< >)")
        return plots.save(fig, folder.figures / "warm_start")
