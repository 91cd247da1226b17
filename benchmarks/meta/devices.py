"""Wall time of meta-runs on two devices: two members, a device each, and one member that both share.

python -m benchmarks.meta.devices

One fake CPU device per core; needs two idle cores, or the ratios say what else the machine does.
"""

from __future__ import annotations

import argparse
import contextlib

from benchmarks.measure import Clock, Entry, emit
from benchmarks.workers import Worker, interleave

GROUP = "meta"
SIDES = {
    "one member, one device": (1, 1),
    "two members, two devices": (2, 1),
    "one member, two devices": (1, 2),
}
"""Members, and devices that share each."""
COMMANDS = [(False, [], ["--pairs", "4", "--updates", "5", "--generations", "1"])]


def measure(pairs: int, updates: int, generations: int, rounds: int) -> list[Entry]:
    """Wall seconds of a round of every side, and the two ratios."""
    with contextlib.ExitStack() as stack:
        workers = []
        for name, (members, work) in SIDES.items():
            numbers = {
                "members": members,
                "work": work,
                "pairs": pairs,
                "updates": updates,
                "generations": generations,
            }
            words = [text for key, value in numbers.items() for text in (f"--{key}", str(value))]
            alone = name == "one member, one device"
            worker = Worker("benchmarks.meta.devices_worker", *words, one_core=alone)
            workers.append(stack.enter_context(worker))
        clocks = interleave(workers, rounds)
        return summarise(dict(zip(SIDES, clocks, strict=True)), [worker.settings for worker in workers])


def summarise(clocks: dict[str, list[Clock]], settings: list[str]) -> list[Entry]:
    """Entries of all sides, the time of two members over that of one, and the speed of two devices."""
    wall = {name: [clock.wall for clock in rounds] for name, rounds in clocks.items()}
    entries = [
        Entry.of(GROUP, f"meta-run, {name}", values, "s of a round", settings=text)
        for (name, values), text in zip(wall.items(), settings, strict=True)
    ]
    one, members, shared = wall.values()
    longer = [b / a for a, b in zip(one, members, strict=True)]
    faster = [a / b for a, b in zip(one, shared, strict=True)]
    two = "meta-run, two members on two devices / one on one: wall time"
    both = "meta-run, one device / two that share it: wall time"
    return [
        *entries,
        Entry.of(GROUP, two, longer, "ratio", settings="by round", ceiling=1.15),
        Entry.of(GROUP, both, faster, "ratio", settings="by round", floor=1.7),
    ]


def main(argv: list[str] | None = None) -> None:
    """Measures and writes the entries."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=64)
    parser.add_argument("--updates", type=int, default=20, help="of the longest lifetime")
    parser.add_argument("--generations", type=int, default=2, help="of a round")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    emit(measure(args.pairs, args.updates, args.generations, args.rounds))


if __name__ == "__main__":
    main()
