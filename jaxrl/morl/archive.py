"""Archive of policies: those of which no other is at least as good in every objective.

A record of fixed capacity on the device, so that it lives in the state of a learner, in a population and in
checkpoints. Insertion keeps, of members and candidates together, what is finite and reaches the reference
point, what nothing dominates, and of equal returns the first; where more are left than fit, those with the
largest crowding distances (one removal, a stable sort). Free slots have returns -inf and zeros elsewhere.

Legend: `C` capacity, `B` candidates, `m` objectives, `H` returns selected before.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import CorruptInput, StorageError, UsageError
from jaxrl.core.files import atomic_write
from jaxrl.core.tree import tree_take
from jaxrl.core.types import Array, Key, PyTree, struct
from jaxrl.morl.metrics import crowding

FORMAT = 1
_WITHOUT_MEMBER = ("returns", "undiscounted", "bounds")  # -inf in slots without a member, else zeros


@struct.dataclass
class Entries:
    """Policies and what they return, leaves `[n, ...]`: candidates, or the members of an archive.

    policy: pytree of parameters and observation statistics, float leaves `[n, ...]`.
    returns: float[n, m], discounted by the discount of evaluation; what the archive compares.
    undiscounted: float[n, m], the same episodes without discount.
    length: float[n], E[sum_t gamma^t] over their steps.
    bounds: float[n, m], lower bounds that the policy was trained under, -inf where there were none.
    start: int32[n], index of the learner's preference, or rank of the selected policy that it began from.
    objective: int32[n], the objective that was extended, -1 for a scalarised learner.
    round: int32[n], round of extension, or update of a scalarised learner, from 0 on.
    """

    policy: PyTree
    returns: Array
    undiscounted: Array
    length: Array
    bounds: Array
    start: Array
    objective: Array
    round: Array


@struct.dataclass
class Archive:
    """A set of at most `C` policies.

    valid: bool[C]; dropped: int32[], members that did not fit, so far; refused: int32[], candidates below the
    reference point in some objective, so far.
    """

    entries: Entries
    valid: Array
    dropped: Array
    refused: Array


def empty(policy: PyTree, m: int, capacity: int) -> Archive:
    """An archive without members for policies like `policy` (arrays or shapes, without a leading axis)."""

    def zeros(x: Any) -> Array:
        return jnp.zeros((capacity, *x.shape), x.dtype)

    none = jnp.full((capacity, m), -jnp.inf, jnp.float32)
    number, nothing = jnp.zeros(capacity, jnp.int32), jnp.zeros((), jnp.int32)
    entries = Entries(
        jax.tree.map(zeros, policy), none, none, jnp.zeros(capacity), none, number, number, number
    )
    return Archive(entries, jnp.zeros(capacity, bool), nothing, nothing)


def insert(archive: Archive, new: Entries, reference: Array, live: Array) -> Archive:
    """The archive of members and candidates together.

    new: `B` candidates; reference: float[m], which members reach in every objective; live: bool[B], False
    for padding. A candidate with a number that is not finite is left out, in its returns or its policy.
    """
    live = live & _finite(new)
    both = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), archive.entries, new)
    reached = (new.returns >= reference[None]).all(-1)
    valid = first_nondominated(both.returns, jnp.concatenate([archive.valid, live & reached]))
    capacity = len(archive.valid)
    score = crowding(both.returns, valid)
    rank = jnp.argsort(jnp.argsort(-score, stable=True), stable=True)
    kept = valid & (rank < capacity)
    place = jnp.argsort(~kept, stable=True)[:capacity]
    inside = kept[place]
    dropped = archive.dropped + jnp.sum(valid & ~kept, dtype=jnp.int32)
    refused = archive.refused + jnp.sum(live & ~reached, dtype=jnp.int32)
    return Archive(_cleared(tree_take(both, place), inside), inside, dropped, refused)


def first_nondominated(points: Array, valid: Array) -> Array:
    """bool[n], the valid rows of float[n, m] that no valid row dominates, of equal ones the first."""
    at_least = jnp.ones((len(points), len(points)), bool)  # row i in every objective at least row j
    for value in points.T:
        at_least &= value[:, None] >= value[None]
    dominates = at_least & ~at_least.T
    earlier = jnp.tri(len(points), k=-1, dtype=bool).T  # row i before row j
    worse = (dominates | (at_least & at_least.T & earlier)) & valid[:, None]
    return valid & ~worse.any(0)


def select(
    archive: Archive, n: int, before: Array, seen: Array, score: Array | None = None
) -> tuple[Array, Array]:
    """Members to extend: `(index int32[n], live bool[n])` in descending crowding distance.

    before: float[H, m], returns selected in earlier rounds, which are not selected again; seen: bool[H], rows
    of it that hold any. score: float[C] in place of the crowding distance. Where fewer than `n` are left the
    first member stands for the rest, with `live` False.
    """
    returns = archive.entries.returns
    equal = (returns[:, None] == before[None]).all(-1) & seen[None]
    eligible = archive.valid & ~equal.any(-1)
    score = crowding(returns, archive.valid) if score is None else score
    # infinite distances come first, and ineligible rows last of all
    order = jnp.lexsort((-score, ~eligible))[:n]
    live = eligible[order]
    return jnp.where(live, order, jnp.argmax(archive.valid)).astype(jnp.int32), live


def random_score(key: Key, archive: Archive) -> Array:
    """float[C], a random order of the members, for `select`."""
    return jax.random.uniform(key, archive.valid.shape)


def spread(archive: Archive, least: float = 1e-8) -> Array:
    """float[m], largest minus smallest return of the members in each objective, at least `least`."""
    returns, valid = archive.entries.returns, archive.valid[:, None]
    high = jnp.where(valid, returns, -jnp.inf).max(0)
    low = jnp.where(valid, returns, jnp.inf).min(0)
    return jnp.where(archive.valid.any(), jnp.maximum(high - low, least), 1.0)


def check_reference(archive: Archive, reference: Any) -> str | None:
    """What the reference point `[m]` left out, as a line for the user; None where it left nothing out.

    On the host, for one archive. Raises `UsageError` where no member exceeds it in every objective: such an
    archive dominates no volume.
    """
    found = members(archive)
    reference = np.asarray(reference, found.returns.dtype)
    empty = int((~(found.returns > reference).all(-1)).sum())
    refused, total = int(archive.refused), len(found.returns)
    if total == empty:
        what = f"none of {total} members exceeds" if total else f"none of {refused} candidates reaches"
        raise UsageError(f"reference: {what} {reference.tolist()} in every objective; choose a lower one")
    if not refused and not empty:
        return None
    return (
        f"reference {reference.tolist()}: {refused} candidates below it were left out,"
        f" {empty} of {total} members lie on it and dominate no volume"
    )


def members(archive: Archive) -> Entries:
    """The members alone, on the host: numpy leaves `[n, ...]`. For one archive, not for a population."""
    valid = np.asarray(archive.valid)
    return jax.tree.map(lambda x: np.asarray(x)[valid], archive.entries)


def save(path: Path | str, archive: Archive, record: dict[str, Any]) -> None:
    """Writes the members into an npz file, with `record` (JSON values: environment, task) beside them.

    Raises `StorageError` where the file cannot be written.
    """
    found = members(archive)
    leaves = jax.tree_util.tree_leaves_with_path(found)
    arrays = {jax.tree_util.keystr(where, simple=True, separator="."): np.asarray(x) for where, x in leaves}
    counts = {"dropped": int(archive.dropped), "refused": int(archive.refused)}
    header = {"format": FORMAT, "record": record, **counts}
    buffer = io.BytesIO()
    np.savez(buffer, header=np.array(json.dumps(header, sort_keys=True)), **arrays)
    try:
        atomic_write(path, buffer.getvalue())
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror}); choose another folder") from error


def load(path: Path | str, like: Archive, record: dict[str, Any]) -> Archive:
    """The archive that `save` wrote, in the capacity of `like`, an archive or its shapes.

    Raises `UsageError` for an archive of another record or of policies with other shapes, and where `like`
    has too few slots; `CorruptInput` for a file that is damaged or is no archive.
    """
    header, arrays = _read(path)
    for name in sorted({*record, *header["record"]}):
        theirs, ours = header["record"].get(name), record.get(name)
        if theirs != ours:
            raise UsageError(f"{path}: {name} of the archive is {theirs!r}, expected {ours!r}; load its own")
    shapes, structure = jax.tree_util.tree_flatten_with_path(like.entries)
    names = [jax.tree_util.keystr(where, simple=True, separator=".") for where, _ in shapes]
    if sorted(arrays) != sorted(names):
        raise UsageError(f"{path}: holds policies of another structure; use the learner that they come from")
    leaves, n, capacity = [], len(arrays["returns"]), like.valid.shape[0]
    if n > capacity:
        raise UsageError(f"capacity: must be >= {n}, the members of {path}, got {capacity}")
    for name, (_, free) in zip(names, shapes, strict=True):
        found = arrays[name]
        if found.shape[1:] != free.shape[1:]:
            raise UsageError(
                f"{path}: {name} has shape {list(found.shape[1:])}, expected {list(free.shape[1:])};"
                " use the learner that the archive comes from"
            )
        # in numpy, since every number of members would compile programs of its own
        slots = np.full(free.shape, -np.inf if name in _WITHOUT_MEMBER else 0, free.dtype)
        slots[:n] = found
        leaves.append(jnp.asarray(slots))
    counts = (jnp.asarray(np.int32(header[name])) for name in ("dropped", "refused"))
    return Archive(jax.tree.unflatten(structure, leaves), jnp.asarray(np.arange(capacity) < n), *counts)


def _read(path: Path | str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(str(arrays.pop("header")))
        if header["format"] != FORMAT or not isinstance(header["record"], dict):
            raise ValueError(f"format {header['format']!r} is not {FORMAT}")
        header |= {name: int(header[name]) for name in ("dropped", "refused")}
    except FileNotFoundError as error:
        raise UsageError(f"{path}: there is no such archive") from error
    except Exception as error:  # zip, zlib, numpy and json each have their own classes
        raise CorruptInput(f"{path}: is no archive that can be read ({error})") from error
    return header, arrays


def _finite(new: Entries) -> Array:
    """bool[B], whether all numbers of a candidate's policy and returns are finite."""
    leaves = [new.returns, new.undiscounted, *jax.tree.leaves(new.policy)]
    flags = [jnp.isfinite(x).reshape(len(x), -1).all(-1) for x in leaves]
    return jnp.stack(flags).all(0)


def _cleared(entries: Entries, valid: Array) -> Entries:
    """Entries with returns and bounds -inf and zeros elsewhere in slots that are not valid."""

    def mask(x: Array, free: float = 0.0) -> Array:
        shape = (len(valid),) + (1,) * (x.ndim - 1)
        return jnp.where(valid.reshape(shape), x, jnp.asarray(free, x.dtype))

    cleared = jax.tree.map(mask, entries)
    none = {name: mask(getattr(entries, name), -jnp.inf) for name in _WITHOUT_MEMBER}
    return cleared.replace(**none)
