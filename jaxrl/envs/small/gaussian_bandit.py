"""Arms with normal rewards; an episode is one pull."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.fields import Size, check_fields
from jaxrl.core.spaces import Discrete
from jaxrl.core.types import Array, Key, Step
from jaxrl.envs.base import Entry, integer, real

_BAR, _PULLED, _EMPTY = (90, 130, 180), (240, 170, 30), (235, 235, 235)
_HEIGHT = 21  # pixels of the picture before it is enlarged, for means from -3 to 3


class BanditParams(NamedTuple):
    """Parameters of `GaussianBandit`.

    mean: float[K], expected reward of every arm; noise: float[], standard deviation of a reward.
    """

    mean: Array
    noise: Array


class BanditState(NamedTuple):
    """State of `GaussianBandit`.

    arm: int32[], the arm that was pulled, -1 before.
    """

    arm: Array


@dataclass(frozen=True)
class GaussianBandit:
    """One pull of an arm with normal rewards; a level has means that are independent standard normals.

    Observation: int32[], always 0. Action: the arm. Reward: mean[arm] + noise * N(0, 1).
    Termination: after every step.
    """

    K: Size = 5
    """Number of arms, at least 1."""
    name: str = "GaussianBandit"
    reward_dim: None = None

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def observation_space(self) -> Discrete:
        """One observation."""
        return Discrete(1)

    @property
    def action_space(self) -> Discrete:
        """The arms."""
        return Discrete(self.K)

    def default_params(self) -> BanditParams:
        """Means evenly spaced from -1 to 1, noise 1; levels are drawn by `sample_params`."""
        return BanditParams(jnp.asarray(np.linspace(-1, 1, self.K)), real(1.0))

    def sample_params(self, key: Key) -> BanditParams:
        """Means N(0, 1), noise 1."""
        return BanditParams(jax.random.normal(key, (self.K,), jnp.result_type(float)), real(1.0))

    def reset(self, key: Key, params: BanditParams) -> tuple[BanditState, Array]:
        """No arm is pulled yet."""
        return BanditState(integer(-1)), integer(0)

    def step(
        self, key: Key, state: BanditState, action: Array, params: BanditParams
    ) -> tuple[BanditState, Step]:
        """`step_u` with one uniform number."""
        return self.step_u(state, action, jax.random.uniform(key, (), params.mean.dtype), params)

    def step_u(
        self, state: BanditState, action: Array, u: Array, params: BanditParams
    ) -> tuple[BanditState, Step]:
        """The reward is the quantile `u`, float[] in [0, 1), of the arm's normal distribution."""
        lowest = jnp.finfo(u.dtype).eps / 2  # in place of 0, whose quantile is not finite
        quantile = jax.scipy.special.ndtri(jnp.maximum(u, lowest))
        reward = params.mean[action] + params.noise * quantile
        return BanditState(integer(action)), Step(integer(0), reward, jnp.asarray(True), {})

    def render(self, state: BanditState, params: BanditParams) -> Array:
        """uint8[168, 24 K, 3], a bar from 0 to the mean of every arm, from -3 to 3; the pull in colour."""
        middle = _HEIGHT // 2
        height = (middle - jnp.arange(_HEIGHT))[:, None] / (middle / 3)
        mean = params.mean[None]
        between = (height <= jnp.maximum(mean, 0)) & (height >= jnp.minimum(mean, 0))
        pulled = jnp.arange(self.K)[None, :, None] == state.arm
        empty, bar, chosen = (jnp.asarray(c, jnp.uint8)[None, None] for c in (_EMPTY, _BAR, _PULLED))
        picture = jnp.where(between[..., None], jnp.where(pulled, chosen, bar), empty)
        return picture.repeat(8, 0).repeat(24, 1)


ENVIRONMENTS = {"GaussianBandit": Entry(GaussianBandit)}
