"""Gradient ascent on exact gradients of tabular softmax policies.

Legend: `H` actions of an episode, `V` places, `A` actions.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxrl.core.types import Array
from jaxrl.submodular.exact import Unfolded, best_value, myopic_value, policy_value
from theory.submodular.bandit import Bandit, extension
from theory.submodular.instances import Problem

OBJECTIVES = {"to_go": policy_value, "marginal": myopic_value}


def climb(problem: Problem, credit: str, steps: int, rate: float = 2.0) -> tuple[float, float]:
    """`(J, F of the decoded policy)` after `steps` of ascent on J / max J from the uniform policy.

    credit: "to_go" follows grad J, "marginal" the myopic direction. The decoded policy takes the likeliest
    action, the lowest of equals.
    """
    shape = (problem.states - 1, problem.mdp.n_states, problem.mdp.n_actions)
    with jax.enable_x64(True):
        unfolded = problem.unfold()
        logits = _ascend(OBJECTIVES[credit], unfolded, shape, steps, rate / best_value(unfolded))
        decoded = jnp.eye(shape[-1])[jnp.argmax(logits, axis=-1)]
        value = policy_value(jax.nn.softmax(logits), unfolded)
        return float(value), float(policy_value(decoded, unfolded))


@functools.partial(jax.jit, static_argnums=1)
def climb_bandit(bandit: Bandit, steps: int, rate: Array) -> Array:
    """float[H, V], the policy after `steps` of ascent on J from the uniform one; `rate` float[] of logits."""

    def value(logits: Array) -> Array:
        return extension(jax.nn.softmax(logits), bandit)

    start = jnp.zeros((bandit.table.ndim, len(bandit.table) - 1))
    last = jax.lax.fori_loop(0, steps, lambda _, x: x + rate * jax.grad(value)(x), start)
    return jax.nn.softmax(last)


def _ascend(
    objective: Callable[[Array, Unfolded], Array],
    unfolded: Unfolded,
    shape: tuple[int, ...],
    steps: int,
    rate: float,
) -> Array:
    gradient = jax.grad(lambda logits: objective(jax.nn.softmax(logits), unfolded))

    @jax.jit
    def run() -> Array:
        return jax.lax.fori_loop(0, steps, lambda _, x: x + rate * gradient(x), jnp.zeros(shape))

    return run()
