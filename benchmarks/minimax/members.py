"""Members of a study on one device: one after the other in a program, beside all of them in one batch.

    python -m benchmarks.minimax.members --widths 256 1024 --runs 10

The step is that of `benchmarks.minimax.particles`; both ways take turns within every round.
"""

from __future__ import annotations

import argparse

import jax

from benchmarks.measure import Clock, Entry, compile_ahead, emit
from benchmarks.minimax.particles import descent
from jaxrl.run.sweep import member_keys

GROUP = "minimax: members of a study"
COMMANDS = [(False, ["--widths", "256", "1024", "--runs", "10"], ["--widths", "8", "--runs", "2"])]


def compare(width: int, runs: int, batch: int, steps: int, rounds: int) -> list[Entry]:
    """CPU milliseconds of a step and member either way, and their ratio."""
    go, init, data = descent(width, batch, steps)
    state = jax.jit(jax.vmap(init))(member_keys(0, runs))
    ways = {
        "one after the other": compile_ahead(
            lambda s, data: jax.lax.map(lambda x: go(x, data), s), state, data
        )[0],
        "in one batch": compile_ahead(jax.vmap(go, (0, None)), state, data)[0],
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for compiled in ways.values():
        jax.block_until_ready(compiled(state, data))
    for _ in range(rounds):
        for name, compiled in ways.items():
            with Clock() as clock:
                jax.block_until_ready(compiled(state, data))
            times[name].append(1e3 * clock.cpu / (steps * runs))
    where = f"N = {width}, {runs} members, batch {batch}"
    ratios = [a / b for a, b in zip(*times.values(), strict=True)]
    entries = [Entry.of(GROUP, f"{where}: {name}", x, "CPU-ms a step") for name, x in times.items()]
    return [*entries, Entry.of(GROUP, f"{where}: ratio", ratios, "ratio")]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--widths", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=200)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    for width in args.widths:
        emit(compare(width, args.runs, args.batch, args.steps, args.rounds))


if __name__ == "__main__":
    main()
