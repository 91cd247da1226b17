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
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Count, Finite, NonNegative, Positive, Share, Size, check_fields
from jaxrl.core.prng import stream
from jaxrl.core.spaces import Box
from jaxrl.core.tree import flatten_time, tree_where
from jaxrl.core.types import Algorithm, Array, Key, Mean, Origin, Policy, PyTree, Transition, struct
from jaxrl.data.buffer import RingBuffer
from jaxrl.envs.base import Env
from jaxrl.nets import heads, net
from jaxrl.nets.net import Activation
from jaxrl.rollout.unroll import Pool, Resample, VecState, start, unroll


@dataclass(frozen=True)
class Config:
    """Static choices of SAC."""

    n_envs: Size = 8
    """Number of environments."""
    length: Size = 1
    """Steps of every environment per update."""
    gradient_steps: Size = 8
    """Gradient steps per update; `gradient_steps / (n_envs * length)` is the replay ratio. Paper: ratio 1."""
    batch_size: Size = 256
    """Transitions per gradient step. Paper: 256."""
    capacity: Size = 100_000
    """Transitions that the replay memory keeps, at least those of one update and best a multiple of them.
    Paper: 1e6."""
    widths: tuple[Size, ...] = (256, 256)
    """Hidden units per layer, of the actor and of the critics each. Paper: (256, 256)."""
    activation: Activation = "relu"
    """Elementwise function between layers. Paper: relu."""
    bootstrap_truncated: bool = True
    """Whether an episode cut by a time limit is valued by its successor; False treats the limit as an end."""
    reset: Resample | Pool = field(default_factory=Resample)
    """How the next episode starts: a fresh reset at every step, or one of `size` resets per update."""

    def __post_init__(self) -> None:
        check_fields(self)
        collected = self.n_envs * self.length
        if self.capacity < collected:
            raise UsageError(
                f"Config.capacity: must hold one update's {collected} transitions, got {self.capacity}"
            )


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

    params: `actor`, `critic` (twins on a leading axis [2]), `log_temperature` float32[]; target: the slow
    critics; opt_states: Adam's, one per entry of `params`.
    """

    params: dict[str, PyTree]
    target: PyTree
    opt_states: dict[str, PyTree]


@struct.dataclass
class State:
    """Everything that an update changes, and `key`, which it does not. `buffer` holds `Transition` rows."""

    learner: Learner
    buffer: RingBuffer
    vec: VecState
    key: Key
    updates: Array


class _Nets(NamedTuple):
    """encode: observation -> float32[k]; scale: action -> float32[d] in [-1, 1]; critic: [k + d] -> [2]."""

    encode: Callable[[PyTree], Array]
    scale: Callable[[Array], Array]
    actor: net.Net
    critic: net.Net
    head: heads.Head


def make(config: Config, env: Env) -> Algorithm:
    """SAC on `env`; `data` of the algorithm is the environment's parameters.

    Raises:
        UsageError: actions that are not a bounded box of floats, vector rewards, or an unknown activation.
    """
    try:
        nets = _nets(config, env)
    except ValueError as error:
        raise UsageError(f"sac.make({env.name}): {error}") from error
    optimiser = optax.scale_by_adam()

    def init(key: Key, hyper: Hyper, data: PyTree) -> State:
        k_init, k_run = jax.random.split(key)
        k_actor, k_critic, k_start = jax.random.split(k_init, 3)
        params = {
            "actor": nets.actor.init(k_actor),
            "critic": nets.critic.init(k_critic),
            "log_temperature": jnp.log(jnp.asarray(hyper.temperature, jnp.float32)),
        }
        learner = Learner(params, params["critic"], {name: optimiser.init(p) for name, p in params.items()})
        policy = _policy(nets, params["actor"], greedy=False)
        vec = start(env, policy, k_start, data, config.n_envs)
        _, batch, _ = jax.eval_shape(lambda v: unroll(env, policy, v, k_start, data, length=1), vec)
        row = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[2:], x.dtype), _stored(batch))
        buffer = RingBuffer.zeros(row, config.capacity)
        return State(learner, buffer, vec, k_run, jnp.zeros((), jnp.int32))

    def step(state: State, hyper: Hyper, data: PyTree) -> tuple[State, dict[str, Any]]:
        k_roll, k_opt = jax.random.split(stream(state.key, state.updates))
        warm = state.updates < hyper.warmup
        policy = _exploring(env, _policy(nets, state.learner.params["actor"], greedy=False), warm)
        vec, batch, stats = unroll(
            env, policy, state.vec, k_roll, data, length=config.length, gamma=hyper.gamma, reset=config.reset
        )
        buffer = state.buffer.add(flatten_time(_stored(batch)))

        def gradient_step(learner: Learner, index: Array) -> tuple[Learner, dict[str, Array]]:
            k_batch, k_step = jax.random.split(stream(k_opt, index))
            rows = buffer.sample(k_batch, config.batch_size)
            return _gradient_step(config, nets, optimiser, learner, rows, hyper, k_step)

        learned, metrics = jax.lax.scan(gradient_step, state.learner, jnp.arange(config.gradient_steps))
        learner = tree_where(warm, state.learner, learned)
        counted = {
            name: Mean(jnp.where(warm, 0, v.sum()), jnp.where(warm, 0.0, v.size))
            for name, v in metrics.items()
        }
        state = State(learner, buffer, vec, state.key, state.updates + 1)
        return state, counted | stats.metrics()

    def act(state: State, hyper: Hyper, greedy: bool) -> Policy:
        return _policy(nets, state.learner.params["actor"], greedy)

    origin = Origin(__name__, config, env.observation_space, env.action_space, env)
    return Algorithm(init, step, act, origin=origin)


def _nets(config: Config, env: Env) -> _Nets:
    space = env.action_space
    if not isinstance(space, Box):
        raise UsageError(f"action_space: SAC needs a bounded Box, got {space}")
    if env.reward_dim is not None:
        raise UsageError(f"reward_dim: must be None, got {env.reward_dim}; scalarise the rewards first")
    head = heads.tanh_normal(space)
    size, encode = net.features(env.observation_space)
    d = head.size // 2
    low, high = (np.broadcast_to(np.float32(b), space.shape).ravel() for b in (space.low, space.high))
    critic = heads.value(size + d, None, config.widths, config.activation)
    return _Nets(
        encode=encode,
        scale=lambda action: (action.ravel() - (high + low) / 2) / ((high - low) / 2),
        actor=heads.policy(size, head, config.widths, config.activation),
        critic=net.ensemble(critic, 2),
        head=head,
    )


def _policy(nets: _Nets, actor: PyTree, greedy: bool) -> Policy:
    def choose(key: Key, obs: PyTree, memory: PyTree) -> tuple[Array, tuple[()], PyTree]:
        dist = nets.actor.apply(actor, nets.encode(obs))
        raw = nets.head.mode(dist) if greedy else nets.head.sample(key, dist)
        return nets.head.to_action(raw), (), memory

    return Policy(choose)


def _exploring(env: Env, policy: Policy, warm: Array) -> Policy:
    """`policy`, but uniform over the action space while `warm`."""

    def choose(key: Key, obs: PyTree, memory: PyTree) -> tuple[Array, tuple[()], PyTree]:
        k_uniform, k_policy = jax.random.split(key)
        action, _, memory = policy.act(k_policy, obs, memory)
        return jnp.where(warm, env.action_space.sample(k_uniform), action), (), memory

    return Policy(choose, policy.memory)


def _stored(batch: Transition) -> Transition:
    """What the buffer keeps of a transition."""
    return batch._replace(aux=(), info={})


def _gradient_step(
    config: Config,
    nets: _Nets,
    optimiser: optax.GradientTransformation,
    learner: Learner,
    rows: Transition,
    hyper: Hyper,
    key: Key,
) -> tuple[Learner, dict[str, Array]]:
    """Critics, then the actor against the new critics, then the temperature, then the targets."""
    k_next, k_actor = jax.random.split(key)
    params, opt_states = dict(learner.params), dict(learner.opt_states)

    def descend(name: str, lr: Array, grad: PyTree) -> None:
        direction, opt_states[name] = optimiser.update(grad, opt_states[name])
        params[name] = jax.tree.map(lambda p, d: p - lr * d, params[name], direction)

    x, a = jax.vmap(nets.encode)(rows.obs), jax.vmap(nets.scale)(rows.action)
    y = _target(config, nets, params, learner.target, rows, hyper, k_next)
    grad, critic_metrics = jax.grad(_critic_loss, has_aux=True)(params["critic"], nets, x, a, y)
    descend("critic", hyper.lr_critic, grad)
    grad, log_prob = jax.grad(_actor_loss, has_aux=True)(params["actor"], nets, params, x, k_actor)
    descend("actor", hyper.lr_actor, grad)
    # the gradient of -log alpha mean(log pi + target entropy): the loss is linear in log alpha
    missing = -(log_prob.mean() + hyper.target_entropy * a.shape[-1])
    descend("log_temperature", hyper.lr_temperature, missing)
    target = jax.tree.map(lambda old, new: old + hyper.tau * (new - old), learner.target, params["critic"])
    metrics = critic_metrics | {
        "entropy": -log_prob.mean(),
        "temperature": jnp.exp(params["log_temperature"]),
    }
    return Learner(params, target, opt_states), metrics


def _target(
    config: Config,
    nets: _Nets,
    params: dict[str, PyTree],
    target: PyTree,
    rows: Transition,
    hyper: Hyper,
    key: Key,
) -> Array:
    """float[B], the soft Bellman target y. Equation: haarnoja2018sac [soft Bellman target]."""
    x = jax.vmap(nets.encode)(rows.next_obs)
    raw, log_prob = nets.head.sample_and_log_prob(key, nets.actor.apply(params["actor"], x))
    q = nets.critic.apply(target, jnp.concatenate([x, jnp.tanh(raw)], -1)).min(0)
    soft = q - jnp.exp(params["log_temperature"]) * log_prob
    end = rows.terminated if config.bootstrap_truncated else rows.done
    return rows.reward + hyper.gamma * (1.0 - end) * soft


def _critic_loss(critic: PyTree, nets: _Nets, x: Array, a: Array, y: Array) -> tuple[Array, dict[str, Array]]:
    """Mean squared error of both critics to y [B], summed over the two."""
    q = nets.critic.apply(critic, jnp.concatenate([x, a], -1))
    loss = jnp.square(q - y[None]).mean(1).sum()
    return loss, {"critic_loss": loss, "q": q.mean()}


def _actor_loss(
    actor: PyTree, nets: _Nets, params: dict[str, PyTree], x: Array, key: Key
) -> tuple[Array, Array]:
    """Mean of alpha log pi - min Q over fresh actions; also log pi [B]."""
    raw, log_prob = nets.head.sample_and_log_prob(key, nets.actor.apply(actor, x))
    q = nets.critic.apply(params["critic"], jnp.concatenate([x, jnp.tanh(raw)], -1)).min(0)
    return (jnp.exp(params["log_temperature"]) * log_prob - q).mean(), log_prob
