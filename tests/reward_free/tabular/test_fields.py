"""Checks of hyper-parameters that the methods share."""

import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.reward_free.tabular import uniform
from jaxrl.reward_free.tabular.fields import check_horizon


def test_the_largest_horizon_of_all_members_counts():
    check_horizon(uniform.Config(8), uniform.Hyper(horizon=np.array([3, 8])))
    with pytest.raises(UsageError, match=r"Hyper\.horizon: 9 exceeds Config\.horizon = 8"):
        check_horizon(uniform.Config(8), uniform.Hyper(horizon=np.array([3, 9])))
