"""Velocities of the particles of both players: gradients of the first variation, times alpha^-2.

    v(theta) = -<dL/df, grad phi(.; theta)> / alpha,    w(omega) = +<dL/dg, grad psi(.; omega)> / alpha

With that factor the functions move at a speed that does not depend on alpha. Legend: as in `particles`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from jaxrl.core.types import Array
from jaxrl.minimax.particles import TANH, Family, Particles, features, output, vjp
from jaxrl.minimax.problem import Data


@dataclass(frozen=True)
class Networks:
    """The neurons of f and of g."""

    primal: Family = TANH
    """Neurons of f."""
    dual: Family = TANH
    """Neurons of g."""


class Players(NamedTuple):
    """The measures of both players: `primal` of f, `dual` of g."""

    primal: Particles
    dual: Particles


class Move(NamedTuple):
    """Velocities of both players, primal `[N, D]` and dual `[N', D']`, with f `[M]` and g `[L]`."""

    primal: Array
    dual: Array
    f: Array
    g: Array


def velocity(
    networks: Networks,
    players: Players,
    data: Data,
    alpha: Array | float,
    offset: tuple[Any, Any] = (0.0, 0.0),
) -> Move:
    """Velocities of both players at their current positions, from the same points.

    offset: what is added to f `[M]` and g `[L]`; minus their initial values for the centred model.
    Equation: zhu2024meanfield [mean-field velocity]
    """
    primal = features(networks.primal, players.primal.theta, data.primal_points)
    dual = features(networks.dual, players.dual.theta, data.dual_points)
    f = output(primal, players.primal.weights, alpha) + offset[0]
    g = output(dual, players.dual.weights, alpha) + offset[1]
    down, up = data.gradients(f, g)
    return Move(-vjp(primal, down) / alpha, vjp(dual, up) / alpha, f, g)
