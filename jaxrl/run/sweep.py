"""Sweeps of many configurations and seeds as few compiled programs.

What changes shapes or branches (the static part) makes a compile bucket; inside a bucket hyper-parameters and
seeds lie on one population axis.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Size, check_value
from jaxrl.core.prng import streams
from jaxrl.core.tree import tree_take
from jaxrl.core.types import Algorithm, Array, PyTree
from jaxrl.run.grid import texts_apart
from jaxrl.run.population import Evaluate, as_arrays
from jaxrl.run.train import Trained, check_hypers, train


@dataclasses.dataclass(frozen=True)
class Member:
    """One configuration and seed of a sweep.

    index: position in the `members` of the sweep. seed: index of the seed. bucket: the population in which it
    was trained, at `position`.
    """

    index: int
    seed: int
    static: Any
    hyper: Any
    bucket: Trained
    position: int

    @property
    def state(self) -> PyTree:
        """The state of this member, without a population axis."""
        return _take(self.bucket.state, np.int32(self.position))

    @property
    def update(self) -> np.ndarray:
        """Updates done at each log point, int[L]."""
        return self.bucket.update

    @property
    def history(self) -> dict[str, np.ndarray]:
        """Metrics of this member, name -> float32[L, ...]."""
        return {name: x[:, self.position] for name, x in self.bucket.history.items()}

    @property
    def first_bad(self) -> dict[str, int]:
        """Quantity -> index of the first update that made it non-finite, -1 if none did."""
        return {name: int(x[self.position]) for name, x in self.bucket.first_bad.items()}


_take = jax.jit(tree_take)  # one program for all members, where every leaf would be a program of its own


def member_keys(seed: int, seeds: int) -> Array:
    """Keys `[seeds]`; entry `i` depends on the root seed, in [0, 2^32), and on `i` only."""
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or not 0 <= seed < 2**32:
        raise UsageError(f"seed: must be an integer in [0, 2^32), got {seed!r}")
    return streams(jax.random.key(seed), check_value("seeds", seeds, Size))


def sweep(
    make: Callable[[Any], Algorithm],
    members: Sequence[tuple[Hashable, PyTree]],
    *,
    seeds: int,
    seed: int = 0,
    data: PyTree,
    updates: int,
    evaluate: Callable[[Any], Evaluate] | None = None,
    stage: str = "train",
    env_steps_per_update: Callable[[Any], int] | int | None = None,
    **options: Any,
) -> list[Member]:
    """Trains every `(static, hyper)` with `seeds` seeds; the result is ordered by member, then seed.

    make: the algorithm of a static part. evaluate: its evaluation. env_steps_per_update: its environment
    steps, or a number for all. data: shared by all. options: as `train`, `float64` among them.
    Members of one static part are one bucket: one program, and one stage of the run folder where there is one
    (`stage`, or `stage-<i>` where there are several).
    """
    if not members:
        raise UsageError("members: a sweep needs at least one (static, hyper)")
    for number, pair in enumerate(members):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise UsageError(f"members[{number}]: must be a pair (static, hyper), got {pair!r:.80}")
        check_hypers(pair[1])
    keys, steps = member_keys(seed, seeds), env_steps_per_update
    buckets: dict[Hashable, list[int]] = {}
    for index, (static, _) in enumerate(members):
        buckets.setdefault(static, []).append(index)
    found: dict[tuple[int, int], Member] = {}
    for number, (static, indices) in enumerate(buckets.items()):
        hypers = [members[i][1] for i in indices]
        trained = train(
            make(static),
            keys[np.tile(np.arange(seeds), len(indices))],
            stack_hypers(hypers, seeds),
            data,
            updates=updates,
            evaluate=None if evaluate is None else evaluate(static),
            env_steps_per_update=steps(static) if callable(steps) else steps,
            stage=stage if len(buckets) == 1 else f"{stage}-{number}",
            labels=_labels(hypers, seeds),
            **options,
        )
        for position, (index, s) in enumerate(itertools.product(indices, range(seeds))):
            found[index, s] = Member(index, s, static, members[index][1], trained, position)
    return [found[index, s] for index in range(len(members)) for s in range(seeds)]


def stack_hypers(hypers: Sequence[PyTree], seeds: int) -> PyTree:
    """Leaves `[len(hypers) * seeds, ...]`, each hyper repeated for its seeds."""
    rows = [jax.tree.map(np.asarray, as_arrays(h)) for h in hypers]
    try:
        return jax.tree.map(lambda *x: np.repeat(np.stack(x), seeds, axis=0), *rows)
    except ValueError as error:
        raise UsageError(
            f"hyper: members of one static part differ in structure or shape ({error})"
        ) from error


def _labels(hypers: Sequence[PyTree], seeds: int) -> list[str]:
    """`seed 3`, followed by the hyper-parameters in which members differ."""
    rows = [
        {
            jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(x).tolist()
            for path, x in jax.tree_util.tree_leaves_with_path(hyper)
        }
        for hyper in hypers
    ]
    varying = [name for name in rows[0] if any(row[name] != rows[0][name] for row in rows)]
    columns = [[f"{name}={text}" for text in texts_apart([row[name] for row in rows])] for name in varying]
    texts = [", ".join(row) for row in zip(*columns, strict=True)] or [""] * len(rows)
    return [f"seed {s} ({text})" if text else f"seed {s}" for text in texts for s in range(seeds)]
