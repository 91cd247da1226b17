"""Lifetimes of learners for targets: lookups against one-hot products, sorted lanes against a padded loop.

python -m benchmarks.meta.lifetimes lookups [--pairs 64 --updates 50]
python -m benchmarks.meta.lifetimes lanes [--pairs 64 --low 10 --high 250 --lane 4]

Both sides do the same lifetimes of a TA-LPG with 32 units on small grid levels, 8 workers of 20 steps. Before
anything is timed their returns are compared. Rounds are interleaved; times are CPU seconds of this process.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.measure import Clock, Entry, emit
from jaxrl.core.tree import tree_where
from jaxrl.core.types import Algorithm, Array, PyTree
from jaxrl.envs.base import Env
from jaxrl.envs.grids.gridworld import GridWorld
from jaxrl.envs.grids.levels import LEVELS
from jaxrl.envs.wrappers.observe_time import observe_time
from jaxrl.meta import lifetimes, lpg, targets
from jaxrl.meta.objective import MASKS
from jaxrl.rollout.evaluate import evaluate

RULE = targets.lpg(8, inputs=("n/N", "ln N"), width=32, bias=False, log_scale=0.25)
CONFIG = lpg.Config(n_envs=8)
EPISODES = 8
GROUP = "meta"
COMMANDS = [
    (True, ["lookups"], ["lookups", "--pairs", "2", "--updates", "2"]),
    (True, ["lanes"], ["lanes", "--pairs", "2", "--low", "2", "--high", "4", "--lane", "1"]),
]


def levels(index: bool) -> Env:
    """Small levels, observed as an index or as a one-hot vector."""
    return observe_time(GridWorld(LEVELS["small"], index=index), scale=0.001)


def phi() -> PyTree:
    """Parameters of the rule that do something: those of a new network."""
    return RULE.init(jax.random.key(0))


def numbers(phi: PyTree, horizon: Array) -> lpg.Hyper:
    """Hyper-parameters of one lifetime."""
    return lpg.told(lpg.Hyper(), phi, horizon, jnp.asarray(MASKS["paper"]))


def plain(env: Env) -> Callable[[PyTree, lifetimes.Task], Array]:
    """`(phi, task) -> return` by a loop to the task's own horizon."""
    run = lifetimes.lifetime(lpg.make(CONFIG, env, RULE), env, episodes=EPISODES)
    return lambda phi, task: run(numbers(phi, task.horizon), *task)


def padded(env: Env, longest: int) -> Callable[[PyTree, lifetimes.Task], Array]:
    """The same by `longest` updates, of which those beyond the task's horizon are discarded."""
    algorithm = lpg.make(CONFIG, env, RULE)

    def run(phi: PyTree, task: lifetimes.Task) -> Array:
        return _padded(algorithm, env, longest, numbers(phi, task.horizon), task)

    return run


def _padded(algorithm: Algorithm, env: Env, longest: int, hyper: lpg.Hyper, task: lifetimes.Task) -> Array:
    k_learn, k_evaluate = jax.random.split(task.key)

    def update(state: Any, i: Array) -> tuple[Any, None]:
        return tree_where(i < task.horizon, algorithm.step(state, hyper, task.level)[0], state), None

    first = algorithm.init(k_learn, hyper, task.level)
    state, _ = jax.lax.scan(update, first, jnp.arange(longest))
    policy = algorithm.act(state, hyper, False)
    return evaluate(env, policy, k_evaluate, task.level, episodes=EPISODES).returns.mean()


def in_pairs(run: Callable[[PyTree, lifetimes.Task], Array], lane: int) -> Callable[..., Array]:
    """float[B, 2], returns of a rule and its mirror image on every task, `lane` pairs together; compiled."""

    def pair(phi: PyTree, task: lifetimes.Task) -> Array:
        both = jax.tree.map(lambda x: jnp.stack([x, -x]), phi)
        return jax.vmap(run, (0, None))(both, task)

    def generation(phi: PyTree, tasks: lifetimes.Task) -> Array:
        return lifetimes.in_lanes(lambda task: pair(phi, task), lane)(tasks)

    return jax.jit(generation)


def compare(
    sides: dict[str, Callable[..., Array]], arguments: dict[str, tuple[Any, ...]], rounds: int
) -> dict[str, list[float]]:
    """CPU seconds of every side and round, after their returns have been found equal to 1e-4."""
    found = {name: np.asarray(side(*arguments[name])) for name, side in sides.items()}
    first, *others = found.values()
    for other in others:
        np.testing.assert_allclose(other, first, atol=1e-4)
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            with Clock() as clock:
                jax.block_until_ready(side(*arguments[name]))
            seconds[name].append(clock.cpu)
    return seconds


def lookups(pairs: int, updates: int, rounds: int) -> dict[str, list[float]]:
    """Lookups and one-hot products on the same levels, all pairs together, one horizon."""
    sides = {
        name: in_pairs(plain(levels(name == "lookups")), pairs) for name in ("lookups", "one-hot products")
    }
    tasks = lifetimes.draw_tasks(levels(True), updates, updates)(jax.random.key(1), pairs)
    return compare(sides, dict.fromkeys(sides, (phi(), tasks)), rounds)


def lanes(pairs: int, low: int, high: int, lane: int, rounds: int) -> dict[str, list[float]]:
    """Sorted lanes, and all pairs together padded to the longest horizon."""
    env = levels(True)
    sides = {"sorted lanes": in_pairs(plain(env), lane), "padded loop": in_pairs(padded(env, high), pairs)}
    tasks = lifetimes.draw_tasks(env, low, high)(jax.random.key(1), pairs)
    saved = pairs * high / lifetimes.work_in_lanes(np.asarray(tasks.horizon), lane)
    print(f"updates of the padded loop over those of the lanes: {saved:.2f}")
    return compare(sides, dict.fromkeys(sides, (phi(), tasks)), rounds)


def summarise(seconds: dict[str, list[float]], settings: str) -> list[Entry]:
    """Entries of both sides, and of the time of the second over that of the first by round."""
    entries = [
        Entry.of(GROUP, f"LPG lifetimes, {name}", values, "CPU-s", settings=settings)
        for name, values in seconds.items()
    ]
    (first, a), (second, b) = seconds.items()
    ratios = [y / x for x, y in zip(a, b, strict=True)]
    name = f"LPG lifetimes, {second} / {first}"
    return [*entries, Entry.of(GROUP, name, ratios, "ratio", settings="by round", floor=2.0)]


def main(argv: list[str] | None = None) -> None:
    """Measures one of the comparisons and writes its entries."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="what", required=True)
    one, two = commands.add_parser("lookups"), commands.add_parser("lanes")
    for each in (one, two):
        each.add_argument("--pairs", type=int, default=64)
        each.add_argument("--rounds", type=int, default=3)
    one.add_argument("--updates", type=int, default=50)
    two.add_argument("--low", type=int, default=10)
    two.add_argument("--high", type=int, default=250)
    two.add_argument("--lane", type=int, default=4)
    args = parser.parse_args(argv)
    if args.what == "lookups":
        settings = f"{args.pairs} pairs, N = {args.updates}"
        emit(summarise(lookups(args.pairs, args.updates, args.rounds), settings))
    else:
        settings = f"{args.pairs} pairs, N in [{args.low}, {args.high}], lanes of {args.lane} pairs"
        emit(summarise(lanes(args.pairs, args.low, args.high, args.lane, args.rounds), settings))


if __name__ == "__main__":
    main()
