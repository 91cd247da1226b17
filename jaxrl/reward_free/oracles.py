"""Oracles: a policy and a reward of the class with the largest truncated uncertainty, given an estimate.

The papers assume the joint maximisation over policies, rewards and estimates. Here the estimate is given, and
rewards are extreme points of the class, indicators of a set f of states at one stage: apart from its
truncation Vhat is convex in the reward.

- `vertex_greedy` tries candidate sets f, all of them up to 8 states. One backward pass per set serves every
  paying stage, because transitions do not change with the stage; actions maximise Vhat stage by stage. A
  heuristic: V depends on the action, too, so that a smaller Vhat now may allow a larger one before.
- `gradient` ascends from the plan of `vertex_greedy` and from random ones (`gradient.py`); never below it.
- `exact` enumerates stages, sets and policies. For tests: the number of policies is A^(S h).

Legend: as in `uncertainty.py`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array, Key
from jaxrl.reward_free import inner
from jaxrl.reward_free.features import Form, KnownSupport
from jaxrl.reward_free.gradient import climb
from jaxrl.reward_free.uncertainty import Plan, Prepared, View, first_best, greedy, of_policy, prepare, start

Oracle = Callable[[Form, View, Array, Array, Plan, Array, Key], Plan]
"""(form, view, mu0 `[S]`, horizon int32[], the previous plan, shadow `[]`, key) -> plan."""

ENUMERATED_STATES = 8  # up to here all sets are candidates
RANDOM_SETS = 64
CHUNK_BYTES = 64 * 2**20  # of the features of candidates that are evaluated side by side
EXACT_PLANS = 10**6


def vertex_greedy(
    form: Form, view: View, mu0: Array, horizon: Array, previous: Plan, shadow: Array, key: Key
) -> Plan:
    """The best candidate set and paying stage with greedy actions, see above; mu0 `[S]`, horizon `[]`.

    shadow: `[]`, the weight of the shadow sum, which decides where Vhat is the same.
    """
    size = previous.policy.shape[0]
    targets = candidate_sets(form, view, previous, key)
    prepared = prepare(form, view)

    def scores(targets: Array) -> Array:
        """`[size, n]`, Vhat + shadow R at the initial distribution by steps to go."""

        def stage(t: Array, carry: tuple) -> tuple:
            values, score = carry
            values, _ = greedy(form, prepared, values, shadow)
            return values, score.at[t].set((values.hat + shadow * values.shadow) @ mu0)

        none = jnp.full((size, len(targets)), -jnp.inf, targets.dtype).at[0].set(0)
        return jax.lax.fori_loop(1, horizon, stage, (start(targets), none))[1]

    score = _in_chunks(scores, targets, form)
    best = first_best(score.T.reshape(-1))
    return _plan_of_set(form, prepared, mu0, targets[best // size], best % size, size, shadow)


def gradient(
    form: Form, view: View, mu0: Array, horizon: Array, previous: Plan, shadow: Array, key: Key
) -> Plan:
    """The better of `vertex_greedy` and ascent by the gradient of Vhat.

    mu0: `[S]`, the initial distribution. horizon: int32[]. shadow: `[]`, as for `vertex_greedy`.
    """
    sets, starts = jax.random.split(key)
    start = vertex_greedy(form, view, mu0, horizon, previous, shadow, sets)
    return climb(form, view, mu0, horizon, start, starts)


def candidate_sets(form: Form, view: View, previous: Plan, key: Key) -> Array:
    """Indicators of sets of states `[n, S]`: all of them up to 8 states, in lexicographic order.

    Beyond: single states, their complements, the set with the largest |phi_f| at every pair (exact for known
    successors, by ascent otherwise), random sets, and the set of the previous plan.
    """
    S, dtype = form.n_states, view.theta.dtype
    if S <= ENUMERATED_STATES:
        return inner.subsets(S, dtype)
    single = jnp.eye(S, dtype=dtype)
    drawn = jax.random.bernoulli(key, 0.5, (RANDOM_SETS, S)).astype(dtype)
    found = _largest_sets(form, view.tilde)
    return jnp.concatenate([single, 1 - single, found, drawn, previous.reward.max(0)[None]])


def exact(
    form: Form, view: View, mu0: Array, horizon: Array, previous: Plan, shadow: Array, key: Key
) -> Plan:
    """The largest Vhat over all extreme rewards and all deterministic policies, for the estimate of `view`.

    mu0: `[S]`; horizon: `[]`; shadow and key are not read.

    Raises:
        UsageError: more than a million pairs of a policy and a set.
    """
    size, S = previous.policy.shape
    A = form.n_actions
    count = A ** (S * (size - 1)) * 2**S
    if count > EXACT_PLANS:
        raise UsageError(
            f'Config.oracle: "exact" enumerates {count} pairs of a policy and a set, more than {EXACT_PLANS};'
            ' take "vertex_greedy"'
        )
    rows = np.array(list(itertools.product(range(A), repeat=S)), np.int32)
    choice = np.array(list(itertools.product(range(len(rows)), repeat=size - 1)), np.int32)
    policies = np.concatenate([rows[choice], np.zeros((len(choice), 1, S), np.int32)], 1)
    targets = inner.subsets(S, view.theta.dtype)

    def best_of(policy: Array) -> tuple[Array, Array, Array]:
        def value(stage: Array, f: Array) -> Array:
            reward = jnp.zeros((size, S), f.dtype).at[stage].set(f)
            plan = of_policy(form, view, policy, reward, mu0, horizon)
            return jnp.where(stage < horizon, plan.uncertainty, -jnp.inf)

        score = jax.vmap(lambda f: jax.vmap(lambda stage: value(stage, f))(jnp.arange(size)))(targets)
        at = first_best(score.reshape(-1))
        return score.reshape(-1)[at], at // size, at % size

    score, at, stage = jax.lax.map(best_of, jnp.asarray(policies))
    best = first_best(score)
    reward = jnp.zeros((size, S), targets.dtype).at[stage[best]].set(targets[at[best]])
    return of_policy(form, view, jnp.asarray(policies)[best], reward, mu0, horizon)


OracleName = Literal["vertex_greedy", "gradient", "exact"]
ORACLES: dict[str, Oracle] = {"vertex_greedy": vertex_greedy, "gradient": gradient, "exact": exact}


def _largest_sets(form: Form, inverse: Array) -> Array:
    """Indicators `[P, S]` of the sets with the largest |phi_f(s, a)| in `inverse` `[B, k, k]`."""
    few = isinstance(form, KnownSupport) and form.blocks[1] <= inner.ENUMERATED
    return (inner.exact if few else inner.ascent)(form, inverse).sets


def _plan_of_set(
    form: Form, view: Prepared, mu0: Array, target: Array, stage: Array, size: int, shadow: Array
) -> Plan:
    """The plan of the greedy pass for one set `[S]` that pays at `stage` `[]`; action 0 from there on."""
    S = form.n_states
    hat = jnp.zeros((size + 1, S), target.dtype)
    policy = jnp.zeros((size, S), jnp.int32)

    def earlier(t: Array, carry: tuple) -> tuple:
        values, policy, hat, value = carry
        values, action = greedy(form, view, values, shadow)
        h = stage - t
        put = (policy.at[h].set(action[0]), hat.at[h].set(values.hat[0]), value.at[h].set(values.value[0]))
        return values, *put

    first = (start(target[None]), policy, hat, hat.at[stage].set(target))
    _, policy, hat, value = jax.lax.fori_loop(1, stage + 1, earlier, first)
    reward = jnp.zeros((size, S), target.dtype).at[stage].set(target)
    return Plan(policy, hat, value, reward, (mu0 * hat[0]).sum())


def _in_chunks(scores: Callable[[Array], Array], targets: Array, form: Form) -> Array:
    """`scores` of targets `[n, S]`, in as many parts as keep the features of one part small; `[size, n]`."""
    P, k = form.n_states * form.n_actions, form.blocks[1]
    chunk = max(1, CHUNK_BYTES // (P * k * targets.dtype.itemsize))
    if chunk >= len(targets):
        return scores(targets)
    parts = -(-len(targets) // chunk)
    padded = jnp.concatenate([targets, jnp.tile(targets[-1:], (parts * chunk - len(targets), 1))])
    found = jax.lax.map(scores, padded.reshape(parts, chunk, -1))
    return jnp.moveaxis(found, 0, 1).reshape(found.shape[1], -1)[:, : len(targets)]
