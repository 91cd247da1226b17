"""Dual-Q by networks: AlgaeDICE, CQL, IQ-Learn, ValueDICE, OPOLO and the exact ReCOIL.

    V(s) = E_pi[Q(s, a) - entropy log pi(a | s)]             by one action, exactly for discrete ones
    y    = (r + gamma V(s') - Q(s, a)) / alpha               residual of single transitions
    Q    minimise  (1 - gamma) E_d0 V + alpha E f*(y)        `objectives.dual_q_objective`
                   E V + alpha E f*(y), V(s') by a target    CQL, the same with a semi-gradient
                   beta (1 - gamma) E_d0 V + E_mix f*(y) - (1 - beta) E_dS y      `recoil_objective`
    pi   maximise  E min_i V_i(s)                            by the new Q

Every Q of the twins minimises its own objective. f, reward and reference are those of the row in
`methods.py`: rewards of the data for AlgaeDICE (chi2), none on the expert's rows for IQ-Learn (chi2) and
ValueDICE (kl), the logit of a discriminator for OPOLO (kl), none on the mixture of expert and data for
ReCOIL-Q (chi2, alpha 1). The saddle is max over pi of min over Q: the policy has to be slower than Q. A
single transition stands for the expectation over successors, which biases a convex f* where they are random.

Differences from the released codes: see the family's README, 7.

Legend: `n` transitions of a batch, `k` observation features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxrl.core.fields import Discount, NonNegative, Positive
from jaxrl.core.prng import stream, streams
from jaxrl.core.spaces import Space
from jaxrl.core.types import Algorithm, Array, Key, Origin, PyTree, struct
from jaxrl.dual_rl import agent as shared
from jaxrl.dual_rl.agent import Agent, Parts, State, StepSize
from jaxrl.dual_rl.data import Batch, Data, check_data, joined
from jaxrl.dual_rl.diagnostics import cloning, residuals, review
from jaxrl.dual_rl.methods import Method, check_parameter, method
from jaxrl.dual_rl.objectives import dual_q_objective, mixture, recoil_objective

Name = Literal["AlgaeDICE", "CQL", "IQ-Learn", "ValueDICE", "OPOLO", "ReCOIL-Q"]


@dataclass(frozen=True, kw_only=True)
class Config(shared.Config):
    """Static choices: those of every form, and the method."""

    method: Name = "AlgaeDICE"
    """The row of the table."""


@struct.dataclass
class Hyper:
    """Hyper-parameters; `forms.hyper` makes one with the method's own `parameter`."""

    parameter: Positive
    """The weight alpha of the divergence, in units of scaled rewards; for ReCOIL-Q beta in (0, 1), the share
    of the policy in the mixtures."""
    gamma: Discount = 0.99
    """Discount factor, in [0, 1). Paper: 0.99."""
    tau: StepSize = 0.005
    """Step of the targets of Q towards Q in one update, in (0, 1]; read by CQL alone. Paper: 0.005."""
    lr_value: NonNegative = 3e-4
    """Learning rate of Q and the discriminator. Paper: 3e-4."""
    lr_actor: NonNegative = 3e-4
    """Learning rate of the policy; should be smaller than that of Q. Paper: 3e-5 for IQ-Learn and
    ValueDICE."""
    decay_updates: NonNegative = 0.0
    """Updates in which the policy's learning rate falls to 0 along a cosine; 0 keeps it constant."""
    reward_scale: Positive = 1.0
    """Factor of the rewards; read by AlgaeDICE and CQL."""
    entropy: NonNegative = 0.01
    """Temperature of the policy's entropy in V, in units of scaled rewards. Paper: 0.01 for IQ-Learn."""
    penalty: NonNegative = 1.0
    """Weight of the discriminator's squared gradient at its inputs; read by OPOLO alone."""


class _Terms(NamedTuple):
    """What the objective of one update sums over.

    rows: pairs of the reference, with the `weights` `[n]` of its distribution. alpha: of the divergence.
    first: states of the term without f*, which has the factor `share`. d_s, d_e: `[n]`, weights of the data
    and the expert among `rows`, None but for ReCOIL-Q. sizes, first_sizes: rows of the batches that `rows`
    and `first` consist of.
    """

    rows: Batch
    weights: Array
    alpha: Array | float
    first: Batch
    share: Array | float
    d_s: Array | None
    d_e: Array | None
    sizes: tuple[int, ...]
    first_sizes: tuple[int, ...]


def make(
    config: Config,
    observation_space: Space,
    action_space: Space,
    *,
    optimiser: optax.GradientTransformation | None = None,
    axis: str | None = None,
) -> Algorithm:
    """The method of `config`; `data` of the algorithm is a `Data`.

    `reference` is read by all but IQ-Learn and ValueDICE, `expert` by these two, OPOLO and ReCOIL-Q, `start`
    by all but CQL. optimiser: optax transformation of every gradient, before the learning rate; default Adam.
    axis: mesh axis over which batches are spread, for `core.spmd.data_parallel`. Actions of policies over a
    `Box` are then drawn by one key per row, so that they do not depend on the number of devices.

    Raises:
        UsageError: actions that are neither `Discrete` nor a bounded `Box`; from `init` and `check`, data of
        other spaces, or a dataset that the method lacks.
    """
    parts = shared.parts(config, observation_space, action_space, optimiser, axis)
    row = method(config.method)
    semi, needs_expert = row.gradient == "semi", row.reference != "data"

    needs = ("reference", *(("expert",) if needs_expert else ()), *(() if semi else ("start",)))

    def check(data: Data) -> None:
        check_data(data, observation_space, action_space, needs, row.name)

    def init(key: Key, hyper: Hyper, data: Data) -> State:
        check(data)
        names = ("q", "actor", "ratio") if row.reward == "log_ratio" else ("q", "actor")
        reference = data.expert if row.reference == "expert" else data.reference
        targets = ("q",) if semi else ()
        return shared.begin(State, parts, config, key, reference, names=names, value="q", targets=targets)

    def step(state: State, hyper: Hyper, data: Data) -> tuple[State, dict[str, Any]]:
        k_batch, k_expert, k_start, k_policy = shared.keys_of(state)
        reader, size = parts.reader(state), config.batch_size
        reference = data.expert if row.reference == "expert" else data.reference
        batch = reader.read(k_batch, reference, size, rewards=row.reward == "task")
        expert = start = None
        if row.reference in ("mixture", "suboptimal"):
            expert = reader.read(k_expert, data.expert, size, rewards=False)
        if not semi:
            start = reader.read(k_start, data.start, size, rewards=False)
        lr_actor = shared.actor_rate(hyper.lr_actor, hyper.decay_updates, state.updates)
        agent, metrics = _update(parts, row, state.agent, batch, expert, start, hyper, lr_actor, k_policy)
        state, moved = shared.end(
            parts,
            state,
            agent,
            "q",
            lambda q: parts.nets.q(q, batch.x, batch.a).min(0),
            batch.weights,
            hyper.tau * (1 - hyper.gamma) if semi else jnp.inf,
        )
        return state, metrics | moved

    def check_hyper(hyper: Hyper, data: Data) -> None:
        check_parameter(row, float(hyper.parameter))

    origin = Origin(__name__, config, observation_space, action_space)
    return Algorithm(init, step, parts.act, review, check, origin, check_hyper)


def _update(
    parts: Parts,
    row: Method,
    agent: Agent,
    batch: Batch,
    expert: Batch | None,
    start: Batch | None,
    hyper: Hyper,
    lr_actor: Array,
    key: Key,
) -> tuple[Agent, dict[str, Any]]:
    """Discriminator, Q, target, policy."""
    k_start, k_next, k_here = jax.random.split(key, 3)
    metrics: dict[str, Any] = {}
    if row.reward == "log_ratio":
        agent, metrics = parts.discriminate(agent, batch, expert, hyper.lr_value, hyper.penalty)
    terms = _terms(row, batch, expert, start, hyper)
    rows, weights = terms.rows, terms.weights
    reward = hyper.reward_scale * rows.reward
    if row.reward == "log_ratio":
        reward = parts.nets.ratio.apply(agent.params["ratio"], rows.x)
    keys = _row_keys(k_start, parts, terms.first_sizes), _row_keys(k_next, parts, terms.sizes)
    (loss, y), grad = parts.grad(_q_loss, has_aux=True, local_aux=True)(
        agent.params["q"], parts, row, agent, terms, reward, hyper, keys
    )
    agent = shared.soft_update(parts.descend(agent, "q", hyper.lr_value, grad), hyper.tau)

    def actor_loss(actor: PyTree) -> Array:
        here = _row_keys(k_here, parts, terms.sizes)
        return -(
            weights * parts.nets.soft(agent.params["q"], actor, rows.x, here, hyper.entropy).min(0)
        ).sum()

    loss_actor, grad = parts.grad(actor_loss)(agent.params["actor"])
    agent = parts.descend(agent, "actor", lr_actor, grad)
    metrics = (
        {"q_loss": loss, "v": -loss_actor} | metrics | cloning(row.generator.w(y), weights, None, parts.axis)
    )
    return agent, metrics | residuals(y, weights, parts.axis)


def _terms(row: Method, batch: Batch, expert: Batch | None, start: Batch | None, hyper: Hyper) -> _Terms:
    """The rows and weights of the method's objective."""
    n = batch.weights.shape[0]
    if row.reference == "mixture":
        rows, d_s, d_e = joined(batch, expert)
        sizes = n, expert.weights.shape[0]
        weights, alpha = mixture(hyper.parameter, d_e, d_s), 1.0
    else:
        rows, d_s, d_e, sizes = batch, None, None, (n,)
        weights, alpha = batch.weights, hyper.parameter
    if (
        start is None
    ):  # with a fixed target (1 - gamma) E_d0 V + gamma E_dO V' = E_dO V, as if dO were a visitation
        return _Terms(rows, weights, alpha, rows, 1.0, d_s, d_e, sizes, sizes)
    share = 1 - hyper.gamma
    return _Terms(rows, weights, alpha, start, share, d_s, d_e, sizes, (start.weights.shape[0],))


def _q_loss(
    q: PyTree,
    parts: Parts,
    row: Method,
    agent: Agent,
    terms: _Terms,
    reward: Array,
    hyper: Hyper,
    keys: tuple[Key, Key],
) -> tuple[Array, Array]:
    """Sum of the dual objectives of the twin Q, and the mean of their residuals `[n]`."""
    nets, rows, first_rows, actor = parts.nets, terms.rows, terms.first, agent.params["actor"]
    first = nets.soft(q, actor, first_rows.x, keys[0], hyper.entropy)
    first = terms.share * (first_rows.weights[None] * first).sum(-1)
    later = agent.target["q"] if row.gradient == "semi" else q
    next_v = nets.soft(later, actor, rows.next_x, keys[1], hyper.entropy)
    target = reward[None] + hyper.gamma * rows.not_done[None] * next_v
    y = (target - nets.q(q, rows.x, rows.a)) / terms.alpha
    f = row.generator

    def of_one(first: Array, y: Array) -> Array:
        if row.reference == "mixture":
            return recoil_objective(first, y, terms.d_e, terms.d_s, hyper.parameter, f.f_star(y))
        return dual_q_objective(first, y, terms.weights, terms.alpha, f)

    return jax.vmap(of_one)(first, y).sum(), y.mean(0)


def _row_keys(key: Key, parts: Parts, sizes: tuple[int, ...]) -> Key:
    """Keys of the policy's actions: one for all rows, on a mesh axis one for each row of each batch.

    sizes: rows of each batch on this device. Discrete policies draw no actions.
    """
    if parts.axis is None or not parts.nets.head.gaussian:
        return key
    device = jax.lax.axis_index(parts.axis)
    keys = [streams(stream(key, i), n, device * n) for i, n in enumerate(sizes)]
    return jnp.concatenate(keys)
