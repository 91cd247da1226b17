"""Meta-gradients of a rule for targets: the derivative of what a policy gains after K updates by the rule
(oh2020lpg).

Agents live in parallel. In one meta-step each of them does K updates by the rule, then collects one window
more with the policy it has reached, on which its meta-loss is

    M = mean[ -log pi(a|s) A ] - b_0 H(pi) - b_1 H(y) + b_2 mean(pihat^2) + b_3 mean(sum_k yhat_k^2),

the last four averaged over the K updates. The derivative goes backwards through parameters, predictions,
pihat, yhat and the clipping of the K updates; not through windows, sampled actions, advantages A or the
critic. It is averaged over agents and followed by Adam. K below the horizon truncates it; K as long as the
longest horizon is the whole lifetime. An agent that has reached its horizon, or is not finite, is replaced
with its critic and its level.

Differences from the released code:
1. The critic learns. `legacy_frozen_critic` leaves it at its start, as the released code does by mistake.
2. The derivative sees that what the rule reads depends on earlier updates. Without `meta_through_inputs` it
   is the released one, which is not the derivative of M.
3. Agents start at different ages, so that not all are replaced in one meta-step.

Legend: `B` agents, `T` steps, `W` workers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.tree_util import Partial

from jaxrl.core.descent import clip_norm, descend, root
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Finite, NonNegative, Positive, Share, Size, check_fields
from jaxrl.core.prng import stream, streams
from jaxrl.core.tree import tree_where
from jaxrl.core.types import Algorithm, Array, Key, Mean, Policy, PyTree, Transition, struct
from jaxrl.envs.base import Env
from jaxrl.meta import lifetimes, lpg, targets
from jaxrl.meta.objective import Objective, check_mask
from jaxrl.nets.net import Net
from jaxrl.rollout.returns import discount_and_cut, gae
from jaxrl.rollout.unroll import VecState, start, unroll


@dataclass(frozen=True)
class Config:
    """Static choices of the meta-gradient."""

    learner: lpg.Config = field(default_factory=lpg.Config)
    """Static choices of every agent."""
    agents: Size = 64
    """Agents that live in parallel. Paper: 512."""
    updates: Size = 5
    """Updates K between two meta-steps, through which the derivative goes; at most the longest horizon.
    Paper: 5."""
    horizons: tuple[Size, Size] = (250, 250)
    """Shortest and longest lifetime, in updates, log-uniform. Paper: 250, always."""
    stagger: bool = True
    """Whether agents begin at an age that is uniform on their lifetime. The released code begins all at 0,
    and then replaces them all in the same meta-step."""
    remat: bool = False
    """Whether an update is computed again for the derivative instead of being stored, which saves memory."""

    def __post_init__(self) -> None:
        check_fields(self)
        lifetimes.check_horizons(*self.horizons, "Config.horizons")
        if self.updates > self.horizons[1]:
            raise UsageError(
                f"Config.updates: {self.updates} exceeds every horizon, of which the longest is"
                f" {self.horizons[1]}; take at most that"
            )


@struct.dataclass
class Hyper:
    """Hyper-parameters of the meta-gradient."""

    lr: NonNegative = 1e-4
    """Learning rate of the rule's parameters under Adam, >= 0. Paper: 1e-4."""
    learner: lpg.Hyper = field(default_factory=lpg.Hyper)
    """Hyper-parameters of every agent, the mask of the time inputs among them; its rule and its horizon are
    those of the meta-run."""
    critic_lr: NonNegative = 4.0
    """Learning rate of the critics, >= 0, with the agents' optimiser and clipping. Released code: 4 with
    sgd."""
    lambda_: Share = 0.95
    """Decay of the generalised advantage estimate, in [0, 1]. Paper: 0.95."""
    entropy: Finite = 0.05
    """Weight b_0 of the entropy of the policy. Paper: 0.05."""
    prediction_entropy: Finite = 1e-3
    """Weight b_1 of the entropy of the predictions. Paper: 0.001."""
    weight_square: NonNegative = 5e-3
    """Weight b_2 of the squares of pihat, >= 0. Paper: 0.005."""
    target_square: NonNegative = 1e-3
    """Weight b_3 of the squares of yhat, >= 0. Paper: 0.001."""
    meta_through_inputs: Share = 1.0
    """Switch: 1 is the derivative of M; 0 the released one, where what the rule reads is constant."""
    legacy_frozen_critic: Share = 0.0
    """Switch: with 1 the critic stays at its start, as released; with 0 it learns."""
    eps: Positive = 1e-8
    """Number that Adam adds to the root of the mean square, > 0."""


class Agents(NamedTuple):
    """Agents in the middle of their lives, leaves `[B, ...]`.

    params, opt_state: policy and predictions; critic_params, critic_opt_state: value function; vec: running
    episodes; level: the environment's parameters; n: int32[B], updates done; horizon: int32[B].
    """

    params: PyTree
    opt_state: PyTree
    critic_params: PyTree
    critic_opt_state: PyTree
    vec: VecState
    level: PyTree
    n: Array
    horizon: Array


@struct.dataclass
class State:
    """What a meta-step changes, and `key`, which it does not; `params` is phi."""

    params: PyTree
    opt_state: PyTree
    agents: Agents
    key: Key
    updates: Array


class Critic(NamedTuple):
    """A value function, its optimiser, and how ends count.

    net: observation -> float[1].
    """

    net: Net
    optimiser: optax.GradientTransformation
    bootstrap_truncated: bool

    def values(self, params: PyTree, obs: PyTree) -> Array:
        """Values of observations, float[T, W]."""
        return jax.vmap(jax.vmap(lambda o: self.net.apply(params, o)[0]))(obs)

    def advantages(self, params: PyTree, batch: Transition, hyper: Hyper) -> tuple[Array, Array]:
        """`(advantages [T, W], values [T, W])` of a batch, leaves `[T, W, ...]`."""
        value, following = self.values(params, batch.obs), self.values(params, batch.next_obs)
        discount, cut = discount_and_cut(batch, hyper.learner.gamma, self.bootstrap_truncated)
        return gae(batch.reward, value, following, discount, cut, hyper.lambda_), value

    def loss(self, params: PyTree, batch: Transition, target: Array) -> Array:
        """Half the mean squared error against `target` float[T, W], float[]."""
        return 0.5 * jnp.square(self.values(params, batch.obs) - target).mean()

    def step(
        self, params: PyTree, opt_state: PyTree, batch: Transition, hyper: Hyper
    ) -> tuple[PyTree, PyTree, Array]:
        """`(params, opt_state, loss)` after one step towards the lambda-returns of a batch, `[T, W, ...]`."""
        advantage, value = self.advantages(params, batch, hyper)
        loss, grads = jax.value_and_grad(self.loss)(params, batch, advantage + value)
        grads, _ = clip_norm(grads, hyper.learner.max_grad_norm)
        lr = hyper.critic_lr * (1 - hyper.legacy_frozen_critic)
        return *descend(self.optimiser, grads, opt_state, params, lr), loss


class Parts(NamedTuple):
    """What one meta-step is made of."""

    config: Config
    env: Env
    learner: lpg.Learner
    critic: Critic


def make(config: Config, env: Env, objective: Objective | None = None) -> Algorithm:
    """Meta-gradient descent on the parameters of a rule; `data` is not read, levels are drawn from `env`.

    objective: a rule of the slot "targets"; None: LPG of the released sizes. It starts at its own `init`: at
    zero the meta-gradient is zero. Policies answer what the rule reads with what it says.

    Raises `UsageError` as `lpg.make` and `lifetimes.check_horizons` do.
    """
    objective = targets.lpg(config.learner.predictions) if objective is None else objective
    learner = lpg.learner(config.learner, env, objective)
    net = lpg.network(env.observation_space, 1, config.learner.widths)
    critic = Critic(net, learner.optimiser, config.learner.bootstrap_truncated)
    parts, says = Parts(config, env, learner, critic), targets.answer(objective)
    draw = lifetimes.draw_tasks(env, *config.horizons)

    def init(key: Key, hyper: Hyper, data: PyTree) -> State:
        k_phi, k_agents, k_age, k_run = jax.random.split(key, 4)
        phi = objective.init(k_phi)
        agents = _born(parts, draw, k_agents)
        if config.stagger:
            age = jax.random.uniform(k_age, (config.agents,)) * agents.horizon
            agents = agents._replace(n=age.astype(jnp.int32))
        opt_state = _adam(hyper).init(phi)
        return State(phi, opt_state, agents, k_run, jnp.zeros((), jnp.int32))

    def step(state: State, hyper: Hyper, data: PyTree) -> tuple[State, dict[str, Any]]:
        k_live, k_born = jax.random.split(stream(state.key, state.updates))
        found = jax.vmap(jax.value_and_grad(_meta_loss, argnums=1, has_aux=True), (None, None, 0, 0, None))
        keys = streams(k_live, config.agents)
        (_, (agents, metrics)), grads = found(parts, state.params, state.agents, keys, hyper)
        sound = _sound(agents._replace(vec=(), level=())) & _sound(grads)
        count = jnp.maximum(sound.sum(), 1)
        grads = jax.tree.map(lambda g: g.sum(0) / count, tree_where(sound, grads, _zeros(grads)))
        direction, opt_state = _adam(hyper).update(grads, state.opt_state)
        phi = optax.apply_updates(state.params, jax.tree.map(lambda d: -hyper.lr * d, direction))
        finished = agents.n >= agents.horizon
        agents = tree_where(sound & ~finished, agents, _born(parts, draw, k_born))
        weights = sound.astype(jnp.float32)
        averages = {
            k: Mean(jnp.where(sound, x, 0.0).sum(), weights.sum())
            for k, x in metrics.items()
            if not isinstance(x, Mean)
        }
        ended = metrics["train/return"]
        totals = jnp.where(sound, ended.total, 0.0).sum(), jnp.where(sound, ended.count, 0.0).sum()
        state = State(phi, opt_state, agents, state.key, state.updates + 1)
        return state, averages | {
            "train/return": Mean(*totals),
            "nan_agents": (~sound).sum().astype(jnp.float32),
            "finished": finished.sum().astype(jnp.float32),
            "gradient_norm": optax.tree.norm(grads),
        }

    def answer(params: PyTree, mask: Array, key: Key, obs: PyTree, memory: PyTree) -> tuple[Any, ...]:
        return says(params, obs, mask), (), memory

    def act(state: State, hyper: Hyper, greedy: bool) -> Policy:
        return Policy(Partial(answer, state.params, jnp.asarray(hyper.learner.mask, jnp.float32)))

    def check_hyper(hyper: Hyper, data: PyTree) -> None:
        check_mask(hyper.learner.mask, False, "Hyper.learner.mask")

    return Algorithm(init, step, act, check_hyper=check_hyper)


def _adam(hyper: Hyper) -> optax.GradientTransformation:
    return optax.scale_by_adam(eps=hyper.eps)


def _zeros(tree: PyTree) -> PyTree:
    return jax.tree.map(jnp.zeros_like, tree)


def _sound(tree: PyTree) -> Array:
    """bool[B], whether all numbers of an agent, leaves `[B, ...]`, are finite."""
    leaves = [jnp.isfinite(x).reshape(x.shape[0], -1).all(1) for x in jax.tree.leaves(tree)]
    return jnp.stack(leaves).all(0)


def _born(parts: Parts, draw: Callable[[Key, int], lifetimes.Task], key: Key) -> Agents:
    """New agents with levels, horizons and critics of their own."""
    config = parts.config

    def one(task: lifetimes.Task) -> Agents:
        k_params, k_critic, k_start = jax.random.split(task.key, 3)
        params, opt_state = parts.learner.init(k_params)
        critic = parts.critic.net.init(k_critic)
        policy = parts.learner.policy(params, greedy=False)
        vec = start(parts.env, policy, k_start, task.level, config.learner.n_envs)
        critic_state = parts.critic.optimiser.init(critic)
        return Agents(
            params, opt_state, critic, critic_state, vec, task.level, jnp.zeros((), jnp.int32), task.horizon
        )

    return jax.vmap(one)(draw(key, config.agents))


def _meta_loss(
    parts: Parts, phi: PyTree, agent: Agents, key: Key, hyper: Hyper
) -> tuple[Array, tuple[Agents, dict[str, Any]]]:
    """M of one agent, the agent afterwards, and what was measured."""
    config, learner, critic = parts.config, parts.learner, parts.critic

    def windowed(agent: Agents, i: int | Array) -> tuple[VecState, Transition, Any]:
        policy = learner.policy(jax.lax.stop_gradient(agent.params), greedy=False)
        options = {"length": config.learner.length, "gamma": hyper.learner.gamma}
        found = unroll(parts.env, policy, agent.vec, stream(key, i), agent.level, **options)
        return jax.lax.stop_gradient(found)

    def updated(
        phi: PyTree, params: PyTree, opt_state: PyTree, batch: Transition, n: Array
    ) -> tuple[PyTree, PyTree, dict[str, Array]]:
        numbers = lpg.told(hyper.learner, phi, agent.horizon, jnp.asarray(hyper.learner.mask, jnp.float32))
        through = hyper.meta_through_inputs > 0
        params, opt_state, metrics = learner.update(params, opt_state, batch, numbers, n, through)
        after = learner.outputs(params, batch.obs)
        return (
            params,
            opt_state,
            {
                "entropy": learner.head.entropy(after.policy).mean(),
                "prediction_entropy": lpg.entropy(jax.nn.softmax(after.prediction)).mean(),
                "weight_square": metrics["weight_square"],
                "target_square": metrics["target_square"],
            },
        )

    update = jax.checkpoint(updated) if config.remat else updated

    def body(before: Agents, i: Array) -> tuple[Agents, Any]:
        vec, batch, stats = windowed(before, i)
        params, opt_state, measured = update(phi, before.params, before.opt_state, batch, before.n)
        critic_params, critic_state, _ = critic.step(
            before.critic_params, before.critic_opt_state, batch, hyper
        )
        after = Agents(
            params, opt_state, critic_params, critic_state, vec, before.level, before.n + 1, before.horizon
        )
        lives = before.n < before.horizon
        ended = stats.metrics()["train/return"]
        returns = Mean(jnp.where(lives, ended.total, 0.0), jnp.where(lives, ended.count, 0.0))
        return tree_where(lives, after, before), (jnp.where(lives, 1.0, 0.0), measured, returns)

    after, (lived, measured, returns) = jax.lax.scan(body, agent, jnp.arange(config.updates))
    share = lived / jnp.maximum(lived.sum(), 1)
    measured = {name: (share * x).sum() for name, x in measured.items()}
    vec, batch, _ = windowed(after, config.updates)
    advantage, value = critic.advantages(after.critic_params, batch, hyper)
    prob = jnp.exp(learner.head.log_prob(learner.outputs(after.params, batch.obs).policy, batch.aux["raw"]))
    gain = lpg.weighted_log_prob(standardised(jax.lax.stop_gradient(advantage)), prob).mean()
    loss = meta_loss(gain, measured, hyper)
    spread = jnp.square(advantage + value - (advantage + value).mean()).mean()
    critic_params, critic_state, critic_loss = critic.step(
        after.critic_params, after.critic_opt_state, batch, hyper
    )
    after = after._replace(critic_params=critic_params, critic_opt_state=critic_state, vec=vec)
    metrics = measured | {
        "meta_loss": loss,
        "gain": gain,
        "critic_loss": critic_loss,
        "target_variance": spread,
        "train/return": Mean(returns.total.sum(), returns.count.sum()),
    }
    return loss, jax.lax.stop_gradient((after, metrics))


def meta_loss(gain: Array, measured: dict[str, Array], hyper: Hyper) -> Array:
    """M = -gain - b_0 H(pi) - b_1 H(y) + b_2 pihat^2 + b_3 yhat^2, all float[].

    gain: mean of log pi(a|s) A; measured: the other four, by the names of their weights in `hyper`.
    Equation: oh2020lpg [meta-objective]
    """
    return (
        -gain
        - hyper.entropy * measured["entropy"]
        - hyper.prediction_entropy * measured["prediction_entropy"]
        + hyper.weight_square * measured["weight_square"]
        + hyper.target_square * measured["target_square"]
    )


def standardised(advantage: Array) -> Array:
    """Advantages float[...] with mean 0 and standard deviation 1; zeros where all are equal."""
    centred = advantage - advantage.mean()
    return centred / (root(jnp.square(centred).mean()) + 1e-8)
