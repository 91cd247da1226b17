"""Collection of items by demand on a grid.

`states` counts visited states, the start included.
"""

from __future__ import annotations

from functools import partial

from jaxrl.envs.base import Entry
from jaxrl.envs.coverage import maps
from jaxrl.envs.coverage.place_grid import PlaceGrid
from jaxrl.envs.sets.items import ItemCollection
from jaxrl.envs.wrappers.set_reward import SetReward, set_episode


def item_collection(
    layout: tuple[str, ...] = maps.ITEMS,
    states: int = 40,
    *,
    start: int = 34,
    slip: float = 0.0,
    show_history: bool = False,
    show_stat: bool = False,
    modular: bool = False,
) -> SetReward:
    """Items by demand on a map of one string per row, e.g. `maps.random_items(seed)`; at most 21."""
    F = ItemCollection(layout, tuple(maps.DEMAND.items()))
    grid = PlaceGrid(len(layout), len(layout[0]), start, slip)
    return set_episode(grid, F, states, show_history=show_history, show_stat=show_stat, modular=modular)


ENVIRONMENTS = {
    "ItemCollection": Entry(item_collection),
    "ItemCollection-noisy": Entry(partial(item_collection, slip=0.1)),
}
