"""Cells of a map, as one string per row."""

from __future__ import annotations

import numpy as np

from jaxrl.core.errors import UsageError


def check_map(name: str, rows: int, cols: int, blocked: tuple[str, ...]) -> None:
    """Raises `UsageError` unless `blocked` is empty or has one string of `cols` cells per row."""
    if rows < 1 or cols < 1:
        raise UsageError(f"{name}.rows, cols: must be >= 1, got {rows} x {cols}")
    if blocked and (len(blocked) != rows or any(len(row) != cols for row in blocked)):
        raise UsageError(f"{name}.blocked: must be {rows} strings of {cols} cells, or ()")


def free_cells(rows: int, cols: int, blocked: tuple[str, ...]) -> np.ndarray:
    """bool[V]."""
    if not blocked:
        return np.ones(rows * cols, bool)
    return np.array([cell != "#" for row in blocked for cell in row])
