"""Growth of the costs of dual RL with the number of rows, each over three sizes.

    python -m benchmarks.dual_rl.growth

Rows: one update by the number of rows (uniform batches, batches in proportion to a mask, weights by a share
with returns along the episodes), and the start of an agent, which reads all rows once.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.dual_rl.learner import ACTIONS, OBS
from benchmarks.measure import Entry, compile_ahead, emit, repeat
from jaxrl.data.dataset import from_arrays
from jaxrl.dual_rl import forms, implicit
from jaxrl.dual_rl.agent import State
from jaxrl.dual_rl.data import Data
from jaxrl.run.population import as_arrays

COMMANDS = [
    (
        True,
        ["--rows", "10000", "100000", "1000000"],
        ["--rows", "100", "200", "--widths", "4", "--updates", "2"],
    )
]
GROUP = "growth: dual RL"


def data(rows: int, masked: bool) -> Data:
    """Noise in episodes of 1000 rows, 17 features and 6 actions; masked: every second row counts."""
    rng = np.random.default_rng(0)
    made = from_arrays(
        {
            "obs": rng.normal(size=(rows, 17)).astype(np.float32),
            "next_obs": rng.normal(size=(rows, 17)).astype(np.float32),
            "action": rng.uniform(-1, 1, (rows, 6)).astype(np.float32),
            "reward": rng.normal(size=rows).astype(np.float32),
            "terminated": np.zeros(rows, bool),
            "truncated": np.arange(rows) % 1000 == 999,
        }
    )
    return Data(made.replace(mask=jnp.arange(rows) % 2 == 0) if masked else made)


def measure(rows: int, widths: tuple[int, ...], updates: int, rounds: int) -> list[Entry]:
    """Milliseconds of a start, and microseconds of an update of each kind."""
    config = implicit.Config(widths=widths)
    found = kind_of_batch("uniform batches", config, data(rows, False), updates, rounds)
    found += kind_of_batch("batches by a mask", config, data(rows, True), updates, rounds)[1:]
    by_share = replace(config, weighting="share")
    return found + kind_of_batch("weights by a share", by_share, data(rows, False), updates, rounds)[1:]


def kind_of_batch(kind: str, config: implicit.Config, held: Data, updates: int, rounds: int) -> list[Entry]:
    """A start and an update on `held`."""
    algorithm, hyper, key = (
        implicit.make(config, OBS, ACTIONS),
        as_arrays(forms.hyper(config)),
        jax.random.key(0),
    )

    def several(state: State, held: Data) -> State:
        return jax.lax.scan(lambda s, _: (algorithm.step(s, hyper, held)[0], None), state, length=updates)[0]

    start, _ = compile_ahead(algorithm.init, key, hyper, held)
    state, starts = repeat(lambda _: start(key, hyper, held), None, rounds)
    run, _ = compile_ahead(several, state, held)
    _, clocks = repeat(lambda state: run(state, held), state, rounds)
    rows, settings = held.reference.size, f"batch {config.batch_size}, {'x'.join(map(str, config.widths))}"
    begins, times = [1e3 * c.cpu for c in starts], [1e6 * c.cpu / updates for c in clocks]
    return [
        Entry.of(GROUP, f"start, {rows:,} rows", begins, "CPU-ms", settings=settings),
        Entry.of(GROUP, f"update, {kind}, {rows:,} rows", times, "CPU-us", settings=settings),
    ]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 64])
    parser.add_argument("--updates", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    for rows in args.rows:
        emit(measure(rows, tuple(args.widths), args.updates, args.rounds))


if __name__ == "__main__":
    main()
