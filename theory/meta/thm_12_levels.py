"""Grid levels are solved by a recursion over cell and objects, which gives a fitness without scale.

Statement. With V_0 = 0 and V_{h+1}(p, e) = max_a (R + (1 - p_end) E[V_h(p', e')]) the optimum of an episode
of L steps is V_L at the start; the mean over actions in place of the maximum gives the uniform policy.
Objects respawn independently, one that is collected not in the same step. The normalised regret (J* - J) /
(J* - J_uniform) is 0 for the optimum, 1 for the uniform policy, and does not change when all rewards are
multiplied by a positive number.
(Rules of the grid world released with GROOVE, Jackson et al. 2023.)

Check. Five levels against known values of ten digits; one of them against backward induction on the
environment's own table; the regret of the greedy policy of half the horizon under rewards multiplied by 7.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.grids.gridworld import GridParams, GridWorld, Levels
from theory.exact.optimal_control import solve
from theory.exact.result import Result

DIGITS = 1e-9


class Level(NamedTuple):
    """A grid level: side, walls, start, and per object cell, reward, chance of an end and of a return."""

    side: int
    walls: tuple[int, ...]
    start: int
    cells: tuple[int, ...]
    reward: tuple[float, ...]
    p_end: tuple[float, ...]
    p_respawn: tuple[float, ...]


TRACED = Level(4, (5, 6), 0, (2, 10, 12), (1, -1, 0.5), (0, 0, 1), (0, 1, 0))
RANDOM = Level(4, (5, 10), 0, (3, 15, 8), (1, 0.3, -0.5), (0.25, 0, 0.5), (0.1, 0.05, 0.2))
DENSE = Level(11, (), 0, (14, 40, 95, 101), (1, 1, -1, -1), (0, 0, 0.5, 0), (0.05, 0.05, 0.1, 0.5))
SPARSE = Level(13, (), 84, (0, 168), (1, -1), (1, 1), (0, 0))
LONG = Level(11, (), 60, (0, 120, 59, 61), (1, 1, -1, -1), (0, 0, 0.5, 0.5), (0.01, 0.01, 1, 1))


def instance() -> list[tuple[Level, int, float, float | None]]:
    """Level, length of an episode, and known values of the optimum and of the uniform policy."""
    return [
        (TRACED, 50, 1.5, None),
        (RANDOM, 20, 2.2196427841, 0.0277643574),
        (RANDOM, 60, 3.6776609154, 0.3352190708),
        (DENSE, 500, 43.4666285580, 0.7520427466),
        (SPARSE, 50, 1.0, 0.0),
        (LONG, 1000, 19.5083024192, -1.6907495177),
    ]


def moves(level: Level) -> np.ndarray:
    """Next cells int`[5, cells]`: up, down, left, right, stay; walls and the border stop."""
    row, col = np.divmod(np.arange(level.side**2), level.side)
    steps = []
    for dr, dc in ((-1, 0), (1, 0), (0, -1), (0, 1), (0, 0)):
        r, c = row + dr, col + dc
        inside = (r >= 0) & (r < level.side) & (c >= 0) & (c < level.side)
        to = np.where(inside, r * level.side + c, row * level.side + col)
        steps.append(np.where(np.isin(to, level.walls), np.arange(level.side**2), to))
    return np.array(steps)


class Model(NamedTuple):
    """What a step into a cell pays and whether it goes on, by existing objects: `[2, .., 2, cells]`."""

    reward: np.ndarray
    goes_on: np.ndarray


def model(level: Level) -> Model:
    """Rewards and chances to go on of a step into every cell."""
    O, cells = len(level.cells), level.side**2
    exists = np.stack(np.meshgrid(*[np.arange(2)] * O, indexing="ij"), -1)[..., None]
    there = np.array(level.cells)[:, None] == np.arange(cells)
    collected = exists * there
    pay = np.array(level.reward)[:, None] * collected
    end = np.array(level.p_end)[:, None] * collected
    return Model(pay.sum(-2), 1 - end.sum(-2))


def expected(level: Level, V: np.ndarray, at_once: bool) -> np.ndarray:
    """The expected value after a step into every cell, over objects that respawn, one after another."""
    for i, (cell, p) in enumerate(zip(level.cells, level.p_respawn, strict=True)):
        gone, there = np.take(V, 0, i), np.take(V, 1, i)
        back = p * there + (1 - p) * gone
        kept = there.copy()
        kept[..., cell] = (back if at_once else gone)[..., cell]
        V = np.stack([back, kept], i)
    return V


def outcome(level: Level, V: np.ndarray, at_once: bool = False) -> np.ndarray:
    """Values of the five actions `[5, 2, .., 2, cells]` with values V to go.

    at_once: whether an object may respawn in the step that collects it, which is wrong.
    """
    m = model(level)
    U = m.reward + m.goes_on * expected(level, V, at_once)
    return np.moveaxis(U[..., moves(level)], -2, 0)


def value(level: Level, length: int, reduce: Callable[..., np.ndarray], at_once: bool = False) -> float:
    """The expected return from the start with all objects there; `reduce` joins the values of the actions."""
    V = np.zeros((2,) * len(level.cells) + (level.side**2,))
    for _ in range(length):
        V = reduce(outcome(level, V, at_once), axis=0)
    return float(V.reshape(-1, level.side**2)[-1, level.start])


def myopic(level: Level, length: int) -> float:
    """The return of a policy that looks half of an episode ahead, whatever is left of it."""
    V = np.zeros((2,) * len(level.cells) + (level.side**2,))
    for _ in range(length // 2):
        V = outcome(level, V).max(0)
    action = outcome(level, V).argmax(0)[None]
    V = np.zeros_like(V)
    for _ in range(length):
        V = np.take_along_axis(outcome(level, V), action, 0)[0]
    return float(V.reshape(-1, level.side**2)[-1, level.start])


def regret(level: Level, length: int) -> float:
    """The normalised regret of the myopic policy."""
    best, uniform = value(level, length, np.max), value(level, length, np.mean)
    return (best - myopic(level, length)) / (best - uniform)


def by_environment(level: Level, length: int) -> float:
    """The optimum by backward induction on the environment's own table."""
    O = len(level.cells)
    chances = ((0.5, 1.0),) * O
    env = GridWorld(
        Levels((2, level.side), (5, 50), tuple(range(O)), (1, O), ((0.0, 1.0),) * O, chances, chances)
    )
    walls = np.isin(np.arange(level.side**2), level.walls)
    with jax.enable_x64(True):
        numbers = (jnp.asarray(x, jnp.float64) for x in (level.reward, level.p_end, level.p_respawn))
        sizes = (jnp.int32(level.side), jnp.asarray(walls), jnp.int32(level.start), jnp.int32(O))
        objects = (jnp.arange(O, dtype=jnp.int32), jnp.asarray(level.cells, jnp.int32))
        mdp = jax.tree.map(
            np.asarray, env.to_tabular(GridParams(*sizes, *objects, *numbers, jnp.int32(length)))
        )
    return float(solve(mdp, length).j)


def check(at_once: bool = False) -> Result:
    """Errors of the known values, of the environment's table, and of the regret."""
    errors = []
    for level, length, best, uniform in instance():
        errors += [value(level, length, np.max, at_once) - best]
        if uniform is not None:
            errors += [value(level, length, np.mean, at_once) - uniform]
    errors += [by_environment(RANDOM, 20) - value(RANDOM, 20, np.max, at_once)]
    scaled = RANDOM._replace(reward=tuple(7 * r for r in RANDOM.reward))
    errors += [regret(scaled, 20) - regret(RANDOM, 20)]
    measured = float(np.abs(errors).max())
    return Result(measured, DIGITS, measured <= DIGITS)


def broken() -> Result:
    """Objects that may respawn in the step in which they are collected."""
    return check(at_once=True)
