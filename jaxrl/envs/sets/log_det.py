"""Log-determinants: the information of noisy measurements of a Gaussian process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError, check_sizes
from jaxrl.core.types import Array
from jaxrl.envs.base import real
from jaxrl.envs.sets.protocol import check_shape


class LogDetParams(NamedTuple):
    """kernel: float[V, V], positive semidefinite; noise: float[], the variance sigma^2 > 0."""

    kernel: Array
    noise: Array


class LogDetStat(NamedTuple):
    """columns: float[n, n], row j is column j of the Cholesky factor of K + sigma^2 I over `items` int32[n],
    that of the identity in unused rows.

    count: int32[]; value: float[].
    """

    items: Array
    columns: Array
    count: Array
    value: Array


@dataclass(frozen=True)
class LogDet:
    """F(S) = 1/2 log det(I + K_SS / sigma^2), the information of noisy measurements; revisits measure again.

    capacity: most items of an episode, horizon + 1; the gain of any further item is NaN. O(capacity^2) per
    step.
    By default K is the identity and sigma^2 is 1; check your own with `kernel_params`.
    """

    n_items: int
    capacity: int

    def __post_init__(self) -> None:
        check_sizes(self, "n_items", "capacity")

    def default_params(self) -> LogDetParams:
        """See the class."""
        return LogDetParams(jnp.eye(self.n_items, dtype=jnp.result_type(float)), real(1.0))

    def init(self, params: LogDetParams) -> LogDetStat:
        """No rows. Raises `UsageError` for a kernel of another size."""
        check_shape(self, "kernel", params.kernel, (self.n_items, self.n_items))
        dtype = params.kernel.dtype
        return LogDetStat(
            items=jnp.zeros(self.capacity, jnp.int32),
            columns=jnp.eye(self.capacity, dtype=dtype),
            count=jnp.zeros((), jnp.int32),
            value=jnp.zeros((), dtype),
        )

    def gain(self, params: LogDetParams, stat: LogDetStat, item: Array) -> Array:
        """1/2 log(1 + posterior variance / sigma^2)."""
        return self._row(params, stat, item)[1]

    def add(self, params: LogDetParams, stat: LogDetStat, item: Array) -> tuple[LogDetStat, Array]:
        """One row more."""
        row, gain = self._row(params, stat, item)
        after = LogDetStat(
            items=stat.items.at[stat.count].set(item),
            columns=stat.columns.at[:, stat.count].set(row),
            count=stat.count + 1,
            value=stat.value + gain,
        )
        return after, gain

    def value(self, params: LogDetParams, stat: LogDetStat) -> Array:
        """Sum of the gains."""
        return stat.value

    def features(self, params: LogDetParams, stat: LogDetStat) -> Array:
        """float[V], how often each item was measured: all that F remembers."""
        taken = jnp.arange(self.capacity) < stat.count
        return jnp.zeros(params.kernel.shape[:1], params.kernel.dtype).at[stat.items].add(taken)

    def _row(self, params: LogDetParams, stat: LogDetStat, item: Array) -> tuple[Array, Array]:
        """The new row of L `[n]`, and the gain."""
        at = jnp.arange(self.capacity)
        k = jnp.where(at < stat.count, params.kernel[stat.items, item], 0)

        def eliminate(y: Array, row: tuple[Array, Array]) -> tuple[Array, None]:
            j, column = row
            y_j = y[j] / column[j]
            return jnp.where(at == j, y_j, y - y_j * column), None

        # forward substitution L y = k, written out because batched LAPACK calls spread over several CPU
        # devices can deadlock
        y, _ = jax.lax.scan(eliminate, k, (at, stat.columns))
        schur = params.kernel[item, item] + params.noise - jnp.sum(y * y)
        # rounding may take the posterior variance below 0, where it is 0 in exact arithmetic
        schur = jnp.maximum(schur, params.noise)
        gain = jnp.where(stat.count < self.capacity, 0.5 * jnp.log(schur / params.noise), jnp.nan)
        return jnp.where(at == stat.count, jnp.sqrt(schur), y), gain


def kernel_params(kernel: Any, noise: float) -> LogDetParams:
    """Host check of `LogDet` parameters; raises `UsageError` unless K is symmetric and PSD and noise > 0.

    What rounding in the precision of `kernel` explains is let through, but no eigenvalue below -noise / 10.
    """
    given = np.asarray(kernel)
    kernel = given.astype(np.float64)
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1]:
        raise UsageError(f"kernel_params.kernel: shape {kernel.shape} is not [V, V]")
    if not np.all(np.isfinite(kernel)):
        raise UsageError("kernel_params.kernel: has entries that are not finite")
    if not noise > 0:
        raise UsageError(f"kernel_params.noise: must be > 0, got {noise}")
    precision = np.finfo(given.dtype if given.dtype.kind == "f" else np.float64).eps
    rounding = 10 * precision * len(kernel) * np.abs(kernel).max()
    if np.abs(kernel - kernel.T).max() > rounding:
        raise UsageError("kernel_params.kernel: must be symmetric")
    # below -noise the matrix of measurements itself would be indefinite
    if np.linalg.eigvalsh(kernel).min() < -min(rounding, noise / 10):
        raise UsageError("kernel_params.kernel: has a negative eigenvalue; pass a covariance matrix")
    return LogDetParams(jnp.asarray(kernel, jnp.result_type(float)), real(noise))
