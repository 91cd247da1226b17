"""RingBuffer against Python lists."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.baselines import sac
from jaxrl.core.errors import UsageError
from jaxrl.core.types import Transition
from jaxrl.data.buffer import RingBuffer
from jaxrl.envs.control.pendulum import Pendulum

KEY = jax.random.key(0)


def rows(numbers, done=(), truncated=()):
    """Transitions whose obs is their number, reward 10 times it, next_obs one more."""
    x = jnp.asarray(numbers, jnp.float32)
    flags = [np.isin(np.asarray(numbers), list(which)) for which in (done, truncated)]
    return Transition(
        obs=x[:, None],
        action=jnp.zeros(len(x), jnp.int32),
        reward=10 * x,
        next_obs=x[:, None] + 1,
        terminated=jnp.asarray(flags[0]),
        truncated=jnp.asarray(flags[1]),
        aux=(),
        info={},
    )


ROW = jax.tree.map(lambda x: x[0], rows([0]))


def filled(total, capacity, chunk=1, done=(), truncated=()):
    buffer, add = RingBuffer.zeros(ROW, capacity), jax.jit(RingBuffer.add)
    for begin in range(0, total, chunk):
        buffer = add(buffer, rows(range(begin, begin + chunk), done, truncated))
    return buffer


@pytest.mark.parametrize("sizes", [[4, 4, 4, 4], [3, 3, 3, 3, 3], [1] * 19, [5, 1, 8, 2, 7, 3, 8, 8], [8, 1]])
def test_add_equals_a_list(sizes):
    """Also where the number of rows changes between adds and does not divide the capacity."""
    buffer, add = RingBuffer.zeros(ROW, 8), jax.jit(RingBuffer.add)
    memory, cursor, count = [0.0] * 8, 0, 0
    for m in sizes:
        buffer = add(buffer, rows(range(count, count + m)))
        for number in range(count, count + m):
            memory[cursor] = float(number)
            cursor = (cursor + 1) % 8
        count += m
        np.testing.assert_array_equal(buffer.data.obs[:, 0], memory)
        assert (int(buffer.cursor), int(buffer.size)) == (cursor, min(count, 8))


def test_contents_are_defined_before_filled():
    buffer = RingBuffer.zeros(ROW, 5)
    assert all(not np.asarray(x).any() for x in jax.tree.leaves(buffer))
    assert not np.asarray(buffer.sample(KEY, 3).obs).any()


def test_sample_is_uniform_over_what_was_written():
    draws = np.asarray(filled(5, 8).sample(KEY, 20_000).obs[:, 0])
    counts = np.bincount(draws.astype(int), minlength=8)
    assert counts[5:].sum() == 0
    np.testing.assert_allclose(counts[:5] / 20_000, 0.2, atol=4 * np.sqrt(0.2 * 0.8 / 20_000))


def total_bytes(compiled):
    """Peak of arguments, outputs and temporaries; what is donated counts once."""
    m = compiled.memory_analysis()
    return m.argument_size_in_bytes + m.output_size_in_bytes - m.alias_size_in_bytes + m.temp_size_in_bytes


@pytest.mark.parametrize("chunk", [64, 48])
def test_a_donated_buffer_is_not_copied(chunk):
    """Alone, and as the carry of a scan that adds and samples; peak below 1.5 buffers."""
    buffer = jax.eval_shape(lambda: RingBuffer.zeros(jax.eval_shape(lambda: jnp.zeros(64)), 1 << 14))
    size = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(buffer))
    new = jnp.zeros((chunk, 64))
    assert total_bytes(jax.jit(RingBuffer.add, donate_argnums=0).lower(buffer, new).compile()) < 1.5 * size
    assert total_bytes(jax.jit(RingBuffer.add).lower(buffer, new).compile()) > 1.9 * size

    def updates(buffer, keys):
        def update(buffer, key):
            buffer = buffer.add(jax.random.normal(key, new.shape))
            return buffer, buffer.sample(key, 32).sum()

        return jax.lax.scan(update, buffer, keys)

    keys = jax.random.split(KEY, 10)
    assert total_bytes(jax.jit(updates, donate_argnums=0).lower(buffer, keys).compile()) < 1.5 * size


@pytest.mark.parametrize(("n_envs", "members"), [(1, None), (1, 2)])
def test_updates_of_sac_do_not_copy_the_memory(n_envs, members):
    """No instruction of the compiled loop copies a leaf: an update costs the same at every capacity."""
    capacity, env, hyper = 4096, Pendulum(), sac.Hyper(warmup=2)
    params = env.default_params()
    config = sac.Config(n_envs=n_envs, gradient_steps=1, batch_size=4, capacity=capacity, widths=(8,))
    algorithm = sac.make(config, env)

    def init(key):
        return algorithm.init(key, hyper, params)

    def updates(state):
        return jax.lax.scan(lambda s, _: (algorithm.step(s, hyper, params)[0], None), state, None, length=4)[
            0
        ]

    keys = KEY if members is None else jax.random.split(KEY, members)
    if members is not None:
        init, updates = jax.vmap(init), jax.vmap(updates)
    state = jax.eval_shape(init, keys)
    program = jax.jit(updates, donate_argnums=0).lower(state).compile().as_text()
    loop = program[: program.index("\nENTRY ")]
    size = f"{members},{capacity}" if members else str(capacity)
    assert re.search(rf"\[{size}[,\]]", loop)
    assert re.findall(rf"= \w+\[{size}[,\]]\S* copy\(", loop) == []


def test_a_population_of_buffers():
    """vmap over members equals the members."""
    new = jnp.arange(12.0).reshape(2, 6)
    buffers = jax.vmap(lambda _: RingBuffer.zeros(jnp.zeros(()), 4))(jnp.arange(2))
    for begin in (0, 3):
        buffers = jax.vmap(RingBuffer.add)(buffers, new[:, begin : begin + 3])
    np.testing.assert_array_equal(buffers.data, [[4, 5, 2, 3], [10, 11, 8, 9]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda b: RingBuffer.zeros(ROW, 0), "RingBuffer.capacity: must be >= 1, got 0"),
        (lambda b: b.add(rows([])), "RingBuffer.add: 0 rows do not fit"),
        (lambda b: b.add(rows(range(9))), "RingBuffer.add: 9 rows do not fit a capacity of 8"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(UsageError, match="^" + message):
        call(RingBuffer.zeros(ROW, 8))


def test_rows_of_another_dtype_or_shape_are_refused():
    buffer = RingBuffer.zeros(ROW, 8)
    with pytest.raises(AssertionError, match="float16"):
        buffer.add(rows([1])._replace(reward=jnp.ones(1, jnp.float16)))
    with pytest.raises(AssertionError, match="shapes"):
        buffer.add(rows([1])._replace(obs=jnp.ones((1, 2))))
