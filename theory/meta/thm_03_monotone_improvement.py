"""A policy that raises advantage minus drift in every state is nowhere worse than the old one.

Statement. Let f satisfy f >= 0 and f(1, A) = 0, and let L_s(pi) = E_pi[A(s, a)] - E_old[f(pi / pi_old, A)]
>= 0 in every state, which pi_old attains with 0. Then V^pi >= V^old in every state: E_pi[A] >= L_s +
E_old[f] >= 0, and the performance difference is an average of E_pi[A].
(Kuba et al. 2022, mirror learning; Kakade and Langford 2002.)

Check. 60 tabular problems of 5 states and 3 actions with exact advantages, each with a random LPO network
of 16 hidden units; 15 steps of ascent on every L_s from pi_old with the first of the steps 1, 1/2, .. ,
1e-7 that raises it. All have L_s >= 0; values by linear solves.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.types import Array
from theory.exact.result import Result
from theory.meta.definitions import XI, Net, features, random_net

GAMMA, PROBLEMS, TOLERANCE = 0.9, 60, 1e-9
STEPS = 0.5 ** jnp.arange(24)


class Problem(NamedTuple):
    """Tabular problems. P: float64[n, 5, 3, 5]; R: float64[n, 5, 3]; old: logits float64[n, 5, 3]."""

    P: np.ndarray
    R: np.ndarray
    old: np.ndarray


@functools.cache
def instance() -> tuple[Problem, Net]:
    """The problems, and a network for each, with weights of standard deviation 0.1 and 1 in turn."""
    rng = np.random.default_rng(0)
    P = rng.dirichlet(np.ones(5), size=(PROBLEMS, 5, 3))
    problem = Problem(P, rng.normal(size=(PROBLEMS, 5, 3)), rng.normal(size=(PROBLEMS, 5, 3)))
    nets = [random_net(rng, (0.1, 1.0)[i % 2]) for i in range(PROBLEMS)]
    return problem, jax.tree.map(lambda *leaves: np.stack(leaves), *nets)


def values(problem: Problem, pi: np.ndarray) -> np.ndarray:
    """V^pi, float64[n, 5]."""
    P, R = np.einsum("nsa,nsat->nst", pi, problem.P), (pi * problem.R).sum(-1)
    return np.linalg.solve(np.eye(5) - GAMMA * P, R[..., None])[..., 0]


def signed_drift(net: Net, r: Array, A: Array, xi: float) -> Array:
    """The drift of LPO before the relu, of ratios and advantages `[5, 3]`."""
    return jnp.tanh(features(r, A) @ net.inner) @ net.outer - xi


@functools.partial(jax.jit, static_argnums=(3,))
def ascend(net: Net, old: Array, A: Array, rectified: bool) -> tuple[Array, Array]:
    """The new policy float64[5, 3] and its L_s float64[5], from logits and advantages of the old one."""
    log_old = jax.nn.log_softmax(old)

    def objective(logits: Array) -> Array:
        log_pi = jax.nn.log_softmax(logits)
        f = signed_drift(net, jnp.exp(log_pi - log_old), A, XI if rectified else 0.0)
        f = jax.nn.relu(f) if rectified else f
        return (jnp.exp(log_pi) * A).sum(-1) - (jnp.exp(log_old) * f).sum(-1)

    def step(logits: Array, _: None) -> tuple[Array, None]:
        now, slope = objective(logits), jax.grad(lambda x: objective(x).sum())(logits)
        tried = logits[None] + STEPS[:, None, None] * slope[None]
        better = jax.vmap(objective)(tried) > now[None]  # [24, 5]
        first = jnp.take_along_axis(tried, better.argmax(0)[None, :, None], 0)[0]
        return jnp.where(better.any(0)[:, None], first, logits), None

    logits, _ = jax.lax.scan(step, old, None, 15)
    return jax.nn.softmax(logits), objective(logits)


def check(rectified: bool = True) -> Result:
    """The largest loss of value over all problems and states; all must end with L_s >= 0.

    rectified: whether the drift ends with relu, without which it may be negative.
    """
    problem, nets = instance()
    before = np.exp(problem.old) / np.exp(problem.old).sum(-1, keepdims=True)
    V = values(problem, before)
    A = problem.R + GAMMA * np.einsum("nsat,nt->nsa", problem.P, V) - V[..., None]
    with jax.enable_x64(True):
        ascended = jax.vmap(ascend, (0, 0, 0, None))(
            nets, jnp.asarray(problem.old), jnp.asarray(A), rectified
        )
        after, raised = (np.asarray(x) for x in ascended)
    lost = float((V - values(problem, after)).max())
    return Result(lost, TOLERANCE, lost <= TOLERANCE and raised.min() >= 0 and raised.max() > 0)


def broken() -> Result:
    """Without relu, so that a negative drift pays for a step that loses advantage."""
    return check(rectified=False)
