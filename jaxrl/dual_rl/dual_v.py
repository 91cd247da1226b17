"""Dual-V by networks: OptiDICE, SMODICE and ODICE.

    y  = (r + gamma V(s') - V(s)) / alpha                    residual of single transitions
    V      minimise  (1 - gamma) E_d0 V + alpha E f*_p(y)    OptiDICE, chi2, `objectives.dual_objective`
                     (1 - gamma) E_d0 V + alpha log E e^y    SMODICE, kl, `objectives.kl_objective`
                     E V + alpha E f*_p(y)                   ODICE, chi2, by the orthogonal gradient
    pi     maximise  E min(w(y), cap) log pi(a | s)          the ratio of the dual solution, by the new V

The gradient of OptiDICE and SMODICE goes through V(s) and V(s'). That of ODICE takes V(s) of y with a target
network at s', adds what the gradient through V(s'), with a target network at s, has orthogonal to it
(`objectives.without_reversal`), and starts from the data's states. The reward of SMODICE is the logit of a
discriminator of the expert's states against the data's, one step of which precedes every update. A single
transition stands for the expectation over successors, which biases the convex f*_p where they are random
(`theory/dual_rl/thm_05_double_sampling.py`).

Differences from the released codes: see the family's README, 6.

Legend: `n` transitions of a batch, `k` observation features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Discount, NonNegative, Positive, Share
from jaxrl.core.spaces import Space
from jaxrl.core.types import Algorithm, Array, Key, Origin, PyTree, struct
from jaxrl.dual_rl import agent as shared
from jaxrl.dual_rl.agent import Agent, Parts, State, StepSize
from jaxrl.dual_rl.data import Ahead, Batch, Data, check_data
from jaxrl.dual_rl.diagnostics import residuals, review
from jaxrl.dual_rl.methods import Method, method
from jaxrl.dual_rl.objectives import dual_objective, kl_objective, without_reversal
from jaxrl.dual_rl.weighting import Choices, EffectiveShare, episode_advantage, is_linear, share_weight

Name = Literal["OptiDICE", "SMODICE", "ODICE"]


@dataclass(frozen=True, kw_only=True)
class Config(Choices, shared.Config):
    """Static choices: those of every form, the method, and how its rows are weighted."""

    method: Name = "OptiDICE"
    """The row of the table."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.weighting == "share" and self.method == "SMODICE":
            raise UsageError("Config.weighting: SMODICE learns its rewards along with V; use published")


@struct.dataclass
class Hyper:
    """Hyper-parameters; `forms.hyper` makes one with the table's `parameter`."""

    parameter: Positive = 1.0
    """The weight alpha of the divergence, in units of scaled rewards (of the log ratio for SMODICE). Paper:
    1 for SMODICE."""
    gamma: Discount = 0.99
    """Discount factor, in [0, 1). Paper: 0.99."""
    tau: StepSize = 0.005
    """Step of the target of V towards V in one update, in (0, 1]; read by ODICE alone. Paper: 0.005."""
    lr_value: NonNegative = 3e-4
    """Learning rate of V and the discriminator. Paper: 3e-4 for SMODICE, 1e-4 for ODICE."""
    lr_actor: NonNegative = 3e-4
    """Learning rate of the policy. Paper: 3e-4 for SMODICE, 1e-4 for ODICE."""
    decay_updates: NonNegative = 0.0
    """Updates in which the policy's learning rate falls to 0 along a cosine; 0 keeps it constant."""
    cap: Positive = 100.0
    """Largest weight of a row in cloning. Paper: 100 for ODICE."""
    reward_scale: Positive = 1.0
    """Factor of the rewards; not read by SMODICE."""
    share: EffectiveShare = 0.9
    """Effective share of a batch that the weights leave, in (0, 1]; 1 is behaviour cloning. Read
    where `Config.weighting` is share."""
    trace: Share = 0.9
    """Lambda of the lambda-returns along stored episodes, in [0, 1]. Read where `Config.weighting` is
    share."""
    penalty: NonNegative = 1.0
    """Weight of the discriminator's squared gradient at its inputs; read by SMODICE alone. Paper: 10, towards
    norm 1 between data."""


def make(
    config: Config,
    observation_space: Space,
    action_space: Space,
    *,
    optimiser: optax.GradientTransformation | None = None,
    axis: str | None = None,
) -> Algorithm:
    """The method of `config`; `data` of the algorithm is a `Data`.

    `reference` is read by all, `start` by OptiDICE and SMODICE, `expert` by SMODICE.
    optimiser: optax transformation of every gradient, before the learning rate; default Adam.
    axis: mesh axis over which batches are spread, for `core.spmd.data_parallel`.

    Raises:
        UsageError: actions that are neither `Discrete` nor a bounded `Box`; from `init` and `check`, data of
        other spaces, or a dataset that the method lacks.
    """
    parts = shared.parts(config, observation_space, action_space, optimiser, axis)
    row = method(config.method)
    has_start, has_expert = row.gradient == "full", row.reward == "log_ratio"

    needs = ("reference", *(("expert",) if has_expert else ()), *(("start",) if has_start else ()))

    def check(data: Data) -> None:
        check_data(data, observation_space, action_space, needs, row.name)

    def init(key: Key, hyper: Hyper, data: Data) -> State:
        check(data)
        names = ("v", "actor", "ratio") if has_expert else ("v", "actor")
        targets = () if has_start else ("v",)
        return shared.begin(
            State, parts, config, key, data.reference, names=names, value="v", targets=targets
        )

    def step(state: State, hyper: Hyper, data: Data) -> tuple[State, dict[str, Any]]:
        k_batch, k_expert, k_start, _ = shared.keys_of(state)
        reader, size = parts.reader(state), config.batch_size
        batch = reader.read(k_batch, data.reference, size, rewards=not has_expert)
        ahead = None
        if config.weighting == "share":
            ahead = reader.ahead(k_batch, data.reference, size, config.steps)
        lr_actor = shared.actor_rate(hyper.lr_actor, hyper.decay_updates, state.updates)
        agent, metrics = state.agent, {}
        if has_expert:
            expert = reader.read(k_expert, data.expert, size, rewards=False)
            agent, metrics = parts.discriminate(agent, batch, expert, hyper.lr_value, hyper.penalty)
            reward = parts.nets.ratio.apply(agent.params["ratio"], batch.x)
        else:
            reward = hyper.reward_scale * batch.reward
        if has_start:
            start = reader.read(k_start, data.start, size, rewards=False)
            loss, grad = _full_gradient(parts, row, agent, batch, start, reward, hyper)
        else:
            loss, grad = _orthogonal_gradient(parts, row, agent, batch, reward, hyper)
        agent = shared.soft_update(parts.descend(agent, "v", hyper.lr_value, grad), hyper.tau)
        agent, cloned = _extract(parts, row, agent, batch, ahead, reward, hyper, lr_actor)
        state, moved = shared.end(
            parts,
            state,
            agent,
            "v",
            lambda v: parts.nets.v.apply(v, batch.x),
            batch.weights,
            jnp.inf if has_start else hyper.tau * (1 - hyper.gamma),
        )
        return state, {"v_loss": loss} | metrics | cloned | moved

    origin = Origin(__name__, config, observation_space, action_space)
    return Algorithm(init, step, parts.act, review, check, origin)


def _residual(here: PyTree, there: PyTree, parts: Parts, batch: Batch, reward: Array, hyper: Hyper) -> Array:
    """`[n]`, (r + gamma V(s') - V(s)) / alpha, with the parameters `here` at s and `there` at s'."""
    v = parts.nets.v.apply
    next_v = batch.not_done * v(there, batch.next_x)
    return (reward + hyper.gamma * next_v - v(here, batch.x)) / hyper.parameter


def _objective(first: Array, y: Array, parts: Parts, row: Method, batch: Batch, hyper: Hyper) -> Array:
    """The dual with the term `first` of the states at which episodes begin."""
    if row.normalised:
        return kl_objective(first, y, batch.weights, hyper.parameter, parts.axis)[0]
    return dual_objective(first, y, batch.weights, hyper.parameter, row.generator)


def _full_gradient(
    parts: Parts, row: Method, agent: Agent, batch: Batch, start: Batch, reward: Array, hyper: Hyper
) -> tuple[Array, PyTree]:
    """The dual and its gradient through V(s) and V(s')."""

    def loss(v: PyTree) -> Array:
        first = (1 - hyper.gamma) * (start.weights * parts.nets.v.apply(v, start.x)).sum()
        y = _residual(v, v, parts, batch, reward, hyper)
        return _objective(first, y, parts, row, batch, hyper)

    return parts.grad(loss)(agent.params["v"])


def _orthogonal_gradient(
    parts: Parts, row: Method, agent: Agent, batch: Batch, reward: Array, hyper: Hyper
) -> tuple[Array, PyTree]:
    """The term alpha E f*_p(y), and the gradient of ODICE.

    forward, plus the part of backward that is orthogonal to it, plus the gradient of E V.
    """
    v, target, nothing = agent.params["v"], agent.target["v"], jnp.zeros(())

    def through_here(v: PyTree) -> Array:
        y = _residual(v, target, parts, batch, reward, hyper)
        return _objective(nothing, y, parts, row, batch, hyper)

    def through_there(v: PyTree) -> Array:
        y = _residual(target, v, parts, batch, reward, hyper)
        return _objective(nothing, y, parts, row, batch, hyper)

    def at_data(v: PyTree) -> Array:
        return (batch.weights * parts.nets.v.apply(v, batch.x)).sum()

    loss, forward = parts.grad(through_here)(v)
    _, backward = parts.grad(through_there)(v)
    _, first = parts.grad(at_data)(v)
    projected = without_reversal(forward, backward)
    return loss, jax.tree.map(lambda *g: sum(g), forward, projected, first)


def _extract(
    parts: Parts,
    row: Method,
    agent: Agent,
    batch: Batch,
    ahead: Ahead | None,
    reward: Array,
    hyper: Hyper,
    lr_actor: Array,
) -> tuple[Agent, dict[str, Any]]:
    """Cloning with the ratio of the dual solution at the new V, or with weights of a given share."""
    v = agent.params["v"]
    y = _residual(v, v, parts, batch, reward, hyper)
    if row.normalised:
        _, y = kl_objective(jnp.zeros(()), y, batch.weights, hyper.parameter, parts.axis)
    if ahead is None:
        weight = row.generator.w(y)
    else:
        advantage = episode_advantage(parts, v, batch, ahead, hyper)
        weight = share_weight(advantage, batch.weights, hyper.share, linear=is_linear(row), axis=parts.axis)
    weight = jnp.minimum(weight, hyper.cap)
    agent, cloned = parts.clone(agent, batch, weight, lr_actor, hyper.cap)
    level = parts.mean((batch.weights * parts.nets.v.apply(v, batch.x)).sum())
    return agent, cloned | {"v": level} | residuals(y, batch.weights, parts.axis)
