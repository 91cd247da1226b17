"""Linear mixture MDPs: P_h(s' | s, a) = <phi(s' | s, a), theta_h> with known features and unknown theta.

Legend: `S` states, `A` actions, `d` features, `H` steps. The environment pays no reward;
`with_reward` adds one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError, check_sizes
from jaxrl.core.spaces import Discrete, Space
from jaxrl.core.types import Array, Key, PyTree, Step, struct
from jaxrl.envs.base import Entry, integer
from jaxrl.envs.tabular import TabularMDP, check_law, inverse_cdf, simplex


@struct.dataclass
class LinearMixtureMDP:
    """Build it with `make_mixture`, or check foreign arrays with `validate_mixture`.

    phi: `[S, A, S, d]`. theta: `[d]`, or `[H, d]` where the law changes with the step. mu0: `[S]`.
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
        """The law as tables; `R` as in `TabularMDP` for scalar rewards, default 0 `[S, A]` or `[H, S, A]`."""
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
    `mu0` that do not sum to 1 within 1e-5.
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
    check_law("mixture.phi . theta", np.einsum("satd,...d->...sat", phi, theta))
    check_law("mixture.mu0", mu0)
    return mixture


class MixtureState(NamedTuple):
    """s: int32[] state; h: int32[] step, always 0 for stationary parameters."""

    s: Array
    h: Array


@dataclass(frozen=True)
class LinearMixture:
    """The simulator of a `LinearMixtureMDP`, which is its `Params`.

    Observation: int32[] state; with `H` the dict `{"obs": ..., "h": int32[]}`. Action: Discrete(A).
    Reward: 0. Termination: with `H` after `H` steps, otherwise never.

    S, A, d: sizes, equal to those of the parameters. H: horizon of parameters `[H, d]`, None for stationary
    ones.
    """

    S: int
    A: int
    d: int
    H: int | None = None
    name: str = "LinearMixture"
    reward_dim: None = None

    def __post_init__(self) -> None:
        check_sizes(self, "S", "A", "d", "H")

    @classmethod
    def of(cls, mixture: LinearMixtureMDP) -> LinearMixture:
        """The environment whose sizes are those of `mixture`."""
        return cls(mixture.n_states, mixture.n_actions, mixture.dim, mixture.horizon)

    @property
    def observation_space(self) -> Space:
        """States, with the step index where there is a horizon."""
        space = Discrete(self.S)
        return space if self.H is None else {"obs": space, "h": Discrete(self.H + 1)}

    @property
    def action_space(self) -> Discrete:
        """Discrete(A)."""
        return Discrete(self.A)

    def default_params(self) -> LinearMixtureMDP:
        """One fixed `hashed_mixture`; pass your own instead."""
        mixture = hashed_mixture(self.S, self.A, self.d, (7, 3, 5, 11), 13)
        return mixture if self.H is None else mixture.replace(theta=jnp.tile(mixture.theta, (self.H, 1)))

    def sample_params(self, key: Key) -> LinearMixtureMDP:
        """`random_mixture` of this environment's sizes."""
        return random_mixture(key, self.S, self.A, self.d, H=self.H)

    def to_tabular(self, params: LinearMixtureMDP) -> TabularMDP:
        """Without reward."""
        return params.to_tabular()

    def state_index(self, params: LinearMixtureMDP, state: MixtureState) -> Array:
        """int32[], the state."""
        return state.s

    def state_at(self, params: LinearMixtureMDP, index: Array, h: Array | int = 0) -> MixtureState:
        """The state of row `index` at step `h`."""
        return MixtureState(integer(index), integer(h))

    def item(self, params: LinearMixtureMDP, state: MixtureState) -> Array:
        """int32[], the state, as element of a set."""
        return state.s

    def reward(
        self, params: LinearMixtureMDP, state: MixtureState, action: Array, next_state: MixtureState
    ) -> Array:
        """0."""
        return jnp.zeros((), params.phi.dtype)

    def reset(self, key: Key, params: LinearMixtureMDP) -> tuple[MixtureState, PyTree]:
        """From `mu0`."""
        u = jax.random.uniform(key, (), params.phi.dtype)
        state = MixtureState(inverse_cdf(params.mu0, u), integer(0))
        return state, self._obs(state)

    def step(
        self, key: Key, state: MixtureState, action: Array, params: LinearMixtureMDP
    ) -> tuple[MixtureState, Step]:
        """`step_u` with one uniform number."""
        return self.step_u(state, action, jax.random.uniform(key, (), params.phi.dtype), params)

    def step_u(
        self, state: MixtureState, action: Array, u: Array, params: LinearMixtureMDP
    ) -> tuple[MixtureState, Step]:
        """The successor is the inverse distribution function at `u`, float[] in [0, 1)."""
        theta = params.theta if self.H is None else params.theta[state.h]
        law = jnp.matmul(params.phi[state.s, action], theta, precision="highest")
        after = MixtureState(inverse_cdf(law, u), state.h if self.H is None else state.h + 1)
        end = jnp.asarray(False) if self.H is None else after.h >= self.H
        return after, Step(self._obs(after), self.reward(params, state, action, after), end, {})

    def _obs(self, state: MixtureState) -> PyTree:
        return state.s if self.H is None else {"obs": state.s, "h": state.h}


# --- generators -------------------------------------------------------------------------------------------


def random_mixture(
    key: Key, S: int, A: int, d: int, *, H: int | None = None, concentration: float | None = None
) -> LinearMixtureMDP:
    """Base kernels per feature and pair by `simplex`, theta uniform on the simplex, uniform start; pure.

    phi = kernels / sqrt d and theta = sqrt d * simplex, so that |phi_V| <= 1 for 0 <= V <= 1 and
    |theta| <= sqrt d.
    """
    k_phi, k_theta = jax.random.split(key)
    dtype = jnp.result_type(float)
    root = jnp.sqrt(jnp.asarray(d, dtype))
    kernels = simplex(k_phi, (S, A, d, S), concentration)
    theta = simplex(k_theta, (d,) if H is None else (H, d)) * root
    return LinearMixtureMDP(jnp.moveaxis(kernels, -1, -2) / root, theta, jnp.full(S, 1 / S, dtype))


def hashed_mixture(
    S: int, A: int, d: int, factors: tuple[int, int, int, int], modulus: int
) -> LinearMixtureMDP:
    """Irregular kernels by arithmetic, P_i(x | s, a) ~ 1 + ((c0 i + c1 s + c2 a + c3 x)^2 mod modulus)^2,
    with weights ~ i + 1, i = 0 .. d - 1; scaled as `random_mixture`, start 0.
    """
    i, s, a, x = np.ix_(*map(np.arange, (d, S, A, S)))
    hashed = (factors[0] * i + factors[1] * s + factors[2] * a + factors[3] * x) ** 2 % modulus
    weight = 1.0 + hashed**2
    kernels = weight / weight.sum(-1, keepdims=True)
    theta = np.arange(1, d + 1) / np.arange(1, d + 1).sum()
    return make_mixture(np.moveaxis(kernels, 0, -1) / np.sqrt(d), theta * np.sqrt(d))


def lock(n: int, A: int, p_good: float, p_bad: float) -> LinearMixtureMDP:
    """Combination lock: from each of `n` states action (2 s + 1) mod A advances with `p_good`, any other with
    `p_bad`, else the sink n + 1; goal n and sink absorb. d = n A + 1, start 0.
    """
    if n < 1 or A < 1:
        raise UsageError(f"lock.{'n' if n < 1 else 'A'}: must be >= 1, got {n if n < 1 else A}")
    for name, p in (("p_good", p_good), ("p_bad", p_bad)):
        if not 0 <= p <= 1:
            raise UsageError(f"lock.{name}: must be a probability in [0, 1], got {p}")
    c, d, goal, sink = np.sqrt(0.5), n * A + 1, n, n + 1
    phi, theta = np.zeros((n + 2, A, n + 2, d)), np.zeros(d)
    theta[0] = 1 / c
    phi[goal, :, goal, 0] = phi[sink, :, sink, 0] = c
    for s in range(n):
        for a in range(A):
            i = 1 + s * A + a
            phi[s, a, s + 1, i] = c
            phi[s, a, sink, 0], phi[s, a, sink, i] = c, -c
            theta[i] = (p_good if a == (2 * s + 1) % A else p_bad) / c
    return make_mixture(phi, theta)


def tabular_mixture(mdp: TabularMDP) -> LinearMixtureMDP:
    """Any tables as a mixture, d = S^2 A: phi(s, a, s') = e_(s, a, s') / sqrt S, theta = sqrt S vec(P)."""
    S, A = mdp.n_states, mdp.n_actions
    P = np.asarray(mdp.P, np.float64)
    phi = np.eye(S * A * S).reshape(S, A, S, S * A * S) / np.sqrt(S)
    return make_mixture(phi, P.reshape(*P.shape[:-3], -1) * np.sqrt(S), np.asarray(mdp.mu0, np.float64))


ENVIRONMENTS = {
    "LinearMixture": Entry(partial(LinearMixture, 4, 2, 3)),
    "LinearMixture-horizon": Entry(partial(LinearMixture, 4, 2, 3, H=10)),
}
