"""The expected gradient of the released extension term vanishes, so that it constrains no return.

Statement. Where all means of the returns in a minibatch are positive, the term of the released code has
at pi = pi_old the gradient -(1 / (t (1 - beta))) mean grad log pi(a_i | s_i) over the samples that it
keeps. Its expectation under the policy that samples is zero, and it is the same for whatever actions the
returns favour.
(Expectation of a score.)

Check. A softmax policy of 3 actions whose returns in 2 objectives are positive: the expectation over all
27 batches of 3 samples, with returns that favour one action and with returns that favour another.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.types import Array
from jaxrl.morl.objectives import barrier_objective, return_estimate
from jaxrl.morl.official import released_term
from theory.exact.result import Result, identity

Term = Callable[[Array, Array], Array]


def instance() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits float64[3], returns of the actions float64[3, 2], batches of actions int[27, 3]."""
    returns = np.array([[1.0, 3.0], [2.0, 1.0], [4.0, 0.5]])
    return np.array([0.3, -0.5, 0.8]), returns, np.array(list(itertools.product(range(3), repeat=3)))


def released(ratio: Array, returns: Array) -> Array:
    """The released term without the first sample, of ratios [B] and returns [B, 2]."""
    return released_term(ratio, returns, 0, clip=0.2, beta=0.9, t=20.0)


@functools.partial(jax.jit, static_argnums=0)
def _gradients(term: Term, logits: Array, returns: Array, batches: Array) -> tuple[Array, Array]:
    """Gradients float64[27, 3] of the term in the logits, batch by batch; their expectation float64[3]."""
    old = jax.nn.log_softmax(logits)

    def of_batch(actions: Array) -> Array:
        def value(x: Array) -> Array:
            return term(jnp.exp((jax.nn.log_softmax(x) - old)[actions]), returns[actions])

        return jax.grad(value)(logits)

    each = jax.vmap(of_batch)(batches)
    return each, jnp.exp(old[batches].sum(-1)) @ each


def check(term: Term = released) -> Result:
    """Expected gradients, and what other returns change in the gradient of a batch."""
    logits, returns, batches = instance()
    with jax.enable_x64(True):
        each, mean = _gradients(term, jnp.asarray(logits), jnp.asarray(returns), jnp.asarray(batches))
        other, other_mean = _gradients(
            term, jnp.asarray(logits), jnp.asarray(returns[::-1].copy()), jnp.asarray(batches)
        )
        return identity(mean, other_mean, each - other)


def broken() -> Result:
    """The barrier on estimated returns, whose gradient is that of the constrained return."""

    def barrier(ratio: Array, returns: Array) -> Array:
        estimate = return_estimate(ratio, returns, jnp.ones(2), jnp.ones(()))
        ones = jnp.ones(2)
        return -barrier_objective(estimate, 0.9 * ones, ones, jnp.array([0.0, 1.0]), jnp.asarray(20.0))

    return check(barrier)
