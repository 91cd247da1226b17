"""The benchmark of first certificates runs its members on the instance and stops them."""

import jax
import numpy as np
import pytest

from benchmarks.reward_free.first_certificate import certify


@pytest.mark.slow
def test_members_of_two_horizons_run_in_one_program():
    with jax.enable_x64(True):
        trained, seconds = certify((2, 3), 1, 2, 1)
        assert seconds > 0 and np.all(trained.state.updates == 2)
        np.testing.assert_array_equal(trained.state.episodes + (trained.state.certified >= 0), [200, 200])
