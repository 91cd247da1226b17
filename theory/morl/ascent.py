"""Extension of concave Deep Sea Treasure by exact gradients, which separates optimisers from sampling noise.

Policies are tables of logits. Returns, gradients, Fisher matrices and divergences are exact, so that what is
left are the optimisers: CPO, natural steps on the extended objective alone, and on the Lagrangian.

Legend: `S` = 62 states from which an episode goes on, `A` actions, `m` = 2 objectives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.morl import cpo
from jaxrl.morl.hypervolume import exact_hypervolume
from theory.exact import optimal_control
from theory.exact.pareto import nondominated
from theory.exact.tables import reachable, tables
from theory.morl.instances import treasure
from theory.morl.oracles import by_crowding

Z = np.array([0.0, -50.0])
BETA, DELTA, SELECTED, STEPS = 0.9, 0.01, 4, 20
_sub_problem = jax.jit(cpo.sub_problem)


class Sea(NamedTuple):
    """Tables of the states that go on: P float64[S, A, S], R float64[S, A, m], mu0 float64[S], gamma."""

    P: np.ndarray
    R: np.ndarray
    mu0: np.ndarray
    gamma: float


class Point(NamedTuple):
    """A policy float64[S, A], its returns [m] with their gradients in the logits [m, S, A], visits [S]."""

    pi: np.ndarray
    returns: np.ndarray
    gradients: np.ndarray
    visits: np.ndarray


class Study(NamedTuple):
    """What one optimiser made: hypervolume at the end, share of feasible iterates, mean gain of objective l;
    infeasible: sub-problems without a feasible point.
    """

    volume: float
    feasible: float
    gain: float
    infeasible: int


# (point, objective l, thresholds, memory) -> (direction [S, A], memory, whether the sub-problem was feasible)
Optimiser = Callable[[Point, int, np.ndarray, Any], tuple[np.ndarray, Any, bool]]


def sea() -> tuple[Sea, np.ndarray]:
    """The problem, and logits float64[6, S, A] to start from: 5 on the best action for six weights."""
    mdp = treasure("concave", 0.99)
    t = tables(mdp)
    live = reachable(t.mu0 > 0, (t.P > 0).any(1)) & ~t.terminal
    problem = Sea(t.P[live][:, :, live], t.R[live], t.mu0[live], t.gamma)
    weights = [(i / 5, 1 - i / 5) for i in range(6)]
    best = [optimal_control.solve(mdp, weights=w).policy[live] for w in weights]
    return problem, 5.0 * np.eye(t.P.shape[1])[np.array(best)]


def evaluate(problem: Sea, logits: np.ndarray) -> Point:
    """Returns and their exact gradients at logits `[S, A]`."""
    pi = np.exp(logits - logits.max(-1, keepdims=True))
    pi /= pi.sum(-1, keepdims=True)
    matrix = np.eye(len(pi)) - problem.gamma * np.einsum("sa,sat->st", pi, problem.P)
    v = np.linalg.solve(matrix, np.einsum("sa,sam->sm", pi, problem.R))
    visits = np.linalg.solve(matrix.T, problem.mu0)
    advantage = problem.R + problem.gamma * problem.P @ v - v[:, None]
    gradients = np.moveaxis(visits[:, None, None] * pi[..., None] * advantage, -1, 0)
    return Point(pi, problem.mu0 @ v, gradients, visits)


def solved(point: Point, gradients: np.ndarray, damping: float) -> np.ndarray:
    """H^-1 g of gradients `[n, S, A]`, for the Fisher matrix of the normalised visits plus the damping."""
    d, pi = point.visits / point.visits.sum(), point.pi
    blocks = d[:, None, None] * (np.eye(pi.shape[1]) * pi[:, None] - pi[:, :, None] * pi[:, None])
    blocks = blocks + damping * np.eye(pi.shape[1])
    return np.moveaxis(np.linalg.solve(blocks, np.moveaxis(gradients, 0, -1)), -1, 0)


def trust_region(damping: float) -> Optimiser:
    """CPO with one constraint, by the exact sub-problem."""

    def step(point: Point, l: int, thresholds: np.ndarray, memory: Any) -> tuple[np.ndarray, Any, bool]:
        order = [1 - l, l]
        rows = point.gradients[order] * np.array([-1.0, 1.0])[:, None, None]
        natural = solved(point, rows, damping)
        gram = np.einsum("isa,jsa->ij", rows, natural)
        violation = (thresholds - point.returns)[[1 - l]]
        numbers = (gram[1, 1], gram[:1, 1], gram[:1, :1], violation, DELTA)
        with jax.enable_x64(True):
            found = _sub_problem(*(jnp.asarray(x, jnp.float64) for x in numbers))
        share = np.append(np.asarray(found.beta), float(found.alpha))
        return np.tensordot(share, natural, 1), memory, bool(found.feasible)

    return step


def lagrangian(damping: float, rate: float, scale: float = 20.0) -> Optimiser:
    """Natural steps on A_l / c + lambda A_j / c, with lambda <- max(0, lambda + rate (d_j - G_j) / c)."""

    def step(point: Point, l: int, thresholds: np.ndarray, memory: Any) -> tuple[np.ndarray, Any, bool]:
        violation = (thresholds - point.returns)[1 - l] / scale
        multiplier = 0.0 if memory is None else max(0.0, memory + rate * violation)
        gradient = (point.gradients[l] + multiplier * point.gradients[1 - l]) / scale
        natural = solved(point, gradient[None], damping)[0]
        return np.sqrt(2 * DELTA / (gradient * natural).sum()) * natural, multiplier, True

    return step


def run(problem: Sea, start: np.ndarray, optimiser: Optimiser, searched: bool, rounds: int = 5) -> Study:
    """The extension of the archive of `start` `[n, S, A]`, all iterates inserted at the end of a round.

    searched: whether the step is shortened until the divergence is below 1.5 delta and bounds hold.
    """
    logits = list(start)
    returns = np.array([evaluate(problem, x).returns for x in logits])
    history: list[np.ndarray] = []
    feasible, gains, infeasible = [], [], 0
    logits, returns = _archive(logits, returns)
    for _ in range(rounds):
        order = by_crowding(returns)
        new = [i for i in order if not any(np.array_equal(returns[i], old) for old in history)][:SELECTED]
        history += [returns[i] for i in new]
        found, values = list(logits), list(returns)
        for i in new:
            thresholds = Z + BETA * (returns[i] - Z)
            for l in range(2):
                here, memory = logits[i], None
                for _ in range(STEPS):
                    point = evaluate(problem, here)
                    step, memory, ok = optimiser(point, l, thresholds, memory)
                    infeasible += not ok
                    if searched:
                        step = _shortened(problem, here, point, step, l, thresholds)
                    here = here + step
                    G = evaluate(problem, here).returns
                    feasible.append(G[1 - l] >= thresholds[1 - l] - 1e-9)
                    found.append(here)
                    values.append(G)
                gains.append(values[-1][l] - returns[i][l])
        logits, returns = _archive(found, np.array(values))
    volume = exact_hypervolume(returns, Z)
    return Study(volume, float(np.mean(feasible)), float(np.mean(gains)), infeasible)


def _shortened(
    problem: Sea, logits: np.ndarray, point: Point, step: np.ndarray, l: int, thresholds: np.ndarray
) -> np.ndarray:
    """The longest of x, 0.8 x, ... within the bounds of CPO's line search, else no step."""
    d = point.visits / point.visits.sum()
    floor = np.minimum(thresholds, point.returns)[1 - l]
    for _ in range(10):
        there = evaluate(problem, logits + step)
        kl = d @ (point.pi * np.log(point.pi / np.maximum(there.pi, 1e-300))).sum(-1)
        if kl <= 1.5 * DELTA and there.returns[1 - l] >= floor:
            return step
        step = 0.8 * step
    return np.zeros_like(step)


def _archive(logits: list[np.ndarray], returns: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Members above z that no other dominates, equal ones once, in lexicographic order of their returns."""
    _, first = np.unique(np.round(returns, 9), axis=0, return_index=True)
    first = first[np.all(returns[first] >= Z, axis=1)]
    first = first[nondominated(returns[first])]
    return [logits[i] for i in first], returns[first]
