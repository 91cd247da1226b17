"""Both sides of `benchmarks.replay`, served round by round; flashbax in the environment of `peers setup`.

python -m benchmarks.worker_replay jaxrl --capacity 100000 --rows 1 --batch 256 --steps 2000

Every step of one scan writes `rows` transitions of 27 numbers and draws `batch` of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.measure import compile_ahead
from benchmarks.workers import serve

WIDTHS = {"obs": (11,), "action": (3,), "reward": (), "next_obs": (11,), "discount": ()}


def jaxrl(capacity: int, batch: int) -> tuple[Any, Callable[..., Any], Callable[..., Any]]:
    """`(state, add, sample)` of `RingBuffer`."""
    from jaxrl.data.buffer import RingBuffer

    def make() -> RingBuffer:
        return RingBuffer.zeros({name: jnp.zeros(shape) for name, shape in WIDTHS.items()}, capacity)

    return make(), RingBuffer.add, lambda state, key: state.sample(key, batch)


def flashbax(capacity: int, batch: int) -> tuple[Any, Callable[..., Any], Callable[..., Any]]:
    """`(state, add, sample)` of flashbax's item buffer."""
    import flashbax

    buffer = flashbax.make_item_buffer(capacity, 1, batch, add_batches=True)
    state = buffer.init({name: jnp.zeros(shape) for name, shape in WIDTHS.items()})
    return state, buffer.add, lambda state, key: buffer.sample(state, key).experience


def program(
    state: Any, add: Callable[..., Any], sample: Callable[..., Any], capacity: int, rows: int, steps: int
) -> tuple[Any, Any]:
    """`(step, state)` of one scan of `steps` writes and draws; the buffer is full before the clock starts."""

    def written(count: Any, n: int) -> Any:
        return {name: jnp.full((n, *shape), count, jnp.float32) for name, shape in WIDTHS.items()}

    def body(carry: Any, _: None) -> Any:
        buffer, key, count = carry
        key, k_sample = jax.random.split(key)
        buffer = add(buffer, written(count, rows))
        drawn = sample(buffer, k_sample)
        return (buffer, key, count + 1), sum(x.sum() for x in jax.tree.leaves(drawn))

    def run(carry: Any) -> Any:
        return jax.lax.scan(body, carry, None, length=steps)

    filled = jax.jit(add, donate_argnums=0)(state, written(0.0, capacity))
    carry = (filled, jax.random.key(0), jnp.zeros(()))
    compiled, _ = compile_ahead(run, carry, donate_argnums=0)
    return lambda state: compiled(state[0]), (carry, None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("library", choices=("jaxrl", "flashbax"))
    for name in ("capacity", "rows", "batch", "steps"):
        parser.add_argument(f"--{name}", type=int, required=True)
    args = parser.parse_args()
    made = {"jaxrl": jaxrl, "flashbax": flashbax}[args.library](args.capacity, args.batch)
    step, state = program(*made, args.capacity, args.rows, args.steps)
    serve(step, state, f"{args.library} {version(args.library)}, jax {version('jax')}")


if __name__ == "__main__":
    main()
