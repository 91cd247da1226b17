"""Our side of `benchmarks.peers`, served round by round.

python -m benchmarks.worker_jaxrl ppo --envs 64 --length 128 --updates 20
python -m benchmarks.worker_jaxrl random --envs 256 --length 1000
"""

from __future__ import annotations

import argparse
import dataclasses
from importlib.metadata import version
from typing import Any

import jax

from benchmarks import learning, stepping
from benchmarks.measure import compile_ahead
from benchmarks.workers import serve
from jaxrl.baselines import ppo
from jaxrl.envs.control.cartpole import CartPole


def ppo_rounds(config: ppo.Config, updates: int) -> tuple[Any, Any]:
    """`(step, state)` of `updates` PPO updates on CartPole."""
    env, hyper = CartPole(), ppo.Hyper()
    params = env.default_params()
    algorithm = ppo.make(config, env)
    state = jax.jit(algorithm.init)(jax.random.key(0), hyper, params)
    run, _ = compile_ahead(learning.run_updates(algorithm, hyper, updates), state, params, donate_argnums=0)
    return lambda state: run(state, params), state


def random_rounds(envs: int, length: int) -> tuple[Any, Any]:
    """`(step, state)` of one unroll of CartPole under uniform actions, with all transitions written out."""
    run, carry, _ = stepping.program("CartPole", envs, length)
    return lambda state: run(state[0]), (carry, None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("ppo", "random"))
    parser.add_argument("--envs", type=int, required=True)
    parser.add_argument("--length", type=int, required=True)
    parser.add_argument("--updates", type=int, default=1)
    args = parser.parse_args()
    if args.what == "ppo":
        config = dataclasses.replace(learning.CONFIG, n_envs=args.envs, length=args.length)
        step, state = ppo_rounds(config, args.updates)
    else:
        step, state = random_rounds(args.envs, args.length)
    serve(step, state, f"jaxrl {version('jaxrl')}, jax {version('jax')}")


if __name__ == "__main__":
    main()
