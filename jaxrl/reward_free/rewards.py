"""The class R of rewards whose sum along every trajectory is at most 1, its members by name, and a battery of
them.

    R = { r >= 0 : sum_h max_(s, a) r_h(s, a) <= 1 }

Its extreme points are 0 and the rewards that pay 1 in a set of pairs at one stage. They attain the suprema of
value differences, which are convex in the reward. Planning errors are not convex, because the planned policy
changes with the reward, so that no battery is a worst case: see `theory.exact.planning_error`.

A goal that pays at every visit is not in R: pay at one stage (`one_shot`) or 1 / H per stage (`per_step`).

Legend: `H` stages, `S` states, `A` actions. Stages count from 0. Rewards are float[H, S, A].
"""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array, Key

ALL_SETS = 6  # states up to which the battery holds every set
STAGE_CONCENTRATION = 0.3
ROUNDING = 1e-6


def check_reward(reward: Array, H: int, S: int, A: int) -> None:
    """Raise UsageError unless `reward` float[H, S, A] is in the class R.

    Names shape, stage and pair; where the stage maxima add up to more than 1, every stage and pair that has
    one.
    """
    if np.shape(reward) != (H, S, A):
        raise UsageError(f"reward: shape {np.shape(reward)} is not [H, S, A] = [{H}, {S}, {A}]")
    values = np.asarray(reward, np.float64)
    for bad, what in ((~np.isfinite(values), "is not finite"), (values < 0, "is negative")):
        if bad.any():
            h, s, a = (int(i) for i in np.argwhere(bad)[0])
            raise UsageError(f"reward: at stage {h}, state {s}, action {a} it {what} ({values[h, s, a]:g})")
    pairs = values.reshape(H, -1)
    largest = pairs.max(-1)
    if largest.sum() <= 1 + ROUNDING:
        return
    where = [
        f"{largest[h]:.4g} at stage {h}, state {i // A}, action {i % A}"
        for h, i in enumerate(pairs.argmax(-1).tolist())
        if largest[h] > 0
    ]
    shown = "; ".join(where[:5]) + (f"; and {len(where) - 5} more stages" if len(where) > 5 else "")
    raise UsageError(
        f"reward: its stage maxima add up to {largest.sum():.6g}, {largest.sum() - 1:.3g} more than 1"
        f" ({shown}); divide it by that sum, or pay at one stage"
    )


def one_shot(H: int, stage: int, pairs: Array) -> Array:
    """The extreme point that pays 1 at one stage in the pairs where `pairs` bool or float[S, A] is 1."""
    if not isinstance(stage, int | np.integer) or not 0 <= stage < H:
        raise UsageError(f"stage: must be a whole number in 0 .. {H - 1}, got {stage!r}")
    return jnp.zeros((H, *pairs.shape), jnp.result_type(float)).at[stage].set(pairs)


def per_step(H: int, pairs: Array) -> Array:
    """The reward that pays 1 / H at every stage in the pairs where `pairs` bool or float[S, A] is 1."""
    return jnp.broadcast_to(jnp.asarray(pairs, jnp.result_type(float)) / H, (H, *pairs.shape))


def random_rewards(key: Key, n: int, H: int, S: int, A: int) -> Array:
    """`[n, H, S, A]`, Dirichlet(0.3) weights of stages times uniform numbers in [0, 1] for pairs."""
    stages, pairs = jax.random.split(key)
    weight = jax.random.dirichlet(stages, jnp.full(H, STAGE_CONCENTRATION), (n,))
    return weight[:, :, None, None] * jax.random.uniform(pairs, (n, H, S, A))


def battery(key: Key, H: int, S: int, A: int, n_random: int = 32) -> Array:
    """`[n, H, S, A]`: one-shot rewards of every stage for every state, up to 6 states for every set of them,
    then `n_random` random ones.
    """
    rows = list(itertools.product((0, 1), repeat=S))[1:] if S <= ALL_SETS else np.eye(S).tolist()
    sets = np.broadcast_to(np.asarray(rows, float)[:, :, None], (len(rows), S, A))
    fixed = np.zeros((H, len(rows), H, S, A))
    fixed[np.arange(H), :, np.arange(H)] = sets
    drawn = random_rewards(key, n_random, H, S, A)
    return jnp.concatenate([jnp.asarray(fixed.reshape(-1, H, S, A), drawn.dtype), drawn])
