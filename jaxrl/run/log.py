"""Reports of the host during a run: records, history, progress."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from jaxrl.core.errors import CorruptInput, StorageError
from jaxrl.core.types import Mean
from jaxrl.run import terminal
from jaxrl.run.folder import RunFolder

SILENCE_S = 10.0  # no longer without a line where there is no terminal
HEARTBEAT_S = 2.0
FIELDS = ("stage", "update", "env_steps", "wall_s", "cpu_s", "nonfinite")  # of a record, beside its metrics


class Clock:
    """Seconds of this and earlier sessions of a run; monotonic, whatever happens to the system time."""

    def __init__(self, wall_s: float = 0.0, cpu_s: float = 0.0) -> None:
        self._wall, self._cpu = wall_s - time.monotonic(), cpu_s - time.process_time()

    def read(self) -> dict[str, float]:
        """Seconds so far, as `{"wall_s": ..., "cpu_s": ...}`."""
        wall, cpu = self._wall + time.monotonic(), self._cpu + time.process_time()
        return {"wall_s": round(wall, 3), "cpu_s": round(cpu, 3)}


def averages(metrics: dict[str, Mean], names: tuple[str, ...]) -> tuple[dict[str, Any], list[str]]:
    """Per-member values `[B, ...]` as lists with None where nothing was counted, and the non-finite names.

    metrics: numpy sums `[B, ...]` and counts `[B]`.
    """
    values, bad = {}, []
    for name in names:
        total, count = (np.asarray(x) for x in metrics[name])
        counted = count > 0
        with np.errstate(invalid="ignore", over="ignore"):
            mean = (total.T / np.where(counted, count, 1)).T.astype(np.float32)
        values[name], broken = member_values(mean, ~counted)
        bad += [name] if broken else []
    return values, bad


def member_values(x: np.ndarray, absent: np.ndarray | None) -> tuple[list[Any], bool]:
    """Values `[B, ...]` as lists with None for the members `absent`; whether any other is not finite."""
    keep = np.ones(len(x), bool) if absent is None else ~absent
    values = x.tolist()
    for member in np.flatnonzero(~keep):
        values[member] = np.full(x.shape[1:], None).tolist()
    return values, not np.isfinite(x[keep]).all()


class History:
    """The log points of a run as arrays."""

    def __init__(self) -> None:
        self._update: list[int] = []
        self._rows: list[dict[str, np.ndarray]] = []

    def add(self, record: dict[str, Any]) -> None:
        """Appends the metrics of a record, one that was just made or one read from metrics.jsonl."""
        self._update.append(record["update"])
        rows = {name: np.asarray(x, np.float32) for name, x in record.items() if name not in FIELDS}
        self._rows.append({name: np.where(np.isfinite(x), x, np.float32("nan")) for name, x in rows.items()})

    def arrays(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """`update` int[L], and name -> float32[L, B, ...] with NaN where a number is absent or not finite."""
        names = dict.fromkeys(name for row in self._rows for name in row)
        out = {}
        for name in names:
            blank = next(np.full_like(row[name], np.nan) for row in self._rows if name in row)
            out[name] = np.stack([row.get(name, blank) for row in self._rows])
        return np.asarray(self._update, np.int64), out


class Pace:
    """Seconds per update, exponentially weighted; without the first call, which compiles."""

    def __init__(self) -> None:
        self.seconds: float | None = None

    def add(self, updates: int, seconds: float) -> None:
        """Counts `updates` that took `seconds`."""
        each = max(seconds, 0.0) / updates
        self.seconds = each if self.seconds is None else 0.7 * self.seconds + 0.3 * each


class Reporter:
    """Progress of one stage: one that moves on a terminal and in a notebook, else a line every 10 s."""

    def __init__(self, say: Callable[[str], None], stage: str, updates: int, env_steps: int | None) -> None:
        self._say, self._stage, self._updates = say, stage, updates
        self._env_steps = env_steps
        self.text, self._spoken = "starting", time.monotonic()  # text: what the run is busy with
        self._bar: Any = None

    @contextlib.contextmanager
    def running(self, shown: bool) -> Iterator[None]:
        """Shows progress while inside, if `shown`; lines that matter are said all the same."""
        if not shown:
            yield
        elif (cell := notebook_cell()) is not None:
            with self._cell(cell):
                yield
        elif terminal.interactive(sys.stderr):
            with self._terminal():
                yield
        else:
            done = threading.Event()
            ticker = threading.Thread(target=self._tick, args=(done,), daemon=True)
            ticker.start()
            try:
                yield
            finally:
                done.set()
                ticker.join()

    @contextlib.contextmanager
    def _terminal(self) -> Iterator[None]:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            BarColumn(bar_width=20),
            TextColumn("{task.percentage:3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),  # names of metrics may hold brackets
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            self._bar = bar
            task = bar.add_task(self._stage, total=self._updates)
            try:
                yield
            finally:
                bar.remove_task(task)
                self._bar = None

    @contextlib.contextmanager
    def _cell(self, cell: Any) -> Iterator[None]:
        self._bar = CellBar(cell, self._stage, self._updates)
        try:
            yield
        finally:
            self._bar.show("")
            self._bar = None

    def line(self, text: str) -> None:
        """Say one line now."""
        self._spoken = time.monotonic()
        self._say(f"{self._stage}: {text}")

    def now(self, text: str) -> None:
        """Set what the run is busy with, for the next line or the bar."""
        self.text = text
        if self._bar is not None:
            self._bar.update(0, description=f"{self._stage}: {text}")

    def progress(self, update: int, pace: Pace, bad: int, metrics: dict[str, Any]) -> None:
        """Show where the run is: percent, rates, time left, last metrics, members that diverged."""
        parts = [f"{update}/{self._updates} updates ({100 * update / self._updates:.0f}%)"]
        if pace.seconds:
            rate = 1 / pace.seconds
            parts.append(f"{rate:.3g} updates/s")
            if self._env_steps:
                parts.append(f"{rate * self._env_steps:.3g} env steps/s")
            parts.append(f"{(self._updates - update) * pace.seconds:.0f} s left")
        parts += [f"{name} {value:.4g}" for name, value in summary(metrics)]
        if bad:
            parts.append(f"{bad} diverged")
        self.now(", ".join(parts))
        if self._bar is not None:
            self._bar.update(0, completed=update)

    def _tick(self, done: threading.Event) -> None:
        while not done.wait(0.5):
            if time.monotonic() - self._spoken >= SILENCE_S - 1:
                self.line(self.text)


def notebook_cell() -> Any:
    """A place below the running cell of a Jupyter notebook that can be drawn anew; None outside of one."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is None or not hasattr(shell, "kernel"):
        return None
    from IPython.display import Pretty, display

    return display(Pretty(""), display_id=True)


class CellBar:
    """A progress bar in a notebook, drawn anew in its place; `update` as that of rich's `Progress`."""

    def __init__(self, cell: Any, stage: str, total: int) -> None:
        self._cell, self._total, self._completed, self._description = cell, total, 0, stage

    def update(self, task: int, *, completed: int | None = None, description: str | None = None) -> None:
        """Draws what is done and what the run is busy with."""
        self._completed = self._completed if completed is None else completed
        self._description = self._description if description is None else description
        share = self._completed / max(self._total, 1)
        bar = "#" * round(20 * share)
        self.show(f"[{bar:<20}] {share:4.0%} {self._description}")

    def show(self, text: str) -> None:
        """Replaces what stands below the cell."""
        from IPython.display import Pretty

        self._cell.update(Pretty(text))


def summary(metrics: dict[str, Any], most: int = 3) -> list[tuple[str, float]]:
    """The first scalar metrics, returns before others, averaged over the members that have them."""
    out = []
    for name in sorted(metrics, key=lambda name: "return" not in name):
        values = metrics[name]
        numbers = [v for v in values if isinstance(v, float) and np.isfinite(v)]
        if numbers and len(out) < most:
            out.append((name, float(np.mean(numbers))))
    return out


class Heartbeat:
    """Renews status.json every few seconds; one that cannot be written is a warning."""

    def __init__(self, folder: RunFolder | None, say: Callable[[str], None]) -> None:
        self._folder, self._say, self._last = folder, say, -np.inf

    def beat(self, force: bool = False, **fields: Any) -> None:
        """Writes the fields if the last beat is old enough."""
        now = time.monotonic()
        if self._folder is not None and (force or now - self._last >= HEARTBEAT_S):
            self._last = now
            try:
                self._folder.set_status("running", **fields)
            except (StorageError, CorruptInput) as error:
                self._say(f"warning: heartbeat lost: {error}")


class CacheHits:
    """Counts what the persistent compilation cache answered while inside."""

    def __enter__(self) -> CacheHits:
        self.asked = self.hits = 0
        jax.monitoring.register_event_listener(self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        jax.monitoring.unregister_event_listener(self._listen)

    def _listen(self, event: str, **_: Any) -> None:
        self.asked += event == "/jax/compilation_cache/compile_requests_use_cache"
        self.hits += event == "/jax/compilation_cache/cache_hits"

    def describe(self) -> str:
        """Whether everything compiled so far came from the cache."""
        return f"compiled (cached: {'yes' if 0 < self.asked == self.hits else 'no'})"
