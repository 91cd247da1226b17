"""Repeated actions: sums of rewards, ends, randomness."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.base import integer
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.envs.wrappers.action_repeat import action_repeat
from tests.envs.wrappers.counting import KEY, Count, play


def test_action_repeat_adds_rewards_and_stops():
    env = action_repeat(Count(), 3)
    params = env.default_params()._replace(end=integer(5))
    _, outs = play(env, 2, params)
    # steps 1 2 3, then 4 5 and the end; a sixth step is neither taken nor paid
    assert [float(o.reward) for o in outs] == [1 + 2 + 3, 4 + 5]
    assert [float(o.obs[0]) for o in outs] == [3, 5]
    assert [bool(o.terminated) for o in outs] == [False, True]
    assert int(env.time_limit(params)) == 4  # ceil(10 / 3)
    assert int(action_repeat(Count(), 1).time_limit(params)) == 10


def test_action_repeat_uses_fresh_randomness():
    env = action_repeat(Tabular(50, 1), 2)
    params = env.default_params()
    # uniform over the successors: equal draws would only ever visit the fixed points of one uniform
    params = params.replace(P=jnp.full((50, 1, 50), 1 / 50))
    start = Tabular(50, 1).state_at(params, 0)
    single = jax.jit(jax.vmap(lambda k: Tabular(50, 1).step(k, start, 0, params)[0].s))
    double = jax.jit(jax.vmap(lambda k: env.step(k, start, 0, params)[0].s))
    keys = jax.random.split(KEY, 200)
    assert (np.asarray(single(keys)) != np.asarray(double(keys))).mean() > 0.9


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: action_repeat(CartPole(), 0), r"ActionRepeat\.k: must be >= 1"),
        (lambda: action_repeat(CartPole(), 2.5), r"ActionRepeat\.k: must be an int, got 2\.5"),
    ],
)
def test_refusals_name_the_field(call, message):
    with pytest.raises(UsageError, match=message):
        call()
