"""Branch and bound against all tables of small problems, and between the planners on larger ones."""

from fractions import Fraction

import jax
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.submodular.best_markov import best_markov_policy
from jaxrl.submodular.exact import best_markov_value, best_value, greedy_value, policy_value
from theory.submodular.instances import coverage, fork, random_problem, slippery_line


def table(actions, n_actions):
    """Probabilities; pairs that are never reached take action 0."""
    return np.eye(n_actions)[np.maximum(actions, 0)]


def test_published_gaps():
    with jax.enable_x64(True):
        problems = [(fork(), Fraction(5, 2)), (slippery_line(), Fraction(8959, 3375))]
    for problem, value in problems:
        assert best_markov_policy(problem.unfold(), 3)[0] == pytest.approx(float(value), abs=1e-12)


def test_random_problems_against_all_tables():
    gaps = []
    for seed in range(30):
        problem = random_problem(seed).unfold()
        value, actions = best_markov_policy(problem, 3)
        assert value == pytest.approx(best_markov_value(problem, 3), abs=1e-10)
        assert policy_value(table(actions, 2), problem) == pytest.approx(value, abs=1e-10)
        gaps.append(best_value(problem) - value)
    assert max(gaps) > 1e-3 and min(gaps) > -1e-12


@pytest.mark.parametrize(("name", "value"), [("A", 4.77704384), ("B", 13.2014770976), ("C", 85.8576382912)])
def test_slippery_coverage(name, value):
    """Between the greedy and the best policy with memory; what is claimed is what the table is worth."""
    problem = coverage(name, 0.1)
    unfolded = problem.unfold()
    found, actions = best_markov_policy(unfolded, problem.mdp.n_states)
    assert found == pytest.approx(value, abs=1e-9)
    assert policy_value(table(actions, 5), unfolded) == pytest.approx(found, abs=1e-9)
    assert greedy_value(unfolded) < found < best_value(unfolded)


def test_gives_up_in_words():
    with pytest.raises(UsageError, match=r"best_markov_policy\.most: more than 3 branches"):
        best_markov_policy(coverage("C2", 0.1).unfold(), 16, most=3)
