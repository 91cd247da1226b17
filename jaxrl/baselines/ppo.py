"""Proximal policy optimisation (Schulman et al. 2017, 1707.06347).

    delta_t = r_t + gamma_t V(s'_t) - V(s_t),   A_t = delta_t + gamma lambda (1 - done_t) A_{t+1}
    maximise  mean surrogate(ratio_t, A_t)  -  c_v mean (V(s_t) - G_t)^2 / 2  +  c_e mean entropy

over a few epochs of minibatches, with `ratio = pi(a|s) / pi_old(a|s)` and `G = A + V_old`. `gamma_t` is zero
where the episode terminated and `gamma` where a time limit cut it: `V` is evaluated on the true successor.

Vector rewards: the critic has `m` outputs and the actor sees `w . A`. Recurrent policies: a GRU before actor
and critic, trained on whole windows that start from the stored memory.

Legend: `T` steps, `N` environments, `B` samples of a minibatch, `m` reward components, `k` features.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.tree_util import Partial

from jaxrl.baselines.checks import check_weights
from jaxrl.core import spmd
from jaxrl.core.descent import clip_norm, descend, root
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import (
    Bound,
    Count,
    Finite,
    NonNegative,
    Positive,
    Share,
    Size,
    Weights,
    check_fields,
)
from jaxrl.core.prng import permutation, stream
from jaxrl.core.tree import flatten_time
from jaxrl.core.types import Algorithm, Array, Key, Mean, Origin, Policy, PyTree, Transition, struct
from jaxrl.envs.base import Env
from jaxrl.nets.actor_critic import SAME, ActorCritic, actor_critic
from jaxrl.nets.net import Activation
from jaxrl.rollout.normalise import ReturnScale, RunningMoments
from jaxrl.rollout.returns import discount_and_cut, gae
from jaxrl.rollout.unroll import Pool, Resample, VecState, start, unroll

Surrogate = Callable[[Array, Array, Array, dict[str, Any]], Array]
Advantages = Callable[[Array, Array, Array, Array, Array, Any], Array]
Learn = Callable[["Parts", "State", "Samples", Any, Key], tuple[PyTree, PyTree, dict[str, Any]]]


@dataclass(frozen=True)
class Config:
    """Static choices of PPO."""

    n_envs: Size = 64
    """Number of environments, over all devices together."""
    length: Size = 128
    """Steps of every environment per update."""
    epochs: Size = 4
    """Passes over the collected steps per update."""
    minibatches: Size = 4
    """Parts of each pass, one gradient step each. They must divide what is shuffled."""
    widths: tuple[Size, ...] = (64, 64)
    """Hidden units per layer, of the actor and of the critic each; () for linear functions."""
    activation: Activation = "tanh"
    """Elementwise function between layers."""
    memory: Count = 0
    """Width of the GRU before actor and critic, 0 for feed-forward. A GRU needs `shuffle="envs"`."""
    shuffle: Literal["rows", "envs"] = "rows"
    """What minibatches are drawn from: single steps ("rows"), or whole windows of environments ("envs")."""
    clip_value: bool = True
    """Whether a value that moved by more than `Hyper.clip` since the update began gains no more."""
    normalise_advantage: Literal["minibatch", "batch", "none"] = "minibatch"
    """Over what advantages get mean 0 and standard deviation 1: each minibatch, or the whole update."""
    normalise_obs: bool = False
    """Whether features get mean 0 and standard deviation 1, by the statistics of all earlier updates."""
    scale_rewards: bool = False
    """Whether rewards are divided by the running standard deviation of the discounted return."""
    squash: bool = False
    """Whether actions of a box are normals squashed by tanh, in place of normals clipped at the bounds."""
    free_log_std: bool = True
    """Whether one log standard deviation serves all states, in place of an output of the network."""
    bootstrap_truncated: bool = True
    """Whether an episode cut by a time limit is valued by its successor; False treats the limit as an end."""
    params_axis: Literal[0] | None = None
    """Axis of parameters that differ between environments, with leaves `[n_envs, ...]`; None shares them."""
    reset: Resample | Pool = field(default_factory=Resample)
    """How the next episode starts: a fresh reset at every step, or one of `size` resets per update."""
    keep: tuple[str, ...] = ()
    """Entries of `Step.info` whose mean at the ends of episodes is the metric `train/<name>`."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.memory and self.shuffle != "envs":
            raise UsageError('Config.shuffle: recurrent policies need whole windows, set shuffle="envs"')
        units = self.n_envs * (self.length if self.shuffle == "rows" else 1)
        if units % self.minibatches:
            raise UsageError(f"Config.minibatches: {self.minibatches} must divide the {units} {self.shuffle}")


@struct.dataclass
class Hyper:
    """Hyper-parameters of PPO, each a leaf that can be swept."""

    lr: NonNegative = 1e-3
    """Learning rate of the first update, >= 0. Paper: 3e-4 on MuJoCo, 2.5e-4 on Atari."""
    gamma: Share = 0.99
    """Discount per step, in [0, 1]. Paper: 0.99."""
    lambda_: Share = 0.95
    """Decay of the generalised advantage estimate, in [0, 1]. Paper: 0.95."""
    clip: NonNegative = 0.2
    """How far the probability ratio may leave 1 before it stops gaining, >= 0. Paper: 0.2."""
    entropy: Finite = 0.01
    """Weight of the entropy bonus, in reward per nat. Paper: 0 on MuJoCo, 0.01 on Atari."""
    value_coef: NonNegative = 0.5
    """Weight of half the critic's squared error, >= 0. Paper: 1 on Atari."""
    max_grad_norm: Bound | None = 0.5
    """Euclidean norm to which larger gradients are shrunk, >= 0; None or infinity for no clipping."""
    updates_total: Positive = 100.0
    """Planned updates, > 0: the progress of a run is `updates / updates_total`, at most 1."""
    anneal: Share = 0.0
    """Fraction of the learning rate that is gone when progress is 1, in [0, 1]. Paper: 1 on Atari."""
    w: Weights | None = None
    """Weights of the reward components, float[m]; None for scalar rewards."""
    surrogate: tuple[float, ...] = ()
    """What a surrogate of one's own reads, such as thresholds: any pytree of numbers; () for none."""


@struct.dataclass
class State:
    """What an update changes, and `key`, which it does not. `moments`, `scale`: () where switched off."""

    params: PyTree
    opt_state: PyTree
    vec: VecState
    moments: PyTree
    scale: PyTree
    key: Key
    updates: Array


class Samples(NamedTuple):
    """What minibatches are made of, leaves `[T, N, ...]`, then `[B, ...]` or `[n, T, ...]`.

    advantages: `[m]` or scalar, never normalised; memory: float[N, h] before the window; restart: bool, the
    step begins an episode. `memory` and `restart` are () if feed-forward.
    """

    x: Array
    raw: Array
    log_prob: Array
    value: Array
    target: Array
    advantage: Array
    advantages: Array
    memory: PyTree
    restart: PyTree


def state_specs(axis: str) -> State:
    """Parts of the state that are sharded over a mesh axis, for `core.spmd.data_parallel`."""
    everywhere, sharded = spmd.P(), spmd.P(axis)
    return State(
        params=everywhere,
        opt_state=everywhere,
        vec=sharded,
        moments=everywhere,
        scale=everywhere,
        key=everywhere,
        updates=everywhere,
    )


class Parts(NamedTuple):
    """What `make` was given, and the networks made of it, for the functions of one update."""

    config: Config
    nets: ActorCritic
    surrogate: Surrogate
    advantages: Advantages
    optimiser: optax.GradientTransformation
    axis: str | None

    def normaliser(self, state: State) -> Partial:
        """Standardisation of features `[..., k]` by the moments of `state`, or the identity."""
        return Partial(RunningMoments.normalise, state.moments) if self.config.normalise_obs else SAME


def clipped_surrogate(ratio: Array, advantage: Array, progress: Array, extra: dict[str, Any]) -> Array:
    """min(r A, clip(r, 1 - e, 1 + e) A), float[B] without reduction.

    Equation: schulman2017ppo (7)
    """
    clip = extra["hyper"].clip
    return jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - clip, 1 + clip) * advantage)


def networks(config: Config, env: Env) -> ActorCritic:
    """Actor and critic of a configuration; raises `UsageError` where no head fits the action space."""
    try:
        return actor_critic(
            env.observation_space,
            env.action_space,
            env.reward_dim,
            widths=config.widths,
            activation=config.activation,
            memory=config.memory,
            squash=config.squash,
            free_log_std=config.free_log_std,
        )
    except ValueError as error:
        raise UsageError(f"{env.name}: {error}") from error


def make(
    config: Config,
    env: Env,
    surrogate: Surrogate = clipped_surrogate,
    *,
    advantages: Advantages = gae,
    optimiser: optax.GradientTransformation | None = None,
    learn: Learn | None = None,
    axis: str | None = None,
) -> Algorithm:
    """PPO on `env`; `data` of the algorithm is the environment's parameters.

    surrogate: `(ratio [B], advantage [B], progress, extra) -> gain [B]`, maximised on average. `progress` is
        `updates / updates_total`, constant over an update; `extra` has "log_ratio" [B], "advantages" [B] or
        [B, m] as estimated, "samples", the whole minibatch (`Samples`), and "hyper".
    advantages: estimator with the arguments of `gae`; the critic is fitted to its result plus the value.
    optimiser: optax transformation of the clipped gradient, before the learning rate; default Adam.
    learn: what one update does with the samples of its window, `(parts, state, samples [T, N, ...], hyper,
        key) -> (params, opt_state, metrics)`; default `proximal_epochs`.
    axis: mesh axis over which the environments are sharded, see `data_parallel`.

    Raises:
        UsageError: the configuration does not fit the environment.
    """
    nets = networks(config, env)
    optimiser = optax.scale_by_adam(eps=1e-5) if optimiser is None else optimiser
    learn = proximal_epochs if learn is None else learn
    parts = Parts(config, nets, surrogate, advantages, optimiser, axis)

    def act(state: State, hyper: Hyper, greedy: bool) -> Policy:
        return nets.policy(state.params, greedy=greedy, normalise=parts.normaliser(state))

    def init(key: Key, hyper: Hyper, data: PyTree) -> State:
        check_weights(env, hyper.w)
        k_init, k_run = jax.random.split(key)
        k_params, k_start = jax.random.split(k_init)
        params = nets.init(k_params)
        policy = nets.policy(params, greedy=False)
        vec = start(env, policy, k_start, data, config.n_envs, params_axis=config.params_axis)
        features = jax.ShapeDtypeStruct((nets.n_features,), jnp.float32)
        reward = jax.ShapeDtypeStruct(vec.ep_return.shape[1:], vec.ep_return.dtype)
        return State(
            params=params,
            opt_state=optimiser.init(params),
            vec=vec,
            moments=RunningMoments.zeros(features) if config.normalise_obs else (),
            scale=ReturnScale.zeros(reward, config.n_envs) if config.scale_rewards else (),
            key=k_run,
            updates=jnp.zeros((), jnp.int32),
        )

    def step(state: State, hyper: Hyper, data: PyTree) -> tuple[State, dict[str, Any]]:
        k_roll, k_learn = jax.random.split(stream(state.key, state.updates))
        n = state.vec.elapsed.shape[0]
        vec, batch, stats = unroll(
            env,
            act(state, hyper, greedy=False),
            state.vec,
            k_roll,
            data,
            length=config.length,
            gamma=hyper.gamma,
            params_axis=config.params_axis,
            reset=config.reset,
            keep=config.keep,
            offset=0 if axis is None else jax.lax.axis_index(axis) * n,
        )
        scale, moments = _statistics(parts, state, batch, hyper)
        samples = _samples(parts, state, batch, scale, hyper)
        params, opt_state, metrics = learn(parts, state, samples, hyper, k_learn)
        state = State(params, opt_state, vec, moments, scale, state.key, state.updates + 1)
        return state, metrics | spmd.total(stats, axis).metrics() | spmd.total(_at_the_ends(batch), axis)

    origin = Origin(__name__, config, env.observation_space, env.action_space, env)
    return Algorithm(init, step, act, origin=origin)


def _at_the_ends(batch: Transition) -> dict[str, Mean]:
    """What `Config.keep` names, averaged over the last steps of episodes."""
    count = jnp.sum(batch.done, dtype=jnp.float32)
    return {f"train/{k}": Mean(jnp.where(batch.done, x, 0).sum(), count) for k, x in batch.info.items()}


def _statistics(parts: Parts, state: State, batch: Transition, hyper: Hyper) -> tuple[PyTree, PyTree]:
    """Return scale and feature moments that include this window, all devices' share of it."""
    scale, moments = state.scale, state.moments
    if parts.config.scale_rewards:
        scale = scale.update(*spmd.gather((batch.reward, batch.done), parts.axis, dim=1), hyper.gamma)
    if parts.config.normalise_obs:
        x = jax.vmap(jax.vmap(parts.nets.encode))(batch.obs)
        moments = moments.update(spmd.gather(x, parts.axis, dim=1))
    return scale, moments


def _samples(parts: Parts, state: State, batch: Transition, scale: PyTree, hyper: Hyper) -> Samples:
    """Values, advantages and targets of one window, by the parameters and moments that collected it.

    With scaled rewards the critic lives on their scale; advantages are brought back to the rewards' own.
    """
    config, nets, normalise = parts.config, parts.nets, parts.normaliser(state)
    encode = jax.vmap(jax.vmap(lambda obs: normalise(nets.encode(obs))))
    x, next_x = encode(batch.obs), encode(batch.next_obs)
    memory, restart = (), ()
    if config.memory:
        memory = state.vec.memory
        restart = jnp.concatenate([jnp.zeros_like(batch.done[:1]), batch.done[:-1]])
    hidden = nets.hidden(state.params, x, memory, restart)
    value = nets.critic.apply(state.params["critic"], hidden)
    next_value = nets.critic.apply(state.params["critic"], nets.next_hidden(state.params, hidden, next_x))
    reward, unit = batch.reward, 1.0
    if config.scale_rewards:
        reward, unit = scale.scale(reward), jnp.sqrt(scale.moments.var + 1e-8)
    discount, cut = discount_and_cut(batch, hyper.gamma, config.bootstrap_truncated)
    advantages = parts.advantages(reward, value, next_value, discount, cut, hyper.lambda_)
    target = advantages + value
    advantages = advantages * jnp.broadcast_to(unit, advantages.shape)
    return Samples(
        x=x,
        raw=batch.aux["raw"],
        log_prob=batch.aux["log_prob"],
        value=value,
        target=target,
        advantage=advantages if hyper.w is None else advantages @ hyper.w,
        advantages=advantages,
        memory=memory,
        restart=restart,
    )


def proximal_epochs(
    parts: Parts, state: State, samples: Samples, hyper: Hyper, key: Key
) -> tuple[PyTree, PyTree, dict[str, Array]]:
    """Epochs of minibatches: `(params, opt_state, metrics)`, metrics averaged over all minibatches.

    samples: leaves `[T, N, ...]`; state: of it, `params`, `opt_state` and `updates`.
    """
    config, axis = parts.config, parts.axis
    progress = jnp.minimum(jnp.asarray(state.updates, jnp.float32) / hyper.updates_total, 1.0)
    lr = hyper.lr * (1.0 - hyper.anneal * progress)
    metrics = {"explained_variance": _explained_variance(samples, axis)}
    if config.normalise_advantage == "batch":
        samples = samples._replace(advantage=_standardise(samples.advantage, axis))
    units = _units(config, samples)

    def loss(params: PyTree, samples: Samples) -> tuple[Array, dict[str, Array]]:
        return _loss(parts, params, samples, progress, hyper)

    value_and_grad = spmd.pmean_grad(loss, axis, has_aux=True)

    def minibatch(
        carry: tuple[PyTree, PyTree], index: Array
    ) -> tuple[tuple[PyTree, PyTree], dict[str, Array]]:
        params, opt_state = carry
        (_, measured), grads = value_and_grad(params, jax.tree.map(lambda v: v[index], units))
        grads, norm = clip_norm(grads, hyper.max_grad_norm)
        carry = descend(parts.optimiser, grads, opt_state, params, lr)
        return carry, measured | {"grad_norm": norm}

    def epoch(carry: tuple[PyTree, PyTree], index: Array) -> tuple[tuple[PyTree, PyTree], dict[str, Array]]:
        order = permutation(stream(key, index), units.log_prob.shape[0])
        return jax.lax.scan(minibatch, carry, order.reshape(config.minibatches, -1))

    carry = (state.params, state.opt_state)
    (params, opt_state), history = jax.lax.scan(epoch, carry, jnp.arange(config.epochs))
    return params, opt_state, metrics | jax.tree.map(jnp.mean, history)


def _units(config: Config, samples: Samples) -> Samples:
    """Leaves whose first axis is what minibatches are drawn from: `[T * N, ...]`, or `[N, T, ...]`."""
    return flatten_time(samples) if config.shuffle == "rows" else _swap(samples)


def _swap(samples: Samples) -> Samples:
    """Time and environments exchanged; `memory` has no time."""
    swapped = jax.tree.map(lambda v: jnp.swapaxes(v, 0, 1), samples._replace(memory=()))
    return swapped._replace(memory=samples.memory)


def _loss(
    parts: Parts, params: PyTree, samples: Samples, progress: Array, hyper: Hyper
) -> tuple[Array, dict[str, Array]]:
    """Loss of one minibatch, to be minimised."""
    config, nets = parts.config, parts.nets
    if config.memory:
        samples = _swap(samples)
    elif config.shuffle == "envs":
        samples = flatten_time(samples)
    hidden = nets.hidden(params, samples.x, samples.memory, samples.restart)
    dist = nets.actor.apply(params["actor"], hidden)
    value = nets.critic.apply(params["critic"], hidden)
    log_ratio = nets.head.log_prob(dist, samples.raw) - samples.log_prob
    ratio = jnp.exp(log_ratio)
    advantage = samples.advantage
    if config.normalise_advantage == "minibatch":
        advantage = _standardise(advantage, parts.axis)
    extra = {
        "log_ratio": log_ratio,
        "advantages": samples.advantages,
        "samples": samples,
        "hyper": hyper,
    }
    policy_loss = -parts.surrogate(ratio, advantage, progress, extra).mean()
    error = jnp.square(value - samples.target)
    if config.clip_value:
        near = samples.value + jnp.clip(value - samples.value, -hyper.clip, hyper.clip)
        error = jnp.maximum(error, jnp.square(near - samples.target))
    value_loss = 0.5 * error.mean()
    entropy = nets.head.entropy(dist).mean()
    loss = policy_loss + hyper.value_coef * value_loss - hyper.entropy * entropy
    return loss, {
        "loss": loss,
        "policy_loss": policy_loss,
        "value_loss": value_loss,
        "entropy": entropy,
        "approx_kl": (ratio - 1.0 - log_ratio).mean(),
        "clip_fraction": (jnp.abs(ratio - 1.0) > hyper.clip).mean(),
    }


def _standardise(x: Array, axis: str | None) -> Array:
    mean, variance = _moments(x, axis)
    return (x - mean) / (root(variance) + 1e-8)


def _moments(x: Array, axis: str | None) -> tuple[Array, Array]:
    """Mean and variance over all entries, on all devices."""
    mean = spmd.mean(x.mean(), axis)
    return mean, spmd.mean(jnp.square(x - mean).mean(), axis)


def _explained_variance(samples: Samples, axis: str | None) -> Array:
    """1 - Var(G - V) / Var(G), per reward component."""

    def one(target: Array, value: Array) -> Array:
        return 1.0 - _moments(target - value, axis)[1] / (_moments(target, axis)[1] + 1e-8)

    if samples.target.ndim == 2:
        return one(samples.target, samples.value)
    return jax.vmap(one, (-1, -1))(samples.target, samples.value)
