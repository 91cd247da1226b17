"""The width of lanes: how many members of a population run as one batch.

Results depend on the width, so it is chosen once per stage, stored in meta.json and in every checkpoint, and
kept when a run is resumed on any number of devices. On a CPU wider lanes gain nothing; on an accelerator a
member alone leaves most of the device idle.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from jaxrl.core.errors import CorruptInput, UsageError

Lane = int | Literal["auto"]
MEMORY_SHARE = 0.5  # the rest is left for evaluation, for the states of earlier stages and for fragmentation
SECOND_PROBE = 8  # members of the second program whose memory is asked


def checked(lane: Any) -> Lane:
    """`lane`, an integer >= 1 or "auto"; texts of digits become integers. Raises UsageError for all else."""
    if isinstance(lane, str) and lane.isascii() and lane.isdigit():
        lane = int(lane)
    if lane == "auto" or (isinstance(lane, int) and not isinstance(lane, bool) and lane >= 1):
        return lane
    raise UsageError(f"lane: must be an integer >= 1 or 'auto', got {lane!r}")


def checked_work(work: Any) -> int | None:
    """`work`, how many devices share a member: an integer >= 1 or None. Raises UsageError for all else."""
    if work is None or (isinstance(work, int) and not isinstance(work, bool) and work >= 1):
        return work
    raise UsageError(f"work: must be an integer >= 1 or None, got {work!r}")


def widest(members: int, per_member: float, fixed: float, memory: float) -> int:
    """Members per lane on a device that runs `members` of them, all in one lane if they fit.

    per_member: bytes that each further member of a lane needs while the program runs. fixed: bytes that are
    needed at any width, states and data of all members included. memory: bytes of the device, of which
    `MEMORY_SHARE` is used. Where several lanes are needed they have about equal widths, so that little is
    padded.
    """
    room = MEMORY_SHARE * memory - fixed
    fitting = members if per_member <= 0 else min(members, int(max(room, 0) // per_member))
    lanes = -(-members // max(1, fitting))
    return -(-members // lanes)


def auto(
    size: int,
    devices: int,
    platform: str,
    memory: float | None,
    measure: Callable[[int], tuple[float, float]],
) -> int:
    """The width for `size` members on `devices` devices: 1 on a CPU, else as many members as fit.

    memory: bytes of one device, None where it does not say, which gives 1. measure: `lane -> (bytes of
    arguments and results, bytes of temporary arrays)` of the program compiled for that width, asked at most
    twice.
    """
    share = -(-size // devices)
    if platform == "cpu" or memory is None or share == 1:
        return 1
    held, first = measure(1)
    wide = min(share, SECOND_PROBE)
    second = measure(wide)[1]
    if wide == share and held + second <= MEMORY_SHARE * memory:
        return share
    per_member = (second - first) / (wide - 1)
    if per_member <= 0:  # the loop over lanes holds a copy of the states, which one lane does not need
        per_member = second / wide
    return widest(share, per_member, held + first - per_member, memory)


def device_memory(device: Any) -> float | None:
    """Bytes that a program may use on a device; None where the device does not say."""
    stats = device.memory_stats() or {}
    return stats.get("bytes_limit")


def stored(meta: dict[str, Any], stage: str, name: Literal["lane", "work"] = "lane") -> int | None:
    """The width that a run's meta.json holds for a stage, None before it began; raises CorruptInput.

    name: "work" asks for the number of devices that share a member instead.
    """
    values = meta.get(name, {})
    value = values.get(stage) if isinstance(values, dict) else values
    if value is not None and (type(value) is not int or value < 1):
        raise CorruptInput(f"meta.json: {name}: must be an integer >= 1 for every stage, got {value!r}")
    return value
