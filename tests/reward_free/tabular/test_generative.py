"""The generative oracle: equal counts, and a remainder that is a random set of pairs."""

import numpy as np
import pytest

from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.reward_free.tabular import generative
from jaxrl.run.sweep import sweep
from tests.reward_free.mixtures import hashed


@pytest.mark.parametrize("updates", [1, 3, 7])
def test_pairs_are_sampled_equally_often_with_a_random_remainder(updates):
    mixture = hashed()
    members = sweep(
        lambda config: generative.make(config, LinearMixture.of(mixture)),
        [(generative.Config(5), generative.Hyper(horizon=5))],
        seeds=8,
        data=mixture,
        updates=updates,
        progress=False,
    )
    visits = np.array([member.state.counts[0].sum(-1).ravel() for member in members])
    samples, pairs = 5 * updates, visits.shape[1]
    assert (visits.sum(1) == samples).all()
    assert set(np.unique(visits)) <= {samples // pairs, samples // pairs + 1}
    assert len({tuple(row) for row in visits.tolist()}) > 1


def test_successors_have_the_frequencies_of_the_kernel():
    mixture = hashed()
    member = sweep(
        lambda config: generative.make(config, LinearMixture.of(mixture)),
        [(generative.Config(60), generative.Hyper(horizon=60))],
        seeds=1,
        data=mixture,
        updates=100,
        progress=False,
    )[0]
    counts = np.asarray(member.state.counts[0], np.float64)
    P = np.asarray(mixture.to_tabular().P)
    n = counts.sum(-1, keepdims=True)
    assert (n == 1000).all()
    assert (np.abs(counts / n - P) < 5 * np.sqrt(P * (1 - P) / n) + 1e-9).all()
