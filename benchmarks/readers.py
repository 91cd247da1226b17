"""Growth of the readers of D4RL and Minari with the number of rows: time and peak memory.

    python -m benchmarks.readers

A file of noise, 17 features and 6 actions in episodes of 1000 rows, is written once per format and size, and
read in a process of its own, whose peak is that of the reading. Rows: CPU microseconds for each row of the
file, and the largest resident memory beyond that before the reading, over the bytes of the arrays.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import h5py
import jax
import numpy as np

from benchmarks.measure import Clock, Entry, emit
from jaxrl.data import d4rl, minari

COMMANDS = [
    (
        True,
        ["--rows", "10000", "100000", "1000000", "--rounds", "2"],
        ["--rows", "1000", "2000", "--rounds", "1"],
    )
]
GROUP = "growth: readers"
READERS = {"D4RL": d4rl.load, "Minari": minari.load}
EPISODE = 1000


def write(kind: str, path: Path, rows: int) -> None:
    """A file of `rows` transitions, a multiple of 1000, in the format `kind`."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        if kind == "D4RL":
            file.update(_arrays(rng, rows, rows))
            file["next_observations"] = rng.normal(size=(rows, 17)).astype(np.float32)
            file["terminals"], file["timeouts"] = (
                np.zeros(rows, bool),
                np.arange(rows) % EPISODE == EPISODE - 1,
            )
            return
        for episode in range(rows // EPISODE):
            group = file.create_group(f"episode_{episode}")
            group.update(_arrays(rng, EPISODE + 1, EPISODE))
            group["terminations"] = np.zeros(EPISODE, bool)
            group["truncations"] = np.arange(EPISODE) == EPISODE - 1


def _arrays(rng: np.random.Generator, observations: int, rows: int) -> dict[str, np.ndarray]:
    return {
        "observations": rng.normal(size=(observations, 17)).astype(np.float32),
        "actions": rng.uniform(-1, 1, (rows, 6)).astype(np.float32),
        "rewards": rng.normal(size=rows).astype(np.float32),
    }


def read(kind: str, path: Path, rounds: int, settings: str) -> list[Entry]:
    """The two entries of one file; the first reading is that of the peak, the others are timed.

    One episode is read before, so that what libraries set up at their first use is in neither.
    """
    with tempfile.TemporaryDirectory() as folder:
        write(kind, Path(folder) / "main_data.hdf5", EPISODE)
        READERS[kind](Path(folder) / "main_data.hdf5")
    before = _peak(reset=True)
    data = jax.block_until_ready(READERS[kind](path))
    beyond, held = _peak() - before, sum(x.nbytes for x in jax.tree.leaves(data))
    rows, times = data.size, []
    del data
    for _ in range(rounds):
        with Clock() as clock:
            jax.block_until_ready(READERS[kind](path))
        times.append(1e6 * clock.cpu / rows)
    return [
        Entry.of(GROUP, f"{kind}, time, {rows:,} rows", times, "CPU-us a row", settings=settings),
        Entry.of(
            GROUP, f"{kind}, peak memory, {rows:,} rows", [beyond / held], "of the arrays", settings=settings
        ),
    ]


def _peak(reset: bool = False) -> int:
    """Bytes: the largest resident memory of this process since the last reset, which Linux keeps."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--read", nargs=2, metavar=("FORMAT", "FILE"), help="what a process of its own reads")
    args: Any = parser.parse_args(argv)
    if args.read:
        return emit(read(args.read[0], Path(args.read[1]), args.rounds, "17 features, 6 actions"))
    with tempfile.TemporaryDirectory() as folder:
        for kind in READERS:
            for rows in args.rows:
                path = Path(folder) / "main_data.hdf5"
                write(kind, path, rows)
                command = [sys.executable, "-m", "benchmarks.readers", "--rounds", str(args.rounds)]
                subprocess.run([*command, "--read", kind, str(path)], check=True)


if __name__ == "__main__":
    main()
