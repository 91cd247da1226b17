"""What explorers share: the dataset that a run leaves, and under which name its policies are stored."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.baselines import td3
from jaxrl.core.errors import UsageError
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.envs.control.pendulum import Pendulum
from jaxrl.reward_free.explorers.learner import explorer, sizes, visited

CONFIG = td3.Config(n_envs=3, length=2, gradient_steps=1, batch_size=4, capacity=24, widths=(4,))
PAYS_TWO = td3.Intrinsic(
    init=lambda key: (),
    reward=lambda state, hyper, obs, action, next_obs: jnp.full(len(obs), 2.0),
    update=lambda state, hyper, *batch: state,
)


@pytest.fixture(scope="module")
def run():
    """The algorithm, and its states after 3, 4 and 5 updates of 6 steps, with their metrics."""
    env = Pendulum()
    algorithm = explorer("a.module", CONFIG, env, None, PAYS_TWO)
    hyper, params = td3.Hyper(warmup=2), env.default_params()._replace(max_steps=jnp.asarray(5, jnp.int32))
    state = jax.jit(algorithm.init)(jax.random.key(0), hyper, params)
    step = jax.jit(algorithm.step)
    found = []
    for _ in range(5):
        state, metrics = step(state, hyper, params)
        found.append((state, metrics))
    return algorithm, found


def test_the_learned_reward_is_the_one_that_td3_learns_from(run):
    algorithm, found = run
    _, metrics = found[-1]
    assert float(metrics["reward"].total / metrics["reward"].count) == 2
    assert algorithm.origin.module == "a.module"


def test_visited_has_every_step_in_order_with_the_environments_rewards(run):
    """Three environments of 8 steps, whose episodes are cut after 5."""
    _, found = run
    data = visited(CONFIG, found[3][0], meta=(("seed", 0),))
    assert data.size == 24 and data.meta == (("seed", 0),)
    np.testing.assert_array_equal(np.asarray(data.step).reshape(3, 8), [[0, 1, 2, 3, 4, 0, 1, 2]] * 3)
    assert len(np.unique(data.episode)) == 6 and int(data.done.sum()) == 6
    inside = ~np.asarray(data.done)[:-1]
    np.testing.assert_array_equal(np.asarray(data.next_obs)[:-1][inside], np.asarray(data.obs)[1:][inside])
    assert float(data.reward.max()) < 0  # the pendulum's own, never 2


def test_a_memory_that_has_forgotten_is_refused(run):
    _, found = run
    with pytest.raises(UsageError, match=r"Config\.capacity: 24 rows hold no 30 steps; make it larger"):
        visited(CONFIG, found[4][0])


def test_sizes_count_features_and_coordinates():
    assert sizes(Pendulum()) == (3, 1)


def test_discrete_actions_are_refused():
    with pytest.raises(UsageError, match=r"CartPole.*action_space: TD3 needs a bounded Box"):
        explorer("a.module", CONFIG, CartPole(), None, PAYS_TWO)
