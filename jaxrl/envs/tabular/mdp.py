"""Finite MDPs: one pytree that is simulator parameters, oracle input and linear-programme data at once.

Legend: `S` states, `A` actions, `H` steps of a finite horizon, `m` reward components. Tables are time-indexed
(`[H, ...]`, both `P` and `R`) or stationary (neither).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array, Key, struct


@struct.dataclass
class TabularMDP:
    """A finite MDP as arrays; build it with `make_mdp`, or check foreign tables with `validate`.

    P: `[S, A, S]` or `[H, S, A, S]`, rows sum to 1.
    R: `[S, A]` or `[S, A, S]`; with `reward_dim = m` one more trailing axis `[m]`; one more leading axis
        `[H]` exactly where `P` has it.
    mu0: `[S]` distribution of the first state. gamma: `[]` discount, read by oracles, not by `Tabular.step`.
    terminal: bool`[S]`; a terminal state is absorbing with zero reward in `P` and `R`, so that oracles need
        no special case, and ends the episode when it is entered.
    reward_dim: None for scalar rewards, m for vectors (static; it tells `[S, A, m]` from `[S, A, S]`).
    """

    P: Array
    R: Array
    mu0: Array
    gamma: Array
    terminal: Array
    reward_dim: int | None = struct.field(pytree_node=False, default=None)

    @property
    def n_states(self) -> int:
        """S."""
        return self.P.shape[-1]

    @property
    def n_actions(self) -> int:
        """A."""
        return self.P.shape[-2]

    @property
    def horizon(self) -> int | None:
        """H of time-indexed tables, None of stationary ones."""
        return self.P.shape[0] if self.P.ndim == 4 else None

    @property
    def reward_on_successor(self) -> bool:
        """Whether `R` also depends on the successor state."""
        return self.R.ndim - (self.reward_dim is not None) - (self.P.ndim == 4) == 3


def expected_reward(mdp: TabularMDP) -> Array:
    """`E[R | s, a]`: `[S, A]`, `[S, A, m]`, and with a leading `[H]` for time-indexed tables."""
    if not mdp.reward_on_successor:
        return mdp.R
    if mdp.reward_dim is None:
        return jnp.einsum("...sat,...sat->...sa", mdp.P, mdp.R, precision="highest")
    return jnp.einsum("...sat,...satm->...sam", mdp.P, mdp.R, precision="highest")


def time_indexed(mdp: TabularMDP, horizon: int) -> TabularMDP:
    """The stationary `mdp` as tables `[horizon, ...]`, to be changed step by step or given to `Tabular`."""
    if mdp.horizon is not None:
        raise UsageError(f"mdp.P: is time-indexed already (H = {mdp.horizon}); pass a stationary MDP")
    if horizon < 1:
        raise UsageError(f"horizon: must be >= 1, got {horizon}")
    return mdp.replace(
        P=jnp.broadcast_to(mdp.P, (horizon, *mdp.P.shape)), R=jnp.broadcast_to(mdp.R, (horizon, *mdp.R.shape))
    )


def make_mdp(
    P: Any,
    R: Any,
    mu0: Any = 0,
    gamma: float = 1.0,
    terminal: Sequence[int] = (),
    reward_dim: int | None = None,
) -> TabularMDP:
    """A validated MDP from host arrays, in the default float dtype (float64 under `jax.enable_x64(True)`).

    mu0: `[S]`, or the index of the only start. terminal: indices; their rows of `P` and `R` are overwritten
    by absorption with zero reward. Raises `UsageError` as `validate` does.
    """
    P, R = np.array(P, np.float64), np.array(R, np.float64)
    n = P.shape[-1] if P.ndim else 0
    if np.ndim(mu0) == 0:
        if not 0 <= int(mu0) < n:
            raise UsageError(f"mu0: start state {mu0} is outside 0 .. {n - 1}; pass a state or an array [S]")
        mu0 = np.eye(n)[int(mu0)]
    mask = np.zeros(n, bool)
    for s in terminal:
        if not 0 <= s < n:
            raise UsageError(f"terminal: state {s} is outside 0 .. {n - 1}; pass indices of states")
        mask[s] = True
    mdp = TabularMDP(P, R, np.asarray(mu0, np.float64), np.float64(gamma), mask, reward_dim)
    _check_shapes(mdp)
    axis = P.ndim - 3
    at = (slice(None),) * axis + (mask,)
    P[at], R[at] = np.eye(n)[mask][:, None, :], 0.0
    validate(mdp)
    return jax.tree.map(jnp.asarray, mdp)


def validate(mdp: TabularMDP) -> TabularMDP:
    """`mdp` itself if it is one: a host check, never inside jit.

    Raises `UsageError` for wrong shapes, entries of `P` below -1e-6, rows or `mu0` that do not sum to 1
    within 1e-5, `gamma` outside [0, 1], numbers that are not finite, terminal states that are left,
    rewarded or started from.
    """
    _check_shapes(mdp)
    tables = jax.tree.map(np.asarray, mdp)
    for name in ("P", "R", "mu0", "gamma"):
        if not np.all(np.isfinite(getattr(tables, name))):
            raise UsageError(f"mdp.{name}: contains NaN or infinity; every entry must be finite")
    if not 0 <= tables.gamma <= 1:
        raise UsageError(f"mdp.gamma: must lie in [0, 1], got {float(tables.gamma)}")
    for name, p in (("P", tables.P), ("mu0", tables.mu0)):
        check_distribution(f"mdp.{name}", p)
    t = tables.terminal
    if np.any(tables.mu0[t] > 0):
        raise UsageError(
            f"mdp.mu0: starts in terminal state {int(np.argmax(t & (tables.mu0 > 0)))}; move its mass"
        )
    rows = tables.P[..., t, :, :]
    if not np.allclose(rows, np.eye(mdp.n_states)[t][:, None, :], atol=1e-6):
        raise UsageError(
            "mdp.P: a terminal state is left again; make it absorbing or use make_mdp(terminal=)"
        )
    if np.any(np.moveaxis(tables.R, tables.P.ndim - 3, 0)[t] != 0):
        raise UsageError("mdp.R: a terminal state is rewarded; pay on the way in, or use make_mdp(terminal=)")
    return mdp


def check_distribution(name: str, p: np.ndarray) -> None:
    """Raises `UsageError` unless `p` `[..., S]` holds probabilities (>= -1e-6, sums 1 within 1e-5)."""
    if np.any(p < -1e-6):
        where = tuple(int(i) for i in np.unravel_index(np.argmin(p), p.shape))
        raise UsageError(f"{name}: entry {where} is {p[where]:.3g}; probabilities must be >= 0")
    sums = np.asarray(p.sum(-1, dtype=np.float64))
    if np.any(np.abs(sums - 1) > 1e-5):
        where = tuple(int(i) for i in np.unravel_index(np.argmax(np.abs(sums - 1)), sums.shape))
        raise UsageError(f"{name}: row {where} sums to {sums[where]:.6g}; probabilities must sum to 1")


def _check_shapes(mdp: TabularMDP) -> None:
    P, R = np.shape(mdp.P), np.shape(mdp.R)
    if len(P) not in (3, 4) or P[-1] != P[-3] or 0 in P:
        raise UsageError(f"mdp.P: shape {P} is neither [S, A, S] nor [H, S, A, S]")
    tail = () if mdp.reward_dim is None else (mdp.reward_dim,)
    allowed = (P[:-1] + tail, P + tail)
    if R not in allowed:
        raise UsageError(
            f"mdp.R: shape {R} is none of {allowed[0]}, {allowed[1]} that P {P} and reward_dim "
            f"{mdp.reward_dim} allow; set reward_dim for vector rewards, use time_indexed for a horizon"
        )
    if np.shape(mdp.mu0) != P[-1:]:
        raise UsageError(f"mdp.mu0: shape {np.shape(mdp.mu0)} must be [S] = ({P[-1]},)")
    if np.shape(mdp.gamma) != ():
        raise UsageError(f"mdp.gamma: shape {np.shape(mdp.gamma)} must be ()")
    if np.shape(mdp.terminal) != P[-1:] or np.asarray(mdp.terminal).dtype != bool:
        raise UsageError(f"mdp.terminal: must be bool[S] with S = {P[-1]}, not a list of indices")


def inverse_cdf(p: Array, u: Array) -> Array:
    """int32[], a draw from `p` `[S]` by one uniform `u` in [0, 1); never an entry of probability 0."""
    # masked, because float32 partial sums may rise by a rounding error at entries that are exactly 0
    cdf = jnp.where(p > 0, jnp.cumsum(p), 0)
    return jnp.argmax(cdf > u * cdf.max()).astype(jnp.int32)


def from_outcomes(
    outcomes: Callable[[Array, Array], tuple[Array, ...]], n: int, A: int, start: Array, dtype: Any
) -> TabularMDP:
    """Tables `[n + 1, A, n + 1]` by enumeration, for `Finite` environments; gamma is 1. Pure.

    outcomes: `(row, action) -> (probabilities [k], rows [k], probability of the end [], expected reward)`.
    The end of the episode is the last row, `n`.
    """
    s, a = jnp.arange(n), jnp.arange(A)
    p, rows, end, reward = jax.vmap(jax.vmap(outcomes, (None, 0)), (0, None))(s, a)
    P = jnp.zeros((n + 1, A, n + 1), dtype)
    P = P.at[s[:, None, None], a[None, :, None], rows].add(p.astype(dtype))
    P = P.at[:n, :, n].set(end).at[n, :, n].set(1)
    tail = reward.shape[2:]
    return TabularMDP(
        P=P,
        R=jnp.zeros((n + 1, A, *tail), dtype).at[:n].set(reward),
        mu0=jax.nn.one_hot(start, n + 1, dtype=dtype),
        gamma=jnp.ones((), dtype),
        terminal=jnp.arange(n + 1) == n,
        reward_dim=tail[0] if tail else None,
    )


def simplex(key: Key, shape: tuple[int, ...], concentration: float | None = None) -> Array:
    """Distributions along the last axis of `shape`: uniform on the simplex, or Dirichlet(concentration)."""
    if concentration is None:  # Dirichlet(1), without the rejection loops of gamma variables
        x = jax.random.exponential(key, shape)
        return x / x.sum(-1, keepdims=True)
    return jax.random.dirichlet(key, jnp.full(shape[-1], concentration, jnp.result_type(float)), shape[:-1])


def check_probability(name: str, value: float) -> None:
    """Raises `UsageError` unless `value` lies in [0, 1]."""
    if not 0 <= value <= 1:
        raise UsageError(f"{name}: must be a probability in [0, 1], got {value}")
