"""Open_ES of evosax on the sphere, served round by round, in the environment of `benchmarks.meta setup`.

python -m benchmarks.meta.open_es_worker --dimension 1000 --population 64 --generations 500

It minimises. Whether its steps are ours is asked of `benchmarks.meta.evosax_worker`.
"""

from __future__ import annotations

import argparse

import jax
import jax.numpy as jnp
import optax
from evosax.algorithms import Open_ES

from benchmarks.measure import compile_ahead
from benchmarks.workers import serve

LR, SIGMA = 0.01, 0.1


def strategy(dimension: int, population: int) -> Open_ES:
    """Centred ranks, Adam, a constant standard deviation."""
    return Open_ES(
        population_size=population,
        solution=jnp.zeros(dimension),
        optimizer=optax.adam(LR),
        std_schedule=optax.constant_schedule(SIGMA),
    )


def main() -> None:
    """Serves rounds of as many generations as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dimension", type=int, required=True)
    parser.add_argument("--population", type=int, required=True)
    parser.add_argument("--generations", type=int, default=1)
    args = parser.parse_args()
    es = strategy(args.dimension, args.population)
    params = es.default_params
    state = es.init(jax.random.key(0), jnp.ones(args.dimension), params)

    def generation(state, key):
        ask, tell = jax.random.split(key)
        population, state = es.ask(ask, state, params)
        state, _ = es.tell(tell, population, jnp.square(population).sum(-1), state, params)
        return state, None

    def run(carry):
        state, key = carry
        key, own = jax.random.split(key)
        state, _ = jax.lax.scan(generation, state, jax.random.split(own, args.generations))
        return state, key

    compiled, compiling = compile_ahead(run, (state, jax.random.key(3)))
    serve(compiled, (state, jax.random.key(3)), f"evosax 0.3.2, compiled in {compiling.cpu:.1f} CPU-s")


if __name__ == "__main__":
    main()
