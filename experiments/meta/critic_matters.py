"""Meta-gradients with a critic that learns and with a frozen one, through what the rule reads and not.

The released meta-gradient has a critic that never learns, and a derivative that takes what the rule reads for
a constant. Each is put right by itself: four arms, members of one program, which share every key of a
meta-seed; a fifth one with a learning rate of zero keeps the rule that all start from. The rules that come
out then tell learners on levels that training has not seen what to do, from their first update to their last.

Differences are paired by meta-seed, over which their intervals are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import jax
import numpy as np

from experiments.meta.levels import Levels, environment
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Seed, Size, check_fields
from jaxrl.core.prng import stream
from jaxrl.meta import lifetimes, lpg, meta_gradient, targets
from jaxrl.meta.evaluation import evaluate_objective
from jaxrl.meta.objective import MASKS
from jaxrl.meta.zoo import Entry
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import member_keys, sweep

START = "start"
ARMS = {  # frozen critic, derivative through what the rule reads, factor of the learning rate
    "critic learns, true derivative": (0.0, 1.0, 1.0),
    "critic learns, released derivative": (0.0, 0.0, 1.0),
    "critic frozen, true derivative": (1.0, 1.0, 1.0),
    "critic frozen, released derivative": (1.0, 0.0, 1.0),
    START: (0.0, 1.0, 0.0),
}
_MEASURED = ("train/return", "entropy", "critic_loss", "target_variance", "gradient_norm", "nan_agents")


@dataclass(frozen=True)
class Config:
    """Five arms of one sweep, and the levels of their evaluation."""

    levels: Levels = "small"
    """Distribution of the levels."""
    limit: tuple[Size, Size] = (20, 50)
    """Shortest and longest time limit of a level, in steps."""
    algo: meta_gradient.Config = field(
        default_factory=lambda: meta_gradient.Config(
            learner=lpg.Config(n_envs=8), agents=16, horizons=(50, 50)
        )
    )
    """Static choices of the meta-gradient."""
    hyper: meta_gradient.Hyper = field(
        default_factory=lambda: meta_gradient.Hyper(lr=1e-3, learner=lpg.Hyper(mask=MASKS["none"]))
    )
    """Hyper-parameters of the meta-gradient, but for what an arm changes."""
    width: Size = 32
    """Units of LPG's recurrence. Paper: 256."""
    steps: Size = 120
    """Meta-steps. Paper: 5000."""
    episodes: Size = 8
    """Episodes that measure the last policy of a lifetime, actions sampled."""
    held_out: Size = 128
    """Levels of the evaluation, a multiple of `together`."""
    together: Size = 64
    """Levels that are evaluated together."""
    seeds: Size = 5
    """Number of meta-seeds; seed i has the same keys in all arms."""
    seed: Seed = 0
    """Root seed, in [0, 2^32)."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.held_out % self.together:
            raise UsageError(f"Config.held_out: must be a multiple of Config.together, {self.together}")


PRESETS = {
    "smoke": Config(
        levels="debug",
        limit=(5, 10),
        algo=meta_gradient.Config(
            learner=lpg.Config(n_envs=2, length=6, predictions=2), agents=2, updates=2, horizons=(4, 4)
        ),
        width=4,
        steps=6,
        episodes=1,
        held_out=4,
        together=4,
        seeds=1,
    ),
    "quick": Config(),
    "paper": Config(
        algo=meta_gradient.Config(agents=512, horizons=(250, 250)),
        hyper=meta_gradient.Hyper(learner=lpg.Hyper(mask=MASKS["none"])),
        width=256,
        steps=2500,
        held_out=512,
    ),
}
BETTER = "more"


def run(config: Config, folder: RunFolder) -> None:
    """Saves `arm` names, `held_out [arm, S, levels]`, and per log point `update [L]` and the means of what
    was measured, `[arm, S, L]`.
    """
    env = environment(config.levels, config.limit)
    rule = targets.lpg(config.algo.learner.predictions, width=config.width)
    hypers = [
        config.hyper.replace(
            legacy_frozen_critic=frozen, meta_through_inputs=through, lr=factor * config.hyper.lr
        )
        for frozen, through, factor in ARMS.values()
    ]
    members = sweep(
        lambda algo: meta_gradient.make(algo, env, rule),
        [(config.algo, hyper) for hyper in hypers],
        seeds=config.seeds,
        seed=config.seed,
        data=(),
        updates=config.steps,
        log_every=max(1, config.steps // 20),
        env_steps_per_update=_steps(config),
        folder=folder,
    )
    shape = (len(ARMS), config.seeds)
    key = stream(member_keys(config.seed, config.seeds + 1)[config.seeds], 0)  # of no member
    live = partial(
        evaluate_objective,
        env=env,
        horizon=config.algo.horizons[1],
        tasks=lifetimes.draw_tasks(env, 1, 1)(key, config.held_out),
        learner=config.algo.learner,
        hyper=config.hyper.learner,
        mask=config.hyper.learner.mask,
        episodes=config.episodes,
        together=config.together,
    )
    phis = jax.device_get([member.state.params for member in members])
    held_out = [live(Entry("LPG", rule, phi, {})) for phi in phis]
    histories = {
        name.removeprefix("train/"): np.reshape([m.history[name] for m in members], (*shape, -1))
        for name in _MEASURED
    }
    folder.save_result(
        arm=np.array(list(ARMS)),
        update=members[0].update,
        held_out=np.reshape(held_out, (*shape, -1)).astype(np.float32),
        **histories,
    )


def _steps(config: Config) -> int:
    learner = config.algo.learner
    return config.algo.agents * (config.algo.updates + 1) * learner.n_envs * learner.length


def _last(curves: np.ndarray) -> np.ndarray:
    """float[arm, S], means over the last quarter of the log points."""
    return np.nanmean(curves[..., -max(1, curves.shape[-1] // 4) :], axis=-1)


def scores(result: dict[str, np.ndarray]) -> dict[str, Score | np.ndarray]:
    """Returns on held-out levels, paired differences, and what the critics explain."""
    names = result["arm"].tolist()
    means = dict(zip(names, result["held_out"].mean(axis=-1), strict=True))
    explained = 1 - 2 * _last(result["critic_loss"]) / _last(result["target_variance"])
    found: dict[str, Score | np.ndarray] = {f"{name}: return": values for name, values in means.items()}
    learned = [name for name in names if name != START]
    for name in learned:
        found[f"{name}, minus start"] = _paired(means[name] - means[START])
    for derivative in ("true derivative", "released derivative"):
        working, frozen = (means[f"critic {kind}, {derivative}"] for kind in ("learns", "frozen"))
        found[f"critic that learns minus frozen, {derivative}"] = _paired(working - frozen)
    for critic in ("critic learns", "critic frozen"):
        true, released = (means[f"{critic}, {kind} derivative"] for kind in ("true", "released"))
        found[f"true derivative minus released, {critic}"] = _paired(true - released)
    for name, values, entropy in zip(names, explained, _last(result["entropy"]), strict=True):
        found[f"{name}: explained variance of the critic"] = Score(values, derived=True)
        found[f"{name}: entropy of agents at the end"] = Score(entropy, derived=True)
    return found


def _paired(values: np.ndarray) -> Score:
    return Score(values, BETTER, derived=True)


def estimate(config: Config) -> dict[str, int]:
    """Members, programs and steps of training."""
    members = len(ARMS) * config.seeds
    return {"members": members, "compilations": 2, "env_steps": members * config.steps * _steps(config)}


def figure(folder: RunFolder) -> list[Path]:
    """Return and entropy of agents of all ages, and loss of the critic, over meta-steps."""
    result = folder.load_result()
    with plots.paper():
        fig, axes = plots.subplots(1, 3, width=3.6)
        labels = {"return": "return in training", "entropy": "entropy", "critic_loss": "loss of the critic"}
        for axis, (name, text) in zip(axes[0], labels.items(), strict=True):
            for i, arm in enumerate(result["arm"].tolist()):
                for s, curve in enumerate(result[name][i]):
                    label = arm if s == 0 else None
                    axis.plot(result["update"], curve, color=f"C{i}", linewidth=1, label=label)
            axis.set(xlabel="meta-step", ylabel=text)
        axes[0][0].legend()
        return plots.save(fig, folder.figures / "critic_matters")
