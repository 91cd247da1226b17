"""TD3 (Fujimoto et al. 2018, 1802.09477) and TD3+BC (2106.06860): one gradient step, online and on a dataset.

    a'      = clip(mu'(s') + clip(sigma epsilon, +-c), +-1),       epsilon ~ N(0, 1)
    y       = r + gamma (1 - terminated) min_i Q'_i(s', a')
    critic: minimise mean (Q_i(s, a) - y)^2 for both i
    actor:  minimise - mean Q_1(s, mu(s)),   in TD3+BC  - w mean Q_1(s, mu(s)) + mean (mu(s) - a)^2
                                             with w = alpha / mean |Q_1(s, mu(s))|

The actor and the target networks mu' and Q' move every `policy_delay` gradient steps. `s'` is the true
successor, so a time limit does not end the bootstrap. Online, actions are mu(s) plus normal noise,
uniform at first. With an `Intrinsic` reward, which is learned beside the agent, exploration needs no reward
of the environment.

Legend: `B` batch size, `d` action coordinates, `k` observation features. Networks see actions in [-1, 1]^d.
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
from jaxrl.core.fields import Count, NonNegative, Positive, Share, Size
from jaxrl.core.prng import stream
from jaxrl.core.spaces import Box, Space
from jaxrl.core.tree import flatten_time, tree_where
from jaxrl.core.types import Algorithm, Array, Key, Origin, Policy, PyTree, struct
from jaxrl.data.buffer import RingBuffer
from jaxrl.data.check import check_dataset
from jaxrl.data.dataset import Dataset
from jaxrl.envs.base import Env
from jaxrl.nets import heads, net
from jaxrl.rollout.unroll import VecState, start, unroll


@dataclass(frozen=True)
class Config(replay.Config):
    """Static choices of TD3, beside those of `jaxrl.baselines.replay.Config`.

    A dataset needs no environments, steps, capacity and reset.
    """

    layer_norm: bool = False
    """Whether the hidden layers of the critics are standardised over their units. Paper: False."""
    policy_delay: Size = 2
    """Gradient steps of the critics per step of the actor and of the target networks. Paper: 2; ExORL: 1."""
    behaviour_cloning: bool = False
    """Whether the actor also imitates the actions of the batch, and its Q is scaled by `Hyper.alpha`.
    True is TD3+BC."""


@struct.dataclass
class Hyper:
    """Hyper-parameters of TD3, each a leaf that can be swept."""

    lr_actor: NonNegative = 3e-4
    """Learning rate of the actor, >= 0. Paper: 1e-3, later 3e-4."""
    lr_critic: NonNegative = 3e-4
    """Learning rate of the critics, >= 0. Paper: 1e-3, later 3e-4."""
    gamma: Share = 0.99
    """Discount per step, in [0, 1]. Paper: 0.99."""
    tau: Share = 0.005
    """Step of the soft update of the target networks, in [0, 1]. Paper: 0.005."""
    exploration_noise: NonNegative = 0.1
    """Standard deviation of the noise of online actions on [-1, 1], >= 0. Paper: 0.1."""
    target_noise: NonNegative = 0.2
    """Standard deviation sigma of the noise of target actions on [-1, 1], >= 0. Paper: 0.2."""
    noise_clip: NonNegative = 0.5
    """Bound c of the noise of target actions, >= 0. Paper: 0.5; ExORL: 0.3."""
    alpha: Positive = 2.5
    """Weight of Q beside imitation in TD3+BC, > 0; not read otherwise. Paper: 2.5."""
    warmup: Count = 125
    """First updates, which act uniformly at random and do not learn; not used on a dataset."""


class Intrinsic(NamedTuple):
    """A reward that is learned beside the agent, in place of that of the environment.

    init: key -> state, any pytree.
    reward: `(state, hyper, obs [B, k], action [B, d], next_obs [B, k]) -> float[B]`.
    update: `(state, hyper, key, obs, action, next_obs, next_action [B, d]) -> state`, one gradient step of
        the module; `next_action` is the current policy's. It comes before `reward` on every batch.
    `hyper` is that of the run: a record that extends `Hyper` brings the hyper-parameters of the module.
    """

    init: Callable[[Key], PyTree]
    reward: Callable[[PyTree, Any, Array, Array, Array], Array]
    update: Callable[[PyTree, Any, Key, Array, Array, Array, Array], PyTree]


class Learner(NamedTuple):
    """What a gradient step changes.

    params: `actor`, `critic` (twins on a leading axis [2]); target: the same of the target networks;
    opt_states: of the optimiser, one per entry of `params`; intrinsic: state of the `Intrinsic`, or ();
    steps: int32[], gradient steps so far.
    """

    params: dict[str, PyTree]
    target: dict[str, PyTree]
    opt_states: dict[str, PyTree]
    intrinsic: PyTree
    steps: Array


@struct.dataclass
class State:
    """Everything that an update changes, and `key`, which it does not.

    buffer, vec: the replay memory of `Transition`s and the environments, () on a dataset.
    """

    learner: Learner
    buffer: RingBuffer | tuple[()]
    vec: VecState | tuple[()]
    key: Key
    updates: Array


def state_specs(axis: str) -> State:
    """Parts of the state that are sharded over a mesh axis, for `core.spmd.data_parallel`."""
    everywhere = spmd.P()
    return State(everywhere, everywhere, vec=spmd.P(axis), key=everywhere, updates=everywhere)


class _Nets(NamedTuple):
    """encode: observation -> float32[k]; scale: action -> float32[d] in [-1, 1]; critic: [k + d] -> [2].

    to_action: float32[d] in [-1, 1] -> action. axis: mesh axis over which environments and batches are split,
    or None.
    """

    encode: Callable[[PyTree], Array]
    scale: Callable[[Array], Array]
    to_action: Callable[[Array], Array]
    actor: net.Net
    critic: net.Net
    axis: str | None

    def mu(self, actor: PyTree, x: Array) -> Array:
        return jnp.tanh(self.actor.apply(actor, x))

    def best(self, actor: PyTree, key: Key, obs: PyTree, memory: PyTree) -> tuple[Array, tuple[()], PyTree]:
        return self.to_action(self.mu(actor, self.encode(obs))), (), memory

    def noisy(
        self, params: tuple[PyTree, Array], key: Key, obs: PyTree, memory: PyTree
    ) -> tuple[Array, tuple[()], PyTree]:
        actor, noise = params
        mean = self.mu(actor, self.encode(obs))
        raw = mean + noise * jax.random.normal(key, mean.shape, mean.dtype)
        return self.to_action(jnp.clip(raw, -1, 1)), (), memory

    def policy(self, actor: PyTree, noise: Array | float, greedy: bool) -> Policy:
        return Policy(Partial(self.best, actor) if greedy else Partial(self.noisy, (actor, noise)))

    def q(self, critic: PyTree, x: Array, a: Array) -> Array:
        """Values of both critics, float[2, B]."""
        return self.critic.apply(critic, jnp.concatenate([x, a], -1))


def make(
    config: Config,
    source: Env | Space,
    action_space: Space | None = None,
    *,
    optimiser: optax.GradientTransformation | None = None,
    intrinsic: Intrinsic | None = None,
    axis: str | None = None,
) -> Algorithm:
    """TD3 online, `make(config, env)`, or on a dataset, `make(config, observation_space, action_space)`.

    `data` of the algorithm is the environment's parameters, or a `Dataset`.

    optimiser: optax transformation of every gradient, before the learning rate; default Adam.
    intrinsic: the reward that is learned in place of the recorded one.
    axis: mesh axis over which environments and batches are split, see `data_parallel`; every device keeps the
        whole replay memory or dataset, and learns the whole `intrinsic`.

    Raises:
        UsageError: actions that are not a bounded box of floats, vector rewards, or an unknown activation;
            from `init` and `check`, data that do not fit the spaces.
    """
    env: Any = source if action_space is None else None
    spaces = (source, action_space) if env is None else (env.observation_space, env.action_space)
    try:
        if env is not None and env.reward_dim is not None:
            raise UsageError(f"reward_dim: must be None, got {env.reward_dim}; scalarise the rewards first")
        nets = _nets(config, *spaces, axis)
    except ValueError as error:
        raise UsageError(f"td3.make{'' if env is None else f'({env.name})'}: {error}") from error
    optimiser = optax.scale_by_adam() if optimiser is None else optimiser

    def learn(learner: Learner, draw: Callable[[Key], Any], hyper: Hyper, key: Key) -> tuple[Learner, Any]:
        def one(learner: Learner, index: Array) -> tuple[Learner, dict[str, Array]]:
            k_batch, k_step = jax.random.split(stream(key, index))
            return _gradient_step(config, nets, optimiser, intrinsic, learner, draw(k_batch), hyper, k_step)

        return jax.lax.scan(one, learner, jnp.arange(config.gradient_steps))

    programs = _offline if env is None else _online
    init, step, check = programs(config, source, action_space, nets, optimiser, intrinsic, learn)

    def act(state: State, hyper: Hyper, greedy: bool) -> Policy:
        return nets.policy(state.learner.params["actor"], hyper.exploration_noise, greedy)

    return Algorithm(init, step, act, check=check, origin=Origin(__name__, config, *spaces, env))


def _online(
    config: Config,
    env: Any,
    _: None,
    nets: _Nets,
    optimiser: Any,
    intrinsic: Intrinsic | None,
    learn: Callable,
) -> tuple[Callable, Callable, Callable]:
    """`init`, `step` and `check` of the online program, whose data need no check."""
    axis = nets.axis

    def init(key: Key, hyper: Hyper, data: PyTree) -> State:
        k_init, k_run = jax.random.split(key)
        k_learner, k_start = jax.random.split(k_init)
        learner = _first(nets, optimiser, intrinsic, k_learner)
        policy = nets.policy(learner.params["actor"], hyper.exploration_noise, greedy=False)
        vec = start(env, policy, k_start, data, config.n_envs)
        buffer = replay.memory(env, policy, vec, k_start, data, config.capacity)
        return State(learner, buffer, vec, k_run, jnp.zeros((), jnp.int32))

    def step(state: State, hyper: Hyper, data: PyTree) -> tuple[State, dict[str, Any]]:
        k_roll, k_opt = jax.random.split(stream(state.key, state.updates))
        warm = state.updates < hyper.warmup
        policy = nets.policy(state.learner.params["actor"], hyper.exploration_noise, greedy=False)
        vec, collected, stats = unroll(
            env,
            replay.exploring(env, policy, warm),
            state.vec,
            k_roll,
            data,
            length=config.length,
            gamma=hyper.gamma,
            reset=config.reset,
            offset=0 if axis is None else jax.lax.axis_index(axis) * state.vec.elapsed.shape[0],
        )
        buffer = state.buffer.add(flatten_time(spmd.gather(replay.stored(collected), axis, dim=1)))
        learned, metrics = learn(state.learner, lambda k: buffer.sample(k, config.batch_size), hyper, k_opt)
        state = State(tree_where(warm, state.learner, learned), buffer, vec, state.key, state.updates + 1)
        return state, replay.counted(metrics, warm) | spmd.total(stats, axis).metrics()

    return init, step, lambda data: None


def _offline(
    config: Config,
    observation_space: Any,
    action_space: Any,
    nets: _Nets,
    optimiser: Any,
    intrinsic: Intrinsic | None,
    learn: Callable,
) -> tuple[Callable, Callable, Callable]:
    """`init`, `step` and `check` of the program on a dataset."""

    def check(data: Dataset) -> None:
        check_dataset(data, observation_space, action_space)
        if data.reward.ndim != 1:
            raise UsageError(
                f"data.reward: must be scalar per row, got {data.reward.shape}; scalarise it first"
            )

    def init(key: Key, hyper: Hyper, data: Dataset) -> State:
        check(data)
        k_init, k_run = jax.random.split(key)
        return State(_first(nets, optimiser, intrinsic, k_init), (), (), k_run, jnp.zeros((), jnp.int32))

    def step(state: State, hyper: Hyper, data: Dataset) -> tuple[State, dict[str, Any]]:
        key = stream(state.key, state.updates)
        learner, metrics = learn(state.learner, lambda k: data.sample(k, config.batch_size), hyper, key)
        metrics = {name: v.mean() for name, v in metrics.items()}
        return State(learner, (), (), state.key, state.updates + 1), metrics

    return init, step, check


def _nets(config: Config, observation_space: Space, action_space: Space, axis: str | None) -> _Nets:
    if not isinstance(action_space, Box):
        raise UsageError(f"action_space: TD3 needs a bounded Box, got {action_space}")
    head = heads.tanh_normal(action_space)
    size, encode = net.features(observation_space)
    d = head.size // 2
    middle, half = heads.affine(action_space)
    critic = heads.value(size + d, None, config.widths, config.activation, layer_norm=config.layer_norm)
    return _Nets(
        encode=encode,
        scale=replay.scale(action_space),
        to_action=lambda raw: (middle + half * raw).reshape(action_space.shape),
        actor=net.mlp((size, *config.widths, d), config.activation, last_scale=0.01),
        critic=net.ensemble(critic, 2),
        axis=axis,
    )


def _first(nets: _Nets, optimiser: Any, intrinsic: Intrinsic | None, key: Key) -> Learner:
    k_actor, k_critic, k_intrinsic = jax.random.split(key, 3)
    params = {"actor": nets.actor.init(k_actor), "critic": nets.critic.init(k_critic)}
    module = () if intrinsic is None else intrinsic.init(k_intrinsic)
    opt_states = {name: optimiser.init(p) for name, p in params.items()}
    return Learner(params, dict(params), opt_states, module, jnp.zeros((), jnp.int32))


def _gradient_step(
    config: Config,
    nets: _Nets,
    optimiser: optax.GradientTransformation,
    intrinsic: Intrinsic | None,
    learner: Learner,
    batch: Any,
    hyper: Hyper,
    key: Key,
) -> tuple[Learner, dict[str, Array]]:
    """The intrinsic reward, the critics, then the actor and the target networks where it is their turn.

    `batch` is that of all devices, and each takes its part of it behind the intrinsic reward.
    """
    k_target, k_module = jax.random.split(key)
    x, next_x = jax.vmap(nets.encode)(batch.obs), jax.vmap(nets.encode)(batch.next_obs)
    a, reward, module = jax.vmap(nets.scale)(batch.action), batch.reward, learner.intrinsic
    end = batch.terminated if config.bootstrap_truncated else batch.done
    if intrinsic is not None:
        next_a = nets.mu(learner.params["actor"], next_x)
        module = intrinsic.update(module, hyper, k_module, x, a, next_x, next_a)
        reward = jax.lax.stop_gradient(intrinsic.reward(module, hyper, x, a, next_x))
    mean_reward = reward.mean()
    x, a, next_x, reward, end = spmd.share((x, a, next_x, reward, end), nets.axis)
    y = _target(nets, learner.target, next_x, reward, end, hyper, k_target)
    critic, opt_states = learner.params["critic"], learner.opt_states
    (loss, q), grad = spmd.pmean_grad(_critic_loss, nets.axis, has_aux=True)(critic, nets, x, a, y)
    critic, critic_state = descend(optimiser, grad, opt_states["critic"], critic, hyper.lr_critic)

    def delayed(_: None) -> tuple[dict[str, PyTree], dict[str, PyTree], PyTree, Array]:
        actor = learner.params["actor"]
        actor_grad = spmd.pmean_grad(_actor_loss, nets.axis)
        actor_loss, grad = actor_grad(actor, config, nets, critic, x, a, hyper)
        actor, actor_state = descend(optimiser, grad, opt_states["actor"], actor, hyper.lr_actor)
        params = {"actor": actor, "critic": critic}
        return params, optax.incremental_update(params, learner.target, hyper.tau), actor_state, actor_loss

    def waits(_: None) -> tuple[dict[str, PyTree], dict[str, PyTree], PyTree, Array]:
        params = {"actor": learner.params["actor"], "critic": critic}
        return params, learner.target, opt_states["actor"], jnp.zeros_like(loss)

    turn = learner.steps % config.policy_delay == config.policy_delay - 1
    if config.policy_delay == 1:
        params, target, actor_state, actor_loss = delayed(None)
    else:
        params, target, actor_state, actor_loss = jax.lax.cond(turn, delayed, waits, None)
    states = {"actor": actor_state, "critic": critic_state}
    metrics = {
        "critic_loss": loss,
        "q": q,
        "actor_loss": config.policy_delay * actor_loss,  # its mean over steps is then that over its turns
        "reward": mean_reward,
    }
    return Learner(params, target, states, module, learner.steps + 1), metrics


def _target(
    nets: _Nets, target: dict[str, PyTree], next_x: Array, reward: Array, end: Array, hyper: Hyper, key: Key
) -> Array:
    """float[B], the target y with smoothed actions; the noise of all devices is drawn as one batch.

    Equation: fujimoto2018td3 [clipped double Q-learning target with policy smoothing].
    """
    mean = nets.mu(target["actor"], next_x)
    devices = 1 if nets.axis is None else jax.lax.axis_size(nets.axis)
    normal = jax.random.normal(key, (devices * mean.shape[0], mean.shape[1]), mean.dtype)
    noise = hyper.target_noise * spmd.share(normal, nets.axis)
    a = jnp.clip(mean + jnp.clip(noise, -hyper.noise_clip, hyper.noise_clip), -1, 1)
    return reward + hyper.gamma * (1.0 - end) * nets.q(target["critic"], next_x, a).min(0)


def _critic_loss(critic: PyTree, nets: _Nets, x: Array, a: Array, y: Array) -> tuple[Array, Array]:
    """Mean squared error of both critics to y [B], summed over the two; also the mean of Q."""
    q = nets.q(critic, x, a)
    return jnp.square(q - y[None]).mean(1).sum(), q.mean()


def _actor_loss(
    actor: PyTree, config: Config, nets: _Nets, critic: PyTree, x: Array, a: Array, hyper: Hyper
) -> Array:
    """Minus the first critic's value of mu(s), with imitation of a [B, d] in TD3+BC.

    Equation: fujimoto2021td3bc [policy objective with normalised Q].
    """
    mu = nets.mu(actor, x)
    q = nets.q(critic, x, mu)[0]
    if not config.behaviour_cloning:
        return -q.mean()
    scale = spmd.mean(jax.lax.stop_gradient(jnp.abs(q).mean()), nets.axis)
    weight = hyper.alpha / jnp.maximum(scale, 1e-8)
    return -weight * q.mean() + jnp.square(mu - a).mean()
