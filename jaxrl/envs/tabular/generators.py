"""Finite MDPs of the literature: random, Garnet, chains, RiverSwim, random walk, grid world, four rooms."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Share, Size, check_leaf, check_value
from jaxrl.core.types import Key
from jaxrl.envs.base import real
from jaxrl.envs.tabular.mdp import TabularMDP, check_probability, make_mdp, simplex


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
    _check_sizes(S, A, gamma)
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
    _check_sizes(S, A, gamma)
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
    check_probability("slip", slip)
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
    check_probability("slip", slip)
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


def four_rooms_layout(n: int = 9) -> tuple[str, ...]:
    """The map of `four_rooms`, `n` rows of `n` characters as `gridworld` reads them.

    Walls fill the middle row and column but for four doors; start (0, 0), goal (n - 1, n - 1).
    Raises `UsageError` unless n is odd and at least 3.
    """
    if n < 3 or n % 2 == 0:
        raise UsageError(f"n: must be odd and >= 3, got {n}")
    mid = n // 2
    grid = np.full((n, n), ".")
    grid[mid, :] = grid[:, mid] = "#"
    near, far = mid // 2, mid + 1 + mid // 2
    grid[[near, far, mid, mid], [mid, mid, near, far]] = "."
    grid[0, 0], grid[-1, -1] = "S", "G"
    return tuple("".join(row) for row in grid)


def four_rooms(n: int = 9, slip: float = 0.1, *, gamma: float = 1.0) -> TabularMDP:
    """Four rooms of an n x n map with the moves of `gridworld`; never ends, pays 1 per step at the goal.

    States are the free cells in row-major order, (n - 1)^2 + 4 of them; the start is the first, the goal the
    last one. Raises `UsageError` as `four_rooms_layout` does, and for `slip` outside [0, 1].
    """
    P = np.asarray(gridworld(four_rooms_layout(n), slip, terminal_goal=False).P, np.float64)
    R = np.zeros(P.shape[:2])
    R[-1] = 1.0
    return make_mdp(P, R, 0, gamma)


def _check_sizes(S: int, A: int, gamma: float) -> None:
    check_value("S", S, Size)
    check_value("A", A, Size)
    check_leaf("gamma", gamma, Share)
