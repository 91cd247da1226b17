"""Our evolution on the sphere, served round by round.

python -m benchmarks.meta.sphere_worker --dimension 1000 --population 64 --generations 500
"""

from __future__ import annotations

import argparse
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.measure import Clock, compile_ahead
from benchmarks.workers import serve
from jaxrl.core.prng import streams
from jaxrl.core.spaces import Box
from jaxrl.core.types import Array, Key, PyTree
from jaxrl.meta import evolution

LR, SIGMA = 0.01, 0.1


def sphere(dimension: int) -> evolution.Problem:
    """Minus the sum of squares, from a start at one; tasks say nothing."""

    def start(key: Key) -> PyTree:
        return jnp.ones(dimension)

    def fitness(phi: Array, task: Key, settings: evolution.Settings, data: PyTree) -> Array:
        return -jnp.square(phi).sum()

    reads = Box(-np.inf, np.inf, (1,))
    return evolution.Problem(start, streams, fitness, lambda phi, obs, settings: obs, reads, reads)


def program(dimension: int, population: int, generations: int) -> tuple[Any, PyTree, Clock]:
    """`(compiled, state, compile time)`; `compiled(state)` runs `generations` more."""
    config = evolution.Config(pairs=population // 2, shaping="centred", selection=0)
    algorithm = evolution.make(config, sphere(dimension))
    hyper = jax.tree.map(jnp.asarray, evolution.Hyper(lr=LR, lr_decay=1.0, sigma=SIGMA))

    def run(state: PyTree) -> PyTree:
        return jax.lax.fori_loop(0, generations, lambda _, s: algorithm.step(s, hyper, ())[0], state)

    state = algorithm.init(jax.random.key(0), hyper, ())
    compiled, compiling = compile_ahead(run, state)
    return compiled, state, compiling


def main() -> None:
    """Serves rounds of as many generations as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dimension", type=int, required=True)
    parser.add_argument("--population", type=int, required=True)
    parser.add_argument("--generations", type=int, required=True)
    args = parser.parse_args()
    compiled, state, compiling = program(args.dimension, args.population, args.generations)
    serve(compiled, state, f"compiled in {compiling.cpu:.1f} CPU-s")


if __name__ == "__main__":
    main()
