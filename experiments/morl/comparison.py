"""Methods for a set of policies on equal transitions: hypervolume, and whether the constraints were kept.

Legend: `S` seeds, `V` methods, `C` members of an archive, `m` objectives, `E` episodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np

from experiments.morl.methods import EXTENSIONS, Budget, Method, Outcome, Task, policy_tables, solve
from experiments.morl.settings import Finite, finite, setting
from experiments.shared.paired import differences
from jaxrl.cli.main import experiment_main
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Seed, Size, check_fields
from jaxrl.core.prng import stream, streams
from jaxrl.core.tree import tree_take
from jaxrl.core.types import Array, Key, Policy, PyTree
from jaxrl.morl import archive as archives
from jaxrl.morl.hypervolume import hypervolume
from jaxrl.morl.learners import exact_values
from jaxrl.morl.metrics import attainment, certified_hypervolume, weight_lattice
from jaxrl.morl.tasks import task as task_record
from jaxrl.report import plots, statistics
from jaxrl.report.tables import Score
from jaxrl.rollout.evaluate import evaluate
from jaxrl.run.folder import RunFolder, atomic_write
from jaxrl.run.sweep import member_keys
from theory.exact.improvement import improved_returns

BASE = "barrier"
SHARES = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Config:
    """Methods, tasks, seeds, and the budget that every method spends."""

    tasks: tuple[str, ...] = ("dst-concave", "dst-convex-episodes")
    """Names of task records that have a setting and two objectives, one or more."""
    methods: tuple[Method, ...] = get_args(Method)
    """Methods, "barrier" among them: the others are compared with it."""
    seeds: Size = 3
    """Members per task and method; member i depends on the root seed and on i alone."""
    seed: Seed = 0
    """The root seed, in [0, 2^32)."""
    n_envs: Size = 16
    """Environments per learner."""
    initial: Size = 120
    """Updates of stage 1. With `rounds` it sets the number of transitions of every method."""
    rounds: Size = 3
    """Rounds of stage 2."""
    updates: Size = 20
    """Updates of every run in a round, of a generation, and between two exchanges."""
    capacity: Size = 128
    """Members of an archive. Paper: 200."""
    episodes: Size = 64
    """Fresh episodes per member of the final archive, where a task is evaluated by sampled episodes."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.tasks:
            raise UsageError("Config.tasks: must hold at least one name")
        if BASE not in self.methods:
            raise UsageError(f'Config.methods: must hold "{BASE}", with which the others are compared')
        for name in self.tasks:
            one = setting(name)
            if len(one.objectives) != 2:
                raise UsageError(f"Config.tasks: {name} has {len(one.objectives)} objectives, need 2")
            self.budget().check(one)

    def budget(self) -> Budget:
        """What every method spends."""
        return Budget(self.initial, self.rounds, self.updates, self.n_envs, self.capacity)


PRESETS = {
    "smoke": Config(
        ("dst-convex-episodes",),
        ("barrier", "scalarised"),
        seeds=1,
        n_envs=4,
        initial=8,
        rounds=1,
        updates=3,
        capacity=16,
        episodes=8,
    ),
    "quick": Config(),
    "concave": Config(("dst-concave",), initial=40),
    "paper": Config(
        ("dst-concave", "dst-convex", "dst-convex-episodes", "dst-mirrored"),
        seeds=5,
        n_envs=64,
        initial=200,
        rounds=6,
        capacity=512,
        episodes=256,
    ),
}
BETTER = "more"


def run(config: Config, folder: RunFolder) -> None:
    """Trains every method on every task, and writes `comparison.md` beside the result.

    Per task i: `returns_i [V, S, C, 2]`, members as their archive holds them, zeros where `valid_i` is False;
    `volume_i [V, S]`, their hypervolume; `exact_i`, that of their exact values; `fresh_i` and `certified_i`,
    on fresh episodes, NaN where values are exact anyway; `feasible_i`, `gain_i [V, S, rounds]`, NaN without
    rounds; `support_i`, hypervolume of linear support with generalised policy improvement on the tables.
    """
    arrays: dict[str, Any] = {"task": list(config.tasks), "method": list(config.methods)}
    for i, name in enumerate(config.tasks):
        task = Task(name, setting(name), finite(name), config.budget(), config.seed, config.seeds, folder)
        outcomes = solve(task, config.methods)
        measured = [_measures(config, task, method, outcome) for method, outcome in outcomes.items()]
        arrays |= {f"{key}_{i}": np.stack([x[key] for x in measured]) for key in measured[0]}
        arrays[f"support_{i}"] = _support(task.found)
    folder.save_result(**arrays)
    if folder.writes:
        steps = [_transitions(config, name) for name in config.tasks]
        atomic_write(folder.path / "comparison.md", text(folder.load_result(), steps))


def estimate(config: Config) -> dict[str, int]:
    """Members are scores; environment steps of all methods."""
    extensions = sum(method in EXTENSIONS for method in config.methods)
    sampled = sum(task_record(name).evaluation == "sampled" for name in config.tasks)
    methods, tasks = len(config.methods), len(config.tasks)
    scored = tasks * (2 * methods + 2 * extensions) + sampled * 2 * methods
    steps = sum(_transitions(config, name) for name in config.tasks) * config.seeds * methods
    return {"members": scored * config.seeds, "env_steps": steps}


def _transitions(config: Config, name: str) -> int:
    """Transitions of one method and seed."""
    one = setting(name)
    return config.budget().learner_updates(one) * config.n_envs * one.length


def _support(found: Finite) -> float:
    """Hypervolume of improved policies for a lattice of preferences; no transitions, the tables are known."""
    points = improved_returns(found.exact, None, weight_lattice(2, 0.1))
    return hypervolume(points, found.task.reference).value


def _measures(config: Config, task: Task, method: str, outcome: Outcome) -> dict[str, np.ndarray]:
    """What one method leaves on one task, with a leading axis of seeds."""
    found, z = task.found, task.found.task.reference
    sampled = found.task.evaluation == "sampled"

    @jax.jit
    def values(key: Key, archive: archives.Archive, mdp: PyTree) -> tuple[Array, Array]:
        """Exact returns [C, 2] and returns of fresh episodes [C, E, 2] of all slots."""
        tables = policy_tables(task, method, archive.entries.policy)
        exact = jax.vmap(lambda pi: exact_values(mdp, pi, jnp.float32(found.task.gamma)).returns)(tables)
        if not sampled:
            return exact, jnp.zeros((config.capacity, 1, 2))

        def episodes(key: Key, pi: Array) -> Array:
            def act(key: Key, obs: PyTree, memory: PyTree) -> tuple[Array, tuple[()], PyTree]:
                return jax.random.categorical(key, jnp.log(pi[obs])), (), memory

            return evaluate(
                found.env,
                Policy(act),
                key,
                mdp,
                episodes=config.episodes,
                limit=found.task.horizon,
                gamma=found.task.gamma,
            ).discounted

        return exact, jax.vmap(episodes)(streams(key, config.capacity), tables)

    rows: dict[str, list[Any]] = {
        n: [] for n in ("returns", "valid", "volume", "exact", "fresh", "certified")
    }
    for s in range(config.seeds):
        archive = tree_take(outcome.archive, s)
        # no stage of training has used this entry of the stream
        key = stream(member_keys(config.seed, config.seeds)[s], 7)
        exact, fresh = (np.asarray(x, np.float64) for x in values(key, archive, found.mdp))
        valid = np.asarray(archive.valid)
        own = np.where(valid[:, None], np.asarray(archive.entries.returns, np.float64), 0)
        sure = certified_hypervolume(fresh[valid], z) if sampled else None
        rows["returns"].append(own.astype(np.float32))
        rows["valid"].append(valid)
        rows["volume"].append(hypervolume(own[valid], z).value)
        rows["exact"].append(hypervolume(exact[valid], z).value)
        rows["fresh"].append(sure.sampled if sure else np.nan)
        rows["certified"].append(sure.value if sure else np.nan)
    return {n: np.array(x) for n, x in rows.items()} | {"feasible": outcome.feasible, "gain": outcome.gain}


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray | Score]:
    """Per method and seed: hypervolumes, and of extensions the feasible share and the gain of objective l.

    Against the barrier, seed by seed: differences of the exact hypervolume, their lower end, and P(X > Y).
    """
    found: dict[str, np.ndarray | Score] = {}
    methods = result["method"].tolist()
    for i, name in enumerate(result["task"].tolist()):
        base = result[f"exact_{i}"][methods.index(BASE)]
        for v, method in enumerate(methods):
            what = f"{name}: {method}"
            found[f"{what}, hypervolume"] = result[f"volume_{i}"][v]
            found[f"{what}, exact"] = result[f"exact_{i}"][v]
            if np.isfinite(result[f"fresh_{i}"][v]).all():
                found[f"{what}, fresh episodes"] = result[f"fresh_{i}"][v]
                found[f"{what}, certified"] = result[f"certified_{i}"][v]
            if np.isfinite(result[f"feasible_{i}"][v]).any():
                found[f"{what}, feasible"] = result[f"feasible_{i}"][v].mean(-1)
                found[f"{what}, gain"] = result[f"gain_{i}"][v].mean(-1)
            if method != BASE:
                own = result[f"exact_{i}"][v]
                found |= differences(f"{name}: {method} - {BASE}", "exact", own, base)
                chance = statistics.probability_of_improvement(own[:, None], base[:, None])
                found[f"{name}: P({method} > {BASE})"] = Score(
                    np.array([float(chance)]), "more", note=f"{len(own)} x {len(own)} pairs", derived=True
                )
        note = "of the tables, no transitions"
        value = np.array([float(result[f"support_{i}"])])
        found[f"{name}: linear support, exact"] = Score(value, "more", note=note, derived=True)
    return found


def text(result: dict[str, np.ndarray], transitions: list[int]) -> str:
    """The comparison as Markdown tables; `transitions` per method and seed, one number per task."""
    head = ("method", "selection", "fresh", "certified", "exact", "feasible", "gain of l")
    head = (*head, f"exact - {BASE} [95 %]", f"P(> {BASE})")
    lines: list[str] = []
    methods = result["method"].tolist()
    for i, name in enumerate(result["task"].tolist()):
        seeds = result[f"exact_{i}"].shape[1]
        lines += [f"{name}: {seeds} seeds, {transitions[i]} transitions per method and seed", ""]
        lines += [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
        base = result[f"exact_{i}"][methods.index(BASE)]
        for v, method in enumerate(methods):
            own = result[f"exact_{i}"][v]
            volumes = [result[f"{n}_{i}"][v] for n in ("volume", "fresh", "certified", "exact")]
            kept = "no constraint" if method not in EXTENSIONS else _mean(result[f"feasible_{i}"][v], ".3f")
            gain = "-" if method not in EXTENSIONS else _mean(result[f"gain_{i}"][v], ".2f")
            cells = [method, *(_mean(x, ".1f") for x in volumes), kept, gain]
            lines.append(f"| {' | '.join([*cells, *_against(own, base, method == BASE)])} |")
        exact = f"{float(result[f'support_{i}']):.1f}"
        lines += [f"| linear support (tables known) | - | - | - | {exact} | no constraint | - | - | - |", ""]
    return "\n".join(lines)


def _mean(x: np.ndarray, form: str) -> str:
    return "-" if not np.isfinite(x).any() else format(float(np.nanmean(x)), form)


def _against(own: np.ndarray, base: np.ndarray, same: bool) -> tuple[str, str]:
    """Mean paired difference with its interval, and P(X > Y)."""
    if same:
        return "-", "-"
    difference = own - base
    interval = statistics.mean_interval(difference[:, None])
    shown = "" if interval is None else f" [{float(interval[0]):.1f}, {float(interval[1]):.1f}]"
    chance = float(statistics.probability_of_improvement(own[:, None], base[:, None]))
    return f"{difference.mean():.1f}{shown}", f"{chance:.2f}"


def figure(folder: RunFolder) -> list[Path]:
    """Attainment surfaces of every method, hypervolume, and feasibility and gain by round, task by task."""
    result = folder.load_result()
    tasks, methods = result["task"].tolist(), result["method"].tolist()
    with plots.paper():
        surfaces, axes = plots.subplots(len(tasks), len(methods), width=2.2, height=2.4)
        for i, name in enumerate(tasks):
            for v, method in enumerate(methods):
                _surfaces(axes[i, v], result, i, v)
                axes[i, v].set_title(f"{name}\n{method}", fontsize=7)
        paths = plots.save(surfaces, folder.figures / "attainment")
        rounds, axes = plots.subplots(len(tasks), 3, width=4.2, height=3.0)
        for i, name in enumerate(tasks):
            _volumes(axes[i, 0], result, i, name, methods)
            for ax, what, label in (
                (axes[i, 1], "feasible", "feasible share, mean of seeds"),
                (axes[i, 2], "gain", "gain of objective l, mean of seeds"),
            ):
                for v, method in enumerate(m for m in methods if m in EXTENSIONS):
                    y = result[f"{what}_{i}"][methods.index(method)].mean(0)
                    color = plots.PALETTE[v % len(plots.PALETTE)]
                    ax.plot(np.arange(1, len(y) + 1), y, "o-", color=color, markersize=3, label=method)
                ax.set(title=name, xlabel="round", ylabel=label)
                ax.xaxis.get_major_locator().set_params(integer=True)
                ax.legend(fontsize=6)
        return [*paths, *plots.save(rounds, folder.figures / "comparison")]


def _surfaces(ax: Any, result: dict[str, np.ndarray], i: int, v: int) -> None:
    """25, 50 and 75 % attainment surfaces of one method."""
    fronts = [x[on] for x, on in zip(result[f"returns_{i}"][v], result[f"valid_{i}"][v], strict=True)]
    place = np.linspace(0, max(float(x[:, 0].max(initial=0)) for x in fronts), 200)
    for share, style in zip(SHARES, (":", "-", "--"), strict=True):
        surface = attainment(fronts, share, place)
        shown = np.where(np.isfinite(surface), surface, np.nan)
        ax.plot(place, shown, style, color="black", linewidth=0.8, label=f"{share:.0%}")
    ax.legend(fontsize=5)


def _volumes(ax: Any, result: dict[str, np.ndarray], i: int, name: str, methods: list[str]) -> None:
    """Exact hypervolume of every seed, beside what was selected by."""
    for v in range(len(methods)):
        ax.plot(result[f"volume_{i}"][v], np.full(result[f"volume_{i}"].shape[1], v), "x", color=plots.GREY)
        ax.plot(result[f"exact_{i}"][v], np.full(result[f"exact_{i}"].shape[1], v), "o", color="black")
    ax.set_yticks(range(len(methods)), methods, fontsize=7)
    ax.set(title=name, xlabel="hypervolume: exact (o), as archived (x)")


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
