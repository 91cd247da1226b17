"""The run folder, with all files of a run; a crash at any moment leaves it readable.

Small files are replaced atomically; `metrics.jsonl` only grows, one write per line; one process owns the
folder at a time. Nothing here imports jax, so that listing and reporting runs stays fast.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import importlib.metadata
import io
import json
import math
import os
import platform
import secrets
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np

from jaxrl.core import files
from jaxrl.core.errors import CorruptInput, JaxrlError, NumericalFailure, Preempted, StorageError, UsageError
from jaxrl.core.files import as_path
from jaxrl.run import lanes, records, signals, terminal
from jaxrl.run.config import config_from_dict, config_hash, config_to_dict
from jaxrl.run.grid import check_values

__all__ = ["RunFolder", "atomic_write", "config_from_dict", "config_hash", "config_to_dict"]

SCHEMA = 1
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)
LOOKS, LOOK_S = 5, 0.05  # `is_owned` of another process holds the lock for an instant
STALE_S = 600.0  # a lock of another host whose heartbeat is older than this may be taken over
VERSIONS = ("jaxrl", "jax", "jaxlib", "flax", "optax", "numpy", "orbax-checkpoint", "brax")


class RunFolder:
    """One run on disk.

    path: absolute folder. config, meta, status: the contents of config.json (its `config` entry), meta.json,
    status.json. resume_from: which checkpoint `train` continues from, a step, "latest" or "latest-good".
    debug_nan: `train` replays a diverged stage with float checks instead of training. writes: False in all
    but one of several processes that share the folder. work: devices that share each member, where the
    command line asked for a number.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path).resolve()
        self.resume_from: int | str = "latest"
        self.debug_nan = False
        self.writes = True
        self.work: int | None = None
        self.failures: list[str] = []
        self._lock: int | None = None
        self._in_session = False

    @classmethod
    def create(cls, experiment: str, config: Any, root: Path, preset: str, lane: lanes.Lane = "auto") -> Self:
        """New folder `root/<experiment>/<preset>-<hash>/<UTC stamp>-<4 hex>/` with config, meta and status.

        lane: members that run as one batch in every stage of the run, for `jaxrl.run.train.train`.

        Raises UsageError where `config` cannot be written as JSON, StorageError where the folder cannot.
        """
        values, lane = config_to_dict(config), lanes.checked(lane)
        check_values(getattr(config, "grid", None) or {})
        stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
        path = Path(root) / experiment / f"{preset}-{config_hash(config)[:8]}" / stamp
        try:
            path.mkdir(parents=True)
        except OSError as error:
            raise StorageError(
                f"{path}: cannot create the run folder ({error.strerror}); choose another --out"
            ) from error
        folder = cls(path)
        record = {"schema": SCHEMA, "experiment": experiment, "preset": preset, "config": values}
        folder._write("config.json", _json_text(record))
        meta = {"config_hash": config_hash(config), "lane_asked": lane, **describe_machine()}
        folder._write("meta.json", _json_text(meta))
        folder.set_status("created")
        return folder

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """An existing folder; UsageError where there is none, CorruptInput where config.json is damaged."""
        folder = cls(as_path("run", path))
        if not _is_file(folder.path / "config.json"):
            raise UsageError(f"{folder.path}: not a run folder (no config.json)")
        schema = folder._record["schema"]
        if schema != SCHEMA:
            raise CorruptInput(f"{folder.path / 'config.json'}: schema {schema!r} is not {SCHEMA}")
        return folder

    @property
    def _record(self) -> dict[str, Any]:
        return records.read_config(self.path / "config.json")

    @property
    def config(self) -> dict[str, Any]:
        """Every field of the configuration, as plain JSON values."""
        return self._record["config"]

    @property
    def experiment(self) -> str:
        """The name of the experiment, `<family>/<name>`."""
        return self._record["experiment"]

    @property
    def preset(self) -> str:
        """The named configuration that the run started from."""
        return self._record["preset"]

    @property
    def meta(self) -> dict[str, Any]:
        """The contents of meta.json: command line, versions, machine."""
        return records.read_meta(self.path / "meta.json")

    @property
    def lane(self) -> lanes.Lane:
        """Members that run as one batch, as asked for when the run was made."""
        try:
            return lanes.checked(self.meta.get("lane_asked", "auto"))
        except UsageError as error:
            raise CorruptInput(f"{self.path / 'meta.json'}: lane_asked: {error}") from error

    @property
    def status(self) -> dict[str, Any]:
        """The contents of status.json: state, progress, exit code, heartbeat."""
        path = self.path / "status.json"
        return records.read_status(path) if _is_file(path) else {}

    @property
    def state(self) -> str:
        """`status["state"]`, and "killed" where it says that the run goes on although no process has it."""
        state = self.status.get("state", "created")
        return "killed" if state == "running" and not self.is_owned() else state

    @property
    def figures(self) -> Path:
        """Folder for figures, created on first use."""
        path = self.path / "figures"
        path.mkdir(exist_ok=True)
        return path

    @property
    def checkpoints(self) -> Path:
        """Folder of checkpoints, one subfolder per stage."""
        return self.path / "checkpoints"

    def update_meta(self, **fields: Any) -> None:
        """Adds or replaces entries of meta.json."""
        self._write("meta.json", _json_text({**self.meta, **fields}))

    def set_status(self, state: str, **fields: Any) -> None:
        """Replaces the state and the given fields of status.json and renews the heartbeat."""
        blank = {"update": 0, "updates_total": None, "exit_code": None, "error": None}
        now = datetime.now(UTC).isoformat(timespec="seconds")
        status = {**blank, **self.status, **fields, "state": state, "heartbeat_utc": now}
        self._write("status.json", _json_text(status))

    # ---------------------------------------------------------------------------------------- ownership

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Owns the folder: `flock` on run.lock, which names pid and host. Re-entrant for one `RunFolder`.

        Raises UsageError naming the owner where another process has it. The lock of a dead process is taken
        over with a warning.
        """
        if self._lock is not None or not self.writes:
            yield
            return
        self._lock = self._acquire()
        try:
            yield
        finally:
            handle, self._lock = self._lock, None
            with contextlib.suppress(OSError):  # the work is done, and a dead owner is noticed
                os.ftruncate(handle, 0)  # an empty file says that the owner left in order
            with contextlib.suppress(OSError):
                os.close(handle)

    def _acquire(self) -> int:
        path = self.path / "run.lock"
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StorageError(f"{path}: cannot lock the run folder ({error.strerror})") from error
        try:
            owner, owned = self._owner(handle)
            if owned:
                raise UsageError(
                    f"{self.path}: in use by {owner or 'another process'}; wait for it or stop it"
                    f" (where it is gone, delete {path.name})"
                )
            if owner:
                self.say(f"warning: taking over the lock of {owner}, which is gone")
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{_myself()}\n".encode(), 0)
        except OSError as error:
            os.close(handle)
            if isinstance(error, JaxrlError):
                raise
            raise StorageError(f"{path}: cannot lock the run folder ({error.strerror})") from error
        except BaseException:
            os.close(handle)
            raise
        return handle

    def _owner(self, handle: int) -> tuple[str, bool]:
        """The owner that run.lock names, and whether it still has the folder; locks the folder if not."""
        reached = _flock(handle, fcntl.LOCK_EX)
        for _ in range(LOOKS):
            if reached is not False:
                break
            time.sleep(LOOK_S)
            reached = _flock(handle, fcntl.LOCK_EX)
        if reached is None:
            self.say(
                f"warning: {self.path}: this file system has no locks; whether another process has the run"
                " is told by its heartbeat"
            )
        owner = os.pread(handle, 200, 0).decode(errors="replace").strip()
        if reached is False:
            return owner, True
        if owner in ("", _myself()):
            return owner, False
        if owner.endswith(f"on {socket.gethostname()}"):  # flock sees the processes of this host
            return owner, reached is None and _is_alive(owner)
        return owner, self._heartbeat_age() <= STALE_S  # and perhaps not those of other hosts

    def is_owned(self) -> bool:
        """Whether a process has the folder now, as far as its lock and its heartbeat tell."""
        if self._lock is not None:
            return True
        try:
            handle = os.open(self.path / "run.lock", os.O_RDONLY)
        except OSError:  # no lock, or one that may not be read
            return self._heartbeat_age() <= STALE_S and (self.path / "run.lock").exists()
        try:
            reached = _flock(handle, fcntl.LOCK_SH)
            owner = os.pread(handle, 200, 0).decode(errors="replace").strip()
        except OSError:
            return self._heartbeat_age() <= STALE_S
        finally:
            os.close(handle)
        if reached is False or not owner:
            return reached is False
        if owner.endswith(f"on {socket.gethostname()}"):
            return reached is None and _is_alive(owner)
        return self._heartbeat_age() <= STALE_S

    def _heartbeat_age(self) -> float:
        """Seconds since the last heartbeat, infinite where there is none that can be read.

        One in the future, from a host whose clock is ahead, counts as one of now.
        """
        try:
            beat = datetime.fromisoformat(self.status["heartbeat_utc"])
        except (JaxrlError, KeyError, ValueError):
            return math.inf
        beat = beat.replace(tzinfo=UTC) if beat.tzinfo is None else beat
        return max(0.0, (datetime.now(UTC) - beat).total_seconds())

    @contextlib.contextmanager
    def session(self) -> Iterator[None]:
        """A whole run: owns the folder and keeps status.json true whatever happens inside. Re-entrant.

        Ends as `done`, `preempted` or `failed` with the exit code. Raises NumericalFailure at the end, after
        everything was saved, where `train` reported members that diverged.
        """
        if self._in_session:
            yield
            return
        with self.lock(), signals.interrupting(f"continue with `jaxrl resume {shlex.quote(str(self.path))}`"):
            self._in_session = True
            self.failures.clear()
            self.set_status("running", exit_code=None, error=None)
            try:
                yield
                if self.failures:
                    raise NumericalFailure("\n".join(self.failures))
                self.set_status("done", exit_code=0)
            except BaseException as error:
                state, code = _outcome(error)
                with contextlib.suppress(StorageError):  # a full disk must not hide the first error
                    self.set_status(state, exit_code=code, error=str(error) or type(error).__name__)
                raise
            finally:
                self._in_session = False

    @property
    def in_session(self) -> bool:
        """Whether a `session` of this object is open."""
        return self._in_session

    def trained(self, stage: str, algorithm: Any, hypers: Any, state: Any) -> None:
        """Tells that a population was trained; subclasses that look at it, as exports do, override this."""

    # ------------------------------------------------------------------------------------------ records

    def say(self, text: str) -> None:
        """Print one line on the terminal (standard error) and append it to log.txt."""
        terminal.say(text)
        self._append("log.txt", text + "\n")

    def log(self, record: dict[str, Any]) -> str:
        """Appends one line to metrics.jsonl and returns it.

        Numbers that are not finite become null; the names of their entries are added under "nonfinite".
        """
        clean = {name: _json_value(value) for name, value in record.items()}
        bad = sorted({*record.get("nonfinite", ()), *(n for n, v in record.items() if not _is_finite(v))})
        if bad:
            clean["nonfinite"] = bad
        line = json.dumps(clean, allow_nan=False)
        self._append("metrics.jsonl", line + "\n")
        return line

    def sync_metrics(self) -> None:
        """Makes the lines of metrics.jsonl durable, before a checkpoint that counts on them."""
        path = self.path / "metrics.jsonl"
        if not self.writes or not _is_file(path):
            return
        try:
            with open(path, "rb") as file:
                os.fsync(file.fileno())
        except OSError as error:
            raise storage_error(path, path.stat().st_size, error) from error

    def read_metrics(self) -> list[dict[str, Any]]:
        """All complete lines of metrics.jsonl; an incomplete last line is ignored."""
        path = self.path / "metrics.jsonl"
        return records.read_lines(path) if _is_file(path) else []

    def check_history(self, stage: str, step: int, manifest: dict[str, Any]) -> None:
        """Raises CorruptInput where the lines of metrics.jsonl are not those of a checkpoint."""
        lines = (r for r in self.read_metrics() if r["stage"] == stage and r["update"] <= step)
        if records.metrics_digest(lines).read() != manifest["meta"].get("metrics"):
            raise CorruptInput(
                f"{self.path / 'metrics.jsonl'}: the lines of stage {stage} up to update {step} are"
                f" not those that checkpoint {step} was saved with; restore the file, or continue from an"
                " earlier checkpoint with --from latest-good"
            )

    def rewind_metrics(self, stage: str, update: int) -> list[dict[str, Any]]:
        """Drops a half-written last line and the lines of `stage` beyond `update`; returns the rest of it."""
        path = self.path / "metrics.jsonl"
        kept = [r for r in self.read_metrics() if r["stage"] != stage or r["update"] <= update]
        if _is_file(path):
            text = "".join(json.dumps(r, allow_nan=False) + "\n" for r in kept)
            if text.encode() != path.read_bytes():
                self._write(path.name, text)
        return [r for r in kept if r["stage"] == stage]

    def save_result(self, **arrays: Any) -> None:
        """Writes result.npz atomically: the arrays that figures read."""
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **{name: np.asarray(value) for name, value in arrays.items()})
        self._write("result.npz", buffer.getvalue())

    def load_result(self) -> dict[str, np.ndarray]:
        """The arrays of result.npz; UsageError before the run has saved them, CorruptInput where damaged."""
        path = self.path / "result.npz"
        if not _is_file(path):
            command = f"jaxrl resume {shlex.quote(str(self.path))}"
            raise UsageError(f"{path}: the run has not finished; `{command}` completes it")
        try:
            with np.load(path, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except Exception as error:  # zip, zlib and numpy each have their own classes
            raise CorruptInput(f"{path}: damaged ({error}); resume the run to write it again") from error

    def _write(self, name: str, data: bytes | str) -> None:
        if self.writes:
            atomic_write(self.path / name, data)

    def _append(self, name: str, text: str) -> None:
        if not self.writes:
            return
        path, data = self.path / name, text.encode()
        try:
            with open(path, "ab", buffering=0) as file:
                if file.write(data) != len(data):  # one write per line: a crash leaves at most one half line
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise storage_error(path, len(data), error) from error


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise StorageError(f"{path}: cannot be looked at ({error.strerror})") from error


def run_paths(root: Path) -> Iterator[Path]:
    """config.json of every run below `root`, by name; nothing inside a run is looked at."""
    for path, folders, names in os.walk(root):
        folders.sort()
        if "config.json" in names:
            folders.clear()
            yield Path(path) / "config.json"


# ---------------------------------------------------------------------------------------------------- files


def atomic_write(path: Path, data: bytes | str) -> None:
    """Replaces `path` by `data`, as `jaxrl.core.files.atomic_write`.

    Raises StorageError with the path and the bytes that were needed; the old file is then intact.
    """
    data = data.encode() if isinstance(data, str) else data
    try:
        files.atomic_write(path, data)
    except OSError as error:
        raise storage_error(path, len(data), error) from error


def storage_error(path: Path, needed: int, error: BaseException) -> StorageError:
    """The one sentence for a write that failed."""
    reason = getattr(error, "strerror", None) or str(error).splitlines()[0][:160]
    full = getattr(error, "errno", None) in (None, errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    remedy = "free space or choose another --out" if full else "choose another place"
    return StorageError(f"{path}: cannot write {needed} bytes ({reason}); {remedy}")


def _json_text(value: Any) -> str:
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def _flock(handle: int, kind: int) -> bool | None:
    """Whether the lock was free and is taken now; None on file systems that have no locks."""
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in NO_LOCKS:
            return None
        raise
    return True


def _myself() -> str:
    return f"pid {os.getpid()} on {socket.gethostname()}"


def _is_alive(owner: str) -> bool:
    """Whether the process `pid <n> on <host>` of this host exists."""
    try:
        os.kill(int(owner.split()[1]), 0)
    except (ProcessLookupError, ValueError, IndexError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True


def _json_value(value: Any) -> Any:
    if hasattr(value, "__array__"):
        value = np.asarray(value).tolist()
    if isinstance(value, list | tuple):
        return value if _sums(value) else [_json_value(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _is_finite(value: Any) -> bool:
    if hasattr(value, "__array__"):
        value = np.asarray(value).tolist()
    if isinstance(value, list | tuple):
        return _sums(value) or all(_is_finite(v) for v in value)
    return not isinstance(value, float) or math.isfinite(value)


def _sums(values: Sequence[Any]) -> bool:
    """Whether these are numbers with a finite sum, so that each of them is finite."""
    try:
        return math.isfinite(sum(values))
    except (TypeError, OverflowError):  # lists, None; integers beyond every float
        return False


def _outcome(error: BaseException) -> tuple[str, int]:
    if isinstance(error, Preempted):
        return "preempted", error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return "preempted", 130
    return "failed", error.exit_code if isinstance(error, JaxrlError) else 1


# -------------------------------------------------------------------------------------------------- machine


def describe_machine() -> dict[str, Any]:
    """The entries of meta.json that do not need jax: command line, code, versions, host."""
    commit = _git("rev-parse", "HEAD")
    return {
        "command": shlex.join(sys.argv),
        "created_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "git_commit": commit,
        "git_dirty": None if commit is None else _git("status", "--porcelain") != "",
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": socket.gethostname(),
        "cores": os.cpu_count(),
        "versions": installed_versions(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
    }


def installed_versions() -> dict[str, str]:
    """Versions of the packages that results depend on; absent ones are left out."""
    found = {}
    for name in VERSIONS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _git(*args: str) -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), *args]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
