"""PPO reaches the known scores of classic control: greedy policy, 64 episodes of `evaluate`, every seed."""

import jax
import numpy as np
import pytest

from jaxrl.baselines import ppo
from jaxrl.envs.control.acrobot import Acrobot
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.envs.control.pendulum import Pendulum
from jaxrl.rollout.evaluate import evaluate

SCALED = ppo.Config(normalise_obs=True, scale_rewards=True)
LONGER = ppo.Config(normalise_obs=True, scale_rewards=True, epochs=10, minibatches=8)
ANNEALED = ppo.Hyper(anneal=1.0, updates_total=62.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("env", "config", "hyper", "updates", "score"),
    [
        (CartPole(), ppo.Config(scale_rewards=True), ANNEALED, 62, 499.0),
        (Acrobot(), SCALED, ANNEALED, 62, -100.0),
        (Pendulum(), LONGER, ppo.Hyper(gamma=0.95, entropy=0.0), 60, -200.0),
    ],
    ids=lambda x: getattr(x, "name", None),
)
def test_known_score(env, config, hyper, updates, score):
    algorithm, data = ppo.make(config, env), env.default_params()

    def member(key):
        k_algo, k_eval = jax.random.split(key)
        state = algorithm.init(k_algo, hyper, data)
        state, _ = jax.lax.scan(lambda s, _: algorithm.step(s, hyper, data), state, length=updates)
        return evaluate(env, algorithm.act(state, hyper, greedy=True), k_eval, data, episodes=64).returns

    returns = jax.jit(lambda keys: jax.lax.map(member, keys))(jax.random.split(jax.random.key(0), 3))
    assert np.all(np.asarray(returns).mean(axis=1) > score), np.asarray(returns).mean(axis=1)
