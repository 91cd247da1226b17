"""Linear mixture MDPs: P_h(s' | s, a) = <phi(s' | s, a), theta_h> with known features and unknown theta.

Here the record of their arrays and its checks; `linear_mixture.py` has the environment.

Legend: `S` states, `A` actions, `d` features, `H` steps.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array, struct
from jaxrl.envs.tabular.feature_norm import check_feature_norm
from jaxrl.envs.tabular.mdp import TabularMDP, check_distribution


@struct.dataclass
class LinearMixtureMDP:
    """Build it with `make_mixture`, or check foreign arrays with `validate_mixture`.

    phi: `[S, A, S, d]`. theta: `[d]`, or `[H, d]` where the transitions change with the step. mu0: `[S]`.
    """

    phi: Array
    theta: Array
    mu0: Array

    @property
    def n_states(self) -> int:
        """S."""
        return self.phi.shape[0]

    @property
    def n_actions(self) -> int:
        """A."""
        return self.phi.shape[1]

    @property
    def dim(self) -> int:
        """The number of features d."""
        return self.phi.shape[-1]

    @property
    def horizon(self) -> int | None:
        """H of `[H, d]` parameters, None of stationary ones."""
        return self.theta.shape[0] if self.theta.ndim == 2 else None

    def to_tabular(self, R: Array | None = None, gamma: float = 1.0) -> TabularMDP:
        """The transitions as tables; `R` as in `TabularMDP` for scalar rewards, by default 0."""
        P = jnp.einsum("satd,...d->...sat", self.phi, self.theta, precision="highest")
        return TabularMDP(
            P=P,
            R=jnp.zeros(P.shape[:-1], P.dtype) if R is None else R,
            mu0=self.mu0,
            gamma=jnp.full((), gamma, P.dtype),
            terminal=jnp.zeros(self.n_states, bool),
        )


def phi_V(phi: Array, V: Array) -> Array:
    """`[S, A, d]`, the feature of a value function `V [S]`: sum_s' phi(s' | s, a) V(s')."""
    return jnp.einsum("satd,t->sad", phi, V, precision="highest")


def make_mixture(phi: Any, theta: Any, mu0: Any = 0) -> LinearMixtureMDP:
    """A validated mixture from host arrays, in the default float dtype. mu0: `[S]`, or the only start state.

    Raises `UsageError` as `validate_mixture` does.
    """
    phi, theta = np.asarray(phi, np.float64), np.asarray(theta, np.float64)
    if np.ndim(mu0) == 0:
        n = phi.shape[0] if phi.ndim else 0
        if not 0 <= int(mu0) < n:
            raise UsageError(f"mu0: start state {mu0} is outside 0 .. {n - 1}; pass a state or an array [S]")
        mu0 = np.eye(n)[int(mu0)]
    mixture = LinearMixtureMDP(phi, theta, np.asarray(mu0, np.float64))
    validate_mixture(mixture)
    return jax.tree.map(jnp.asarray, mixture)


def validate_mixture(mixture: LinearMixtureMDP) -> LinearMixtureMDP:
    """`mixture` itself if it is one: a host check, never inside jit.

    Raises `UsageError` for wrong shapes, numbers that are not finite, probabilities below -1e-6, rows or
    `mu0` that do not sum to 1 within 1e-5, and features beyond the normalisation (`check_feature_norm`).
    """
    phi, theta, mu0 = (np.asarray(x) for x in (mixture.phi, mixture.theta, mixture.mu0))
    if phi.ndim != 4 or phi.shape[0] != phi.shape[2] or 0 in phi.shape:
        raise UsageError(f"mixture.phi: shape {phi.shape} is not [S, A, S, d]")
    if theta.ndim not in (1, 2) or theta.shape[-1] != phi.shape[-1]:
        raise UsageError(f"mixture.theta: shape {theta.shape} is neither [d] nor [H, d], d = {phi.shape[-1]}")
    if mu0.shape != phi.shape[:1]:
        raise UsageError(f"mixture.mu0: shape {mu0.shape} must be [S] = ({phi.shape[0]},)")
    for name, x in (("phi", phi), ("theta", theta), ("mu0", mu0)):
        if not np.all(np.isfinite(x)):
            raise UsageError(f"mixture.{name}: contains NaN or infinity; every entry must be finite")
    check_distribution("mixture.phi . theta", np.einsum("satd,...d->...sat", phi, theta))
    check_distribution("mixture.mu0", mu0)
    check_feature_norm(phi)
    return mixture
