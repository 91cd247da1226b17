"""What drifts of the zoo do over a lifetime, and what their closed forms lose.

Every rule tells learners on CartPole how to update, in the loop in which the learned ones were found, over
lifetimes of three lengths, of which it is told the truth. After each update three numbers are taken on the
steps that it was made of: the entropy of the policy, the share of steps at which the drift f is positive, and
the KL divergence from the policy before. Rules come from files of the zoo alone. Some of them are also
distilled into closed forms, and live the same lifetimes.

Intervals are over lifetimes, the same for all rules.

Legend: `R` rules, `N` horizons, `L` lifetimes, `D` closed forms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.meta.rules import CLOSED
from jaxrl.baselines import ppo
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Seed, Size, check_fields
from jaxrl.core.prng import stream, streams
from jaxrl.core.types import Array, Key, PyTree
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.meta import drift, zoo
from jaxrl.meta.certificates import check_drift
from jaxrl.meta.distillation import distil
from jaxrl.meta.lifetimes import in_lanes
from jaxrl.meta.objective import Objective, Time, mask_of
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.rollout.evaluate import evaluate
from jaxrl.run.config import config_from_dict
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import member_keys

MEASURED = ("entropy", "share of f > 0", "KL per update")
LEARNED = ("lpo_cartpole", "ta_lpo_cartpole", "lpo_from_ppo_cartpole", "ta_lpo_from_ppo_cartpole")


TIMED = (("ta_lpo_cartpole", "lpo_cartpole"), ("ta_lpo_from_ppo_cartpole", "lpo_from_ppo_cartpole"))


@dataclass(frozen=True)
class Config:
    """Rules of the zoo, the loop that they drive, and its lifetimes."""

    rules: tuple[str, ...] = ("ppo", "dpo", *LEARNED, "scheduled_ppo_cartpole")
    """Names of drifts of the zoo."""
    distilled: tuple[str, ...] = LEARNED
    """Those of them that have no schedule and are distilled into closed forms besides."""
    learner: ppo.Config = field(
        default_factory=lambda: ppo.Config(n_envs=8, length=32, epochs=8, minibatches=4, widths=(32, 32))
    )
    """Static choices of the learner."""
    hyper: ppo.Hyper = field(default_factory=lambda: ppo.Hyper(lr=1e-2))
    """Hyper-parameters of the learner."""
    horizons: tuple[Size, ...] = (20, 40, 80)
    """Horizons N of the lifetimes, in updates; the learned rules were found at 40."""
    trained: Size = 40
    """Horizon at which rules are distilled, in updates."""
    lifetimes: Size = 48
    """Lifetimes of every rule at every horizon, a multiple of `together`."""
    together: Size = 16
    """Lifetimes that run together."""
    episodes: Size = 8
    """Episodes that measure the last policy of a lifetime, actions sampled."""
    seed: Seed = 0
    """Root seed, in [0, 2^32)."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.lifetimes % self.together:
            raise UsageError(f"Config.lifetimes: must be a multiple of Config.together, {self.together}")
        strange = [name for name in self.distilled if name not in self.rules]
        if strange:
            raise UsageError(f"Config.distilled: {strange[0]!r} is none of Config.rules; add it there")


PRESETS = {
    "smoke": Config(
        rules=("ppo", "lpo_cartpole"),
        distilled=("lpo_cartpole",),
        learner=ppo.Config(n_envs=2, length=8, epochs=2, minibatches=2, widths=()),
        horizons=(2, 4),
        lifetimes=2,
        together=2,
        episodes=1,
    ),
    "quick": Config(),
    "paper": Config(horizons=(10, 20, 40, 80, 160), lifetimes=1024, together=64),
}
BETTER = "more"


def run(config: Config, folder: RunFolder) -> None:
    """Saves `rule` names, `horizon`, `curve [R, N, longest, 3]`, means over lifetimes, NaN after the end;
    `early`, `late [R, N, 3, L]`, means over the first and the last quarter; `returns [R, N, L]`; of closed
    forms `unexplained [D]`, `certified [D]`, `coefficients [D, 2, 11, 3]` and `scales [D, 2]`.
    """
    entries = {name: zoo.load(name, "drift") for name in config.rules}
    trained = float(config.trained)
    found = {
        name: distil(entries[name].objective, entries[name].phi, horizon=trained) for name in config.distilled
    }
    rules = {name: (entry.objective, entry.phi) for name, entry in entries.items()}
    rules |= {name + CLOSED: (closed.objective, closed.phi) for name, closed in found.items()}
    live = _lives(config)
    curves, returns = [], []
    for objective, phi in rules.values():
        own, mask = drift.in_one_structure(phi), jnp.array(mask_of(objective.inputs))
        lived = [jax.device_get(live(own, mask, jnp.int32(N))) for N in config.horizons]
        curves.append([history for history, _ in lived])
        returns.append([values for _, values in lived])
    curve = np.array(curves)  # [R, N, L, longest, 3]
    quarters = [max(1, N // 4) for N in config.horizons]
    ends = list(zip(config.horizons, quarters, strict=True))
    early = np.stack([curve[:, i, :, :q].mean(axis=2) for i, (_, q) in enumerate(ends)], axis=1)
    late = np.stack([curve[:, i, :, N - q : N].mean(axis=2) for i, (N, q) in enumerate(ends)], axis=1)
    shared = [drift.in_one_structure(closed.phi) for closed in found.values()]
    folder.save_result(
        rule=np.array(list(rules)),
        horizon=np.array(config.horizons),
        curve=curve.mean(axis=2).astype(np.float32),
        early=np.moveaxis(early, -1, -2).astype(np.float32),
        late=np.moveaxis(late, -1, -2).astype(np.float32),
        returns=np.array(returns, np.float32),
        unexplained=np.array([closed.unexplained for closed in found.values()]),
        certified=np.array(
            [check_drift(c.objective, c.phi, horizon=trained).certified for c in found.values()]
        ),
        coefficients=np.array([phi["coefficients"] for phi in shared]),
        scales=np.array([phi["scales"] for phi in shared]),
    )


def _lives(config: Config) -> Callable[[PyTree, Array, Array], tuple[Array, Array]]:
    """`(phi, mask, N) -> (what was measured [L, longest, 3], NaN after N; returns [L])`, compiled once."""
    env, longest = CartPole(), max(config.horizons)
    rule = Objective(lambda key: (), drift.f, "drift", ("n/N",), "drift", schedule=drift.scheduled)
    learner = drift.learner(config.learner, env, rule, learn=partial(_observed, rule))
    params = env.default_params()

    def one(phi: PyTree, mask: Array, N: Array, key: Key) -> tuple[Array, Array]:
        hyper = drift.told(config.hyper, phi, N.astype(jnp.float32), mask)
        k_learn, k_evaluate = jax.random.split(key)

        def update(carry: tuple[PyTree, Array]) -> tuple[PyTree, Array]:
            state, history = carry
            after, metrics = learner.step(state, hyper, params)
            row = jnp.stack([metrics[name] for name in MEASURED])
            return after, history.at[state.updates].set(row)

        begin = learner.init(k_learn, hyper, params), jnp.full((longest, len(MEASURED)), jnp.nan)
        state, history = jax.lax.while_loop(lambda carry: carry[0].updates < N, update, begin)
        policy = learner.act(state, hyper, False)
        return history, evaluate(env, policy, k_evaluate, params, episodes=config.episodes).returns.mean()

    keys = streams(stream(member_keys(config.seed, 1)[0], 0), config.lifetimes)

    @jax.jit
    def live(phi: PyTree, mask: Array, N: Array) -> tuple[Array, Array]:
        return in_lanes(lambda key: one(phi, mask, N, key), config.together)(keys)

    return live


def _observed(
    rule: Objective, parts: ppo.Parts, state: ppo.State, samples: ppo.Samples, hyper: ppo.Hyper, key: Key
) -> tuple[PyTree, PyTree, dict[str, Any]]:
    """Epochs of PPO, then `MEASURED` of the policy that they made, on the steps that they read.

    f is taken at advantages standardised over all steps of the update; PPO standardises those of a minibatch.
    """
    params, opt_state, metrics = ppo.proximal_epochs(parts, state, samples, hyper, key)
    hidden = parts.nets.hidden(params, samples.x, samples.memory, samples.restart)
    output = parts.nets.actor.apply(params["actor"], hidden)
    log_ratio = parts.nets.head.log_prob(output, samples.raw) - samples.log_prob
    advantage = samples.advantage - samples.advantage.mean()
    advantage = advantage / (advantage.std() + 1e-8)
    phi, mask = hyper.surrogate
    n = jnp.minimum(state.updates.astype(jnp.float32), hyper.updates_total)
    time = Time(n, hyper.updates_total, mask)
    f = rule.apply(phi, jnp.exp(log_ratio), log_ratio, advantage, time)
    return (
        params,
        opt_state,
        metrics
        | {
            "entropy": parts.nets.head.entropy(output).mean(),
            "share of f > 0": (f > 0).mean(),
            "KL per update": (jnp.exp(log_ratio) - 1 - log_ratio).mean(),
        },
    )


def estimate(config: Config) -> dict[str, int]:
    """Programs and steps of a run; no row is about a member, because nothing is trained in a population."""
    per = config.learner.n_envs * config.learner.length * config.lifetimes * sum(config.horizons)
    rules = len(config.rules) + len(config.distilled)
    return {"members": 0, "compilations": 1, "env_steps": rules * per}


def scores(result: dict[str, np.ndarray]) -> dict[str, Score | np.ndarray]:
    """Returns; changes over a lifetime, and how much more of them a time-aware rule has than a blind one;
    what closed forms lose, over paired lifetimes.
    """
    names, horizons = result["rule"].tolist(), result["horizon"].tolist()
    note = f"{result['returns'].shape[-1]} lifetimes"
    found: dict[str, Score | np.ndarray] = {}
    for name, returns in zip(names, result["returns"], strict=True):
        for N, values in zip(horizons, returns, strict=True):
            found[f"{name}, N = {N}: return"] = Score(values, BETTER, note=note, derived=True)
    change = result["late"] - result["early"]
    for i, name in enumerate(names):
        for j, N in enumerate(horizons):
            for k, text in enumerate(MEASURED):
                if not name.endswith(CLOSED):
                    label = f"{name}, N = {N}: {text}, last quarter minus first"
                    found[label] = Score(change[i, j, k], note=note, derived=True)
    for aware, blind in TIMED:
        if aware in names and blind in names:
            more = change[names.index(aware)] - change[names.index(blind)]
            for j, N in enumerate(horizons):
                for k, text in enumerate(MEASURED):
                    label = f"{aware} minus {blind}, N = {N}: change of {text}"
                    found[label] = Score(more[j, k], note=f"{note}, paired", derived=True)
    closed = [name for name in names if name.endswith(CLOSED)]
    for d, name in enumerate(closed):
        original = name.removesuffix(CLOSED)
        found[f"{name}: share of f^2 not explained"] = Score(result["unexplained"][[d]], "less", derived=True)
        found[f"{name}: certified dead zone"] = Score(result["certified"][[d]], derived=True)
        lost = result["returns"][names.index(name)] - result["returns"][names.index(original)]
        for N, values in zip(horizons, lost, strict=True):
            label = f"{name}, N = {N}: return minus that of the network"
            found[label] = Score(values, BETTER, note=f"{note}, paired", derived=True)
    return found


def figure(folder: RunFolder) -> list[Path]:
    """What was measured over n/N, a row per rule and a line per horizon; and returns of closed forms."""
    result, config = folder.load_result(), config_from_dict(Config, folder.config)
    with plots.paper():
        files = _over_lifetimes(result, len(config.rules), folder.figures / "schedules")
        return [*files, *_returns(result, folder.figures / "closed_forms")]


def _over_lifetimes(result: dict[str, np.ndarray], rules: int, path: Path) -> list[Path]:
    fig, axes = plots.subplots(rules, len(MEASURED), width=2.8, height=1.8)
    for row, name, curves in zip(axes, result["rule"].tolist(), result["curve"], strict=False):
        for k, (axis, text) in enumerate(zip(row, MEASURED, strict=True)):
            for i, (N, curve) in enumerate(zip(result["horizon"].tolist(), curves, strict=True)):
                axis.plot(np.arange(N) / N, curve[:N, k], color=f"C{i}", label=f"N = {N}")
            axis.set(title=name if k == 1 else "", xlabel="n/N", ylabel=text)
    axes[0][0].legend()
    return plots.save(fig, path)


def _returns(result: dict[str, np.ndarray], path: Path) -> list[Path]:
    fig, axes = plots.subplots(1, 1, width=4.6)
    axis = axes[0][0]
    for i, (name, values) in enumerate(zip(result["rule"].tolist(), result["returns"], strict=True)):
        style = ":" if name.endswith(CLOSED) else "-"
        axis.plot(result["horizon"], values.mean(axis=-1), "o" + style, color=f"C{i % 10}", label=name)
    axis.set(xlabel="horizon N", ylabel="return on fresh lifetimes", xscale="log")
    axis.legend()
    return plots.save(fig, path)
