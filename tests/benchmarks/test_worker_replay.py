"""The steps that are timed beside the peer write what they say, into a full buffer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.worker_replay import WIDTHS, jaxrl, program, sources


def test_rows_of_one_number_are_equal_and_rows_from_memory_are_not():
    constant, memory = sources("constant", 3)(jnp.ones(())), sources("memory", 3)(jnp.ones(()))
    for name, shape in WIDTHS.items():
        assert constant[name].shape == memory[name].shape == (3, *shape)
        np.testing.assert_array_equal(constant[name], 1.0)
        assert len(np.unique(memory[name])) == memory[name].size


@pytest.mark.parametrize("source", ["constant", "memory"])
def test_the_last_steps_of_a_round_stand_in_the_buffer(source):
    state, add, sample = jaxrl(6, 2)
    full = add(state, sources("constant", 6)(jnp.full((), -1.0)))
    step, carry = program(full, add, sample, sources(source, 2), 4)
    (buffer, _, count), drawn = step(carry)
    assert count == 4 and drawn.shape == (4,) and buffer.size == 6
    # rows of steps 3, 1, 2, in the order of the buffer: step 3 replaced those of step 0
    written = [sources(source, 2)(jnp.full((), float(i))) for i in (3, 1, 2)]
    expected = jax.tree.map(lambda *rows: jnp.concatenate(rows), *written)
    jax.tree.map(np.testing.assert_array_equal, buffer.data, expected)
