"""REINFORCE: the Monte-Carlo policy gradient (Williams 1992; Sutton et al. 2000).

    grad J = E sum_t gamma^t (G_t - b_t) grad log pi(a_t | s_t),   G_t = r_t + gamma G_{t+1}

for J = E sum_{t < T} gamma^t r_t, the return of whole episodes of at most `T = Config.length` steps. Each
update draws `n_envs` fresh episodes and takes one step. Every baseline leaves the estimate unbiased: none;
the average return-to-go of the *other* episodes that are still running at `t`; or a critic, fitted along.

Other estimators of the same shape put their own signal in the place of G_t, and their own step in the place
of the gradient: the arguments `signal` and `direction` of `make`.

Legend: `T` steps, `N` episodes, `m` reward components.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxrl.baselines.checks import check_weights
from jaxrl.core.descent import clip_norm, descend
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Bound, Count, Finite, NonNegative, Share, Size, Weights, check_fields
from jaxrl.core.prng import stream
from jaxrl.core.types import Algorithm, Array, Key, Origin, Policy, PyTree, Transition, struct
from jaxrl.envs.base import Env, HasTimeLimit
from jaxrl.nets.actor_critic import ActorCritic, actor_critic
from jaxrl.nets.net import Activation, Initial
from jaxrl.rollout.returns import monte_carlo
from jaxrl.rollout.unroll import Freeze, start, unroll


@dataclass(frozen=True)
class Config:
    """Static choices of REINFORCE."""

    n_envs: Size = 64
    """Episodes per update."""
    length: Size = 200
    """Steps after which an unfinished episode is cut."""
    widths: tuple[Size, ...] = (64, 64)
    """Hidden units per layer, of the actor and of the critic each; () for linear functions."""
    activation: Activation = "tanh"
    """Elementwise function between layers."""
    memory: Count = 0
    """Width of the GRU before actor and critic, 0 for feed-forward."""
    initial: Initial = "orthogonal"
    """Distribution of the first weights, see `net.mlp`."""
    baseline: Literal["none", "batch", "critic"] = "batch"
    """What is taken off the return: nothing, the average over the other episodes, or a learned value."""
    squash: bool = False
    """Whether actions of a box are normals squashed by tanh, in place of normals clipped at the bounds."""
    free_log_std: bool = True
    """Whether one log standard deviation serves all states, in place of an output of the network."""
    keep: tuple[str, ...] = ()
    """Entries of `Step.info` that `signal` may read. Their mean and maximum at the ends of episodes are the
    metrics `train/<name>` and `train/<name>_max`."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.baseline == "batch" and self.n_envs < 2:
            raise UsageError('Config.n_envs: baseline="batch" compares episodes, it needs at least 2')


@struct.dataclass
class Hyper:
    """Hyper-parameters of REINFORCE, each a leaf that can be swept."""

    lr: NonNegative = 1e-2
    """Learning rate, >= 0."""
    gamma: Share = 0.99
    """Discount per step, in [0, 1]."""
    entropy: Finite = 0.0
    """Weight of the entropy bonus, in return per nat."""
    value_coef: NonNegative = 0.5
    """Weight of half the critic's squared error, >= 0; read with `baseline="critic"`."""
    max_grad_norm: Bound | None = 10.0
    """Euclidean norm to which larger gradients are shrunk, >= 0; None or infinity for no clipping."""
    w: Weights | None = None
    """Weights of the reward components, float[m]; None for scalar rewards."""


@struct.dataclass
class State:
    """What an update changes, and `key`, which it does not."""

    params: PyTree
    opt_state: PyTree
    key: Key
    updates: Array


class Window(NamedTuple):
    """What one update has seen, leaves `[T, N, ...]`.

    batch: transitions; reward: float[T, N], weighted where rewards are vectors; running: bool[T, N], the
    episode has not ended before step `t`; x: float[T, N, k], features.
    """

    batch: Transition
    reward: Array
    running: Array
    x: Array


Signal = Callable[[Window, Array, Any], Array]
Direction = Callable[[ActorCritic, PyTree, PyTree, Window, Any], PyTree]


def return_to_go(window: Window, value: Array, hyper: Any) -> Array:
    """G_t = r_t + gamma G_{t+1}, float[T, N]; `value` [T, N] is not read."""
    return monte_carlo(window.reward, jnp.full_like(window.reward, 1.0) * hyper.gamma, window.batch.done)[0]


def plain(nets: ActorCritic, params: PyTree, grads: PyTree, window: Window, hyper: Any) -> PyTree:
    """The gradient itself."""
    return grads


def make(
    config: Config,
    env: Env,
    *,
    signal: Signal = return_to_go,
    direction: Direction = plain,
    optimiser: optax.GradientTransformation | None = None,
) -> Algorithm:
    """REINFORCE on `env`; `data` of the algorithm is the environment's parameters.

    signal: `(window, value [T, N], hyper) -> float[T, N]`, what multiplies the score once the baseline is
        taken off, and what a critic is fitted to; `value` is the critic's, without gradient.
    direction: `(nets, params, gradient, window, hyper) -> tree`, what the clipping and the optimiser see
        instead of the gradient of the loss.
    optimiser: optax transformation of the clipped gradient, before the learning rate; default Adam.

    Raises:
        UsageError: the configuration does not fit the environment.
    """
    try:
        nets = actor_critic(
            env.observation_space,
            env.action_space,
            None,
            widths=config.widths,
            activation=config.activation,
            memory=config.memory,
            squash=config.squash,
            free_log_std=config.free_log_std,
            initial=config.initial,
        )
    except ValueError as error:
        raise UsageError(f"{env.name}: {error}") from error
    optimiser = optax.scale_by_adam(eps=1e-5) if optimiser is None else optimiser

    def act(state: State, hyper: Hyper, greedy: bool) -> Policy:
        return nets.policy(state.params, greedy=greedy)

    def init(key: Key, hyper: Hyper, data: PyTree) -> State:
        check_weights(env, hyper.w)
        k_init, k_run = jax.random.split(key)
        params = nets.init(k_init)
        return State(params, optimiser.init(params), k_run, jnp.zeros((), jnp.int32))

    def step(state: State, hyper: Hyper, data: PyTree) -> tuple[State, dict[str, Any]]:
        k_start, k_roll = jax.random.split(stream(state.key, state.updates))
        policy = act(state, hyper, greedy=False)
        limit = config.length
        if isinstance(env, HasTimeLimit):
            limit = jnp.minimum(limit, env.time_limit(data))
        _, batch, stats = unroll(
            env,
            policy,
            start(env, policy, k_start, data, config.n_envs),
            k_roll,
            data,
            length=config.length,
            limit=limit,
            gamma=hyper.gamma,
            reset=Freeze(),
            keep=config.keep,
        )
        window = _window(nets, batch, hyper)
        (_, metrics), grads = jax.value_and_grad(_loss, argnums=3, has_aux=True)(
            config, nets, signal, state.params, window, hyper
        )
        grads = direction(nets, state.params, grads, window, hyper)
        grads, norm = clip_norm(grads, hyper.max_grad_norm)
        params, opt_state = descend(optimiser, grads, state.opt_state, state.params, hyper.lr)
        metrics |= {"grad_norm": norm} | _at_the_end(window) | stats.metrics()
        return State(params, opt_state, state.key, state.updates + 1), metrics

    origin = Origin(__name__, config, env.observation_space, env.action_space, env)
    return Algorithm(init, step, act, origin=origin)


def batch_baseline(returns: Array, running: Array) -> Array:
    """Average return-to-go of the other episodes still running, float[T, N]; 0 where there is none.

    returns: float[T, N]; running: bool[T, N], the episode has not ended before step `t`.
    """
    live = jnp.where(running, returns, 0.0)
    others = jnp.sum(live, axis=1, keepdims=True) - live
    count = jnp.sum(running, axis=1, keepdims=True) - running
    return others / jnp.maximum(count, 1)


def score_weights(returns: Array, running: Array, baseline: Array, gamma: float | Array) -> Array:
    """What multiplies the score at each step, gamma^t (G_t - b_t) while the episode runs, float[T, N].

    returns, baseline: float[T, N]; running: bool[T, N].

    Equation: williams1992reinforce [REINFORCE]
    """
    discount = jnp.asarray(gamma, returns.dtype) ** jnp.arange(returns.shape[0])[:, None]
    return jnp.where(running, discount * (returns - baseline), 0.0)


def _window(nets: ActorCritic, batch: Transition, hyper: Hyper) -> Window:
    """The transitions of one update with what both the loss and a direction need of them."""
    reward = batch.reward if hyper.w is None else batch.reward @ hyper.w
    # done also marks the padding after an end, so that a step is real while no earlier one is done
    ended = jnp.cumsum(batch.done, axis=0) - batch.done
    return Window(batch, reward, ended == 0, jax.vmap(jax.vmap(nets.encode))(batch.obs))


def _at_the_end(window: Window) -> dict[str, Array]:
    """Mean and maximum over episodes of what `keep` names, in the last step of each episode."""
    last = window.running.sum(0, dtype=jnp.int32) - 1
    metrics = {}
    for name, x in window.batch.info.items():
        final = jnp.take_along_axis(x, last[None], axis=0)
        metrics |= {f"train/{name}": final.mean(), f"train/{name}_max": final.max()}
    return metrics


def distribution(nets: ActorCritic, params: PyTree, x: Array) -> tuple[Array, Array]:
    """`(parameters of the head [T, N, p], critic's values [T, N])` over whole episodes; x: float[T, N, k]."""
    memory = jnp.zeros((x.shape[1], nets.width)) if nets.width else ()
    hidden = nets.hidden(params, x, memory, jnp.zeros(x.shape[:2], bool))
    return nets.actor.apply(params["actor"], hidden), nets.critic.apply(params["critic"], hidden)


def _loss(
    config: Config, nets: ActorCritic, signal: Signal, params: PyTree, window: Window, hyper: Hyper
) -> tuple[Array, dict[str, Array]]:
    """Minus the objective whose gradient is the estimate above, plus the critic's error."""
    running = window.running
    dist, value = distribution(nets, params, window.x)
    returns = signal(window, jax.lax.stop_gradient(value), hyper)
    steps = running.sum()
    baseline = jnp.zeros_like(returns)
    if config.baseline == "batch":
        baseline = batch_baseline(returns, running)
    if config.baseline == "critic":
        baseline = jax.lax.stop_gradient(value)
    weight = score_weights(returns, running, baseline, hyper.gamma)
    policy_loss = -(weight * nets.head.log_prob(dist, window.batch.aux["raw"])).sum() / config.n_envs
    entropy = jnp.where(running, nets.head.entropy(dist), 0.0).sum() / steps
    loss = policy_loss - hyper.entropy * entropy
    metrics = {"policy_loss": policy_loss, "entropy": entropy}
    if config.baseline == "critic":
        value_loss = 0.5 * jnp.where(running, jnp.square(value - returns), 0.0).sum() / steps
        loss = loss + hyper.value_coef * value_loss
        metrics["value_loss"] = value_loss
    return loss, metrics | {"loss": loss}
