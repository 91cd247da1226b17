"""Fronts by computing time: C-MORL beside algorithms of morl-baselines.

    python -m benchmarks.morl peer --rounds 2
    python -m benchmarks.morl peer --problem minecart --seconds 60 --limit 1800

Every algorithm is a process of its own on one core, which prints the hypervolume of what it has found with
the CPU seconds since it started, imports and compilation included and its own evaluation excluded. A round is
a seed. On convex Deep Sea Treasure the goal is 99 % of the deterministic front, which policies of C-MORL can
exceed, as they are stochastic; on Minecart, whose front is not known, it is what the best peer ends with.
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
LIMIT = 600  # wall seconds after which a process is killed
COMMANDS = [(False, ["--rounds", "2"], ["--rounds", "1", "--seconds", "1"])]


class Problem(NamedTuple):
    """What all algorithms solve.

    peers: CPU seconds by algorithm; goal: hypervolume that is to be reached, None for that of the best peer
    at its end; aims of C-MORL: `seconds` to the goal and hypervolume at its `end`, or how many times `sooner`
    than the best peer it holds what that one ends with.
    """

    label: str
    env: str
    reference: tuple[float, ...]
    gamma: float
    peers: dict[str, int]
    goal: float | None
    aims: dict[str, float]


EXACT, SHARE = 854.85, 0.99
PROBLEMS = {
    "sea": Problem(
        "convex Deep Sea Treasure",
        "deep-sea-treasure-v0",
        (0.0, -50.0),
        0.99,
        {"Pareto Q-learning": 20, "Envelope": 60, "GPI-LS": 60},
        SHARE * EXACT,
        {"seconds": 40.0, "end": 862.0},
    ),
    "minecart": Problem(
        "deterministic Minecart",
        "minecart-deterministic-v0",
        (-1.0, -1.0, -200.0),
        0.98,
        {"MORL/D": LIMIT, "GPI-LS": LIMIT},
        None,
        {"sooner": 20.0},
    ),
}
"""By name. PGMORL of morl-baselines has continuous actions alone, so that Minecart has no row of it."""


class Point(NamedTuple):
    """What a process has found: CPU seconds since its start without evaluation, and the hypervolume."""

    cpu: float
    volume: float


Runs = dict[str, list[list[Point]]]


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


def summarise(problem: Problem, runs: Runs) -> list[Entry]:
    """Hypervolume of every algorithm at its end, what it spent and, where all seeds reach it, the time to the
    goal; without a goal of its own, how many times sooner C-MORL holds what the best peer ends with.
    """
    best = _best_peers(runs)
    goals = [problem.goal or point.volume for point in best]
    known = f"{SHARE:.0%} of {EXACT}" if problem.goal else "what the best peer ends with"
    entries = []
    for name, own in runs.items():
        label, aims = f"{problem.label}, {name}", problem.aims if name == "C-MORL" else {}
        ends, spent = ([getattr(points[-1], n) for points in own] for n in ("volume", "cpu"))
        times = [seconds_to(points, goal) for points, goal in zip(own, goals, strict=True)]
        reached = [t for t in times if t is not None]
        how = "every policy on the way" if aims else "policies that are served"
        text = f"{len(reached)} of {len(times)} seeds reach {known}"
        entries += [
            Entry.of(
                GROUP,
                f"{label}: at the end",
                ends,
                "hypervolume",
                settings=f"{how}; a round is a seed",
                floor=aims.get("end"),
            ),
            Entry.of(GROUP, f"{label}: spent", spent, "CPU-s", settings=text),
        ]
        if len(reached) < len(times):
            continue
        entries.append(Entry.of(GROUP, f"{label}: to {known}", reached, "CPU-s", ceiling=aims.get("seconds")))
        if "sooner" in aims:
            ratios = [point.cpu / t for point, t in zip(best, reached, strict=True)]
            entries.append(Entry.of(GROUP, f"{label}: sooner", ratios, "times", floor=aims["sooner"]))
    return entries


def _best_peers(runs: Runs) -> list[Point]:
    """The end of the peer with the largest hypervolume, by seed."""
    peers = [[points[-1] for points in own] for name, own in runs.items() if name != "C-MORL"]
    return [max(ends, key=lambda point: point.volume) for ends in zip(*peers, strict=True)]


def compare(name: str, rounds: int, seconds: float | None, limit: float = LIMIT) -> list[Entry]:
    """C-MORL and every peer on a problem, seed by seed.

    seconds: CPU seconds for all, in place of those of the problem; C-MORL ends by itself. limit: wall seconds
    of a process. Raises `SystemExit` where the peers' environment is missing.
    """
    if not PYTHON.exists():
        raise SystemExit("the peers' environment is missing; run: python -m benchmarks.morl setup")
    problem = PROBLEMS[name]
    budgets: dict[str, float] = {"C-MORL": LIMIT, **problem.peers}
    runs: Runs = {algorithm: [] for algorithm in budgets}
    for seed in range(rounds):
        for algorithm, own in budgets.items():
            budget = own if seconds is None else seconds
            words = ["--problem", name, "--seed", str(seed), "--seconds", str(budget)]
            ours = algorithm == "C-MORL"
            module = "benchmarks.morl.front_worker" if ours else "benchmarks.morl.front_peer"
            python: Path | str = sys.executable if ours else PYTHON
            chosen = [] if ours else [algorithm]
            runs[algorithm].append(record([str(python), "-m", module, *chosen, *words], limit))
    return summarise(problem, runs)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The comparison as a command of `python -m benchmarks.morl`."""
    parser.add_argument("--problem", choices=PROBLEMS, default="sea")
    parser.add_argument("--rounds", type=int, default=2, help="seeds")
    parser.add_argument("--seconds", type=float, help="CPU seconds of every process")
    parser.add_argument("--limit", type=float, default=LIMIT, help="wall seconds of every process")
    parser.set_defaults(run=lambda a: emit(compare(a.problem, a.rounds, a.seconds, a.limit)))


def worker_arguments(doc: str, choices: Any = None) -> argparse.Namespace:
    """Arguments of a process: the algorithm, where there is a choice, problem, seed and CPU seconds."""
    parser = argparse.ArgumentParser(description=doc.partition("\n")[0])
    if choices:
        parser.add_argument("name", choices=choices)
    parser.add_argument("--problem", choices=PROBLEMS, default="sea")
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
