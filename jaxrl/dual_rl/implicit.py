"""Offline RL by an implicit maximiser over V: f-DVL, XQL, EQL, SQL and IQL, one program for all of them.

    y = min_i Q'_i(s, a) - V(s)                            residual, by the target networks
    V    minimise  E loss(y)                               a `Maximiser` of `objectives.py`
    pi   maximise  E min(weight, cap) log pi(a | s)        `awr_weight` or `dual_weight` of y by the new V,
                                                           or those of `weighting.py`
    Q_i  minimise  E huber(Q_i(s, a) - r - gamma V(s'))    V(s') is 0 where the episode terminated
    Q'_i <- Q'_i + tau (Q_i - Q'_i)

The order is V, policy, Q, targets, on one batch, as in the released code. `loss` is minimised by a V between
the mean and the maximum of Q over the actions of the data (`theory/dual_rl/maximisers.py` has the exact fixed
point). Methods differ in their loss and its parameter alone: `Config.methods` names them, and `Hyper.which`
chooses among them, so that a population spans methods as well as hyper-parameters.

Legend: `n` transitions of a batch, `k` observation features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Count, Discount, NonNegative, Positive, Share
from jaxrl.core.spaces import Space
from jaxrl.core.types import Algorithm, Array, Key, Origin, struct
from jaxrl.dual_rl import agent as shared
from jaxrl.dual_rl.agent import Agent, Parts, State, StepSize
from jaxrl.dual_rl.data import Ahead, Batch, Data, check_data
from jaxrl.dual_rl.diagnostics import agreement, clipping, residuals, review
from jaxrl.dual_rl.methods import Method, check_parameter, method
from jaxrl.dual_rl.objectives import awr_weight, dual_weight, huber
from jaxrl.dual_rl.weighting import Choices, EffectiveShare, episode_advantage, is_linear, share_weight

Name = Literal[
    "XQL",
    "EQL",
    "SQL",
    "f-DVL chi2",
    "f-DVL chi2 literal",
    "f-DVL chi2 exact",
    "f-DVL kl",
    "f-DVL kl exact",
    "f-DVL tv",
    "IQL",
]


@dataclass(frozen=True, kw_only=True)
class Config(Choices, shared.Config):
    """Static choices: those of every form, the methods, and how policies are extracted."""

    methods: tuple[Name, ...] = ("f-DVL chi2",)
    """Rows of the table that the program holds; `Hyper.which` is an index into them."""
    extraction: Literal["awr", "dual"] | None = None
    """Weights of cloning, in place of those of the rows: awr, e^(T y); dual, the ratio of the dual solution,
    which IQL lacks. None leaves those of the rows. Paper: awr for f-DVL, XQL and IQL, dual for EQL and
    SQL."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.methods:
            raise UsageError("Config.methods: name at least one method")
        if self.extraction == "dual" and "IQL" in self.methods:
            raise UsageError(
                "Config.extraction: dual weights need a divergence, IQL has none; use awr, or leave IQL out"
            )
        if self.weighting == "share":
            for name in self.methods:
                is_linear(method(name), self.extraction)


@struct.dataclass
class Hyper:
    """Hyper-parameters; `forms.hyper` makes one with the method's own `parameter` and `which`."""

    parameter: Positive
    """Parameter of the value loss. f-DVL: lambda in (0, 1), for tv above 1/2. IQL: the expectile tau in (0,
    1). XQL, EQL, SQL: the temperature, in units of scaled rewards. Larger lambda and tau and smaller
    temperatures lead from the mean of Q to its maximum. Paper: 0.7 and 0.9 for IQL, 1 to 10 for XQL."""
    which: Count = 0
    """Index of the member's method in `Config.methods`."""
    gamma: Discount = 0.99
    """Discount factor, in [0, 1). Paper: 0.99."""
    tau: StepSize = 0.005
    """Step of the target networks towards their networks in one update, in (0, 1]. Paper: 0.005."""
    lr_value: NonNegative = 3e-4
    """Learning rate of V and Q. Paper: 3e-4."""
    lr_actor: NonNegative = 3e-4
    """Learning rate of the policy. Paper: 3e-4."""
    decay_updates: NonNegative = 0.0
    """Updates in which the policy's learning rate falls to 0 along a cosine; 0 keeps it constant. Paper: all
    updates of the run on locomotion tasks."""
    awr: NonNegative = 3.0
    """Inverse temperature T of the weights e^(T y), per unit of scaled rewards; 0 is behaviour cloning. Not
    read where `Config.weighting` is share. Paper: 3 on locomotion, 10 on antmaze, 0.5 on kitchen and
    adroit."""
    share: EffectiveShare = 0.9
    """Effective share of a batch that the weights leave, in (0, 1]; 1 is behaviour cloning. Read
    where `Config.weighting` is share."""
    trace: Share = 0.9
    """Lambda of the lambda-returns along stored episodes, in [0, 1]: 0 for one step, 1 for all of
    `Config.steps`. Read where `Config.weighting` is share."""
    cap: Positive = 100.0
    """Largest weight of a row in cloning. Paper: 100."""
    clip: Positive = 7.0
    """Largest z = y / temperature in exponential losses; rows beyond it have no gradient. Paper: 5 or 7."""
    huber: Positive = 20.0
    """Error of Q beyond which its loss is linear, in units of scaled rewards. Paper: 20 for f-DVL."""
    reward_scale: Positive = 1.0
    """Factor of the rewards. Paper: 1000 / (largest - smallest return of the data) on locomotion."""


def make(
    config: Config,
    observation_space: Space,
    action_space: Space,
    *,
    optimiser: optax.GradientTransformation | None = None,
    axis: str | None = None,
) -> Algorithm:
    """The methods of `config`; `data` of the algorithm is a `Data`, of which `reference` is read.

    optimiser: optax transformation of every gradient, before the learning rate; default Adam.
    axis: mesh axis over which batches are spread, for `core.spmd.data_parallel`.

    Raises:
        UsageError: actions that are neither `Discrete` nor a bounded `Box`; from `init` and `check`, data of
        other spaces.
    """
    parts = shared.parts(config, observation_space, action_space, optimiser, axis)
    rows = [method(name) for name in config.methods]

    def check(data: Data) -> None:
        check_data(data, observation_space, action_space, ("reference",), config.methods[0])

    def init(key: Key, hyper: Hyper, data: Data) -> State:
        check(data)
        names = ("v", "q", "actor")
        return shared.begin(State, parts, config, key, data.reference, names=names, value="v", targets=("q",))

    def step(state: State, hyper: Hyper, data: Data) -> tuple[State, dict[str, Any]]:
        k_batch, *_ = shared.keys_of(state)
        reader, rows_read = parts.reader(state), (k_batch, data.reference, config.batch_size)
        batch = reader.read(*rows_read, rewards=True)
        ahead = reader.ahead(*rows_read, config.steps) if config.weighting == "share" else None
        lr_actor = shared.actor_rate(hyper.lr_actor, hyper.decay_updates, state.updates)
        agent, metrics = _update(config, parts, rows, state.agent, batch, ahead, hyper, lr_actor)
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

    def check_hyper(hyper: Hyper, data: Data) -> None:
        which = int(hyper.which)
        if which >= len(rows):
            raise UsageError(f"Hyper.which: must be below {len(rows)}, the number of methods, got {which}")
        check_parameter(rows[which], float(hyper.parameter))

    origin = Origin(__name__, config, observation_space, action_space)
    return Algorithm(init, step, parts.act, review, check, origin, check_hyper)


def _update(
    config: Config,
    parts: Parts,
    rows: Sequence[Method],
    agent: Agent,
    batch: Batch,
    ahead: Ahead | None,
    hyper: Hyper,
    lr_actor: Array,
) -> tuple[Agent, dict[str, Any]]:
    """V, policy, Q, targets."""
    nets = parts.nets
    twins = nets.q(agent.target["q"], batch.x, batch.a)
    q = twins.min(0)
    v_loss, grad = parts.grad(_v_loss)(agent.params["v"], parts, rows, q, batch, hyper)
    agent = parts.descend(agent, "v", hyper.lr_value, grad)
    v = nets.v.apply(agent.params["v"], batch.x)
    y = q - v
    if ahead is None:
        extract = [_extraction(row, config.extraction) for row in rows]
        weight = _choose(extract, hyper.which, y, hyper)
    else:
        advantage = episode_advantage(parts, agent.params["v"], batch, ahead, hyper)
        linear = [is_linear(row, config.extraction) for row in rows]
        weigh = [partial(share_weight, linear=kind, axis=parts.axis) for kind in linear]
        weight = _choose(weigh, hyper.which, advantage, batch.weights, hyper.share)
    weight = jnp.minimum(weight, hyper.cap)
    agent, cloned = parts.clone(agent, batch, weight, lr_actor, hyper.cap)
    next_v = nets.v.apply(agent.params["v"], batch.next_x)
    q_loss, grad = parts.grad(_q_loss)(agent.params["q"], parts, next_v, batch, hyper)
    agent = shared.soft_update(parts.descend(agent, "q", hyper.lr_value, grad), hyper.tau)
    metrics = {"v_loss": v_loss, "q_loss": q_loss, "v": parts.mean((batch.weights * v).sum())}
    z = _exponent(rows, hyper, y)
    metrics |= clipping(z, batch.weights, hyper.clip, parts.axis)
    metrics |= agreement(twins - v[None], batch.weights, parts.axis)
    return agent, metrics | cloned | residuals(y, batch.weights, parts.axis)


def _v_loss(v: Any, parts: Parts, rows: Sequence[Method], q: Array, batch: Batch, hyper: Hyper) -> Array:
    """Mean over the batch of the value loss of the member's method."""
    losses = [lambda y, h, m=row.maximiser: m.on_batch(y, h.parameter, h.clip, parts.axis) for row in rows]
    y = q - parts.nets.v.apply(v, batch.x)
    return (batch.weights * _choose(losses, hyper.which, y, hyper)).sum()


def _q_loss(q: Any, parts: Parts, next_v: Array, batch: Batch, hyper: Hyper) -> Array:
    """Sum over the twin Q of the mean Huber loss of Q - (r + gamma V(s'))."""
    target = hyper.reward_scale * batch.reward + hyper.gamma * batch.not_done * next_v
    error = parts.nets.q(q, batch.x, batch.a) - target[None]
    return (batch.weights[None] * huber(error, hyper.huber)).sum()


def _extraction(row: Method, extraction: str | None) -> Callable[[Array, Hyper], Array]:
    """Weights of cloning as a function of residuals `[n]`, before they are cut."""
    if (extraction or row.extraction) == "awr":
        return lambda y, hyper: awr_weight(y, hyper.awr, hyper.cap)
    return lambda y, hyper: dual_weight(row.maximiser, y, hyper.parameter)


def _exponent(rows: Sequence[Method], hyper: Hyper, y: Array) -> Array:
    """`[n]`, what exponential losses clip, z = y / temperature or y; -inf in other losses."""
    maximisers = [row.maximiser for row in rows]
    tempered = jnp.asarray([m.tempered for m in maximisers])[hyper.which]
    clipped = jnp.asarray([m.clipped is not None for m in maximisers])[hyper.which]
    return jnp.where(clipped, y / jnp.where(tempered, hyper.parameter, 1.0), -jnp.inf)


def _choose(branches: Sequence[Callable[..., Array]], which: Array, *args: Any) -> Array:
    return branches[0](*args) if len(branches) == 1 else jax.lax.switch(which, branches, *args)
