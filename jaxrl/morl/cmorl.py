"""C-MORL (Liu et al. 2025, 2410.02236): extension of a Pareto front by constrained policy optimisation.

One round picks N members of the archive in sparse regions and starts m runs from each of them. The run of
objective l ascends G_l for K updates and keeps every other objective above its threshold,

    maximise  G_l    subject to    G_j >= d_j  for all j != l,

and every policy on the way is offered to the archive. The archive that it begins with is that of
`scalarised.py`, passed as data. One member of a population is one such extension, one update is one round.

Legend: `N` selected members, `m` objectives, `R = N m` runs, `K` updates per round.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.baselines import ppo
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import NonNegative, Positive, Share, Size, Weights, check_fields
from jaxrl.core.prng import stream, streams
from jaxrl.core.tree import tree_take
from jaxrl.core.types import Algorithm, Array, Key, Mean, Origin, Policy, PyTree, struct
from jaxrl.envs.base import Env
from jaxrl.morl import archive as archives
from jaxrl.morl import objectives
from jaxrl.morl.archive import Archive, Entries
from jaxrl.morl.constraints import Optimiser, Problem
from jaxrl.morl.extension import Batch, Runs, extension
from jaxrl.morl.learners import Evaluated, EvaluationOptions, check_learner, resumed
from jaxrl.morl.preferences import archive_policy, observation_space
from jaxrl.morl.scalarised import archive_metrics


@dataclass(frozen=True)
class Config:
    """Static choices of the extension."""

    learner: ppo.Config = field(default_factory=ppo.Config)
    """Static choices of PPO, those with which the archive was made."""
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)
    """How policies are evaluated before they enter the archive."""
    selected: Size = 6
    """Members that every round begins from, N, at most as many as the archive holds. Paper: 5 or 6."""
    updates: Size = 20
    """PPO updates of every run in a round, K, each followed by an evaluation and an insertion. Paper: 20."""
    rounds: Size = 5
    """Rounds whose selected members are not selected again. Paper: 2 to 5 by task."""
    selection: Literal["crowding", "random"] = "crowding"
    """How members are selected: by descending crowding distance, or at random (an ablation)."""
    optimiser: Optimiser = "barrier"
    """Constraint optimiser, see `constraints.py`; "official" and "none" hold no constraint."""
    thresholds: Literal["shift", "paper"] = "shift"
    """Lower bounds of the constrained objectives: z + beta (G - z), feasible at the start of a run, or beta G
    as in the paper, which is replaced by the former where G is negative and counted as `fallback`."""

    def __post_init__(self) -> None:
        check_fields(self)


@struct.dataclass
class Hyper:
    """Hyper-parameters, each a leaf that can be swept."""

    reference: Weights
    """Reference point z, float[m], in units of the returns; the archive refuses returns below it."""
    learner: ppo.Hyper = field(default_factory=lambda: ppo.Hyper(entropy=0.0))
    """Hyper-parameters of PPO, of which `w` and `surrogate` are set by this algorithm. Paper: learning rate
    3e-4, discount 0.995, entropy 0."""
    gamma: Share = 0.99
    """Discount of the returns that are archived and compared, in [0, 1]. Paper: 0.98 to 1 by task."""
    beta: Share = 0.9
    """Share of every constrained return that a run retains, in [0, 1]; with 1 it must lose nothing. Paper:
    0.9."""
    t: Positive = 20.0
    """Sharpness of the log barrier on the normalised slack, > 0. Paper: 20."""
    proportional: NonNegative = 0.0
    """Gain of the violation in the multipliers of the Lagrangian, >= 0."""
    integral: NonNegative = 5.0
    """Gain of the summed violations in the multipliers of the Lagrangian, >= 0."""
    derivative: NonNegative = 0.0
    """Gain of the change of the violation in the multipliers of the Lagrangian, >= 0."""
    delta: Positive = 0.01
    """Largest mean divergence of a step of CPO, in nats, > 0. Paper of CPO: 0.01."""
    damping: NonNegative = 0.1
    """Multiple of the identity that CPO adds to the Fisher matrix, >= 0; it sets the step of policies that
    are nearly deterministic."""


class Data(NamedTuple):
    """What an extension begins with: parameters of the environment, and an archive."""

    env: PyTree
    archive: Archive


@struct.dataclass
class State:
    """The archive and what was selected from it; `key` never changes.

    before: float[rounds N, m], returns selected so far; seen: bool[rounds N], rows of it in use; updates:
    int32[], rounds so far.
    """

    archive: Archive
    before: Array
    seen: Array
    key: Key
    updates: Array


def make(config: Config, env: Env) -> Algorithm:
    """The extension on `env`; `data` is a `Data`, one update is one round.

    Its policies act on `{"obs", "preference"}` as the member of the archive with the largest w . G. Metrics
    `extension/start`, `/end` and `/threshold` are the returns at the start and the end of every run and its
    bounds, float[R m], `extension/live` tells which selected members were no padding.

    With CPO `recovered` is the share of steps whose sub-problem had no feasible point. Raises `UsageError`
    for scalar rewards, for exact evaluation without tables, for CPO on more than 9 objectives, and where the
    archive has fewer slots than `config.selected`.
    """
    check_learner(config.learner, env, config.evaluation)
    nets = ppo.networks(config.learner, env)
    policy = archive_policy(config.learner, nets)
    start, extend = extension(config.learner, env, config.evaluation, config.optimiser, config.updates)
    m, n = env.reward_dim, config.selected
    assert m is not None
    extended = jnp.tile(jnp.eye(m), (n, 1))

    def init(key: Key, hyper: Hyper, data: Data) -> State:
        check_start(config, hyper, data, m)
        return first_state(config, data.archive, m, key)

    def step(state: State, hyper: Hyper, data: Data) -> tuple[State, dict[str, Any]]:
        k_init, k_runs, k_select = jax.random.split(stream(state.key, state.updates), 3)
        index, live = selected(config, state, k_select)
        begin = tree_take(state.archive.entries, jnp.repeat(index, m))
        problem, fallback = problems(config, hyper, state.archive, begin, extended)
        fresh = start(streams(k_init, n * m), hyper, extended, data.env)
        runs = Runs(
            jax.vmap(resumed)(fresh, begin.policy),
            Evaluated(begin.returns, begin.undiscounted, begin.length),
            state.archive,
        )
        runs_live = jnp.repeat(live, m)
        batch = Batch(
            problem,
            runs_live,
            start=jnp.repeat(jnp.arange(n, dtype=jnp.int32), m),
            objective=jnp.tile(jnp.arange(m, dtype=jnp.int32), n),
            round=jnp.full(n * m, state.updates),
        )
        runs, record = extend(k_runs, hyper, data.env, batch, runs)
        gain = ((runs.values.returns - begin.returns) * extended).sum(-1)
        count = runs_live.sum()
        metrics = {f"loss/{i}": x for i, x in enumerate(record["loss"].mean(0))}
        metrics |= {
            "feasible": Mean(record["feasible"].sum(), count * config.updates),
            "feasible/curve": Mean(record["feasible"], count),
            "gain": Mean((gain * runs_live).sum(), count),
            "selected": live.sum(),
            "fallback": Mean((fallback * runs_live).sum(), count),
            "extension/live": live,
            "extension/start": begin.returns.ravel(),
            "extension/end": runs.values.returns.ravel(),
            "extension/threshold": problem.thresholds.ravel(),
        }
        if "recovered" in record:
            metrics["recovered"] = Mean(record["recovered"].sum(), count * config.updates)
        after = next_state(config, state, runs.archive, index, live)
        return after, metrics | archive_metrics(runs.archive, jnp.asarray(hyper.reference))

    def act(state: State, hyper: Hyper, greedy: bool) -> Policy:
        return policy(state.archive, greedy)

    reads = observation_space(env.observation_space, m)
    return Algorithm(init, step, act, origin=Origin(__name__, config, reads, env.action_space, env))


def first_state(config: Config, archive: Archive, m: int, key: Key) -> State:
    """The state before the first round."""
    memory = config.rounds * config.selected
    return State(archive, jnp.zeros((memory, m)), jnp.zeros(memory, bool), key, jnp.zeros((), jnp.int32))


def selected(config: Config, state: State, key: Key) -> tuple[Array, Array]:
    """Members that a round begins from: `(index int32[N], live bool[N])`."""
    random = config.selection == "random"
    score = archives.random_score(key, state.archive) if random else None
    return archives.select(state.archive, config.selected, state.before, state.seen, score)


def next_state(config: Config, state: State, archive: Archive, index: Array, live: Array) -> State:
    """The state after a round that began from the members `index` [N] and left `archive`."""
    n = config.selected
    place = (state.updates % config.rounds) * n + jnp.arange(n)
    return State(
        archive=archive,
        before=state.before.at[place].set(tree_take(state.archive.entries.returns, index)),
        seen=state.seen.at[place].set(live),
        key=state.key,
        updates=state.updates + 1,
    )


def problems(
    config: Config, hyper: Hyper, archive: Archive, begin: Entries, extended: Array
) -> tuple[Problem, Array]:
    """Extension problems of all runs, leaves `[R, m]`, and whether thresholds fell back, bool[R]."""
    reference = jnp.asarray(hyper.reference)
    thresholds = jax.vmap(objectives.shifted_thresholds, (0, None, None))(
        begin.returns, reference, hyper.beta
    )
    fallback = jnp.zeros(len(extended), bool)
    if config.thresholds == "paper":
        negative = begin.returns < 0
        fallback = (negative & (extended == 0)).any(-1)
        stated = objectives.paper_thresholds(begin.returns, hyper.beta)
        thresholds = jnp.where(negative, thresholds, stated)
    scale = jnp.broadcast_to(archives.spread(archive), extended.shape)
    return Problem(extended, thresholds, scale), fallback


def check_start(config: Config, hyper: Hyper, data: Data, m: int) -> None:
    """Raise `UsageError` where archive and reference do not fit; values may be traced."""
    slots, own = len(data.archive.valid), data.archive.entries.returns.shape[-1]
    if slots < config.selected:
        raise UsageError(f"capacity: {slots} members are fewer than Config.selected {config.selected}")
    if own != m:
        raise UsageError(f"Data.archive: holds returns of {own} objectives, the environment has {m}")
    if jnp.shape(hyper.reference) != (m,):
        raise UsageError(f"Hyper.reference: must be [{m}], got {list(jnp.shape(hyper.reference))}")
