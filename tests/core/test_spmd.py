"""Devices change where members run, not what they compute. Four fake devices."""

import contextlib
import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxrl.core import spmd
from jaxrl.core.errors import UsageError
from jaxrl.core.spmd import P
from jaxrl.core.types import Algorithm

DEVICES = jax.devices()


def mlp(params, x):
    for w, b in params[:-1]:
        x = jnp.tanh(x @ w + b[None])
    w, b = params[-1]
    return x @ w + b[None]


def init(key, sizes=(8, 64, 64, 4)):
    keys = jax.random.split(key, len(sizes) - 1)
    return [
        (jax.random.normal(k, (m, n)) / np.sqrt(m), jnp.zeros(n))
        for k, m, n in zip(keys, sizes[:-1], sizes[1:], strict=True)
    ]


OPTIMISER = optax.adam(1e-2)


def learn(params, x, y):
    """20 updates of one member; the batch is shared."""

    def loss(params):
        return jnp.square(mlp(params, x) - y).mean()

    def update(carry, _):
        params, state = carry
        value, grads = jax.value_and_grad(loss)(params)
        updates, state = OPTIMISER.update(grads, state)
        return (optax.apply_updates(params, updates), state), value

    (params, _), losses = jax.lax.scan(update, (params, OPTIMISER.init(params)), None, length=20)
    return params, losses


def digest(tree):
    return hashlib.sha256(b"".join(np.asarray(x).tobytes() for x in jax.tree.leaves(tree))).hexdigest()


@pytest.fixture(scope="module")
def problem():
    members = jax.vmap(init)(jax.random.split(jax.random.key(0), 8))
    k_x, k_y = jax.random.split(jax.random.key(1))
    return members, jax.random.normal(k_x, (32, 8)), jax.random.normal(k_y, (32, 4))


@pytest.fixture(scope="module")
def sequential(problem):
    """Hash of the members learning one after the other."""
    members, x, y = problem
    return digest(jax.jit(lambda m: jax.lax.map(lambda p: learn(p, x, y), m))(members))


@pytest.mark.parametrize("lane", [1, 2])
def test_bits_do_not_depend_on_the_number_of_devices(problem, sequential, lane):
    """Eight members, lanes of 1 and 2, on 1, 2 and 4 devices (8 members / 4 / 2 = 1 lane)."""
    members, x, y = problem
    hashes = set()
    for n in (1, 2, 4):
        mesh = spmd.mesh("pop", DEVICES[:n])
        out = jax.jit(spmd.map_population(learn, mesh, lane, shared=(1, 2)))(members, x, y)
        assert len(out[1].sharding.device_set) == n
        assert out[1].shape == (8, 20)
        assert (out[1][:, -1] < out[1][:, 0]).all()
        hashes.add(digest(out))
    assert len(hashes) == 1
    if lane == 1:
        assert hashes == {sequential}


def test_shared_arguments_may_stand_anywhere():
    mesh = spmd.mesh("pop", DEVICES[:2])
    fn = spmd.map_population(lambda a, b, c: a + 10 * b + 100 * c, mesh, 2, shared=(0, 2))
    out = jax.jit(fn)(jnp.asarray(1), jnp.arange(4), jnp.asarray(2))
    np.testing.assert_array_equal(out, 201 + 10 * np.arange(4))


def test_a_population_that_does_not_divide_is_refused():
    fn = spmd.map_population(lambda a: a, spmd.mesh("pop", DEVICES[:4]), 1)
    with pytest.raises(ValueError, match="divisible"):
        fn(jnp.arange(6))


def quadratic(w, x):
    return jnp.square(x @ w).mean()


@pytest.mark.parametrize("check_vma", [True, False])
@pytest.mark.parametrize("has_aux", [False, True])
def test_gradient_of_four_devices_is_that_of_one(check_vma, has_aux):
    """Plain gradient steps: an optimiser that rescales would hide a factor."""
    x, w0 = jax.random.normal(jax.random.key(0), (32, 5)), jnp.ones(5)
    mesh = spmd.mesh("data", DEVICES)

    def loss(w, x):
        value = quadratic(w, x)
        return (value, {"abs": jnp.abs(x @ w).mean()}) if has_aux else value

    def step(w, x):
        out, grad = spmd.pmean_grad(loss, "data", has_aux)(w, x)
        return w - 0.1 * grad, out

    sharded = jax.jit(
        jax.shard_map(step, mesh=mesh, in_specs=(P(), P("data")), out_specs=(P(), P()), check_vma=check_vma)
    )
    w, alone = w0, w0
    for _ in range(5):
        value = quadratic(w, x)
        size = jnp.abs(x @ w).mean()
        w, out = sharded(w, x)
        alone = alone - 0.1 * jax.grad(quadratic)(alone, x)
        np.testing.assert_allclose(w, alone, rtol=0, atol=1e-6)
        np.testing.assert_allclose(out[0] if has_aux else out, value, rtol=1e-5)
        if has_aux:
            np.testing.assert_allclose(out[1]["abs"], size, rtol=1e-5)


def test_what_comes_with_a_loss_stays_on_its_device_where_asked():
    """One entry per row, beside the averaged value and gradient."""
    x, w = jax.random.normal(jax.random.key(0), (32, 5)), jnp.ones(5)
    mesh = spmd.mesh("data", DEVICES)

    def loss(w, x):
        return quadratic(w, x), x @ w

    def step(w, x):
        return spmd.pmean_grad(loss, "data", has_aux=True, local_aux=True)(w, x)

    out_specs = ((P(), P("data")), P())
    sharded = jax.shard_map(step, mesh=mesh, in_specs=(P(), P("data")), out_specs=out_specs, check_vma=False)
    (value, rows), grad = jax.jit(sharded)(w, x)
    np.testing.assert_allclose(rows, x @ w, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(value, quadratic(w, x), rtol=1e-5)
    np.testing.assert_allclose(grad, jax.grad(quadratic)(w, x), rtol=1e-5, atol=1e-5)


def test_the_idiom_that_pmean_grad_replaces_is_wrong_by_the_number_of_devices():
    """If this fails, jax has changed and `pmean_grad` can be simplified."""
    x, w = jax.random.normal(jax.random.key(0), (32, 5)), jnp.ones(5)
    mesh = spmd.mesh("data", DEVICES)

    def naive(w, x):
        return jax.lax.pmean(jax.grad(quadratic)(w, x), "data")

    out = jax.jit(jax.shard_map(naive, mesh=mesh, in_specs=(P(), P("data")), out_specs=P()))(w, x)
    np.testing.assert_allclose(out, 4 * jax.grad(quadratic)(w, x), rtol=1e-5)


def test_reductions_over_an_axis_and_without_one():
    mesh, x = spmd.mesh("data", DEVICES), jnp.arange(8.0)

    def reduce(axis):
        return lambda x: (
            spmd.mean(x.sum(), axis),
            spmd.total(x.sum(), axis),
            spmd.gather(x, axis, 0),
            spmd.largest(x.max(), axis),
        )

    alone = reduce(None)(x)
    assert alone[0] == alone[1] == 28 and alone[3] == 7
    mapped = jax.shard_map(reduce("data"), mesh=mesh, in_specs=P("data"), out_specs=P(), check_vma=False)
    mean, total, gathered, largest = jax.jit(mapped)(x)
    assert mean == 7 and total == 28 and largest == 7
    np.testing.assert_array_equal(gathered, x)
    np.testing.assert_array_equal(alone[2], x)


EXPLICIT = jax.make_mesh((4,), ("pop",))


@pytest.mark.parametrize("mesh", [EXPLICIT, spmd.mesh("pop", DEVICES)], ids=["explicit", "auto"])
@pytest.mark.parametrize("context", [True, False])
@pytest.mark.parametrize("sharded", [True, False])
def test_populations_run_on_meshes_with_explicit_axes(mesh, context, sharded):
    """What `jax.make_mesh` makes by default, given as an argument or set around the program."""
    x = jnp.arange(8.0)
    x = jax.device_put(x, jax.NamedSharding(EXPLICIT, P("pop"))) if sharded else x
    fn = jax.jit(lambda x: 3 * spmd.map_population(lambda a: 2 * a, mesh, 1)(x + 1))
    with jax.set_mesh(EXPLICIT) if context else contextlib.nullcontext():
        np.testing.assert_array_equal(fn(x), 6 * (np.arange(8.0) + 1))


@pytest.mark.parametrize("context", [True, False])
def test_data_parallel_steps_run_on_meshes_with_explicit_axes(context):
    def step(state, hyper, data):
        return {"w": state["w"] - hyper, "n": state["n"] + 1}, {"mean": spmd.mean(data.mean(), "pop")}

    algorithm = Algorithm(init=None, step=step, act=None)
    parallel = spmd.data_parallel(algorithm, EXPLICIT, {"w": P(), "n": P("pop")}, P("pop"))
    with jax.set_mesh(EXPLICIT) if context else contextlib.nullcontext():
        start = {"w": jnp.zeros(2), "n": jnp.zeros(4)}
        state, metrics = jax.jit(parallel.step)(start, jnp.float32(1), jnp.arange(8.0))
    np.testing.assert_array_equal(state["w"], [-1, -1])
    np.testing.assert_array_equal(state["n"], [1, 1, 1, 1])
    assert metrics["mean"] == 3.5


def test_another_mesh_around_the_program_is_refused():
    other = jax.make_mesh((2, 2), ("pop", "model"))
    fn = spmd.map_population(lambda a: a, spmd.mesh("pop", DEVICES), 1)
    with jax.set_mesh(other), pytest.raises(UsageError, match=r"^mesh: jax\.set_mesh .* set the same mesh$"):
        fn(jnp.arange(4))


def test_share_is_the_part_of_each_device():
    mesh, x = spmd.mesh("data", DEVICES), jnp.arange(8.0)
    mapped = jax.shard_map(
        lambda x: spmd.share(x, "data"), mesh=mesh, in_specs=P(), out_specs=P("data"), check_vma=False
    )
    np.testing.assert_array_equal(jax.jit(mapped)(x), x)
    assert spmd.share(x, None) is x
    with pytest.raises(UsageError, match="batch: 4 devices cannot share its 6 entries; take a multiple"):
        mapped(jnp.arange(6.0))


def test_alone_defines_collectives_of_an_axis_on_one_device():
    fn = spmd.alone(lambda x: spmd.gather(spmd.share(x, spmd.WORK), spmd.WORK, 0) * 2, spmd.WORK)
    x = jnp.arange(3.0)
    np.testing.assert_array_equal(jax.jit(fn)(x), 2 * x)
    assert spmd.alone(digest, None) is digest


def test_a_mesh_for_shared_members_has_two_axes():
    assert dict(spmd.mesh("pop", DEVICES, 2).shape) == {"pop": 2, "work": 2}
    assert dict(spmd.mesh("pop", DEVICES).shape) == {"pop": 4}
