"""Generations per minute of the CartPole study, beside the ask and tell of evosax around equal lifetimes.

python -m benchmarks.meta setup     builds the peer's environment, .cache/meta
python -m benchmarks.meta.study

Both sides evolve plain LPO of 32 units, 16 antithetic pairs, by the same function of lifetimes, compiled by
the same jax; evosax is read from the peer's environment. Ours is one program per generation; theirs asks,
calls the compiled lifetimes, and tells. Times are CPU seconds of one core.
"""

from __future__ import annotations

import argparse
from typing import Any

from benchmarks.measure import Clock, Entry, emit
from benchmarks.meta.setup import PYTHON
from benchmarks.workers import Worker, interleave

GROUP = "meta"
COMMANDS = [(True, ["--rounds", "3"], ["--pairs", "2", "--updates", "1", "--rounds", "2"])]


def compare(pairs: int, updates: int, rounds: int) -> list[Entry]:
    """Generations per CPU-minute of both and their ratio; a round is one generation."""
    if not PYTHON.exists():
        raise SystemExit("the peer's environment is missing; run: python -m benchmarks.meta setup")
    words = ["--pairs", str(pairs), "--updates", str(updates)]
    with (
        Worker("benchmarks.meta.study_worker", "ours", *words, one_core=True) as ours,
        Worker("benchmarks.meta.study_worker", "evosax", *words, one_core=True) as theirs,
    ):
        clocks = interleave((ours, theirs), rounds)
        return summarise(clocks, (ours.settings, theirs.settings))


def summarise(clocks: list[list[Clock]], settings: tuple[str, str]) -> list[Entry]:
    """Entries of both sides and of their ratio by round."""
    rates: list[list[float]] = [[60 / clock.cpu for clock in rounds] for rounds in clocks]
    names: Any = ("jaxrl", "evosax Open_ES, ask and tell")
    entries = [
        Entry.of(GROUP, f"CartPole study: {name}", values, "generations / CPU-minute", settings=text)
        for name, values, text in zip(names, rates, settings, strict=True)
    ]
    ratio = [a / b for a, b in zip(*rates, strict=True)]
    return [*entries, Entry.of(GROUP, "CartPole study: jaxrl / evosax", ratio, "ratio", settings="by round")]


def main(argv: list[str] | None = None) -> None:
    """Compares and writes the entries."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument("--updates", type=int, default=40, help="of a lifetime")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args(argv)
    emit(compare(args.pairs, args.updates, args.rounds))


if __name__ == "__main__":
    main()
