"""How many episodes a certificate takes on the hard instance, by plans and by orders of the weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.reward_free.errors import largest_error, one_shots
from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.envs.tabular.mixture_generators import hard_instance
from jaxrl.reward_free import hf
from jaxrl.run.sweep import member_keys, stack_hypers
from jaxrl.run.train import train
from tests.reward_free.mixtures import six_lock


def certified(orders, ratios):
    """First certified episode and number of plans at horizon 16, one member per ratio of determinants."""
    mixture = hard_instance(4, 1000)
    bound = float(jnp.linalg.norm(mixture.theta))
    hypers = [hf.Hyper(horizon=16, bound=bound, epsilon=0.25, ratio=ratio) for ratio in ratios]
    hypers = jax.tree.map(lambda *x: jnp.asarray(x), *hypers)
    keys = jax.vmap(jax.random.key)(jnp.zeros(len(ratios), jnp.uint32))
    algorithm = hf.make(hf.Config(horizon=16, orders=orders), LinearMixture.of(mixture))
    state = train(algorithm, keys, hypers, mixture, updates=80, float64=True).state
    return np.asarray(state.certified), np.asarray(state.plans)


@pytest.mark.slow
def test_certificates_take_about_as_many_episodes_with_few_plans_and_with_two_orders():
    """The reference is 4771 episodes, of an independent implementation on other random numbers."""
    with jax.enable_x64(True):
        four, plans = certified(4, (1.05, 1.2, 2.0))
        assert np.all(plans < 400) and np.all(np.diff(plans) < 0)
        assert 1 <= four[2] / four[0] < 1.25
        assert abs(four[1] / 4771 - 1) < 0.05
        two, _ = certified(2, (1.2,))
        assert abs(two[0] / four[1] - 1) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("schedule", [{}, {"replan": "geometric", "growth": 1.05}])
def test_the_six_digit_lock_is_open_after_300_episodes_by_both_schedules(schedule):
    """The largest error over one-shot rewards is at most 0.1 in each of four seeds."""
    with jax.enable_x64(True):
        mixture = six_lock()
        bound = float(jnp.linalg.norm(mixture.theta))
        algorithm = hf.make(hf.Config(horizon=8, episodes=300, **schedule), LinearMixture.of(mixture))
        hyper = stack_hypers([hf.Hyper(horizon=8, c_beta=0.03, bound=bound)], 4)
        state = train(algorithm, member_keys(0, 4), hyper, mixture, updates=1, float64=True).state
        P, rewards = mixture.to_tabular().P, one_shots(8, 8, 3)
        for i in range(4):
            model = hf.model(jax.tree.map(lambda x: x[i], state), mixture)  # noqa: B023
            assert largest_error(P, model[None], rewards) <= 0.1
