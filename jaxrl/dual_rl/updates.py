"""One update of each form: V by an implicit maximiser, V by its dual, Q by its dual.

Legend: `n` rows of a batch, `k` observation features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxrl.core.types import Array, Key, PyTree
from jaxrl.dual_rl.batches import Rows, joined, smoothed
from jaxrl.dual_rl.dashboard import dashboard
from jaxrl.dual_rl.methods import Method
from jaxrl.dual_rl.networks import Networks
from jaxrl.dual_rl.objectives import (
    awr_weight,
    dual_objective,
    dual_q_objective,
    huber,
    kl_objective,
    mixture,
    recoil_objective,
    recoil_target,
    without_reversal,
)

if TYPE_CHECKING:
    from jaxrl.dual_rl.learner import Hyper


class Learner(NamedTuple):
    """What gradient steps change, by network: `v`, `q`, `actor`, `ratio`, as far as the method has them."""

    params: dict[str, PyTree]
    target: dict[str, PyTree]
    opt_states: dict[str, PyTree]


class Batch(NamedTuple):
    """Rows of each dataset; expert and start are None where the method does not read them.

    end: float32[], what ReCOIL as released takes for V where an episode terminated.
    """

    reference: Rows
    expert: Any
    start: Any
    end: Array


class Core(NamedTuple):
    """What the three forms share.

    rows: of the table, alike but for their maximiser; copies, noisy: the batch of the value loss, see
    `batches.smoothed`.
    """

    rows: tuple[Method, ...]
    nets: Networks
    optimiser: optax.GradientTransformation
    copies: int
    noisy: bool

    @property
    def row(self) -> Method:
        """What the rows have in common is read from the first."""
        return self.rows[0]

    @property
    def slow(self) -> tuple[str, ...]:
        """Networks that have a target."""
        if self.row.gradient == "orthogonal":
            return ("v",)
        return ("q",) if self.row.gradient == "semi" else ()

    def value(self, params: PyTree, rows: Rows) -> Array:
        """float32`[n]`, V(s), or the lesser Q(s, a) where there is no V."""
        if self.row.dual == "V":
            return self.nets.v.apply(params, rows.x)
        return self.nets.q(params, rows.x, rows.a).min(0)

    def descend(self, learner: Learner, name: str, lr: Array, grad: PyTree) -> Learner:
        """One step of Adam for the network `name`."""
        direction, opt_state = self.optimiser.update(grad, learner.opt_states[name])
        params = jax.tree.map(lambda p, d: p - lr * d, learner.params[name], direction)
        return learner._replace(
            params=learner.params | {name: params}, opt_states=learner.opt_states | {name: opt_state}
        )

    def follow(self, learner: Learner, tau: Array) -> Learner:
        """Targets a step towards their networks."""
        moved = {
            name: jax.tree.map(lambda old, new: old + tau * (new - old), slow, learner.params[name])
            for name, slow in learner.target.items()
        }
        return learner._replace(target=moved)

    def clone(self, learner: Learner, rows: Rows, weight: Array, lr: Array) -> tuple[Learner, Array]:
        """One step of weighted cloning; `(learner, mean log-likelihood)`."""

        def loss(actor: PyTree) -> tuple[Array, Array]:
            dist = self.nets.actor.apply(actor, rows.x)
            log_prob = self.nets.head.log_prob(dist, self.nets.head.from_action(rows.a))
            return -(rows.mass * weight * log_prob).sum(), (rows.mass * log_prob).sum()

        grad, likelihood = jax.grad(loss, has_aux=True)(learner.params["actor"])
        return self.descend(learner, "actor", lr, grad), likelihood


Update = Callable[["Core", Learner, Batch, "Hyper", Array, Key], tuple[Learner, dict[str, Any]]]


def form(row: Method) -> Update:
    """The update of a method: `(core, learner, batch, hyper, lr_actor, key) -> (learner, metrics)`."""
    if row.dual == "Q":
        return _dual_q_update
    return _maximiser_update if row.gradient == "semi" else _dual_v_update


# --- V by an implicit maximiser, Q by regression ------------------------------------------------------------


def _maximiser_update(
    core: Core, learner: Learner, batch: Batch, hyper: Hyper, lr_actor: Array, key: Key
) -> tuple[Learner, dict[str, Any]]:
    nets, rows = core.nets, batch.reference
    maximisers = [r.maximiser for r in core.rows if r.maximiser is not None]
    losses = [m.on_batch for m in maximisers]
    q = nets.q(learner.target["q"], rows.x, rows.a).min(0)
    near, near_q = rows, q
    if core.copies or core.noisy:
        near = smoothed(rows, key, core.copies, hyper.noise if core.noisy else None)
        near_q = nets.q(learner.target["q"], near.x, near.a).min(0)

    def v_loss(v: PyTree) -> Array:
        y = near_q - nets.v.apply(v, near.x)
        return (near.mass * _choose(losses, hyper.which, y, hyper.parameter, hyper.clip)).sum()

    loss_v, grad = jax.value_and_grad(v_loss)(learner.params["v"])
    learner = core.descend(learner, "v", hyper.lr_value, grad)
    v = nets.v.apply(learner.params["v"], rows.x)
    y = q - v
    weight = _choose([_weigh(r) for r in core.rows], hyper.which, y, hyper)
    learner, likelihood = core.clone(learner, rows, weight, lr_actor)
    next_v = nets.v.apply(learner.params["v"], rows.next_x)

    def q_loss(params: PyTree) -> Array:
        if core.row.released:
            goal = recoil_target(next_v, rows.going, batch.end, hyper.gap, hyper.gamma)
            of_expert = nets.q(params, batch.expert.x, batch.expert.a) - hyper.gap / (1 - hyper.gamma)
            expert_loss = (batch.expert.mass[None] * huber(of_expert, hyper.huber)).sum()
        else:
            goal = hyper.reward_scale * rows.reward + hyper.gamma * rows.going * next_v
            expert_loss = 0.0
        error = nets.q(params, rows.x, rows.a) - goal[None]
        return expert_loss + (rows.mass[None] * huber(error, hyper.huber)).sum()

    loss_q, grad = jax.value_and_grad(q_loss)(learner.params["q"])
    learner = core.follow(core.descend(learner, "q", hyper.lr_value, grad), hyper.tau)
    tempered, clipped = (
        jnp.asarray(flags)[hyper.which]
        for flags in ([m.tempered for m in maximisers], [m.clipped is not None for m in maximisers])
    )
    z = jnp.where(clipped, y / jnp.where(tempered, hyper.parameter, 1.0), -jnp.inf)
    metrics = {"v_loss": loss_v, "q_loss": loss_q, "log_prob": likelihood, "v": (rows.mass * v).sum()}
    return learner, metrics | dashboard(y, z, weight, rows.mass, hyper.clip, hyper.cap)


def _choose(branches: list[Callable[..., Array]], which: Array, *args: Any) -> Array:
    return branches[0](*args) if len(branches) == 1 else jax.lax.switch(which, branches, *args)


def _weigh(row: Method) -> Callable[[Array, Hyper], Array]:
    """Weights of cloning, of residuals `[n]`."""
    if row.extraction == "awr":
        return lambda y, hyper: awr_weight(y, hyper.awr, hyper.cap)
    f = row.generator
    tempered = row.maximiser is not None and row.maximiser.tempered
    return lambda y, hyper: jnp.minimum(f.w(y / hyper.parameter if tempered else y), hyper.cap)


# --- V by the dual itself -----------------------------------------------------------------------------------


def _dual_v_update(
    core: Core, learner: Learner, batch: Batch, hyper: Hyper, lr_actor: Array, key: Key
) -> tuple[Learner, dict[str, Any]]:
    nets, row, rows = core.nets, core.row, batch.reference
    learner, reward, metrics = _paid(core, learner, batch, rows, hyper)
    f, alpha, v = row.generator, hyper.parameter, nets.v.apply

    def residual(here: PyTree, there: PyTree) -> Array:
        next_v = rows.going * v(there, rows.next_x)
        return (reward + hyper.gamma * next_v - v(here, rows.x)) / alpha

    def objective(start: Array, y: Array) -> Array:
        if row.normalised:
            return kl_objective(start, y, rows.mass, alpha)[0]
        return dual_objective(start, y, rows.mass, alpha, f)

    def full(params: PyTree) -> Array:
        start = (1 - hyper.gamma) * (batch.start.mass * v(params, batch.start.x)).sum()
        return objective(start, residual(params, params))

    params = learner.params["v"]
    if row.gradient == "full":
        loss, grad = jax.value_and_grad(full)(params)
    else:
        slow = learner.target["v"]
        zero = jnp.zeros(())
        loss, forward = jax.value_and_grad(lambda p: objective(zero, residual(p, slow)))(params)
        backward = jax.grad(lambda p: hyper.eta * objective(zero, residual(slow, p)))(params)
        at_data = jax.grad(lambda p: (rows.mass * v(p, rows.x)).sum())(params)
        grad = jax.tree.map(lambda *g: sum(g), forward, without_reversal(forward, backward), at_data)
    learner = core.follow(core.descend(learner, "v", hyper.lr_value, grad), hyper.tau)
    y = residual(learner.params["v"], learner.params["v"])
    if row.normalised:
        _, y = kl_objective(jnp.zeros(()), y, rows.mass, alpha)
    weight = jnp.minimum(f.w(y) if row.extraction == "dual" else awr_weight(y, hyper.awr), hyper.cap)
    learner, likelihood = core.clone(learner, rows, weight, lr_actor)
    level = (rows.mass * v(learner.params["v"], rows.x)).sum()
    metrics = {"v_loss": loss, "log_prob": likelihood, "v": level} | metrics
    return learner, metrics | dashboard(
        y, jnp.full_like(y, -jnp.inf), weight, rows.mass, hyper.clip, hyper.cap
    )


def _paid(
    core: Core, learner: Learner, batch: Batch, rows: Rows, hyper: Hyper
) -> tuple[Learner, Array, dict[str, Any]]:
    """The method's reward of `rows`, `[n]`, after a step of the discriminator where it has one."""
    if core.row.reward != "log_ratio":
        return learner, hyper.reward_scale * rows.reward, {}
    learner, metrics = _discriminate(core, learner, batch, hyper)
    return learner, core.nets.ratio.apply(learner.params["ratio"], rows.x), metrics


def _discriminate(core: Core, learner: Learner, batch: Batch, hyper: Hyper) -> tuple[Learner, dict[str, Any]]:
    """One step of logistic regression of the expert's states against the reference's."""
    apply = core.nets.ratio.apply

    def loss(params: PyTree) -> Array:
        def part(rows: Rows, sign: float) -> Array:
            slope = jax.vmap(jax.grad(lambda x: apply(params, x)))(rows.x)
            price = jax.nn.softplus(sign * apply(params, rows.x)) + hyper.penalty * jnp.square(slope).sum(-1)
            return (rows.mass * price).sum()

        return part(batch.expert, -1.0) + part(batch.reference, 1.0)

    value, grad = jax.value_and_grad(loss)(learner.params["ratio"])
    return core.descend(learner, "ratio", hyper.lr_value, grad), {"ratio_loss": value}


# --- Q by the dual itself -----------------------------------------------------------------------------------


def _dual_q_update(
    core: Core, learner: Learner, batch: Batch, hyper: Hyper, lr_actor: Array, key: Key
) -> tuple[Learner, dict[str, Any]]:
    nets, row, start = core.nets, core.row, batch.start
    f, is_mixture = row.generator, row.reference == "mixture"
    if is_mixture:
        rows, d_s, d_e = joined(batch.reference, batch.expert)
        mass, alpha = mixture(hyper.parameter, d_e, d_s), 1.0
    else:
        rows, alpha = batch.reference, hyper.parameter
        mass = rows.mass
    k_start, k_next, k_here = jax.random.split(key, 3)
    actor = learner.params["actor"]
    learner, reward, metrics = _paid(core, learner, batch, rows, hyper)
    # a frozen target leaves of (1 - gamma) E_d0[V] + gamma E_dO[V'] = E_dO[V] the right side to be descended
    semi = row.gradient == "semi"
    first_rows, share = (rows, 1.0) if semi else (start, 1 - hyper.gamma)

    def objective(params: PyTree) -> tuple[Array, Array]:
        first = nets.soft(params, actor, first_rows.x, k_start, hyper.entropy)
        first = share * (first_rows.mass[None] * first).sum(-1)
        later = learner.target["q"] if semi else params
        next_v = nets.soft(later, actor, rows.next_x, k_next, hyper.entropy)
        goal = reward[None] + hyper.gamma * rows.going[None] * next_v
        y = (goal - nets.q(params, rows.x, rows.a)) / alpha

        def of_one(first: Array, y: Array) -> Array:
            if is_mixture:
                return recoil_objective(first, y, d_e, d_s, hyper.parameter, f.f_star(y))
            return dual_q_objective(first, y, mass, alpha, f)

        return jax.vmap(of_one)(first, y).sum(), y.mean(0)

    (loss, y), grad = jax.value_and_grad(objective, has_aux=True)(learner.params["q"])
    learner = core.follow(core.descend(learner, "q", hyper.lr_value, grad), hyper.tau)

    def regret(actor: PyTree) -> Array:
        return -(mass * nets.soft(learner.params["q"], actor, rows.x, k_here, hyper.entropy).min(0)).sum()

    loss_actor, grad = jax.value_and_grad(regret)(actor)
    learner = core.descend(learner, "actor", lr_actor, grad)
    metrics = {"q_loss": loss, "v": -loss_actor} | metrics
    return learner, metrics | dashboard(y, jnp.full_like(y, -jnp.inf), f.w(y), mass, hyper.clip, hyper.cap)
