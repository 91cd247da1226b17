"""Standardised observations, by moments and by a policy that shows what it sees."""

import jax
import numpy as np

from experiments.shared.standardised import Standardised
from jaxrl.core.types import Algorithm, Policy
from jaxrl.data.dataset import from_arrays

OBS = np.array([[1.0, 5.0], [2.0, 5.0], [6.0, 5.0]])
DATA = from_arrays(
    {
        "obs": OBS,
        "next_obs": OBS + 1.0,
        "action": np.zeros(3, np.int32),
        "reward": np.zeros(3),
        "terminated": np.zeros(3, bool),
        "truncated": np.array([False, False, True]),
    }
)


def test_data_have_mean_zero_and_constant_coordinates_are_only_shifted():
    seen = Standardised.of(DATA).data(DATA)
    np.testing.assert_allclose(seen.obs.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(seen.obs.std(0), [1, 0], atol=1e-6)
    np.testing.assert_allclose(seen.next_obs - seen.obs, np.tile([1 / OBS[:, 0].std(), 1], (3, 1)), rtol=1e-5)


def test_policies_take_observations_of_the_environment():
    shows = Policy(lambda key, obs, memory: (obs, (), ()))
    algorithm = Algorithm(None, None, lambda state, hyper, greedy: shows)
    policy = Standardised.of(DATA).algorithm(algorithm).act(None, None, True)
    action, _, _ = policy.act(jax.random.key(0), np.array([[3.0, 5.0], [3.0, 6.0]]), ())
    np.testing.assert_allclose(action, [[0, 0], [0, 1]], atol=1e-6)
