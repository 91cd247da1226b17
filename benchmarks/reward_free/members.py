"""What it costs that members share a program: horizons x c_beta x seeds together and alone, and a short
horizon in a program made for a long one.

python -m benchmarks.reward_free.members --learner HF-UCRL-RFE++ --rounds 5
python -m benchmarks.reward_free.members --lanes 16 --rounds 5

Together, all members are mapped one after the other by one program, as in lanes of width 1; alone, each runs
in that program compiled for one member of its own horizon. With `--lanes`, seeds of HF-UCRL-RFE++ are
computed side by side, by the schedule of plans for wide lanes, and compared with one seed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.measure import Clock, Entry, compile_ahead, emit
from benchmarks.reward_free.exploration import MODULES
from jaxrl.core.types import Array, Key, PyTree
from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.envs.tabular.mixture_generators import hard_instance
from jaxrl.reward_free import hf
from jaxrl.run.sweep import stack_hypers

HORIZONS, RADII, SEEDS, LONG = (8, 32), (0.1, 0.2), 2, 256
GROUP = "reward-free"
COMMANDS = [
    (
        True,
        ["--learner", "HF-UCRL-RFE++", "--rounds", "5"],
        ["--learner", "HF-UCRL-RFE++", "--episodes", "4", "--rounds", "1"],
    ),
    (
        True,
        ["--learner", "UCRL-RFE", "--rounds", "5"],
        ["--learner", "UCRL-RFE", "--episodes", "4", "--rounds", "1"],
    ),
    (True, ["--lanes", "16", "--rounds", "5"], ["--lanes", "2", "--episodes", "4", "--rounds", "1"]),
]


def program(
    learner: str, largest: int, episodes: int, members: list[tuple[int, float]]
) -> tuple[Callable[[], Any], Clock]:
    """A call that explores from the beginning with members of `(horizon, c_beta)`, and its compile time."""
    module, mixture = MODULES[learner], hard_instance(4, 1000)
    algorithm = module.make(module.Config(largest, episodes), LinearMixture.of(mixture))
    bound = float(jnp.linalg.norm(mixture.theta))
    hypers = stack_hypers([module.Hyper(horizon=H, c_beta=c, bound=bound) for H, c in members], SEEDS)
    keys = jax.vmap(jax.random.key)(jnp.arange(len(members) * SEEDS) % SEEDS)
    states = jax.jit(jax.vmap(lambda key, hyper: algorithm.init(key, hyper, mixture)))(keys, hypers)

    def member(given: tuple[PyTree, PyTree]) -> PyTree:
        return algorithm.step(*given, mixture)[0]

    run, compiling = compile_ahead(lambda *given: jax.lax.map(member, given), states, hypers)
    return lambda: run(states, hypers), compiling


def side_by_side(lanes: int, episodes: int, rounds: int) -> list[Entry]:
    """CPU-seconds of so many seeds of HF-UCRL-RFE++ in one lane over those of one seed, in turns."""
    with jax.enable_x64(True):
        mixture = hard_instance(4, 1000)
        algorithm = hf.make(hf.Config(8, episodes, replan="geometric"), LinearMixture.of(mixture))
        hyper = hf.Hyper(horizon=8, bound=float(jnp.linalg.norm(mixture.theta)))

        def run(keys: Array) -> Array:
            """The certificates of seeds."""

            def member(key: Key) -> Array:
                state = algorithm.init(key, hyper, mixture)
                return algorithm.step(state, hyper, mixture)[0].certificate

            return jax.vmap(member)(keys)

        many = jax.vmap(jax.random.key)(jnp.arange(lanes))
        (wide, _), (one, _) = compile_ahead(run, many), compile_ahead(run, many[:1])
        np.testing.assert_allclose(wide(many)[:1], one(many[:1]), rtol=1e-9)
        ratios = [seconds(lambda: wide(many)) / seconds(lambda: one(many[:1])) for _ in range(rounds)]
    return [
        Entry.of(
            GROUP,
            f"HF-UCRL-RFE++, hard instance with d = 4: {lanes} seeds in one lane / one seed",
            ratios,
            "ratio",
            settings=f"H = 8, {episodes} episodes, geometric schedule, float64; equal to 1e-9 first",
            ceiling=lanes / 2,
        )
    ]


def seconds(call: Callable[[], Any]) -> float:
    """CPU-seconds of one call."""
    with Clock() as clock:
        jax.block_until_ready(call())
    return clock.cpu


def compare(learner: str, episodes: int, rounds: int) -> list[Entry]:
    """Ratios of CPU-seconds, in turns: together over the sum of alone, and a short horizon by size."""
    with jax.enable_x64(True):
        members = [(H, c) for H in HORIZONS for c in RADII]
        together, compiling = program(learner, max(HORIZONS), episodes, members)
        alone = [program(learner, H, episodes, [(H, c)])[0] for H, c in members]
        sized = [program(learner, size, 16 * episodes, [(8, 0.2)])[0] for size in (LONG, 8)]
        for call in (together, *alone, *sized):
            jax.block_until_ready(call())
        shares, short = [], []
        for _ in range(rounds):
            shares.append(seconds(together) / sum(seconds(call) for call in alone))
            short.append(seconds(sized[0]) / seconds(sized[1]))
    count = len(members) * SEEDS
    text = f"{count} members, H = 8 and 32, c_beta = 0.1 and 0.2, {episodes} episodes, float64"
    name = f"{learner}, hard instance with d = 4"
    compiled = f"for {count} members"
    return [
        Entry.of(GROUP, f"{name}: compile", [compiling.cpu], "CPU-s", settings=compiled),
        Entry.of(GROUP, f"{name}: together / alone", shares, "ratio", settings=text, ceiling=1.1),
        Entry.of(
            GROUP,
            f"{name}: H = 8 in a program for {LONG} / for 8",
            short,
            "ratio",
            settings=f"{SEEDS} seeds, {16 * episodes} episodes, float64",
            ceiling=1.2,
        ),
    ]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--learner", choices=tuple(MODULES), default="HF-UCRL-RFE++")
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lanes", type=int, default=0, help="seeds side by side, in place of the comparison")
    args = parser.parse_args(argv)
    found = side_by_side(args.lanes, args.episodes, args.rounds) if args.lanes else None
    emit(found or compare(args.learner, args.episodes, args.rounds))


if __name__ == "__main__":
    main()
