"""Tables in float64, and policies in every form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.generators import random_mdp
from jaxrl.envs.tabular.mdp import make_mdp, time_indexed
from tests.theory.exact.problems import GAMMA, A, S, problem
from theory.exact import occupancy, optimal_control
from theory.exact.tables import policy_table, scalarised, tables


def test_rewards_on_successors_are_averaged():
    rng = np.random.default_rng(0)
    P, R = rng.dirichlet(np.ones(S), (S, A)), rng.normal(size=(S, A, S))
    with jax.enable_x64(True):
        mdp = make_mdp(P, R, gamma=GAMMA)
        same = make_mdp(P, (P * R).sum(-1), gamma=GAMMA)
    assert optimal_control.solve(mdp).j == pytest.approx(optimal_control.solve(same).j, abs=1e-12)


def test_float32_tables_are_read_in_float64():
    mdp = random_mdp(jax.random.key(0), S, A, gamma=0.999)
    assert mdp.P.dtype == jnp.float32
    t = tables(mdp)
    assert t.P.dtype == t.R.dtype == np.float64
    np.testing.assert_allclose(t.P.sum(-1), 1.0, rtol=0, atol=1e-15)
    d = occupancy.discounted_occupancy(mdp, np.zeros(S, int))
    assert d.sum() == pytest.approx(1.0, abs=1e-12)


def test_policies_in_every_form_mean_the_same():
    mdp, _ = problem(5)
    t = tables(mdp, 3)
    actions = np.array([0, 1, 1, 0])
    want = np.broadcast_to(np.eye(A)[actions], (3, S, A))
    for policy in (actions, list(actions), np.tile(actions, (3, 1)), np.eye(A)[actions], jnp.asarray(want)):
        np.testing.assert_array_equal(policy_table(policy, t), want)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: policy_table([0, 1, 2, 0], tables(m)), "policy: actions"),
        (lambda m: policy_table(np.ones((3, 2)) / 2, tables(m)), "policy: shape"),
        (lambda m: policy_table(np.ones((S, A)), tables(m)), "policy: rows"),
        (lambda m: tables(m, 0), "horizon: must be >= 1"),
        (lambda m: tables(time_indexed(m, 3), 4), "horizon: is 4"),
        (lambda m: scalarised(tables(m), [1.0]), "weights: the rewards are scalar"),
        (
            lambda m: scalarised(tables(problem(0, reward_dim=2)[0])),
            r"weights: shape \(0,\) must be \[m\] = \(2,\)",
        ),
    ],
)
def test_refuses(call, message):
    with pytest.raises(UsageError, match=message):
        call(problem(0)[0])
