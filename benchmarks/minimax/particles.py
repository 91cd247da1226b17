"""Mean-field descent-ascent: steps per second by width and number of runs, on single observations or batches.

    python -m benchmarks.minimax.particles --widths 256 1024 4096 --runs 1 8 64 --rounds 3

One step updates both players of every run on a batch of instrumental regression drawn from 2000 observations;
runs are mapped as one batch (`vmap`) in one program. float32, no evaluation.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from benchmarks.measure import Entry, compile_ahead, emit, repeat
from jaxrl.core.types import Key
from jaxrl.minimax import sgda
from jaxrl.minimax.problem import Points, minibatch, points
from jaxrl.run.sweep import member_keys

COMMANDS = [
    (
        False,
        ["--widths", "256", "1024", "4096", "--runs", "1", "8", "64"],
        ["--widths", "8", "--runs", "1", "2", "--work", "4000"],
    )
]


def observations(n: int = 2000) -> Points:
    """Gaussian instruments of correlation 0.7 with a confounder, from a fixed seed."""
    z, xi = np.random.default_rng(0).normal(size=(2, n)).astype(np.float32)
    x = np.float32(0.7) * z + np.float32(0.51**0.5) * xi
    return points(x[:, None, None], np.ones((n, 1)), np.sin(x) + xi / 2, z[:, None, None], lam=1e-3)


def descent(
    width: int, batch: int, steps: int
) -> tuple[Callable[[Any, Points], Any], Callable[[Key], Any], Points]:
    """`(go, init, data)`: `steps` updates of one run from a state, and its state at the start by a key."""
    algorithm, hyper = sgda.make(sgda.Config(width=width), minibatch(batch)), sgda.Hyper()
    data = jax.tree.map(jax.numpy.asarray, observations())

    def go(state: Any, data: Points) -> Any:
        return jax.lax.scan(lambda s, _: (algorithm.step(s, hyper, data)[0], None), state, length=steps)[0]

    return go, lambda key: algorithm.init(key, hyper, data), data


def measure(width: int, runs: int, batch: int, steps: int, rounds: int) -> Entry:
    """Steps per wall second, all runs together."""
    go, init, data = descent(width, batch, steps)
    over = jax.vmap(go, (0, None))
    state = jax.jit(jax.vmap(init))(member_keys(0, runs))
    compiled, _ = compile_ahead(over, state, data, donate_argnums=0)
    _, clocks = repeat(lambda s: compiled(s, data), state, rounds)
    return Entry.of(
        "minimax",
        f"N = {width}, {runs} runs, batch {batch}",
        [steps * runs / c.wall for c in clocks],
        "steps / s",
        settings=f"{steps} steps per round, {jax.devices()[0].platform}, all runs counted",
    )


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--widths", type=int, nargs="+", default=[256, 1024, 4096])
    parser.add_argument("--runs", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--batch", type=int, default=200)
    parser.add_argument(
        "--work", type=int, default=60_000_000, help="neurons times batch times runs per round"
    )
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args(argv)
    for width in args.widths:
        for runs in args.runs:
            steps = max(1, args.work // (width * runs * args.batch))
            emit([measure(width, runs, args.batch, steps, args.rounds)])


if __name__ == "__main__":
    main()
