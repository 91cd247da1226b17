"""Ranges of the inputs that a rule met over lifetimes, and where its certificate leaves them.

Outside of the range that it met in training, a network says what nobody has selected. `met` lives lifetimes
of the training task with the rule and keeps the least and the largest value of every feature; `outside` is
the share of the points of a certificate at which a feature lies beyond. Drifts are looked at on all steps of
an update after every epoch, with advantages standardised over the update; rules for targets on every window.

Legend: `F` features of a rule, in the order of `Objective.features`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.baselines import ppo
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Size, check_value
from jaxrl.core.prng import stream
from jaxrl.core.types import Array, Key, PyTree
from jaxrl.envs.base import Env
from jaxrl.meta import drift, lpg
from jaxrl.meta.certificates import ADVANTAGES, PROGRESS, RATIOS
from jaxrl.meta.evaluation import LEARNERS
from jaxrl.meta.lifetimes import draw_tasks, in_lanes
from jaxrl.meta.objective import Objective, Time, mask_of
from jaxrl.meta.sensitivity import windows
from jaxrl.rollout.unroll import start, unroll


class Met(NamedTuple):
    """The least and the largest value of every feature over all lifetimes, float[F] each."""

    low: np.ndarray
    high: np.ndarray


Extremes = tuple[Array, Array]  # float[F] each
ANY = Objective(
    lambda key: (), drift.f, "drift", ("n/N",), "drift", schedule=drift.scheduled, reads=drift.reads
)
"""Any rule of `jaxrl.meta.drift` in one structure, so that all of them share a program."""


def met(
    objective: Objective,
    phi: PyTree,
    env: Env,
    horizons: tuple[int, int],
    *,
    lifetimes: int = 16,
    learner: Any = None,
    hyper: Any = None,
    seed: int = 0,
) -> Met:
    """What a rule with parameters `phi` reads over lifetimes on the task that it was trained on.

    horizons: the shortest and the longest of them, in updates. learner, hyper: of the slot, those of
    `evaluation.LEARNERS` by default. seed: of tasks and keys.

    Raises:
        UsageError: the rule has no features, or horizons or their number are out of range.
    """
    if objective.reads is None:
        raise UsageError(f"objective: {objective.name} has no features, so that it meets no range of them")
    config, numbers = LEARNERS[objective.slot]
    config, numbers = learner or config, hyper or numbers
    lifetimes = check_value("lifetimes", lifetimes, Size)
    tasks = draw_tasks(env, *horizons)(jax.random.key(seed), lifetimes)
    own, rule = slice(None), objective
    if objective.reads is drift.reads:
        whole, rule = 2 * len(drift.FEATURES), ANY
        first = whole if "coefficients" in phi else 0
        own, phi = slice(first, first + len(objective.features)), drift.in_one_structure(phi)
    phi, mask = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), (phi, mask_of(objective.inputs)))
    low, high = _lived(rule, config, env, numbers, phi, mask, *tasks)
    return Met(np.asarray(low).min(0)[own], np.asarray(high).max(0)[own])


@partial(jax.jit, static_argnums=range(3))
def _lived(
    objective: Objective,
    config: Any,
    env: Env,
    hyper: Any,
    phi: PyTree,
    mask: Array,
    levels: PyTree,
    horizons: Array,
    keys: Array,
) -> Extremes:
    """Extremes `[B, F]` of lifetimes with these tasks, eight at a time where that divides them."""
    live = {"drift": _with_drift, "targets": _with_targets}[objective.slot](config, env, objective)

    def one(level: PyTree, horizon: Array, key: Key) -> Extremes:
        return live(hyper, phi, mask, level, horizon, key)

    return in_lanes(one, math.gcd(8, len(keys)))(levels, horizons, keys)


def _joined(a: Extremes, b: Extremes) -> Extremes:
    return jnp.minimum(a[0], b[0]), jnp.maximum(a[1], b[1])


def _of(x: Array) -> Extremes:
    """Extremes of x float[..., F] over all but the last axis."""
    axes = tuple(range(x.ndim - 1))
    return x.min(axes), x.max(axes)


def _nothing(features: int) -> Extremes:
    return jnp.full(features, jnp.inf), jnp.full(features, -jnp.inf)


def _count(objective: Objective, phi: PyTree) -> int:
    """Features of a drift with these parameters."""
    at = jnp.ones(())
    read = jax.eval_shape(lambda phi: objective.reads(phi, at, at, at, Time(at, at)), phi)
    return read.shape[-1]


def _with_drift(config: ppo.Config, env: Env, objective: Objective) -> Callable[..., Extremes]:
    """A lifetime of PPO with a drift."""
    once = dataclasses.replace(config, epochs=1)

    def learn(
        parts: ppo.Parts, state: ppo.State, samples: ppo.Samples, hyper: ppo.Hyper, key: Key
    ) -> tuple[PyTree, PyTree, dict[str, Any]]:
        phi, mask = hyper.surrogate
        time = Time(state.updates, hyper.updates_total, mask)
        advantage = samples.advantage - samples.advantage.mean()
        advantage = advantage / (advantage.std() + 1e-8)

        def epoch(carry: tuple[PyTree, Extremes], i: Array) -> tuple[tuple[PyTree, Extremes], None]:
            (params, opt_state), seen = carry
            before = state.replace(params=params, opt_state=opt_state)
            params, opt_state, _ = ppo.proximal_epochs(
                parts._replace(config=once), before, samples, hyper, stream(key, i)
            )
            hidden = parts.nets.hidden(params, samples.x, samples.memory, samples.restart)
            output = parts.nets.actor.apply(params["actor"], hidden)
            l = parts.nets.head.log_prob(output, samples.raw) - samples.log_prob
            x = objective.reads(phi, jnp.exp(l), l, advantage, time)
            return ((params, opt_state), _joined(seen, _of(x))), None

        first = (state.params, state.opt_state), _nothing(_count(objective, phi))
        ((params, opt_state), seen), _ = jax.lax.scan(epoch, first, jnp.arange(config.epochs))
        return params, opt_state, {"seen": seen}

    algorithm = drift.learner(config, env, objective, learn)

    def live(hyper: ppo.Hyper, phi: PyTree, mask: Array, level: PyTree, horizon: Array, key: Key) -> Extremes:
        own = drift.told(hyper, phi, horizon.astype(jnp.float32), mask)

        def update(carry: tuple[PyTree, Extremes]) -> tuple[PyTree, Extremes]:
            state, metrics = algorithm.step(carry[0], own, level)
            return state, _joined(carry[1], metrics["seen"])

        first = algorithm.init(key, own, level), _nothing(_count(objective, phi))
        return jax.lax.while_loop(lambda carry: carry[0].updates < horizon, update, first)[1]

    return live


def _with_targets(config: lpg.Config, env: Env, objective: Objective) -> Callable[..., Extremes]:
    """A lifetime of the learner for targets."""
    parts = lpg.learner(config, env, objective)

    def live(hyper: lpg.Hyper, phi: PyTree, mask: Array, level: PyTree, horizon: Array, key: Key) -> Extremes:
        own = lpg.told(hyper, phi, horizon.astype(jnp.float32), mask)
        k_params, k_start, k_run = jax.random.split(key, 3)
        params, opt_state = parts.init(k_params)
        vec = start(env, parts.policy(params, greedy=False), k_start, level, config.n_envs)

        def update(carry: tuple[Any, ...]) -> tuple[Any, ...]:
            n, params, opt_state, vec, seen = carry
            policy, options = (
                parts.policy(params, greedy=False),
                {"length": config.length, "gamma": own.gamma},
            )
            vec, batch, _ = unroll(env, policy, vec, stream(k_run, n), level, **options)
            window = parts.window(params, parts.outputs(params, batch.obs), batch, own.gamma)
            x = objective.reads(phi, window, Time(n, own.updates_total, mask))
            params, opt_state, _ = parts.update(params, opt_state, batch, own, n, through_inputs=True)
            return n + 1, params, opt_state, vec, _joined(seen, _of(x))

        nothing = _nothing(len(objective.features))
        first = jnp.zeros((), jnp.int32), params, opt_state, vec, nothing
        return jax.lax.while_loop(lambda carry: carry[0] < horizon, update, first)[-1]

    return live


def outside(objective: Objective, phi: PyTree, seen: Met, horizon: float, predictions: int = 8) -> np.ndarray:
    """float[F], share of the points of the rule's certificate at which a feature is beyond its range.

    horizon: of the certificate, in updates. predictions: entries of a prediction, of rules for targets.

    Raises:
        UsageError: the rule has no features.
    """
    if objective.reads is None:
        raise UsageError(f"objective: {objective.name} has no features, so that it leaves no range of them")
    mask = jnp.asarray(mask_of(objective.inputs))
    reads = jax.jit(objective.reads)
    values = []
    for progress in PROGRESS:
        time = Time(jnp.float32(progress * horizon), jnp.float32(horizon), mask)
        if objective.slot == "drift":
            r, a = (jnp.asarray(v, jnp.float32) for v in np.meshgrid(RATIOS, ADVANTAGES, indexing="ij"))
            values.append(reads(phi, r, jnp.log(r), a, time))
        else:
            values.append(reads(phi, windows(jax.random.key(0), predictions), time))
    x = np.asarray(jnp.stack(values))
    slack = 1e-5 * np.maximum(np.abs(seen.low), np.abs(seen.high))  # rounding of two programs
    beyond = (x < seen.low - slack) | (x > seen.high + slack)
    return beyond.mean(axis=tuple(range(x.ndim - 1)))
