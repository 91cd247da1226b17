"""Every rule of the zoo on a fixed list of environments and horizons, beside PPO with its best constant clip.

All rules live through the same fresh lifetimes: no rule was trained or chosen on them. The clip of PPO is
chosen anew for each environment and horizon, on as many other lifetimes, so that it is judged as fairly as
the rules that it is compared with. CartPole at N = 40 is where the learned rules of the zoo were trained; all
else is unseen. `--files my.npz` adds rules of one's own, as `jaxrl.meta.zoo.save` writes them.

The unit is a fresh lifetime: rows are about these objectives, and not about the methods that found them. A
learner that diverged counts as the lowest return of its environment.

Legend: `E` environments, `R` rules, `H` horizons, `C` clips, `n` lifetimes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import jax
import numpy as np

from experiments.meta.returns import diverged_as_lowest
from jaxrl.baselines import ppo
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Count, Positive, Seed, Size, check_fields
from jaxrl.core.prng import stream
from jaxrl.envs import catalogue
from jaxrl.meta import drift, zoo
from jaxrl.meta.certificates import certificate
from jaxrl.meta.evaluation import LEARNERS, evaluate_objective
from jaxrl.meta.lifetimes import draw_tasks
from jaxrl.meta.zoo import Entry
from jaxrl.report import plots, statistics
from jaxrl.report.tables import Score
from jaxrl.run.folder import RunFolder

EnvironmentName = Literal[
    "CartPole",
    "Acrobot",
    "DelayedChain-noisy",
    "MountainCar",
    "Pendulum",
    "GridWorld-small",
    "Breakout",
]
HORIZON: dict[EnvironmentName, int] = {
    "CartPole": 40,
    "Acrobot": 20,
    "DelayedChain-noisy": 16,
    "MountainCar": 160,
    "Pendulum": 160,
    "GridWorld-small": 40,
    "Breakout": 160,
}
"""The horizon N of each environment, in updates."""
FACTS = ("least f", "dead zone", "certified dead zone", "slope of the rollback", "change over the lifetime")
ROUNDS = 3  # of timed lifetimes
CLIPS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.5, 3.0)  # with the last one a ratio up to 4 is followed


@dataclass(frozen=True)
class Config:
    """What is compared, where, and for how long."""

    environments: tuple[EnvironmentName, ...] = ("CartPole", "Acrobot", "DelayedChain-noisy")
    """Environments of the board, by their names in the catalogue."""
    rules: tuple[str, ...] = ()
    """Names of drifts of the zoo; () for all of them."""
    files: tuple[str, ...] = ()
    """Paths of rules of one's own, each a pair name.json and name.npz that `jaxrl.meta.zoo.save` wrote; the
    path of either will do."""
    factors: tuple[Positive, ...] = (0.125, 0.5, 1.0, 2.0)
    """Horizons in units of the environment's own, `HORIZON`."""
    learner: ppo.Config = field(default_factory=lambda: LEARNERS["drift"][0])
    """Static choices of the learner inside, the same for every rule and environment."""
    hyper: ppo.Hyper = field(default_factory=lambda: LEARNERS["drift"][1])
    """Hyper-parameters of the learner inside, the same for every rule and environment."""
    lifetimes: Size = 32
    """Fresh lifetimes of every rule per environment and horizon; the clip is chosen on as many others."""
    episodes: Size = 8
    """Episodes that measure the last policy of a lifetime, actions sampled."""
    together: Size = 32
    """Lifetimes that run in one lane, a divisor of their number where it is smaller."""
    timed: Count = 32
    """Lifetimes whose CPU time is measured, on the first environment at its own horizon; 0 for none."""
    seed: Seed = 0
    """Root seed, in [0, 2^32)."""

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("environments", "factors", "rules", "files"):
            found = getattr(self, name)
            if len(set(found)) < len(found) or (name in ("environments", "factors") and not found):
                raise UsageError(f"Config.{name}: must be at least one, each once, got {found}")
        width = min(self.together, self.lifetimes)
        if self.lifetimes % width:
            raise UsageError(
                f"Config.lifetimes: must be a multiple of Config.together, {width}, got {self.lifetimes}"
            )


PRESETS = {
    "smoke": Config(
        ("CartPole",),
        ("ppo", "ta_lpo_cartpole"),
        factors=(0.125, 0.25),
        learner=ppo.Config(n_envs=2, length=8, epochs=2, minibatches=2, widths=()),
        lifetimes=4,
        episodes=2,
        timed=0,
    ),
    "quick": Config(),
    "long": Config(("CartPole",), factors=(8.0,), timed=0),
    "wide": Config(factors=(0.25, 4.0), timed=0),
    "more": Config(
        ("MountainCar", "Pendulum", "GridWorld-small", "Breakout"),
        factors=(1.0,),
        lifetimes=16,
        together=16,
        timed=0,
    ),
    "paper": Config(tuple(HORIZON), factors=(0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0), lifetimes=256, timed=64),
}
BETTER = "more"


def entries(config: Config) -> list[Entry]:
    """The drifts of the zoo that were asked for, those made by hand first, and those of the files.

    Raises:
        UsageError: an unknown name, one of another slot, a file that does not exist, or has the name of a
            rule of the board.
        CorruptInput: a file is damaged or does not fit its rule.
    """
    found = [zoo.load(name, "drift") for name in _named(config)]
    for path in config.files:
        entry = zoo.read(path)
        if entry.name in [other.name for other in found]:
            raise UsageError(f"Config.files: the name of {path} is taken on the board; rename its files")
        found.append(entry)
    return found


def _named(config: Config) -> list[str]:
    return list(config.rules) or zoo.names(slot="drift")


def clipped(clip: float) -> Entry:
    """PPO with a constant clip."""
    rule = drift.ppo(clip)
    return Entry(f"PPO, clip {clip:g}", rule, rule.init(jax.random.key(0)), {})


def horizons(config: Config, environment: EnvironmentName) -> list[int]:
    """The horizons of an environment, in updates."""
    return [max(1, round(factor * HORIZON[environment])) for factor in config.factors]


def run(config: Config, folder: RunFolder) -> None:
    """Saves `returns [E, R, H, n]` and `reference [E, H, n]` of PPO with its best clip on fresh lifetimes,
    `choice [E, C, H, n]` on the others and `best [E, H]`, the clip; `environment [E]`, `horizon [E, H]`,
    `rule [R]`, `sha256 [R]`, `certificate [R, facts]`, and `cpu_s [R, rounds]` per lifetime.
    """
    rules = entries(config)
    found = [_on_environment(config, rules, name) for name in config.environments]
    returns, reference, choice, best = (np.stack(x) for x in zip(*found, strict=True))
    folder.save_result(
        environment=np.array(config.environments),
        horizon=np.array([horizons(config, name) for name in config.environments]),
        rule=np.array([entry.name for entry in rules]),
        learned=np.array([bool(entry.record) for entry in rules]),
        sha256=np.array([entry.record.get("sha256", "") for entry in rules]),
        returns=returns,
        reference=reference,
        choice=choice,
        best=best,
        certificate=np.array([_facts(entry, HORIZON[config.environments[0]]) for entry in rules]),
        cpu_s=_cost(config, rules),
    )


def _on_environment(
    config: Config, rules: list[Entry], name: EnvironmentName
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns of the rules and of PPO with its best clip, those of the choice, and the clip."""
    env, key = catalogue.make(name), jax.random.key(config.seed)
    fresh, others = (draw_tasks(env, 1, 1)(stream(key, i), config.lifetimes) for i in range(2))

    def lived(entry: Entry, tasks: object) -> np.ndarray:
        settings = {"learner": config.learner, "hyper": config.hyper, "episodes": config.episodes}
        return np.stack(
            [
                evaluate_objective(entry, env, N, tasks=tasks, together=config.together, **settings)
                for N in horizons(config, name)
            ]
        )

    choice = np.stack([lived(clipped(clip), others) for clip in CLIPS])
    (full,) = diverged_as_lowest(choice)
    best = np.array(CLIPS)[full.mean(axis=-1).argmax(axis=0)]
    by_clip = {clip: lived(clipped(clip), fresh) for clip in set(best.tolist())}
    reference = np.stack([by_clip[clip][i] for i, clip in enumerate(best.tolist())])
    return np.stack([lived(entry, fresh) for entry in rules]), reference, choice, best


def _facts(entry: Entry, horizon: int) -> list[float]:
    found = certificate(entry.objective, entry.phi, horizon=float(horizon))
    return [found.least, found.dead_zone, found.certified, found.rollback, found.time]


def _cost(config: Config, rules: list[Entry]) -> np.ndarray:
    """float[R, rounds], CPU seconds per lifetime of each rule in a program of its own size."""
    if not config.timed:
        return np.zeros((len(rules), 0))
    name = config.environments[0]

    def live(entry: Entry) -> float:
        before = time.process_time()
        evaluate_objective(
            entry,
            name,
            HORIZON[name],
            tasks=config.timed,
            seed=config.seed,
            learner=config.learner,
            hyper=config.hyper,
            episodes=config.episodes,
            together=config.timed,
            own_program=True,
        )
        return (time.process_time() - before) / config.timed

    for entry in rules:
        live(entry)  # compiles
    rounds = [[live(entry) for entry in rules] for _ in range(ROUNDS)]  # interleaved
    return np.array(rounds).T


def estimate(config: Config) -> dict[str, int]:
    """Rules, programs and environment steps of a run."""
    rules = len(_named(config)) + len(config.files)
    updates = sum(sum(horizons(config, name)) for name in config.environments)
    lives = (rules + 2 * len(CLIPS)) * config.lifetimes * updates
    return {
        "members": rules,
        "compilations": (1 if config.rules else 2) * len(config.environments) + 6 * bool(config.timed),
        "env_steps": lives * config.learner.n_envs * config.learner.length,
    }


def finite(result: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Returns [E, R, H, n], reference [E, H, n]; the lowest return of its environment for what diverged."""
    pairs = [diverged_as_lowest(x, y) for x, y in zip(result["returns"], result["reference"], strict=True)]
    return np.stack([x for x, _ in pairs]), np.stack([y for _, y in pairs])


def beats(x: np.ndarray, y: np.ndarray) -> Score:
    """The probability that any lifetime of x [n] ends above any of y [n], ties 1/2.

    Its interval treats the two sides as independent.
    """
    pair = x[:, None], y[:, None]
    each = ((pair[0] > y) + 0.5 * (pair[0] == y)).mean(axis=-1)
    interval = statistics.bootstrap_interval(statistics.probability_of_improvement, *pair)
    ends = None if interval is None else (float(interval[0]), float(interval[1]))
    return Score(each, BETTER, ends, note=f"{x.size} x {y.size} lifetimes", derived=True)


def scores(result: dict[str, np.ndarray]) -> dict[str, Score | np.ndarray]:
    """Per rule in how many cells its interval lies above and below PPO with its best clip, its certificate
    and cost; per cell return, paired difference and probability.
    """
    returns, reference = finite(result)
    rules = result["rule"].tolist()
    cells = [(e, h) for e in range(returns.shape[0]) for h in range(returns.shape[2])]
    found: dict[str, Score | np.ndarray] = {}
    for r, rule in enumerate(rules):
        signs = [_sign(returns[e, r, h] - reference[e, h]) for e, h in cells]
        above, below = (np.array([signs.count(k)], float) for k in (1, -1))
        title = f"{rule}: of {len(cells)} cells, those"
        found[f"{title} above PPO with its best clip"] = above
        found[f"{title} below PPO with its best clip"] = Score(below, "less", derived=True)
        for fact, value in zip(FACTS, result["certificate"][r], strict=True):
            found[f"{rule}: {fact}"] = Score(np.array([value]), None, derived=True)
        if result["cpu_s"].shape[1]:
            found[f"{rule}: CPU seconds per lifetime"] = Score(
                result["cpu_s"][r], "less", note=f"{result['cpu_s'].shape[1]} rounds", derived=True
            )
    for e, h in cells:
        cell = f"{result['environment'][e]}, N = {result['horizon'][e, h]}"
        found[f"{cell}: best clip"] = Score(result["best"][e, h][None], None, derived=True)
        found[f"{cell}, PPO with its best clip: return"] = _over_lifetimes(reference[e, h])
        for r, rule in enumerate(rules):
            found[f"{cell}, {rule}: return"] = _over_lifetimes(returns[e, r, h])
            found[f"{cell}, {rule} minus PPO with its best clip"] = _over_lifetimes(
                returns[e, r, h] - reference[e, h]
            )
            found[f"{cell}, {rule}: probability of beating PPO with its best clip"] = beats(
                returns[e, r, h], reference[e, h]
            )
    return found


def _over_lifetimes(values: np.ndarray) -> Score:
    return Score(values, BETTER, note=f"{values.size} lifetimes", derived=True)


def _sign(difference: np.ndarray) -> int:
    """1 or -1 where the 95 % interval of the mean lies above or below 0, else 0."""
    interval = statistics.mean_interval(difference[:, None])
    return 0 if interval is None else int(interval[0] > 0) - int(interval[1] < 0)


def _note(x: np.ndarray, y: np.ndarray) -> str:
    return f"{x.mean():.3g}" + {1: ", above", -1: ", below", 0: ""}[_sign(x - y)]


def figure(folder: RunFolder) -> list[Path]:
    """The board: per environment, rules by horizons, with the probability of beating PPO with its best clip;
    below it the return, and whether the paired difference is above or below 0 beyond its interval.
    """
    result = folder.load_result()
    returns, reference = finite(result)
    rules = result["rule"].tolist()
    with plots.paper():
        E, R, H, _ = returns.shape
        fig, axes = plots.subplots(E, 1, width=3.4 + 1.2 * H, height=1.2 + 0.42 * R)
        for e, ax in enumerate(axes[:, 0]):
            pairs = [list(zip(row, reference[e], strict=True)) for row in returns[e]]
            values = np.array([[beats(x, y).values.mean() for x, y in row] for row in pairs])
            notes = [[_note(x, y) for x, y in row] for row in pairs]
            head = zip(result["horizon"][e], result["best"][e], reference[e].mean(axis=-1), strict=True)
            columns = [f"N = {N}\nclip {clip:g}: {mean:.3g}" for N, clip, mean in head]
            plots.heat_map(ax, values, rules, columns, notes=notes, number="{:.2f}")
            ax.set(title=f"{result['environment'][e]}: probability of beating PPO, and return")
        return plots.save(fig, folder.figures / "board")
