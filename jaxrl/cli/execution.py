"""A run from its folder to its page: creating, opening again, executing, drawing."""

from __future__ import annotations

import contextlib
import shutil
import stat
import tempfile
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from jaxrl.core.errors import CorruptInput, JaxrlError, StorageError, UsageError
from jaxrl.core.files import as_path
from jaxrl.run import catalogue, lanes
from jaxrl.run.checkpoint import Checkpoints
from jaxrl.run.config import config_from_dict, config_hash, differences
from jaxrl.run.folder import RunFolder

LIVE_S = 10.0  # seconds between two rewrites of a live report


def find_root(root: str | Path | None, run: Path | None = None) -> Path:
    """`root` if it holds `experiments/`, else the nearest one above `run` or the working directory."""
    if root is not None:
        path = as_path("root", root)
        if not (path / "experiments").is_dir():
            raise UsageError(f"root: {root} holds no folder 'experiments'")
        return path
    if run is not None:
        with contextlib.suppress(UsageError):
            return catalogue.find_root(run)
    return catalogue.find_root()


def runs_folder(root: Path, out: str | Path | None) -> Path:
    """`out`, by default `runs` below the root: a run leaves nothing in the working directory.

    Raises `UsageError` for what no folder can be called, see `as_path`.
    """
    return root / "runs" if out is None else as_path("out", out)


def reopen(folder: RunFolder, root: str | Path | None = None) -> tuple[ModuleType, Any]:
    """Experiment module and configuration of an existing run.

    Raises `UsageError` listing the changes where config.json is not what the run began with.
    """
    module = catalogue.load(find_root(root, folder.path), folder.experiment)
    try:
        config = config_from_dict(module.Config, folder.config)
    except JaxrlError as error:
        raise CorruptInput(f"{folder.path / 'config.json'}: {error}") from error
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
            with _live_report(folder, live and folder.writes), folder.session(), precision(config):
                module.run(config, folder)
        except BaseException:
            with contextlib.suppress(Exception):  # why the run stopped matters more than its page
                render(module, folder)
            raise
        render(module, folder)


def precision(config: Any) -> contextlib.AbstractContextManager[Any]:
    """The precision of an experiment: float64 in the block where the field `float64` of its `Config` is set.

    Whatever repeats a run or restores its states is done inside, as the run itself.
    """
    if not getattr(config, "float64", False):
        return contextlib.nullcontext()
    import jax

    return jax.enable_x64(True)


def render(module: ModuleType, folder: RunFolder) -> None:
    """Figures, where the run has a result, and report.html."""
    from jaxrl.report import pages

    if not folder.writes:
        return
    if (folder.path / "result.npz").exists():
        module.figure(folder)
    pages.write(folder, module)


def draw(module: ModuleType, folder: RunFolder, dest: str | Path | None = None) -> list[Path]:
    """Draws the figures of a run into `dest`, by default its folder `figures`; returns the files.

    Raises `StorageError` where they cannot be written.
    """
    shown = folder if dest is None else _DrawnElsewhere(folder.path, as_path("dest", dest))
    with writing("--dest"):
        return list(module.figure(shown))


@contextlib.contextmanager
def writing(option: str) -> Iterator[None]:
    """Inside, what cannot be written is a `StorageError` that names the `option` for another place."""
    try:
        yield
    except JaxrlError:
        raise
    except OSError as error:
        what = f"{error.filename}: cannot be written ({error.strerror})" if error.filename else str(error)
        raise StorageError(f"{what}; name another {option}") from error


class _DrawnElsewhere(RunFolder):
    """A run whose figures go to another folder."""

    def __init__(self, path: Path, dest: Path) -> None:
        super().__init__(path)
        self._dest = dest

    @property
    def figures(self) -> Path:
        self._dest.mkdir(parents=True, exist_ok=True)
        return self._dest


@contextlib.contextmanager
def scratch_copy(folder: RunFolder, kind: type[Any] = RunFolder) -> Iterator[Any]:
    """A temporary copy of a run without its pages, for work that would change the run."""
    ignored = shutil.ignore_patterns(
        "figures", "report.html", "log.txt", "run.lock", "*.rejected-*", "export"
    )
    with tempfile.TemporaryDirectory() as temporary:
        copy = kind(Path(temporary) / "run")
        shutil.copytree(folder.path, copy.path, ignore=ignored)
        for path in (copy.path, *copy.path.rglob("*")):  # the run may be read-only
            path.chmod(path.stat().st_mode | stat.S_IWUSR)
        yield copy


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
