"""SubPO: the policy gradient of a submodular objective (Prajapat, Mutny, Zeilinger, Krause; 2307.13372).

    grad J = E sum_t grad log pi(a_t | .) (w_t - b_t),   J = E F(tau)

on environments whose reward is the marginal gain of the new state (`envs.set_reward`), by REINFORCE. The
weight w is a choice, see `credit.py`: `to_go` gives the gradient of J, what the released code does is
`prefix`. The policy is Markov or remembers, as the observation says (`features.py`) and `Config.memory`.
On a modular reward (`SetReward.modular`) the same learner is ModPO.

Legend: `T` steps, `N` episodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

import jax.numpy as jnp
import optax

from jaxrl.baselines import reinforce
from jaxrl.core.errors import UsageError
from jaxrl.core.types import Algorithm, Array, PyTree, struct
from jaxrl.envs.base import Env
from jaxrl.nets.actor_critic import ActorCritic
from jaxrl.submodular import natural
from jaxrl.submodular.credit import CREDITS, advantages, check_credit, check_length, mixture, signal

Credit = Literal["to_go", "total", "marginal", "prefix", "gae", "mixture"]


@dataclass(frozen=True)
class Config(reinforce.Config):
    """Static choices; those of REINFORCE with the released sizes as defaults.

    length: actions of an episode, one less than visited states; exactly those where the environment has a
        finite horizon.
    credit: see `credit.py`; "mixture" reads shares of the four sums from `Hyper.mixture`, so that a
        population can compare them in one program; "gae" needs a critic.
    fisher: conjugate-gradient iterations of the natural gradient, which replaces Adam; 0 for the plain one.
    """

    n_envs: int = 500
    length: int = 39
    widths: tuple[int, ...] = (64, 32)
    initial: Literal["orthogonal", "uniform"] = "uniform"
    keep: tuple[str, ...] = ("F", "gain")
    credit: Credit = "to_go"
    fisher: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_credit("Config.credit", self.credit, (*CREDITS, "mixture"))
        if self.credit == "gae" and self.baseline != "critic":
            raise UsageError('Config.baseline: credit="gae" needs baseline="critic"')
        if self.fisher < 0:
            raise UsageError(f"Config.fisher: iterations must be >= 0, got {self.fisher}")
        if not {"F", "gain"} <= set(self.keep):
            raise UsageError('Config.keep: must hold "F" and "gain", which credits and metrics read')


@struct.dataclass
class Hyper:
    """Numbers. max_grad_norm: large enough to never clip; discount, lambda_: of `gae` alone.

    mixture: float[4] shares of `credit.SUMS`. damping, trust: of the natural gradient, see `natural.py`. The
    objective has no discount, and its rewards are scalars: `gamma` and `w` are what REINFORCE reads there.
    """

    gamma: ClassVar[float] = 1.0
    w: ClassVar[None] = None
    lr: Any = 1e-3
    entropy: Any = 0.0
    value_coef: Any = 0.5
    max_grad_norm: Any = 1e9
    discount: Any = 0.99
    lambda_: Any = 0.95
    mixture: Any = (1.0, 0.0, 0.0, 0.0)
    damping: Any = 1e-3
    trust: Any = 1e-2


def make(config: Config, env: Env, *, optimiser: optax.GradientTransformation | None = None) -> Algorithm:
    """SubPO on `env`; `data` of the algorithm is the environment's parameters.

    The metrics `train/F` and `train/F_max` are mean and maximum of F(tau) over the episodes of an update.
    optimiser: of the gradient before the learning rate; default Adam as torch has it, and none for the
    natural gradient.

    Raises:
        UsageError: the configuration does not fit the environment.
    """
    check_length("Config.length", config.length, env)
    if optimiser is None:
        optimiser = optax.identity() if config.fisher else optax.scale_by_adam()
    return reinforce.make(
        config,
        env,
        signal=partial(_signal, config.credit),
        direction=partial(_natural, config.fisher) if config.fisher else reinforce.plain,
        optimiser=optimiser,
    )


def _signal(credit: Credit, window: reinforce.Window, value: Array, hyper: Hyper) -> Array:
    """float[T, N]: the sums of `credit.py`; for `gae` the advantage plus the value, its baseline."""
    reward, cut, info = window.reward, window.batch.done, window.batch.info
    if credit == "gae":
        return advantages(reward, value, cut, hyper.discount, hyper.lambda_) + value
    first = info["F"][0] - info["gain"][0]
    if credit == "mixture":
        return mixture(jnp.asarray(hyper.mixture), reward, cut, first)
    return signal(credit, reward, cut, first)


def _natural(
    iterations: int, nets: ActorCritic, params: PyTree, grads: PyTree, window: reinforce.Window, hyper: Hyper
) -> PyTree:
    return natural.direction(
        nets, params, grads, window, iterations=iterations, damping=hyper.damping, trust=hyper.trust
    )
