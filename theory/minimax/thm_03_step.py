"""The step of a particle is N / alpha^2 times automatic differentiation, not one of the two alone.

Statement. With f = alpha mean_i phi(.; theta_i), the velocity -<dL/df, grad phi(.; theta_i)> / alpha is
-(N / alpha^2) dL / dtheta_i, and that of the other player has the other sign.

Check. The reference problem, N = 6 particles, alpha in {0.5, 1, 4}: velocities minus the scaled derivatives.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.types import Array
from jaxrl.minimax.particles import predict
from jaxrl.minimax.velocity import Players, velocity
from theory.exact.result import Result
from theory.minimax.setting import NETWORKS, at_most, reference, start

N = 6


def instance(seed: int) -> Players:
    """Independent particles, so that neither function is 0."""
    return start(jax.random.key(seed), N, init="iid")


def check(power: int = 2) -> Result:
    """Velocities minus N / alpha^power times derivatives."""
    made = reference()

    def loss(theta: Array, omega: Array, players: Players, alpha: Array) -> Array:
        f = predict(NETWORKS.primal, players.primal._replace(theta=theta), made.x, alpha)
        return made.loss(f, predict(NETWORKS.dual, players.dual._replace(theta=omega), made.z, alpha))

    def errors(players: Players, alpha: Array) -> tuple[Array, Array]:
        move = velocity(NETWORKS, players, made, alpha)
        down, up = jax.grad(loss, (0, 1))(players.primal.theta, players.dual.theta, players, alpha)
        scale = N / alpha**power
        return move.primal + scale * down, move.dual - scale * up

    with jax.enable_x64(True):
        found = jax.jit(jax.vmap(errors, (None, 0)))(instance(3), jnp.array([0.5, 1.0, 4.0]))
        return at_most([np.abs(x).max() for x in found], 1e-12)


def broken() -> Result:
    """Steps of order 1 / alpha: divergence like alpha^2 in the lazy regime."""
    return check(power=1)
