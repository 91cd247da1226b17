"""What a population costs: PPO members in one program, with one CPU device per core.

    python -m benchmarks.sweep --members 1 4 16 32 64 --rounds 5

A round is the same work for every size, `work` updates of one member in all. Sizes are compared with one
member: in env steps per CPU-second like with like, in wall time with a process that is pinned to one core.
"""

from __future__ import annotations

import argparse
import contextlib
import os

from benchmarks.measure import Clock, Entry, emit
from benchmarks.workers import Worker, interleave

#: the size about which the design makes promises: nothing lost per CPU-second, at most 0.6 of the wall time
PROMISED, FLOOR, CEILING = "32 members", 1.0, 0.6
ALONE, PINNED = "1 member", "1 member, one core"


def measure(sizes: list[int], work: int, envs: int, length: int, rounds: int) -> list[Entry]:
    """Rates of one member, of one member on one core, and of every size."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    members = {ALONE: 1, PINNED: 1} | {f"{n} members": n for n in sizes if n > 1}
    workers = {}
    with contextlib.ExitStack() as stack:
        for name, n in members.items():
            numbers = {
                "members": n,
                "devices": 1 if name == PINNED else cores,
                "updates": updates(n, work),
                "envs": envs,
                "length": length,
            }
            words = [text for key, value in numbers.items() for text in (f"--{key}", str(value))]
            worker = Worker("benchmarks.worker_sweep", *words, one_core=name == PINNED)
            workers[name] = stack.enter_context(worker)
        clocks = dict(zip(workers, interleave(list(workers.values()), rounds), strict=True))
    steps = {name: n * updates(n, work) * envs * length for name, n in members.items()}
    return summarise(clocks, steps, {name: worker.settings for name, worker in workers.items()})


def updates(members: int, work: int) -> int:
    """Updates of each member in a round of `work` updates."""
    return max(1, work // members)


def summarise(clocks: dict[str, list[Clock]], steps: dict[str, int], settings: dict[str, str]) -> list[Entry]:
    """Rates by name, and for `PROMISED` the ratios to one member; steps: env steps in a round."""
    cpu = {name: [steps[name] / clock.cpu for clock in rounds] for name, rounds in clocks.items()}
    wall = {name: [steps[name] / clock.wall for clock in rounds] for name, rounds in clocks.items()}
    entries = []
    for name in clocks:
        entries.append(Entry.of("sweep", name, cpu[name], "env steps / CPU-s", settings=settings[name]))
        entries.append(Entry.of("sweep", name, wall[name], "env steps / s", settings=settings[name]))
    if PROMISED in clocks:
        rate = [many / one for many, one in zip(cpu[PROMISED], cpu[ALONE], strict=True)]
        apart = [many / one for many, one in zip(cpu[PROMISED], cpu[PINNED], strict=True)]
        time = [one / many for many, one in zip(wall[PROMISED], wall[PINNED], strict=True)]
        unit, how = "ratio of env steps / CPU-s", "by round"
        entries += [
            Entry.of("sweep", f"{PROMISED} / {ALONE}", rate, unit, settings=how, floor=FLOOR),
            Entry.of("sweep", f"{PROMISED} / {PINNED}", apart, unit, settings=how),
            Entry.of(
                "sweep", f"{PROMISED} / {PINNED}", time, "ratio of wall time", settings=how, ceiling=CEILING
            ),
        ]
    return entries


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--members", type=int, nargs="+", default=[1, 4, 16, 32, 64])
    parser.add_argument("--work", type=int, default=64)
    parser.add_argument("--envs", type=int, default=64)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    emit(measure(args.members, args.work, args.envs, args.length, args.rounds))


if __name__ == "__main__":
    main()
