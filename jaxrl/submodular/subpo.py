"""SubPO: the policy gradient of a submodular objective (Prajapat, Mutny, Zeilinger, Krause; 2307.13372).

    grad J = E sum_t grad log pi(a_t | .) (w_t - b_t),   J = E F(tau)

on environments whose reward is the marginal gain of the new state (`envs.wrappers.set_reward`), by REINFORCE.
The weight w is a choice, see `credit.py`: `to_go` gives the gradient of J, what the released code does is
`prefix`. The policy is Markov or remembers, as the observation says (`features.py`) and `Config.memory`.
On a modular reward (`SetReward.modular`) the same learner is ModPO.

Legend: `T` steps, `N` episodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
import optax

from jaxrl.baselines import natural, reinforce
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Bound, Count, Finite, NonNegative, Positive, Share, Size
from jaxrl.core.types import Algorithm, Array, PyTree, struct
from jaxrl.envs.base import Env
from jaxrl.nets.actor_critic import ActorCritic
from jaxrl.nets.net import Initial
from jaxrl.submodular.credit import advantages, check_length, mixture, signal

Credit = Literal["to_go", "total", "marginal", "prefix", "gae", "mixture"]


@dataclass(frozen=True)
class Config(reinforce.Config):
    """Static choices of SubPO: those of REINFORCE, with the released sizes as defaults."""

    n_envs: Size = 500
    """Episodes per update. Paper: 500."""
    length: Size = 39
    """Actions of an episode, one less than visited states; exactly those of an environment with a finite
    horizon. Paper: 39, 79 where everything is to be covered."""
    widths: tuple[Size, ...] = (64, 32)
    """Hidden units per layer, of the actor and of the critic each. Paper: (64, 32)."""
    initial: Initial = "uniform"
    """Distribution of the first weights, see `net.mlp`. Paper: "uniform", as torch has it."""
    keep: tuple[str, ...] = ("F", "gain")
    """Entries of `Step.info` that credits and metrics read; "F" and "gain" must be among them."""
    credit: Credit = "to_go"
    """What the score of an action is multiplied by, see `credit.py`. "mixture" reads shares of the four sums
    from `Hyper.mixture`, so that a population can compare them in one program; "gae" needs a critic."""
    fisher: Count = 0
    """Conjugate-gradient iterations of the natural gradient, which replaces Adam; 0 for none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.credit == "gae" and self.baseline != "critic":
            raise UsageError('Config.baseline: credit="gae" needs baseline="critic"')
        if not {"F", "gain"} <= set(self.keep):
            raise UsageError('Config.keep: must hold "F" and "gain", which credits and metrics read')


@struct.dataclass
class Hyper:
    """Hyper-parameters of SubPO, each a leaf that can be swept.

    The objective has no discount, and its rewards are scalars: `gamma` and `w` are what REINFORCE reads
    there.
    """

    gamma: ClassVar[float] = 1.0
    w: ClassVar[None] = None
    lr: NonNegative = 1e-3
    """Learning rate, >= 0. Paper: 1e-3 on maps of 30 x 30 cells, 5e-3 for items."""
    entropy: Finite = 0.0
    """Weight of the entropy bonus, in units of F per nat."""
    value_coef: NonNegative = 0.5
    """Weight of half the critic's squared error, >= 0; read with `baseline="critic"`."""
    max_grad_norm: Bound | None = 1e9
    """Euclidean norm to which larger gradients are shrunk, >= 0; the default never shrinks any."""
    discount: Share = 0.99
    """Discount per step of `credit="gae"`, in [0, 1]."""
    lambda_: Share = 0.95
    """Decay of the generalised advantages of `credit="gae"`, in [0, 1]."""
    mixture: tuple[Finite, Finite, Finite, Finite] = (1.0, 0.0, 0.0, 0.0)
    """Shares of the sums to_go, total, marginal and prefix; read with `credit="mixture"`."""
    damping: Positive = 1e-3
    """Multiple of the identity that is added to the Fisher matrix, > 0; read with `fisher` > 0."""
    trust: Positive = 1e-2
    """Largest Kullback-Leibler divergence of a natural step, in nats, > 0; read with `fisher` > 0."""


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
    """The natural gradient of all parameters but the critic's, whose gradient stays as it is."""
    critic, policy = {"critic": params["critic"]}, _without_critic(params)
    now = jax.lax.stop_gradient(reinforce.distribution(nets, params, window.x)[0])

    def divergence(policy: PyTree) -> Array:
        there, _ = reinforce.distribution(nets, policy | critic, window.x)
        return jnp.where(window.running, nets.head.kl(now, there), 0).sum() / window.running.sum()

    step = natural.direction(
        divergence,
        policy,
        _without_critic(grads),
        iterations=iterations,
        damping=hyper.damping,
        trust=hyper.trust,
    )
    return step | {"critic": grads["critic"]}


def _without_critic(tree: PyTree) -> PyTree:
    return {name: x for name, x in tree.items() if name != "critic"}
