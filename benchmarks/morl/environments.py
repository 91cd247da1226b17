"""Steps of environments with vector rewards, beside mo-gymnasium's vector environment where it has a peer.

python -m benchmarks.morl.environments peer      Deep Sea Treasure and Minecart, 64 at once, in turns
python -m benchmarks.morl.environments steps     the building and the reacher, which have none there

Both sides are given their actions, drawn uniformly beforehand, truncate at the time limit, start again, and
write out observations, rewards and ends of every step.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.measure import Clock, Entry, compile_ahead, emit, repeat
from benchmarks.workers import Worker, interleave
from jaxrl.core import spaces
from jaxrl.core.errors import MissingExtra
from jaxrl.core.prng import streams
from jaxrl.core.tree import tree_where
from jaxrl.core.types import Array, PyTree
from jaxrl.envs.catalogue import make

GROUP = "vector rewards: environment steps"
UNIT = "env steps / CPU-s"
PEERS = {
    "DeepSeaTreasure": "deep-sea-treasure-v0",
    "Minecart": "minecart-v0",
    "Minecart-deterministic": "minecart-deterministic-v0",
}
ALONE = ("Building-3", "Building-9", "Reacher")
FLOOR = 50.0  # times the peer's rate
COMMANDS = [
    (False, ["peer"], ["peer", "--envs", "4", "--steps", "8"]),
    (True, ["steps"], ["steps", "--envs", "4", "--steps", "8"]),
]


def worker_arguments(doc: str) -> argparse.Namespace:
    """Arguments of a worker: name of the environment, how many at once, steps of a round."""
    parser = argparse.ArgumentParser(description=doc.partition("\n")[0])
    parser.add_argument("name", choices=PEERS)
    parser.add_argument("--envs", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    return parser.parse_args()


def program(name: str, envs: int, steps: int) -> tuple[Callable[..., Any], PyTree, Clock]:
    """`(run, carry, compile time)`, `run(carry) -> (carry, outputs [T, N, ...])` of `steps` steps."""
    env = make(name)
    params, key = env.default_params(), jax.random.key(0)
    keys = streams(key, steps * envs).reshape(steps, envs)
    actions = jax.vmap(jax.vmap(lambda k: spaces.sample(env.action_space, k)))(keys)

    def roll(carry: tuple[PyTree, Array, Array], actions: PyTree, params: PyTree) -> tuple[PyTree, PyTree]:
        limit = env.time_limit(params)

        def body(carry: tuple[PyTree, Array, Array], action: PyTree) -> tuple[PyTree, PyTree]:
            state, t, key = carry
            key, k_reset, k_step = jax.random.split(key, 3)
            fresh, _ = jax.vmap(env.reset, (0, None))(jax.random.split(k_reset, envs), params)
            after, out = jax.vmap(env.step, (0, 0, 0, None))(
                jax.random.split(k_step, envs), state, action, params
            )
            truncated = (t + 1 >= limit) & ~out.terminated
            done = out.terminated | truncated
            state = tree_where(done, fresh, after)
            shown = (out.obs, out.reward, out.terminated, truncated)
            return (state, jnp.where(done, 0, t + 1), key), shown

        return jax.lax.scan(body, carry, actions)

    state, _ = jax.vmap(env.reset, (0, None))(jax.random.split(key, envs), params)
    carry = (state, jnp.zeros(envs, jnp.int32), key)
    run, compiling = compile_ahead(roll, carry, actions, params)
    return lambda carry: run(carry, actions, params), carry, compiling


def compare(name: str, envs: int, steps: int, rounds: int) -> list[Entry]:
    """Rates on one core each, in turns, and their ratios; the peer takes a tenth of the steps.

    Raises `MissingExtra` where mo-gymnasium is not installed.
    """
    if find_spec("mo_gymnasium") is None:
        raise MissingExtra("mo-gymnasium is not installed; run: pip install 'jaxrl[dev]'")
    sizes = [name, "--envs", str(envs), "--steps"]
    their_steps = max(steps // 10, 1)
    with (
        Worker("benchmarks.morl.environment_worker", *sizes, str(steps), one_core=True) as ours,
        Worker("benchmarks.morl.gymnasium_worker", *sizes, str(their_steps), one_core=True) as theirs,
    ):
        clocks = interleave((ours, theirs), rounds)
    return summarise(name, envs, (steps, their_steps), clocks, [ours.settings, theirs.settings])


def summarise(
    name: str, envs: int, steps: tuple[int, int], clocks: list[list[Clock]], settings: list[str]
) -> list[Entry]:
    """`steps`, `clocks` and `settings` are `(ours, theirs)`."""
    rates = [[envs * n / clock.cpu for clock in side] for n, side in zip(steps, clocks, strict=True)]
    ratios = [ours / theirs for ours, theirs in zip(*rates, strict=True)]
    sizes = [f"N={envs}, T={n}; {words}" for n, words in zip(steps, settings, strict=True)]
    return [
        Entry.of(GROUP, f"{name}: jaxrl", rates[0], UNIT, settings=sizes[0]),
        Entry.of(GROUP, f"{name}: mo-gymnasium", rates[1], UNIT, settings=sizes[1]),
        Entry.of(GROUP, f"{name}: jaxrl / mo-gymnasium", ratios, "ratio", settings="by round", floor=FLOOR),
    ]


def alone(name: str, envs: int, steps: int, rounds: int) -> Entry:
    """Rate of an environment without peer."""
    run, carry, compiling = program(name, envs, steps)
    _, clocks = repeat(lambda state: run(state[0]), (carry, None), rounds)
    rates = [envs * steps / clock.cpu for clock in clocks]
    settings = f"N={envs}, T={steps}; compiled in {compiling.cpu:.1f} CPU-s"
    return Entry.of(GROUP, name, rates, UNIT, settings=settings)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("task", choices=("peer", "steps"))
    parser.add_argument("--envs", type=int, default=64)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    if args.task == "peer":
        for name in PEERS:
            emit(compare(name, args.envs, args.steps, args.rounds))
    else:
        emit([alone(name, args.envs, args.steps, args.rounds) for name in ALONE])


if __name__ == "__main__":
    main()
