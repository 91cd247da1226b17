"""Ascent on the truncated uncertainty by its gradient, from several starts: a check of the greedy oracle.

Policies are tables of softmax probabilities whose temperature falls, rewards are m_h f_h(s) with stage
weights m from a softmax and f in (0, 1) from a sigmoid, so that every iterate is in the class. At the end
actions, stage and set are rounded, and the uncertainty of the rounded plan is the exact one.

Legend: as in `uncertainty.py`; `n` starts side by side.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxrl.core.types import Array, Key
from jaxrl.reward_free.features import Form
from jaxrl.reward_free.uncertainty import Plan, Prepared, Values, View, candidates, of_policy, prepare

STARTS = 8
STEPS = 150
RATE = 0.1
SURE = 3.0  # logits of the start at a given plan
COLDEST = 0.1  # the temperature of actions at the end; it is 1 at first


class Logits(NamedTuple):
    """What is ascended in: actions `[H, S, A]`, stage weights `[H]`, sets `[H, S]`."""

    actions: Array
    stages: Array
    sets: Array


def climb(form: Form, view: View, mu0: Array, horizon: Array, start: Plan, key: Key) -> Plan:
    """The plan with the largest uncertainty among `start` and what ascent from it and from random logits
    rounds to; mu0 `[S]`, horizon int32[].
    """
    (H, S), A, dtype = start.policy.shape, form.n_actions, mu0.dtype
    prepared = prepare(form, view)
    given = Logits(
        SURE * jax.nn.one_hot(start.policy, A, dtype=dtype),
        SURE * (start.reward.max(1) > 0).astype(dtype),
        jnp.tile(SURE * (2 * start.reward.max(0) - 1)[None], (H, 1)),
    )
    shapes = Logits((STARTS, H, S, A), (STARTS, H), (STARTS, H, S))
    keys = Logits(*jax.random.split(key, 3))
    drawn = jax.tree.map(lambda key, shape: jax.random.normal(key, shape, dtype), keys, shapes)
    first = jax.tree.map(lambda one, many: many.at[0].set(one), given, drawn)
    found = _ascended(form, prepared, mu0, horizon, first)
    plans = jax.vmap(lambda logits: of_policy(form, view, *_rounded(logits, horizon), mu0, horizon))(found)
    best = jax.tree.map(lambda x: x[jnp.argmax(plans.uncertainty)], plans)
    better = best.uncertainty > start.uncertainty
    return jax.tree.map(lambda new, old: jnp.where(better, new, old), best, start)


def _ascended(form: Form, view: Prepared, mu0: Array, horizon: Array, logits: Logits) -> Logits:
    """Logits `[n, ...]` after all steps of Adam."""
    rule = optax.adam(RATE)

    def loss(logits: Logits, temperature: Array) -> Array:
        return -jax.vmap(lambda one: _soft(form, view, mu0, horizon, one, temperature))(logits).sum()

    def step(carry: tuple, temperature: Array) -> tuple[tuple, None]:
        logits, memory = carry
        updates, memory = rule.update(jax.grad(loss)(logits, temperature), memory)
        return (optax.apply_updates(logits, updates), memory), None

    temperatures = jnp.geomspace(1, COLDEST, STEPS, dtype=mu0.dtype)
    return jax.lax.scan(step, (logits, rule.init(logits)), temperatures)[0][0]


def _soft(
    form: Form, view: Prepared, mu0: Array, horizon: Array, logits: Logits, temperature: Array
) -> Array:
    """Vhat_1 at mu0 of the random policy and the reward of logits, float[]."""
    H, S, A = logits.actions.shape
    policy = jax.nn.softmax(logits.actions / temperature)
    played = jnp.arange(H) < horizon
    weight = jax.nn.softmax(jnp.where(played, logits.stages, -jnp.inf))
    reward = weight[:, None] * jax.nn.sigmoid(logits.sets)

    def stage(after: Values, at: tuple[Array, ...]) -> tuple[Values, None]:
        policy, reward, played = at
        found = candidates(form, view, after)
        value, hat = ((policy * x.reshape(S, A)).sum(-1)[None] for x in (found.value, found.hat))
        now = Values(jnp.clip(reward[None] + value, 0, 1), hat, after.shadow)
        return jax.tree.map(lambda new, old: jnp.where(played, new, old), now, after), None

    zeros = jnp.zeros((1, S), mu0.dtype)
    first = jax.lax.scan(stage, Values(zeros, zeros, zeros), (policy, reward, played), reverse=True)[0]
    return mu0 @ first.hat[0]


def _rounded(logits: Logits, horizon: Array) -> tuple[Array, Array]:
    """The likeliest actions int32[H, S], and the reward `[H, S]` of the heaviest stage and its set."""
    played = jnp.arange(len(logits.stages)) < horizon
    stage = jnp.argmax(jnp.where(played, logits.stages, -jnp.inf))
    policy = jnp.where(played[:, None], jnp.argmax(logits.actions, -1), 0).astype(jnp.int32)
    indicator = (logits.sets[stage] > 0).astype(logits.sets.dtype)
    return policy, jnp.zeros_like(logits.sets).at[stage].set(indicator)
