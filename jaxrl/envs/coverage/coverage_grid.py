"""Coverage of a grid as seen from the cells visited.

`states` counts visited states, the start included.
"""

from __future__ import annotations

from functools import partial

from jaxrl.envs.base import Entry
from jaxrl.envs.coverage import maps
from jaxrl.envs.coverage.place_grid import PlaceGrid
from jaxrl.envs.sets.grid_coverage import Footprint, GridCoverage, Weights
from jaxrl.envs.wrappers.set_reward import SetReward, set_episode


def coverage_grid(
    weights: Weights | tuple[float, ...] = "constant",
    states: int = 40,
    *,
    rows: int = 30,
    cols: int = 30,
    start: int = 34,
    slip: float = 0.0,
    footprint: Footprint = "quad",
    blocked: tuple[str, ...] = (),
    seed: int = 0,
    show_history: bool = False,
    show_stat: bool = False,
    modular: bool = False,
) -> SetReward:
    """Weighted coverage of a grid in `states` visited states; see `GridCoverage` and `set_episode`."""
    grid = PlaceGrid(rows, cols, start, slip, blocked)
    F = GridCoverage(rows, cols, footprint, weights, blocked, seed)
    return set_episode(grid, F, states, show_history=show_history, show_stat=show_stat, modular=modular)


def two_rooms(
    states: int = 40,
    *,
    slip: float = 0.0,
    show_history: bool = False,
    show_stat: bool = False,
    modular: bool = False,
) -> SetReward:
    """Two rooms joined by a corridor, 68 free cells, all of which can be covered in 39 states."""
    return coverage_grid(
        "constant", states, rows=7, cols=14, slip=slip, blocked=maps.TWO_ROOMS,
        show_history=show_history, show_stat=show_stat, modular=modular,
    )  # fmt: skip


ENVIRONMENTS = {
    "Coverage": Entry(partial(coverage_grid, states=80)),
    "Coverage-bimodal": Entry(partial(coverage_grid, "bimodal")),
    "Coverage-gorilla": Entry(partial(coverage_grid, "gorilla")),
    "Coverage-gp": Entry(partial(coverage_grid, "gp")),
    "Coverage-two_rooms": Entry(two_rooms),
}
