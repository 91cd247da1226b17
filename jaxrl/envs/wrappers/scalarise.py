"""The inner product of a vector reward with weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Weights
from jaxrl.core.types import Array, PyTree, Step
from jaxrl.envs.tabular.mdp import TabularMDP
from jaxrl.envs.wrappers.wrapper import Wrapper


class ScalariseParams(NamedTuple):
    """Parameters of `Scalarise`.

    w: float[m].
    """

    env: PyTree
    w: Array


@dataclass(frozen=True)
class Scalarise(Wrapper):
    """Vector reward r -> w . r. The weights live in `Params`: a sweep over them is a vmap.

    w: the default weights, m numbers.
    """

    w: Weights

    def __post_init__(self) -> None:
        object.__setattr__(self, "w", tuple(np.asarray(self.w).tolist()))
        super().__post_init__()
        if self.env.reward_dim is None:
            raise UsageError(f"Scalarise.env: {self.env.name} has a scalar reward already")
        if len(self.w) != self.env.reward_dim:
            raise UsageError(
                f"Scalarise.w: {len(self.w)} weights for {self.env.reward_dim} reward components"
            )

    @property
    def reward_dim(self) -> None:
        """Scalar."""
        return None

    def extend(self, inner: PyTree) -> ScalariseParams:
        """The inner parameters with the weights."""
        return ScalariseParams(inner, jnp.asarray(np.array(self.w)))

    def inner_params(self, params: ScalariseParams) -> PyTree:
        """Without the weights."""
        return params.env

    def advance(
        self, state: PyTree, inner: PyTree, out: Step, params: ScalariseParams
    ) -> tuple[PyTree, Step]:
        """The scalar w . r."""
        return inner, out._replace(reward=jnp.sum(params.w * out.reward))

    def reward(self, params: ScalariseParams, state: PyTree, action: PyTree, next_state: PyTree) -> Array:
        """The scalar w . r."""
        return jnp.sum(params.w * super().reward(params, state, action, next_state))

    def to_tabular(self, params: ScalariseParams) -> TabularMDP:
        """The inner tables with `R . w`."""
        mdp = super().to_tabular(params)
        return mdp.replace(R=jnp.einsum("...m,m->...", mdp.R, params.w), reward_dim=None)


scalarise = Scalarise
