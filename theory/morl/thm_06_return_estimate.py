"""The return estimate has the gradient of the return where it was made.

Statement. With samples (s, a) weighted by the discounted visits of pi_old and its advantages A_j,
    Ghat_j(theta) = G_j + H E[(rho - 1) (A_j - E A_j)],   rho = pi_theta / pi_old,   H = E[sum_t gamma^t],
has the gradient of G_j(theta) at theta_old, so that barriers and constraints made of it are of the return
itself.
(Policy gradient theorem, Sutton et al. 2000; performance difference, Kakade and Langford 2002.)

Check. Formula problem with 2 objectives, 5 softmax policies: the gradient of both estimates in the logits
by automatic differentiation over all state-action pairs, against that of the returns by a linear solve.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.tabular.mdp import TabularMDP
from jaxrl.morl.objectives import return_estimate
from theory.exact.occupancy import discounted_visits
from theory.exact.policy_evaluation import differentiable_return, evaluate_policy
from theory.exact.result import Result, identity
from theory.exact.tables import Tables, tables
from theory.morl.instances import formula_mdp


def instance() -> tuple[TabularMDP, np.ndarray]:
    """The problem, and logits float64[5, S, A]."""
    return formula_mdp(2), np.random.default_rng(0).normal(size=(5, 5, 3))


def by_visits(visits: np.ndarray) -> np.ndarray:
    """float64[S, A], weights of the samples, adding up to 1."""
    return visits / visits.sum()


@functools.partial(jax.jit, static_argnums=0)
def _gradients(gamma: float, logits: jax.Array, given: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
    """Gradients float64[m, S, A] of the estimates and of the returns."""
    P, R, mu0, weights, advantages, returns, length = given
    old = jax.nn.softmax(logits)
    t = Tables(P, R, mu0, gamma, jnp.zeros(len(mu0), bool))

    def estimate(logits: jax.Array) -> jax.Array:
        ratio = (jax.nn.softmax(logits) / old).ravel()
        return return_estimate(ratio, advantages.reshape(len(ratio), -1), returns, length, weights.ravel())

    return (
        jax.jacrev(estimate)(logits),
        jax.jacrev(lambda x: differentiable_return(jax.nn.softmax(x), t))(logits),
    )


def check(weights_of: Callable[[np.ndarray], np.ndarray] = by_visits) -> Result:
    """Largest difference of the two gradients."""
    mdp, policies = instance()
    t, errors = tables(mdp), []
    with jax.enable_x64(True):
        for logits in policies:
            pi = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
            values, visits = evaluate_policy(mdp, pi), discounted_visits(mdp, pi)
            advantages = values.q - values.v[:, None]
            given = (t.P, t.R, t.mu0, weights_of(visits), advantages, values.j, visits.sum())
            ours, exact = _gradients(t.gamma, jnp.asarray(logits), tuple(map(jnp.asarray, given)))
            errors.append(ours - exact)
    return identity(np.array(errors))


def broken() -> Result:
    """States weighted alike, with the actions of the policy in each."""
    return check(lambda visits: visits / visits.sum(-1, keepdims=True) / len(visits))
