"""Both sides of `benchmarks.replay`, served round by round; flashbax in the environment of `peers setup`.

python -m benchmarks.worker_replay jaxrl --capacity 100000 --rows 1 --batch 256 --steps 2000 --source memory

Every step of one scan writes `rows` transitions of 27 numbers and draws `batch` of them. The rows come from
memory, as transitions of a rollout do, or are one number repeated (`--source constant`), which a compiler
writes without reading anything.
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


def sources(source: str, rows: int) -> tuple[Any, Callable[[Any, Any], Any]]:
    """`(kept, new)`: `new(kept, count)` are the rows of a step, other numbers at every step.

    `kept` is to be an argument of the program, so that no compiler knows it.
    """
    if source == "constant":
        return (), lambda kept, count: {
            name: jnp.full((rows, *shape), count) for name, shape in WIDTHS.items()
        }
    key = jax.random.key(1)
    kept = {name: jax.random.normal(key, (rows, *shape)) for name, shape in WIDTHS.items()}
    return kept, lambda kept, count: {name: x + count for name, x in kept.items()}


def program(
    state: Any,
    add: Callable[..., Any],
    sample: Callable[..., Any],
    source: tuple[Any, Callable[[Any, Any], Any]],
    steps: int,
) -> tuple[Any, Any]:
    """`(step, state)` of a scan of `steps` writes of a source's rows and draws; `state` is a full buffer."""
    kept, new = source

    def body(carry: Any, _: None) -> Any:
        buffer, key, count, kept = carry
        key, k_sample = jax.random.split(key)
        buffer = add(buffer, new(kept, count))
        drawn = sample(buffer, k_sample)
        return (buffer, key, count + 1, kept), sum(x.sum() for x in jax.tree.leaves(drawn))

    def run(carry: Any) -> Any:
        return jax.lax.scan(body, carry, None, length=steps)

    carry = (state, jax.random.key(0), jnp.zeros(()), kept)
    compiled, _ = compile_ahead(run, carry, donate_argnums=0)
    return lambda state: compiled(state[0]), (carry, None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("library", choices=("jaxrl", "flashbax"))
    parser.add_argument("--source", choices=("memory", "constant"), required=True)
    for name in ("capacity", "rows", "batch", "steps"):
        parser.add_argument(f"--{name}", type=int, required=True)
    args = parser.parse_args()
    state, add, sample = {"jaxrl": jaxrl, "flashbax": flashbax}[args.library](args.capacity, args.batch)
    _, zeros = sources("constant", args.capacity)
    full = jax.jit(add, donate_argnums=0)(state, zeros((), jnp.zeros(())))
    step, carry = program(full, add, sample, sources(args.source, args.rows), args.steps)
    serve(step, carry, f"{args.library} {version(args.library)}, jax {version('jax')}")


if __name__ == "__main__":
    main()
