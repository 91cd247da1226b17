"""Episodes of the learners on linear mixtures: their random numbers, their loop, and checks of what they get.

An episode is a loop of `horizon` transitions from a draw of mu0: nothing resets, truncates or counts steps.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.prng import stream
from jaxrl.core.spaces import Discrete
from jaxrl.core.types import Array, Key, PyTree
from jaxrl.envs.tabular.known_support import validate_known_support
from jaxrl.envs.tabular.mdp import inverse_cdf
from jaxrl.envs.tabular.mixture import validate_mixture
from jaxrl.reward_free.features import Dense, form_of

SHORT = 32  # stages; numbers for 256 would cost a third as much as an episode of 8
Learned = TypeVar("Learned")
AnyState = TypeVar("AnyState")


def uniforms(key: Key, index: Array, size: int, horizon: Array, dtype: jnp.dtype) -> Array:
    """The uniform numbers of episode `index` int32[], `drawn` from the stream of its index."""
    return drawn(stream(key, index), size, horizon, dtype)


def drawn(key: Key, size: int, horizon: Array, dtype: jnp.dtype) -> Array:
    """The uniform numbers of an episode, float[size + 1], the first for the start, the next of its stages.

    Those of the `horizon` int32[] stages that are played are the same for every size; later ones may be 0. An
    episode of up to `SHORT` stages in a program for more of them draws no more than it may need.
    """

    def numbers(stages: int) -> Array:
        return jax.random.uniform(key, (stages + 1,), dtype)

    if size <= SHORT:
        return numbers(size)

    def few() -> Array:
        return jnp.zeros(size + 1, dtype).at[: SHORT + 1].set(numbers(SHORT))

    return jax.lax.cond(horizon <= SHORT, few, lambda: numbers(size))


def several(count: int, one: Callable[[AnyState], AnyState], state: AnyState) -> AnyState:
    """`one` episode after the other, at most `count`, until `state.certified` is set."""

    def running(carry: tuple[Array, Any]) -> Array:
        return (carry[0] < count) & (carry[1].certified < 0)

    first = (jnp.zeros((), jnp.int32), state)
    return jax.lax.while_loop(running, lambda carry: (carry[0] + 1, one(carry[1])), first)[1]


def run(
    env: Any,
    choose: Callable[[Array, Array], Array],
    learned: Learned,
    horizon: Array,
    data: PyTree,
    u: Array,
    learn: Callable[[Learned, Array, Array, Array], Learned],
) -> Learned:
    """What `learn(learned, stage, pair, next state)` makes of the transitions of one episode.

    choose: `(stage, state) -> action`, int32[] each; the pair is s A + a. u: float[H + 1], uniform numbers,
    the first for the start; horizon int32[].
    """
    first = env.state_at(data, inverse_cdf(data.mu0, u[0]))

    def transition(h: Array, carry: tuple[PyTree, Learned]) -> tuple[PyTree, Learned]:
        env_state, learned = carry
        s = env.state_index(data, env_state)
        action = choose(h, s)
        after, _ = env.step_u(env_state, action, u[h + 1], data)
        return after, learn(learned, h, s * env.A + action, env.state_index(data, after))

    return jax.lax.fori_loop(0, horizon, transition, (first, learned))[1]


def by_table(policy: Array) -> Callable[[Array, Array], Array]:
    """The choice of a policy int32[H, S]."""
    return lambda h, s: policy[h, s]


def is_due(plans: Array, log_det: Array, log_det_then: Array, ratio: Array) -> Array:
    """Whether a determinant has grown by `ratio` since the last plan, or there is no plan; bool[]."""
    return (plans == 0) | (log_det - log_det_then >= jnp.log(ratio))


def observations(horizon: int, env: Any) -> dict[str, Any]:
    """The space of observations of `finite_horizon` that the policies run on."""
    return {"obs": env.observation_space, "h": Discrete(horizon + 1)}


def checked_mixture(env: Any) -> Callable[[PyTree], None]:
    """A check that `data` is a normalised mixture with the sizes of `env`."""

    def check(data: PyTree) -> None:
        form = form_of(data)
        if (data.n_states, data.n_actions) != (env.S, env.A):
            raise UsageError(
                f"data: a mixture of {data.n_states} states and {data.n_actions} actions given to a learner"
                f" for {env.S} and {env.A}; use {type(env).__name__}.of(mixture)"
            )
        if isinstance(form, Dense):
            validate_mixture(data)
        else:
            validate_known_support(data)

    return check


def checked_member(horizon: int) -> Callable[[Any, PyTree], None]:
    """A check of `Hyper.horizon` against `horizon`, and a warning where `Hyper.bound` is below |theta*|."""

    def check(hyper: Any, data: PyTree) -> None:
        if int(hyper.horizon) > horizon:
            raise UsageError(
                f"Hyper.horizon: must be at most Config.horizon = {horizon}, got {int(hyper.horizon)};"
                " raise Config.horizon"
            )
        size = float(np.linalg.norm(np.asarray(data.theta, np.float64)))
        if float(hyper.bound) < size * (1 - 1e-6):
            warnings.warn(
                f"Hyper.bound: {float(hyper.bound):.6g} is below |theta*| = {size:.6g}, so that the theorem"
                " covers nothing; raise the bound",
                stacklevel=2,
            )

    return check
