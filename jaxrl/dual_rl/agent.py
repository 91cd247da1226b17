"""What all forms share: static choices, parameters with targets and optimisers, weighted cloning.

    theta <- theta - lr Adam(gradient)                         `Parts.descend`
    target <- target + tau (theta - target)                    `soft_update`
    policy: minimise  - E weight log pi(a | s)                 `Parts.clone`
    discriminator: minimise a logistic loss, `logistic`        `Parts.discriminate`

Legend: `n` transitions of a batch, `k` observation features.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import optax
from jax.tree_util import Partial

from jaxrl.core import spmd
from jaxrl.core.descent import descend
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Range, Size, check_fields
from jaxrl.core.prng import stream
from jaxrl.core.spaces import Space
from jaxrl.core.types import Array, Key, Policy, PyTree, struct
from jaxrl.data.dataset import Dataset
from jaxrl.dual_rl import networks
from jaxrl.dual_rl.data import Batch, Reader, moments
from jaxrl.dual_rl.diagnostics import cloning, drift
from jaxrl.dual_rl.networks import Networks
from jaxrl.dual_rl.objectives import logistic
from jaxrl.nets.net import Activation

StepSize = Annotated[float, Range(0, 1, open_low=True)]
"""A leaf of a `Hyper`: in (0, 1]."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Static choices of every form; the `Config` of a form adds its methods."""

    batch_size: Size | None = 256
    """Rows of each dataset per update, at least 1. None takes all of them, as tables need. Paper: 1024 for
    f-DVL and ReCOIL, 256 for IQL."""
    widths: tuple[Size, ...] = (256, 256)
    """Units of each hidden layer of every network; () makes linear networks. Paper: (256, 256)."""
    activation: Activation = "relu"
    """Activation of the hidden layers of V, Q and the policy. Paper: relu."""
    normalise_obs: bool = True
    """Whether observation features are standardised by the mean and standard deviation of the reference
    data."""

    def __post_init__(self) -> None:
        check_fields(self)


class Agent(NamedTuple):
    """What gradient steps change, by network: `v`, `q`, `actor`, `ratio`, as far as the form has them."""

    params: dict[str, PyTree]
    target: dict[str, PyTree]
    opt_states: dict[str, PyTree]


@struct.dataclass
class State:
    """Everything that an update changes, and `scale` and `key`, which it does not."""

    agent: Agent
    """Parameters, targets and states of the optimisers."""
    past: PyTree
    """Parameters of the value network, up to one window of the diagnostics ago."""
    scale: tuple[Array, Array]
    """Mean and standard deviation of the observation features, float32`[k]` each."""
    key: Key
    """Root of all random numbers of the run."""
    updates: Array
    """int32[], updates done."""


S = TypeVar("S", bound=State)


class Parts(NamedTuple):
    """What the `make` of a form was given, and the networks made of it.

    optimiser: of gradients, before the learning rate. axis: the mesh axis over which batches are spread, None
    on one device.
    """

    nets: Networks
    optimiser: optax.GradientTransformation
    axis: str | None
    policies: dict[bool, Callable[..., Any]]

    def grad(
        self, loss: Callable[..., Any], has_aux: bool = False, *, local_aux: bool = False
    ) -> Callable[..., Any]:
        """`value_and_grad` of `loss(params, *args)`, averaged over the devices; arguments of `pmean_grad`."""
        return spmd.pmean_grad(loss, self.axis, has_aux, local_aux=local_aux)

    def mean(self, value: Array) -> Array:
        """Average of `value` over the devices of the axis."""
        return spmd.mean(value, self.axis)

    def descend(self, agent: Agent, name: str, lr: Array, grad: PyTree) -> Agent:
        """One step of the optimiser for the network `name`."""
        params, opt_state = descend(self.optimiser, grad, agent.opt_states[name], agent.params[name], lr)
        return agent._replace(
            params=agent.params | {name: params}, opt_states=agent.opt_states | {name: opt_state}
        )

    def clone(
        self, agent: Agent, batch: Batch, weight: Array, lr: Array, cap: Array
    ) -> tuple[Agent, dict[str, Array]]:
        """One step of cloning with policy weights `weight` `[n]` cut at `cap`; `(agent, diagnostics)`."""
        nets = self.nets

        def loss(actor: PyTree) -> tuple[Array, Array]:
            dist = nets.actor.apply(actor, batch.x)
            log_prob = nets.head.log_prob(dist, nets.head.from_action(batch.a))
            return -(batch.weights * weight * log_prob).sum(), (batch.weights * log_prob).sum()

        (_, log_prob), grad = self.grad(loss, has_aux=True)(agent.params["actor"])
        metrics = {"log_prob": log_prob} | cloning(weight, batch.weights, cap, self.axis)
        return self.descend(agent, "actor", lr, grad), metrics

    def discriminate(
        self, agent: Agent, batch: Batch, expert: Batch, lr: Array, penalty: Array
    ) -> tuple[Agent, dict[str, Array]]:
        """One step of the discriminator of the expert's states against the data's; `(agent, diagnostics)`."""
        apply = self.nets.ratio.apply

        def loss(ratio: PyTree) -> Array:
            def part(rows: Batch, sign: float) -> Array:
                slope = jax.vmap(jax.grad(lambda x: apply(ratio, x)))(rows.x)
                return (rows.weights * logistic(apply(ratio, rows.x), slope, sign, penalty)).sum()

            return part(expert, 1.0) + part(batch, -1.0)

        value, grad = self.grad(loss)(agent.params["ratio"])
        return self.descend(agent, "ratio", lr, grad), {"ratio_loss": value}

    def reader(self, state: State) -> Reader:
        """The reader of datasets with the scale of `state`."""
        return Reader(self.nets.encode, self.nets.unit, *state.scale, self.axis)

    def act(self, state: State, hyper: Any, greedy: bool) -> Policy:
        """The policy of `state`; see `jaxrl.core.types.Algorithm`."""
        return Policy(Partial(self.policies[greedy], state.agent.params["actor"], state.scale))


def parts(
    config: Config,
    observation_space: Space,
    action_space: Space,
    optimiser: optax.GradientTransformation | None,
    axis: str | None,
) -> Parts:
    """The parts of a form for one pair of spaces; `optimiser=None` is Adam.

    Raises:
        UsageError: actions that are neither `Discrete` nor a bounded `Box`.
    """
    nets = networks.networks(
        observation_space, action_space, widths=config.widths, activation=config.activation
    )

    def choose(dist_to_raw: Callable[[Key, Array], Array]) -> Callable[..., Any]:
        def policy(actor: PyTree, scale: tuple[Array, Array], key: Key, obs: PyTree, memory: PyTree) -> Any:
            dist = nets.actor.apply(actor, Reader(nets.encode, nets.unit, *scale).features(obs))
            return nets.action(nets.head.to_action(dist_to_raw(key, dist))), (), memory

        return policy

    policies = {True: choose(lambda key, dist: nets.head.mode(dist)), False: choose(nets.head.sample)}
    return Parts(nets, optax.scale_by_adam() if optimiser is None else optimiser, axis, policies)


def value(config: Config, observation_space: Space, action_space: Space, state: State, obs: PyTree) -> Array:
    """float32`[n]`, V of observations `[n, ...]`, for the forms that have a V.

    Raises:
        UsageError: a dual-Q, whose V depends on the policy.
    """
    if "v" not in state.agent.params:
        raise UsageError("value: the method has no V; look at its Q")
    nets = networks.networks(
        observation_space, action_space, widths=config.widths, activation=config.activation
    )
    x = jax.vmap(Reader(nets.encode, nets.unit, *state.scale).features)(obs)
    return nets.v.apply(state.agent.params["v"], x)


def begin(
    kind: type[S],
    parts: Parts,
    config: Config,
    key: Key,
    reference: Dataset,
    *,
    names: tuple[str, ...],
    value: str,
    targets: tuple[str, ...] = (),
    **more: Array,
) -> S:
    """A state of the class `kind` before the first update.

    names: networks that the form has. value: the one whose movement is watched. targets: those with a target
    network. more: further fields of `kind`.
    """
    nets = parts.nets
    k_init, k_run = jax.random.split(key)
    k_v, k_q, k_actor, k_ratio = jax.random.split(k_init, 4)
    makers = {
        "actor": (nets.actor.init, k_actor),
        "v": (nets.v.init, k_v),
        "q": (nets.init_q, k_q),
        "ratio": (nets.ratio.init, k_ratio),
    }
    params = {name: init(k) for name, (init, k) in makers.items() if name in names}
    opt_states = {name: parts.optimiser.init(p) for name, p in params.items()}
    if config.normalise_obs:
        scale = moments(nets.encode, reference)
    else:
        features = nets.encode(jax.tree.map(lambda x: x[0], reference.obs)).shape
        scale = jnp.zeros(features), jnp.ones(features)
    return kind(
        agent=Agent(params, {name: params[name] for name in targets}, opt_states),
        past=params[value],
        scale=scale,
        key=k_run,
        updates=jnp.zeros((), jnp.int32),
        **more,
    )


def keys_of(state: State) -> tuple[Key, Key, Key, Key]:
    """Keys of one update: of the batches of reference, expert and start, and of the policy's actions."""
    k_batch, k_policy = jax.random.split(stream(state.key, state.updates))
    k_reference, k_expert, k_start = jax.random.split(k_batch, 3)
    return k_reference, k_expert, k_start, k_policy


def end(
    parts: Parts,
    state: S,
    agent: Agent,
    name: str,
    value: Callable[[PyTree], Array],
    weights: Array,
    rate: Array | float = jnp.inf,
) -> tuple[S, dict[str, Any]]:
    """The state after an update that led to `agent`, and how far the network `name` has moved.

    value: its values at the rows of the batch, which have `weights`, `[n]` each. rate: see `drift`.
    """
    past, moved = drift(value, weights, agent.params[name], state.past, state.updates, rate, parts.axis)
    return state.replace(agent=agent, past=past, updates=state.updates + 1), moved


def soft_update(agent: Agent, tau: Array) -> Agent:
    """Every target network a step of size `tau`, float[], towards its network."""
    target = {
        name: optax.incremental_update(agent.params[name], old, tau) for name, old in agent.target.items()
    }
    return agent._replace(target=target)


def actor_rate(lr: Array, decay_updates: Array, updates: Array) -> Array:
    """float32[], the actor's learning rate: from `lr` to 0 along a cosine in `decay_updates`, 0 for never."""
    fraction = updates / jnp.where(decay_updates > 0, decay_updates, jnp.inf)
    return lr * 0.5 * (1 + jnp.cos(jnp.pi * jnp.minimum(fraction, 1.0)))
