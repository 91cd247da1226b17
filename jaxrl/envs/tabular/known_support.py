"""Linear mixtures of tables whose successors are known and whose probabilities are not, without dense phi.

    phi(s, a, x) = e_(s, a, x) / sqrt k   for the successors x of (s, a),   theta = sqrt k P

Legend: `S` states, `A` actions, `k` the largest number of successors of a pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Size, check_fields
from jaxrl.core.spaces import Discrete
from jaxrl.core.types import Array, Key, Step, struct
from jaxrl.envs.base import Entry, integer
from jaxrl.envs.tabular.generators import four_rooms
from jaxrl.envs.tabular.mdp import TabularMDP, check_distribution, inverse_cdf, simplex
from jaxrl.envs.tabular.mixture import LinearMixtureMDP, make_mixture


@struct.dataclass
class KnownSupportMDP:
    """Build it with `known_support`, or check foreign arrays with `validate_known_support`.

    successors: int32`[S, A, k]`, in ascending order, padded with any state. mask: bool`[S, A, k]`, False
    in the padding. theta: `[S, A, k]`, sqrt k P at the successors and 0 in the padding. mu0: `[S]`.
    """

    successors: Array
    mask: Array
    theta: Array
    mu0: Array

    @property
    def n_states(self) -> int:
        """S."""
        return self.successors.shape[0]

    @property
    def n_actions(self) -> int:
        """A."""
        return self.successors.shape[1]

    @property
    def width(self) -> int:
        """The largest number k of successors."""
        return self.successors.shape[2]

    @property
    def dim(self) -> Array:
        """int32[], the number of features d, that of all successors of all pairs."""
        return self.mask.sum(dtype=jnp.int32)

    @property
    def horizon(self) -> None:
        """None: the transitions are stationary."""
        return None

    def probabilities(self) -> Array:
        """P at the successors, `[S, A, k]`, 0 in the padding."""
        return jnp.where(self.mask, self.theta, 0) / np.sqrt(self.width).astype(self.theta.dtype)

    def to_tabular(self, R: Array | None = None, gamma: float = 1.0) -> TabularMDP:
        """The transitions as tables; `R` as in `TabularMDP` for scalar rewards, by default 0."""
        p = self.probabilities()
        s, a, _ = np.ix_(*map(np.arange, p.shape))
        P = jnp.zeros((*p.shape[:2], self.n_states), p.dtype).at[s, a, self.successors].add(p)
        return TabularMDP(
            P=P,
            R=jnp.zeros(P.shape[:-1], P.dtype) if R is None else R,
            mu0=self.mu0,
            gamma=jnp.full((), gamma, P.dtype),
            terminal=jnp.zeros(self.n_states, bool),
        )

    def to_dense(self) -> LinearMixtureMDP:
        """The same mixture with dense features `[S, A, S, d]`, for small S; a host computation."""
        successors, mask, theta = (np.asarray(x) for x in (self.successors, self.mask, self.theta))
        s, a, _ = at = np.nonzero(mask)
        d = len(s)
        phi = np.zeros((self.n_states, self.n_actions, self.n_states, d))
        phi[s, a, successors[at], np.arange(d)] = 1 / np.sqrt(self.width)
        return make_mixture(phi, theta[at], np.asarray(self.mu0, np.float64))


def known_support(mdp: TabularMDP) -> KnownSupportMDP:
    """The mixture of stationary tables, whose successors are the states of positive probability.

    Rewards are left out. |theta| = sqrt k |vec P|, and |phi_V| <= 1 for 0 <= V <= 1 by construction.
    Raises `UsageError` for time-indexed tables.
    """
    if mdp.horizon is not None:
        raise UsageError(f"mdp.P: is time-indexed (H = {mdp.horizon}); pass a stationary MDP")
    P = np.asarray(mdp.P, np.float64)
    mask = np.arange(P.shape[-1]) < (P > 0).sum(-1, keepdims=True)
    k = int(mask.sum(-1).max())
    successors = np.argsort(P <= 0, axis=-1, kind="stable")[..., :k].astype(np.int32)
    mask = mask[..., :k]
    successors = np.where(mask, successors, successors[..., :1])
    theta = np.where(mask, np.take_along_axis(P, successors, -1), 0) * np.sqrt(k)
    mixture = KnownSupportMDP(successors, mask, theta, np.asarray(mdp.mu0, np.float64))
    return jax.tree.map(jnp.asarray, validate_known_support(mixture))


def validate_known_support(mixture: KnownSupportMDP) -> KnownSupportMDP:
    """`mixture` itself if it is one: a host check, never inside jit.

    Raises `UsageError` for wrong shapes, successors outside 0 .. S - 1 or twice in a row, numbers that are
    not finite, probabilities below -1e-6, rows or `mu0` that do not sum to 1 within 1e-5.
    """
    successors, mask, theta, mu0 = (
        np.asarray(x) for x in (mixture.successors, mixture.mask, mixture.theta, mixture.mu0)
    )
    if successors.ndim != 3 or 0 in successors.shape or not np.issubdtype(successors.dtype, np.integer):
        raise UsageError(f"mixture.successors: {successors.dtype}{successors.shape} is not int[S, A, k]")
    for name, x, shape in (
        ("mask", mask, successors.shape),
        ("theta", theta, successors.shape),
        ("mu0", mu0, successors.shape[:1]),
    ):
        if x.shape != shape:
            raise UsageError(f"mixture.{name}: shape {x.shape} must be {shape}, as that of successors says")
    if mask.dtype != bool:
        raise UsageError(f"mixture.mask: must be bool[S, A, k], got {mask.dtype}")
    S = successors.shape[0]
    if np.any((successors < 0) | (successors >= S)):
        raise UsageError(f"mixture.successors: must lie in 0 .. {S - 1}")
    # entries of the padding become distinct numbers below 0
    distinct = np.sort(np.where(mask, successors, -1 - np.arange(successors.shape[-1])), axis=-1)
    if np.any(twice := np.any(np.diff(distinct, axis=-1) == 0, axis=-1)):
        s, a = (int(i) for i in np.argwhere(twice)[0])
        raise UsageError(
            f"mixture.successors: a state stands twice at the pair (s, a) = ({s}, {a}); list it once"
        )
    if not np.all(np.isfinite(theta)):
        raise UsageError("mixture.theta: contains NaN or infinity; every entry must be finite")
    check_distribution("mixture.theta / sqrt k", np.where(mask, theta, 0) / np.sqrt(successors.shape[-1]))
    check_distribution("mixture.mu0", mu0)
    return mixture


class KnownSupportState(NamedTuple):
    """State of `KnownSupportMixture`.

    s: int32[] state.
    """

    s: Array


@dataclass(frozen=True)
class KnownSupportMixture:
    """The simulator of a `KnownSupportMDP`, which is its `Params`; the reward is 0, `with_reward` adds one.

    Observation: int32[] state. Action: Discrete(A). Termination: never. The same uniform numbers give
    the same states as `LinearMixture` with dense features.
    """

    S: Size
    """Number of states, that of the parameters."""
    A: Size
    """Number of actions, that of the parameters."""
    k: Size
    """Largest number of successors of a pair, that of the parameters."""
    instance: Literal["hashed", "four_rooms"] = "hashed"
    """What `default_params` returns: irregular probabilities of k successive states, or `four_rooms`."""
    name: str = "KnownSupportMixture"
    reward_dim: None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.k > self.S:
            raise UsageError(f"KnownSupportMixture.k: must be at most S = {self.S}, got {self.k}")
        rooms = (_side(self.S) - 1) ** 2 + 4, 4, 4
        if self.instance == "four_rooms" and (self.S, self.A, self.k) != rooms:
            raise UsageError(
                f"KnownSupportMixture.S: four rooms have S = (n - 1)^2 + 4 states for odd n, A = 4 and k = 4,"
                f" got S = {self.S}, A = {self.A}, k = {self.k}; use {rooms[0]}, 4 and 4"
            )

    @classmethod
    def of(cls, mixture: KnownSupportMDP) -> KnownSupportMixture:
        """The environment whose sizes are those of `mixture`."""
        return cls(mixture.n_states, mixture.n_actions, mixture.width)

    @property
    def observation_space(self) -> Discrete:
        """States."""
        return Discrete(self.S)

    @property
    def action_space(self) -> Discrete:
        """Discrete(A)."""
        return Discrete(self.A)

    def default_params(self) -> KnownSupportMDP:
        """The mixture that `instance` names; pass your own instead."""
        if self.instance == "four_rooms":
            return known_support(four_rooms(_side(self.S)))
        s, a, j = np.ix_(*map(np.arange, (self.S, self.A, self.k)))
        weight = 1.0 + (3 * s + 5 * a + 11 * j) ** 2 % 13
        P = np.zeros((self.S, self.A, self.S))
        np.put_along_axis(P, (s + a + j) % self.S, weight / weight.sum(-1, keepdims=True), -1)
        return known_support(_tables(P))

    def sample_params(self, key: Key) -> KnownSupportMDP:
        """The successors of `default_params` with probabilities uniform on the simplex."""
        with jax.ensure_compile_time_eval():
            default = self.default_params()
        x = simplex(key, default.theta.shape)
        x = jnp.where(default.mask, x, 0)
        return default.replace(theta=x / x.sum(-1, keepdims=True) * np.sqrt(self.k).astype(x.dtype))

    def to_tabular(self, params: KnownSupportMDP) -> TabularMDP:
        """Without reward."""
        return params.to_tabular()

    def state_index(self, params: KnownSupportMDP, state: KnownSupportState) -> Array:
        """int32[], the state."""
        return state.s

    def state_at(self, params: KnownSupportMDP, index: Array, h: Array | int = 0) -> KnownSupportState:
        """The state of row `index`."""
        return KnownSupportState(integer(index))

    def item(self, params: KnownSupportMDP, state: KnownSupportState) -> Array:
        """int32[], the state, as element of a set."""
        return state.s

    def reward(
        self, params: KnownSupportMDP, state: KnownSupportState, action: Array, next_state: KnownSupportState
    ) -> Array:
        """0."""
        return jnp.zeros((), params.theta.dtype)

    def reset(self, key: Key, params: KnownSupportMDP) -> tuple[KnownSupportState, Array]:
        """From `mu0`."""
        s = inverse_cdf(params.mu0, jax.random.uniform(key, (), params.theta.dtype))
        return KnownSupportState(s), s

    def step(
        self, key: Key, state: KnownSupportState, action: Array, params: KnownSupportMDP
    ) -> tuple[KnownSupportState, Step]:
        """`step_u` with one uniform number."""
        return self.step_u(state, action, jax.random.uniform(key, (), params.theta.dtype), params)

    def step_u(
        self, state: KnownSupportState, action: Array, u: Array, params: KnownSupportMDP
    ) -> tuple[KnownSupportState, Step]:
        """The successor is the inverse distribution function at `u`, float[] in [0, 1)."""
        p = jnp.where(params.mask[state.s, action], params.theta[state.s, action], 0)
        s = params.successors[state.s, action, inverse_cdf(p, u)]
        after = KnownSupportState(s)
        return after, Step(s, self.reward(params, state, action, after), jnp.asarray(False), {})


def _side(S: int) -> int:
    """The odd n of four rooms with about `S` states, (n - 1)^2 + 4 of them exactly."""
    return 2 * round(np.sqrt(max(S - 4, 4)) / 2) + 1


def _tables(P: Any) -> TabularMDP:
    """Tables without reward that start in state 0."""
    P = np.asarray(P, np.float64)
    zero, terminal = np.zeros(P.shape[:2]), np.zeros(len(P), bool)
    return TabularMDP(P, zero, np.eye(len(P))[0], np.float64(1), terminal)  # pyright: ignore[reportArgumentType]


ENVIRONMENTS = {
    "KnownSupport": Entry(partial(KnownSupportMixture, 6, 2, 3)),
    "KnownSupport-four-rooms": Entry(
        partial(KnownSupportMixture, 68, 4, 4, "four_rooms", name="FourRooms"), inert=("successors",)
    ),
}
