"""Stochastic gradient descent-ascent of two mean-field networks on a functional minimax problem.

    theta_i <- theta_i - (eps / alpha) mean_b[ g(z) sum_k c_k grad phi(x_k) + lam (f - u)(x_0) grad phi(x_0) ]
    omega_i <- omega_i + (tau eps / alpha) mean_b[ (Af - b - g(z)) grad psi(z) + sum_l d_l grad psi(z_l) ]

with gradients in theta_i and omega_i: eps N / alpha^2 times those of the sampled value, so that time, eps
times the number of updates, means the same for every width and scale. One update draws one batch for both
players. Variants: alternating steps, extragradient (both evaluations on one batch), optimistic GDA, OAdam,
Langevin noise.

Legend: `N` particles per player, `D` parameters of one; `data` is a `Problem` or `Points`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.tree_util import Partial

from jaxrl.core import spmd
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Finite, NonNegative, Positive, Size, check_fields
from jaxrl.core.prng import stream
from jaxrl.core.types import Algorithm, Array, Key, Policy, PyTree, struct
from jaxrl.minimax.optimisers import scale_by_oadam, scale_by_optimism
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
    predict,
)
from jaxrl.minimax.problem import Data, Points, Sample, whole
from jaxrl.minimax.velocity import Networks, Players, velocity

Method = Literal["simultaneous", "alternating", "extragradient", "ogda", "oadam"]


@dataclass(frozen=True)
class Config:
    """Static choices of both networks and of the method."""

    width: Size = 256
    """Particles of f; even where `init` is `sym`."""
    dual_width: Size | None = None
    """Particles of g; None: as many as of f."""
    inputs: Size = 1
    """Dimension d of what f reads."""
    dual_inputs: Size = 1
    """Dimension e of what g reads."""
    family: Family = TANH
    """Neurons of f."""
    dual_family: Family = TANH
    """Neurons of g."""
    init: Init = "sym"
    """Initial particles: mirror pairs (`sym`), with which f = 0 at the start; independent (`iid`); or
    independent with the model f minus f at the start (`centred`)."""
    mean: Finite | tuple[Finite, ...] = 0.0
    """Mean of the normal distribution of initial particles; a number, or one per parameter."""
    scale: NonNegative | tuple[NonNegative, ...] = 1.0
    """Standard deviation of that distribution; a number, or one per parameter."""
    method: Method = "simultaneous"
    """How an update uses the gradients: both players at once, g after f has moved (`alternating`), gradients
    at a point looked ahead (`extragradient`), optimistic (`ogda`), or optimistic Adam (`oadam`)."""
    noise: bool = False
    """Whether particles move with the Langevin noise and the confinement of `Hyper.temperature`."""

    def __post_init__(self) -> None:
        check_fields(self)
        sizes = {self.family.parameters(self.inputs), self.dual_family.parameters(self.dual_inputs)}
        check_moments(self, sizes, "mean", "scale")
        check_init(self.init, self.width)
        check_init(self.init, self.g_width)

    @property
    def g_width(self) -> int:
        """Particles of g."""
        return self.width if self.dual_width is None else self.dual_width

    @property
    def networks(self) -> Networks:
        """Neurons of both players."""
        return Networks(self.family, self.dual_family)


@struct.dataclass
class Hyper:
    """Hyper-parameters; any of them can be vmapped."""

    alpha: Positive = 4.0
    """Output scale of both networks, > 0."""
    eps: Positive = 0.25
    """Step in time, > 0; a third of what `lazy.check_step` returns is safe."""
    tau: Positive = 1.0
    """Step of g over that of f, > 0."""
    lam: NonNegative | None = None
    """Weight of the penalty (f - u)^2 / 2, >= 0; None: that of the data."""
    temperature: NonNegative = 0.0
    """Weight of KL(. | N(0, I)) of both players, >= 0; read where `Config.noise` is set."""
    live: Positive | None = None
    """How many particles of each player count, the others being padding; None: all of them. NaN results where
    it is larger than a width, or odd with mirror pairs."""


@struct.dataclass
class State:
    """State of a run.

    params: both players; start: their initial rows; opt_state: of the method; key: never changes.
    """

    params: Players
    start: tuple[Array, Array]
    opt_state: PyTree
    key: Key
    updates: Array


class Ascent(NamedTuple):
    """Velocities of both players, without f and g."""

    primal: Array
    dual: Array


def make(config: Config, sample: Sample = whole, axis: str | None = None) -> Algorithm:
    """The algorithm; `sample` turns a key and the algorithm's `data` into one batch.

    axis: mesh axis over whose devices every batch of `Points` is divided; the state is replicated, so that
    the step is `core.spmd.data_parallel(make(..., axis="data"), mesh("data"), P())`. None is one device.

    Metrics: `loss`, L of the batch before the update, and `moved`, alpha times the displacement of f's
    particles. `act` answers observations `[d]` with f, float[].

    Raises `UsageError` where a batch cannot be divided.
    """
    networks = config.networks
    optimiser = _optimiser(config.method)

    def init(key: Key, hyper: Hyper, data: Any) -> State:
        k_primal, k_dual, k_run = jax.random.split(key, 3)
        start = {"init": config.init, "mean": config.mean, "scale": config.scale}
        theta = draw(k_primal, config.family, config.inputs, config.width, **start)
        omega = draw(k_dual, config.dual_family, config.dual_inputs, config.g_width, **start)
        live = _live(config, hyper)
        players = Players(
            Particles(theta, equal_weights(config.width, live)),
            Particles(omega, equal_weights(config.g_width, live)),
        )
        opt_state = optimiser.init(Ascent(theta, omega))
        # copies: a driver that donates the state cannot give away one buffer twice
        return State(players, (jnp.copy(theta), jnp.copy(omega)), opt_state, k_run, jnp.zeros((), jnp.int32))

    def step(state: State, hyper: Hyper, data: Any) -> tuple[State, dict[str, Array]]:
        k_batch, k_noise = jax.random.split(stream(state.key, state.updates))
        batch = sample(k_batch, data)
        if axis is not None:
            batch = _share(batch, axis)
        if hyper.lam is not None:
            batch = batch._replace(lam=hyper.lam)
        offset = _offset(config, state, batch, hyper.alpha)

        def at(players: Players) -> tuple[Ascent, Array]:
            move = velocity(networks, players, batch, hyper.alpha, offset)
            found = Ascent(move.primal, move.dual), batch.loss(move.f, move.g)
            return spmd.mean(found, axis)

        ascent, loss = at(state.params)
        if config.method == "alternating":
            ascent = Ascent(ascent.primal, at(_moved(state.params, ascent, hyper.eps, 0.0))[0].dual)
        elif config.method == "extragradient":
            ascent, _ = at(_moved(state.params, ascent, hyper.eps, hyper.tau * hyper.eps))
        ascent, opt_state = optimiser.update(ascent, state.opt_state)
        params = _moved(state.params, Ascent(*ascent), hyper.eps, hyper.tau * hyper.eps)
        if config.noise:
            params = _with_noise(k_noise, params, state.params, hyper)
        moved = hyper.alpha * displacement(params.primal, state.start[0])
        new = State(params, state.start, opt_state, state.key, state.updates + 1)
        return new, {"loss": loss, "moved": moved}

    def answer(
        state: State, hyper: Hyper, key: Key, obs: Array, memory: PyTree
    ) -> tuple[PyTree, PyTree, PyTree]:
        return evaluate(config, state, hyper, obs[None])[0], (), memory

    def act(state: State, hyper: Hyper, greedy: bool) -> Policy:
        return Policy(Partial(answer, state, hyper))

    return Algorithm(init, step, act)


def evaluate(config: Config, state: State, hyper: Hyper, x: Array, dual: bool = False) -> Array:
    """`[M]`, f at points x `[M, d]`, or g at `[M, e]`."""
    family = config.dual_family if dual else config.family
    net, start = state.params[dual], state.start[dual]
    value = predict(family, net, x, hyper.alpha)
    if config.init == "centred":
        value = value - predict(family, Particles(start, net.weights), x, hyper.alpha)
    return value


def run(
    algorithm: Algorithm,
    key: Key,
    hyper: Hyper,
    data: Any,
    updates: int,
    observe: Callable[[State], PyTree] | None = None,
    every: int = 1,
) -> tuple[State, PyTree]:
    """`(state, observed)`: a plain scan of `updates` updates, to be jitted and vmapped by the caller.

    observe: of the state after every `every` updates, stacked `[updates // every, ...]`; None: nothing.
    """
    if updates < 1 or every < 1 or updates % every:
        raise UsageError(f"every: {every} must divide the number of updates {updates}")

    def one(state: State, _: None) -> tuple[State, None]:
        return algorithm.step(state, hyper, data)[0], None

    def block(state: State, _: None) -> tuple[State, PyTree]:
        state, _ = jax.lax.scan(one, state, length=every)
        return state, None if observe is None else observe(state)

    return jax.lax.scan(block, algorithm.init(key, hyper, data), length=updates // every)


def _share(batch: Data, axis: str) -> Points:
    """The observations of this device, weighted so that averages over devices are those of the batch."""
    if not isinstance(batch, Points):
        raise UsageError("axis: only Points can be divided over devices; use one device for a Problem")
    devices, n = jax.lax.axis_size(axis), batch.b.shape[0]
    if n % devices:
        raise UsageError(f"axis: a batch of {n} cannot be divided over {devices} devices; use a multiple")
    parts = jax.tree.map(
        lambda a: jax.lax.dynamic_slice_in_dim(a, jax.lax.axis_index(axis) * (n // devices), n // devices),
        batch._replace(lam=()),
    )
    return parts._replace(weight=devices * parts.weight, lam=batch.lam)


def _optimiser(method: Method) -> optax.GradientTransformation:
    if method == "ogda":
        return scale_by_optimism()
    return scale_by_oadam(0.5, 0.9) if method == "oadam" else optax.identity()


def _live(config: Config, hyper: Hyper) -> Any:
    """Live particles; NaN where mirror pairs would be cut in two, or a network has fewer."""
    if hyper.live is None:
        return None
    live = jnp.asarray(hyper.live)
    whole_pairs = live % 2 == 0 if config.init == "sym" else True
    return jnp.where(whole_pairs & (live <= min(config.width, config.g_width)), live, jnp.nan)


def _offset(config: Config, state: State, batch: Data, alpha: Any) -> tuple[Any, Any]:
    """Minus the initial functions at the points of the batch, for the centred model."""
    if config.init != "centred":
        return 0.0, 0.0
    primal = Particles(state.start[0], state.params.primal.weights)
    dual = Particles(state.start[1], state.params.dual.weights)
    f = predict(config.family, primal, batch.primal_points, alpha)
    return -f, -predict(config.dual_family, dual, batch.dual_points, alpha)


def _moved(players: Players, ascent: Ascent, eps: Any, dual_eps: Any) -> Players:
    rows = players.primal.theta, players.dual.theta
    theta, omega = optax.apply_updates(rows, (eps * ascent.primal, dual_eps * ascent.dual))
    return Players(players.primal._replace(theta=theta), players.dual._replace(theta=omega))


def _with_noise(key: Key, players: Players, before: Players, hyper: Hyper) -> Players:
    """Confinement and noise of the regulariser KL(. | N(0, I)), with the same alpha^-2 as the velocity."""
    k_primal, k_dual = jax.random.split(key)
    weight = hyper.temperature / hyper.alpha**2

    def one(key: Key, net: Particles, old: Particles, eps: Any) -> Particles:
        noise = jax.random.normal(key, net.theta.shape, net.theta.dtype)
        return net._replace(theta=net.theta - eps * weight * old.theta + jnp.sqrt(2 * weight * eps) * noise)

    primal = one(k_primal, players.primal, before.primal, hyper.eps)
    return Players(primal, one(k_dual, players.dual, before.dual, hyper.tau * hyper.eps))
