"""How every number here is taken: compiled ahead, warmed up once, blocked until ready, median of rounds.

Times are CPU seconds of the whole process (`getrusage`), which other jobs on the machine hardly disturb; wall
seconds only where the question is about wall time. jax is imported inside functions: the table needs none of
it, and the peers read this file in an environment of their own.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Entry:
    """One number of the table.

    value: median of `rounds`, in `unit`; floor, ceiling: what the design asks of it, where it asks; settings:
    what is needed to read the number, as text.
    """

    group: str
    name: str
    value: float
    unit: str
    rounds: tuple[float, ...]
    settings: str = ""
    floor: float | None = None
    ceiling: float | None = None

    @classmethod
    def of(cls, group: str, name: str, rounds: list[float], unit: str, **fields: Any) -> Entry:
        """The median of `rounds`."""
        return cls(group, name, statistics.median(rounds), unit, tuple(rounds), **fields)


@dataclass
class Clock:
    """CPU and wall seconds inside `with`; all threads of this process count."""

    cpu: float = 0.0
    wall: float = 0.0
    _start: tuple[float, float] = field(default=(0.0, 0.0), repr=False)

    def __enter__(self) -> Clock:
        self._start = (cpu_seconds(), time.perf_counter())
        return self

    def __exit__(self, *_: object) -> None:
        self.cpu = cpu_seconds() - self._start[0]
        self.wall = time.perf_counter() - self._start[1]


def cpu_seconds() -> float:
    """User and system seconds of this process since it started."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def compile_ahead(fn: Callable[..., Any], *args: Any, **jit_options: Any) -> tuple[Callable[..., Any], Clock]:
    """`jit(fn)` compiled for `args`, and what tracing and compiling cost."""
    import jax

    with Clock() as clock:
        compiled = jax.jit(fn, **jit_options).lower(*args).compile()
    return compiled, clock


def repeat(step: Callable[[Any], Any], state: Any, rounds: int) -> tuple[Any, list[Clock]]:
    """`state = step(state)` once to warm up, then `rounds` times on the clock."""
    import jax

    state = jax.block_until_ready(step(state))
    clocks = []
    for _ in range(rounds):
        with Clock() as clock:
            state = jax.block_until_ready(step(state))
        clocks.append(clock)
    return state, clocks


def pinned(command: list[str]) -> list[str]:
    """`command` on one core, the last one that this process may use, where `taskset` exists (Linux)."""
    if not shutil.which("taskset"):
        return command
    return ["taskset", "-c", str(max(os.sched_getaffinity(0))), *command]


def emit(entries: list[Entry]) -> None:
    """One line of json on stdout per entry: how a benchmark's process answers."""
    for entry in entries:
        print(json.dumps(asdict(entry)), flush=True)


def parse(stdout: str) -> list[Entry]:
    """The entries among the lines that a benchmark's process printed."""
    found = (json.loads(line) for line in stdout.splitlines() if line.startswith('{"group"'))
    return [Entry(**{**entry, "rounds": tuple(entry["rounds"])}) for entry in found]


def describe_machine() -> dict[str, str]:
    """CPU model, cores, memory, operating system, and the versions that matter."""
    from importlib.metadata import version

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    described = {
        "cpu": _first_value("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cores": str(cores),
        "memory": _first_value("/proc/meminfo", "MemTotal") or "unknown",
        "system": f"{platform.system()} {platform.release()}",
        "load average": f"{os.getloadavg()[0]:.2f} before the first benchmark",
        "python": platform.python_version(),
    }
    return described | {name: version(name) for name in ("jax", "jaxlib", "flax", "optax", "brax", "numpy")}


def _first_value(path: str, key: str) -> str | None:
    """Value of the first `key: value` line of a file, where there is one (Linux)."""
    if not Path(path).exists():
        return None
    for line in Path(path).read_text().splitlines():
        if line.startswith(key):
            return line.partition(":")[2].strip()
    return None
