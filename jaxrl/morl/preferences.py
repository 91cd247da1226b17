"""Preferences over objectives: checks, and the policy that an archive serves for each of them.

Legend: `M` preferences, `m` objectives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxrl.baselines import ppo
from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Box, Space
from jaxrl.core.tree import tree_take
from jaxrl.core.types import Array, Key, Policy, PyTree
from jaxrl.morl.archive import Archive
from jaxrl.morl.learners import acting
from jaxrl.morl.objectives import assigned
from jaxrl.nets.actor_critic import ActorCritic


def preferences(weights: Any, m: int, name: str = "preferences") -> np.ndarray:
    """Preferences float32`[M, m]`, checked: rows of the simplex.

    Raises `UsageError` that names the row for entries that are negative or not finite, sums that differ from
    1 by more than 1e-6, and rows of another length than m.
    """
    try:
        w = np.atleast_2d(np.asarray(weights, np.float64))
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name}: must be rows of {m} numbers each, got {weights!r}") from error
    if w.ndim != 2 or w.shape[1] != m or not len(w):
        raise UsageError(f"{name}: need {m} weights each, one per objective, got shape {list(w.shape)}")
    for i, row in enumerate(w):
        if not np.isfinite(row).all() or (row < 0).any():
            raise UsageError(f"{name}[{i}]: weights must be finite and >= 0, got {row.tolist()}")
        if abs(row.sum() - 1) > 1e-6:
            raise UsageError(f"{name}[{i}]: weights must add up to 1, got {row.sum():.7g}; divide by the sum")
    return w.astype(np.float32)


def observation_space(space: Space, m: int) -> dict[str, Space]:
    """What the policy of an archive reads: the observation, and a preference `[m]`."""
    return {"obs": space, "preference": Box(0.0, 1.0, (m,))}


def archive_policy(config: ppo.Config, nets: ActorCritic) -> Callable[[Archive, bool], Policy]:
    """One policy for all preferences: acts on `{"obs", "preference"}` as the member that is assigned to it.

    Returns `(archive, greedy) -> Policy`; an archive without members acts as its first slot, all zeros.
    """

    def serve(greedy: bool) -> Callable[..., tuple[PyTree, PyTree, PyTree]]:
        def act(
            policies: PyTree, returns: Array, valid: Array, key: Key, obs: PyTree, memory: PyTree
        ) -> tuple[PyTree, PyTree, PyTree]:
            chosen = assigned(returns, valid, obs["preference"])
            # leaves of a policy that was read from a file are numpy arrays
            own = tree_take(jax.tree.map(jnp.asarray, policies), chosen)
            return acting(config, nets, own, greedy).act(key, obs["obs"], memory)

        return act

    best, drawn = serve(True), serve(False)

    def policy(archive: Archive, greedy: bool) -> Policy:
        entries = archive.entries
        first = acting(config, nets, tree_take(entries.policy, 0), greedy)
        act = Partial(best if greedy else drawn, entries.policy, entries.returns, archive.valid)
        return Policy(act, first.memory)

    return policy
