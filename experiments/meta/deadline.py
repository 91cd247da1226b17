"""Rules of the zoo before a deadline: told the truth, told another horizon, or stopped half-way.

Every rule lives through the same fresh lifetimes in five situations. Where nothing that it is told changes
its return beyond the interval, it is said not to use the horizon, as far as these lifetimes show. A learner
that diverged counts as the lowest return of all. The figures come with one self-contained page, on which
sliders for n/N and for the horizon told move the slopes of r A - f. `--files my.npz` adds rules of one's own.

Legend: `R` rules, `S` situations, `n` lifetimes, `T` horizons told, `K` different slopes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import jax
import numpy as np

from experiments.meta import deadline_page
from experiments.meta.deadline_page import Interval
from experiments.meta.returns import diverged_as_lowest
from jaxrl.baselines import ppo
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Seed, Size, check_fields
from jaxrl.core.prng import stream
from jaxrl.envs import catalogue
from jaxrl.meta import zoo
from jaxrl.meta.certificates import grid
from jaxrl.meta.evaluation import LEARNERS, TOGETHER, evaluate_objective
from jaxrl.meta.lifetimes import draw_tasks
from jaxrl.meta.zoo import Entry
from jaxrl.report import plots, statistics
from jaxrl.report.tables import Score
from jaxrl.run.config import config_from_dict
from jaxrl.run.folder import RunFolder

RATIOS = np.sort(np.append(np.exp(np.linspace(np.log(0.5), np.log(2.0), 81)), (1.1, 1.3, 1.5)))
ADVANTAGES = (2.0, 1.0, -1.0, -2.0)
TOLD = {"N/8": 0.125, "N/4": 0.25, "N/2": 0.5, "N": 1.0, "2N": 2.0, "4N": 4.0, "8N": 8.0}
"""Horizons of the page that a rule can be told, in units of N."""
SITUATIONS = {  # updates done, and horizon told, in units of N
    "told the truth": (1.0, 1.0),
    "told N/4": (1.0, 0.25),
    "told 4N": (1.0, 4.0),
    "stopped at N/2": (0.5, 1.0),
    "N/2 updates, told N/2": (0.5, 0.5),
}
RULES = (
    "ppo",
    "dpo",
    "lpo_cartpole",
    "lpo_from_ppo_cartpole",
    "scheduled_ppo_cartpole",
    "ta_lpo_cartpole",
    "ta_lpo_from_ppo_cartpole",
)
"""Rules made by hand and networks; their closed forms lose nothing that 48 lifetimes show."""
AGAINST = {
    "told N/4": "told the truth",
    "told 4N": "told the truth",
    "stopped at N/2": "N/2 updates, told N/2",
}
"""What a situation is compared with, lifetime by lifetime."""


@dataclass(frozen=True)
class Config:
    """Rules, environment and lifetimes."""

    rules: tuple[str, ...] = ()
    """Names of rules of the zoo, () for all of them."""
    files: tuple[str, ...] = ()
    """Paths of rules of one's own, each a pair name.json and name.npz that `jaxrl.meta.zoo.save` wrote; the
    path of either will do."""
    environment: str = "CartPole"
    """Environment by its name in the catalogue."""
    horizon: Size = 40
    """Horizon N in updates, a multiple of 8."""
    learner: ppo.Config = field(default_factory=lambda: LEARNERS["drift"][0])
    """Static choices of the learner inside."""
    hyper: ppo.Hyper = field(default_factory=lambda: LEARNERS["drift"][1])
    """Hyper-parameters of the learner inside."""
    lifetimes: Size = 64
    """Fresh lifetimes of every rule and situation, a multiple of 32 where there are more."""
    episodes: Size = 8
    """Episodes that measure the last policy of a lifetime, actions sampled."""
    seed: Seed = 0
    """Root seed, in [0, 2^32)."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.horizon % 8:
            raise UsageError(f"Config.horizon: must be a multiple of 8, for N/8 is told, got {self.horizon}")
        if self.lifetimes > TOGETHER and self.lifetimes % TOGETHER:
            raise UsageError(
                f"Config.lifetimes: must be a multiple of {TOGETHER} beyond it, got {self.lifetimes}"
            )


PRESETS = {
    "smoke": Config(
        ("ppo", "ta_lpo_cartpole"),
        horizon=8,
        learner=ppo.Config(n_envs=2, length=8, epochs=2, minibatches=2, widths=()),
        lifetimes=4,
        episodes=2,
    ),
    "quick": Config(RULES),
    "paper": Config(lifetimes=1024),
}
BETTER = "more"


def entries(config: Config) -> list[Entry]:
    """The rules of a configuration.

    Raises:
        UsageError: an unknown name, a file that does not exist, or a name that occurs twice.
        CorruptInput: a file is damaged or does not fit its rule.
    """
    found = [zoo.load(name, "drift") for name in config.rules or zoo.names(slot="drift")]
    found += [zoo.read(path) for path in config.files]
    names = [entry.name for entry in found]
    if len(set(names)) < len(names):
        raise UsageError(f"Config.files: every name must occur once, got {', '.join(names)}; rename files")
    return found


def run(config: Config, folder: RunFolder) -> None:
    """Saves `returns [R, S, n]`, `rule [R]`, `slope [K, A, r]`, and `slice [R, T, N]`, the entry of `slope`
    at every horizon told and update.
    """
    rules, env = entries(config), catalogue.make(config.environment)
    tasks = draw_tasks(env, 1, 1)(stream(jax.random.key(config.seed), 0), config.lifetimes)
    N = config.horizon

    def lived(entry: Entry, done: float, told: float) -> np.ndarray:
        return evaluate_objective(
            entry,
            env,
            N,
            stopped=round(done * N),
            told=told * N,
            tasks=tasks,
            learner=config.learner,
            hyper=config.hyper,
            episodes=config.episodes,
            together=TOGETHER,
        )

    slopes = np.array([_slopes(entry, N) for entry in rules])
    every = np.round(slopes, 3).reshape(-1, len(ADVANTAGES) * len(RATIOS))
    different, index = np.unique(every, axis=0, return_inverse=True)
    folder.save_result(
        rule=np.array([entry.name for entry in rules]),
        returns=np.array([[lived(entry, *s) for s in SITUATIONS.values()] for entry in rules]),
        slope=different.reshape(-1, len(ADVANTAGES), len(RATIOS)).astype(np.float32),
        slice=index.reshape(len(rules), len(TOLD), N).astype(np.int32),
    )


def _slopes(entry: Entry, N: int) -> np.ndarray:
    """float[T, N, A, r] of d/dr (r A - f), at the progress that the rule sees, which ends at 1."""
    found = []
    for factor in TOLD.values():
        told = factor * N
        progress = tuple(min(n, told) / told for n in range(N))
        shown = grid(
            entry.objective,
            entry.phi,
            horizon=told,
            progress=progress,
            ratios=RATIOS,
            advantages=np.array(ADVANTAGES),
        )
        found.append(np.swapaxes(shown.slope, 1, 2))
    return np.array(found)


def estimate(config: Config) -> dict[str, int]:
    """Rules, programs and environment steps of a run."""
    rules = len(config.rules or zoo.names(slot="drift")) + len(config.files)
    updates = sum(round(done * config.horizon) for done, _ in SITUATIONS.values())
    steps = config.learner.n_envs * config.learner.length * updates * config.lifetimes
    return {"members": rules, "compilations": 1 if config.rules else 2, "env_steps": rules * steps}


def scores(result: dict[str, np.ndarray]) -> dict[str, Score | np.ndarray]:
    """Whether the return changes when a rule is told another horizon; returns, and paired differences."""
    found: dict[str, Score | np.ndarray] = {}
    (every,) = diverged_as_lowest(result["returns"])
    for name, returns in zip(result["rule"].tolist(), every, strict=True):
        by = dict(zip(SITUATIONS, returns, strict=True))
        label = f"{name}: change beyond the interval when told another horizon (1) or none (0)"
        found[label] = np.array([float(bool(changes(by)))])
        for situation, values in by.items():
            found[f"{name}, {situation}: return"] = _over_lifetimes(values)
        for situation, base in AGAINST.items():
            found[f"{name}, {situation} minus {base}"] = _over_lifetimes(by[situation] - by[base])
    return found


def _over_lifetimes(values: np.ndarray) -> Score:
    return Score(values, BETTER, note=f"{values.size} lifetimes", derived=True)


def interval(values: np.ndarray, level: float = 0.95) -> Interval:
    """Mean and interval over lifetimes."""
    ends = statistics.mean_interval(values[:, None], level)
    return Interval(float(values.mean()), None if ends is None else (float(ends[0]), float(ends[1])))


def changes(by: dict[str, np.ndarray]) -> list[str]:
    """Situations in which being told another horizon changes the return, at 97.5 % each, 95 % for both."""
    found = []
    for situation in ("told N/4", "told 4N"):
        ends = interval(by[situation] - by["told the truth"], 0.975).ends
        if ends is not None and (ends[0] > 0 or ends[1] < 0):
            found.append(situation)
    return found


def verdict(name: str, by: dict[str, np.ndarray]) -> str:
    """Whether a rule uses the horizon, one sentence."""
    truth, lifetimes = by["told the truth"], by["told the truth"].size
    if all(np.array_equal(by[s], truth, equal_nan=True) for s in ("told N/4", "told 4N")):
        return f"{name} does not use the horizon: whatever it is told, every return is the same."
    found = changes(by)
    if not found:
        return (
            f"{name} does not use the horizon, as far as {lifetimes} lifetimes show: told N/4 or 4N, its"
            " return does not differ beyond the interval."
        )
    sizes = [f"{s} by {interval(by[s] - truth).mean:+.3g}" for s in found]
    return f"{name} uses the horizon: its return changes when it is {' and when it is '.join(sizes)}."


def figure(folder: RunFolder) -> list[Path]:
    """Returns by situation, and the page."""
    result, config = folder.load_result(), config_from_dict(Config, folder.config)
    names = result["rule"].tolist()
    with plots.paper():
        fig, axes = plots.subplots(1, len(names), width=2.9, height=2.4)
        (every,) = diverged_as_lowest(result["returns"])
        for ax, name, returns in zip(axes[0], names, every, strict=True):
            plots.seed_dots(ax, list(SITUATIONS), list(returns))
            ax.set(title=name, xlabel="return")
        return [*plots.save(fig, folder.figures / "deadline"), _page(folder, result, config)]


def _page(folder: RunFolder, result: dict[str, np.ndarray], config: Config) -> Path:
    rules = []
    for name, returns, slices in zip(
        result["rule"].tolist(), result["returns"], result["slice"], strict=True
    ):
        by = dict(zip(SITUATIONS, returns.astype(float), strict=True))
        rules.append(deadline_page.Rule(name, slices, [_row(s, by) for s in by], verdict(name, by)))
    lives = result["returns"].shape[-1]
    text = deadline_page.render(
        deadline_page.Deadline(
            "Learned objectives before a deadline",
            f"{config.environment}, {lives} fresh lifetimes of N = {config.horizon} updates.",
            config.horizon,
            [round(factor * config.horizon) for factor in TOLD.values()],
            list(TOLD),
            RATIOS,
            ADVANTAGES,
            result["slope"],
            rules,
        )
    )
    path = folder.figures / "deadline.html"
    path.write_text(text)
    return path


def _row(situation: str, by: dict[str, np.ndarray]) -> deadline_page.Row:
    done, told = SITUATIONS[situation]
    base = AGAINST.get(situation, "")
    shown = next(name for name, factor in TOLD.items() if factor == told) if done == 1 else ""
    change = interval(by[situation] - by[base]) if base else None
    return deadline_page.Row(situation, shown, interval(by[situation]), change, base)
