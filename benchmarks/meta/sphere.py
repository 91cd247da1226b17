"""Generations of evolution per CPU-second on the sphere, beside Open_ES of evosax 0.3.2.

python -m benchmarks.meta setup     builds the peer's environment, .cache/meta
python -m benchmarks.meta.sphere    one equal step on equal noise first, then rounds in turns
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.measure import Clock, Entry, emit
from benchmarks.meta.setup import PYTHON
from benchmarks.meta.sphere_worker import LR, SIGMA
from benchmarks.workers import ROOT, Worker, interleave
from jaxrl.meta.evolution import shaped

GROUP = "meta"
AIM = 1.3  # of the ratio of generations per second
COMMANDS = [
    (
        False,
        ["--population", "64", "512", "--generations", "400"],
        ["--population", "8", "--dimension", "10", "--generations", "4"],
    )
]


def stepped(mean: np.ndarray, noise: np.ndarray, fitness: np.ndarray) -> np.ndarray:
    """The mean `[D]` after our first step, from noise `[B, D]` and fitness `[B, 2]`, which is maximised."""
    gradient = shaped(jnp.asarray(fitness), "centred") @ jnp.asarray(noise) / (2 * len(noise) * SIGMA)
    adam = optax.scale_by_adam()
    direction, _ = adam.update(gradient, adam.init(gradient))
    return mean + LR * np.asarray(direction)


def difference(dimension: int, population: int) -> float:
    """The largest difference of both means after a step from equal noise and fitness."""
    B, mean = population // 2, np.ones(dimension, np.float32)
    noise = np.random.default_rng(0).normal(size=(B, dimension)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "given.npz", Path(folder) / "found.npz"
        np.savez(given, noise=noise[None], mean=mean, sigma=np.float32(SIGMA), lr=np.float32(LR))
        command = [PYTHON, "-m", "benchmarks.meta.evosax_worker", given, "--out", found]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        theirs = np.load(found)["means"][0]
    both = mean + SIGMA * np.stack([noise, -noise], 1)
    ours = stepped(mean, noise, -np.square(both).sum(-1))
    return float(np.abs(ours - theirs).max())


def compare(dimension: int, population: int, generations: int, rounds: int) -> list[Entry]:
    """Generations per CPU-second on one core, in turns; ends with an error where a step differs."""
    if not PYTHON.exists():
        raise SystemExit("the peer's environment is missing; run: python -m benchmarks.meta setup")
    apart = difference(dimension, population)
    if apart > 1e-5:
        raise SystemExit(f"one step on equal noise differs by {apart:.1e}")
    many = str(max(1, generations * 64 // population))
    words = ["--dimension", str(dimension), "--population", str(population), "--generations", many]
    with (
        Worker("benchmarks.meta.sphere_worker", *words, one_core=True) as ours,
        Worker("benchmarks.meta.open_es_worker", *words, python=PYTHON, one_core=True) as theirs,
    ):
        clocks = interleave((ours, theirs), rounds)
        settings = ours.settings, theirs.settings
    return summarise(dimension, population, clocks, int(many), settings)


def summarise(
    dimension: int, population: int, clocks: list[list[Clock]], generations: int, settings: tuple[str, str]
) -> list[Entry]:
    """Entries of both and of their ratio, by round."""
    rates = [[generations / clock.cpu for clock in rounds] for rounds in clocks]
    name = f"evolution on the sphere, dimension {dimension}, population {population}"
    same = "noise stored, centred ranks, Adam; one equal step on equal noise"
    entries = [
        Entry.of(GROUP, f"{name}: {label}", values, "generations / CPU-s", settings=f"{same}; {text}")
        for label, values, text in zip(("jaxrl", "evosax Open_ES"), rates, settings, strict=True)
    ]
    ratios = [a / b for a, b in zip(*rates, strict=True)]
    return [
        *entries,
        Entry.of(GROUP, f"{name}: jaxrl / evosax", ratios, "ratio", settings="by round", floor=AIM),
    ]


def main(argv: list[str] | None = None) -> None:
    """Compares at every population of the command line, and writes the entries."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dimension", type=int, default=1000)
    parser.add_argument("--population", type=int, nargs="+", default=[64, 512])
    parser.add_argument("--generations", type=int, default=400, help="of population 64; fewer of larger ones")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    for population in args.population:
        emit(compare(args.dimension, population, args.generations, args.rounds))


if __name__ == "__main__":
    main()
