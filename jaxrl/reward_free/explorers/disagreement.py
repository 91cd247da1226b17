"""Disagreement: the variance of learned forward models (Pathak et al. 2019, 1906.04161), on replay batches.

    f_i(s, a)  approximates s',   i = 1..n               each f_i trained on mean |f_i(s, a) - s'|_2
    reward     = mean_j Var_i f_i(s, a)_j                unbiased over the models, mean over coordinates

Models that started apart agree where they have been trained, and noise of s' that cannot be predicted leaves
no variance. The reward is that of URLB (Laskin et al. 2021, 2110.15191), in units of observations squared.

Legend: `B` batch size, `n` models, `k` observation features, `d` action coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxrl.baselines import td3
from jaxrl.core.descent import descend
from jaxrl.core.fields import NonNegative, Range, Size
from jaxrl.core.types import Algorithm, Array, Key, PyTree, struct
from jaxrl.envs.base import Env
from jaxrl.nets import net
from jaxrl.reward_free.explorers.learner import explorer, sizes

_SMALL = 1e-8  # least norm of an error that has a gradient


@dataclass(frozen=True)
class Config(td3.Config):
    """Static choices of disagreement: those of TD3, and the models."""

    module_widths: tuple[Size, ...] = (256,)
    """Hidden units per layer of every model. URLB: (1024,)."""
    models: Annotated[int, Range(2)] = 5
    """Number of forward models, at least 2. URLB: 5."""


@struct.dataclass
class Hyper(td3.Hyper):
    """Hyper-parameters of disagreement: those of TD3, and the learning rate of the models."""

    lr_module: NonNegative = 1e-4
    """Learning rate of the forward models, >= 0. URLB: 1e-4."""


class Module(NamedTuple):
    """State of disagreement.

    models: parameters of all f_i, leaves [n, ...]; opt_state: of their optimiser.
    """

    models: PyTree
    opt_state: PyTree


def make(config: Config, env: Env, *, optimiser: optax.GradientTransformation | None = None) -> Algorithm:
    """TD3 with the reward of disagreement on `env`; `data` of the algorithm is the environment's parameters.

    optimiser: optax transformation of the gradients of actor and critics; default Adam.

    Raises `UsageError` as `td3.make` does.
    """
    return explorer(__name__, config, env, optimiser, intrinsic(config, *sizes(env)))


def intrinsic(config: Config, k: int, d: int) -> td3.Intrinsic:
    """The reward of disagreement for `k` observation features and `d` action coordinates."""
    network = net.ensemble(net.mlp((k + d, *config.module_widths, k), "relu"), config.models)
    optimiser = optax.scale_by_adam()

    def init(key: Key) -> Module:
        models = network.init(key)
        return Module(models, optimiser.init(models))

    def predict(models: PyTree, obs: Array, action: Array) -> Array:
        return network.apply(models, jnp.concatenate([obs, action], -1))

    def reward(state: Module, hyper: Hyper, obs: Array, action: Array, next_obs: Array) -> Array:
        return variance(predict(state.models, obs, action))

    def update(
        state: Module,
        hyper: Hyper,
        key: Key,
        obs: Array,
        action: Array,
        next_obs: Array,
        next_action: Array,
    ) -> Module:
        grad = jax.grad(lambda p: loss(predict(p, obs, action), next_obs))(state.models)
        return Module(*descend(optimiser, grad, state.opt_state, state.models, hyper.lr_module))

    return td3.Intrinsic(init, reward, update)


def loss(predicted: Array, next_obs: Array) -> Array:
    """float[], mean over the batch of the errors' norms, predicted [n, B, k], summed over the models."""
    return optax.safe_norm(predicted - next_obs[None], _SMALL, axis=-1).mean(1).sum()


def variance(predicted: Array) -> Array:
    """float[B], variance of the predictions [n, B, k] over the models, mean over coordinates.

    Equation: pathak2019disagreement [variance of the predictions].
    """
    return predicted.var(0, ddof=1).mean(-1)
