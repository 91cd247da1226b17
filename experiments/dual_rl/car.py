"""Optimal advantages of MountainCar by value iteration on a grid: a truth that no critic has to learn.

Legend: `n` rows.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import map_coordinates

from jaxrl.data.dataset import Dataset

LOW, HIGH, SPEED, GOAL = -1.2, 0.6, 0.07, 0.5


def optimal_advantages(data: Dataset, gamma: float, points: int = 151, sweeps: int = 600) -> np.ndarray:
    """float64`[n]`, Q* - V* of the recorded actions, of discounted returns of -1 a step up to the goal.

    V* is bilinear between `points` x `points` positions and velocities; `sweeps` backups leave an error below
    gamma^sweeps / (1 - gamma).
    """
    grid = np.linspace(LOW, HIGH, points), np.linspace(-SPEED, SPEED, points)
    position, velocity = np.meshgrid(*grid, indexing="ij")
    successors = [_successor(position, velocity, action) for action in range(3)]
    v = np.zeros_like(position)
    for _ in range(sweeps):
        v = np.max([_backup(v, *s, gamma) for s in successors], 0)
    obs, action = np.asarray(data.obs, np.float64), np.asarray(data.action)
    q = np.stack([_backup(v, *_successor(obs[:, 0], obs[:, 1], a), gamma) for a in range(3)], 1)
    return q[np.arange(len(q)), action] - q.max(1)


def _successor(position: np.ndarray, velocity: np.ndarray, action: int) -> tuple[np.ndarray, np.ndarray]:
    """One step of `jaxrl.envs.control.mountain_car`, in float64."""
    velocity = np.clip(velocity + 0.001 * (action - 1) - 0.0025 * np.cos(3 * position), -SPEED, SPEED)
    position = np.clip(position + velocity, LOW, HIGH)
    return position, np.where((position <= LOW) & (velocity < 0), 0.0, velocity)


def _backup(v: np.ndarray, position: np.ndarray, velocity: np.ndarray, gamma: float) -> np.ndarray:
    last = len(v) - 1
    at = (position - LOW) / (HIGH - LOW) * last, (velocity + SPEED) / (2 * SPEED) * last
    return -1 + gamma * np.where(position >= GOAL, 0.0, map_coordinates(v, at, order=1, mode="nearest"))
