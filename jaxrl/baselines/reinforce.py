"""REINFORCE: the Monte-Carlo policy gradient (Williams 1992; Sutton et al. 2000).

    grad J = E sum_t gamma^t (G_t - b_t) grad log pi(a_t | s_t),   G_t = r_t + gamma G_{t+1}

for J = E sum_{t < T} gamma^t r_t, the return of whole episodes of at most `T = Config.length` steps. Each
update draws `n_envs` fresh episodes and takes one step. Every baseline leaves the estimate unbiased: none;
the average return-to-go of the *other* episodes that are still running at `t`; or a critic, fitted along.

Legend: `T` steps, `N` episodes, `m` reward components.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax

from jaxrl.baselines.ppo import check_fields, check_weights
from jaxrl.core.errors import UsageError
from jaxrl.core.prng import stream
from jaxrl.core.tree import clip_norm
from jaxrl.core.types import Algorithm, Array, Key, Policy, PyTree, Transition, struct
from jaxrl.envs.base import Env, HasTimeLimit
from jaxrl.nets.actor_critic import ActorCritic, actor_critic
from jaxrl.rollout.returns import monte_carlo
from jaxrl.rollout.unroll import Freeze, start, unroll


@dataclass(frozen=True)
class Config:
    """Static choices.

    n_envs: episodes per update; length: steps after which an unfinished episode is cut; memory: width of the
    GRU, 0 for feed-forward; squash, free_log_std: as in PPO.
    """

    n_envs: int = 64
    length: int = 200
    widths: tuple[int, ...] = (64, 64)
    activation: str = "tanh"
    memory: int = 0
    baseline: Literal["none", "batch", "critic"] = "batch"
    squash: bool = False
    free_log_std: bool = True

    def __post_init__(self) -> None:
        check_fields(self, sizes=("n_envs", "length"))
        if self.baseline not in ("none", "batch", "critic"):
            raise UsageError(f"Config.baseline: must be none, batch or critic, got {self.baseline!r}")
        if self.baseline == "batch" and self.n_envs < 2:
            raise UsageError('Config.n_envs: baseline="batch" compares episodes, it needs at least 2')


@struct.dataclass
class Hyper:
    """Numbers; `w`: float[m] weights of vector rewards, None for scalar rewards."""

    lr: Any = 1e-2
    gamma: Any = 0.99
    entropy: Any = 0.0
    value_coef: Any = 0.5
    max_grad_norm: Any = 10.0
    w: Any = None


@struct.dataclass
class State:
    """What an update changes, and `key`, which it does not."""

    params: PyTree
    opt_state: PyTree
    key: Key
    updates: Array


def make(config: Config, env: Env, *, optimiser: optax.GradientTransformation | None = None) -> Algorithm:
    """REINFORCE on `env`; `data` of the algorithm is the environment's parameters.

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
        )
        (_, metrics), grads = jax.value_and_grad(_loss, argnums=2, has_aux=True)(
            config, nets, state.params, batch, hyper
        )
        grads, norm = clip_norm(grads, hyper.max_grad_norm)
        direction, opt_state = optimiser.update(grads, state.opt_state, state.params)
        params = jax.tree.map(lambda p, d: p - hyper.lr * d, state.params, direction)
        metrics |= {"grad_norm": norm} | stats.metrics()
        return State(params, opt_state, state.key, state.updates + 1), metrics

    return Algorithm(init, step, act)


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


def _loss(
    config: Config, nets: ActorCritic, params: PyTree, batch: Transition, hyper: Hyper
) -> tuple[Array, dict[str, Array]]:
    """Minus the objective whose gradient is the estimate above, plus the critic's error."""
    reward = batch.reward if hyper.w is None else batch.reward @ hyper.w
    # done also marks the padding after an end, so that a step is real while no earlier one is done
    ended = jnp.cumsum(batch.done, axis=0) - batch.done
    running = ended == 0
    returns, _ = monte_carlo(reward, jnp.full_like(reward, 1.0) * hyper.gamma, batch.done)
    x = jax.vmap(jax.vmap(nets.encode))(batch.obs)
    memory = jnp.zeros((config.n_envs, config.memory)) if config.memory else ()
    hidden = nets.hidden(params, x, memory, jnp.zeros_like(running))
    dist = nets.actor.apply(params["actor"], hidden)
    value = nets.critic.apply(params["critic"], hidden)

    steps = running.sum()
    baseline = jnp.zeros_like(returns)
    if config.baseline == "batch":
        baseline = batch_baseline(returns, running)
    if config.baseline == "critic":
        baseline = jax.lax.stop_gradient(value)
    weight = score_weights(returns, running, baseline, hyper.gamma)
    policy_loss = -(weight * nets.head.log_prob(dist, batch.aux["raw"])).sum() / config.n_envs
    entropy = jnp.where(running, nets.head.entropy(dist), 0.0).sum() / steps
    loss = policy_loss - hyper.entropy * entropy
    metrics = {"policy_loss": policy_loss, "entropy": entropy}
    if config.baseline == "critic":
        value_loss = 0.5 * jnp.where(running, jnp.square(value - returns), 0.0).sum() / steps
        loss = loss + hyper.value_coef * value_loss
        metrics["value_loss"] = value_loss
    return loss, metrics | {"loss": loss}
