"""Mean-field Langevin dynamics of two players, each regularised by its KL divergence from N(0, I).

Every step is Euler-Maruyama along the first variation of the regularised value,

    theta <- theta - eps (grad dL/dmu (theta) + temperature theta) + sqrt(2 temperature eps) xi,

and the methods differ in the values whose gradients they take:

`da`   descent-ascent: the present one, the players in turn;
`ag`   averaged gradient: the average of all past first variations with weights k^r, which settles after a
       time of order temperature^-2 only;
`abr`  anchored best response: `inner` steps against a frozen pair, after which a share of the particles is
       replaced by theirs.

A first variation is linear in the derivatives of L in f and g, so averages of those are exact. Source of `ag`
and `abr`: Kim et al. 2024 (2312.01127). Legend: `N` particles, `D` parameters; `M`, `L` outputs of f and g.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jaxrl.core.fields import NonNegative, Positive, Share, Size, check_fields
from jaxrl.core.prng import stream, streams
from jaxrl.core.tree import tree_where
from jaxrl.core.types import Algorithm, Array, Key, Policy, struct
from jaxrl.minimax.particles import features
from jaxrl.minimax.velocity import Networks

Method = Literal["da", "ag", "abr"]


@dataclass(frozen=True)
class Game:
    """A game of two measures through their mean outputs f = mean primal(theta), g = mean dual(omega)."""

    primal: Callable[[Array, Any], Array]
    """Outputs of f's particles, `(rows [N, D], data) -> [N, M]`."""
    dual: Callable[[Array, Any], Array]
    """Outputs of g's particles, `(rows [N, D'], data) -> [N, L]`."""
    gradients: Callable[[Array, Array, Any], tuple[Array, Array]]
    """Derivatives of the payoff in both outputs, `(f, g, data) -> (dL/df [M], dL/dg [L])`."""
    answer: Callable[[Array, Any], Array]
    """f at an observation, `(theta, observation) -> float[]`."""
    dims: tuple[int, int]
    """Dimensions D and D' of a particle of f and of g."""


@dataclass(frozen=True)
class Config:
    """Static choices."""

    width: Size = 256
    """Particles of each player."""
    method: Method = "da"
    """Descent-ascent (`da`), averaged gradient (`ag`), or anchored best response (`abr`), as above."""
    inner: Size = 20
    """Steps per best response, read by `abr` alone."""

    def __post_init__(self) -> None:
        check_fields(self)


@struct.dataclass
class Hyper:
    """Hyper-parameters; any of them can be vmapped."""

    eps: Positive = 0.05
    """Step in time, > 0."""
    temperature: NonNegative = 0.1
    """Weight of both divergences from N(0, I), >= 0."""
    power: NonNegative = 1.0
    """Exponent r of the weights k^r, read by `ag` alone."""
    share: Share = 0.1
    """Share of the particles that a best response replaces, in [0, 1], read by `abr` alone."""


@struct.dataclass
class State:
    """State of a run.

    params: rows (theta, omega); average: of the derivatives `([M], [L])`; total: sum of its weights.
    """

    params: tuple[Array, Array]
    average: tuple[Array, Array]
    total: Array
    key: Key
    updates: Array


def network_game(networks: Networks, inputs: int = 1, dual_inputs: int = 1, alpha: float = 1.0) -> Game:
    """The game of two networks of scale `alpha` on a `Problem`, the data of the algorithm."""

    def outputs(family: Any, rows: Array, points: Array) -> Array:
        found = features(family, rows, points)
        return alpha * (found.s * found.b[None]).T

    return Game(
        lambda theta, data: outputs(networks.primal, theta, data.primal_points),
        lambda omega, data: outputs(networks.dual, omega, data.dual_points),
        lambda f, g, data: data.gradients(f, g),
        lambda theta, obs: outputs(networks.primal, theta, obs[None]).mean(),
        (networks.primal.parameters(inputs), networks.dual.parameters(dual_inputs)),
    )


BILINEAR = Game(lambda x, _: x, lambda y, _: y, lambda f, g, _: (g, f), lambda x, _: x.mean(), (1, 1))
"""The payoff x y of particles on the line."""


def make(config: Config, game: Game) -> Algorithm:
    """The algorithm on the data of a game, with particles that start as N(0, I).

    Metric: `norm`, root mean squared length of all parameters. `act` answers observations with f.
    """

    def init(key: Key, hyper: Hyper, data: Any) -> State:
        k_primal, k_dual, k_run = jax.random.split(key, 3)
        theta = jax.random.normal(k_primal, (config.width, game.dims[0]))
        omega = jax.random.normal(k_dual, (config.width, game.dims[1]))
        zero = jax.tree.map(jnp.zeros_like, _gradients((theta, omega), data))
        return State((theta, omega), zero, jnp.zeros(()), k_run, jnp.zeros((), jnp.int32))

    def _gradients(params: tuple[Array, Array], data: Any) -> tuple[Array, Array]:
        return game.gradients(game.primal(params[0], data).mean(0), game.dual(params[1], data).mean(0), data)

    def langevin(key: Key, side: int, rows: Array, cotangent: Array, hyper: Hyper, data: Any) -> Array:
        """One step of one player, which goes down for side 0 and up for side 1."""
        outputs, back = jax.vjp(lambda r: (game.primal, game.dual)[side](r, data), rows)
        (gradient,) = back(jnp.broadcast_to(cotangent, outputs.shape))
        drift = (gradient if side else -gradient) - hyper.temperature * rows
        noise = jax.random.normal(key, rows.shape, rows.dtype)
        return rows + hyper.eps * drift + jnp.sqrt(2 * hyper.temperature * hyper.eps) * noise

    def both(key: Key, params: Any, gradients: Any, hyper: Hyper, data: Any) -> tuple[Array, Array]:
        k_primal, k_dual = jax.random.split(key)
        theta = langevin(k_primal, 0, params[0], gradients[0], hyper, data)
        return theta, langevin(k_dual, 1, params[1], gradients[1], hyper, data)

    def step(state: State, hyper: Hyper, data: Any) -> tuple[State, dict[str, Array]]:
        k_move, k_dual, k_mix = jax.random.split(stream(state.key, state.updates), 3)
        params, average, total = state.params, state.average, state.total
        if config.method == "da":
            theta = langevin(k_move, 0, params[0], _gradients(params, data)[0], hyper, data)
            up = _gradients((theta, params[1]), data)[1]
            params = theta, langevin(k_dual, 1, params[1], up, hyper, data)
        elif config.method == "ag":
            weight = (state.updates + 1.0) ** hyper.power
            total = total + weight
            now = _gradients(params, data)
            average = jax.tree.map(lambda a, b: a + weight / total * (b - a), average, now)
            params = both(k_move, params, average, hyper, data)
        else:
            frozen = _gradients(params, data)

            def inner(rows: Any, key: Key) -> tuple[Any, None]:
                return both(key, rows, frozen, hyper, data), None

            response, _ = jax.lax.scan(inner, params, streams(k_move, config.inner))
            replaced = jax.random.uniform(k_mix, (config.width,)) < hyper.share
            params = tree_where(replaced, response, params)
        norm = jnp.sqrt(sum(jnp.mean(rows**2) for rows in params))
        return State(params, average, total, state.key, state.updates + 1), {"norm": norm}

    def answer(theta: Array, key: Key, obs: Array, memory: Any) -> tuple[Array, tuple[()], Any]:
        return game.answer(theta, obs), (), memory

    def act(state: State, hyper: Hyper, greedy: bool) -> Policy:
        return Policy(Partial(answer, state.params[0]))

    return Algorithm(init, step, act)
