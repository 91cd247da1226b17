"""Problems of the tests: the hashed mixture, locks, scripted uniforms, and a loop that is not ours."""

import jax.numpy as jnp
import numpy as np

from jaxrl.envs.tabular.mixture_generators import hashed_mixture, lock
from jaxrl.reward_free.uncertainty import Plan, View

HASH = (3, 2, 2, (7, 3, 5, 11), 13)
SIGMA = np.array([[102.0, 100.0], [100.0, 104.0]])
OTHER_THETA = np.sqrt(2) * np.array([0.6, 0.4])


def hashed():
    """Three states, two actions, two features, in the default float dtype."""
    return hashed_mixture(*HASH)


def three_lock():
    """Three digits, two actions: d = 7."""
    return lock(3, 2, 0.9, 0.1)


def six_lock():
    """Six digits, three actions: d = 19."""
    return lock(6, 3, 0.9, 0.1)


def uniforms(K, H):
    """Scripted uniforms `[K, H]`, frac((k H + h + 1) (sqrt 5 - 1) / 2)."""
    index = np.arange(K * H).reshape(K, H) + 1
    return np.modf(index * 0.6180339887498949)[0]


def blocks(matrix, batch=()):
    """A matrix `[..., d, d]` or vector `[..., d]` as one block per regression."""
    matrix = jnp.asarray(matrix)
    return matrix.reshape((*batch, 1, *matrix.shape[len(batch) :]))


def hashed_view(beta):
    """What an oracle sees: the true parameter, hat matrix 2 Sigma and tilde matrix Sigma."""
    inverse = np.linalg.inv(SIGMA)
    theta = hashed().theta[None]
    return View(theta, blocks(inverse / 2), blocks(inverse), jnp.asarray(beta))


def no_plan(H, S):
    """The record of a plan before there is one."""
    tables = jnp.zeros((H + 1, S))
    return Plan(jnp.zeros((H, S), jnp.int32), tables, tables, tables[:H], jnp.ones(()))
