"""RND: the error of predicting a random network (Burda et al. 2018, 1810.12894), on batches of replay memory.

    z      = clip((s - mean(s)) / std(s), +-5)                 moments over the batch, per coordinate
    e(s)   = mean_j (f_j(z) - g_j(z))^2                        g random and fixed, f trained on mean e
    reward = e(s) / std(e)                                     running standard deviation over all batches

f forgets nothing that stays in the memory, so that e is large where the batch has few neighbours. The paper
adds the reward to PPO and divides it by the standard deviation of its returns; this is the form of URLB
(Laskin et al. 2021, 2110.15191) for off-policy learners, which reads s and not the successor.

Legend: `B` batch size, `k` observation features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxrl.baselines import td3
from jaxrl.core.descent import descend
from jaxrl.core.fields import NonNegative, Size
from jaxrl.core.types import Algorithm, Array, Key, PyTree, struct
from jaxrl.envs.base import Env
from jaxrl.nets import net
from jaxrl.reward_free.explorers.learner import explorer, sizes
from jaxrl.rollout.normalise import RunningMoments

CLIP = 5.0  # of standardised observations, in both papers
_TINY = 1e-5  # added to variances of a batch, as torch's batch normalisation does
_SMALL = 1e-8  # added to the running standard deviation of the error


@dataclass(frozen=True)
class Config(td3.Config):
    """Static choices of RND: those of TD3, and the sizes of the two networks."""

    module_widths: tuple[Size, ...] = (256, 256)
    """Hidden units per layer of predictor and target each. URLB: (1024, 1024)."""
    outputs: Size = 64
    """Number of outputs of predictor and target. URLB: 512."""


@struct.dataclass
class Hyper(td3.Hyper):
    """Hyper-parameters of RND: those of TD3, and the learning rate of the predictor."""

    lr_module: NonNegative = 1e-4
    """Learning rate of the predictor, >= 0. URLB: 1e-4."""


class Module(NamedTuple):
    """State of RND.

    predictor, target: parameters of f and g; moments: of the error e, over all rows seen.
    """

    predictor: PyTree
    target: PyTree
    opt_state: PyTree
    moments: RunningMoments


def make(config: Config, env: Env, *, optimiser: optax.GradientTransformation | None = None) -> Algorithm:
    """TD3 with the reward of RND on `env`; `data` of the algorithm is the environment's parameters.

    optimiser: optax transformation of the gradients of actor and critics; default Adam.

    Raises `UsageError` as `td3.make` does.
    """
    return explorer(__name__, config, env, optimiser, intrinsic(config, *sizes(env)))


def intrinsic(config: Config, k: int, d: int) -> td3.Intrinsic:
    """The reward of RND for `k` observation features; it does not read the `d` action coordinates."""
    network = net.mlp((k, *config.module_widths, config.outputs), "relu")
    optimiser = optax.scale_by_adam()

    def init(key: Key) -> Module:
        k_predictor, k_target = jax.random.split(key)
        predictor = network.init(k_predictor)
        nothing = RunningMoments.zeros(jax.ShapeDtypeStruct((), jnp.float32))
        return Module(predictor, network.init(k_target), optimiser.init(predictor), nothing)

    def errors(predictor: PyTree, target: PyTree, obs: Array) -> Array:
        z = standardise(obs)
        return prediction_errors(network.apply(predictor, z), network.apply(target, z))

    def reward(state: Module, hyper: Hyper, obs: Array, action: Array, next_obs: Array) -> Array:
        return scaled(errors(state.predictor, state.target, obs), state.moments)

    def update(
        state: Module,
        hyper: Hyper,
        key: Key,
        obs: Array,
        action: Array,
        next_obs: Array,
        next_action: Array,
    ) -> Module:
        grad = jax.grad(lambda p: errors(p, state.target, obs).mean())(state.predictor)
        predictor, opt_state = descend(optimiser, grad, state.opt_state, state.predictor, hyper.lr_module)
        moments = state.moments.update(errors(predictor, state.target, obs))
        return Module(predictor, state.target, opt_state, moments)

    return td3.Intrinsic(init, reward, update)


def standardise(obs: Array) -> Array:
    """The observations [B, k] with mean 0 and variance 1 per coordinate over the batch, clipped to +-5."""
    centred = obs - obs.mean(0, keepdims=True)
    variance = jnp.square(centred).mean(0, keepdims=True)
    return jnp.clip(centred / jnp.sqrt(variance + _TINY), -CLIP, CLIP)


def prediction_errors(predicted: Array, target: Array) -> Array:
    """float[B], mean squared differences over the outputs [B, m].

    Equation: burda2019rnd [prediction error].
    """
    return jnp.square(predicted - target).mean(-1)


def scaled(error: Array, moments: RunningMoments) -> Array:
    """The errors [B] over their running standard deviation; no mean is subtracted.

    Equation: burda2019rnd [normalised intrinsic reward].
    """
    return error / (jnp.sqrt(moments.var) + _SMALL)
