"""Dual RL: agent updates per second of one and of several, one by one or as one batch, and compile time.

    python -m benchmarks.dual_rl --agents 1 8 --rounds 5

One update of f-DVL: V, policy, twin Q and targets on a batch of 256 rows of 10,000, 17 features, 6 actions.
Agents are mapped by lanes of 1 (`lax.map`) or as one batch (`vmap`), over all devices, as a run maps them.
"""

from __future__ import annotations

import argparse
import itertools
import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.measure import Entry, compile_ahead, emit, repeat
from jaxrl.core.spaces import Box
from jaxrl.core.tree import tree_broadcast
from jaxrl.data.dataset import from_arrays
from jaxrl.dual_rl import learner
from jaxrl.dual_rl.batches import Data
from jaxrl.run.population import Members, Population, as_arrays
from jaxrl.run.sweep import member_keys

OBS, ACTIONS, ROWS = Box(-np.inf, np.inf, (17,)), Box(-1.0, 1.0, (6,)), 10_000
CONFIG = learner.Config()
COMMANDS = [
    (
        False,
        ["--agents", "1", "8", "--updates", "20"],
        ["--agents", "1", "2", "--widths", "8", "--batch", "8", "--updates", "2"],
    )
]


def data() -> Data:
    """Rows of noise, of the size of a locomotion task."""
    rng = np.random.default_rng(0)
    ends = np.arange(ROWS) % 1000 == 999
    return Data(
        from_arrays(
            {
                "obs": rng.normal(size=(ROWS, 17)),
                "next_obs": rng.normal(size=(ROWS, 17)),
                "action": rng.uniform(-1, 1, (ROWS, 6)),
                "reward": rng.normal(size=ROWS),
                "terminated": np.zeros(ROWS, bool),
                "truncated": ends,
            }
        )
    )


def flop(config: learner.Config) -> float:
    """Operations of the matrix products in one update: forward passes, three times where differentiated."""

    def forward(sizes: tuple[int, ...]) -> float:
        return 2.0 * (config.batch_size or ROWS) * sum(a * b for a, b in itertools.pairwise(sizes))

    v, q, pi = ((k, *config.widths, m) for k, m in ((17, 1), (23, 1), (17, 6)))
    # V: loss, then at s and s'; Q: twin targets, twin loss; policy: loss
    return (3 + 2) * forward(v) + (2 + 2 * 3) * forward(q) + 3 * forward(pi)


def measure(config: learner.Config, agents: int, lane: int, updates: int, rounds: int) -> list[Entry]:
    """Updates of all agents together, per CPU-second and per second."""
    members = Members(
        learner.make(config, OBS, ACTIONS),
        None,
        Population.create(agents, lane, None),
        member_keys(0, agents),
        tree_broadcast(as_arrays(learner.hyper(config)), agents),
        data(),
        shared_data=True,
        freeze=True,
    )
    state = members.init()

    def advance(carry: Any) -> Any:
        return members.advance(*carry, updates, fresh=True)

    carry, clocks = repeat(advance, (state, members.empty_window(state)), rounds)
    assert int(carry[0].updates[0]) == updates * (rounds + 1)
    name = f"{agents} agent{'s' * (agents > 1)}" + (f", {lane} as one batch" if lane > 1 else "")
    settings = f"{describe(config)}, {jax.device_count()} devices"
    done = agents * updates
    return [
        Entry.of("dual RL", name, [done / c.cpu for c in clocks], "updates / CPU-s", settings=settings),
        Entry.of("dual RL", name, [done / c.wall for c in clocks], "updates / s", settings=settings),
    ]


def compiling(config: learner.Config) -> Entry:
    """CPU seconds to trace and compile one update."""
    algorithm, rows, hyper = learner.make(config, OBS, ACTIONS), data(), as_arrays(learner.hyper(config))
    state = jax.jit(algorithm.init)(jax.random.key(0), hyper, rows)
    _, clock = compile_ahead(algorithm.step, state, hyper, rows)
    return Entry.of("compile", "dual RL update", [clock.cpu], "CPU-s", settings=describe(config))


def multiplying(config: learner.Config, rounds: int, repeats: int = 200) -> Entry:
    """The machine's own rate for the matrices that dominate an update."""
    width = max(config.widths, default=17)
    a, b = jnp.ones((config.batch_size or ROWS, width)), jnp.full((width, width), 1 / width)
    run, _ = compile_ahead(lambda a: jax.lax.fori_loop(0, repeats, lambda _, x: x @ b, a), a)
    _, clocks = repeat(lambda _: run(a), None, rounds)
    work = 2 * a.shape[0] * width**2 * repeats
    return Entry.of("dual RL", "matrix product alone", [work / c.cpu / 1e9 for c in clocks], "GFLOP / CPU-s")


def describe(config: learner.Config) -> str:
    """The settings that decide the speed."""
    widths = "x".join(str(w) for w in config.widths)
    return (
        f"{widths} {config.activation}, batch {config.batch_size}, {flop(config) / 1e9:.2f} GFLOP an update"
    )


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="updates per second of dual RL")
    parser.add_argument("--agents", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--widths", type=int, nargs="+", default=list(CONFIG.widths))
    parser.add_argument("--batch", type=int, default=CONFIG.batch_size)
    parser.add_argument("--updates", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    jax.config.update("jax_num_cpu_devices", max(2, len(os.sched_getaffinity(0))))
    config = learner.Config(batch_size=args.batch, widths=tuple(args.widths))
    entries = [compiling(config), multiplying(config, args.rounds)]
    for agents in args.agents:
        for lane in sorted({1, agents}):
            entries += measure(config, agents, lane, args.updates, args.rounds)
    emit(entries)


if __name__ == "__main__":
    main()
