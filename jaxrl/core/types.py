"""Records of steps, transitions, policies, metrics and algorithms.

Legend: `T` steps, `N` environments, `m` reward components, `B` population members. Index `t` carries what
happened *in* transition `t`; `next_obs` is the true successor, never a reset observation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from flax import struct
from jax.tree_util import Partial

Array = jax.Array
Key = jax.Array  # typed key, dtype `key<...>`, from `jax.random.key`
PyTree = Any

__all__ = [
    "Algorithm",
    "Array",
    "Key",
    "Mean",
    "Origin",
    "Policy",
    "PyTree",
    "Step",
    "Transition",
    "struct",
]


class Step(NamedTuple):
    """What one environment emits in one step.

    reward: float[] or float[m]; terminated: bool[], an end inside the MDP (a time limit is no part of it);
    info: fixed keys per environment, never bookkeeping of episodes.
    """

    obs: PyTree
    reward: Array
    terminated: Array
    info: dict[str, Array]


class Transition(NamedTuple):
    """The only transition record, leaves `[T, N, ...]` out of `unroll`.

    `truncated` is set only where `terminated` is not. `aux` is what the policy returned beside its action,
    `info` the entries of `Step.info` that the caller asked to keep.
    """

    obs: PyTree
    action: PyTree
    reward: Array
    next_obs: PyTree
    terminated: Array
    truncated: Array
    aux: PyTree
    info: dict[str, Array]

    @property
    def done(self) -> Array:
        """bool, the union of both ends."""
        return self.terminated | self.truncated


class Policy(NamedTuple):
    """One environment's policy: `act(key, obs, memory) -> (action, aux, memory)`.

    `memory` is what an episode starts with: `()` for feed-forward policies, a recurrent state otherwise.
    `act` of an algorithm is a `jax.tree_util.Partial` of a function that its `make` has made once, so that
    the parameters are leaves: what takes the policy is then compiled once, whatever the parameters are.
    """

    act: Callable[[Key, PyTree, PyTree], tuple[PyTree, PyTree, PyTree]]
    memory: PyTree = ()

    def as_tree(self) -> Policy:
        """The policy as an argument of compiled functions; a plain function counts as static."""
        return self if isinstance(self.act, Partial) else self._replace(act=Partial(self.act))


class Mean(NamedTuple):
    """A metric that is an average over a count which may be zero; averages of averages stay exact.

    total: float[] or float[m]; count: float[].
    """

    total: Array
    count: Array


class Origin(NamedTuple):
    """How an algorithm was made, so that its policies can be stored and made again in another process.

    module: name of the module with `Config` and `make(config, env)` or `make(config, observation_space,
    action_space)`. config: what `make` took. observation_space, action_space: what its policies read and
    return. env: the environment that `make` took, if any. standardise: arrays `(offset, scale)` where
    policies see `(obs - offset) / scale`.
    """

    module: str
    config: Any
    observation_space: Any
    action_space: Any
    env: Any = None
    standardise: tuple[Any, Any] | None = None


class Algorithm(NamedTuple):
    """A learning rule as three pure functions.

    init: `(key, hyper, data) -> state`; `state` has the fields `key` (never changes) and `updates` (int32[]).
    step: `(state, hyper, data) -> (state, metrics)`, one update; `metrics` is a flat dict of scalars,
        `[m]` vectors, or `Mean`. Scan-able, vmap-able.
    act: `(state, hyper, greedy) -> Policy`; `greedy` is a static bool.
    review: `(history) -> str | None`, a warning for the user at the end of a run, from one member's metrics,
        name -> numpy float32[L, ...]; None where there is nothing to say.
    check: `(data) -> None`, raises `UsageError` for data that the algorithm cannot be trained on; called on
        the host, where values can be looked at, before anything is compiled.
    origin: how it was made; None for an algorithm whose policies are not to be exported.
    check_hyper: `(hyper, data) -> None`, raises `UsageError` for hyper-parameters of one member that do not
        fit its data or the sizes of the algorithm; called as `check` is, after it. None where all fit.

    `hyper` is a pytree of numbers, so that every number can be vmapped; `data` is the environment's
    parameters (online) or a dataset (offline), always an argument, never a closure.
    """

    init: Callable[[Key, Any, Any], Any]
    step: Callable[[Any, Any, Any], tuple[Any, dict[str, Any]]]
    act: Callable[..., Policy]
    review: Callable[[Any], str | None] = lambda history: None
    check: Callable[[Any], None] = lambda data: None
    origin: Origin | None = None
    check_hyper: Callable[[Any, Any], None] | None = None
