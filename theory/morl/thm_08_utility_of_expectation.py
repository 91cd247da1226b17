"""The utility of expected returns and the expected utility of returns have different optima.

Statement. For a utility u that is not linear, the policies that maximise u(E[G]) (scalarised expected
returns, SER) and E[u(G)] (expected scalarised returns, ESR) differ in general, and either one is worse by
the other's measure. For linear u the two agree for every policy. (Roijers, Whiteson, Oliehoek 2013; Hayes
et al. 2022.)

Check. A choice between (1.5, 1.5) for sure and (4, 0) or (0, 4) at even odds, u = product of the two: SER
takes the lottery with 4, ESR the sure pair with 2.25, by enumeration of trajectories for 101 mixed
policies.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jaxrl.envs.tabular.mdp import TabularMDP
from theory.exact.enumeration import trajectories
from theory.exact.policy_evaluation import evaluate_policy
from theory.exact.result import Result, identity
from theory.exact.tables import tables
from theory.morl.instances import lottery

Utility = Callable[[np.ndarray], np.ndarray]
GRID = np.linspace(0, 1, 101)


def instance() -> tuple[TabularMDP, np.ndarray]:
    """The problem, and policies float64[101, 4, 2] by the probability of the lottery."""
    policies = np.full((len(GRID), 4, 2), 0.5)
    policies[:, 0] = np.stack([1 - GRID, GRID], 1)
    return lottery(), policies


def product(G: np.ndarray) -> np.ndarray:
    """The product of both returns."""
    return G.prod(-1)


def both(utility: Utility) -> tuple[np.ndarray, np.ndarray]:
    """float64[101] twice: u(E[G]) and E[u(G)] of every policy."""
    mdp, policies = instance()
    R = tables(mdp).R
    ser = np.array([utility(np.asarray(evaluate_policy(mdp, pi).j)) for pi in policies])
    esr = []
    for pi in policies:
        paths = trajectories(mdp, pi, 2)
        esr.append(paths.probability @ utility(R[paths.states[:, :-1], paths.actions].sum(1)))
    return ser, np.array(esr)


def check(utility: Utility = product) -> Result:
    """Errors of the two optima, of what each loses by the other measure, and of a linear utility."""
    ser, esr = both(utility)
    linear = both(lambda G: G @ np.array([0.3, 0.7]))
    errors = [ser.max() - 4.0, esr.max() - 2.25, GRID[ser.argmax()] - 1.0, GRID[esr.argmax()]]
    errors += [ser[esr.argmax()] - 2.25, esr[ser.argmax()]]
    return identity(np.array(errors), linear[0] - linear[1])


def broken() -> Result:
    """A linear utility, for which both take the lottery."""
    return check(lambda G: G.mean(-1))
