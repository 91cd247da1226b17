"""Both ends of interleaved comparisons: processes that have compiled and warmed up, and work on request.

Rounds of the things compared alternate, and ratios are taken round by round, so that what else the machine
does cancels. A worker ends when its stdin closes.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.measure import Clock, pinned

ROOT = Path(__file__).parent.parent


def make_environment(folder: Path, requirements: Path) -> None:
    """Builds an environment with the versions of `requirements`; its interpreter is `folder/bin/python`."""
    venv.create(folder, with_pip=True)
    command = [folder / "bin" / "python", "-m", "pip", "install", "-r", requirements]
    subprocess.run(command, check=True)


class Worker:
    """The parent's end.

    settings: what the worker said about itself when it was ready.
    """

    def __init__(self, module: str, *words: str, python: Path | str = sys.executable, one_core: bool) -> None:
        command = [str(python), "-m", module, *words]
        self._process = subprocess.Popen(
            pinned(command) if one_core else command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.settings = self._answer("ready ")

    def round(self) -> Clock:
        """CPU and wall seconds of one round."""
        self._process.stdin.write("\n")
        cpu, wall = self._answer("round ").split()
        return Clock(float(cpu), float(wall))

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def _answer(self, prefix: str) -> str:
        for line in self._process.stdout:
            if line.startswith(prefix):
                return line.removeprefix(prefix).strip()
        raise SystemExit(f"a worker ended early: {' '.join(self._process.args)}")


def interleave(workers: Sequence[Worker], rounds: int) -> list[list[Clock]]:
    """Per worker, the clocks of its rounds; first, second, ..., first, second, ..."""
    table = [[worker.round() for worker in workers] for _ in range(rounds)]
    return [list(column) for column in zip(*table, strict=True)]


def serve(step: Callable[[Any], Any], state: Any, settings: str) -> None:
    """The worker's end: `state = step(state)` once to warm up, then once per line of stdin."""
    import jax

    state = jax.block_until_ready(step(state))
    print(f"ready {settings}", flush=True)
    for _ in sys.stdin:
        with Clock() as clock:
            state = jax.block_until_ready(step(state))
        print(f"round {clock.cpu} {clock.wall}", flush=True)
