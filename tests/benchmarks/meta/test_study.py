"""The CartPole study beside evosax: rates by round, and the lifetimes that both sides share."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from benchmarks.measure import Clock
from benchmarks.meta import study, study_worker


def test_rates_are_generations_per_minute_and_ratios_by_round():
    entries = study.summarise([[Clock(6.0, 1), Clock(12.0, 1)], [Clock(12.0, 1)] * 2], ("a", "b"))
    assert [entry.value for entry in entries] == [7.5, 5, 1.5]
    assert entries[2].rounds == (2, 1)


@pytest.mark.slow
def test_both_sides_live_the_same_lifetimes():
    """The fitness that evosax is told is that of our lifetimes, candidate by candidate."""
    made = study_worker.problem(1)
    phi, unravel = ravel_pytree(made.start(jax.random.key(0)))
    candidates = phi[None] + jnp.array([[0.0], [0.1], [0.0], [-0.1]])
    key = jax.random.key(5)
    found = np.asarray(jax.jit(study_worker.lived(made, 2))(candidates, key))
    tasks, hyper = made.tasks(key, 2), study_worker.numbers()
    settings = study_worker.evolution.Settings(hyper.mask, hyper.fixed)
    data = study_worker.LEARNERS["drift"][1]
    one = jax.jit(lambda phi, task: made.fitness(unravel(phi), task, settings, data))
    expected = [one(candidates[i], jax.tree.map(lambda x, i=i: x[i % 2], tasks)) for i in range(4)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert found[0] == found[2]  # the first pair has no noise, and one task
