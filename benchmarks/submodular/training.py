"""SubPO on a 30 x 30 map: gradient steps per second of one seed and of many, and the time of a whole run.

    python -m benchmarks.submodular.training --seeds 1 20 --rounds 5

A round is `updates` updates of every seed: 500 episodes of 40 visited states and one Adam step each, on the
released network and features. Seeds are mapped one by one or as one batch (`vmap`), over all devices.
"""

from __future__ import annotations

import argparse
import os
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.measure import Entry, compile_ahead, emit, repeat
from jaxrl.core.tree import tree_broadcast
from jaxrl.envs.coverage.coverage_grid import coverage_grid
from jaxrl.run.population import Members, Population, as_arrays
from jaxrl.run.sweep import member_keys
from jaxrl.submodular import subpo
from jaxrl.submodular.features import with_features

#: updates of a whole run in the released settings, and what the design allows it in wall seconds, by seeds
WHOLE, CEILINGS = 140, {1: 10.0, 20: 90.0}
COMMANDS = [
    (
        False,
        ["--seeds", "1", "20", "--updates", "20"],
        ["--seeds", "1", "2", "--envs", "4", "--updates", "2"],
    )
]
#: the settings those promises are about
CONFIG = subpo.Config()


def population(config: subpo.Config, seeds: int, lane: int) -> Members:
    """`seeds` seeds on the bimodal map, `lane` of them as one batch."""
    env = with_features("markov_raw", partial(coverage_grid, "bimodal", config.length + 1), 900)
    hypers = tree_broadcast(as_arrays(subpo.Hyper()), seeds)
    return Members(
        subpo.make(config, env),
        None,
        Population.create(seeds, lane, None),
        member_keys(0, seeds),
        hypers,
        env.default_params(),
        shared_data=True,
        freeze=True,
    )


def measure(config: subpo.Config, seeds: int, lane: int, updates: int, rounds: int) -> list[Entry]:
    """Gradient steps per wall second and per CPU-second, and the wall seconds of 140 updates, compiled."""
    members = population(config, seeds, lane)
    state = members.init()

    def advance(carry: Any) -> Any:
        state, window = carry
        return members.advance(state, window, updates, fresh=True)

    carry, clocks = repeat(advance, (state, members.empty_window(state)), rounds)
    assert int(carry[0].updates[0]) == updates * (rounds + 1)
    name = f"{seeds} seed{'s' * (seeds > 1)}" + (f", {lane} as one batch" if lane > 1 else "")
    settings = (
        f"30x30, batch {config.n_envs}, {config.length + 1} states, 64-32 tanh, {jax.device_count()} devices"
    )
    done = seeds * updates
    return [
        Entry.of("SubPO", name, [done / c.wall for c in clocks], "updates / s", settings=settings),
        Entry.of("SubPO", name, [done / c.cpu for c in clocks], "updates / CPU-s", settings=settings),
        Entry.of(
            "SubPO",
            f"{name}, {WHOLE} updates each",
            [c.wall * WHOLE / updates for c in clocks],
            "s",
            settings=settings,
            ceiling=CEILINGS.get(seeds) if config == CONFIG and lane == 1 else None,
        ),
    ]


def compiling(config: subpo.Config) -> Entry:
    """CPU seconds to trace and compile one update."""
    env = with_features("markov_raw", partial(coverage_grid, "bimodal", config.length + 1), 900)
    algorithm, data, hyper = subpo.make(config, env), env.default_params(), as_arrays(subpo.Hyper())
    state = jax.jit(algorithm.init)(jax.random.key(0), hyper, data)
    _, clock = compile_ahead(algorithm.step, state, hyper, data)
    return Entry.of("compile", "SubPO update", [clock.cpu], "CPU-s")


def gains(rounds: int, batch: int = 500) -> Entry:
    """Marginal gains per CPU-second of the coverage function, each followed by adding the item."""
    F = coverage_grid("bimodal").F
    params = F.default_params()
    items = jax.random.randint(jax.random.key(0), (1000, batch), 0, 900)
    add = jax.vmap(F.add, (None, 0, 0))

    def run(stat: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.lax.scan(lambda s, v: add(params, s, v), stat, items)

    start = jnp.zeros((batch, 900), bool)
    compiled, _ = compile_ahead(run, start)
    _, clocks = repeat(lambda _: compiled(start), None, rounds)
    return Entry.of(
        "set functions", "coverage of 2x2 blocks, 900 cells", [items.size / c.cpu for c in clocks],
        "gains / CPU-s", settings=f"batch {batch}",
    )  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="SubPO on a 30 x 30 map")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 20])
    parser.add_argument("--envs", type=int, default=CONFIG.n_envs)
    parser.add_argument("--updates", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    jax.config.update("jax_num_cpu_devices", max(2, len(os.sched_getaffinity(0))))
    config = subpo.Config(n_envs=args.envs)
    entries = [gains(args.rounds), compiling(config)]
    for seeds in args.seeds:
        for lane in sorted({1, seeds}):
            entries += measure(config, seeds, lane, args.updates, args.rounds)
    emit(entries)


if __name__ == "__main__":
    main()
