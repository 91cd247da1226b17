"""The updates that constrained runs share: learning rates per run, padding, and what is archived."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.morl import archive as archives
from jaxrl.morl.constraints import Problem
from jaxrl.morl.extension import Batch, Runs, extension
from jaxrl.morl.learners import evaluator, snapshot
from tests.morl.finite_problems import ENV, EXACT, LEARNER, MDP, extension_hyper

START, EXTEND = extension(LEARNER, ENV, EXACT, "none", 3)


@pytest.fixture(scope="module")
def extended():
    """Two runs before and after three updates: one without a learning rate, one as padding."""
    hyper = jax.tree.map(jnp.asarray, extension_hyper())

    @jax.jit
    def run(key):
        w = jnp.array([[0.0, 1.0], [1.0, 0.0]])
        learners = START(jax.random.split(key, 2), hyper, w, MDP)
        policies = snapshot(learners)
        evaluate = evaluator(LEARNER, ENV, EXACT)
        values = jax.vmap(evaluate, (None, 0, None, None))(key, policies, MDP, hyper.gamma)
        free = archives.empty(jax.tree.map(lambda x: x[0], policies), 2, 8)
        number = jnp.arange(2, dtype=jnp.int32)
        problem = Problem(w, values.returns, jnp.ones((2, 2)))
        batch = Batch(problem, jnp.array([True, False]), number, 1 - number, number, jnp.array([0.0, 0.02]))
        return learners, values, *EXTEND(key, hyper, MDP, batch, Runs(learners, values, free))

    return run(jax.random.key(0))


def test_every_run_has_its_own_learning_rate(extended):
    before, values, after, _ = extended
    for a, b in zip(jax.tree.leaves(before.params), jax.tree.leaves(after.learners.params), strict=True):
        np.testing.assert_array_equal(a[0], b[0])
    assert np.abs(np.asarray(after.values.returns[1] - values.returns[1])).max() > 1e-4


def test_padding_is_neither_archived_nor_counted(extended):
    _, values, after, record = extended
    found = archives.members(after.archive)
    np.testing.assert_allclose(found.returns, values.returns[:1], rtol=1e-6)
    assert found.objective.tolist() == [1] and np.isneginf(found.bounds[0, 1])
    # the policy that does not move keeps its bound, and is the only run that counts
    assert record["feasible"].tolist() == [1, 1, 1]
