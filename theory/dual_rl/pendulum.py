"""The pendulum on a grid of angles and speeds: a finite MDP large enough to swing up, with exact occupancies.

A successor off the grid is divided among its four neighbours, in proportion, so that means of angle and speed
are those of the pendulum while noise of half a cell is added.

Legend: `S` states, `A` torques; a state is an angle (the slow index) and a speed.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import sparse

from jaxrl.envs.control.pendulum import Pendulum, PendulumState

MAX_SPEED, MAX_TORQUE = 8.0, 2.0


class Grid(NamedTuple):
    """A finite pendulum, float64.

    transitions: sparse `[S * A, S]`. reward: `[S, A]`, of `repeat` steps with one torque. begin: `[S]`, any
    angle, speeds in [-1, 1]. gamma: discount of `repeat` steps. angle, speed: `[S]`, angle in [-pi, pi) from
    upright, rad, and rad/s.
    """

    transitions: Any
    reward: np.ndarray
    begin: np.ndarray
    gamma: float
    angle: np.ndarray
    speed: np.ndarray

    @property
    def upright(self) -> np.ndarray:
        """bool`[S]`, nearly upright and slow."""
        return (np.abs(self.angle) < 0.4) & (np.abs(self.speed) < 1.5)

    @property
    def hanging(self) -> int:
        """The state that hangs still."""
        return int(np.hypot(np.abs(self.angle) - np.pi, self.speed).argmin())


@cache
def grid(side: int, torques: int = 5, repeat: int = 2, gamma: float = 0.95) -> Grid:
    """`side` angles and speeds, odd, so that resting upright is a state; gamma: discount of one step."""
    angle = 2 * np.pi * (np.arange(side) - side // 2) / side
    speed = np.linspace(-MAX_SPEED, MAX_SPEED, side)
    torque = np.linspace(-MAX_TORQUE, MAX_TORQUE, torques)
    start = [x.ravel() for x in np.meshgrid(angle, speed, torque, indexing="ij")]
    theta, theta_dot, reward = _moved(*start, repeat, gamma)
    row, column, share = [], [], []
    across = np.mod(theta / (2 * np.pi) * side + side // 2, side)
    along = (theta_dot / MAX_SPEED + 1) / 2 * (side - 1)
    low = np.floor(across).astype(int) % side, np.minimum(along.astype(int), side - 2)
    above = across - np.floor(across), along - low[1]
    for i in (0, 1):
        for j in (0, 1):
            row.append(np.arange(theta.size))
            column.append((low[0] + i) % side * side + low[1] + j)
            share.append(np.abs(1 - i - above[0]) * np.abs(1 - j - above[1]))
    entries = np.concatenate(share), (np.concatenate(row), np.concatenate(column))
    begin = np.tile(np.abs(speed) <= 1, side).astype(float)
    return Grid(
        sparse.csr_matrix(entries, (theta.size, side**2)),
        reward.reshape(side**2, torques),
        begin / begin.sum(),
        gamma**repeat,
        np.repeat(angle, side),
        np.tile(speed, side),
    )


def _moved(
    theta: np.ndarray, theta_dot: np.ndarray, torque: np.ndarray, repeat: int, gamma: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Angles, speeds and discounted rewards after `repeat` steps of the environment."""
    env = Pendulum()
    with jax.enable_x64(True):
        params = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), env.default_params())
        state = PendulumState(jnp.asarray(theta), jnp.asarray(theta_dot))
        step = jax.jit(jax.vmap(lambda s, u: env.step(jax.random.key(0), s, u[None], params)))
        total = np.zeros(theta.size)
        for k in range(repeat):
            state, out = step(state, jnp.asarray(torque))
            total += gamma**k * np.asarray(out.reward)
        return np.asarray(state.theta), np.asarray(state.theta_dot), total


def best(g: Grid, gamma: float, sweeps: int = 5000) -> np.ndarray:
    """int`[S]`, the optimal torque at the discount `gamma` of one step of the grid, by value iteration."""
    v = np.zeros(len(g.begin))
    for _ in range(sweeps):
        q = g.reward + gamma * (g.transitions @ v).reshape(g.reward.shape)
        v, change = q.max(1), np.abs(q.max(1) - v).max()
        if change < 1e-10:
            break
    return q.argmax(1)


def visits(g: Grid, policy: np.ndarray, steps: int, begin: np.ndarray | None = None) -> np.ndarray:
    """float64`[S, A]` of sum 1, pairs of `policy` `[S, A]` in episodes of `steps`, undiscounted."""
    state = g.begin if begin is None else begin
    total = np.zeros_like(g.reward)
    for _ in range(steps):
        pairs = state[:, None] * policy
        total += pairs / steps
        state = g.transitions.T @ pairs.ravel()
    return total


def episode(g: Grid, policy: np.ndarray, steps: int, start: int, rng: np.random.Generator) -> np.ndarray:
    """float64`[S, A]` of sum 1, the pairs of one drawn episode."""
    pairs, state = np.zeros_like(g.reward), start
    torques = g.reward.shape[1]
    for _ in range(steps):
        torque = rng.choice(torques, p=policy[state])
        pairs[state, torque] += 1 / steps
        row = g.transitions[state * torques + torque]
        state = int(rng.choice(row.indices, p=row.data / row.data.sum()))
    return pairs


def without_actions(d: np.ndarray) -> np.ndarray:
    """float64`[S, A]`, `d` averaged over the torques of a state."""
    return np.broadcast_to(d.mean(1, keepdims=True), d.shape)


def over_neighbours(d: np.ndarray, side: int) -> np.ndarray:
    """float64`[S, A]`, `d` spread over states with a standard deviation of one cell in angle and speed."""
    d = d.reshape(side, side, -1)
    for _ in range(2):
        d = (np.roll(d, 1, 0) + 2 * d + np.roll(d, -1, 0)) / 4
        wide = np.pad(d, ((0, 0), (1, 1), (0, 0)), mode="edge")
        d = (wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]) / 4
    return d.reshape(side**2, -1)
