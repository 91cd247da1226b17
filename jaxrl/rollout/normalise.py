"""Running statistics of observations and returns.

Every function is pure: statistics that an update started with stay what they are until the caller replaces
them, after the unroll *and* the update that read them. Standardised observations are then the same when the
policy acted and when it is differentiated, so that the first probability ratio of an update is 1.

Legend: `T` steps, `N` environments, `m` reward components.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array, PyTree, struct

# int32 counts stop here, far from overflow: later batches then weigh size / 2^30
MAX_COUNT = 2**30


@struct.dataclass
class RunningMoments:
    """Mean and variance of every entry of a pytree.

    mean, var: trees of float arrays; leaves that are not floats (indices, pixels) pass `normalise` unchanged.
    count: int32[], rows seen, saturating at 2^30.
    """

    mean: PyTree
    var: PyTree
    count: Array

    @classmethod
    def zeros(cls, example: PyTree) -> RunningMoments:
        """Nothing seen: mean 0, variance 1. `example`: one row (arrays or shapes), without a batch axis."""
        mean = jax.tree.map(lambda x: jnp.zeros(x.shape, _float(x)), example)
        return cls(mean, jax.tree.map(jnp.ones_like, mean), jnp.zeros((), jnp.int32))

    def update(self, rows: PyTree) -> RunningMoments:
        """Moments that include `rows`; all leading axes beyond those of the example are batch axes.

        Raises `UsageError` for no rows, rows of another shape than the example, and more than 2^30 - 1 rows.
        """
        jax.tree.map(_check_rows, self.mean, rows)
        flat = jax.tree.map(lambda m, x: x.reshape(-1, *m.shape).astype(m.dtype), self.mean, rows)
        size = jax.tree.leaves(flat)[0].shape[0]
        if size >= MAX_COUNT:
            raise UsageError(f"rows: {size} rows in one batch; at most 2^30 - 1 can be counted")
        mean = jax.tree.map(lambda x: x.mean(0), flat)
        var = jax.tree.map(lambda x: x.var(0), flat)
        return merge(self, RunningMoments(mean, var, jnp.full((), size, jnp.int32)))

    def normalise(self, x: PyTree, clip: float = 10.0) -> PyTree:
        """`(x - mean) / std`, clipped to +-`clip`, leafwise; any leading axes."""

        def standardise(x: Array, mean: Array, var: Array) -> Array:
            if not jnp.issubdtype(x.dtype, jnp.floating):
                return x
            mean, std = _lead(mean, x), _lead(jnp.sqrt(var + 1e-8), x)
            return jnp.clip((x - mean) / std, -clip, clip)

        return jax.tree.map(standardise, x, self.mean, self.var)


def merge(a: RunningMoments, b: RunningMoments) -> RunningMoments:
    """Moments of both samples together (Chan, Golub, LeVeque 1979), in the order-free Welford form.

    delta = mean_b - mean_a;   mean = mean_a + w delta;   var = (1 - w) var_a + w var_b + w (1 - w) delta^2,
    w = n_b / (n_a + n_b)
    """
    count = jnp.minimum(a.count, MAX_COUNT - 1) + jnp.minimum(b.count, MAX_COUNT - 1)

    def weight(x: Array) -> Array:
        return (b.count / jnp.maximum(count, 1)).astype(x.dtype)

    mean = jax.tree.map(lambda p, q: p + weight(p) * (q - p), a.mean, b.mean)
    var = jax.tree.map(
        lambda u, v, p, q: (1 - weight(u)) * u + weight(u) * (v + (1 - weight(u)) * (q - p) ** 2),
        a.var,
        b.var,
        a.mean,
        b.mean,
    )
    return RunningMoments(mean, var, jnp.minimum(count, MAX_COUNT))


@struct.dataclass
class ReturnScale:
    """Divides rewards by the running standard deviation of the discounted return.

    running: float[N] or [N, m], discounted sum of each environment's current episode.
    moments: of that sum, over all steps seen.
    """

    running: Array
    moments: RunningMoments

    @classmethod
    def zeros(cls, reward: jax.ShapeDtypeStruct, n: int) -> ReturnScale:
        """Nothing seen (scale 1): `reward` of one environment, `n` environments."""
        return cls(jnp.zeros((n, *reward.shape), reward.dtype), RunningMoments.zeros(reward))

    def update(self, reward: Array, done: Array, gamma: float | Array) -> ReturnScale:
        """Statistics that include a window `reward` `[T, N]` or `[T, N, m]`, `done` bool`[T, N]`.

        R_t = gamma R_{t-1} (1 - done_{t-1}) + r_t, so that nothing of an episode enters the next one.
        """
        running, totals = _discounted_sums(self.running, reward, done, gamma)
        return ReturnScale(running, self.moments.update(totals))

    def scale(self, reward: Array, clip: float = 10.0) -> Array:
        """`reward / std`, clipped to +-`clip`; any leading axes. The sign and zero of rewards are kept."""
        std = jnp.sqrt(self.moments.var + 1e-8)
        return jnp.clip(reward / _lead(std, reward), -clip, clip)


# jitted, because a scan outside of jit compiles at every call; inlined where the caller is traced
@partial(jax.jit, inline=True)
def _discounted_sums(running: Array, reward: Array, done: Array, gamma: float | Array) -> tuple[Array, Array]:
    def body(running: Array, row: tuple[Array, Array]) -> tuple[Array, Array]:
        reward, done = row
        total = gamma * running + reward
        return jnp.where(_trail(done, total), 0, total), total

    return jax.lax.scan(body, running, (reward, done))


def _float(x: Array) -> jnp.dtype:
    return x.dtype if jnp.issubdtype(x.dtype, jnp.floating) else jnp.result_type(float)


def _lead(stat: Array, x: Array) -> Array:
    """`stat` with leading axes of size 1 up to the rank of `x`."""
    return stat.reshape((1,) * (x.ndim - stat.ndim) + stat.shape)


def _trail(mask: Array, x: Array) -> Array:
    """`mask` with trailing axes of size 1 up to the rank of `x`."""
    return mask.reshape(mask.shape + (1,) * (x.ndim - mask.ndim))


def _check_rows(mean: Array, rows: Array) -> None:
    batch = jnp.ndim(rows) - mean.ndim
    if batch < 1 or rows.shape[batch:] != mean.shape:
        raise UsageError(f"rows: shape {rows.shape}; give batches of rows of shape {mean.shape}")
    if not rows.size:
        raise UsageError("rows: there are none; give at least one")
