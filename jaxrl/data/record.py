"""What `unroll` returned, as a `Dataset`."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxrl.core.types import Array, Transition
from jaxrl.data.dataset import Dataset, Meta


def from_unroll(
    transitions: Transition, elapsed: Array | None = None, frozen: bool = False, meta: Meta = ()
) -> Dataset:
    """Rows `n = N * T`, environment after environment, of transitions `[T, N, ...]`; can be jitted.

    elapsed: int32[N], `VecState.elapsed` before the unroll, where it continues running episodes.
    frozen: whether the unroll ran under `Freeze`; what follows the end of an episode is masked then.

    The last row of an unfinished episode counts as truncated: its successor is known, but not recorded.
    Numbers of 64 bits, as inside `jax.enable_x64(True)`, become 32.
    """
    length, n = transitions.reward.shape[:2]
    done = transitions.done  # [T, N]
    before = jnp.concatenate([jnp.zeros((1, n), bool), done[:-1]])
    t = jnp.broadcast_to(jnp.arange(length, dtype=jnp.int32)[:, None], done.shape)
    begin = jnp.zeros_like(t) if frozen else jax.lax.cummax(jnp.where(before, t, 0), axis=0)
    step = t - begin
    if elapsed is not None:
        step = step + jnp.where(begin == 0, elapsed[None], 0)
    mask = ~(jnp.cumsum(before, axis=0) > 0) if frozen else None
    cut = jnp.zeros_like(done).at[-1].set(True)

    def rows(x: Array) -> Array:
        x = jnp.swapaxes(_narrow(x), 0, 1)
        return x.reshape(n * length, *x.shape[2:])

    fields = {
        "obs": transitions.obs,
        "action": transitions.action,
        "reward": transitions.reward,
        "next_obs": transitions.next_obs,
        "terminated": transitions.terminated,
        "truncated": transitions.truncated | (cut & ~transitions.terminated),
        "step": step,
        "mask": mask,
    }
    fields = jax.tree.map(rows, fields)
    episode = jnp.repeat(jnp.arange(n, dtype=jnp.int32), length)
    if not frozen:
        # episodes that begin inside an environment's rows move all later ones on
        episode = episode + jnp.cumsum(rows(before), dtype=jnp.int32)
    return Dataset(**fields, episode=episode, meta=meta)


def _narrow(x: Array) -> Array:
    narrow = {"float64": jnp.float32, "int64": jnp.int32, "uint64": jnp.uint32}.get(x.dtype.name)
    return x if narrow is None else x.astype(narrow)
