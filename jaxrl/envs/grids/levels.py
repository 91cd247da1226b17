"""Level distributions of the grid worlds, as released with GROOVE (Jackson et al. 2023; Oh et al. 2020)."""

from __future__ import annotations

from functools import partial

from jaxrl.envs.base import Entry
from jaxrl.envs.grids.gridworld import GridWorld, Levels, RandomGridWorld, Range

_ONE, _SIGNED, _END, _RESPAWN = (0.0, 1.0), (-1.0, 1.0), (1e-2, 1.0), (1e-3, 1e-1)


def _random(
    types: int, side: tuple[int, int], limit: tuple[int, int], used: tuple[int, int], walls: int
) -> Levels:
    """Everything random, one object per type; the first type never pays less than 0."""
    return Levels(
        side=side,
        limit=limit,
        kinds=tuple(range(types)),
        used=used,
        reward=(_ONE,) + (_SIGNED,) * (types - 1),
        p_end=(_END,) * types,
        p_respawn=(_RESPAWN,) * types,
        random_walls=walls,
    )


def _named(
    side: int, limit: int, objects: tuple[tuple[float, float, float, int], ...], walls: tuple[int, ...] = ()
) -> Levels:
    """Objects `(reward, p_end, p_respawn, count)`; only positions are random."""
    kinds = tuple(kind for kind, (*_, count) in enumerate(objects) for _ in range(count))

    def column(i: int) -> tuple[Range, ...]:
        return tuple((o[i], o[i]) for o in objects)

    return Levels(
        side=(side, side),
        limit=(limit, limit),
        kinds=kinds,
        used=(len(kinds), len(kinds)),
        reward=column(0),
        p_end=column(1),
        p_respawn=column(2),
        designs=(walls,),
    )


def _maze(rows: str) -> tuple[int, ...]:
    """Wall cells of 13 rows, each a hexadecimal mask whose most significant of 13 bits is column 0."""
    masks = [int(row, 16) for row in rows.split()]
    return tuple(r * 13 + c for r, mask in enumerate(masks) for c in range(13) if mask >> (12 - c) & 1)


def _mazes(*designs: tuple[int, ...]) -> Levels:
    return Levels(
        side=(13, 13),
        limit=(25, 50),
        kinds=(0, 1, 2),
        used=(3, 3),
        reward=(_ONE,) * 3,
        p_end=(_END,) * 3,
        p_respawn=(_RESPAWN,) * 3,
        designs=designs,
    )


MAZES: dict[str, tuple[int, ...]] = {
    "sixteen_rooms": _maze("0248 0008 0240 176E 0200 0048 1ADD 0208 0240 0F6B 0248 0040 0208"),
    "sixteen_rooms_2": _maze("0208 0048 0248 1EDD 0240 0048 17DF 0248 0200 1B6F 0248 0040 0248"),
    "labyrinth": _maze("0000 0FFE 0802 0BFA 0A0A 0AEA 0AAA 0AAA 088A 0FFA 0082 1EBE 0080"),
    "labyrinth_flipped": _maze("0000 0FFE 0802 0BFA 0A0A 0AEA 0AAA 0AAA 0A22 0BFE 0820 0FAF 0020"),
    "labyrinth_2": _maze("0800 0BFE 0A02 0AFA 0A8A 02AA 1EAA 02EA 0A0A 0BFA 0802 0FFE 0000"),
    "standard_maze": _maze("0084 0EF6 0800 0FF7 0010 1FBE 0120 0C6F 0522 15BA 1488 16EE 0228"),
    "standard_maze_2": _maze("0284 0AF1 0804 0FF7 0254 1AD4 0A16 0B72 093A 0DAA 08AA 0AAA 0220"),
    "standard_maze_3": _maze("0140 0F5E 0850 03D5 1A14 02D6 0A92 0ABB 08A8 0EAE 08A2 0BAA 0888"),
    "small_corridor": _maze("0000 0AAA 0AAA 0AAA 0AAA 0AAA 0FFE 0AAA 0AAA 0AAA 0AAA 0AAA 0000"),
}

LEVELS: dict[str, Levels] = {
    "small": _random(3, (4, 6), (20, 100), (1, 3), 7),
    "medium": _random(4, (6, 8), (100, 250), (2, 4), 10),
    "large": _random(5, (8, 10), (250, 750), (2, 5), 15),
    "all": _random(5, (4, 10), (20, 750), (1, 5), 15),
    "debug": _random(2, (3, 4), (5, 10), (1, 2), 4),
    "mazes": _mazes(*MAZES.values()),
    "dense": _named(11, 500, ((1, 0, 0.05, 2), (-1, 0.5, 0.1, 1), (-1, 0, 0.5, 1))),
    "sparse": _named(13, 50, ((1, 1, 0, 1), (-1, 1, 0, 1))),
    "long": _named(11, 1000, ((1, 0, 0.01, 2), (-1, 0.5, 1, 2))),
    "longer": _named(
        9, 2000, ((1, 0.1, 0.01, 2), (-1, 0.8, 1, 3)), tuple(9 * r + 4 for r in range(9) if r not in (1, 7))
    ),
    "long_dense": _named(
        11,
        2000,
        ((1, 0, 0.005, 4),),
        tuple(
            11 * r + c
            for r in range(11)
            for c in range(11)
            if (c == 5 and r not in (0, 7)) or (r == 4 and c not in (2, 8))
        ),
    ),
    **{name: _mazes(design) for name, design in MAZES.items()},
}

RANDOM_LEVELS: dict[str, Levels] = {
    "rand_all": LEVELS["all"],
    "rand_dense": LEVELS["dense"],
    "rand_long": LEVELS["long"],
    "rand_small": _named(7, 500, ((1, 0, 0.05, 2), (-1, 0.5, 0.1, 2)), (9, 25)),
    "rand_sparse": _named(7, 50, ((1, 1, 1, 1), (-1, 1, 1, 2))),
    "rand_very_dense": _named(11, 2000, ((1, 0, 1, 1),)),
}

# objects that few random walks meet
_RARE = ("kind", "cells", "reward", "p_end", "p_respawn")

ENVIRONMENTS = {
    **{f"GridWorld-{name}": Entry(partial(GridWorld, levels), _RARE) for name, levels in LEVELS.items()},
    **{f"GridWorld-{name}": Entry(partial(RandomGridWorld, x), _RARE) for name, x in RANDOM_LEVELS.items()},
    "GridWorld-small": Entry(partial(GridWorld, LEVELS["small"])),
    "GridWorld-rand_small": Entry(partial(RandomGridWorld, RANDOM_LEVELS["rand_small"])),
}
