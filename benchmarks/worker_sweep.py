"""PPO members as one program, as `jaxrl.run.train` runs them, served round by round.

python -m benchmarks.worker_sweep --members 32 --devices 2 --updates 2 --envs 64 --length 128
"""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks import learning
from benchmarks.workers import serve
from jaxrl.baselines import ppo
from jaxrl.core.tree import tree_broadcast
from jaxrl.core.types import Algorithm, PyTree
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.run.population import Members, Population, as_arrays
from jaxrl.run.sweep import member_keys


def rounds(config: ppo.Config, members: int, lane: int, updates: int) -> tuple[Any, Any]:
    """`(step, state)` of `updates` updates of every member; learning rates differ, the data are shared."""
    env = CartPole()
    hypers = tree_broadcast(as_arrays(ppo.Hyper()), members)
    hypers = hypers.replace(lr=jnp.geomspace(1e-4, 1e-3, members))
    population = Population.create(members, lane, None)
    return rounds_of(ppo.make(config, env), population, hypers, env.default_params(), updates)


def rounds_of(
    algorithm: Algorithm, population: Population, hypers: PyTree, data: PyTree, updates: int
) -> tuple[Any, Any]:
    """`(step, state)` of `updates` updates of every member of a population that shares its data."""
    keys = member_keys(0, population.size)
    run = Members(algorithm, None, population, keys, hypers, data, shared_data=True, freeze=True)
    state = run.init()
    return lambda carry: run.advance(*carry, updates, fresh=True), (state, run.empty_window(state))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name in ("members", "devices", "updates", "envs", "length"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--lane", type=int, default=1)
    args = parser.parse_args()
    jax.config.update("jax_num_cpu_devices", args.devices)
    config = dataclasses.replace(learning.CONFIG, n_envs=args.envs, length=args.length)
    step, state = rounds(config, args.members, args.lane, args.updates)
    serve(step, state, f"{learning.describe(config)}, lane {args.lane}, {args.devices} devices")


if __name__ == "__main__":
    main()
