"""Cells of a map, as one string per row.

Legend: `V` cells, row by row.
"""

from __future__ import annotations

import numpy as np

from jaxrl.core.errors import UsageError


def check_map(name: str, rows: int, cols: int, blocked: tuple[str, ...]) -> None:
    """Raises `UsageError` unless `blocked` is empty or has one string of `cols` cells per row."""
    if blocked and (len(blocked) != rows or any(len(row) != cols for row in blocked)):
        raise UsageError(f"{name}.blocked: must be {rows} strings of {cols} cells, or ()")


def free_cells(rows: int, cols: int, blocked: tuple[str, ...]) -> np.ndarray:
    """bool[V], which cells of a map are free; all where `blocked` is empty."""
    if not blocked:
        return np.ones(rows * cols, bool)
    return np.array([cell != "#" for row in blocked for cell in row])
