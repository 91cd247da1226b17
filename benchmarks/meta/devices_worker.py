"""Generations of meta-runs of TA-LPG as `jaxrl.run.train` runs them, served round by round.

python -m benchmarks.meta.devices_worker --members 1 --work 2 --pairs 64 --updates 20 --generations 2
"""

from __future__ import annotations

import argparse
from typing import Any

import jax

from benchmarks.meta.lifetimes import CONFIG, RULE, levels
from benchmarks.worker_sweep import rounds_of
from benchmarks.workers import serve
from jaxrl.core import spmd
from jaxrl.core.tree import tree_broadcast
from jaxrl.meta import evolution, lpg
from jaxrl.meta.objective import MASKS
from jaxrl.run.population import Population, as_arrays


def rounds(members: int, work: int, pairs: int, updates: int, generations: int) -> tuple[Any, Any]:
    """`(step, state)` of so many generations of every member, each shared by `work` devices."""
    problem = lpg.search(CONFIG, levels(True), RULE, lpg.Hyper(), (5, updates), episodes=8)
    config = evolution.Config(pairs=pairs, lane=max(1, pairs // 8), selection=0)
    hypers = tree_broadcast(as_arrays(evolution.Hyper(mask=MASKS["paper"])), members)
    population = Population.create(members, 1, None, work)
    return rounds_of(evolution.make(config, problem, spmd.WORK), population, hypers, (), generations)


def main() -> None:
    """Serves rounds on as many devices as the members need."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name in ("members", "work", "pairs", "updates", "generations"):
        parser.add_argument(f"--{name}", type=int, required=True)
    args = parser.parse_args()
    jax.config.update("jax_num_cpu_devices", args.members * args.work)
    step, state = rounds(args.members, args.work, args.pairs, args.updates, args.generations)
    text = f"{args.generations} generations of {args.pairs} pairs, N in [5, {args.updates}]"
    serve(step, state, f"{text}, {args.members * args.work} devices")


if __name__ == "__main__":
    main()
