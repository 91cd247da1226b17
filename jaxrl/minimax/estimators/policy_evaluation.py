"""Policy evaluation without a dual network: TD(0), residual gradient, GTD2 and TDC, as directions of descent.

The data are a `Problem` or `Points` of policy evaluation: A f = f(s) - gamma f(s'), b = r, with s the first
point of f. delta = A f - b is the negative of the usual temporal difference. A model is any differentiable f:
linear features (one-hot ones are a table), or mean-field particles.

| method | direction of theta, phi = grad f(s), A phi = phi - gamma phi' |
|---|---|
| TD(0) | -delta phi |
| residual gradient | -delta A phi |
| GTD2 | (w.phi) A phi - h |
| TDC | -delta phi + (w.phi) (A phi - phi) - h |

with w by least squares on the side, w <- w + e phi, e = -delta - w.phi, and h = e (Hess f) w, which is zero
for linear f. Residual gradients of `Points` are biased by the variance of f(s') given s (double sampling);
the others are not.

Legend: `M` points of f, `R` rows (nodes, or observations), `N` particles with `D` parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import NonNegative, Positive, Size, check_fields
from jaxrl.core.prng import stream
from jaxrl.core.types import Algorithm, Array, Key, Policy, PyTree, struct
from jaxrl.minimax.particles import (
    TANH,
    Family,
    Init,
    Particles,
    check_init,
    check_moments,
    displacement,
    draw,
    equal_weights,
    features,
    predict,
    vjp,
)
from jaxrl.minimax.problem import Data, Problem, Sample, whole

Method = Literal["td", "residual", "gtd2", "tdc"]


class Model(NamedTuple):
    """A function f at fixed points.

    values: `params -> [M]`; jvp: `(params, direction) -> [M]`, its derivative along a direction; vjp:
    `(params, cotangent [M]) -> direction`, sum_m cotangent_m grad f(x_m) in the metric of the parameters.
    """

    values: Callable[[PyTree], Array]
    jvp: Callable[[PyTree, PyTree], Array]
    vjp: Callable[[PyTree, Array], PyTree]


class Directions(NamedTuple):
    """Changes per unit of time of the parameters, theta, and of the second weights, w."""

    theta: PyTree
    w: PyTree


def linear(phi: Array) -> Model:
    """Values phi theta of features phi `[M, k]`; the identity is a table."""
    return Model(lambda theta: phi @ theta, lambda _, v: phi @ v, lambda _, c: c @ phi)


def particle(family: Family, x: Array, weights: Array, alpha: Any) -> Model:
    """The mean-field network of particles theta `[N, D]` at points x `[M, d]`, weights `[N]`.

    Its metric is that of the flow: directions are gradients of the first variation, divided by alpha, so that
    f moves at a speed that does not depend on alpha, and particles of weight 0 are harmless.
    """

    def values(theta: Array) -> Array:
        return predict(family, Particles(theta, weights), x, alpha)

    def back(theta: Array, cotangent: Array) -> Array:
        return vjp(features(family, theta, x), cotangent) / alpha

    return Model(values, lambda theta, v: jax.jvp(values, (theta,), (v,))[1], back)


class _Rows(NamedTuple):
    """What TD reads of the data: A and S (the value at s) with their weighted adjoints, and b."""

    apply: Callable[[Array], Array]
    apply_adjoint: Callable[[Array], Array]
    own: Callable[[Array], Array]
    own_adjoint: Callable[[Array], Array]
    b: Array


def _rows(data: Data) -> _Rows:
    if isinstance(data, Problem):
        return _Rows(
            lambda f: data.T @ f, lambda v: (data.q * v) @ data.T, lambda f: f, lambda v: data.q * v, data.h
        )

    def own_adjoint(v: Array) -> Array:
        return jnp.zeros_like(data.c).at[:, 0].set(data.weight * v).reshape(-1)

    return _Rows(
        lambda f: (data.c * f.reshape(data.c.shape)).sum(1),
        lambda v: (data.weight[:, None] * data.c * v[:, None]).reshape(-1),
        lambda f: f.reshape(data.c.shape)[:, 0],
        own_adjoint,
        data.b,
    )


def td(model: Model, data: Data, theta: PyTree) -> PyTree:
    """Direction of TD(0), a semi-gradient: f(s') counts as a constant.

    Equation: sutton2018rl [TD(0)]
    """
    rows = _rows(data)
    return model.vjp(theta, -rows.own_adjoint(rows.apply(model.values(theta)) - rows.b))


def residual(model: Model, data: Data, theta: PyTree) -> PyTree:
    """Direction of -1/2 grad E[delta^2].

    Equation: baird1995residual [residual gradient]
    """
    rows = _rows(data)
    return model.vjp(theta, -rows.apply_adjoint(rows.apply(model.values(theta)) - rows.b))


def gtd2(model: Model, data: Data, theta: PyTree, w: PyTree) -> Directions:
    """Directions of GTD2; at the least squares w that of theta is -1/2 grad of the projected error.

    Equation: maei2009nonlinear [GTD2]
    """
    rows = _rows(data)
    delta, fitted = _errors(model, rows, theta, w)
    first = model.vjp(theta, rows.apply_adjoint(fitted))
    return _with_curvature(model, rows, theta, w, first, -delta - fitted)


def tdc(model: Model, data: Data, theta: PyTree, w: PyTree) -> Directions:
    """Directions of TDC, TD(0) with a gradient correction; the same as GTD2 where w is the least squares one.

    Equation: maei2009nonlinear [TDC]
    """
    rows = _rows(data)
    delta, fitted = _errors(model, rows, theta, w)
    first = model.vjp(theta, -rows.own_adjoint(delta) + rows.apply_adjoint(fitted) - rows.own_adjoint(fitted))
    return _with_curvature(model, rows, theta, w, first, -delta - fitted)


def _errors(model: Model, rows: _Rows, theta: PyTree, w: PyTree) -> tuple[Array, Array]:
    return rows.apply(model.values(theta)) - rows.b, rows.own(model.jvp(theta, w))


def _with_curvature(
    model: Model, rows: _Rows, theta: PyTree, w: PyTree, first: PyTree, error: Array
) -> Directions:
    """Subtracts h, the derivative of sum e grad f(s) along w with e held fixed."""
    cotangent = rows.own_adjoint(error)
    side, h = jax.jvp(lambda at: model.vjp(at, cotangent), (theta,), (w,))
    return Directions(jax.tree.map(jnp.subtract, first, h), side)


@dataclass(frozen=True)
class Config:
    """Static choices of the method and its network."""

    method: Method = "td"
    """TD(0), residual gradient, GTD2, or TDC, as in the table above."""
    width: Size = 256
    """Particles; even where `init` is `sym`."""
    inputs: Size = 1
    """Dimension of what the network reads of a state."""
    family: Family = TANH
    """The family of neurons."""
    init: Init = "sym"
    """Initial particles: mirror pairs (`sym`), with which f = 0 at the start, or independent (`iid`)."""
    scale: NonNegative | tuple[NonNegative, ...] = 1.0
    """Standard deviation of the initial normal distribution; a number, or one per parameter."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.init == "centred":
            raise UsageError("Config.init: 'centred' is not offered here; use 'sym', which starts at f = 0")
        check_moments(self, {self.family.parameters(self.inputs)}, "scale")
        check_init(self.init, self.width)


@struct.dataclass
class Hyper:
    """Hyper-parameters; any of them can be vmapped."""

    alpha: Positive = 4.0
    """Output scale, > 0."""
    eps: Positive = 0.1
    """Step in time, > 0."""
    tau: Positive = 1.0
    """Step of w over that of theta, > 0, read by GTD2 and TDC."""


@struct.dataclass
class State:
    """State of a run.

    theta: `[N, D]`; w: `[N, D]`, zero where the method has none; start: theta at first; key: never changes.
    """

    theta: Array
    w: Array
    start: Array
    key: Key
    updates: Array


def make(config: Config, sample: Sample = whole) -> Algorithm:
    """The method on a mean-field network; `sample` turns a key and the algorithm's `data` into one batch.

    Metrics: `residual`, mean squared delta of the batch before the update, and `moved`, alpha times the
    displacement of the particles. `act` answers observations `[d]` with f.
    """

    def init(key: Key, hyper: Hyper, data: Any) -> State:
        k_draw, k_run = jax.random.split(key)
        theta = draw(k_draw, config.family, config.inputs, config.width, config.init, scale=config.scale)
        return State(theta, jnp.zeros_like(theta), jnp.copy(theta), k_run, jnp.zeros((), jnp.int32))

    def step(state: State, hyper: Hyper, data: Any) -> tuple[State, dict[str, Array]]:
        batch = sample(stream(state.key, state.updates), data)
        weights = equal_weights(config.width).astype(state.theta.dtype)
        model = particle(config.family, batch.primal_points, weights, hyper.alpha)
        if config.method in ("gtd2", "tdc"):
            rule = gtd2 if config.method == "gtd2" else tdc
            move = rule(model, batch, state.theta, state.w)
        else:
            rule = td if config.method == "td" else residual
            move = Directions(rule(model, batch, state.theta), jnp.zeros_like(state.w))
        rows = _rows(batch)
        delta = rows.apply(model.values(state.theta)) - rows.b
        metrics = {
            "residual": jnp.sum(rows.own_adjoint(delta**2)),
            "moved": hyper.alpha * displacement(Particles(state.theta, weights), state.start),
        }
        theta = state.theta + hyper.eps * move.theta
        w = state.w + hyper.tau * hyper.eps * move.w
        return State(theta, w, state.start, state.key, state.updates + 1), metrics

    def answer(
        state: State, hyper: Hyper, key: Key, obs: Array, memory: PyTree
    ) -> tuple[PyTree, PyTree, PyTree]:
        return evaluate(config, state, hyper, obs[None])[0], (), memory

    def act(state: State, hyper: Hyper, greedy: bool) -> Policy:
        return Policy(Partial(answer, state, hyper))

    return Algorithm(init, step, act)


def evaluate(config: Config, state: State, hyper: Hyper, x: Array) -> Array:
    """`[M]`, f at points x `[M, d]`."""
    net = Particles(state.theta, equal_weights(config.width).astype(state.theta.dtype))
    return predict(config.family, net, x, hyper.alpha)
