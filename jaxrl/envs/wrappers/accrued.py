"""The utility of a whole episode's vector return, paid step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Range
from jaxrl.core.spaces import Box, Space
from jaxrl.core.types import Array, PyTree, Step
from jaxrl.envs.base import Finite, RewardFn, real
from jaxrl.envs.wrappers.wrapper import Wrapper, append_to_box, is_flat_box


class AccruedState(NamedTuple):
    """State of `Accrued`.

    returns: float[m], the discounted return so far; discount: float[], gamma^t of the next reward.
    """

    env: PyTree
    returns: Array
    discount: Array


class AccruedParams(NamedTuple):
    """Parameters of `Accrued`.

    gamma: float[], the discount of the return that `u` is taken of.
    """

    env: PyTree
    gamma: Array


@dataclass(frozen=True)
class Accrued(Wrapper):
    """Pays `u(returns after) - u(returns before)`, so that an episode's rewards add up to u(G) - u(0).

    A learner with discount 1 then maximises E[u(G)], the expected scalarised return (ESR), G the discounted
    vector return; with another discount the payments do not add up. Shows G so far and gamma^t, on which the
    best action depends: appended to an observation float[n], any other becomes `{"obs": o, "returns":
    float[m], "discount": float[]}`. Source: Roijers et al. 2018, Hayes et al., arXiv 2103.09568.
    """

    u: Callable[[Array], Array]
    """The utility, of returns float[m]; a pure function."""
    gamma: Annotated[float, Range(0, 1)] = 1.0
    """Discount of the vector return, in [0, 1]."""
    hidden: ClassVar[tuple[type, ...]] = (Finite, RewardFn)

    def __post_init__(self) -> None:
        super().__post_init__()
        m = self.env.reward_dim
        if m is None:
            raise UsageError(f"Accrued.env: {self.env.name} has a scalar reward; give it a vector reward")
        shape = jax.eval_shape(self.u, jnp.zeros(m)).shape
        if shape != ():
            raise UsageError(f"Accrued.u: must return float[] of returns float[{m}], got shape {shape}")

    @property
    def reward_dim(self) -> None:
        """Scalar."""
        return None

    @property
    def observation_space(self) -> Space:
        """The inner observation, the return so far, and the discount of the next reward."""
        space, m = self.env.observation_space, self.env.reward_dim
        if is_flat_box(space):
            return append_to_box(space, [-np.inf] * m + [0.0], [np.inf] * m + [1.0])
        return {"obs": space, "returns": Box(-np.inf, np.inf, (m,)), "discount": Box(0.0, 1.0, ())}

    def extend(self, inner: PyTree) -> AccruedParams:
        """The inner parameters with the discount."""
        return AccruedParams(inner, real(self.gamma))

    def inner_params(self, params: AccruedParams) -> PyTree:
        """Without the discount."""
        return params.env

    def inner_state(self, state: AccruedState) -> PyTree:
        """Without the return."""
        return state.env

    def begin(self, inner: PyTree, obs: PyTree, params: AccruedParams) -> tuple[AccruedState, PyTree]:
        """A return of 0, a discount of 1."""
        nothing = jnp.zeros(self.env.reward_dim, params.gamma.dtype)
        state = AccruedState(inner, nothing, jnp.ones_like(params.gamma))
        return state, self._show(obs, state)

    def advance(
        self, state: AccruedState, inner: PyTree, out: Step, params: AccruedParams
    ) -> tuple[AccruedState, Step]:
        """The change of the utility."""
        returns = state.returns + state.discount * out.reward.astype(state.returns.dtype)
        after = AccruedState(inner, returns, state.discount * params.gamma)
        paid = self.u(returns) - self.u(state.returns)
        return after, out._replace(obs=self._show(out.obs, after), reward=paid.astype(state.returns.dtype))

    def _show(self, obs: PyTree, state: AccruedState) -> PyTree:
        if is_flat_box(self.env.observation_space):
            return jnp.concatenate(
                [obs, state.returns.astype(obs.dtype), state.discount[None].astype(obs.dtype)]
            )
        return {"obs": obs, "returns": state.returns, "discount": state.discount}


accrued = Accrued
