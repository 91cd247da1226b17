"""A new task at every reset."""

import jax
import jax.numpy as jnp
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.envs.wrappers.flatten_obs import flatten_obs
from jaxrl.envs.wrappers.resample_task import resample_params
from tests.envs.wrappers.counting import KEY, Count


def test_resample_params_draws_a_task_per_reset_and_keeps_it():
    env = resample_params(Count())
    params = env.default_params()
    assert jax.tree.map(int, params) == (10,)
    reset, step = jax.jit(env.reset), jax.jit(env.step)
    bonuses = []
    for i in range(5):
        state, _ = reset(jax.random.key(i), params)
        first = float(step(KEY, state, jnp.zeros((2, 2)), params)[1].reward) - 1
        state, _ = step(KEY, state, jnp.zeros((2, 2)), params)
        second = float(step(KEY, state, jnp.zeros((2, 2)), params)[1].reward) - 2
        assert first == pytest.approx(second, abs=1e-6)
        bonuses.append(first)
    assert len(set(bonuses)) == 5 and 0 < min(bonuses) < max(bonuses) < 1
    assert resample_params(Tabular(3, 2)).default_params() == ()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: resample_params(flatten_obs(CartPole())),
            r"ResampleTask\.env: FlattenObs\(CartPole\) has no sample_params",
        ),
    ],
)
def test_refusals_name_the_field(call, message):
    with pytest.raises(UsageError, match=message):
        call()
