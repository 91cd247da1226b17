"""Hypervolume of non-dominated points, on the host and compiled, beside pymoo's.

    python -m benchmarks.morl.hypervolume --points 100 1000 --objectives 2 3

Points are uniform on the positive orthant of a sphere. Sides take turns within every round.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.measure import Clock, Entry, compile_ahead, emit
from jaxrl.core.errors import MissingExtra
from jaxrl.morl.hypervolume import exact_hypervolume, hypervolume_device

GROUP = "hypervolume"
CEILING = 3.0  # times the peer's time
COMMANDS = [
    (True, ["--points", "100", "1000", "--objectives", "2", "3"], ["--points", "8", "--objectives", "2", "3"])
]


def sides(n: int, m: int) -> dict[str, Callable[[], object]]:
    """Calls by name, that of the peer last, on the same float64 points `[n, m]` (float32 where compiled).

    Raises `MissingExtra` where pymoo is not installed.
    """
    try:
        from pymoo.indicators.hv import HV
    except ImportError as error:
        raise MissingExtra("pymoo is not installed; run: pip install 'jaxrl[dev]'") from error

    points = np.abs(np.random.default_rng(0).normal(size=(n, m)))
    points /= np.linalg.norm(points, axis=-1, keepdims=True)
    zero = np.zeros(m)
    given = (jnp.asarray(points, jnp.float32), jnp.ones(n, bool), jnp.zeros(m))
    compiled, _ = compile_ahead(hypervolume_device, *given)
    peer = HV(ref_point=zero)
    return {
        "host": lambda: exact_hypervolume(points, zero),
        "compiled": lambda: jax.block_until_ready(compiled(*given)),
        "pymoo": lambda: peer(-points),
    }


def compare(n: int, m: int, rounds: int, calls: int = 20) -> list[Entry]:
    """CPU milliseconds of a call, and how many times the peer's they are."""
    made = sides(n, m)
    for call in made.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in made}
    for _ in range(rounds):
        for name, call in made.items():
            with Clock() as clock:
                for _ in range(calls):
                    call()
            times[name].append(1e3 * clock.cpu / calls)
    where = f"{n} points, {m} objectives"
    entries = [Entry.of(GROUP, f"{where}: {name}", x, "CPU-ms") for name, x in times.items()]
    for name in ("host", "compiled"):
        ratios = [ours / theirs for ours, theirs in zip(times[name], times["pymoo"], strict=True)]
        entries.append(Entry.of(GROUP, f"{where}: {name} / pymoo", ratios, "ratio", ceiling=CEILING))
    return entries


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--points", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--objectives", type=int, nargs="+", default=[2, 3], choices=(2, 3))
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    for m in args.objectives:
        for n in args.points:
            emit(compare(n, m, args.rounds))


if __name__ == "__main__":
    main()
