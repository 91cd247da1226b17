"""What a population costs: PPO members in one program, a CPU device per core, beside a solo run on one core.

    python -m benchmarks.sweep --members 4 16 32 64 --rounds 5

A round is the same work for every size, `work` updates of one member in all, so a solo run of as many updates
on one core is what the sizes are compared with: in env steps per CPU-second, and in wall time.
"""

from __future__ import annotations

import argparse
import contextlib
import os

from benchmarks.measure import Clock, Entry, emit
from benchmarks.workers import Worker, interleave

#: the size about which the design makes promises: nothing lost per CPU-second, at most 0.6 of the wall time
PROMISED, FLOOR, CEILING = 32, 1.0, 0.6


def measure(sizes: list[int], work: int, envs: int, length: int, rounds: int) -> list[Entry]:
    """Rates of a solo run and of every size."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    sizes = [1, *(n for n in sizes if n != 1)]
    with contextlib.ExitStack() as stack:
        workers = []
        for n in sizes:
            numbers = {
                "members": n,
                "devices": 1 if n == 1 else cores,
                "updates": updates(n, work),
                "envs": envs,
                "length": length,
            }
            words = [text for key, value in numbers.items() for text in (f"--{key}", str(value))]
            worker = Worker("benchmarks.worker_sweep", *words, one_core=n == 1)
            workers.append(stack.enter_context(worker))
        clocks = dict(zip(sizes, interleave(workers, rounds), strict=True))
    steps = {n: n * updates(n, work) * envs * length for n in sizes}
    return summarise(clocks, steps, {n: w.settings for n, w in zip(sizes, workers, strict=True)})


def updates(members: int, work: int) -> int:
    """Updates of each member in a round of `work` updates."""
    return max(1, work // members)


def summarise(clocks: dict[int, list[Clock]], steps: dict[int, int], settings: dict[int, str]) -> list[Entry]:
    """Rates per size, and for `PROMISED` members the ratios to the solo run; all keyed by members.

    steps: env steps in a round.
    """
    cpu = {n: [steps[n] / clock.cpu for clock in rounds] for n, rounds in clocks.items()}
    wall = {n: [steps[n] / clock.wall for clock in rounds] for n, rounds in clocks.items()}
    entries = []
    for n in clocks:
        name = "1 member, pinned to one core" if n == 1 else f"{n} members"
        entries.append(Entry.of("sweep", name, cpu[n], "env steps / CPU-s", settings=settings[n]))
        entries.append(Entry.of("sweep", name, wall[n], "env steps / s", settings=settings[n]))
    if PROMISED in clocks:
        name, versus = f"{PROMISED} members / 1 member", "by round, for the same number of updates"
        rate = [many / one for many, one in zip(cpu[PROMISED], cpu[1], strict=True)]
        time = [one / many for many, one in zip(wall[PROMISED], wall[1], strict=True)]
        entries += [
            Entry.of("sweep", name, rate, "ratio of env steps / CPU-s", settings=versus, floor=FLOOR),
            Entry.of("sweep", name, time, "ratio of wall time", settings=versus, ceiling=CEILING),
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
