"""Fronts of convex Deep Sea Treasure by computing time: C-MORL beside algorithms of morl-baselines.

    python -m benchmarks.morl peer --rounds 2

Every algorithm is a process of its own on one core, which prints the hypervolume of what it has found with
the CPU seconds since it started, imports and compilation included and its own evaluation excluded. A round is
a seed. The deterministic front has hypervolume 854.85 above (0, -50) at discount 0.99; policies of C-MORL are
stochastic and can exceed it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.measure import Entry, cpu_seconds, emit, pinned
from benchmarks.morl.setup import PYTHON
from benchmarks.workers import ROOT

GROUP = "vector rewards: fronts by time"
REFERENCE, EXACT, SHARE = (0.0, -50.0), 854.85, 0.99
LIMIT = 600  # wall seconds after which a process is killed
AIMS = {"seconds": 40.0, "end": 862.0}  # of C-MORL: CPU-s to 99 % of the front, hypervolume at its end
PEERS = {"Pareto Q-learning": 20, "Envelope": 60, "GPI-LS": 60}
"""CPU seconds by algorithm."""
COMMANDS = [(False, ["--rounds", "2"], ["--rounds", "1", "--seconds", "1"])]


class Point(NamedTuple):
    """What a process has found: CPU seconds since its start without evaluation, and the hypervolume."""

    cpu: float
    volume: float


class Watch:
    """The end of a process: prints what it has found, and does not count the time that this takes."""

    def __init__(self, volume: Callable[[], float], every: float) -> None:
        self._volume, self._every, self._next, self._pause = volume, every, 0.0, 0.0

    @property
    def spent(self) -> float:
        """CPU seconds of this process without those of `show`."""
        return cpu_seconds() - self._pause

    def show(self, always: bool = False) -> None:
        """Prints a line, if `every` CPU seconds have passed since the last one."""
        spent = self.spent
        if always or spent >= self._next:
            print(f"front {spent} {self._volume()}", flush=True)
            self._next, self._pause = spent + self._every, cpu_seconds() - spent


def record(command: list[str], limit: float = LIMIT) -> list[Point]:
    """What a process prints until it ends; after `limit` wall seconds it is killed.

    Raises `SystemExit` where it fails before the limit or prints nothing.
    """
    process = subprocess.Popen(pinned(command), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    began = time.perf_counter()
    try:
        text, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        process.kill()
        text, _ = process.communicate()
    words = [line.split() for line in text.splitlines() if line.startswith("front ")]
    late = time.perf_counter() - began >= limit
    if not words or (process.returncode and not late):
        raise SystemExit(f"a process ended with status {process.returncode}: {' '.join(command)}")
    return [Point(float(cpu), float(volume)) for _, cpu, volume in words]


def seconds_to(points: list[Point], volume: float) -> float | None:
    """CPU seconds until a hypervolume is reached, None where it is not."""
    return next((point.cpu for point in points if point.volume >= volume), None)


def summarise(name: str, runs: list[list[Point]], settings: str) -> list[Entry]:
    """Hypervolume at the end and, where every seed reaches it, the time to 99 % of the exact front."""
    label, ours = f"convex Deep Sea Treasure, {name}", name == "C-MORL"
    ends = [points[-1].volume for points in runs]
    floor = AIMS["end"] if ours else None
    times = [seconds_to(points, SHARE * EXACT) for points in runs]
    reached = [t for t in times if t is not None]
    text = f"{len(reached)} of {len(times)} seeds reach {SHARE:.0%} of {EXACT}"
    spent = [points[-1].cpu for points in runs]
    entries = [
        Entry.of(GROUP, f"{label}: at the end", ends, "hypervolume", settings=settings, floor=floor),
        Entry.of(GROUP, f"{label}: spent", spent, "CPU-s", settings=text),
    ]
    if len(reached) == len(times):
        ceiling = AIMS["seconds"] if ours else None
        entries.append(Entry.of(GROUP, f"{label}: to {SHARE:.0%}", reached, "CPU-s", ceiling=ceiling))
    return entries


def compare(rounds: int, seconds: float | None) -> list[Entry]:
    """C-MORL and every peer, seed by seed.

    seconds: CPU seconds for all, in place of those of `PEERS`; C-MORL ends by itself. Raises `SystemExit`
    where the peers' environment is missing.
    """
    if not PYTHON.exists():
        raise SystemExit("the peers' environment is missing; run: python -m benchmarks.morl setup")
    limits: dict[str, float] = {"C-MORL": LIMIT, **PEERS}
    runs: dict[str, list[list[Point]]] = {name: [] for name in limits}
    for seed in range(rounds):
        for name, own in limits.items():
            budget = own if seconds is None else seconds
            words = ["--seed", str(seed), "--seconds", str(budget)]
            module = "benchmarks.morl.front_worker" if name == "C-MORL" else "benchmarks.morl.front_peer"
            python: Path | str = sys.executable if name == "C-MORL" else PYTHON
            chosen = [] if name == "C-MORL" else [name]
            runs[name].append(record([str(python), "-m", module, *chosen, *words]))
    entries = []
    for name, own in runs.items():
        text = "every policy on the way, stochastic" if name == "C-MORL" else "deterministic policies"
        entries += summarise(name, own, f"{text}; a round is a seed")
    return entries


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The comparison as a command of `python -m benchmarks.morl`."""
    parser.add_argument("--rounds", type=int, default=2, help="seeds")
    parser.add_argument("--seconds", type=float, help="CPU seconds of every process")
    parser.set_defaults(run=lambda a: emit(compare(a.rounds, a.seconds)))


def worker_arguments(doc: str, choices: Any = None) -> argparse.Namespace:
    """Arguments of a process: the algorithm, where there is a choice, its seed and its CPU seconds."""
    parser = argparse.ArgumentParser(description=doc.partition("\n")[0])
    if choices:
        parser.add_argument("name", choices=choices)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    return parser.parse_args()


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    arguments.run(arguments)


if __name__ == "__main__":
    main()
