"""Error of the estimated model on the double chain against the number of steps, beside the released code.

A chain of 31 states, start in the middle, one reward at the right end; explorers see no reward. The error is
|V^(s_1) - V*(s_1)|, the optimal value of the estimated model against that of the true one, for the true
expected reward; `loss` is what the policy planned on the estimated model loses. Episodes are completed: a
budget of b steps is ceil(b / H) episodes. This is the published experiment of RF-UCRL (arXiv 2006.06294,
figure 2a).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Seed, Share, Size, check_fields
from jaxrl.core.types import Array, Key, PyTree
from jaxrl.envs.tabular.generators import chain
from jaxrl.envs.tabular.mdp import expected_reward
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.reward_free.tabular import (
    generative,
    inverse_count,
    max_entropy,
    rf_express,
    rf_ucrl,
    uniform,
)
from jaxrl.reward_free.tabular.counts import kernel
from jaxrl.reward_free.tabular.planning import evaluate, plan
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import sweep


@dataclass(frozen=True)
class Method:
    """A module with its options beside the horizon, for its `Config` and for its `Hyper`."""

    module: ModuleType
    config: dict[str, Any] = field(default_factory=dict)
    hyper: dict[str, Any] = field(default_factory=dict)


METHODS = {
    "RF-UCRL": Method(rf_ucrl),
    "generative": Method(generative),
    "uniform policy": Method(uniform),
    "RF-UCRL (paper)": Method(rf_ucrl, {"variant": "paper", "counts": "per stage"}),
    "RF-Express": Method(rf_express, {"clip": True}, {"bonus_scale": 1e-4}),
    "1/n": Method(inverse_count),
    "maximum entropy": Method(max_entropy),
}
BUDGETS = (100, 177, 316, 562, 1000, 1778, 3162, 5623, 10000, 17782, 31622)


@dataclass(frozen=True)
class Config:
    """The chain, the methods, and the budgets at which the error is read."""

    methods: tuple[str, ...] = tuple(METHODS)
    """Names of methods, in the order of the figure."""
    length: Size = 31
    """Number of states of the chain, odd. Paper: 31."""
    slip: Share = 0.05
    """Probability that an action is reversed. Paper: 0.05."""
    horizon: Size = 20
    """Number of stages of an episode. Paper: 20."""
    gamma: Share = 0.99
    """Discount of values, and of the index of RF-UCRL. Paper: 0.99."""
    budgets: tuple[int, ...] = BUDGETS
    """Numbers of steps at which the error is read, increasing. Paper: 100 to 31622, 11 of them."""
    seeds: Size = 16
    """Members per method. Paper: 48."""
    seed: Seed = 0
    """Root seed of the members."""

    def __post_init__(self) -> None:
        check_fields(self)
        for name in self.methods:
            if name not in METHODS:
                raise UsageError(f"Config.methods: unknown {name!r}; known: {', '.join(METHODS)}")
        if not self.budgets or self.budgets[0] < 1 or list(self.budgets) != sorted(set(self.budgets)):
            raise UsageError(f"Config.budgets: must be increasing and >= 1, got {self.budgets}")


PRESETS = {
    "smoke": Config(methods=("RF-UCRL", "uniform policy"), seeds=2, budgets=(40, 100)),
    "quick": Config(),
    "paper": Config(seeds=48),
}
BETTER = "less"


def run(config: Config, folder: RunFolder) -> None:
    """Saves `method [K]`, `budget [N]`, and `error` and `loss`, each `[K, S, N]`."""
    mdp = chain(config.length, config.slip, gamma=config.gamma)
    env, episodes = Tabular.of(mdp), _episodes(config)
    found: dict[str, list] = {"error": [], "loss": []}
    for name in config.methods:
        method = METHODS[name]
        module, static = method.module, method.module.Config(config.horizon, **method.config)
        own = {"gamma": config.gamma} if module is rf_ucrl else {}
        members = sweep(
            lambda static, module=module: module.make(static, env),
            [(static, module.Hyper(horizon=config.horizon, **own, **method.hyper))],
            seeds=config.seeds,
            seed=config.seed,
            data=mdp,
            updates=episodes[-1],
            evaluate=lambda static: _evaluation(config),
            eval_every=1,
            env_steps_per_update=config.horizon,
            folder=folder,
            stage="".join(c if c.isalnum() else "-" for c in name.lower()).strip("-"),
        )
        for quantity, rows in found.items():
            curves = np.array([member.history[f"eval/{quantity}"] for member in members])
            rows.append(curves[:, np.array(episodes) - 1])
    folder.save_result(
        method=list(config.methods),
        budget=np.array(config.budgets),
        **{quantity: np.array(rows) for quantity, rows in found.items()},
    )


def _evaluation(config: Config) -> Any:
    """The error and the loss of the model that a state holds."""

    def measure(key: Key, state: Any, hyper: Any, data: PyTree) -> dict[str, Array]:
        R = expected_reward(data)
        R = jnp.broadcast_to(R[None, None], (1, config.horizon, *R.shape))
        start = jnp.argmax(data.mu0)
        p, P = kernel(state.counts), data.P[None]
        policy, value = plan(p, R, config.horizon, config.gamma)
        _, optimum = plan(P, R, config.horizon, config.gamma)
        reached = evaluate(P, R, policy, config.horizon, config.gamma)
        error = jnp.abs(value - optimum)[0, start]
        return {"eval/error": error, "eval/loss": (optimum - reached)[0, start]}

    return jax.jit(measure)


def _episodes(config: Config) -> list[int]:
    return [-(-budget // config.horizon) for budget in config.budgets]


def estimate(config: Config) -> dict[str, int]:
    """Members, programs and environment steps of a run."""
    members = len(config.methods) * config.seeds
    steps = _episodes(config)[-1] * config.horizon
    return {"members": members, "compilations": len(config.methods), "env_steps": members * steps}


def scores(result: dict[str, np.ndarray]) -> dict[str, Score | np.ndarray]:
    """Error by method and budget; the largest budget is the members' own, the others are read on the way."""
    found: dict[str, Score | np.ndarray] = {}
    budgets = result["budget"].tolist()
    for name, error in zip(result["method"].tolist(), result["error"], strict=True):
        for budget, values in zip(budgets, error.T, strict=True):
            derived = Score(values, BETTER, derived=True)
            found[f"{name}, {budget} steps"] = values if budget == budgets[-1] else derived
    return found


def figure(folder: RunFolder) -> list[Path]:
    """Error, and loss of the planned policy, against steps: interquartile means over seeds with intervals."""
    result = folder.load_result()
    titles = {"error": r"$|\hat V^\star(s_1) - V^\star(s_1)|$", "loss": "loss of the planned policy"}
    with plots.paper():
        fig, axes = plots.subplots(1, 2)
        for ax, (quantity, title) in zip(axes[0], titles.items(), strict=True):
            for i, (name, values) in enumerate(zip(result["method"].tolist(), result[quantity], strict=True)):
                color = plots.PALETTE[i % len(plots.PALETTE)]
                plots.learning_curve(ax, result["budget"], values, label=name, color=color, better=BETTER)
            ax.set(xscale="log", xlabel="steps", ylabel=title)
        fig.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncol=4)
        return plots.save(fig, folder.figures / "double_chain")
