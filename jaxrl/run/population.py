"""The members of a run on devices: padding, placing, compiled programs, fetching.

Results do not depend on the number of devices or processes, because members run in lanes of fixed width
(`core.spmd.map_population`) and always on two devices or more where there are any: XLA simplifies a program
of one partition in another order, and the last bits differ (measured: PPO after 3 updates, Adam after one).
Padding repeats member 0, does no updates, and is dropped again; it holds a second state, replay memory
included, on a device of its own.

Devices may share the work of each member along a second mesh axis, `core.spmd.WORK`, on which its state is
replicated: an algorithm made with `axis=WORK` takes its share by the device's index and gathers the rest, so
that its whole state is the same on every device, as in an evolution strategy. PPO, SAC and TD3 split their
environments over an axis instead and run under `core.spmd.data_parallel`, never on `WORK`.

Algorithms and environments must not call LAPACK on batches (`jnp.linalg`, `jax.scipy.linalg`) inside a
population: on two CPU devices or more such a call can wait for ever for threads that wait in the same call
(jaxlib 0.10.2). Use `core.linear`. Of what is not ours, the `generalized` and `mjx` back-ends of Brax make
such calls in every step, so that populations on them belong on accelerators, or on one CPU device.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding

from jaxrl.core.errors import UsageError
from jaxrl.core.prng import stream
from jaxrl.core.spmd import WORK, P, alone, map_population, mesh
from jaxrl.core.types import Algorithm, Array, Key, PyTree
from jaxrl.run import contract, distributed, guard, identity
from jaxrl.run.checkpoint import Checkpoints

Evaluate = Callable[[Key, PyTree, PyTree, PyTree], dict[str, Array]]


@dataclass(frozen=True)
class Population:
    """`size` members in lanes of `lane`, over the devices of `mesh`."""

    size: int
    lane: int
    mesh: Mesh

    @classmethod
    def create(
        cls, size: int, lane: int, devices: Sequence[Any] | None, work: int | None = None
    ) -> Population:
        """A population over `devices` (default: all), over no more of them than lanes need, and two at least.

        work: devices that share a member; None where the algorithm shares nothing. Raises UsageError where
        there are fewer devices, or several processes with a number of devices that it does not divide.
        """
        devices, each = list(jax.devices() if devices is None else devices), work or 1
        if len(devices) < each or (jax.process_count() > 1 and len(devices) % each):
            raise UsageError(
                f"work: {work} devices are to share each member, and there are {len(devices)}; choose a"
                " number that divides it, or on CPUs ask for more devices (--devices)"
            )
        groups = len(devices) // each
        if jax.process_count() == 1:
            groups = min(groups, max(-(-2 // each), -(-size // lane)))
        return cls(size, lane, mesh("pop", devices[: groups * each], work))

    @property
    def work(self) -> int | None:
        """Devices that share a member, None where the algorithm shares nothing."""
        return self.mesh.shape.get(WORK)

    @property
    def groups(self) -> int:
        """Parts of the population that run beside each other."""
        return self.mesh.shape["pop"]

    @property
    def padded(self) -> int:
        """Members that the devices run."""
        block = self.groups * self.lane
        return -(-self.size // block) * block

    @property
    def live(self) -> np.ndarray:
        """bool[padded], False for padding."""
        return np.arange(self.padded) < self.size

    @property
    def spread(self) -> NamedSharding:
        """The sharding with the leading axis over the devices."""
        return NamedSharding(self.mesh, P("pop"))

    @property
    def everywhere(self) -> NamedSharding:
        """The sharding with a copy on every device."""
        return NamedSharding(self.mesh, P())

    def map(
        self, member: Callable[..., PyTree], shared: Sequence[int] = (), donate: Sequence[int] = ()
    ) -> Callable[..., PyTree]:
        """`member` over the population, compiled; arguments in `shared` have no population axis."""
        return jax.jit(map_population(member, self.mesh, self.lane, shared), donate_argnums=tuple(donate))

    def put(self, tree: PyTree) -> PyTree:
        """Leaves `[size, ...]`, held in full by every process, padded and spread over the devices."""
        index = np.where(self.live, np.arange(self.padded), 0)
        padded = jax.tree.map(lambda x: x if self.padded == self.size else x[index], tree)
        return distributed.put(padded, self.spread)

    def share(self, tree: PyTree) -> PyTree:
        """Leaves copied to every device."""
        return distributed.put(tree, self.everywhere)

    def drop(self, tree: PyTree) -> PyTree:
        """Leaves `[padded, ...]` without the padding."""
        if self.padded == self.size:
            return tree
        return _first(tree, self.size)

    def pad(self, tree: PyTree) -> PyTree:
        """Inverse of `drop`, for global arrays."""
        if self.padded == self.size:
            return tree
        return _with_padding(tree, self.padded, self.spread)


@functools.partial(jax.jit, static_argnums=1)
def _first(tree: PyTree, size: int) -> PyTree:
    return jax.tree.map(lambda x: x[:size], tree)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _with_padding(tree: PyTree, padded: int, sharding: NamedSharding) -> PyTree:
    """Leaves `[size, ...]` as `[padded, ...]`, the first one repeated at the end."""

    def pad(x: Array) -> Array:
        index = np.where(np.arange(padded) < x.shape[0], np.arange(padded), 0)
        return jax.lax.with_sharding_constraint(x[index], sharding)

    return jax.tree.map(pad, tree)


class Members:
    """The members of one run: their placed arguments and the three programs over them.

    Arguments as in `train`. Raises UsageError where keys, hypers or data have no population axis.
    """

    def __init__(
        self,
        algorithm: Algorithm,
        evaluate: Evaluate | None,
        population: Population,
        keys: Array,
        hypers: PyTree,
        data: PyTree,
        shared_data: bool,
        freeze: bool,
    ) -> None:
        hypers, data = as_arrays(hypers), as_arrays(data)
        check_axis("hypers", hypers, population.size)
        if not shared_data:
            check_axis("data", data, population.size)
        self.population, self.shared_data = population, shared_data
        self.algorithm, self.step = algorithm, guard.Step(algorithm)
        self._record = _record(population, keys, hypers, data)

        def first(key: Key, hyper: PyTree, data: PyTree) -> PyTree:
            return algorithm.init(jax.random.split(key)[0], hyper, data)

        self.keys, self.hypers = population.put(keys), population.put(hypers)
        self.data = population.share(data) if shared_data else population.put(data)
        self._live = distributed.put(population.live, population.spread)
        common = (lambda *positions: positions) if shared_data else (lambda _, *positions: positions)
        # one member at a time: jaxlib 0.10.2 blocks for ever when a batched LAPACK call (the QR of orthogonal
        # weights) waits for pool threads that all wait in the same call on other devices
        self._init = replace(population, lane=1).map(first, common(2))
        self._blank = population.map(partial(guard.empty_window, self.step), common(2))
        self._updates = guard.advance(self.step, freeze)
        self._shared_arguments = common(4, 5, 6)
        self._advance = self._program(population)
        self._measure = None if evaluate is None else _measuring(evaluate)
        self._evaluate = None
        if self._measure is not None:
            self._evaluate = population.map(_where_live(self._measure), common(4, 5))
        with _sharing_as_declared(population.work):
            self._state = jax.eval_shape(self._init, self.keys, self.hypers, self.data)
            contract.check_state(algorithm, jax.tree.map(_one, self._state))
            self._window = jax.eval_shape(self._blank, self._state, self.hypers, self.data)
        if population.work is not None:
            self._require_sharing()

    def _require_sharing(self) -> None:
        """Raises UsageError where an update knows nothing of the devices that are to share it.

        Outside of their mesh axis only such an update can be traced.
        """
        state, hyper = (jax.tree.map(_one, tree) for tree in (self._state, self.hypers))
        data = jax.tree.map(_whole if self.shared_data else _one, self.data)
        with contextlib.suppress(NameError):
            jax.eval_shape(self.algorithm.step, state, hyper, data)
            raise UsageError(
                "work: the algorithm is not made for shared work; make it with axis=jaxrl.core.spmd.WORK, or"
                " leave work out"
            )

    def _program(self, population: Population) -> Any:
        return population.map(self._updates, self._shared_arguments, donate=(0,))

    def memory(self, lane: int) -> tuple[float, float]:
        """Bytes per device of the updates in lanes of `lane`: (arguments and results, temporary arrays).

        Padding counts as members do: one member on two devices takes what two take. Nothing is allocated;
        the number of members and the devices stay as they are.
        """
        own = self.population
        population = Population.create(own.size, lane, list(own.mesh.devices.flat), own.work)

        def padded(x: Any) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct(
                (population.padded, *x.shape[1:]), x.dtype, sharding=population.spread
            )

        def whole(x: Any) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=population.everywhere)

        members = (self._state, self._window, self.hypers, self._live)
        data = jax.tree.map(whole if self.shared_data else padded, self.data)
        arguments = (*jax.tree.map(padded, members), data, np.int32(0), np.bool_(False))
        found = self._program(population).lower(*arguments).compile().memory_analysis()
        held = found.argument_size_in_bytes + found.output_size_in_bytes - found.alias_size_in_bytes
        return held, found.temp_size_in_bytes

    def init(self) -> PyTree:
        """States `[padded, ...]` at the start."""
        return self._init(self.keys, self.hypers, self.data)

    def empty_window(self, state: PyTree) -> guard.Window:
        """Windows `[padded, ...]` at the start."""
        return self._blank(state, self.hypers, self.data)

    def advance(
        self, state: PyTree, window: guard.Window, count: int, fresh: bool
    ) -> tuple[PyTree, guard.Window]:
        """`count` updates of every member; `state` is donated. See `guard.advance`."""
        args = (state, window, self.hypers, self._live, self.data, np.int32(count), np.bool_(fresh))
        return self._advance(*args)

    def evaluate(self, state: PyTree, update: int) -> dict[str, Array] | None:
        """What `evaluate` returns, `[padded, ...]`; None where there is nothing to evaluate."""
        if self._evaluate is None:
            return None
        return self._evaluate(self._live, self.keys, state, self.hypers, self.data, np.int32(update))

    def fetch(self, tree: PyTree) -> PyTree:
        """Numpy leaves `[size, ...]`, in every process; waits for the devices."""
        return jax.tree.map(lambda x: x[: self.population.size], distributed.fetch(tree))

    def restore(self, checkpoints: Checkpoints, step: int, manifest: dict) -> tuple[PyTree, guard.Window]:
        """State and windows `[padded, ...]` of a verified checkpoint."""
        population = self.population
        even = population.padded == population.size
        sharding = population.spread if even else population.everywhere
        like = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct((population.size, *x.shape[1:]), x.dtype, sharding=sharding),
            {"state": self._state, "window": self._window},
        )
        tree = population.pad(checkpoints.restore(step, manifest, like))
        return tree["state"], tree["window"]

    def alone(self, function: Callable[..., PyTree]) -> Callable[..., PyTree]:
        """A function of one member, on one device that does all of its work."""
        return alone(function, None if self.population.work is None else WORK)

    @functools.cached_property
    def identity(self) -> dict[str, Any]:
        """Everything that decides the results: lane, keys, hyper-parameters, data, programs."""
        key, state, hyper = jax.tree.map(_one, (self.keys, self._state, self.hypers))
        data = jax.tree.map(_whole if self.shared_data else _one, self.data)
        programs = {
            "init": identity.program(self.alone(self.algorithm.init), key, hyper, data),
            "step": identity.program(self.alone(self.step.call), state, hyper, data),
        }
        if self._measure is not None:
            update = jax.ShapeDtypeStruct((), jnp.int32)
            measure = self.alone(self._measure)
            programs["evaluate"] = identity.program(measure, key, state, hyper, data, update)
        made_from = identity.configurations(self.algorithm)
        return self._record | {"algorithm": made_from, "program": programs}


def _record(population: Population, keys: Array, hypers: PyTree, data: PyTree) -> dict[str, Any]:
    """The part of a run's identity that its arguments decide, as JSON values."""
    return {
        "lane": population.lane,
        "members": population.size,
        "prng": str(jax.random.key_impl(keys)),
        "keys": identity.digest(keys),
        "data": identity.digest(data),
        "hypers": {
            jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(x).tolist()
            for path, x in jax.tree_util.tree_leaves_with_path(hypers)
        },
    }


def _measuring(evaluate: Evaluate) -> Callable[..., PyTree]:
    """The evaluation of one member after `update` updates, with a key of its own."""

    @jax.jit
    def measure(key: Key, state: PyTree, hyper: PyTree, data: PyTree, update: Array) -> PyTree:
        return evaluate(stream(jax.random.split(key)[1], update), state, hyper, data)

    return measure


def _where_live(measure: Callable[..., PyTree]) -> Callable[..., PyTree]:
    """`measure` for members that are live, and zeros for padding."""

    def measure_live(live: Array, *args: PyTree) -> PyTree:
        blank = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(measure, *args))
        return jax.lax.cond(live, measure, lambda *_: blank, *args)

    return measure_live


def _one(x: Any) -> jax.ShapeDtypeStruct:
    """A leaf `[B, ...]` of one member, abstractly."""
    return jax.ShapeDtypeStruct(x.shape[1:], x.dtype)


def _whole(x: Any) -> jax.ShapeDtypeStruct:
    """A leaf that all members share, abstractly."""
    return jax.ShapeDtypeStruct(x.shape, x.dtype)


@contextlib.contextmanager
def _sharing_as_declared(work: int | None) -> Iterator[None]:
    """Names the option where an algorithm asks for the mesh axis `WORK` and there is none."""
    try:
        yield
    except NameError as error:
        if work is None and str(error).endswith(f"axis name: {WORK}"):
            raise UsageError(
                "work: the algorithm shares the work of a member; give train(..., work=1), or make it without"
                " axis=WORK"
            ) from error
        raise


def as_arrays(tree: PyTree) -> PyTree:
    """Leaves as strongly typed jax arrays: Python numbers would make weak types and a second trace."""
    return jax.tree.map(lambda x: x if isinstance(x, Array) else jnp.asarray(np.asarray(x)), tree)


def check_axis(name: str, tree: PyTree, size: int) -> None:
    """Raise UsageError where a leaf lacks the population axis `[size, ...]`."""
    for path, x in jax.tree_util.tree_leaves_with_path(tree):
        if x.ndim == 0 or x.shape[0] != size:
            leaf = name + jax.tree_util.keystr(path)
            fix = " (`jaxrl.run.sweep.stack_hypers` repeats them)" if name == "hypers" else ""
            raise UsageError(
                f"{leaf}: shape {x.shape} has no population axis of {size} members;"
                f" give one value per member{fix}"
            )
