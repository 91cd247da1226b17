"""Evaluations of algorithms that learn from a dataset."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jaxrl.core.types import Algorithm, Array, Key, PyTree
from jaxrl.envs.base import Env
from jaxrl.rollout.evaluate import evaluate


def offline_returns(
    algorithm: Algorithm, env: Env, episodes: int, *, sampled: bool = False
) -> Callable[..., dict[str, Array]]:
    """`(key, state, hyper, data) -> {"eval/return": float[]}`: how a driver evaluates a member, in `env`.

    The mean return of the greedy policy over `episodes` episodes; with `sampled` also `eval/sampled`, that of
    the policy whose actions are drawn, from the same starts. The dataset is not used.
    """
    policies = {"eval/return": True} | ({"eval/sampled": False} if sampled else {})

    def evaluation(key: Key, state: PyTree, hyper: Any, data: PyTree) -> dict[str, Array]:
        params = env.default_params()
        return {
            name: evaluate(
                env, algorithm.act(state, hyper, greedy), key, params, episodes=episodes
            ).returns.mean()
            for name, greedy in policies.items()
        }

    return evaluation
