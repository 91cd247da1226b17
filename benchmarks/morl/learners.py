"""Learners with vector critics, and how the costs of both stages of C-MORL grow with their runs.

    python -m benchmarks.morl.learners vector       critics of three outputs beside PPO with scalar rewards
    python -m benchmarks.morl.learners population   learners of stage 1 as one program, by their number
    python -m benchmarks.morl.learners extension    runs of stage 2 as one program, by their number
    python -m benchmarks.morl.learners round        evaluation, insertion and selection in a round

Minecart with three objectives, networks of 64-64 units, minibatches of 128 steps for 10 epochs as in the
paper; its window of 512 steps stands in the last part, where evaluation is compared with training, and a
quarter of it in the others. What is compared takes turns within every round, and ratios are taken by round.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.learning import describe
from benchmarks.measure import Clock, Entry, compile_ahead, emit
from jaxrl.baselines import ppo
from jaxrl.core.prng import stream, streams
from jaxrl.core.tree import tree_take
from jaxrl.core.types import Array, PyTree
from jaxrl.envs.base import Env
from jaxrl.envs.wrappers.scalarise import scalarise
from jaxrl.morl import archive as archives
from jaxrl.morl import cmorl, extension, learners, scalarised
from jaxrl.morl.metrics import weight_lattice
from jaxrl.morl.tasks import task
from jaxrl.run.population import as_arrays

GROUP = "vector rewards: learners"
M = 3
#: what the design allows: times scalar PPO, times one learner or run by their number, share of a round
VECTOR, LEARNERS, RUNS, SHARE = 1.3, {6: 7.0, 32: 34.0}, {12: 13.0}, 0.1
COMMANDS = [
    (True, ["vector", "--rounds", "3"], ["vector", "--tiny"]),
    (True, ["population", "--rounds", "3"], ["population", "--tiny", "--counts", "2"]),
    (True, ["extension", "--rounds", "3"], ["extension", "--tiny", "--counts", "2"]),
    (True, ["round", "--rounds", "3"], ["round", "--tiny"]),
]


@dataclass(frozen=True)
class Sizes:
    """What all parts share."""

    learner: ppo.Config = field(
        default_factory=lambda: ppo.Config(n_envs=8, length=128, epochs=10, minibatches=8)
    )
    capacity: int = 200
    episodes: int = 5
    limit: int = 500
    selected: int = 4
    updates: int = 1

    @property
    def evaluation(self) -> learners.EvaluationOptions:
        """Episodes with the likeliest actions."""
        return learners.EvaluationOptions("greedy", self.episodes, self.limit)


SIZES = Sizes()
PAPER = Sizes(ppo.Config(n_envs=8, length=512, epochs=10, minibatches=32), updates=2)
TINY = Sizes(ppo.Config(n_envs=2, length=4, epochs=1, minibatches=1, widths=(4,)), 8, 1, 4, 2, 1)


class Side(NamedTuple):
    """One of what is compared: `run(state) -> state`, compiled, its state, and CPU seconds of compiling."""

    run: Callable[[Any], Any]
    state: Any
    compiling: float


def interleaved(sides: dict[Any, Side], rounds: int) -> dict[Any, list[Clock]]:
    """Clocks by name; every side runs once to warm up, then all take turns."""
    states = {name: jax.block_until_ready(side.run(side.state)) for name, side in sides.items()}
    clocks: dict[Any, list[Clock]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            with Clock() as clock:
                states[name] = jax.block_until_ready(side.run(states[name]))
            clocks[name].append(clock)
    return clocks


def environment() -> tuple[Env, PyTree, np.ndarray, float]:
    """Environment, its parameters, reference point float32[m] and discount."""
    found = task("minecart")
    env = found.make()
    return env, env.default_params(), np.asarray(found.reference, np.float32), found.gamma


def ppo_side(config: ppo.Config, env: Env, data: PyTree, hyper: ppo.Hyper) -> Side:
    """One update of PPO."""
    algorithm, hyper = ppo.make(config, env), as_arrays(hyper)
    state = jax.jit(algorithm.init)(jax.random.key(0), hyper, data)
    run, compiling = compile_ahead(lambda s, data: algorithm.step(s, hyper, data)[0], state, data)
    return Side(lambda s: run(s, data), state, compiling.cpu)


def vector(sizes: Sizes, rounds: int) -> list[Entry]:
    """An update with a critic of three outputs, one with scalar rewards, and their ratio."""
    env, data, _, gamma = environment()
    w = np.full(M, 1 / M, np.float32)
    single, hyper = scalarise(env, w), ppo.Hyper(gamma=gamma)
    sides = {
        "vector": ppo_side(sizes.learner, env, data, hyper.replace(w=w)),
        "scalar": ppo_side(sizes.learner, single, single.extend(data), hyper),
    }
    times = {name: [1e3 * c.cpu for c in clocks] for name, clocks in interleaved(sides, rounds).items()}
    ratios = [a / b for a, b in zip(times["vector"], times["scalar"], strict=True)]
    text = describe(sizes.learner)
    return [
        Entry.of(GROUP, f"an update of PPO, {M} objectives", times["vector"], "CPU-ms", settings=text),
        Entry.of(GROUP, "an update of PPO, scalar rewards", times["scalar"], "CPU-ms", settings=text),
        Entry.of(GROUP, f"{M} objectives / scalar", ratios, "ratio", settings="by round", ceiling=VECTOR),
    ]


def population_side(sizes: Sizes, count: int) -> Side:
    """One update of stage 1 with `count` learners: PPO, evaluation, insertion."""
    env, data, reference, gamma = environment()
    lattice = weight_lattice(M, 1 / 8)
    weights = lattice[np.linspace(0, len(lattice) - 1, count).astype(int)].astype(np.float32)
    config = scalarised.Config(sizes.learner, sizes.capacity, sizes.evaluation)
    algorithm = scalarised.make(config, env)
    hyper = as_arrays(scalarised.Hyper(weights, reference, ppo.Hyper(gamma=gamma), gamma))
    state = jax.jit(algorithm.init)(jax.random.key(0), hyper, data)
    run, compiling = compile_ahead(lambda s, data: algorithm.step(s, hyper, data)[0], state, data)
    return Side(lambda s: run(s, data), state, compiling.cpu)


class Extensions(NamedTuple):
    """What runs of stage 2 begin from: `extend` and its arguments, and an archive to select from."""

    extend: Callable[..., Any]
    key: Array
    hyper: cmorl.Hyper
    data: PyTree
    batch: extension.Batch
    runs: extension.Runs


def extensions(sizes: Sizes, count: int) -> Extensions:
    """`count` runs from untrained policies, whose archive is full and has a front of its own."""
    env, data, reference, gamma = environment()
    start, extend = extension.extension(sizes.learner, env, sizes.evaluation, "barrier", sizes.updates)
    extended = jnp.eye(M)[jnp.arange(count) % M]
    hyper = as_arrays(cmorl.Hyper(reference, ppo.Hyper(gamma=gamma, entropy=0.0), gamma))
    fresh = jax.jit(start)(streams(jax.random.key(0), count), hyper, extended, data)
    archive = filled(archives.empty(tree_take(learners.snapshot(fresh), 0), M, sizes.capacity))
    values = learners.Evaluated(jnp.zeros((count, M)), jnp.zeros((count, M)), jnp.ones(count))
    problem = cmorl.Problem(extended, jnp.full((count, M), -1e3), jnp.ones((count, M)))
    number = jnp.arange(count, dtype=jnp.int32)
    batch = extension.Batch(problem, jnp.ones(count, bool), number // M, number % M, jnp.zeros_like(number))
    runs = extension.Runs(fresh, values, archive)
    return Extensions(extend, jax.random.key(1), hyper, data, batch, runs)


def filled(archive: archives.Archive) -> archives.Archive:
    """An archive whose every slot holds a member of one front, so that nothing is cheap for being empty."""
    count, m = archive.entries.returns.shape
    points = np.abs(np.random.default_rng(0).normal(size=(count, m))).astype(np.float32)
    returns = jnp.asarray(points / np.linalg.norm(points, axis=-1, keepdims=True))
    entries = archive.entries.replace(returns=returns, undiscounted=returns)
    return archive.replace(entries=entries, valid=jnp.ones(count, bool))


def extension_side(sizes: Sizes, count: int) -> Side:
    """`sizes.updates` updates of `count` runs: PPO under constraints, evaluation, insertion."""
    own = extensions(sizes, count)

    def several(runs: extension.Runs, data: PyTree) -> extension.Runs:
        return own.extend(own.key, own.hyper, data, own.batch, runs)[0]

    run, compiling = compile_ahead(several, own.runs, own.data)
    return Side(lambda runs: run(runs, own.data), own.runs, compiling.cpu)


def growth(what: str, sides: dict[int, Side], aims: dict[int, float], text: str, rounds: int) -> list[Entry]:
    """CPU milliseconds by the number of runs, and how many times those of one run they are."""
    clocks = interleaved(sides, rounds)
    times = {count: [1e3 * c.cpu for c in own] for count, own in clocks.items()}
    entries = []
    for count, side in sides.items():
        name, settings = f"{what} {count}", f"{text}; one program, compiled in {side.compiling:.1f} CPU-s"
        entries.append(Entry.of(GROUP, name, times[count], "CPU-ms", settings=settings))
    for count in list(sides)[1:]:
        ratios = [a / b for a, b in zip(times[count], times[1], strict=True)]
        entries.append(
            Entry.of(
                GROUP,
                f"{what} {count} / {what} 1",
                ratios,
                "ratio",
                settings="by round",
                ceiling=aims.get(count),
            )
        )
    return entries


def parts_of_round(sizes: Sizes, rounds: int) -> list[Entry]:
    """A whole round of the extension, and what its evaluation, insertion and selection take of it."""
    env, data, _, gamma = environment()
    config = cmorl.Config(sizes.learner, sizes.evaluation, sizes.selected, sizes.updates, rounds=2)
    algorithm, count = cmorl.make(config, env), sizes.selected * M
    own = extensions(sizes, count)
    given = cmorl.Data(data, own.runs.archive)
    state = jax.jit(algorithm.init)(jax.random.key(0), own.hyper, given)
    evaluate = learners.evaluator(sizes.learner, env, sizes.evaluation)

    def whole(state: cmorl.State, given: cmorl.Data) -> cmorl.State:
        return algorithm.step(state, own.hyper, given)[0]

    def evaluation(key: Array, policies: PyTree, data: PyTree) -> tuple[Array, PyTree]:
        values = jax.vmap(evaluate, (0, 0, None, None))(streams(key, count), policies, data, gamma)
        return stream(key, 0), values

    def insertion(archive: archives.Archive, new: archives.Entries) -> archives.Archive:
        return archives.insert(archive, new, own.hyper.reference, own.batch.live)

    def selection(state: cmorl.State) -> tuple[Array, Array]:
        return cmorl.selected(config, state, state.key)

    policies = learners.snapshot(own.runs.learners)
    new = tree_take(own.runs.archive.entries, jnp.arange(count) % sizes.capacity).replace(policy=policies)
    runs = {
        "round": compile_ahead(whole, state, given)[0],
        "evaluation": compile_ahead(evaluation, own.key, policies, data)[0],
        "insertion": compile_ahead(insertion, own.runs.archive, new)[0],
        "selection": compile_ahead(selection, state)[0],
    }
    sides = {
        "round": Side(lambda s: runs["round"](s, given), state, 0.0),
        "evaluation": Side(lambda s: runs["evaluation"](s[0], policies, data), (own.key, None), 0.0),
        "insertion": Side(lambda s: runs["insertion"](s, new), own.runs.archive, 0.0),
        "selection": Side(lambda _: runs["selection"](state), None, 0.0),
    }
    times = {name: [1e3 * c.cpu for c in clocks] for name, clocks in interleaved(sides, rounds).items()}
    often = {"evaluation": sizes.updates, "insertion": sizes.updates, "selection": 1}
    together = [
        sum(n * times[name][i] for name, n in often.items()) / times["round"][i] for i in range(rounds)
    ]
    text = f"{sizes.selected} members, {count} runs, {sizes.updates} updates; {describe(sizes.learner)}"
    return [
        Entry.of(GROUP, "a round", times["round"], "CPU-ms", settings=text),
        *(
            Entry.of(GROUP, f"one {name}", times[name], "CPU-ms", settings=f"{n} in a round")
            for name, n in often.items()
        ),
        Entry.of(
            GROUP, "evaluation, insertion and selection / a round", together, "ratio", ceiling=SHARE,
            settings=f"{sizes.episodes} episodes of {sizes.limit} steps, archive of {sizes.capacity}",
        ),
    ]  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("part", choices=("vector", "population", "extension", "round"))
    parser.add_argument("--counts", type=int, nargs="+", help="numbers of learners or runs besides one")
    parser.add_argument("--tiny", action="store_true", help="sizes that only show that it runs")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    sizes = TINY if args.tiny else PAPER if args.part == "round" else SIZES
    text = f"{describe(sizes.learner)}, {sizes.episodes} episodes"
    if args.part == "vector":
        emit(vector(sizes, args.rounds))
    elif args.part == "population":
        sides = {count: population_side(sizes, count) for count in (1, *(args.counts or LEARNERS))}
        emit(growth("stage 1, M =", sides, LEARNERS, text, args.rounds))
    elif args.part == "extension":
        sides = {count: extension_side(sizes, count) for count in (1, *(args.counts or RUNS))}
        emit(growth("stage 2, runs:", sides, RUNS, f"{text}, {sizes.updates} update", args.rounds))
    else:
        emit(parts_of_round(sizes, args.rounds))


if __name__ == "__main__":
    main()
