"""Log-determinants: the information of noisy measurements of a Gaussian process.

Legend: `V` places, `c` the capacity, `n` items of a ground set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Size, check_fields
from jaxrl.core.types import Array
from jaxrl.envs.sets.protocol import check_shape, indices_below


class LogDetParams(NamedTuple):
    """Parameters of `LogDet`.

    kernel: float[V, V], positive semidefinite; noise: float[], the variance sigma^2 > 0.
    """

    kernel: Array
    noise: Array


class LogDetStat(NamedTuple):
    """Statistic of `LogDet`: a Cholesky factor.

    columns: float[c, c], row j is column j of the Cholesky factor of K + sigma^2 I over `items` int32[c],
    that of the identity in unused rows.

    count: int32[]; value: float[].
    """

    items: Array
    columns: Array
    count: Array
    value: Array


class LogDetTable(NamedTuple):
    """A whole ground set beside the statistic of `LogDet`.

    rows: float[c, n], row j is what measurement j explains of each item of a ground set, 0 in unused rows;
    left: float[n], posterior variance + sigma^2 of each item.
    """

    rows: Array
    left: Array


@dataclass(frozen=True)
class LogDet:
    """F(S) = 1/2 log det(I + K_SS / sigma^2), the information of noisy measurements; revisits measure again.

    A gain costs O(c |S|). By default K is the identity and sigma^2 is 1; check your own parameters with
    `kernel_params`. Gradients in K and sigma^2 are of both modes.
    """

    n_items: Size
    """Number of places V."""
    capacity: Size
    """Most items of an episode, horizon + 1; the gain of any further item is NaN."""

    def __post_init__(self) -> None:
        check_fields(self)

    def default_params(self) -> LogDetParams:
        """The identity as kernel, and noise 1."""
        dtype = jnp.result_type(float)
        return LogDetParams(jnp.eye(self.n_items, dtype=dtype), jnp.ones((), dtype))

    def holds(self, items: Any) -> np.ndarray:
        """bool[n], which items are places."""
        return indices_below(items, self.n_items)

    def init(self, params: LogDetParams) -> LogDetStat:
        """The statistic of no measurements. Raises `UsageError` for a kernel of another size."""
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
        """The factor with one row more, and the gain."""
        row, gain = self._row(params, stat, item)
        after = LogDetStat(
            items=stat.items.at[stat.count].set(jnp.asarray(item, jnp.int32)),
            columns=stat.columns.at[:, stat.count].set(row),
            count=stat.count + 1,
            value=stat.value + gain,
        )
        return after, gain

    def value(self, params: LogDetParams, stat: LogDetStat) -> Array:
        """The sum of the gains."""
        return stat.value

    def features(self, params: LogDetParams, stat: LogDetStat) -> Array:
        """float[V], how often each item was measured: all that F remembers."""
        taken = jnp.arange(self.capacity) < stat.count
        return jnp.zeros(params.kernel.shape[:1], params.kernel.dtype).at[stat.items].add(taken)

    def table(self, params: LogDetParams, ground: Array) -> LogDetTable:
        """The table of the empty set for the items `ground` int[n]."""
        prior = params.kernel[ground, ground] + params.noise
        return LogDetTable(jnp.zeros((self.capacity, len(prior)), prior.dtype), prior)

    def table_scores(self, params: LogDetParams, stat: LogDetStat, table: LogDetTable) -> tuple[Array, Array]:
        """`(scores float[n], slack float[])`: scores order the items as their gains do, up to the slack.

        The score is posterior variance + sigma^2. Scores and gains round differently, so that only items
        whose scores differ by more than the slack have gains in the same order.
        """
        prior = jnp.max(jnp.diagonal(params.kernel)) + params.noise
        return table.left, 8 * jnp.finfo(prior.dtype).eps * (stat.count + 1) * prior

    def table_add(
        self, params: LogDetParams, stat: LogDetStat, table: LogDetTable, ground: Array, i: Array
    ) -> LogDetTable:
        """The table of S + item i of `ground`, in O(c n) (Chen, Zhang, Zhou, NeurIPS 2018, section 3).

        stat: of S.
        """
        # products are summed without a dot, which accelerators round to fewer digits
        explained = jnp.sum(table.rows[:, i, None] * table.rows, axis=0)
        row = (params.kernel[ground[i], ground] - explained) / jnp.sqrt(table.left[i])
        left = jnp.maximum(table.left - row**2, params.noise)
        return LogDetTable(table.rows.at[stat.count].set(row), left)

    def _row(self, params: LogDetParams, stat: LogDetStat, item: Array) -> tuple[Array, Array]:
        """The new row of L `[c]`, and the gain."""
        at = jnp.arange(self.capacity)
        k = jnp.where(at < stat.count, params.kernel[stat.items, item], 0)

        y = _solve(stat.columns, jnp.minimum(stat.count, self.capacity), k)
        schur = params.kernel[item, item] + params.noise - jnp.sum(y * y)
        # rounding may take the posterior variance below 0, where it is 0 in exact arithmetic
        schur = jnp.maximum(schur, params.noise)
        gain = jnp.where(stat.count < self.capacity, 0.5 * jnp.log(schur / params.noise), jnp.nan)
        return jnp.where(at == stat.count, jnp.sqrt(schur), y), gain


def _solve(columns: Array, count: Array, k: Array) -> Array:
    """Y [c] of L y = k [c], where column j of L is `columns[j]`, that of the identity from `count` on.

    Substitution in as many steps as there are measurements, written out because batched LAPACK calls spread
    over several CPU devices can deadlock. A loop of that kind has no derivative of its own in reverse mode.
    """
    at = jnp.arange(columns.shape[0])

    def product(y: Array) -> Array:
        return jnp.sum(columns * y[:, None], axis=0)  # without a dot, as in `LogDet.table_add`

    def forward(_: Any, k: Array) -> Array:
        def eliminate(j: Array, y: Array) -> Array:
            column = columns[j]
            y_j = y[j] / column[j]
            return jnp.where(at == j, y_j, y - y_j * column)

        return jax.lax.fori_loop(0, count, eliminate, k)

    def backward(_: Any, y: Array) -> Array:
        def eliminate(i: Array, z: Array) -> Array:
            j = count - 1 - i
            column = columns[j]
            rest = jnp.sum(jnp.where(at == j, 0, column * z))  # the column is 0 above j
            return jnp.where(at == j, (z[j] - rest) / column[j], z)

        return jax.lax.fori_loop(0, count, eliminate, y)

    return jax.lax.custom_linear_solve(product, k, forward, backward)


def kernel_params(kernel: Any, noise: float) -> LogDetParams:
    """Parameters of `LogDet` in the default dtype, checked on the host.

    Raises `UsageError` unless K is symmetric, positive semidefinite and finite, and the noise is > 0, both
    also in that dtype. What rounding in the precision of `kernel` explains is let through, but no eigenvalue
    below -noise / 10.
    """
    given = np.asarray(kernel)
    kernel = given.astype(np.float64)
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1]:
        raise UsageError(f"kernel_params.kernel: shape {kernel.shape} is not [V, V]")
    if not np.all(np.isfinite(kernel)):
        raise UsageError("kernel_params.kernel: has entries that are not finite")
    cast = cast_params(kernel, noise, "kernel_params")
    precision = np.finfo(given.dtype if given.dtype.kind == "f" else np.float64).eps
    rounding = 10 * precision * len(kernel) * np.abs(kernel).max()
    if np.abs(kernel - kernel.T).max() > rounding:
        raise UsageError("kernel_params.kernel: must be symmetric")
    # below -noise the matrix of measurements itself would be indefinite
    if np.linalg.eigvalsh(kernel).min() < -min(rounding, noise / 10):
        raise UsageError("kernel_params.kernel: has a negative eigenvalue; pass a covariance matrix")
    return cast


def cast_params(kernel: np.ndarray, noise: float, name: str) -> LogDetParams:
    """`kernel` float64[V, V] and `noise` in the default dtype; `name` begins what is raised.

    Raises `UsageError` unless the noise is > 0 and the largest variance over the noise is finite, after the
    cast.
    """
    dtype = jnp.result_type(float)
    if np.asarray(noise).dtype.kind not in "biuf":
        raise UsageError(f"{name}.noise: must be > 0 and finite in {dtype}, got {noise!r}")
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        kernel, sigma2 = np.asarray(kernel).astype(dtype), np.asarray(noise).astype(dtype)
        if sigma2.shape != () or not np.finfo(dtype).tiny <= sigma2 < np.inf:
            raise UsageError(f"{name}.noise: must be > 0 and finite in {dtype}, got {noise}")
        if not np.isfinite(np.abs(kernel).max(initial=0) / sigma2):
            raise UsageError(
                f"{name}.kernel: the largest entry over the noise is not finite in {dtype}; rescale"
            )
    return LogDetParams(jnp.asarray(kernel), jnp.asarray(sigma2))
