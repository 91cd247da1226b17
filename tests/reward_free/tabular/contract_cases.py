"""The smallest problem for every tabular explorer, read by tests/contract."""

from jaxrl.core.spaces import Discrete
from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.reward_free.tabular import (
    generative,
    inverse_count,
    max_entropy,
    rf_express,
    rf_rl_explore,
    rf_ucrl,
    uniform,
)
from tests.reward_free.mixtures import hashed

MIXTURE = hashed()
ENV = LinearMixture.of(MIXTURE)

SMALL = {"bonus_scale": 0.05}  # at 1 all actions tie for long


def _case(module, config, base=(), **other):
    hyper = module.Hyper(horizon=3, **dict(base))
    space = {"obs": ENV.observation_space, "h": Discrete(config.horizon + 1)}
    return module.make(config, ENV), (hyper, hyper.replace(**other)), MIXTURE, space, ENV.action_space


CASES = {
    "rf_ucrl: official": lambda: _case(rf_ucrl, rf_ucrl.Config(3, clip=True), SMALL, gamma=0.5),
    "rf_ucrl: paper": lambda: _case(rf_ucrl, rf_ucrl.Config(3, "paper", "per stage"), SMALL, gamma=0.5),
    "rf_express": lambda: _case(rf_express, rf_express.Config(3, "per stage"), bonus_scale=0.3),
    "inverse_count": lambda: _case(inverse_count, inverse_count.Config(3), horizon=2),
    "max_entropy": lambda: _case(max_entropy, max_entropy.Config(3), horizon=2),
    "uniform": lambda: _case(uniform, uniform.Config(3), horizon=2),
    "generative": lambda: _case(generative, generative.Config(3), horizon=2),
    "rf_rl_explore": lambda: _case(rf_rl_explore, rf_rl_explore.Config(3, 18), bonus_scale=1.0),
}
FIXED = {"uniform", "generative"}  # controls, whose policy is uniform
