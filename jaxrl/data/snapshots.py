"""Policies saved along TRPO training by openai/imitation (Ho and Ermon 2016): HDF5, one group per iteration.

    x = (obs - mean) / (sqrt(max(mean square - mean^2, 0)) + 1e-6)
    h = tanh(tanh(x W_0 + b_0) W_2 + b_2)
    h W + b: logits ("GibbsPolicy"), or the mean of a normal that has a log standard deviation per action
    coordinate ("GaussianPolicy")

Legend: `k` observation features, `p` logits or action coordinates.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxrl.core.errors import CorruptInput
from jaxrl.core.types import Array, Key, Policy, PyTree, struct
from jaxrl.data import safe

_KINDS = {"GibbsPolicy": False, "GaussianPolicy": True}
_NAME = re.compile(r"snapshots/iter(\d+)/(\w+)/(.+)")
_LAYERS = (
    "hidden/FeedforwardNet/layer_0/AffineLayer",
    "hidden/FeedforwardNet/layer_2/AffineLayer",
    "out/AffineLayer",
)
_MOMENTS = ("obsnorm/Standardizer/mean_1_D", "obsnorm/Standardizer/meansq_1_D")
_LOG_STD = "logstdevs_1_Da"


@struct.dataclass
class Snapshot:
    """One policy, float32.

    mean, scale: [k], observations become (obs - mean) / scale; weights, biases: of the three layers,
    [in, out] and [out]; log_std: [p], None for categorical policies.
    """

    mean: Array
    scale: Array
    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    log_std: Array | None


def read(path: Path | str, limit: int = safe.LIMIT) -> dict[int, Snapshot]:
    """The snapshots of a file by iteration, in order; `CorruptInput` for other files.

    limit: bytes of all arrays of one snapshot.
    """
    groups: dict[int, tuple[str, set[str]]] = {}
    for name in safe.names_hdf5(path):
        if (match := _NAME.fullmatch(name)) and match[2] in _KINDS:
            prefix = name.removesuffix("/" + match[3])
            groups.setdefault(int(match[1]), (prefix, set()))[1].add(match[3])
    if not groups:
        raise CorruptInput(
            f"{path}: has no group 'snapshots/iter...'; give a file of openai/imitation policies"
        )
    return {iteration: _snapshot(path, *groups[iteration], limit) for iteration in sorted(groups)}


def training_log(path: Path | str, limit: int = safe.LIMIT) -> dict[str, np.ndarray]:
    """The columns of the training log, e.g. `iter` and `ret` (mean return of the sampled policy).

    limit: bytes of the log.
    """
    table = safe.read_hdf5(path, ("log",), limit)["log"]
    if not table.dtype.names:
        raise CorruptInput(f"{path}: 'log' has no columns; give a file of openai/imitation policies")
    return {name: table[name] for name in table.dtype.names}


def policy(snapshot: Snapshot, *, greedy: bool = False) -> Policy:
    """The policy of one snapshot for observations float[k]; actions int32[] or float32[p], not clipped."""
    return Policy(Partial(_best if greedy else _drawn, snapshot))


def _best(snapshot: Snapshot, key: Key, obs: Array, memory: PyTree) -> tuple[Array, PyTree, PyTree]:
    out = _output(snapshot, obs)
    return out if snapshot.log_std is not None else jnp.argmax(out).astype(jnp.int32), (), memory


def _drawn(snapshot: Snapshot, key: Key, obs: Array, memory: PyTree) -> tuple[Array, PyTree, PyTree]:
    out = _output(snapshot, obs)
    if snapshot.log_std is None:
        return jax.random.categorical(key, out).astype(jnp.int32), (), memory
    return out + jnp.exp(snapshot.log_std) * jax.random.normal(key, out.shape), (), memory


def _output(snapshot: Snapshot, obs: Array) -> Array:
    """Logits, or the mean of the action."""
    h = (obs.astype(jnp.float32) - snapshot.mean) / snapshot.scale
    for w, b in zip(snapshot.weights[:-1], snapshot.biases[:-1], strict=True):
        h = jnp.tanh(h @ w + b)
    return h @ snapshot.weights[-1] + snapshot.biases[-1]


def _snapshot(path: Path | str, prefix: str, present: set[str], limit: int) -> Snapshot:
    gaussian = _KINDS[prefix.rpartition("/")[2]]
    wanted = [*_MOMENTS, *(f"{layer}/{part}" for layer in _LAYERS for part in "Wb")]
    wanted += [_LOG_STD] if gaussian else []
    if missing := sorted(set(wanted) - present):
        raise CorruptInput(f"{path}: {prefix} has no {missing[0]}; give a file of openai/imitation policies")
    found = safe.read_hdf5(path, [f"{prefix}/{name}" for name in wanted], limit)
    raw = {name: found[f"{prefix}/{name}"].astype(np.float64) for name in wanted}
    for name, x in raw.items():
        if not np.isfinite(x).all():
            raise CorruptInput(f"{path}: {prefix}/{name} is not finite; fetch the file again")
    mean, square = (raw[name].reshape(-1) for name in _MOMENTS)
    weights = [raw[f"{layer}/W"] for layer in _LAYERS]
    biases = [raw[f"{layer}/b"].reshape(-1) for layer in _LAYERS]
    sizes = [len(mean), *(len(b) for b in biases)]
    shapes = [w.shape for w in weights]
    if len(square) != len(mean) or shapes != list(itertools.pairwise(sizes)):
        raise CorruptInput(f"{path}: {prefix} has layers {shapes} for {sizes} units; fetch the file again")
    log_std = raw[_LOG_STD].reshape(-1) if gaussian else None
    if log_std is not None and len(log_std) != sizes[-1]:
        raise CorruptInput(f"{path}: {prefix} has {len(log_std)} standard deviations for {sizes[-1]} actions")
    scale = np.sqrt(np.maximum(square - mean**2, 0)) + 1e-6
    snapshot = Snapshot(mean, scale, tuple(weights), tuple(biases), log_std)
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), snapshot)
