"""The uniform policy: frequencies of actions, and how often it opens a lock."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.reward_free.tabular import uniform
from jaxrl.run.sweep import sweep
from tests.reward_free.mixtures import three_lock


def test_actions_are_uniform_and_the_lock_opens_as_often_as_computed():
    mixture, updates, seeds = three_lock(), 400, 4
    members = sweep(
        lambda config: uniform.make(config, LinearMixture.of(mixture)),
        [(uniform.Config(4), uniform.Hyper(horizon=4))],
        seeds=seeds,
        data=mixture,
        updates=updates,
        progress=False,
    )
    counts = np.sum([member.state.counts[0] for member in members], 0)
    n = updates * seeds
    assert counts.sum() == 4 * n
    # five standard deviations of a binomial variable: false alarm below 1e-6
    assert abs(counts[0, 0].sum() - n / 2) < 5 * np.sqrt(n / 4)
    opened = counts[2, :, 3].sum()
    assert abs(opened - n / 8) < 5 * np.sqrt(n * 7 / 64)


def test_policy_draws_every_action():
    mixture = three_lock()
    algorithm = uniform.make(uniform.Config(4), LinearMixture.of(mixture))
    hyper = uniform.Hyper(horizon=4)
    state = algorithm.init(jax.random.key(0), hyper, mixture)
    policy = algorithm.act(state, hyper, False)
    obs = {"obs": jnp.asarray(1), "h": jnp.asarray(4)}
    draw = jax.vmap(lambda key: policy.act(key, obs, ())[0])
    shares = np.bincount(draw(jax.random.split(jax.random.key(1), 1000)), minlength=2) / 1000
    assert abs(shares[0] - 0.5) < 5 * 0.5 / np.sqrt(1000)
