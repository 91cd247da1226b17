"""Random-policy env steps per CPU-second: the environment layer alone, with resets and both end flags.

    python -m benchmarks.stepping CartPole --envs 256 --steps 1000 --rounds 5

All transitions are written out `[T, N, ...]`, so that nothing a learner would read is compiled away.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import jax
from jax import Array

from benchmarks.measure import Clock, Entry, compile_ahead, emit, repeat
from jaxrl.core import spaces
from jaxrl.core.types import Policy, PyTree
from jaxrl.envs import catalogue
from jaxrl.rollout.unroll import Pool, Resample, Reset, start, unroll

#: env steps per CPU-second that the design asks of one thread
FLOORS = {("CartPole", 256): 2e6}


def build(name: str) -> tuple[Any, PyTree]:
    """`(env, params)`: `brax <name>` on the spring back-end, otherwise a name of `jaxrl.envs.catalogue`."""
    if name.startswith("brax "):
        from jaxrl.envs.adapters.brax import Brax  # a second of imports that the other rows do not need

        env = Brax(name.removeprefix("brax "), "spring")
    else:
        env = catalogue.make(name)
    return env, env.default_params()


def program(name: str, envs: int, steps: int) -> tuple[Callable[..., Any], Any, Clock]:
    """`(run, carry, compile time)`, `run(carry) -> (carry, outputs)`: one unroll of `steps` steps."""
    env, params = build(name)
    policy = Policy(lambda key, obs, memory: (spaces.sample(env.action_space, key), (), memory))

    def roll(carry: tuple[PyTree, Array, PyTree]) -> tuple[tuple[PyTree, Array, PyTree], PyTree]:
        vec, key, params = carry
        vec, *out = unroll(env, policy, vec, key, params, length=steps, reset=_reset(name))
        return (vec, jax.random.fold_in(key, 0), params), out

    vec = jax.jit(lambda key: start(env, policy, key, params, envs))(jax.random.key(0))
    carry = (vec, jax.random.key(1), params)
    run, compiling = compile_ahead(roll, carry)
    return run, carry, compiling


def measure(name: str, envs: int, steps: int, rounds: int) -> list[Entry]:
    """Steps per CPU-second and the compile time of one environment."""
    run, carry, compiling = program(name, envs, steps)
    _, clocks = repeat(lambda state: run(state[0]), (carry, None), rounds)
    settings = f"N={envs}, T={steps}, {_reset(name)}"
    rates = [envs * steps / clock.cpu for clock in clocks]
    floor = FLOORS.get((name, envs))
    return [
        Entry.of("random policy", name, rates, "env steps / CPU-s", settings=settings, floor=floor),
        Entry.of("compile", f"random {name}", [compiling.cpu], "CPU-s", settings=settings),
    ]


def _reset(name: str) -> Reset:
    """Physics engines reset slowly."""
    return Pool(16) if name.startswith("brax ") else Resample()


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name", help="an environment of the catalogue, or 'brax hopper'")
    parser.add_argument("--envs", type=int, default=256)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    emit(measure(args.name, args.envs, args.steps, args.rounds))


if __name__ == "__main__":
    main()
