"""The comparison with evosax at tiny sizes: counts, ratios and one equal step; no test asserts a time."""

import numpy as np
import pytest

from benchmarks.measure import Clock
from benchmarks.meta import sphere, sphere_worker
from benchmarks.meta.setup import PYTHON


def test_a_round_is_as_many_generations_as_are_counted_and_descends():
    run, state, _ = sphere_worker.program(5, 8, 10)
    first = run(state)
    assert int(first.updates) == 10 and int(run(first).updates) == 20
    assert np.square(first.params).sum() < np.square(state.params).sum()


def test_a_first_step_of_adam_goes_along_the_sign_of_the_rank_gradient():
    mean, noise = np.ones(3), np.array([[1.0, -1.0, 0.5], [-0.5, 2.0, 1.0]])
    fitness = np.array([[3.0, 0.0], [1.0, 2.0]])  # ranks 3 0 / 1 2, centred 1/2 -1/2 / -1/6 1/6
    gradient = 1.0 * noise[0] - noise[1] / 3
    np.testing.assert_allclose(
        sphere.stepped(mean, noise, fitness), mean + sphere.LR * np.sign(gradient), rtol=1e-5
    )


def test_ratios_are_rates_of_generations_by_round():
    clocks = [[Clock(1.0, 1.0), Clock(2.0, 2.0)], [Clock(2.0, 2.0)] * 2]
    entries = sphere.summarise(10, 8, clocks, 40, ("a", "b"))
    assert [entry.value for entry in entries] == [30, 20, 1.5]
    assert entries[2].rounds == (2, 1) and entries[2].floor == 1.3


@pytest.mark.skipif(not PYTHON.exists(), reason="the peer's environment is missing")
def test_one_step_equals_the_peers_on_equal_noise():
    assert sphere.difference(10, 8) < 1e-5
