"""Trees with any number of objectives, and what the comparison counts on them."""

import numpy as np
import pytest

from experiments.morl import many_objectives
from experiments.morl.many_objectives import GAMMA, Config, leaves, tree
from jaxrl.core.errors import UsageError
from theory.exact.pareto import deterministic_returns


def test_policies_of_a_tree_reach_its_leaves_and_nothing_else():
    _, returns = deterministic_returns(tree(2, 3))
    found = np.unique(np.round(np.asarray(returns), 5), axis=0)
    exact = np.unique(np.round(GAMMA * leaves(2, 3), 5), axis=0)
    np.testing.assert_allclose(found, exact, atol=2e-5)


def test_every_leaf_is_best_for_the_preference_along_it():
    points = leaves(5, 9)
    np.testing.assert_allclose(np.linalg.norm(points, axis=-1), 10)
    assert (points >= 0).all() and (points @ points.T).argmax(-1).tolist() == list(range(32))


def test_leaves_are_counted_once_and_points_between_them_not_at_all():
    exact = leaves(2, 3)
    points = np.stack([exact[0], exact[0], exact[2], (exact[0] + exact[1]) / 2])
    assert many_objectives._count(points, exact) == 2


def test_both_methods_have_the_budget_of_the_larger_number_of_objectives():
    config = Config((2, 4), initial=10, rounds=2, updates=5, selected=3)
    # per objective: 10 updates of stage 1, and 2 x 5 x 3 of stage 2
    assert many_objectives._budget(config, 4) == 4 * 40
    steps = many_objectives.estimate(config)["env_steps"]
    assert steps == config.seeds * config.n_envs * many_objectives.LENGTH * 2 * 40 * (2 + 4)


@pytest.mark.parametrize("objectives", [(), (1,), (10,)])
def test_numbers_of_objectives_out_of_range_are_refused(objectives):
    with pytest.raises(UsageError, match="numbers from 2 to 9"):
        Config(objectives)
