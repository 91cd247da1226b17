"""The elapsed time as a part of the observation."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Discrete
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.envs.wrappers.observe_time import observe_time
from tests.envs.wrappers.counting import Count, play


def test_observe_time():
    obs, outs = play(observe_time(Count()), 3)
    np.testing.assert_allclose([obs[1], *(o.obs[1] for o in outs)], [0, 0.1, 0.2, 0.3], rtol=1e-6)
    obs, outs = play(observe_time(Count(), 0.001), 3)
    np.testing.assert_allclose([obs[1], *(o.obs[1] for o in outs)], [0, 0.001, 0.002, 0.003], rtol=1e-6)
    env = observe_time(Tabular(3, 2), 0.5)
    _, outs = play(env, 2, action=jnp.int32(0))
    assert [float(o.obs["time"]) for o in outs] == [0.5, 1.0]
    assert env.observation_space["obs"] == Discrete(3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: observe_time(Tabular(3, 2)),
            r"ObserveTime\.scale: Tabular has no time",
        ),
        (lambda: observe_time(Tabular(3, 2), float("nan")), r"ObserveTime\.scale: must be a float, not NaN"),
        (lambda: observe_time(Tabular(3, 2), "a"), r"ObserveTime\.scale: must be a float .*got 'a'"),
    ],
)
def test_refusals_name_the_field(call, message):
    with pytest.raises(UsageError, match=message):
        call()
