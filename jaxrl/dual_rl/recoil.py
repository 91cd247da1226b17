"""ReCOIL as released: imitation of labelled expert rows with unlabelled data, without a discriminator.

    y = min_i Q'_i(s, a) - V(s)                          residual of unlabelled rows, by the targets
    V    minimise  E loss(y)                             Gumbel loss, `objectives.gumbel_rescaled`
    pi   maximise  E min(e^(T y), cap) log pi(a | s)     `objectives.awr_weight`, by the new V
    Q_i  minimise  beta E_expert (Q_i - G)^2 + (1 - beta) E (Q_i - target)^2
                   target = -g + gamma V(s')             `objectives.recoil_target`
    Q'_i <- Q'_i + tau (Q_i - Q'_i)

E is the mean over a batch of the unlabelled data, E_expert over one of the expert, and G = g / (1 - gamma)
the value of earning g for ever. No reward is read. The order is V, policy, Q, targets. On tables it rests at
the fixed point of `theory/dual_rl/imitation.py`; the exact dual over Q is the row ReCOIL-Q of `dual_q.py`.

On tables Q is G with the share beta dE / (beta dE + (1 - beta) dmix), and with the rest what follows is
worth. A network spreads that share over neighbouring pairs; where it is near 1 there, Q no longer looks
ahead, and states that the expert only passes and the data seldom visit are worth as much as where it stays.
At beta 1/2 unlabelled data of medium quality and labelled episodes that begin far away suffer from that, at
a small beta they do not (`experiments/dual_rl/density_ratio.py`).

Differences from the released code: the maximum in the Gumbel loss is taken over the unlabelled batch alone,
and G follows gamma, which agrees with the released 200 at gamma 0.99.

Legend: `n` transitions of a batch, `k` observation features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import jax.numpy as jnp
import optax

from jaxrl.core.fields import Discount, NonNegative, Positive, Range
from jaxrl.core.spaces import Space
from jaxrl.core.types import Algorithm, Array, Key, Origin, struct
from jaxrl.dual_rl import agent as shared
from jaxrl.dual_rl.agent import Agent, Parts, StepSize
from jaxrl.dual_rl.data import Batch, Data, check_data, termination_rate
from jaxrl.dual_rl.diagnostics import clipping, residuals, review
from jaxrl.dual_rl.objectives import awr_weight, gumbel_rescaled, recoil_end, recoil_target

NAME = "ReCOIL released"


@dataclass(frozen=True, kw_only=True)
class Config(shared.Config):
    """Static choices: those of every form, and what follows a termination."""

    terminals: Literal["target", "masked", "absorbing"] = "target"
    """Value of V after a termination. target: -G, as if g were lost for ever after. masked: 0. absorbing:
    that of a state in which the expert and the data stay, each as often as they end, `objectives.recoil_end`.
    Paper: target."""


@struct.dataclass
class Hyper:
    """Hyper-parameters; `forms.hyper` makes one with the table's `parameter`."""

    parameter: Positive = 1.0
    """Temperature of the Gumbel loss, in units of g. Smaller ones lead from the mean of Q to its maximum,
    until Q diverges. Paper: 2.5 to 20, 1 in the released code."""
    gamma: Discount = 0.99
    """Discount factor, in [0, 1). Paper: 0.99."""
    tau: StepSize = 0.005
    """Step of the target networks towards their networks in one update, in (0, 1]. Paper: 0.005."""
    lr_value: NonNegative = 3e-4
    """Learning rate of V and Q. Paper: 3e-4."""
    lr_actor: NonNegative = 3e-4
    """Learning rate of the policy. Paper: 3e-4."""
    decay_updates: NonNegative = 0.0
    """Updates in which the policy's learning rate falls to 0 along a cosine; 0 keeps it constant."""
    awr: NonNegative = 3.0
    """Inverse temperature T of the weights e^(T y), per unit of g. Paper: 3, on kitchen 0.5."""
    cap: Positive = 100.0
    """Largest weight of a row in cloning. Paper: 100."""
    clip: Positive = 7.0
    """Largest z = y / temperature in the value loss; rows beyond it have no gradient. Paper: 7."""
    gap: Positive = 2.0
    """The cost g of every step away from the expert; expert pairs have the target G = g / (1 - gamma). Paper:
    2."""
    beta: Annotated[float, Range(0, 1, open_low=True, open_high=True)] = 0.5
    """Weight of the expert's square in the loss of Q, in (0, 1), as the paper's share of the expert in the
    mixture. Small ones, such as 0.02, leave more of the value to what follows. Paper: 1/2 in the released
    code."""


@struct.dataclass
class State(shared.State):
    """The state of every form, and the value after a termination."""

    end: Array
    """float32[], V after a termination, see `Config.terminals`; constant."""


def make(
    config: Config,
    observation_space: Space,
    action_space: Space,
    *,
    optimiser: optax.GradientTransformation | None = None,
    axis: str | None = None,
) -> Algorithm:
    """ReCOIL as released; `data` of the algorithm is a `Data`, of which `reference` and `expert` are read.

    optimiser: optax transformation of every gradient, before the learning rate; default Adam.
    axis: mesh axis over which batches are spread, for `core.spmd.data_parallel`.

    Raises:
        UsageError: actions that are neither `Discrete` nor a bounded `Box`; from `init` and `check`, data of
        other spaces, or without an expert.
    """
    parts = shared.parts(config, observation_space, action_space, optimiser, axis)

    def check(data: Data) -> None:
        check_data(data, observation_space, action_space, ("reference", "expert"), NAME)

    def init(key: Key, hyper: Hyper, data: Data) -> State:
        check(data)
        return shared.begin(
            State,
            parts,
            config,
            key,
            data.reference,
            names=("v", "q", "actor"),
            value="v",
            targets=("q",),
            end=_end_value(config, hyper, data),
        )

    def step(state: State, hyper: Hyper, data: Data) -> tuple[State, dict[str, Any]]:
        k_batch, k_expert, *_ = shared.keys_of(state)
        reader = parts.reader(state)
        expert = reader.read(k_expert, data.expert, config.batch_size, rewards=False)
        batch = reader.read(k_batch, data.reference, config.batch_size, rewards=False)
        lr_actor = shared.actor_rate(hyper.lr_actor, hyper.decay_updates, state.updates)
        agent, metrics = _update(parts, state.agent, batch, expert, state.end, hyper, lr_actor)
        state, moved = shared.end(
            parts,
            state,
            agent,
            "v",
            lambda v: parts.nets.v.apply(v, batch.x),
            batch.weights,
            hyper.tau * (1 - hyper.gamma),
        )
        return state, metrics | moved

    origin = Origin(__name__, config, observation_space, action_space)
    return Algorithm(init, step, parts.act, review, check, origin)


def _end_value(config: Config, hyper: Hyper, data: Data) -> Array:
    """float32[], V after a termination."""
    if config.terminals == "masked":
        return jnp.zeros(())
    released = jnp.asarray(-hyper.gap / (1 - hyper.gamma), jnp.float32)
    if config.terminals == "target":
        return released
    d_e = hyper.beta * termination_rate(data.expert)
    d_mix = (1 - hyper.beta) * termination_rate(data.reference)
    # where nobody ends the value is never used, but has to be finite
    return jnp.where(d_e + d_mix > 0, recoil_end(d_e, d_mix, hyper.gap, hyper.gamma), released)


def _update(
    parts: Parts, agent: Agent, batch: Batch, expert: Batch, end: Array, hyper: Hyper, lr_actor: Array
) -> tuple[Agent, dict[str, Any]]:
    """V, policy, Q, targets."""
    nets = parts.nets
    q = nets.q(agent.target["q"], batch.x, batch.a).min(0)
    v_loss, grad = parts.grad(_v_loss)(agent.params["v"], parts, q, batch, hyper)
    agent = parts.descend(agent, "v", hyper.lr_value, grad)
    v = nets.v.apply(agent.params["v"], batch.x)
    y = q - v
    weight = awr_weight(y, hyper.awr, hyper.cap)
    agent, cloned = parts.clone(agent, batch, weight, lr_actor, hyper.cap)
    next_v = nets.v.apply(agent.params["v"], batch.next_x)
    target = recoil_target(next_v, batch.not_done, end, hyper.gap, hyper.gamma)
    q_loss, grad = parts.grad(_q_loss)(agent.params["q"], parts, target, batch, expert, hyper)
    agent = shared.soft_update(parts.descend(agent, "q", hyper.lr_value, grad), hyper.tau)
    metrics = {"v_loss": v_loss, "q_loss": q_loss, "v": parts.mean((batch.weights * v).sum())}
    metrics |= clipping(y / hyper.parameter, batch.weights, hyper.clip, parts.axis)
    return agent, metrics | cloned | residuals(y, batch.weights, parts.axis)


def _v_loss(v: Any, parts: Parts, q: Array, batch: Batch, hyper: Hyper) -> Array:
    """Mean Gumbel loss of Q - V over the unlabelled batch."""
    y = q - parts.nets.v.apply(v, batch.x)
    return (batch.weights * gumbel_rescaled(y, hyper.parameter, hyper.clip, parts.axis)).sum()


def _q_loss(q: Any, parts: Parts, target: Array, batch: Batch, expert: Batch, hyper: Hyper) -> Array:
    """Sum over the twin Q of both mean squares by beta: expert pairs from G, others from `target` `[n]`."""
    expert_error = parts.nets.q(q, expert.x, expert.a) - hyper.gap / (1 - hyper.gamma)
    error = parts.nets.q(q, batch.x, batch.a) - target[None]
    expert_loss = (expert.weights[None] * jnp.square(expert_error)).sum()
    return hyper.beta * expert_loss + (1 - hyper.beta) * (batch.weights[None] * jnp.square(error)).sum()
