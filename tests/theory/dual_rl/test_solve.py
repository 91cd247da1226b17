"""Every row of the table of methods, solved exactly on the reference MDP."""

import dataclasses

import numpy as np
import pytest

from jaxrl.dual_rl.methods import METHODS, method
from tests.theory.dual_rl.known import BEST, D_O, MDP, PROBLEM, average, value
from theory.dual_rl.gradients import at_rest
from theory.dual_rl.solve import run

RETURNS = {
    "AlgaeDICE": 0.203026,
    "OptiDICE": 0.203026,
    "EQL": 0.39685231,
    "SMODICE": -0.2518445,
    "OPOLO": -0.2518445,
    "ValueDICE": 0.8142310426,
    "IQ-Learn": 0.8142310426,
    "ReCOIL": 0.8142310426,
}


@pytest.mark.parametrize("name", list(METHODS))
def test_every_row_runs_and_has_the_return_that_is_known_of_it(name):
    row = method(name)
    found = run(row, PROBLEM)
    assert found.variable.shape == ((5, 3) if row.dual == "Q" else (5,))
    assert found.j == pytest.approx(value(found.policy), abs=1e-12)
    if name in RETURNS:
        assert found.j == pytest.approx(RETURNS[name], abs=1e-6)
    elif row.reward == "task":
        assert average(D_O) < found.j < 0.1 * BEST.j


def test_rows_that_differ_in_one_field_agree_where_the_maths_says_so():
    xql, eql = run(method("XQL"), PROBLEM), run(method("EQL"), PROBLEM)
    np.testing.assert_array_equal(xql.variable, eql.variable)
    assert xql.j > eql.j  # weights e^(3 y) are greedier than e^y
    sql = run(method("SQL"), PROBLEM, 0.3)
    np.testing.assert_allclose(sql.variable, at_rest(MDP, D_O, "chi2", 0.3, "semi").v, atol=1e-11)
    np.testing.assert_allclose(sql.policy, at_rest(MDP, D_O, "chi2", 0.3, "semi").policy, atol=1e-11)
    eql = run(method("EQL"), PROBLEM, 0.3)
    np.testing.assert_allclose(eql.policy, at_rest(MDP, D_O, "kl_n", 0.3, "semi").policy, atol=1e-11)


def test_imitation_never_reads_rewards():
    hidden = PROBLEM._replace(mdp=MDP.replace(R=np.zeros((5, 3))))
    for name in ("SMODICE", "IQ-Learn", "ReCOIL"):
        np.testing.assert_array_equal(run(method(name), hidden).policy, run(method(name), PROBLEM).policy)


@pytest.mark.parametrize(("name", "lambda_"), [("f-DVL tv", 0.9), ("f-DVL chi2", 0.9), ("f-DVL tv", 0.7)])
def test_dual_weights_of_losses_cut_at_zero_extract_a_policy(name, lambda_):
    """Beyond the threshold V is the optimum, where no residual is positive, and the policy is greedy."""
    row = dataclasses.replace(method(name), extraction="dual")
    found = run(row, PROBLEM, lambda_)
    np.testing.assert_allclose(found.policy.sum(1), 1, atol=1e-12)
    if lambda_ == 0.9:
        np.testing.assert_allclose(found.policy, np.eye(3)[BEST.policy], atol=1e-12)
    else:
        assert average(D_O) < found.j < 0.1 * BEST.j
