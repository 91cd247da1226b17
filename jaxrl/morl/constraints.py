"""Constraint optimisers behind one interface: how a run extends one objective and keeps the others.

Every optimiser is PPO with something exchanged: the barrier adds a term to the surrogate, the Lagrangian
moves the preference of the actor, CPO takes another step. "official" has the term of the released code, which
holds no constraint, and "none" nothing: both are there to be compared with.

Legend: `B` samples of a minibatch, `m` objectives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp

from jaxrl.baselines import ppo
from jaxrl.core.types import Array, PyTree
from jaxrl.morl import cpo, objectives, official
from jaxrl.morl.learners import Evaluated

Optimiser = Literal["barrier", "lagrangian", "cpo", "official", "none"]
"""Names of the constraint optimisers."""


class Problem(NamedTuple):
    """The extension problem of one run; all float[m].

    extended: 1 for objective l, 0 elsewhere; thresholds: lower bounds d, read where `extended` is 0; scale:
    spread c of each objective in the archive.
    """

    extended: Array
    thresholds: Array
    scale: Array


class Limits(NamedTuple):
    """What the surrogate of the barrier reads: the problem, and the values of the policy before the update.

    others: float[m], 1 for constrained objectives; returns: float[m]; length: float[]; t: float[].
    """

    thresholds: Array
    scale: Array
    others: Array
    returns: Array
    length: Array
    t: Array


class Constraint(NamedTuple):
    """One constraint optimiser.

    surrogate, learn: of `ppo.make`. memory: `(m) -> memory` of a run at its start. hyper: `(hyper, problem,
    values before the update, memory) -> ppo.Hyper` of the next update, with `hyper` that of `cmorl`. after:
    `(hyper, problem, values after it, memory) -> memory`.
    """

    surrogate: ppo.Surrogate
    memory: Callable[[int], PyTree]
    hyper: Callable[[Any, Problem, Evaluated, PyTree], ppo.Hyper]
    after: Callable[[Any, Problem, Evaluated, PyTree], PyTree]
    learn: ppo.Learn | None = None


def constraint(name: Optimiser, m: int) -> Constraint:
    """The constraint optimiser of that name for m objectives; raises `UsageError` for CPO on more than 9."""
    if name == "cpo":
        cpo.check_objectives(m)
    known = {
        "barrier": _BARRIER,
        "lagrangian": _LAGRANGIAN,
        "cpo": _CPO,
        "official": _OFFICIAL,
        "none": _NONE,
    }
    return known[name]


def barrier_surrogate(ratio: Array, advantage: Array, progress: Array, extra: dict[str, Any]) -> Array:
    """The clipped surrogate of objective l plus the barrier of the others, float[B].

    ratio, advantage: `[B]`; progress: `[]`. The barrier is a number of the minibatch, added to every sample.
    """
    limits = extra["hyper"].surrogate
    estimate = objectives.return_estimate(ratio, extra["advantages"], limits.returns, limits.length)
    barrier = objectives.barrier_objective(estimate, limits.thresholds, limits.scale, limits.others, limits.t)
    return ppo.clipped_surrogate(ratio, advantage, progress, extra) + barrier


def _nothing(m: int) -> tuple[()]:
    return ()


def _unchanged(hyper: Any, problem: Problem, values: Evaluated, memory: PyTree) -> PyTree:
    return memory


def _unconstrained(hyper: Any, problem: Problem, values: Evaluated, memory: PyTree) -> ppo.Hyper:
    return hyper.learner.replace(w=problem.extended)


def _within_barrier(hyper: Any, problem: Problem, values: Evaluated, memory: PyTree) -> ppo.Hyper:
    limits = Limits(
        thresholds=problem.thresholds,
        scale=problem.scale,
        others=1 - problem.extended,
        returns=values.returns,
        length=values.length,
        t=hyper.t,
    )
    return hyper.learner.replace(w=problem.extended, surrogate=limits)


def _within_trust_region(hyper: Any, problem: Problem, values: Evaluated, memory: PyTree) -> ppo.Hyper:
    limits = cpo.Limits(
        extended=problem.extended,
        thresholds=problem.thresholds,
        returns=values.returns,
        length=values.length,
        delta=jnp.asarray(hyper.delta),
        damping=jnp.asarray(hyper.damping),
    )
    return hyper.learner.replace(w=problem.extended, surrogate=limits)


def _with_released_term(hyper: Any, problem: Problem, values: Evaluated, memory: PyTree) -> ppo.Hyper:
    term = official.Released(problem.extended, jnp.asarray(hyper.beta), jnp.asarray(hyper.t))
    return hyper.learner.replace(w=problem.extended, surrogate=term)


def _zero_multipliers(m: int) -> objectives.Multipliers:
    return objectives.Multipliers(jnp.zeros(m), jnp.zeros(m), jnp.zeros(m))


def _ascend_lagrangian(
    hyper: Any, problem: Problem, values: Evaluated, memory: objectives.Multipliers
) -> ppo.Hyper:
    w = objectives.lagrangian_weights(problem.extended, memory.value, problem.scale)
    return hyper.learner.replace(w=w)


def _update_multipliers(
    hyper: Any, problem: Problem, values: Evaluated, memory: objectives.Multipliers
) -> objectives.Multipliers:
    gains = (hyper.proportional, hyper.integral, hyper.derivative)
    return objectives.multiplier_update(memory, values.returns, problem.thresholds, problem.scale, gains)


_NONE = Constraint(ppo.clipped_surrogate, _nothing, _unconstrained, _unchanged)
_BARRIER = Constraint(barrier_surrogate, _nothing, _within_barrier, _unchanged)
_LAGRANGIAN = Constraint(ppo.clipped_surrogate, _zero_multipliers, _ascend_lagrangian, _update_multipliers)
_CPO = Constraint(
    ppo.clipped_surrogate, _nothing, _within_trust_region, _unchanged, cpo.learning_step(cpo.Config())
)
_OFFICIAL = Constraint(official.released_surrogate, _nothing, _with_released_term, _unchanged)
