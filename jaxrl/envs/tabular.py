"""Finite MDPs: one pytree that is simulator parameters, oracle input and linear-programme data at once.

Legend: `S` states, `A` actions, `H` steps of a finite horizon, `m` reward components. Tables are time-indexed
(`[H, ...]`, both `P` and `R`) or stationary (neither).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError, check_sizes
from jaxrl.core.spaces import Box, Discrete, Space
from jaxrl.core.types import Array, Key, PyTree, Step, struct
from jaxrl.envs.base import Entry, integer, real


@struct.dataclass
class TabularMDP:
    """A finite MDP as arrays; build it with `make_mdp`, or check foreign tables with `validate`.

    P: `[S, A, S]` or `[H, S, A, S]`, rows sum to 1.
    R: `[S, A]` or `[S, A, S]`; with `reward_dim = m` one more trailing axis `[m]`; one more leading axis
        `[H]` exactly where `P` has it.
    mu0: `[S]` law of the first state. gamma: `[]` discount, read by the oracles, not by `Tabular.step`.
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
    for name, law in (("P", tables.P), ("mu0", tables.mu0)):
        check_law(f"mdp.{name}", law)
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


def check_law(name: str, law: np.ndarray) -> None:
    """Raises `UsageError` unless `law` `[..., S]` holds probabilities (>= -1e-6, sums 1 within 1e-5)."""
    if np.any(law < -1e-6):
        where = tuple(int(i) for i in np.unravel_index(np.argmin(law), law.shape))
        raise UsageError(f"{name}: entry {where} is {law[where]:.3g}; probabilities must be >= 0")
    sums = np.asarray(law.sum(-1, dtype=np.float64))
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


class TabularState(NamedTuple):
    """s: int32[] state; h: int32[] index into time-indexed tables, always 0 for stationary ones."""

    s: Array
    h: Array


@dataclass(frozen=True)
class Tabular:
    """The simulator of a `TabularMDP`; `Params` is the MDP itself, so vmapping over MDPs is a vmap of tasks.

    Observation: int32[] state, or with `one_hot` float[S]; with `H` the dict `{"obs": ..., "h": int32[]}`.
    Action: Discrete(A). Reward: `R[s, a]` or `R[s, a, s']`.
    Termination: a terminal state is entered; with `H` also after `H` steps.

    S, A, reward_dim: sizes, equal to those of the parameters. H: horizon of time-indexed tables, None for
    stationary ones.
    """

    S: int
    A: int
    H: int | None = None
    one_hot: bool = False
    reward_dim: int | None = None
    name: str = "Tabular"

    def __post_init__(self) -> None:
        check_sizes(self, "S", "A", "H", "reward_dim")

    @classmethod
    def of(cls, mdp: TabularMDP, one_hot: bool = False) -> Tabular:
        """The environment whose sizes are those of `mdp`."""
        return cls(mdp.n_states, mdp.n_actions, mdp.horizon, one_hot, mdp.reward_dim)

    @property
    def observation_space(self) -> Space:
        """States, with the step index where there is a horizon."""
        space = Box(0.0, 1.0, (self.S,)) if self.one_hot else Discrete(self.S)
        return space if self.H is None else {"obs": space, "h": Discrete(self.H + 1)}

    @property
    def action_space(self) -> Discrete:
        """Discrete(A)."""
        return Discrete(self.A)

    def default_params(self) -> TabularMDP:
        """One fixed irregular MDP with full support; pass your own instead."""
        time, tail = (1 if self.H is None else self.H), (self.reward_dim or 1)
        h, s, a, t, i = np.ix_(*map(np.arange, (time, self.S, self.A, self.S, tail)))
        weight = 1 + (7 * h + 5 * s + 3 * a + 11 * t) ** 2 % 13
        P = (weight / weight.sum(3, keepdims=True))[..., 0]
        R = ((h + 3 * s + 5 * a + 2 * i) % 7 / 7)[:, :, :, 0]
        P, R = (P[0], R[0]) if self.H is None else (P, R)
        mu0 = np.full(self.S, 1 / self.S)
        return make_mdp(P, R[..., 0] if self.reward_dim is None else R, mu0, 0.9, (), self.reward_dim)

    def sample_params(self, key: Key) -> TabularMDP:
        """`random_mdp` of this environment's sizes."""
        return random_mdp(key, self.S, self.A, H=self.H, reward_dim=self.reward_dim)

    def to_tabular(self, params: TabularMDP) -> TabularMDP:
        """The parameters themselves."""
        return params

    def state_index(self, params: TabularMDP, state: TabularState) -> Array:
        """int32[], the row of `state` in the tables."""
        return state.s

    def state_at(self, params: TabularMDP, index: Array, h: Array | int = 0) -> TabularState:
        """The state of row `index` at step `h`."""
        return TabularState(integer(index), integer(h))

    def item(self, params: TabularMDP, state: TabularState) -> Array:
        """int32[], the state, as element of a set."""
        return state.s

    def reset(self, key: Key, params: TabularMDP) -> tuple[TabularState, PyTree]:
        """From `mu0`."""
        u = jax.random.uniform(key, (), params.P.dtype)
        state = TabularState(inverse_cdf(params.mu0, u), jnp.zeros((), jnp.int32))
        return state, self._obs(state, params)

    def step(
        self, key: Key, state: TabularState, action: Array, params: TabularMDP
    ) -> tuple[TabularState, Step]:
        """`step_u` with one uniform number."""
        return self.step_u(state, action, jax.random.uniform(key, (), params.P.dtype), params)

    def step_u(
        self, state: TabularState, action: Array, u: Array, params: TabularMDP
    ) -> tuple[TabularState, Step]:
        """The successor is the inverse distribution function of `P[s, a]` at `u`, float[] in [0, 1)."""
        row = params.P[self._at(state, action)]
        after = TabularState(inverse_cdf(row, u), state.h if self.H is None else state.h + 1)
        terminated = params.terminal[after.s]
        if self.H is not None:
            terminated |= after.h >= self.H
        reward = self.reward(params, state, action, after)
        return after, Step(self._obs(after, params), reward, terminated, {})

    def reward(
        self, params: TabularMDP, state: TabularState, action: Array, next_state: TabularState
    ) -> Array:
        """float[] or float[m]."""
        entry = params.R[self._at(state, action)]
        return entry[next_state.s] if params.reward_on_successor else entry

    def _at(self, state: TabularState, action: Array) -> tuple[Array, ...]:
        return (state.s, action) if self.H is None else (state.h, state.s, action)

    def _obs(self, state: TabularState, params: TabularMDP) -> PyTree:
        obs = jax.nn.one_hot(state.s, self.S, dtype=params.P.dtype) if self.one_hot else state.s
        return obs if self.H is None else {"obs": obs, "h": state.h}


def inverse_cdf(law: Array, u: Array) -> Array:
    """int32[], a draw from `law` `[S]` by one uniform `u` in [0, 1); never an entry of probability 0."""
    # masked, because float32 partial sums may rise by a rounding error at entries that are exactly 0
    cdf = jnp.where(law > 0, jnp.cumsum(law), 0)
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


# --- generators -------------------------------------------------------------------------------------------


def simplex(key: Key, shape: tuple[int, ...], concentration: float | None = None) -> Array:
    """Laws along the last axis of `shape`: uniform on the simplex, or Dirichlet(concentration)."""
    if concentration is None:  # Dirichlet(1), without the rejection loops of gamma variables
        x = jax.random.exponential(key, shape)
        return x / x.sum(-1, keepdims=True)
    return jax.random.dirichlet(key, jnp.full(shape[-1], concentration, jnp.result_type(float)), shape[:-1])


def random_mdp(
    key: Key,
    S: int,
    A: int,
    *,
    H: int | None = None,
    gamma: float = 0.9,
    reward_dim: int | None = None,
) -> TabularMDP:
    """Rows and `mu0` uniform on the simplex, rewards uniform in [0, 1]; pure, so it vmaps over keys."""
    k_p, k_r, k_0 = jax.random.split(key, 3)
    time, tail = () if H is None else (H,), () if reward_dim is None else (reward_dim,)
    return TabularMDP(
        P=simplex(k_p, (*time, S, A, S)),
        R=jax.random.uniform(k_r, (*time, S, A, *tail)),
        mu0=simplex(k_0, (S,)),
        gamma=real(gamma),
        terminal=jnp.zeros(S, bool),
        reward_dim=reward_dim,
    )


def garnet(key: Key, S: int, A: int, branching: int, *, gamma: float = 0.9) -> TabularMDP:
    """Garnet(S, A, b): each pair reaches `branching` distinct states, with probabilities between sorted
    uniform cuts, and pays a standard normal reward; uniform start (Archibald, McKinnon, Thomas 1995). Pure.
    """
    if not 1 <= branching <= S:
        raise UsageError(f"branching: must lie in 1 .. S = {S}, got {branching}")
    k_next, k_cut, k_r = jax.random.split(key, 3)
    noise = jax.random.uniform(k_next, (S, A, S))
    successors = jnp.argsort(noise, axis=-1)[..., :branching]
    cuts = jnp.sort(jax.random.uniform(k_cut, (S, A, branching - 1)), axis=-1)
    edges = jnp.concatenate([jnp.zeros((S, A, 1)), cuts, jnp.ones((S, A, 1))], axis=-1)
    s, a = jnp.arange(S)[:, None, None], jnp.arange(A)[None, :, None]
    P = jnp.zeros((S, A, S)).at[s, a, successors].set(jnp.diff(edges, axis=-1))
    return TabularMDP(
        P=P,
        R=jax.random.normal(k_r, (S, A)),
        mu0=jnp.full(S, 1 / S, P.dtype),
        gamma=real(gamma),
        terminal=jnp.zeros(S, bool),
    )


def chain(length: int, slip: float = 0.05, *, gamma: float = 1.0) -> TabularMDP:
    """Double chain: actions left, right, reversed with probability `slip`; borders hold; start in the middle;
    reward 1 for staying at the right end (reward-free-ucrl, Kaufmann et al. 2021).
    """
    if length < 2:
        raise UsageError(f"length: must be >= 2, got {length}")
    _check_probability("slip", slip)
    P = np.zeros((length, 2, length))
    for s in range(length):
        left, right = max(s - 1, 0), min(s + 1, length - 1)
        P[s, 0, left] += 1 - slip
        P[s, 0, right] += slip
        P[s, 1, right] += 1 - slip
        P[s, 1, left] += slip
    R = np.zeros((length, 2, length))
    R[-1, :, -1] = 1.0
    return make_mdp(P, R, length // 2, gamma)


def riverswim(S: int = 6, *, gamma: float = 1.0) -> TabularMDP:
    """Swim right against the current, start 0 (Strehl and Littman 2008; constants of UCRL-VTR's testbed)."""
    if S < 2:
        raise UsageError(f"S: must be >= 2, got {S}")
    P, R = np.zeros((S, 2, S)), np.zeros((S, 2))
    for s in range(S):
        P[s, 0, max(s - 1, 0)] = 1.0
        if s == 0:
            P[s, 1, :2] = 0.3, 0.7
        elif s == S - 1:
            P[s, 1, -2:] = 0.1, 0.9
        else:
            P[s, 1, s - 1 : s + 2] = 0.1, 0.6, 0.3
    R[0, 0], R[-1, 1] = 0.005, 1.0
    return make_mdp(P, R, 0, gamma)


def random_walk(n: int = 19, *, gamma: float = 1.0) -> TabularMDP:
    """One action, left or right with probability 1/2 from the middle of `n` states; state 0 and state n + 1
    are terminal and pay -1 and +1 on entry (Sutton and Barto 2018, example 7.1): V(i) = 2 i / (n + 1) - 1.
    """
    if n < 1:
        raise UsageError(f"n: must be >= 1, got {n}")
    P, R = np.zeros((n + 2, 1, n + 2)), np.zeros((n + 2, 1, n + 2))
    for s in range(1, n + 1):
        P[s, 0, s - 1] = P[s, 0, s + 1] = 0.5
    R[1, 0, 0], R[n, 0, n + 1] = -1.0, 1.0
    return make_mdp(P, R, (n + 1) // 2, gamma, terminal=(0, n + 1))


def gridworld(
    layout: Sequence[str], slip: float = 0.0, *, gamma: float = 0.99, terminal_goal: bool = True
) -> TabularMDP:
    """A maze as a map: `#` wall, `.` free, `S` start (several: uniform), `G` goal; states are the cells that
    are not walls, in row-major order.

    Actions up, down, left, right; with probability `slip` a uniformly random one of the four; blocked moves
    stay. Reward 1 on entering a goal, which ends the episode unless `terminal_goal` is False (then reward 1
    for every step that leads into it, staying included).
    """
    _check_probability("slip", slip)
    if not layout or len({len(row) for row in layout}) != 1:
        raise UsageError("layout: rows must be non-empty and equally long")
    unknown = set("".join(layout)) - set("#.SG")
    if unknown:
        raise UsageError(f"layout: character {sorted(unknown)[0]!r} is none of '#', '.', 'S', 'G'")
    cells = [(r, c) for r, row in enumerate(layout) for c, x in enumerate(row) if x != "#"]
    index = {cell: i for i, cell in enumerate(cells)}
    kinds = [layout[r][c] for r, c in cells]
    if "S" not in kinds:
        raise UsageError("layout: has no start; mark at least one cell with 'S'")
    goals = [i for i, x in enumerate(kinds) if x == "G"]
    P = np.zeros((len(cells), 4, len(cells)))
    for (r, c), s in index.items():
        targets = [index.get((r + dr, c + dc), s) for dr, dc in ((-1, 0), (1, 0), (0, -1), (0, 1))]
        for a in range(4):
            P[s, a, targets[a]] += 1 - slip
            for target in targets:
                P[s, a, target] += slip / 4
    R = np.zeros_like(P)
    R[..., goals] = 1.0
    starts = np.array([x == "S" for x in kinds], np.float64)
    return make_mdp(P, R, starts / starts.sum(), gamma, terminal=goals if terminal_goal else ())


def _check_probability(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise UsageError(f"{name}: must be a probability in [0, 1], got {value}")


ENVIRONMENTS = {
    "Tabular": Entry(partial(Tabular, 5, 3), inert=("gamma",)),
    "Tabular-vector": Entry(partial(Tabular, 5, 3, one_hot=True, reward_dim=2), inert=("gamma",)),
    "Tabular-horizon": Entry(partial(Tabular, 5, 3, H=10), inert=("gamma",)),
}
