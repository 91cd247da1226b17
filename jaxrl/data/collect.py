"""Datasets recorded from policies: on compiled environments, and on those of the host."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Size, check_value
from jaxrl.core.prng import check_key
from jaxrl.core.spaces import Space, sample
from jaxrl.core.types import Key, Policy, PyTree
from jaxrl.data.dataset import Dataset, Meta, from_arrays
from jaxrl.data.episodes import drop_padding
from jaxrl.data.record import from_unroll
from jaxrl.envs.base import Env, HasTimeLimit
from jaxrl.rollout.host import host_evaluate, reset_of, step_of
from jaxrl.rollout.unroll import Freeze, check_policy, start, unroll


def collect(
    env: Env,
    policy: Policy,
    key: Key,
    params: PyTree,
    *,
    episodes: int,
    limit: int | None = None,
    meta: Meta = (),
) -> Dataset:
    """`episodes` whole episodes, one after another, with the actions as they were taken.

    limit: steps, by default the environment's own limit. Compiled once per environment, number of episodes,
    limit and function of the policy, see `Policy`.

    Raises `UsageError` if `episodes` or `limit` is below 1, if there is no limit at all, for a function in
    place of a `Policy`, and a key that is not one typed key.
    """
    check_policy(policy)
    check_key(key)
    if limit is None:
        if not isinstance(env, HasTimeLimit):
            raise UsageError(f"limit: {env.name} has no time limit of its own; pass the number of steps")
        limit = int(env.time_limit(params))
    episodes, limit = check_value("episodes", episodes, Size), check_value("limit", limit, Size)
    data = _recorded(env, policy.as_tree(), key, params, episodes=episodes, limit=limit)
    return drop_padding(data).replace(meta=meta)


def recorded(env: Env, policy: Policy, key: Key, params: PyTree, *, episodes: int, limit: int) -> Dataset:
    """`collect` inside a program: `limit` rows for every episode, those after its end masked."""
    episodes, limit = check_value("episodes", episodes, Size), check_value("limit", limit, Size)
    k_start, k_run = jax.random.split(key)
    vec = start(env, policy, k_start, params, episodes)
    rows = unroll(env, policy, vec, k_run, params, length=limit, limit=limit, reset=Freeze())[1]
    return from_unroll(rows, frozen=True)


_recorded = jax.jit(recorded, static_argnames=("env", "episodes", "limit"))


def host_collect(
    make_env: Callable[[], Any],
    policy: Callable[[PyTree], Policy],
    policy_params: PyTree,
    key: Key,
    *,
    episodes: int,
    limit: int | None = None,
    action_space: Space | None = None,
    meta: Meta = (),
) -> Dataset:
    """`episodes` whole episodes of environments with gymnasium's interface; arguments as `host_evaluate`.

    Observations and actions may be dicts and tuples, rewards vectors. All environments exist at once.
    action_space: refuses actions outside of it.
    """
    made: list[_Recorder] = []
    if not callable(make_env):
        raise UsageError(f"make_env: must be a function that makes one, got {make_env!r:.80}")

    def make() -> _Recorder:
        made.append(_Recorder(make_env()))
        return made[-1]

    host_evaluate(make, policy, policy_params, key, episodes=episodes, limit=limit)
    rows = [row for env in made for row in env.finished()]
    if len(structures := {jax.tree.structure(row) for row in rows}) > 1:
        raise UsageError(f"make_env: rows differ in structure: {' and '.join(sorted(map(str, structures)))}")
    fields = jax.tree.map(lambda *x: np.stack(x), *rows)
    reward_dim = fields["reward"].shape[1] if fields["reward"].ndim == 2 else None
    return from_arrays(
        fields, action_space=action_space, reward_dim=reward_dim, source="host_collect", meta=meta
    )


class _Recorder:
    """One episode of an environment, kept row by row."""

    def __init__(self, env: Any) -> None:
        self.env, self.spec, self.rows = env, getattr(env, "spec", None), []

    def reset(self, seed: int) -> tuple[Any, dict]:
        self.obs, info = reset_of(self.env, seed)
        return self.obs, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict]:
        out = step_of(self.env, action)
        ends = {"terminated": bool(out[2]), "truncated": bool(out[3]) and not out[2]}
        row = {
            "obs": self.obs,
            "action": action,
            "reward": np.asarray(out[1], np.float32),
            "next_obs": out[0],
        }
        self.rows.append({name: _copied(tree) for name, tree in (row | ends).items()})
        self.obs = out[0]
        return out

    def finished(self) -> list[dict[str, Any]]:
        """The rows; an episode that was left unfinished counts as truncated."""
        self.rows[-1]["truncated"] = ~self.rows[-1]["terminated"]
        return self.rows

    def close(self) -> None:
        self.env.close()


def _copied(tree: Any) -> PyTree:
    """Arrays of their own, in plain dicts and tuples; whatever else an environment returns is an array."""
    if isinstance(tree, Mapping):
        return {name: _copied(part) for name, part in tree.items()}
    return tuple(map(_copied, tree)) if isinstance(tree, tuple) else np.array(tree)


@functools.lru_cache(maxsize=16)
def uniform(env: Env) -> Policy:
    """Actions uniform over the action space; the same function for equal environments."""
    return Policy(lambda key, obs, memory: (sample(env.action_space, key), (), memory))
