"""Offline warm start: HF-UCRL-RFE++ that begins with transitions collected before.

The moment-0 regressions of both series begin with the multi-target ridge sums of the offline transitions,

    Gram = lambda I + sum_D sum_x phi(s, a, x) phi(s, a, x)',     b = sum_D phi(s, a, s')

(`tabular/multi_target.py`): all indicator targets at once, because features of value targets depend on values
that do not exist yet, and targets chosen after looking at the data would break the martingale argument behind
the radius. Higher moments begin empty, so the merged estimate is moved into the ellipsoids of moment 0 only:
those of the others lie around 0 until online data fill them, and with a small multiplier of the radius they
exclude the true parameter. Everything after that is HF-UCRL-RFE++ (`hf.py`).

This is neither FTPedel nor an optimal design: offline data narrow the ellipsoids, and exploration does the
rest.

Legend: `S` states, `A` actions.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Algorithm, Array, Key, PyTree
from jaxrl.data.dataset import Dataset
from jaxrl.reward_free import hf
from jaxrl.reward_free.features import form_of
from jaxrl.reward_free.regression import refactored
from jaxrl.reward_free.tabular.multi_target import sums


class Data(NamedTuple):
    """What a warm start learns from.

    mixture: the mixture, of which the learner reads features and `mu0`. counts: int32[1, S, A, S], offline
    transitions, from `offline_counts`.
    """

    mixture: PyTree
    counts: Array


def make(config: hf.Config, env: Any) -> Algorithm:
    """HF-UCRL-RFE++ with offline data; options and hyper-parameters are those of `hf`, `data` is a `Data`.

    `Config.ellipsoids` is not read: the estimate is moved into the ellipsoids of moment 0 in any case.
    """
    inner = hf.make(replace(config, ellipsoids="first"), env)

    def init(key: Key, hyper: hf.Hyper, data: Data) -> hf.State:
        return warmed(inner.init(key, hyper, data.mixture), data)

    def step(state: hf.State, hyper: hf.Hyper, data: Data) -> tuple[hf.State, dict[str, Array]]:
        return inner.step(state, hyper, data.mixture)

    def check(data: Data) -> None:
        inner.check(data.mixture)
        S, A = env.S, env.A
        if data.counts.shape != (1, S, A, S):
            raise UsageError(
                f"data.counts: shape {data.counts.shape} is not [1, S, A, S] = {(1, S, A, S)}; make them with"
                " offline_counts(dataset, S, A)"
            )

    def check_hyper(hyper: hf.Hyper, data: Data) -> None:
        inner.check_hyper(hyper, data.mixture)

    origin = inner.origin._replace(module=__name__, config=config)
    return inner._replace(init=init, step=step, check=check, check_hyper=check_hyper, origin=origin)


def warmed(state: hf.State, data: Data) -> hf.State:
    """The state of `hf` at its start, with the offline transitions in the regressions of moment 0."""
    gram, b = sums(form_of(data.mixture), data.counts)
    before = state.regressions
    regressions = refactored(
        before._replace(
            gram=before.gram.at[:, 0].add(gram.astype(before.gram.dtype)[None]),
            b=before.b.at[:, 0].add(b.astype(before.b.dtype)[None]),
        )
    )
    theta = regressions.theta[0, 0]
    return state._replace(
        regressions=regressions,
        theta=theta,
        best=state.best._replace(theta=theta),
        log_det=regressions.log_det[0, 0] + regressions.log_det[1, 0],
    )


def offline_counts(data: Dataset, S: int, A: int) -> Array:
    """Counts int32[1, S, A, S] of the transitions of a dataset of states and actions as numbers.

    Observations are states, or the dict `{"obs": state, "h": step}` of `finite_horizon`; rewards are not
    read, rows with mask False are left out. On the host.

    Raises:
        UsageError: no rows, observations or actions that are no whole numbers, states outside 0 .. S - 1,
            actions outside 0 .. A - 1.
    """
    keep = np.ones(data.size, bool) if data.mask is None else np.asarray(data.mask).astype(bool)
    if not keep.any():
        raise UsageError("dataset: has no rows; collect some, or train hf without a warm start")
    columns = {"obs": _states(data.obs), "action": data.action, "next_obs": _states(data.next_obs)}
    indices = []
    for name, size in (("obs", S), ("action", A), ("next_obs", S)):
        x = np.asarray(columns[name])
        if x.ndim != 1 or not np.issubdtype(x.dtype, np.integer):
            raise UsageError(f"dataset.{name}: {x.dtype}{list(x.shape)} is not one whole number per row")
        x = x[keep]
        if x.min() < 0 or x.max() >= size:
            bad = int(x[(x < 0) | (x >= size)][0])
            kind = "action" if name == "action" else "state"
            raise UsageError(
                f"dataset.{name}: {kind} {bad} is outside 0 .. {size - 1} of the mixture; use data of its own"
            )
        indices.append(x)
    counts = np.zeros((1, S, A, S), np.int32)
    np.add.at(counts[0], tuple(indices), 1)
    return jnp.asarray(counts)


def _states(obs: PyTree) -> Array:
    return obs["obs"] if isinstance(obs, dict) else obs
