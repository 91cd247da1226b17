"""Constrained runs side by side: the K updates that the extension of C-MORL and its released form share.

Every run ascends one objective under bounds on the others. After each of its updates the policy is evaluated
and offered to the archive.

Legend: `R` runs, `m` objectives, `K` updates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.baselines import ppo
from jaxrl.core.prng import stream, streams
from jaxrl.core.types import Array, Key, PyTree
from jaxrl.envs.base import Env
from jaxrl.morl import archive as archives
from jaxrl.morl import objectives
from jaxrl.morl.archive import Archive, Entries
from jaxrl.morl.constraints import Optimiser, Problem, constraint
from jaxrl.morl.learners import Evaluated, EvaluationOptions, evaluator, snapshot


class Batch(NamedTuple):
    """What is fixed over the updates of R runs, leaves `[R, ...]`.

    live: bool[R], False for padding, which is not archived. start, objective, round: int32[R], as in
    `archive.Entries`. rate: float[R], learning rates, or None for that of the hyper-parameters.
    """

    problem: Problem
    live: Array
    start: Array
    objective: Array
    round: Array
    rate: Array | None = None


class Runs(NamedTuple):
    """What the updates carry: learners and their values `[R, ...]`, and the archive."""

    learners: ppo.State
    values: Evaluated
    archive: Archive


Keep = Callable[[ppo.State, Batch], dict[str, PyTree]]
Extend = Callable[[Key, Any, PyTree, Batch, Runs], tuple[Runs, dict[str, Array]]]


def policies_alone(learners: ppo.State, batch: Batch) -> dict[str, PyTree]:
    """What is archived of learners, leaves `[R, ...]`: parameters and statistics."""
    return snapshot(learners)


def extension(
    learner: ppo.Config,
    env: Env,
    options: EvaluationOptions,
    optimiser: Optimiser,
    updates: int,
    keep: Keep = policies_alone,
) -> tuple[Callable[..., ppo.State], Extend]:
    """`(start, extend)` for K = `updates` updates of a batch of runs.

    start: `(keys [R], hyper, w [R, m], params of the environment) -> learners`, fresh ones.
    extend: `(key, hyper, params of the environment, batch, runs) -> (runs, record)`, with `hyper` that of
    `cmorl`; the record has "loss" `[K, R]`, and by update `[K]` the number of live runs that were "feasible"
    and, with CPO, "recovered".
    keep: what the archive holds of the learners.
    """
    chosen = constraint(optimiser, env.reward_dim or 0)
    inner = ppo.make(learner, env, chosen.surrogate, learn=chosen.learn)
    evaluate = evaluator(learner, env, options)

    def start(keys: Key, hyper: Any, w: Array, params: PyTree) -> ppo.State:
        return jax.vmap(lambda k, w: inner.init(k, hyper.learner.replace(w=w), params))(keys, w)

    def extend(
        key: Key, hyper: Any, params: PyTree, batch: Batch, runs: Runs
    ) -> tuple[Runs, dict[str, Array]]:
        count, m = batch.problem.extended.shape
        others = 1 - batch.problem.extended
        memory = jax.vmap(lambda _: chosen.memory(m))(jnp.arange(count))

        def one(
            state: ppo.State, problem: Problem, values: Evaluated, memory: PyTree, rate: Array | None
        ) -> tuple[ppo.State, dict[str, Any]]:
            own = chosen.hyper(hyper, problem, values, memory)
            return inner.step(state, own if rate is None else own.replace(lr=rate), params)

        def update(carry: tuple[Runs, PyTree], k: Array) -> tuple[tuple[Runs, PyTree], dict[str, Any]]:
            runs, memory = carry
            learners, metrics = jax.vmap(one)(runs.learners, batch.problem, runs.values, memory, batch.rate)
            policies, keys = keep(learners, batch), streams(stream(key, k), count)
            values = jax.vmap(evaluate, (0, 0, None, None))(keys, policies, params, hyper.gamma)
            memory = jax.vmap(chosen.after, (None, 0, 0, 0))(hyper, batch.problem, values, memory)
            new = Entries(
                policy=policies,
                returns=values.returns,
                undiscounted=values.undiscounted,
                length=values.length,
                bounds=jnp.where(others > 0, batch.problem.thresholds, -jnp.inf),
                start=batch.start,
                objective=batch.objective,
                round=batch.round,
            )
            archive = archives.insert(runs.archive, new, jnp.asarray(hyper.reference), batch.live)
            held = jax.vmap(objectives.feasible)(values.returns, batch.problem.thresholds, others)
            record = {"loss": metrics["loss"], "feasible": (held & batch.live).sum()}
            if "cpo/feasible" in metrics:
                record["recovered"] = (~metrics["cpo/feasible"] & batch.live).sum()
            return (Runs(learners, values, archive), memory), record

        (runs, _), record = jax.lax.scan(update, (runs, memory), jnp.arange(updates))
        return runs, record

    return start, extend
