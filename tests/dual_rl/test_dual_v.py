"""Dual-V by networks against the exact solvers: OptiDICE, ODICE, SMODICE; what each reads."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import root

from jaxrl.core.errors import UsageError
from jaxrl.data.dataset import from_occupancy
from jaxrl.dual_rl import forms
from jaxrl.dual_rl.data import Data
from jaxrl.dual_rl.divergences import divergence
from tests.dual_rl.dual_tables import (
    BOX,
    OBS,
    TABLE,
    certain_problem,
    check_data_parallel,
    check_that_rewards_are_not_read,
    dataset,
    policy_table,
    start_of,
    table_of,
    train,
)
from theory.dual_rl.duality import dual_v
from theory.dual_rl.gradients import Arrays, at_rest, expected_update
from theory.dual_rl.imitation import smodice
from theory.dual_rl.reference import reference_problem
from theory.exact.occupancy import discounted_occupancy, policy_of
from theory.exact.tables import tables

PROBLEM = reference_problem()
CERTAIN = certain_problem()
T = tables(CERTAIN.mdp)
SLOWER = ((0.05, 0.05, 1500), (0.005, 0.005, 1000), (0.0005, 0.0005, 800))


def test_the_full_gradient_solves_the_dual():
    config = forms.config("OptiDICE", **TABLE)
    data = Data(from_occupancy(CERTAIN.d_o, CERTAIN.mdp), start=start_of(CERTAIN.mdp))
    hypers = [forms.hyper(config, gamma=0.9, parameter=a, cap=1e6) for a in (1.0, 0.5)]
    params, metrics = train(config, hypers, data, SLOWER)
    for i, alpha in enumerate((1.0, 0.5)):
        exact = dual_v(CERTAIN.mdp, CERTAIN.d_o, "chi2", alpha)
        np.testing.assert_allclose(table_of(params["v"])[i, :, 0], exact.variable, atol=1e-3)
        np.testing.assert_allclose(policy_table(params)[i], exact.policy, atol=1e-3)
        assert float(metrics["v_loss"][i]) == pytest.approx(exact.value, abs=1e-4)


@pytest.mark.slow
def test_single_transitions_bias_the_full_gradient_where_successors_are_random():
    """The residual of a sampled successor is the argument of a convex f*: V rests elsewhere (thm_05)."""
    config = forms.config("OptiDICE", **TABLE)
    data = Data(from_occupancy(PROBLEM.d_o, PROBLEM.mdp), start=start_of(PROBLEM.mdp))
    _, metrics = train(config, [forms.hyper(config, gamma=0.9)], data, SLOWER)
    exact = dual_v(PROBLEM.mdp, PROBLEM.d_o, "chi2")
    assert float(metrics["v_loss"][0]) > exact.value + 1e-3


@pytest.mark.slow
def test_the_orthogonal_gradient_rests_where_its_expectation_vanishes():
    """The projection is in parameter space, where one-hot states and the bias have the metric I + 1 1'."""
    alpha = 0.5
    config = forms.config("ODICE", **TABLE)
    data = Data(from_occupancy(CERTAIN.d_o, CERTAIN.mdp))
    hyper = forms.hyper(config, gamma=0.9, tau=0.2, parameter=alpha, cap=1e6)
    params, _ = train(config, [hyper], data, SLOWER)
    f, metric = divergence("chi2"), np.eye(5) + 1
    with jax.enable_x64(True):
        arrays = Arrays(*(jnp.asarray(x) for x in (T.P, T.R / alpha, T.mu0, T.gamma, CERTAIN.d_o)))

        def field(v, metric=metric):
            d = np.asarray(CERTAIN.d_o * f.w(T.R / alpha + T.gamma * T.P @ v - v[:, None]))
            u, b = d.sum(1), T.gamma * np.einsum("sa,sat->t", d, T.P)
            return CERTAIN.d_o.sum(1) - u + b - (b @ metric @ u) / (u @ metric @ u) * u

        rest = at_rest(CERTAIN.mdp, CERTAIN.d_o, "chi2", alpha, "orthogonal").v / alpha
        here = expected_update(jnp.asarray(rest), arrays, f, "orthogonal")
        np.testing.assert_allclose(field(rest, np.eye(5)), here, atol=1e-12)
        v = alpha * root(field, rest, tol=1e-13).x
        policy = policy_of(CERTAIN.d_o * np.asarray(f.w((T.R + T.gamma * T.P @ v - v[:, None]) / alpha)))
    assert np.abs(v - alpha * rest).max() > 1e-2  # the metric matters
    np.testing.assert_allclose(table_of(params["v"])[0, :, 0], v, atol=1e-3)
    np.testing.assert_allclose(policy_table(params)[0], policy, atol=1e-3)


def explorer():
    """Occupancy of the expert with a tenth of its actions at random, so that it visits every pair."""
    return discounted_occupancy(CERTAIN.mdp, 0.9 * policy_of(CERTAIN.d_e) + 0.1 / 3)


def test_smodice_and_its_discriminator():
    """V only up to a constant, which log E e^y leaves open."""
    config, d_e = forms.config("SMODICE", **TABLE), explorer()
    d_s = certain_problem(uncovered=3).d_s
    data = Data(from_occupancy(d_s, CERTAIN.mdp), from_occupancy(d_e, CERTAIN.mdp), start_of(CERTAIN.mdp))
    hypers = [forms.hyper(config, gamma=0.9, penalty=0.0, cap=1e6)]
    params, _ = train(config, hypers, data, ((0.05, 0.05, 3000), (0.005, 0.005, 2000), (5e-4, 5e-4, 1500)))
    exact = smodice(CERTAIN.mdp, d_e, d_s)
    difference = table_of(params["v"])[0, :, 0] - exact.variable
    assert np.ptp(difference) < 1e-3
    np.testing.assert_allclose(policy_table(params)[0], exact.policy, atol=1e-3)
    np.testing.assert_allclose(table_of(params["ratio"])[0, :, 0], np.log(d_e.sum(1) / d_s.sum(1)), atol=1e-3)


def test_smodice_never_reads_rewards():
    check_that_rewards_are_not_read("SMODICE")


@pytest.mark.parametrize(("name", "missing"), [("OptiDICE", "start"), ("SMODICE", "expert")])
def test_a_missing_dataset_is_named(name, missing):
    config = forms.config(name, batch_size=8, widths=())
    algorithm = forms.algorithm(config, OBS, BOX)
    with pytest.raises(UsageError, match=f"Data.{missing}: {name} needs it"):
        jax.eval_shape(algorithm.init, jax.random.key(0), forms.hyper(config), Data(dataset(BOX)))


@pytest.mark.parametrize(("name", "batch_size"), [("ODICE", 8), ("SMODICE", 8)])
def test_four_devices_take_the_steps_of_one(name, batch_size):
    check_data_parallel(name, BOX, batch_size)
