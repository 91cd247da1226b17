"""Dual RL: how near one update comes to the machine's matrix products, and what several agents cost.

    taskset -c 1 python -m benchmarks.dual_rl.learner one --batch 256 1024 --rounds 5
    python -m benchmarks.dual_rl.learner many --agents 1 8 40 --rounds 5

One update of f-DVL: V, policy, twin Q and targets on a batch of 256 rows of 10,000, 17 features, 6 actions.
`one` compares it, on one core, with products of the same matrices and with the same update written by hand.
`many` maps agents over all devices as a run does, in lanes of 1 (`lax.map`) or as one batch per device
(`vmap`), and compares them with as many runs one after the other. Things compared take turns, and ratios are
of one turn.
"""

from __future__ import annotations

import argparse
import itertools
import os
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.dual_rl import plain
from benchmarks.measure import Clock, Entry, compile_ahead, emit
from jaxrl.core.spaces import Box
from jaxrl.core.tree import tree_broadcast
from jaxrl.data.dataset import from_arrays
from jaxrl.dual_rl import forms, implicit
from jaxrl.dual_rl.agent import State
from jaxrl.dual_rl.data import Data
from jaxrl.run.population import Members, Population, as_arrays
from jaxrl.run.sweep import member_keys

OBS, ACTIONS, ROWS = Box(-np.inf, np.inf, (17,)), Box(-1.0, 1.0, (6,)), 10_000
CONFIG = implicit.Config()
COMMANDS = [
    (True, ["one", "--batch", "256", "1024"], ["one", "--batch", "8", "--widths", "8", "--updates", "2"]),
    (
        False,
        ["many", "--agents", "1", "8", "40", "--batch", "256", "1024"],
        ["many", "--agents", "1", "4", "--batch", "8", "--widths", "8", "--updates", "2"],
    ),
    (
        False,
        ["many", "--agents", "1", "40", "--widths", "64", "64", "--updates", "800"],
        ["many", "--agents", "1", "2", "--widths", "4", "--batch", "8", "--updates", "2"],
    ),
]

#: what the design asks: of the machine's products, and of 40 small agents, in times of one agent on two cores
SHARE, TIMES = 0.75, 22.0

Round = Callable[[], object]


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


def flop(config: implicit.Config) -> float:
    """Operations of the matrix products in one update.

    A trained network costs its forward pass three times, less the gradient by its inputs.
    """

    def forward(sizes: tuple[int, ...]) -> float:
        return 2.0 * (config.batch_size or ROWS) * sum(a * b for a, b in itertools.pairwise(sizes))

    def trained(sizes: tuple[int, ...]) -> float:
        return 3 * forward(sizes) - forward(sizes[:2])

    v, q, pi = ((k, *config.widths, m) for k, m in ((17, 1), (23, 1), (17, 6)))
    # V also at s and s' once it has moved; Q also as targets
    return trained(v) + 2 * forward(v) + 2 * trained(q) + 2 * forward(q) + trained(pi)


def turns(todo: dict[str, Round], rounds: int) -> dict[str, list[Clock]]:
    """Clocks of each, all warmed up first; then first, second, ..., first, second, ..."""
    clocks: dict[str, list[Clock]] = {name: [] for name in todo}
    for work in todo.values():
        jax.block_until_ready(work())
    for name, work in list(todo.items()) * rounds:
        with Clock() as clock:
            jax.block_until_ready(work())
        clocks[name].append(clock)
    return clocks


# --- one agent on one core ----------------------------------------------------------------------------------


def one(config: implicit.Config, updates: int, rounds: int) -> list[Entry]:
    """GFLOP per CPU-second of the products alone, of our update, in a run, and of the one written by hand."""
    batch, width = config.batch_size or ROWS, max(config.widths)
    algorithm, hyper, rows = implicit.make(config, OBS, ACTIONS), as_arrays(forms.hyper(config)), data()
    state = jax.jit(algorithm.init)(jax.random.key(0), hyper, rows)

    @jax.jit
    def ours(state: State, rows: Data) -> State:
        return jax.lax.scan(lambda s, _: (algorithm.step(s, hyper, rows)[0], None), state, length=updates)[0]

    init, step = plain.make(batch, config.widths, 17, 6)
    carry = jax.jit(init)(jax.random.key(0))
    by_hand = jax.jit(lambda c, d: jax.lax.scan(lambda c, _: (step(c, d), None), c, length=updates)[0])
    a, b = jnp.ones((batch, width)), jnp.full((width, width), 1 / width)
    products = jax.jit(lambda a, b: jax.lax.fori_loop(0, 8 * updates, lambda _, x: x @ b, a))
    clocks = turns(
        {
            "matrix product alone": lambda: products(a, b),
            "update": lambda: ours(state, rows),
            "update in a run": agents(config, 1, 1, updates),
            "update written by hand": lambda: by_hand(carry, rows.reference),
        },
        rounds,
    )
    work = {name: updates * flop(config) for name in clocks}
    work["matrix product alone"] = 8 * updates * 2.0 * batch * width**2
    rates = {name: np.array([work[name] / c.cpu for c in found]) for name, found in clocks.items()}
    found, settings = [], describe(config)
    for name, rate in rates.items():
        label = f"{settings}: {name}"
        found.append(Entry.of("dual RL", label, list(rate / 1e9), "GFLOP / CPU-s"))
        if name != "matrix product alone":
            share = list(rate / rates["matrix product alone"])
            asked = SHARE if name == "update" and batch == CONFIG.batch_size else None
            found.append(Entry.of("dual RL", label, share, "of the product's rate", floor=asked))
    _, clock = compile_ahead(algorithm.step, state, hyper, rows)
    found.append(Entry.of("compile", f"dual RL update, {settings}", [clock.cpu], "CPU-s"))
    return found


# --- several agents on all devices --------------------------------------------------------------------------


def agents(config: implicit.Config, n: int, lane: int, updates: int) -> Round:
    """`n` agents in lanes of `lane`; each call does `updates` updates of each."""
    members = Members(
        implicit.make(config, OBS, ACTIONS),
        None,
        Population.create(n, lane, None),
        member_keys(0, n),
        tree_broadcast(as_arrays(forms.hyper(config)), n),
        data(),
        shared_data=True,
        freeze=True,
    )
    state = members.init()
    carry = [(state, members.empty_window(state))]

    def advance() -> object:
        carry[0] = members.advance(*carry[0], updates, fresh=True)
        return carry[0]

    return advance


def many(config: implicit.Config, sizes: list[int], updates: int, rounds: int) -> list[Entry]:
    """Rates of every size, and its wall time in units of one agent's for the same number of updates."""
    devices = jax.device_count()
    lanes = {n: sorted({1, n // devices} if n % devices == 0 else {1}) for n in sorted({1, *sizes})}
    counts = {(n, lane): max(2, updates // n) for n in lanes for lane in lanes[n]}
    todo, compiled = {}, {}
    for (n, lane), count in counts.items():
        work = agents(config, n, lane, count)
        with Clock() as clock:
            jax.block_until_ready(work())
        todo[_name(n, lane)], compiled[_name(n, lane)] = work, clock
    clocks = turns(todo, rounds)
    settings = f"{devices} devices, {flop(config) / 1e9:.2f} GFLOP an update"
    single = np.array([c.wall / counts[1, 1] for c in clocks[_name(1, 1)]])
    found = []
    for (n, lane), count in counts.items():
        label, taken = f"{describe(config)}: {_name(n, lane)}", clocks[_name(n, lane)]
        for unit, rate in (
            ("updates / CPU-s", [n * count / c.cpu for c in taken]),
            ("updates / s", [n * count / c.wall for c in taken]),
        ):
            found.append(Entry.of("dual RL", label, rate, unit, settings=settings))
        if n > 1:
            times = list(np.array([c.wall / count for c in taken]) / single)
            asked = TIMES if (n, lane, config.widths) == (40, 1, (64, 64)) else None
            found.append(Entry.of("dual RL", label, times, "times one agent", ceiling=asked))
        first = compiled[_name(n, lane)].cpu
        found.append(Entry.of("compile", f"dual RL, {label}", [first], "CPU-s", settings="and one round"))
    return found


def _name(n: int, lane: int) -> str:
    return f"{n} agent{'s' * (n > 1)}" + (f", {lane} as one batch" if lane > 1 else "")


def describe(config: implicit.Config) -> str:
    """The settings that decide the speed."""
    return f"{'x'.join(str(w) for w in config.widths)}, batch {config.batch_size}"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="updates per second of dual RL")
    parser.add_argument("what", choices=("one", "many"))
    parser.add_argument("--agents", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--widths", type=int, nargs="+", default=list(CONFIG.widths))
    parser.add_argument("--batch", type=int, nargs="+", default=[CONFIG.batch_size])
    parser.add_argument("--updates", type=int, default=40, help="of one agent; several share them")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    jax.config.update("jax_num_cpu_devices", cores)
    for batch in args.batch:
        config = implicit.Config(batch_size=batch, widths=tuple(args.widths))
        if args.what == "one":
            emit(one(config, args.updates, args.rounds))
        else:
            emit(many(config, args.agents, args.updates, args.rounds))


if __name__ == "__main__":
    main()
