"""Experiment design for a Gaussian process on a grid.

`states` counts visited states, the start included.
"""

from __future__ import annotations

from jaxrl.envs.base import Entry
from jaxrl.envs.coverage.place_grid import PlaceGrid
from jaxrl.envs.sets.grid_design import GridDesign
from jaxrl.envs.wrappers.set_reward import SetReward, set_episode


def gp_design(
    states: int = 40,
    *,
    rows: int = 30,
    cols: int = 30,
    start: int = 34,
    slip: float = 0.0,
    noise: float = 1e-2,
    seed: int | None = None,
    show_history: bool = False,
    show_stat: bool = False,
    modular: bool = False,
) -> SetReward:
    """Information about a Gaussian process on a grid, 1/2 log det(I + K / noise) nats; see `GridDesign`.

    Released settings: noise 1e-6, which needs float64.
    """
    F = GridDesign(rows * cols, states, cols, noise=noise, seed=seed)
    return set_episode(
        PlaceGrid(rows, cols, start, slip), F, states,
        show_history=show_history, show_stat=show_stat, modular=modular,
    )  # fmt: skip


ENVIRONMENTS = {
    "GPDesign": Entry(gp_design),
}
