"""Soft actor-critic (Haarnoja et al. 2018, 1812.05905): maximum entropy, twin critics, learned temperature.

    y       = r + gamma (1 - terminated) (min_i Q'_i(s', a') - alpha log pi(a'|s')),       a' ~ pi(.|s')
    critic:       minimise mean (Q_i(s, a) - y)^2 for both i;  Q' <- Q' + tau (Q - Q') after each step
    actor:        minimise mean (alpha log pi(a|s) - min_i Q_i(s, a)),                     a ~ pi(.|s)
    temperature:  minimise -log alpha mean (log pi(a|s) + target entropy)

The policy is a tanh-squashed normal with densities on (-1, 1)^d, which is also where critics see actions.
`s'` is the true successor, so a time limit does not end the bootstrap. The first updates only fill the
buffer with uniformly random actions.

Legend: `T` steps, `N` environments, `B` batch size, `d` action coordinates, `k` observation features.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.tree_util import Partial

from jaxrl.baselines import replay
from jaxrl.core import spmd
from jaxrl.core.descent import descend
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Count, Finite, NonNegative, Positive, Share
from jaxrl.core.prng import stream
from jaxrl.core.spaces import Box
from jaxrl.core.tree import flatten_time, tree_where
from jaxrl.core.types import Algorithm, Array, Key, Origin, Policy, PyTree, Transition, struct
from jaxrl.data.buffer import RingBuffer
from jaxrl.envs.base import Env
from jaxrl.nets import heads, net
from jaxrl.rollout.unroll import VecState, start, unroll


@dataclass(frozen=True)
class Config(replay.Config):
    """Static choices of SAC: those of `jaxrl.baselines.replay.Config`."""


@struct.dataclass
class Hyper:
    """Hyper-parameters of SAC, each a leaf that can be swept."""

    lr_actor: NonNegative = 3e-4
    """Learning rate of the actor, >= 0. Paper: 3e-4."""
    lr_critic: NonNegative = 3e-4
    """Learning rate of the critics, >= 0. Paper: 3e-4."""
    lr_temperature: NonNegative = 3e-4
    """Learning rate of the logarithm of the temperature, >= 0; 0 keeps it fixed. Paper: 3e-4."""
    gamma: Share = 0.99
    """Discount per step, in [0, 1]. Paper: 0.99."""
    tau: Share = 0.005
    """Step of the soft update of the target critics, in [0, 1]. Paper: 0.005."""
    target_entropy: Finite = -1.0
    """Entropy that the temperature aims at, in nats per action coordinate on (-1, 1). Paper: -1."""
    temperature: Positive = 1.0
    """Temperature alpha before learning, in reward per nat, > 0."""
    warmup: Count = 125
    """First updates, which act uniformly at random and do not learn."""


class Learner(NamedTuple):
    """What a gradient step changes.

    params: `actor`, `critic` (twins on a leading axis [2]), `log_temperature` float32[]; target: parameters
    of the target critics; opt_states: of the optimiser, one per entry of `params`.
    """

    params: dict[str, PyTree]
    target: PyTree
    opt_states: dict[str, PyTree]


@struct.dataclass
class State:
    """Everything that an update changes, and `key`, which it does not. `buffer` holds `Transition`s."""

    learner: Learner
    buffer: RingBuffer
    vec: VecState
    key: Key
    updates: Array


def state_specs(axis: str) -> State:
    """Parts of the state that are sharded over a mesh axis, for `core.spmd.data_parallel`."""
    everywhere = spmd.P()
    return State(everywhere, everywhere, vec=spmd.P(axis), key=everywhere, updates=everywhere)


class _Nets(NamedTuple):
    """encode: observation -> float32[k]; scale: action -> float32[d] in [-1, 1]; critic: [k + d] -> [2].

    axis: mesh axis over which environments and batches are split, or None.
    """

    encode: Callable[[PyTree], Array]
    scale: Callable[[Array], Array]
    actor: net.Net
    critic: net.Net
    head: heads.Head
    axis: str | None

    def best(self, actor: PyTree, key: Key, obs: PyTree, memory: PyTree) -> tuple[Array, tuple[()], PyTree]:
        return self.head.to_action(self.head.mode(self.actor.apply(actor, self.encode(obs)))), (), memory

    def drawn(self, actor: PyTree, key: Key, obs: PyTree, memory: PyTree) -> tuple[Array, tuple[()], PyTree]:
        raw = self.head.sample(key, self.actor.apply(actor, self.encode(obs)))
        return self.head.to_action(raw), (), memory

    def policy(self, actor: PyTree, greedy: bool) -> Policy:
        return Policy(Partial(self.best if greedy else self.drawn, actor))

    def sample_and_log_prob(self, key: Key, actor: PyTree, x: Array) -> tuple[Array, Array]:
        """Raw actions [B, d] for features [B, k]; those of all devices are drawn as one batch."""
        dist = self.actor.apply(actor, x)
        if self.axis is None:
            return self.head.sample_and_log_prob(key, dist)
        raw = spmd.share(self.head.sample(key, spmd.gather(dist, self.axis, dim=0)), self.axis)
        return raw, self.head.log_prob(dist, raw)


def make(
    config: Config,
    env: Env,
    *,
    optimiser: optax.GradientTransformation | None = None,
    axis: str | None = None,
) -> Algorithm:
    """SAC on `env`; `data` of the algorithm is the environment's parameters.

    optimiser: optax transformation of every gradient, before the learning rate; default Adam.
    axis: mesh axis over which environments and batches are split, see `data_parallel`; every device keeps the
        whole replay memory.

    Raises:
        UsageError: actions that are not a bounded box of floats, vector rewards, or an unknown activation.
    """
    try:
        nets = _nets(config, env, axis)
    except ValueError as error:
        raise UsageError(f"sac.make({env.name}): {error}") from error
    optimiser = optax.scale_by_adam() if optimiser is None else optimiser

    def init(key: Key, hyper: Hyper, data: PyTree) -> State:
        k_init, k_run = jax.random.split(key)
        k_actor, k_critic, k_start = jax.random.split(k_init, 3)
        params = {
            "actor": nets.actor.init(k_actor),
            "critic": nets.critic.init(k_critic),
            "log_temperature": jnp.log(jnp.asarray(hyper.temperature, jnp.float32)),
        }
        learner = Learner(params, params["critic"], {name: optimiser.init(p) for name, p in params.items()})
        policy = nets.policy(params["actor"], greedy=False)
        vec = start(env, policy, k_start, data, config.n_envs)
        buffer = replay.memory(env, policy, vec, k_start, data, config.capacity)
        return State(learner, buffer, vec, k_run, jnp.zeros((), jnp.int32))

    def step(state: State, hyper: Hyper, data: PyTree) -> tuple[State, dict[str, Any]]:
        k_roll, k_opt = jax.random.split(stream(state.key, state.updates))
        warm = state.updates < hyper.warmup
        policy = replay.exploring(env, nets.policy(state.learner.params["actor"], greedy=False), warm)
        n = state.vec.elapsed.shape[0]
        vec, collected, stats = unroll(
            env,
            policy,
            state.vec,
            k_roll,
            data,
            length=config.length,
            gamma=hyper.gamma,
            reset=config.reset,
            offset=0 if axis is None else jax.lax.axis_index(axis) * n,
        )
        buffer = state.buffer.add(flatten_time(spmd.gather(replay.stored(collected), axis, dim=1)))

        def gradient_step(learner: Learner, index: Array) -> tuple[Learner, dict[str, Array]]:
            k_batch, k_step = jax.random.split(stream(k_opt, index))
            batch = spmd.share(buffer.sample(k_batch, config.batch_size), axis)
            return _gradient_step(config, nets, optimiser, learner, batch, hyper, k_step)

        learned, metrics = jax.lax.scan(gradient_step, state.learner, jnp.arange(config.gradient_steps))
        learner = tree_where(warm, state.learner, learned)
        state = State(learner, buffer, vec, state.key, state.updates + 1)
        return state, replay.counted(metrics, warm) | spmd.total(stats, axis).metrics()

    def act(state: State, hyper: Hyper, greedy: bool) -> Policy:
        return nets.policy(state.learner.params["actor"], greedy)

    origin = Origin(__name__, config, env.observation_space, env.action_space, env)
    return Algorithm(init, step, act, origin=origin)


def _nets(config: Config, env: Env, axis: str | None) -> _Nets:
    space = env.action_space
    if not isinstance(space, Box):
        raise UsageError(f"action_space: SAC needs a bounded Box, got {space}")
    if env.reward_dim is not None:
        raise UsageError(f"reward_dim: must be None, got {env.reward_dim}; scalarise the rewards first")
    head = heads.tanh_normal(space)
    size, encode = net.features(env.observation_space)
    d = head.size // 2
    critic = heads.value(size + d, None, config.widths, config.activation)
    return _Nets(
        encode=encode,
        scale=replay.scale(space),
        actor=heads.policy(size, head, config.widths, config.activation),
        critic=net.ensemble(critic, 2),
        head=head,
        axis=axis,
    )


def _gradient_step(
    config: Config,
    nets: _Nets,
    optimiser: optax.GradientTransformation,
    learner: Learner,
    batch: Transition,
    hyper: Hyper,
    key: Key,
) -> tuple[Learner, dict[str, Array]]:
    """Critics, then the actor against the new critics, then the temperature, then the targets."""
    k_next, k_actor = jax.random.split(key)
    params, opt_states = dict(learner.params), dict(learner.opt_states)

    def update(name: str, lr: Array, grad: PyTree) -> None:
        params[name], opt_states[name] = descend(optimiser, grad, opt_states[name], params[name], lr)

    x, a = jax.vmap(nets.encode)(batch.obs), jax.vmap(nets.scale)(batch.action)
    y = _target(config, nets, params, learner.target, batch, hyper, k_next)
    critic_grad = spmd.pmean_grad(_critic_loss, nets.axis, has_aux=True)
    (_, critic_metrics), grad = critic_grad(params["critic"], nets, x, a, y)
    update("critic", hyper.lr_critic, grad)
    actor_grad = spmd.pmean_grad(_actor_loss, nets.axis, has_aux=True)
    (_, log_prob), grad = actor_grad(params["actor"], nets, params, x, k_actor)
    update("actor", hyper.lr_actor, grad)
    # the gradient of -log alpha mean(log pi + target entropy): the loss is linear in log alpha
    update("log_temperature", hyper.lr_temperature, -(log_prob + hyper.target_entropy * a.shape[-1]))
    target = optax.incremental_update(params["critic"], learner.target, hyper.tau)
    metrics = critic_metrics | {"entropy": -log_prob, "temperature": jnp.exp(params["log_temperature"])}
    return Learner(params, target, opt_states), metrics


def _target(
    config: Config,
    nets: _Nets,
    params: dict[str, PyTree],
    target: PyTree,
    batch: Transition,
    hyper: Hyper,
    key: Key,
) -> Array:
    """float[B], the soft Bellman target y. Equation: haarnoja2018sac [soft Bellman target]."""
    x = jax.vmap(nets.encode)(batch.next_obs)
    raw, log_prob = nets.sample_and_log_prob(key, params["actor"], x)
    q = nets.critic.apply(target, jnp.concatenate([x, jnp.tanh(raw)], -1)).min(0)
    soft = q - jnp.exp(params["log_temperature"]) * log_prob
    end = batch.terminated if config.bootstrap_truncated else batch.done
    return batch.reward + hyper.gamma * (1.0 - end) * soft


def _critic_loss(critic: PyTree, nets: _Nets, x: Array, a: Array, y: Array) -> tuple[Array, dict[str, Array]]:
    """Mean squared error of both critics to y [B], summed over the two."""
    q = nets.critic.apply(critic, jnp.concatenate([x, a], -1))
    loss = jnp.square(q - y[None]).mean(1).sum()
    return loss, {"critic_loss": loss, "q": q.mean()}


def _actor_loss(
    actor: PyTree, nets: _Nets, params: dict[str, PyTree], x: Array, key: Key
) -> tuple[Array, Array]:
    """Mean of alpha log pi - min Q over fresh actions; also the mean of log pi."""
    raw, log_prob = nets.sample_and_log_prob(key, actor, x)
    q = nets.critic.apply(params["critic"], jnp.concatenate([x, jnp.tanh(raw)], -1)).min(0)
    return (jnp.exp(params["log_temperature"]) * log_prob - q).mean(), log_prob.mean()
