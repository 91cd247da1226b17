"""The benchmark of first certificates runs its members on the instance and stops them."""

import jax
import numpy as np
import pytest

from benchmarks.reward_free.first_certificate import certify
from jaxrl.envs.tabular.mixture_generators import hard_instance


@pytest.mark.slow
def test_members_of_two_horizons_run_in_one_program():
    with jax.enable_x64(True):
        members, seconds = certify(hard_instance(4, 1000), (2, 3), 1, 200, 1)
    assert seconds > 0
    assert [int(m.hyper.horizon) for m in members] == [2, 3]
    assert all(m.bucket is members[0].bucket for m in members)
    ended = [int(m.state.episodes) + (int(m.state.certified) >= 0) for m in members]
    np.testing.assert_array_equal(ended, [200, 200])
