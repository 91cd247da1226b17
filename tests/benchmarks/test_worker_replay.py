"""The steps that are timed beside the peer write what they say, into a full buffer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.worker_replay import WIDTHS, jaxrl, program, sources


def rows_of(source, rows, count):
    kept, new = sources(source, rows)
    return new(kept, jnp.full((), float(count)))


def test_rows_of_one_number_are_equal_and_rows_from_memory_are_not():
    constant, memory = rows_of("constant", 3, 1), rows_of("memory", 3, 1)
    for name, shape in WIDTHS.items():
        assert constant[name].shape == memory[name].shape == (3, *shape)
        np.testing.assert_array_equal(constant[name], 1.0)
        assert len(np.unique(memory[name])) == memory[name].size


@pytest.mark.parametrize("source", ["constant", "memory"])
def test_the_last_steps_of_a_round_stand_in_the_buffer(source):
    state, add, sample = jaxrl(6, 2)
    step, carry = program(add(state, rows_of("constant", 6, -1)), add, sample, sources(source, 2), 4)
    (buffer, _, count, _), drawn = step(carry)
    assert count == 4 and drawn.shape == (4,) and buffer.size == 6
    # rows of steps 3, 1, 2, in the order of the buffer: step 3 replaced those of step 0
    expected = jax.tree.map(lambda *rows: jnp.concatenate(rows), *(rows_of(source, 2, i) for i in (3, 1, 2)))
    jax.tree.map(np.testing.assert_array_equal, buffer.data, expected)
