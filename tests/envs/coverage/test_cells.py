"""Maps of free and blocked cells."""

import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.coverage.cells import check_map, free_cells


def test_free_cells_are_those_without_a_wall():
    assert free_cells(2, 3, (".#.", "#..")).tolist() == [True, False, True, False, True, True]
    assert free_cells(2, 3, ()).all()


@pytest.mark.parametrize("blocked", [("...",), ("..", ".."), ("...", "...", "...")])
def test_maps_of_another_size_are_refused(blocked):
    with pytest.raises(UsageError, match=r"Grid\.blocked: must be 2 strings of 3 cells"):
        check_map("Grid", 2, 3, blocked)
