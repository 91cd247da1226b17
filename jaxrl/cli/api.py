"""The command line's verbs as functions, for notebooks and for the command line itself.

import jaxrl.cli.api as run
folder = run.run("baselines/ppo_cartpole", "smoke", seeds=2)
folder.load_result()
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.metadata
import os
import platform
import shutil
import tempfile
import threading
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from jaxrl.cli.notebook import Run
from jaxrl.core.errors import JaxrlError, UsageError
from jaxrl.run import catalogue, lanes
from jaxrl.run.checkpoint import Checkpoints
from jaxrl.run.config import config_from_dict, config_hash, differences, replace_at
from jaxrl.run.folder import RunFolder

LIVE_S = 10.0  # seconds between two rewrites of a live report


def run(
    experiment: str,
    preset: str = "smoke",
    *,
    out: str | Path | None = None,
    root: str | Path | None = None,
    lane: lanes.Lane = "auto",
    **overrides: Any,
) -> Run:
    """Runs `experiment` (`<family>/<name>`) and returns its folder, with result, figures and report.

    overrides: fields of its `Config`, nested ones as `**{"hyper.lr": 1e-3}`. out: folder of runs, by default
    `runs` below the root. lane: members that run as one batch, as for `jaxrl.run.train.train`. Raises
    `UsageError` for unknown names and refused values, `NumericalFailure` where members diverged, after
    everything was saved.
    """
    module, config, folder = begin(experiment, preset, out=out, root=root, lane=lane, **overrides)
    execute(module, config, folder)
    return folder


def begin(
    experiment: str,
    preset: str,
    *,
    out: str | Path | None = None,
    root: str | Path | None = None,
    lane: lanes.Lane = "auto",
    **overrides: Any,
) -> tuple[ModuleType, Any, Run]:
    """`(module, configuration, folder)` of a new run for `execute`, with the arguments of `run`."""
    base = find_root(root)
    with contextlib.suppress(UsageError):  # a notebook that has used jax already keeps its devices
        configure_jax(base)
    module = catalogue.load(base, experiment)
    config = override(named_preset(module, experiment, preset), overrides)
    folder = Run.create(experiment, config, runs_folder(base, out), preset, lane)
    folder.root = base
    return module, config, folder


def resume(
    path: str | Path,
    *,
    start: int | str = "latest",
    debug_nan: bool = False,
    root: str | Path | None = None,
) -> Run:
    """Continues the run at `path` from a verified checkpoint: a step, "latest" or "latest-good".

    Raises `CorruptInput` for damaged checkpoints, `UsageError` where config.json is no longer what was run.
    """
    folder = Run.open(path)
    folder.root = None if root is None else Path(root)
    folder.resume_from, folder.debug_nan = start, debug_nan
    module, config = reopen(folder, root)
    execute(module, config, folder)
    return folder


def figure(path: str | Path, *, root: str | Path | None = None) -> list[Path]:
    """Draws the figures of a run again from its result, without training."""
    folder = RunFolder.open(path)
    return list(catalogue.load(find_root(root, folder.path), folder.experiment).figure(folder))


def find_root(root: str | Path | None, run: Path | None = None) -> Path:
    """`root` if it holds `experiments/`, else the nearest one above `run` or the working directory."""
    if root is not None:
        if not (Path(root) / "experiments").is_dir():
            raise UsageError(f"root: {root} holds no folder 'experiments'")
        return Path(root).resolve()
    if run is not None:
        with contextlib.suppress(UsageError):
            return catalogue.find_root(run)
    return catalogue.find_root()


def runs_folder(root: Path, out: str | Path | None) -> Path:
    """`out`, by default `runs` below the root: a run leaves nothing in the working directory."""
    return root / "runs" if out is None else Path(out).expanduser().resolve()


def named_preset(module: ModuleType, experiment: str, preset: str) -> Any:
    """The configuration of that name; `UsageError` with the nearest ones."""
    if preset not in module.PRESETS:
        raise UsageError(catalogue.unknown(f"preset of {experiment}", preset, module.PRESETS))
    return module.PRESETS[preset]


def override(config: Any, values: Mapping[str, Any]) -> Any:
    """A copy of a nested frozen dataclass with the fields at dotted paths replaced.

    Raises `UsageError` for an unknown path, with the nearest one, and for a refused value.
    """
    for path, value in values.items():
        field(config, path)
        try:
            config = replace_at(config, {path: value})
        except JaxrlError:
            raise
        except (TypeError, ValueError) as error:
            raise UsageError(str(error)) from error
    return config


def field(config: Any, path: str) -> Any:
    """The value at a dotted path; `UsageError` with the nearest path where there is none."""
    known = dict(field_paths(config))
    if path not in known:
        raise UsageError(catalogue.unknown("field", path, known))
    return known[path]


def field_paths(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """`(dotted path, value)` of every field of a nested dataclass, inner nodes included."""
    for f in dataclasses.fields(config):
        value = getattr(config, f.name)
        yield prefix + f.name, value
        if dataclasses.is_dataclass(value):
            yield from field_paths(value, f"{prefix}{f.name}.")


def reopen(folder: RunFolder, root: str | Path | None = None) -> tuple[ModuleType, Any]:
    """Experiment module and configuration of an existing run.

    Raises `UsageError` listing the changes where config.json is not what the run began with.
    """
    module = catalogue.load(find_root(root, folder.path), folder.experiment)
    config = config_from_dict(module.Config, folder.config)
    if config_hash(config) != folder.meta.get("config_hash"):
        raise UsageError(
            f"{folder.path / 'config.json'}: changed since the run began ({_changes(folder)}); restore it,"
            " or start a new run with `jaxrl run ... --config-file`"
        )
    return module, config


def _changes(folder: RunFolder) -> str:
    """What differs from the configuration that checkpoints were made with, or the hashes without any."""
    for checkpoints in stage_checkpoints(folder).values():
        made_with = checkpoints.verify(checkpoints.steps()[-1])["meta"]["identity"]["config"]
        return "; ".join(differences(made_with, folder.config))
    return f"hash {config_hash(folder.config)[:8]}, at the start {str(folder.meta.get('config_hash'))[:8]}"


def stage_checkpoints(folder: RunFolder) -> dict[str, Checkpoints]:
    """Stages that have checkpoints, by name."""
    if not folder.checkpoints.is_dir():
        return {}
    stages = sorted(p for p in folder.checkpoints.iterdir() if ".rejected-" not in p.name)
    found = {p.name: Checkpoints(p, say=folder.say) for p in stages}
    return {name: c for name, c in found.items() if c.steps()}


def create_folder(
    experiment: str, config: Any, out: Path, preset: str, lane: lanes.Lane = "auto"
) -> RunFolder:
    """New run folder; of several processes the first makes it and the others open it.

    Raises `StorageError` where it cannot be created, `UsageError` in the processes that do not see it.
    """
    from jaxrl.run import distributed

    if not distributed.is_primary():
        folder = RunFolder.open(distributed.same_text(""))
        folder.writes = False
        return folder
    path = ""
    try:
        folder = RunFolder.create(experiment, config, out, preset, lane)
        path = str(folder.path)
    finally:
        distributed.same_text(path)
    return folder


def execute(module: ModuleType, config: Any, folder: RunFolder, *, live: bool = False) -> None:
    """`module.run`, then figures and report, in a session that keeps status.json true whatever happens.

    Of several processes only the one that writes draws and reports.

    An unexpected exception leaves its traceback in log.txt and becomes a `JaxrlError` of one line.
    """
    with folder.lock(), _one_line(folder):
        try:
            with _live_report(folder, live and folder.writes), folder.session():
                module.run(config, folder)
        except BaseException:
            with contextlib.suppress(Exception):  # why the run stopped matters more than its page
                render(module, folder)
            raise
        render(module, folder)


def render(module: ModuleType, folder: RunFolder) -> None:
    """Figures, where the run has a result, and report.html."""
    from jaxrl.report import pages

    if not folder.writes:
        return
    if (folder.path / "result.npz").exists():
        module.figure(folder)
    pages.write(folder, module)


@contextlib.contextmanager
def scratch_copy(folder: RunFolder) -> Iterator[RunFolder]:
    """A temporary copy of a run without its pages, for work that would change the run."""
    ignored = shutil.ignore_patterns(
        "figures", "report.html", "log.txt", "run.lock", "*.rejected-*", "export"
    )
    with tempfile.TemporaryDirectory() as temporary:
        copy = RunFolder(Path(temporary) / "run")
        shutil.copytree(folder.path, copy.path, ignore=ignored)
        yield copy


def configure_jax(root: Path | None, devices: int | None = None) -> None:
    """One CPU device per core and a persistent compilation cache; before jax is first used.

    What is set already, by the environment or the caller, wins over these defaults.
    """
    import jax

    settings: Any = jax.config
    forced = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if devices is not None or not (forced or settings.jax_num_cpu_devices > 0):
        try:
            # the compiler orders passes otherwise for one device, so one and two would not agree bit for bit
            settings.update("jax_num_cpu_devices", max(2, devices or cores()))
        except RuntimeError as error:
            raise UsageError("devices: jax is already in use; choose before its first call") from error
    if settings.jax_compilation_cache_dir is None:
        cache = cache_folder(root)
        if cache is not None:
            settings.update("jax_compilation_cache_dir", str(cache))
            settings.update("jax_persistent_cache_min_compile_time_secs", 0)
            settings.update("jax_persistent_cache_min_entry_size_bytes", -1)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cache_folder(root: Path | None) -> Path | None:
    """`.cache/jax-<version>-<cpu>` below the root or else the user's cache; None where neither is writable.

    Entries are native code and their key does not contain the CPU's features, so that the folder must.
    """
    name = f"jax-{importlib.metadata.version('jax')}-{_cpu_hash()}"
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "jaxrl"
    for base in (user,) if root is None else (root / ".cache", user):
        try:
            (base / name).mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(base / name, os.W_OK):
            return base / name
    return None


def _cpu_hash() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
    except OSError:
        model = [platform.processor()]
    return hashlib.sha256("\n".join([platform.machine(), *model]).encode()).hexdigest()[:8]


@contextlib.contextmanager
def _one_line(folder: RunFolder) -> Iterator[None]:
    try:
        yield
    except JaxrlError:
        raise
    except Exception as error:
        with open(folder.path / "log.txt", "a", encoding="utf-8") as log:
            log.write(traceback.format_exc())
        text = " ".join(str(error).split())
        raise JaxrlError(
            f"{type(error).__name__}: {text[:300]}; the traceback is in {folder.path / 'log.txt'}"
        ) from error


@contextlib.contextmanager
def _live_report(folder: RunFolder, live: bool) -> Iterator[None]:
    """Rewrites report.html every `LIVE_S` seconds while the block runs."""
    if not live:
        yield
        return
    from jaxrl.report import pages

    stop = threading.Event()

    def loop() -> None:
        pages.write(folder, refresh_s=LIVE_S)
        while not stop.wait(LIVE_S):
            pages.write(folder, refresh_s=LIVE_S)

    thread = threading.Thread(target=loop, name="live report", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
