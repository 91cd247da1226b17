"""Devices: meshes, population lanes, data-parallel gradients. Nobody else calls collectives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh

from jaxrl.core.types import Algorithm, PyTree

P = jax.P


def mesh(axis: str = "pop", devices: Sequence[Any] | None = None) -> Mesh:
    """One-axis mesh over `devices` (default: all), axis type Auto: Explicit axes reject unsharded inputs."""
    devices = jax.devices() if devices is None else devices
    return Mesh(np.asarray(devices), (axis,), axis_types=(AxisType.Auto,))


def map_population(
    fn: Callable[..., PyTree], mesh: Mesh, lane: int, shared: Sequence[int] = ()
) -> Callable[..., PyTree]:
    """`fn(*member) -> out` over the leading axis `[B, ...]` of its arguments, spread over mesh axis "pop".

    Members run in lanes of fixed width `lane` (`vmap` inside, `lax.map` outside), so results do not depend on
    the number of devices. `B` must be a multiple of `devices * lane`. Arguments whose position is in `shared`
    have no population axis.
    """

    def local(*args: PyTree) -> PyTree:
        mapped = tuple(a for i, a in enumerate(args) if i not in shared)

        def member(own: tuple[PyTree, ...]) -> PyTree:
            rest = iter(own)
            return fn(*(a if i in shared else next(rest) for i, a in enumerate(args)))

        return jax.lax.map(member, mapped, batch_size=lane if lane > 1 else None)

    def sharded(*args: PyTree) -> PyTree:
        specs = tuple(P() if i in shared else P("pop") for i in range(len(args)))
        return jax.shard_map(local, mesh=mesh, in_specs=specs, out_specs=P("pop"), check_vma=False)(*args)

    return sharded


def pmean_grad(loss: Callable[..., Any], axis: str, has_aux: bool = False) -> Callable[..., Any]:
    """`value_and_grad` of `loss(params, *args)`, both averaged over the mesh axis; call inside `shard_map`.

    Replicated parameters are made device-varying first: otherwise the backward pass already sums over
    devices under `check_vma=True`, and the mean is too large by their number.
    """

    def value_and_grad(params: PyTree, *args: PyTree) -> tuple[PyTree, PyTree]:
        varying = jax.tree.map(lambda x: jax.lax.pcast(x, (axis,), to="varying"), params)
        out = jax.value_and_grad(loss, has_aux=has_aux)(varying, *args)
        return jax.tree.map(lambda x: jax.lax.pmean(x, axis), out)

    return value_and_grad


def mean(tree: PyTree, axis: str | None) -> PyTree:
    """Leafwise average over a mesh axis, for shards of equal size; `axis=None` is one device."""
    return tree if axis is None else jax.lax.pmean(tree, axis)


def total(tree: PyTree, axis: str | None) -> PyTree:
    """Leafwise sum over a mesh axis; `axis=None` is one device."""
    return tree if axis is None else jax.lax.psum(tree, axis)


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
        return jax.shard_map(
            algorithm.step,
            mesh=mesh,
            in_specs=(state_specs, P(), data_spec),
            out_specs=(state_specs, P()),
            check_vma=False,
        )(state, hyper, data)

    return algorithm._replace(step=step)
