"""Trajectories by hand."""

import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.mdp import make_mdp, time_indexed
from tests.theory.exact.problems import S, problem
from theory.exact import enumeration


def test_probabilities_by_hand():
    """Two states, one action, from state 0 to state 1 with probability 1/4, and back never."""
    mdp = make_mdp([[[0.75, 0.25]], [[0.0, 1.0]]], [[0.0], [0.0]])
    paths = enumeration.trajectories(mdp, [0, 0], 2)
    assert {tuple(map(int, s)): float(p) for s, p in zip(paths.states, paths.probability, strict=True)} == {
        (0, 0, 0): 0.5625,
        (0, 0, 1): 0.1875,
        (0, 1, 1): 0.25,
    }


def test_probabilities_sum_to_one():
    mdp, pi = problem(1)
    assert enumeration.trajectories(mdp, pi, 3).probability.sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: enumeration.trajectories(m, [0] * S, 9, most=100), "length: there are"),
        (lambda m: enumeration.trajectories(time_indexed(m, 2), [0] * S, 3), "length: 3 steps"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(UsageError, match=message):
        call(problem(0)[0])
