"""PGMORL (Xu, Tian, Ma, Rus, Sueda, Matusik 2020): evolution of a population guided by predicted returns.

n learners with vector critics, one per preference, are trained for a generation. What they record, weight and
change of return, says by curves (`prediction.py`) what each policy of the population would return if it were
trained for another weight. The next generation are the n pairs (policy, weight) that greedily maximise

    HV(predicted front) - alpha SP(predicted front).

The population keeps, in every direction from the reference point, the two policies farthest away. After every
update all policies are offered to an archive, as in `scalarised.py`. For two objectives.

Legend: `n` learners, `P` policies of the population, `H` records, `C` members of the archive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.baselines import ppo
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import NonNegative, Positive, Size
from jaxrl.core.prng import stream, streams
from jaxrl.core.tree import tree_take, tree_where
from jaxrl.core.types import Algorithm, Array, Key, Origin, Policy, PyTree, struct
from jaxrl.envs.base import Env
from jaxrl.morl import archive as archives
from jaxrl.morl import scalarised
from jaxrl.morl.archive import Archive
from jaxrl.morl.learners import check_learner, evaluator, resumed, snapshot
from jaxrl.morl.prediction import curve, fit, sample_weights
from jaxrl.morl.preferences import archive_policy, observation_space
from jaxrl.morl.scalarised import check_hyper, entropy_bonus, offer, start_learners

_LEARNT = ("params", "opt_state", "moments", "scale")


@dataclass(frozen=True)
class Config(scalarised.Config):
    """Static choices: those of the scalarised population, whose `updates` make a generation, and more."""

    generations: Size = 16
    """Generations whose records are kept, at least as many as the run has."""
    warmup: Size = 4
    """Generations with the first weights, before predictions select."""
    directions: Size = 50
    """Parts of the quarter circle in which the population keeps policies. Paper's code: 100 to 200."""
    kept: Size = 2
    """Policies of the population per direction. Paper's code: 2."""
    angles: Size = 7
    """Weights that are tried for every policy of the population. Paper's code: 7."""


@struct.dataclass
class Hyper(scalarised.Hyper):
    """Hyper-parameters of the scalarised population, whose `weights` are the first ones here, and more."""

    alpha: NonNegative = 1.0
    """Weight of the sparsity against the hypervolume, >= 0. Paper: 1."""
    reach: Positive = 0.7853981633974483
    """Largest angle between the last weight of a policy and one that is tried, in radians. Paper: pi / 4."""


@struct.dataclass
class Population:
    """Policies of the population, leaves `[P, ...]`; their returns float[P, 2], the weights float[P, 2] that
    they were trained for last, and which slots are in use, bool[P].
    """

    policy: PyTree
    returns: Array
    weights: Array
    valid: Array


@struct.dataclass
class Records:
    """What generations did: returns before, weights and change of return, float[H, 2]; valid: bool[H]."""

    before: Array
    weights: Array
    change: Array
    valid: Array


@struct.dataclass
class State:
    """Learners, leaves `[n, ...]`, with weights and values float[n, 2], what the evolution knows, and the
    archive; `key` never changes. updates: int32[], generations so far.
    """

    learners: ppo.State
    weights: Array
    values: Array
    population: Population
    records: Records
    archive: Archive
    key: Key
    updates: Array


class _Offered(NamedTuple):
    """What `offer` reads of a state."""

    archive: Archive
    key: Key
    updates: Array


def front_measures(points: Array, valid: Array, reference: Array) -> tuple[Array, Array]:
    """Hypervolume and sparsity, float[] each, of what nothing dominates among valid rows of float[k, 2].

    reference: float[2]; rows that do not exceed it count for neither.
    """
    size = points - reference[None]
    inside = valid & (size > 0).all(-1)
    size = jnp.where(inside[:, None], size, 0.0)
    order = jnp.lexsort((-size[:, 1], -size[:, 0]))
    x, y = size[order].T
    highest = jnp.concatenate([jnp.zeros(1), jax.lax.cummax(y)[:-1]])
    on_front = inside[order] & (y > highest)
    volume = jnp.where(on_front, x * (y - highest), 0.0).sum()
    # of the member to the right on the front, whose second objective is `highest`
    right = jnp.concatenate([jnp.full(1, jnp.inf), jax.lax.cummin(jnp.where(on_front, x, jnp.inf))[:-1]])
    gaps = jnp.where(on_front & jnp.isfinite(right), (right - x) ** 2 + (y - highest) ** 2, 0.0)
    return volume, gaps.sum() / jnp.maximum(on_front.sum() - 1, 1)


def enter(population: Population, new: Population, config: Config, reference: Array) -> Population:
    """The population of members and new policies together, the farthest `config.kept` of every direction.

    reference: float[2], from which directions and distances are counted.
    """
    both = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), population, new)
    size = both.returns - reference[None]
    valid = both.valid & (size >= 0).all(-1)
    angle = jnp.arctan2(size[:, 1], size[:, 0]) / (jnp.pi / 2)
    part = jnp.clip((angle * config.directions).astype(jnp.int32), 0, config.directions - 1)
    distance = jnp.where(valid, jnp.square(size).sum(-1), -1.0)
    index = jnp.arange(len(valid))
    farther = (distance[None] > distance[:, None]) | (
        (distance[None] == distance[:, None]) & (index[None] < index[:, None])
    )
    rank = (farther & valid[None] & (part[None] == part[:, None])).sum(-1)
    keep = valid & (rank < config.kept)
    place = jnp.argsort(~keep, stable=True)[: config.directions * config.kept]
    return tree_take(both, place).replace(valid=keep[place])


def predicted(population: Population, records: Records, tried: Array) -> Array:
    """Returns float[P, k, 2] that every policy would have after training for `tried` float[P, k, 2]."""

    def of(returns: Array, tried: Array) -> Array:
        near = sample_weights(records.before, records.weights, records.valid, returns)
        change = [
            curve(fit(records.weights[:, j], records.change[:, j], near), tried[:, j]) for j in range(2)
        ]
        return returns[None] + jnp.stack(change, -1)

    return jax.vmap(of)(population.returns, tried)


def tried_weights(weights: Array, angles: int, reach: Array) -> Array:
    """Weights float[P, angles, 2] within `reach` radians of those of float[P, 2], on the simplex."""
    angle = jnp.arctan2(weights[:, 1], weights[:, 0])[:, None] + reach * jnp.linspace(-1, 1, angles)[None]
    angle = jnp.clip(angle, 0, jnp.pi / 2)
    w = jnp.stack([jnp.cos(angle), jnp.sin(angle)], -1)
    return w / w.sum(-1, keepdims=True)


def chosen(
    front: Array, valid: Array, candidates: Array, usable: Array, n: int, reference: Array, alpha: Array
) -> Array:
    """Indices int32[n] of candidates float[q, 2] that greedily maximise HV - alpha SP of the front with them.

    front: float[k, 2], valid: bool[k]; usable: bool[q]. None is taken twice while others are left.
    """
    points = jnp.concatenate([front, jnp.zeros((n, 2))])
    known = jnp.concatenate([valid, jnp.zeros(n, bool)])

    def pick(carry: tuple[Array, Array, Array], i: Array) -> tuple[tuple[Array, Array, Array], Array]:
        points, known, left = carry
        slot = len(front) + i
        known = known.at[slot].set(True)

        def worth(candidate: Array) -> Array:
            volume, gaps = front_measures(points.at[slot].set(candidate), known, reference)
            return volume - alpha * gaps

        value = jnp.where(left, jax.vmap(worth)(candidates), -jnp.inf)
        best = jnp.argmax(value).astype(jnp.int32)
        return (points.at[slot].set(candidates[best]), known, left.at[best].set(False)), best

    return jax.lax.scan(pick, (points, known, usable), jnp.arange(n))[1]


def make(config: Config, env: Env) -> Algorithm:
    """The evolution on `env`; one update is a generation of `config.updates` PPO updates of every learner.

    Its policies act on `{"obs", "preference"}` as the member of the archive with the largest w . G.

    Raises `UsageError` for other than two objectives, and for exact evaluation without tables.
    """
    check_learner(config.learner, env, config.evaluation)
    if env.reward_dim != 2:
        raise UsageError(f"env: {env.name} has {env.reward_dim} objectives, pgmorl takes 2; use decomposed")
    inner, nets = ppo.make(config.learner, env), ppo.networks(config.learner, env)
    evaluate, policy = evaluator(config.learner, env, config.evaluation), archive_policy(config.learner, nets)

    def init(key: Key, hyper: Hyper, data: PyTree) -> State:
        check_hyper(hyper, 2)
        k_learners, k_values, k_run = jax.random.split(key, 3)
        learners = start_learners(inner, k_learners, hyper, data)
        weights = jnp.asarray(hyper.weights)
        policies, n = snapshot(learners), len(weights)
        values = jax.vmap(evaluate, (0, 0, None, None))(streams(k_values, n), policies, data, hyper.gamma)
        size, kept = config.directions * config.kept, config.generations * n
        slots = jax.tree.map(lambda x: jnp.zeros((size, *x.shape[1:]), x.dtype), policies)
        blank = jnp.zeros((kept, 2))
        return State(
            learners=learners,
            weights=weights,
            values=values.returns,
            population=Population(slots, *[jnp.zeros((size, 2))] * 2, jnp.zeros(size, bool)),
            records=Records(blank, blank, blank, jnp.zeros(kept, bool)),
            archive=archives.empty(tree_take(policies, 0), 2, config.capacity),
            key=k_run,
            updates=jnp.zeros((), jnp.int32),
        )

    def train(state: State, hyper: Hyper, data: PyTree, key: Key) -> tuple[Any, dict[str, Array]]:
        """A generation: learners, their values and the archive after it, and metrics."""

        def update(carry: tuple[ppo.State, Array, Archive], k: Array) -> tuple[Any, dict[str, Array]]:
            learners, _, archive = carry
            count = state.updates * config.updates + k
            own = hyper.learner.replace(entropy=entropy_bonus(hyper, count))
            learners, metrics = jax.vmap(lambda s, w: inner.step(s, own.replace(w=w), data))(
                learners, state.weights
            )
            seen = _Offered(archive, key, count)
            values, archive, found = offer(evaluate, seen, snapshot(learners), hyper, data)
            losses = {f"loss/{i}": x for i, x in enumerate(metrics["loss"])}
            return (learners, values.returns, archive), losses | found

        first = (state.learners, state.values, state.archive)
        after, metrics = jax.lax.scan(update, first, jnp.arange(config.updates))
        totals = {"members", "dropped", "hypervolume"}
        return after, {n: x[-1] if n in totals else x.mean() for n, x in metrics.items()}

    def choose(
        population: Population, records: Records, archive: Archive, hyper: Hyper, n: int
    ) -> tuple[Array, Array]:
        """Members of the population int32[n] and the weights float[n, 2] they are trained for next."""
        tried = tried_weights(population.weights, config.angles, hyper.reach)
        points = predicted(population, records, tried).reshape(-1, 2)
        usable = jnp.repeat(population.valid, config.angles)
        reference = jnp.asarray(hyper.reference)
        index = chosen(
            archive.entries.returns, archive.valid, points, usable, n, reference, jnp.asarray(hyper.alpha)
        )
        return index // config.angles, tried.reshape(-1, 2)[index]

    def step(state: State, hyper: Hyper, data: PyTree) -> tuple[State, dict[str, Any]]:
        k_train, k_init = jax.random.split(stream(state.key, state.updates))
        n, done = len(state.weights), state.updates + 1
        (learners, values, archive), metrics = train(state, hyper, data, k_train)
        place = (state.updates % config.generations) * n + jnp.arange(n)
        records = Records(
            before=state.records.before.at[place].set(state.values),
            weights=state.records.weights.at[place].set(state.weights),
            change=state.records.change.at[place].set(values - state.values),
            valid=state.records.valid.at[place].set(True),
        )
        new = Population(snapshot(learners), values, state.weights, jnp.isfinite(values).all(-1))
        population = enter(state.population, new, config, jnp.asarray(hyper.reference))
        member, weights = choose(population, records, archive, hyper, n)
        own = tree_take(population, member)
        blank = jax.vmap(lambda k, w: inner.init(k, hyper.learner.replace(w=w), data))(
            streams(k_init, n), weights
        )
        selecting = (done >= config.warmup) & population.valid.any()
        # episodes and keys of the learners go on, what they have learnt is exchanged
        known, taken = (
            {name: getattr(x, name) for name in _LEARNT}
            for x in (learners, jax.vmap(resumed)(blank, own.policy))
        )
        learnt, weights, values = tree_where(
            selecting, (taken, weights, own.returns), (known, state.weights, values)
        )
        learners = learners.replace(**learnt)
        after = State(learners, weights, values, population, records, archive, state.key, done)
        return after, metrics | {"population": population.valid.sum(), "selecting": selecting}

    def act(state: State, hyper: Hyper, greedy: bool) -> Policy:
        return policy(state.archive, greedy)

    reads = observation_space(env.observation_space, 2)
    return Algorithm(init, step, act, origin=Origin(__name__, config, reads, env.action_space, env))
