"""Devices: meshes, population lanes, data-parallel gradients. Nobody else calls collectives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Algorithm, PyTree

P = jax.P
WORK = "work"
"""The mesh axis whose devices share the work of one member of a population."""


def mesh(axis: str = "pop", devices: Sequence[Any] | None = None, work: int | None = None) -> Mesh:
    """Mesh over `devices` (default: all), axis type Auto: Explicit axes reject unsharded inputs.

    It has the one axis, or with `work`, which divides their number, a second one, `WORK`, of that many.
    """
    found = np.asarray(jax.devices() if devices is None else devices)
    if work is None:
        return Mesh(found, (axis,), axis_types=(AxisType.Auto,))
    return Mesh(found.reshape(-1, work), (axis, WORK), axis_types=(AxisType.Auto,) * 2)


def _shard_map(
    fn: Callable[..., PyTree], mesh: Mesh, in_specs: PyTree, out_specs: PyTree
) -> Callable[..., PyTree]:
    """`jax.shard_map` without `check_vma`, on a mesh of any axis types, inside `jax.set_mesh` or outside.

    Raises `UsageError` where `jax.set_mesh` has set a mesh of other axes.
    """
    auto = Mesh(mesh.devices, mesh.axis_names, axis_types=(AxisType.Auto,) * len(mesh.axis_names))
    mapped = jax.shard_map(fn, mesh=auto, in_specs=in_specs, out_specs=out_specs, check_vma=False)
    context = jax.sharding.get_abstract_mesh()
    if not context.empty and dict(context.shape) != dict(mesh.shape):
        raise UsageError(
            f"mesh: jax.set_mesh has set one of {dict(context.shape)}, but this program runs on one of "
            f"{dict(mesh.shape)}; leave that context, or set the same mesh"
        )
    if AxisType.Explicit in context.axis_types:
        return jax.sharding.auto_axes(mapped, out_sharding=out_specs)
    return mapped


def alone(fn: Callable[..., PyTree], axis: str | None) -> Callable[..., PyTree]:
    """`fn` on one device that is the whole mesh axis, so that collectives over it are defined there.

    `axis=None` leaves the function as it is.
    """
    if axis is None:
        return fn
    return _shard_map(fn, mesh(axis, jax.local_devices()[:1]), P(), P())


def map_population(
    fn: Callable[..., PyTree], mesh: Mesh, lane: int, shared: Sequence[int] = ()
) -> Callable[..., PyTree]:
    """`fn(*member) -> out` over the leading axis `[B, ...]` of its arguments, spread over mesh axis "pop".

    Members run in lanes of fixed width `lane` (`vmap` inside, `lax.map` outside), so results do not depend on
    the number of devices. `B` must be a multiple of `lane` times the devices along "pop". Arguments whose
    position is in `shared` have no population axis. Along a second mesh axis a member's arguments and results
    are the same on all devices: `fn` may share its work among them, and has to return equal bits on each.
    """

    def local(*args: PyTree) -> PyTree:
        mapped = tuple(a for i, a in enumerate(args) if i not in shared)

        def member(own: tuple[PyTree, ...]) -> PyTree:
            rest = iter(own)
            return fn(*(a if i in shared else next(rest) for i, a in enumerate(args)))

        return jax.lax.map(member, mapped, batch_size=lane if lane > 1 else None)

    def sharded(*args: PyTree) -> PyTree:
        specs = tuple(P() if i in shared else P("pop") for i in range(len(args)))
        return _shard_map(local, mesh, specs, P("pop"))(*args)

    return sharded


def pmean_grad(
    loss: Callable[..., Any], axis: str | None, has_aux: bool = False, *, local_aux: bool = False
) -> Callable[..., Any]:
    """`value_and_grad` of `loss(params, *args)`, both averaged over the mesh axis; call inside `shard_map`.

    What comes with the value (`has_aux`) is averaged too; `local_aux` leaves it as it is on each device, for
    arrays of one entry per row.

    Replicated parameters are made device-varying first: otherwise the backward pass already sums over
    devices under `check_vma=True`, and the mean is too large by their number. `axis=None` is one device.
    """
    if axis is None:
        return jax.value_and_grad(loss, has_aux=has_aux)

    def value_and_grad(params: PyTree, *args: PyTree) -> tuple[PyTree, PyTree]:
        varying = jax.tree.map(lambda x: jax.lax.pcast(x, (axis,), to="varying"), params)
        out = jax.value_and_grad(loss, has_aux=has_aux)(varying, *args)
        if not local_aux:
            return mean(out, axis)
        (value, aux), grad = out
        return (mean(value, axis), aux), mean(grad, axis)

    return value_and_grad


def mean(tree: PyTree, axis: str | None) -> PyTree:
    """Leafwise average over a mesh axis, for shards of equal size; `axis=None` is one device."""
    return tree if axis is None else jax.lax.pmean(tree, axis)


def total(tree: PyTree, axis: str | None) -> PyTree:
    """Leafwise sum over a mesh axis; `axis=None` is one device."""
    return tree if axis is None else jax.lax.psum(tree, axis)


def share(tree: PyTree, axis: str | None) -> PyTree:
    """The device's own part of leaves `[B, ...]` that are the same everywhere; `axis=None` is one device.

    Raises `UsageError` unless the devices divide `B`.
    """
    if axis is None:
        return tree
    devices = jax.lax.axis_size(axis)

    def part(x: PyTree) -> PyTree:
        if x.shape[0] % devices:
            raise UsageError(
                f"batch: {devices} devices cannot share its {x.shape[0]} entries; take a multiple"
                " (Config.batch_size) or fewer devices"
            )
        size = x.shape[0] // devices
        return jax.lax.dynamic_slice_in_dim(x, jax.lax.axis_index(axis) * size, size)

    return jax.tree.map(part, tree)


def largest(tree: PyTree, axis: str | None) -> PyTree:
    """Leafwise maximum over a mesh axis; `axis=None` is one device."""
    return tree if axis is None else jax.lax.pmax(tree, axis)


def gather(tree: PyTree, axis: str | None, dim: int) -> PyTree:
    """Leaves of all shards joined along `dim`, the same on every device; `axis=None` is one device."""
    return tree if axis is None else jax.lax.all_gather(tree, axis, axis=dim, tiled=True)


def data_parallel(
    algorithm: Algorithm, mesh: Mesh, state_specs: PyTree, data_spec: PyTree = P()
) -> Algorithm:
    """The algorithm with `step` under `shard_map`: one run, its batch of environments over the mesh.

    state_specs, data_spec: what is sharded of the state and of the environment's parameters (prefixes);
    hyper-parameters are replicated. `algorithm` must have been made for the mesh's axis. `check_vma` is off:
    an unroll starts its sums from constants.
    """

    def step(state: PyTree, hyper: Any, data: PyTree) -> tuple[PyTree, dict[str, Any]]:
        return _shard_map(algorithm.step, mesh, (state_specs, P(), data_spec), (state_specs, P()))(
            state, hyper, data
        )

    return algorithm._replace(step=step)
