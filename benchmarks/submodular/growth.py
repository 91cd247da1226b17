"""Growth of costs of log-determinants and of SubPO's update, each over three sizes.

    python -m benchmarks.submodular.growth

Rows: greedy selection by the number of chosen items, one added item by the number of items that a set could
hold, and one update with a plain and with a natural gradient by the length of an episode.
"""

from __future__ import annotations

import argparse
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.measure import Entry, compile_ahead, emit, repeat
from jaxrl.core.types import Array
from jaxrl.envs.coverage.coverage_grid import coverage_grid
from jaxrl.envs.sets.log_det import LogDet, LogDetParams
from jaxrl.run.population import as_arrays
from jaxrl.submodular import subpo
from jaxrl.submodular.features import with_features
from jaxrl.submodular.greedy import greedy

COMMANDS = [
    (
        True,
        ["--sizes", "16", "64", "128", "--items", "400", "--states", "20", "40", "80"],
        ["--sizes", "2", "4", "--items", "8", "--states", "3", "4", "--envs", "4"],
    )
]
GROUP = "growth: log-determinants and SubPO"


def kernel(items: int) -> LogDetParams:
    """Squared exponentials of random points in the unit square, noise 0.1."""
    points = np.random.default_rng(0).random((items, 2))
    squares = ((points[:, None] - points[None]) ** 2).sum(-1)
    return LogDetParams(jnp.asarray(np.exp(-8 * squares), jnp.float32), jnp.float32(0.1))


def select(items: int, chosen: int, rounds: int) -> Entry:
    """Milliseconds of a greedy selection."""
    params = kernel(items)
    run, _ = compile_ahead(
        lambda p: greedy(LogDet(items, chosen), p, jnp.arange(items), chosen).index, params
    )
    _, clocks = repeat(lambda _: run(params), None, rounds)
    times = [1e3 * clock.cpu for clock in clocks]
    return Entry.of(GROUP, f"greedy, {chosen} chosen", times, "CPU-ms", settings=f"{items} items")


def add(items: int, capacity: int, rounds: int, held: int = 8, envs: int = 100) -> Entry:
    """Microseconds per item added to a set of at most `held` items, `envs` sets at once."""
    params, F = kernel(items), LogDet(items, capacity)
    held = min(held, capacity)
    places = jax.random.randint(jax.random.key(0), (envs, held), 0, items)

    def fold(path: Array) -> Array:
        """float[], the value of `path` int32[held]."""
        return F.value(params, jax.lax.scan(lambda s, v: F.add(params, s, v), F.init(params), path)[0])

    run, _ = compile_ahead(jax.vmap(fold), places)
    _, clocks = repeat(lambda _: run(places), None, rounds)
    times = [1e6 * clock.cpu / (envs * held) for clock in clocks]
    name = f"one of the first {held} items, capacity {capacity}"
    return Entry.of(GROUP, name, times, "CPU-us", settings=f"{items} items, {envs} sets")


def update(states: int, envs: int, fisher: int, rounds: int) -> Entry:
    """Milliseconds of one update."""
    env = with_features("markov_raw", partial(coverage_grid, "bimodal", states), 900)
    algorithm = subpo.make(subpo.Config(n_envs=envs, length=states - 1, fisher=fisher), env)
    data, hyper = env.default_params(), as_arrays(subpo.Hyper())
    state = jax.jit(algorithm.init)(jax.random.key(0), hyper, data)
    run, _ = compile_ahead(lambda s: algorithm.step(s, hyper, data)[0], state)
    _, clocks = repeat(run, state, rounds)
    kind = f"natural gradient, {fisher} iterations" if fisher else "plain gradient"
    times = [1e3 * clock.cpu for clock in clocks]
    return Entry.of(GROUP, f"update, {kind}, {states} states", times, "CPU-ms", settings=f"{envs} episodes")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[16, 64, 128])
    parser.add_argument("--items", type=int, default=400)
    parser.add_argument("--states", type=int, nargs="+", default=[20, 40, 80])
    parser.add_argument("--envs", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    emit([select(args.items, size, args.rounds) for size in args.sizes])
    emit([add(args.items, size, args.rounds) for size in args.sizes])
    emit([update(n, args.envs, fisher, args.rounds) for fisher in (0, 10) for n in args.states])


if __name__ == "__main__":
    main()
