"""Our evolution beside evosax's on the same noise, fitness and optimiser."""

import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.meta.setup import PYTHON, ROOT
from jaxrl.core.prng import stream, streams
from jaxrl.core.spaces import Box
from jaxrl.meta import evolution

GENERATIONS, PAIRS, SIZE = 5, 8, 6


def ours(start, hyper):
    """`(means [G, D], noise [G, B, D])` of maximising minus the sphere."""
    box = Box(-np.inf, np.inf, ())
    problem = evolution.Problem(
        lambda key: start,
        streams,
        lambda phi, task, settings, data: -jnp.square(phi).sum(),
        lambda phi, obs, settings: phi.sum(),
        box,
        box,
    )
    algorithm = evolution.make(evolution.Config(PAIRS, shaping="centred", selection=0), problem)
    state, rows = algorithm.init(jax.random.key(0), hyper, ()), []
    step = jax.jit(algorithm.step)
    for generation in range(1, GENERATIONS + 1):
        k_noise, _ = jax.random.split(stream(state.key, generation))
        noise = evolution.perturbations(k_noise, PAIRS, SIZE)
        state, _ = step(state, hyper, ())
        rows.append((np.asarray(state.params), np.asarray(noise)))
    return map(np.stack, zip(*rows, strict=True))


@pytest.mark.peers
@pytest.mark.skipif(not PYTHON.exists(), reason="run python -m benchmarks.meta setup")
def test_generations_equal_those_of_evosax(tmp_path):
    start, hyper = jnp.linspace(-1, 1, SIZE), evolution.Hyper(lr=0.05, lr_decay=1.0, sigma=0.2)
    means, noise = ours(start, hyper)
    given, found = tmp_path / "in.npz", tmp_path / "out.npz"
    np.savez(given, noise=noise, mean=start, sigma=np.float32(0.2), lr=np.float32(0.05))
    command = [
        PYTHON,
        "-m",
        "benchmarks.meta.evosax_worker",
        tmp_path / "in.npz",
        "--out",
        tmp_path / "out.npz",
    ]
    subprocess.run([str(word) for word in command], check=True, cwd=ROOT)
    theirs = np.load(found)["means"]
    np.testing.assert_allclose(means, theirs, rtol=0, atol=2e-6)  # sums of 16 products in another order
    assert np.abs(means[-1] - start).max() > 0.1
