"""Updates of one member, counted, averaged, and stopped at the first number that is not finite.

A member's `Window` travels with its state: sums of the metrics since the last log point, and for every
watched quantity the index of the first update that broke it. Functions are of one member, inside the compiled
program, unless they say otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Algorithm, Array, Mean, PyTree

UNWATCHED = {"vec", "buffer"}  # simulators may hold sentinels, and buffers are too large to read


class Window(NamedTuple):
    """Sums of one member since the last log point, and when its quantities broke.

    metrics: name -> sums since the last log point; first_bad: name -> int32[], -1 while finite.
    """

    metrics: dict[str, Mean]
    first_bad: dict[str, Any]


class Step:
    """`algorithm.step` with metrics as `Mean`s, traced once however many programs call it.

    names: metric names in the order in which the algorithm lists them (a traced dict is sorted), known after
    the first trace. That order decides which of several quantities broken by one update is named.
    """

    def __init__(self, algorithm: Algorithm) -> None:
        self.names: tuple[str, ...] = ()

        def step(state: PyTree, hyper: PyTree, data: PyTree) -> tuple[PyTree, dict[str, Mean]]:
            state, metrics = checked_pair(algorithm.step(state, hyper, data))
            self.names = tuple(metrics)
            return state, {name: _as_mean(value) for name, value in metrics.items()}

        self.call = jax.jit(step)


def checked_pair(pair: Any) -> tuple[PyTree, dict[str, Any]]:
    """The pair that `Algorithm.step` returned; UsageError unless it is `(state, flat dict of metrics)`."""
    if not isinstance(pair, tuple) or len(pair) != 2 or not isinstance(pair[1], dict):
        raise UsageError(f"Algorithm.step: returns {type(pair).__name__}, not (state, dict of metrics)")
    for name, value in pair[1].items():
        if not isinstance(value, Mean) and not jax.tree_util.all_leaves([value]):
            raise UsageError(f"Algorithm.step: metric {name!r} is a {type(value).__name__}; give an array")
    return pair


def check_state(before: PyTree, after: PyTree) -> None:
    """Raise UsageError where an update changes structure, shapes or dtypes of the state."""
    old, new = (jax.tree_util.tree_flatten_with_path(tree)[0] for tree in (before, after))
    if jax.tree.structure(before) != jax.tree.structure(after):
        raise UsageError("Algorithm.step: the state has another structure than that of `init`; keep it")
    for (path, x), (_, y) in zip(old, new, strict=True):
        if (x.shape, x.dtype) != (y.shape, y.dtype):
            name = jax.tree_util.keystr(path)
            raise UsageError(
                f"Algorithm.step: state{name} is {y.dtype}{list(y.shape)}, after"
                f" {x.dtype}{list(x.shape)} in `init`; keep shape and dtype"
            )


def empty_window(step: Step, state: PyTree, hyper: PyTree, data: PyTree) -> Window:
    """Zero sums and no broken quantity, for the metrics that one update of this member would have."""
    after, metrics = jax.eval_shape(step.call, state, hyper, data)
    check_state(state, after)
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), metrics)
    return Window(zeros, {name: jnp.full((), -1, jnp.int32) for name in [*metrics, *watched(after)]})


def advance(
    step: Step, freeze: bool
) -> Callable[[PyTree, Window, PyTree, Array, PyTree, Array, Array], tuple[PyTree, Window]]:
    """One member's `count` updates: `(state, window, hyper, live, data, count, fresh) -> (state, window)`.

    count: int32[], dynamic, so that one program serves every distance to the next log point and results
    cannot depend on how updates are grouped. fresh: bool[], whether the sums start anew. live: bool[], False
    for padding, which does nothing. With `freeze` a member does nothing after its first broken update. In a
    lane wider than one all members take every step, and those that do nothing keep their state by a selection
    at every update; buffers are too large for it and go on being written, which nothing reads.
    """

    def member(
        state: PyTree, window: Window, hyper: PyTree, live: Array, data: PyTree, count: Array, fresh: Array
    ) -> tuple[PyTree, Window]:
        metrics = jax.tree.map(lambda x: jnp.where(fresh, jnp.zeros_like(x), x), window.metrics)

        def works(window: Window) -> Array:
            return live & (is_good(window.first_bad) if freeze else True)

        def goes_on(carry: tuple[Array, PyTree, Window]) -> Array:
            i, _, window = carry
            return (i < count) & _anyone(works(window))

        def body(carry: tuple[Array, PyTree, Window]) -> tuple[Array, PyTree, Window]:
            i, before, window = carry
            state, new = step.call(before, hyper, data)
            first_bad = mark(window.first_bad, broken(state, new), before.updates)
            after = Window(jax.tree.map(jnp.add, window.metrics, new), first_bad)
            return i + 1, *_taken(works(window), state, after, before, window)

        start = (jnp.zeros((), jnp.int32), state, Window(metrics, window.first_bad))
        _, state, window = jax.lax.while_loop(goes_on, body, start)
        return state, window

    return member


@jax.custom_batching.custom_vmap
def _anyone(flag: Array) -> Array:
    """Whether any member of the lane has its flag set, bool[]: one for all, so a loop selects nothing."""
    return flag


@_anyone.def_vmap
def _anyone_of_lane(size: int, batched: list[bool], flag: Array) -> tuple[Array, bool]:
    return jnp.any(flag), False


@jax.custom_batching.custom_vmap
def _taken(
    works: Array, state: PyTree, window: Window, before: PyTree, window_before: Window
) -> tuple[PyTree, Window]:
    """What a member holds after an update; alone it takes no update that it does not use."""
    return state, window


@_taken.def_vmap
def _taken_in_lane(size: int, batched: list[Any], works: Array, *trees: PyTree) -> tuple[PyTree, Any]:
    axes = [jax.tree.map(lambda b: 0 if b else None, tree) for tree in batched]

    def select(works: Array, *trees: PyTree) -> tuple[PyTree, Window]:
        state, window, before, window_before = trees

        def choose(new: Array, old: Array) -> Array:
            return jnp.where(works, new, old)

        def choose_leaf(path: tuple[Any, ...], new: Array, old: Array) -> Array:
            return new if _decisive(path) == "buffer" else choose(new, old)

        chosen = jax.tree_util.tree_map_with_path(choose_leaf, state, before)
        return chosen, jax.tree.map(choose, window, window_before)

    out = jax.vmap(select, axes, axis_size=size)(works, *trees)
    return out, jax.tree.map(lambda _: True, out)


def is_good(first_bad: dict[str, Array]) -> Array:
    """Whether nothing broke yet, bool[]."""
    return jnp.all(jnp.stack(list(first_bad.values())) < 0)


def mark(first_bad: dict[str, Array], now: dict[str, Array], update: Array) -> dict[str, Array]:
    """Records `update`, int32[], for the quantities that are broken `now`, bool[], and were not before."""
    return {name: jnp.where((bad < 0) & now[name], update, bad) for name, bad in first_bad.items()}


def broken(state: PyTree, metrics: dict[str, Mean]) -> dict[str, Array]:
    """Name -> bool[]: metrics and parameters that are not finite, other state that is NaN."""
    found = {name: ~jnp.all(jnp.isfinite(value.total)) for name, value in metrics.items()}
    for name, leaves in watched(state).items():
        found[name] = _any([~jnp.isfinite(x) if finite else jnp.isnan(x) for x, finite in leaves])
    return found


def _any(flags: list[Array]) -> Array:
    """Whether any flag is set, bool[]; a maximum of bytes takes a fifth of the time of `jnp.any` on a CPU."""
    together: dict[tuple[int, ...], Array] = {}
    for x in flags:
        together[x.shape] = together[x.shape] | x if x.shape in together else x
    return jnp.any(jnp.stack([jnp.max(x.astype(jnp.uint8), initial=0) > 0 for x in together.values()]))


def watched(state: PyTree) -> dict[str, list[tuple[Any, bool]]]:
    """Top-level field -> its floating leaves, each with whether infinity is refused too (parameters).

    Fields whose names are in `UNWATCHED` are left out at any depth, but not inside of parameters.
    """
    found: dict[str, list[tuple[Any, bool]]] = {}
    for path, x in jax.tree_util.tree_leaves_with_path(state):
        decisive = _decisive(path)
        if decisive not in UNWATCHED and jnp.issubdtype(x.dtype, jnp.floating):
            found.setdefault(jax.tree_util.keystr(path[:1], simple=True), []).append((x, bool(decisive)))
    return found


def _decisive(path: tuple[Any, ...]) -> str:
    """The first field on the way to a leaf that is unwatched or holds parameters, "" where none is."""
    fields = [jax.tree_util.keystr((entry,), simple=True) for entry in path]
    return next((f for f in fields if f in UNWATCHED or "params" in f), "")


def parameters(state: PyTree) -> dict[str, list[Any]]:
    """Top-level field -> its parameter leaves, which a checkpoint must hold finite."""
    named = {name: [x for x, finite in leaves if finite] for name, leaves in watched(state).items()}
    return {name: leaves for name, leaves in named.items() if leaves}


def diverged(first_bad: dict[str, np.ndarray]) -> np.ndarray:
    """Members of which any quantity broke, bool[B] on the host."""
    return np.any(np.stack(list(first_bad.values())) >= 0, axis=0)


def _as_mean(value: Any) -> Mean:
    """A metric as a `Mean`; scalars and vectors count once per update."""
    if isinstance(value, Mean):
        return Mean(jnp.asarray(value.total, jnp.float32), jnp.asarray(value.count, jnp.float32))
    return Mean(jnp.asarray(value, jnp.float32), jnp.ones((), jnp.float32))
