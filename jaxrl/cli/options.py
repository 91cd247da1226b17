"""Options of the command line: one frozen dataclass per command, read by tyro."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from jaxrl.core.errors import UsageError
from jaxrl.run import lanes


@dataclass(frozen=True)
class ComputeOptions:
    """Devices and processes of a run, and the page that shows it meanwhile."""

    devices: int | None = None
    """Number of CPU devices of a process; by default one per core. Results do not depend on it."""
    work: int | None = None
    """Number of devices that share each member, for experiments whose algorithm allows it. Results depend on
    it by rounding at most."""
    coordinator: str | None = None
    """Address HOST:PORT at which several processes meet, that of the first. Each is started with the same
    command, but for --process."""
    processes: int = 1
    """Number of processes that run together."""
    process: int = 0
    """Index of this process. The first, 0, writes the run folder, which all processes must see."""
    live: bool = False
    """Rewrite report.html every 10 seconds while the run goes on."""

    def __post_init__(self) -> None:
        if self.devices is not None and self.devices < 1:
            raise ValueError(f"devices: must be >= 1, got {self.devices}")
        if self.work is not None and self.work < 1:
            raise ValueError(f"work: must be >= 1, got {self.work}")
        if (self.processes == 1) != (self.coordinator is None) or self.processes < 1:
            raise ValueError(
                "processes: several need --coordinator HOST:PORT and --processes N >= 2, one neither"
            )
        if not 0 <= self.process < self.processes:
            raise ValueError(f"process: must lie in [0, {self.processes}), got {self.process}")
        if self.coordinator is not None and not self.coordinator.rpartition(":")[2].isdigit():
            raise ValueError(f"coordinator: must be HOST:PORT, got '{self.coordinator}'")


@dataclass(frozen=True)
class RunOptions(ComputeOptions):
    """Place and form of a run; no part of its configuration."""

    grid: Annotated[
        tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="FIELD=VALUE,VALUE,...")
    ] = ()
    """Swept field and its values, in place of the preset's grid; several fields give every combination."""
    out: Path | None = None
    """Folder of runs; by default `runs` below the root."""
    lane: int | Literal["auto"] = "auto"
    """Number of members that run as one batch. `auto` is 1 on CPUs, and as many as fit on accelerators. The
    last bits of results depend on it."""
    dry_run: bool = False
    """Print the resolved configuration and what it costs, then stop."""
    print_config: bool = False
    """Print the resolved configuration, to be read back with --config-file, then stop."""
    config_file: Path | None = None
    """Start from this configuration (JSON) instead of a preset."""

    def __post_init__(self) -> None:
        super().__post_init__()
        lanes.checked(self.lane)


@dataclass(frozen=True)
class SweepOptions(RunOptions):
    """Place and form of a sweep."""

    print: bool = False
    """Print one command per grid point, for GNU parallel or a job array, then stop."""
    slurm: bool = False
    """Submit one SLURM job per grid point (extra `slurm`)."""


@dataclass(frozen=True)
class ResumeOptions(ComputeOptions):
    """How a run is continued."""

    start: Annotated[str, tyro.conf.arg(name="from")] = "latest"
    """A step, `latest`, or `latest-good`, which walks back over damaged checkpoints."""
    debug_nan: bool = False
    """Replay with float checks and name the operation that made the first NaN."""


@dataclass(frozen=True)
class ReportOptions:
    """Pages and tables of finished and running runs."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    """The folders of the runs."""
    index: bool = False
    """Write the index, one page that shows every figure and links every run's page."""
    publish: bool = False
    """Copy the results to experiments/<family>/results and regenerate the family's README table."""
    out: Path | None = None
    """Folder of runs that the index covers; by default `runs` below the root."""
    page: Path | None = None
    """File of the index; by default `out/index.html` below the root."""


@dataclass(frozen=True)
class CompareOptions:
    """Runs beside each other: scores with intervals, probability of improvement, curves, configurations."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    """Run folders, two or more; the first is what the others are compared with."""
    page: Path | None = None
    """File of the page; by default `out/compare.html` below the root. The JSON stands beside it."""


@dataclass(frozen=True)
class ExportOptions:
    """A run in other programs' formats."""

    run: Annotated[Path, tyro.conf.Positional]
    """The folder of the run."""
    to: Literal["csv", "parquet", "policy"] = "csv"
    """Format: metrics as a table, or the trained policy as policy.npz and policy.json."""
    member: int | None = None
    """Index of the member whose policy is exported, in its population; by default 0."""
    stage: str | None = None
    """Name of the population whose policy is exported, where a run trains several."""
    dest: Path | None = None
    """Folder to write to; by default `export` inside the run folder."""


@dataclass(frozen=True)
class FigureOptions:
    """The figures of a run, drawn again."""

    run: Annotated[Path, tyro.conf.Positional]
    """The folder of the run."""
    dest: Path | None = None
    """Folder to write to; by default `figures` inside the run folder."""


@dataclass(frozen=True)
class RunPath:
    """One run."""

    run: Annotated[Path, tyro.conf.Positional]
    """The folder of the run."""


def take_flag(args: list[str], name: str) -> bool:
    """Removes every `name`; returns whether there was one."""
    found = name in args
    while name in args:
        args.remove(name)
    return found


def take_option(args: list[str], name: str) -> str | None:
    """Removes the one `name value` or `name=value`; None where there is none."""
    values = take_options(args, name)
    if len(values) > 1:
        raise UsageError(f"{name}: given {len(values)} times")
    return values[0] if values else None


def take_options(args: list[str], name: str) -> list[str]:
    """Removes every `name value` and `name=value`; returns the values."""
    values = []
    i = 0
    while i < len(args):
        if args[i] == name:
            if i + 1 >= len(args):
                raise UsageError(f"{name}: needs a value")
            values.append(args[i + 1])
            del args[i : i + 2]
        elif args[i].startswith(name + "="):
            values.append(args.pop(i)[len(name) + 1 :])
        else:
            i += 1
    return values
