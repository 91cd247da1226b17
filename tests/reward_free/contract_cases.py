"""The smallest problem for every algorithm of `jaxrl.reward_free`, read by tests/contract."""

import jax.numpy as jnp

from jaxrl.core.spaces import Discrete
from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.reward_free import (
    hf,
    hf_ucrl_vtr,
    reward_aware,
    rewards,
    ucrl_rfe,
    ucrl_rfe_plus,
    ucrl_vtr,
    ucrl_vtr_plus,
    warm_start,
)
from tests.reward_free.mixtures import hashed


def _case(module, config, bound=1.1):
    mixture = hashed()
    env = LinearMixture.of(mixture)
    hyper = module.Hyper(horizon=3, bound=bound)
    spaces = ({"obs": env.observation_space, "h": Discrete(5)}, env.action_space)
    return module.make(config, env), (hyper, hyper.replace(c_beta=0.05, horizon=4)), mixture, *spaces


def _hf(**choices):
    return _case(hf, hf.Config(horizon=4, episodes=3, orders=2, **choices))


def _rfe(**choices):
    return _case(ucrl_rfe, ucrl_rfe.Config(horizon=4, episodes=3, **choices))


def _warm_start():
    _, hypers, mixture, *spaces = _hf()
    counts = jnp.arange(18, dtype=jnp.int32).reshape(1, 3, 2, 3)
    algorithm = warm_start.make(hf.Config(horizon=4, episodes=3, orders=2), LinearMixture.of(mixture))
    return algorithm, hypers, warm_start.Data(mixture, counts), *spaces


def _known_reward(module, **choices):
    algorithm, hypers, mixture, *spaces = _case(module, module.Config(horizon=4, episodes=3, **choices))
    reward = rewards.one_shot(4, 2, jnp.zeros((3, 2)).at[1].set(1.0))
    return algorithm, hypers, reward_aware.Data(mixture, reward), *spaces


CASES = {
    "ucrl_vtr": lambda: _known_reward(ucrl_vtr),
    "ucrl_vtr_plus": lambda: _known_reward(ucrl_vtr_plus),
    "hf_ucrl_vtr": lambda: _known_reward(hf_ucrl_vtr, orders=2),
    "hf: determinant": _hf,
    "hf: geometric": lambda: _hf(replan="geometric", estimate="first"),
    "warm_start": _warm_start,
    "ucrl_rfe: range 1": _rfe,
    "ucrl_rfe: published range": lambda: _rfe(value_range="published", inner="l1", pin=True),
    "ucrl_rfe_plus": lambda: _case(
        ucrl_rfe_plus, ucrl_rfe_plus.Config(horizon=4, episodes=3, inner="ascent")
    ),
}
