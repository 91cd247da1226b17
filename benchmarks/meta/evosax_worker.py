"""Generations of evosax's Open_ES on given noise; runs in the environment of `benchmarks.meta setup`.

python -m benchmarks.meta.evosax_worker IN.npz --out OUT.npz

IN holds `noise` [G, B, D] of antithetic pairs, the first `mean` [D], `sigma` and `lr` []; OUT holds `means`
[G, D] after every generation on the sphere (the sum of squares, minimised), with centred ranks and Adam.
"""

from __future__ import annotations

import argparse

import jax
import jax.numpy as jnp
import numpy as np
import optax
from evosax.algorithms import Open_ES


def means(noise: np.ndarray, mean: np.ndarray, sigma: float, lr: float) -> np.ndarray:
    """float[G, D], the mean after every generation on noise [G, B, D]."""
    strategy = Open_ES(
        2 * noise.shape[1], mean, optimizer=optax.adam(lr), std_schedule=lambda generation: sigma
    )
    params, key = strategy.default_params, jax.random.key(0)
    state, rows = strategy.init(key, mean, params), []
    for eps in noise:
        population = state.mean[None] + sigma * jnp.concatenate([eps, -eps])
        state, _ = strategy.tell(key, population, jnp.square(population).sum(-1), state, params)
        rows.append(np.asarray(state.mean))
    return np.stack(rows)


def main() -> None:
    """Reads IN and writes OUT."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("given")
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    with np.load(args.given, allow_pickle=False) as given:
        found = means(given["noise"], given["mean"], float(given["sigma"]), float(given["lr"]))
    np.savez_compressed(args.out, means=found)


if __name__ == "__main__":
    main()
