"""SubPO by proximal policy optimisation: gains as rewards, a credit as advantage, a critic as baseline.

Because gains add up to F, PPO on them with `credit="gae"` is PPO; the other credits replace the advantage by
their sums minus the critic's value, which is fitted to the sums. The environment ends its episodes itself,
after at most `length` steps; `prefix` and `total` leave the constant F({s_0}) to the critic.

Legend: `T` steps, `N` environments.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import optax

from jaxrl.baselines import ppo
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Size
from jaxrl.core.types import Algorithm, Array
from jaxrl.envs.base import Env
from jaxrl.envs.wrappers.finite_horizon import actions_per_episode
from jaxrl.rollout.returns import gae
from jaxrl.submodular.credit import Credit, Sum, signal


@dataclass(frozen=True)
class Config(ppo.Config):
    """Static choices of SubPO by PPO: those of PPO, and the credit."""

    n_envs: Size = 64
    """Number of environments, over all devices together."""
    length: Size = 39
    """Steps of every environment per update. Every credit but "gae" needs a multiple of the horizon, so that
    windows hold whole episodes, and an environment with a finite horizon."""
    widths: tuple[Size, ...] = (64, 32)
    """Hidden units per layer, of the actor and of the critic each. Paper: (64, 32)."""
    keep: tuple[str, ...] = ("F",)
    """Entries of `Step.info` whose mean at the ends of episodes is the metric `train/<name>`."""
    credit: Credit = "gae"
    """What stands in place of the advantage, see `credit.py`."""


def make(config: Config, env: Env, *, optimiser: optax.GradientTransformation | None = None) -> Algorithm:
    """PPO on the marginal gains of `env`, with the hyper-parameters of `ppo.Hyper` (gamma is read by `gae`
    alone).

    Raises:
        UsageError: the configuration does not fit the environment.
    """
    if config.credit != "gae":
        actions = actions_per_episode(env)
        if actions is None:
            raise UsageError(
                f'Config.credit: "{config.credit}" sums whole episodes, but {env.name} has none of fixed '
                'length; take credit="gae", or put a finite_horizon around it'
            )
        if config.length % actions:
            raise UsageError(
                f"Config.length: must be a multiple of {actions}, the actions of an episode with "
                f"{actions + 1} visited states, got {config.length}"
            )
    advantages = gae if config.credit == "gae" else partial(_sums_minus_value, config.credit)
    return ppo.make(config, env, advantages=advantages, optimiser=optimiser)


def _sums_minus_value(
    credit: Sum, reward: Array, value: Array, next_value: Array, discount: Array, cut: Array, lambda_: Array
) -> Array:
    return signal(credit, reward, cut) - value
