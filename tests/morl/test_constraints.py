"""Constraint optimisers: what each of them tells PPO."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.baselines import ppo
from jaxrl.core.errors import UsageError
from jaxrl.morl import objectives
from jaxrl.morl.constraints import Limits, Problem, barrier_surrogate, constraint
from jaxrl.morl.learners import Evaluated
from tests.morl.finite_problems import extension_hyper

PROBLEM = Problem(jnp.array([1.0, 0.0]), jnp.array([9.0, 2.0]), jnp.array([2.0, 4.0]))
VALUES = Evaluated(jnp.array([1.0, 1.0]), jnp.array([1.0, 1.0]), jnp.array(3.0))


def test_surrogate_adds_the_barrier_of_the_constrained_objective_alone():
    ratio, advantage = jnp.array([0.9, 1.3]), jnp.array([1.0, -1.0])
    A = jnp.array([[1.0, 2.0], [3.0, -1.0]])
    limits = Limits(PROBLEM.thresholds, PROBLEM.scale, 1 - PROBLEM.extended, VALUES.returns, 3.0, 20.0)
    extra = {"advantages": A, "hyper": ppo.Hyper(surrogate=limits)}
    found = barrier_surrogate(ratio, advantage, jnp.zeros(()), extra)
    # A_2 - mean = (1.5, -1.5); mean of (rho - 1) times it = (-0.15 - 0.45) / 2
    slack = (1.0 + 3.0 * -0.3 - 2.0) / 4.0
    clipped = np.minimum(ratio * advantage, np.clip(ratio, 0.8, 1.2) * advantage)
    np.testing.assert_allclose(found, clipped + objectives.log_barrier(slack, 20.0), rtol=1e-5)


def test_gradient_of_the_surrogate_pushes_a_violated_constraint_up():
    limits = Limits(PROBLEM.thresholds, PROBLEM.scale, 1 - PROBLEM.extended, VALUES.returns, 3.0, 20.0)
    extra = {"advantages": jnp.array([[0.0, 1.0], [0.0, -1.0]]), "hyper": ppo.Hyper(surrogate=limits)}
    gain = lambda ratio: barrier_surrogate(ratio, jnp.zeros(2), jnp.zeros(()), extra).mean()  # noqa: E731
    first, second = jax.grad(gain)(jnp.ones(2))
    assert first > 0 > second


@pytest.mark.parametrize("name", ["barrier", "none"])
def test_actors_of_barrier_and_none_see_the_extended_objective(name):
    chosen = constraint(name, 2)
    hyper = chosen.hyper(extension_hyper(), PROBLEM, VALUES, chosen.memory(2))
    np.testing.assert_array_equal(hyper.w, [1.0, 0.0])
    assert chosen.after(extension_hyper(), PROBLEM, VALUES, ()) == ()


def test_barrier_reads_values_and_sharpness_before_the_update():
    limits = constraint("barrier", 2).hyper(extension_hyper(t=7.0), PROBLEM, VALUES, ()).surrogate
    assert limits.t == 7.0 and limits.length == 3.0
    np.testing.assert_array_equal(limits.others, [0.0, 1.0])


def test_multipliers_of_a_violated_constraint_move_the_preference():
    chosen = constraint("lagrangian", 2)
    memory = chosen.memory(2)
    start = chosen.hyper(extension_hyper(), PROBLEM, VALUES, memory)
    np.testing.assert_allclose(start.w, [0.5, 0.0])
    memory = chosen.after(extension_hyper(), PROBLEM, VALUES, memory)
    after = chosen.hyper(extension_hyper(), PROBLEM, VALUES, memory)
    np.testing.assert_allclose(after.w, [0.5, 5 * 0.25 / 4])  # violation (2 - 1) / 4 with gain 5


def test_cpo_reads_the_whole_problem_and_refuses_more_than_nine_objectives():
    limits = constraint("cpo", 2).hyper(extension_hyper(delta=0.02), PROBLEM, VALUES, ()).surrogate
    np.testing.assert_array_equal(limits.extended, [1.0, 0.0])
    assert float(limits.delta) == pytest.approx(0.02) and constraint("cpo", 2).learn is not None
    with pytest.raises(UsageError, match="9"):
        constraint("cpo", 10)


def test_the_released_term_sees_objective_beta_and_t_and_no_threshold():
    chosen = constraint("official", 2)
    first = chosen.hyper(extension_hyper(beta=0.8, t=7.0), PROBLEM, VALUES, ())
    other = chosen.hyper(
        extension_hyper(beta=0.8, t=7.0), PROBLEM._replace(thresholds=jnp.array([3.0, 5.0])), VALUES, ()
    )
    assert float(first.surrogate.beta) == pytest.approx(0.8) and float(first.surrogate.t) == 7.0
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)
