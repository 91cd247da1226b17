"""Where moves and start are certain, Markov policies lose nothing; otherwise they may.

Statement. With deterministic dynamics and one start state, some time-indexed Markov policy has the value of
the best policy with memory. Without: on three cells, entered at either end and left from the middle, the
best policy with memory collects 3 and the best Markov policy 5/2; on a line of three cells with slip 1/5
and four states 1823/675 against 8959/3375. (Prajapat et al. 2024, proposition 1.)

Check. Certain moves: random deterministic successors of 3 places, 2 actions, 4 states, coverage of random
sets, 20 instances: all 2^7 Markov policies against the best with memory.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np

from jaxrl.envs.tabular.mdp import make_mdp
from jaxrl.submodular.exact import best_markov_value, best_value, covered
from theory.exact.result import Result, identity
from theory.submodular.instances import Problem, slippery_line


def instance(seed: int) -> Problem:
    """A problem with deterministic random moves."""
    rng = np.random.default_rng(seed)
    P = np.eye(3)[rng.integers(3, size=(3, 2))]
    with jax.enable_x64(True):
        mdp = jax.tree.map(np.asarray, make_mdp(P, np.zeros((3, 2))))
    return Problem(mdp, covered(rng.random((3, 5)) < 0.5, rng.random(5)), 4)


def check(make: Callable[[int], Problem] = instance) -> Result:
    """Best value with memory minus best Markov value."""
    gaps = []
    for seed in range(20):
        unfolded = make(seed).unfold()
        gaps.append(best_value(unfolded) - best_markov_value(unfolded, 3))
    return identity(np.array(gaps))


def broken() -> Result:
    """A problem with slippery moves."""
    return check(lambda seed: slippery_line())
