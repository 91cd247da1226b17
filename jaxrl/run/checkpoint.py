"""Checkpoints: orbax stores the arrays, a SHA-256 manifest of our own says what they must be.

orbax 0.12.8 restores flipped bits without an error, casts dtypes silently and lists half-deleted steps. So a
step counts only with a `MANIFEST.json`, written last and removed first, and every file is hashed before orbax
is asked. Verifying needs neither jax nor orbax.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jaxrl.core.errors import CorruptInput, NumericalFailure, UsageError
from jaxrl.core.files import sha256, sync_folder
from jaxrl.run import records
from jaxrl.run.config import differences
from jaxrl.run.folder import atomic_write, installed_versions, storage_error

MANIFEST = "MANIFEST.json"
FORMAT = 2
SETTLE_S = 1.0  # after a failed save, until the writers in the background have failed too


class CorruptCheckpoint(CorruptInput):
    """An error for a checkpoint file that is not what the manifest says.

    step: int; file: path inside the step; expected, found: what was compared.
    """

    def __init__(self, step: int, file: str, expected: str, found: str) -> None:
        super().__init__(
            f"checkpoint {step}: {file}: expected {expected}, found {found}; "
            "continue from an earlier one with --from latest-good"
        )
        self.step, self.file, self.expected, self.found = step, file, expected, found


class Checkpoints:
    """The checkpoints of one stage, in `folder/<step>/`.

    keep: how many of the newest stay. say: where warnings go.
    """

    def __init__(
        self,
        folder: Path,
        *,
        keep: int = 3,
        say: Callable[[str], None] = print,
    ) -> None:
        if keep < 1:
            raise UsageError(f"keep: must be >= 1, got {keep}")
        self.folder = Path(folder).resolve()
        for path in (self.folder.parent, self.folder):
            if path.exists() and not path.is_dir():
                raise CorruptInput(f"{path}: is a file where a folder of checkpoints belongs; move it away")
        self.keep, self.say = keep, say
        self._manager: Any = None

    def steps(self) -> list[int]:
        """Steps that have a manifest, ascending; anything else in the folder is no checkpoint."""
        return sorted(
            int(p.parent.name) for p in self.folder.glob(f"*/{MANIFEST}") if p.parent.name.isdigit()
        )

    def debris(self) -> list[str]:
        """Names of what a killed process left: half-written or half-deleted steps."""
        if not self.folder.is_dir():
            return []
        complete = {str(s) for s in self.steps()}
        return sorted(p.name for p in self.folder.iterdir() if p.name not in complete)

    # --------------------------------------------------------------------------------------------- write

    def save(
        self,
        step: int,
        tree: Any,
        meta: dict[str, Any],
        *,
        finite: dict[str, Any] | None = None,
        protect: frozenset[int] = frozenset(),
    ) -> None:
        """Writes `tree` and the JSON `meta`, then deletes what `keep` allows except the steps in `protect`.

        finite: name -> arrays that must hold finite numbers only, or NumericalFailure is raised and nothing
        written. Raises StorageError naming path and bytes; earlier checkpoints are then intact.
        """
        import jax.numpy as jnp
        import orbax.checkpoint as ocp

        from jaxrl.run import distributed

        for name, arrays in (finite or {}).items():
            if not all(jnp.isfinite(x).all() for x in arrays):
                raise NumericalFailure(f"checkpoint {step}: {name} is not finite; not saved")
        named = _named_leaves(tree)
        # flat and numbered: orbax refuses empty containers and arrays without elements
        leaves = {f"{i:04d}": x for i, (_, x) in enumerate(named) if x.size}
        needed = sum(x.nbytes for x in leaves.values())
        path = self.folder / str(step)
        with _quiet():
            # tasks of orbax that fail beside the first are collected at any time, each with a traceback
            logging.getLogger("asyncio").addFilter(_is_news)
            try:
                if not self._open().save(step, args=ocp.args.StandardSave(leaves)):
                    raise UsageError(f"{path}: a checkpoint of this or a later step exists")
                self._manager.wait_until_finished()
            except UsageError:
                raise
            except Exception as error:  # every failure here is a write that did not happen
                self._abandon(step)
                time.sleep(SETTLE_S)
                raise storage_error(path, needed, error) from error
        if distributed.is_primary():
            self._write_manifest(path, step, named, meta)
        distributed.barrier(f"checkpoint {step}")
        self._prune(protect | {step})

    def _write_manifest(self, path: Path, step: int, named: list[tuple[str, Any]], meta: dict) -> None:
        manifest = {
            "format": FORMAT,
            "step": step,
            "versions": installed_versions(),
            "tree": [[name, list(x.shape), str(x.dtype)] for name, x in named],
            "files": {
                str(f.relative_to(path)): {"bytes": f.stat().st_size, "sha256": sha256(f)}
                for f in sorted(path.rglob("*"))
                if f.is_file()
            },
            "meta": meta,
        }
        manifest["sha256"] = _digest(manifest)
        sync_folder(path)
        atomic_write(path / MANIFEST, json.dumps(manifest, indent=1, allow_nan=False) + "\n")

    def _prune(self, protect: frozenset[int]) -> None:
        from jaxrl.run import distributed

        steps = self.steps()
        for step in steps[: -self.keep]:
            if step in protect:
                continue
            distributed.barrier(f"prune {step}")  # all processes have listed the same steps
            if distributed.is_primary():
                (self.folder / str(step) / MANIFEST).unlink()
            with _quiet():
                self._manager.delete(step)

    def discard_after(self, step: int | None) -> None:
        """Moves steps beyond `step` (all, if None) and debris aside, so that training can write them anew."""
        from jaxrl.run import distributed

        late = [str(s) for s in self.steps() if step is None or s > step]
        names = [*self.debris(), *late]
        if names and distributed.is_primary():
            self.say(f"checkpoints: setting aside {', '.join(names)}")
            aside = self.folder.with_name(f"{self.folder.name}.rejected-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
            aside.mkdir()
            for name in names:
                os.replace(self.folder / name, aside / name)
        distributed.barrier("discard")

    def _abandon(self, step: int) -> None:
        for path in self.folder.glob(f"{step}.*tmp*"):
            shutil.rmtree(path, ignore_errors=True)

    def _open(self) -> Any:
        import orbax.checkpoint as ocp

        if self._manager is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            options = ocp.CheckpointManagerOptions(enable_async_checkpointing=False)
            self._manager = ocp.CheckpointManager(self.folder, options=options)
        return self._manager

    # ---------------------------------------------------------------------------------------------- read

    def verify(self, step: int) -> dict[str, Any]:
        """The manifest of `step`, after every file was hashed; raises CorruptCheckpoint."""
        path = self.folder / str(step)
        manifest = self._manifest(step)
        listed = manifest["files"].keys()
        held = {str(f.relative_to(path)) for f in path.rglob("*") if f.is_file() and f.name[0] != "."}
        for name in sorted(held - listed - {MANIFEST}):
            raise CorruptCheckpoint(step, name, "no such file", "one that the manifest does not list")
        if not listed and manifest["tree"]:
            raise CorruptCheckpoint(step, MANIFEST, "a list of files", "an empty one")
        for name, entry in manifest["files"].items():
            file = path / name
            if not file.is_file():
                raise CorruptCheckpoint(step, name, f"{entry['bytes']} bytes", "no file")
            if file.stat().st_size != entry["bytes"]:
                raise CorruptCheckpoint(step, name, f"{entry['bytes']} bytes", f"{file.stat().st_size}")
            found = sha256(file)
            if found != entry["sha256"]:
                raise CorruptCheckpoint(step, name, f"sha256 {entry['sha256'][:12]}", found[:12])
        return manifest

    def _manifest(self, step: int) -> dict[str, Any]:
        path = self.folder / str(step) / MANIFEST
        try:
            manifest = records.read_manifest(path)
        except CorruptInput as error:
            reason = str(error).removeprefix(f"{path}: ")
            raise CorruptCheckpoint(step, MANIFEST, "the record of a checkpoint", reason) from error
        expected, found = manifest.pop("sha256"), _digest(manifest)
        if found != expected:
            raise CorruptCheckpoint(step, MANIFEST, f"sha256 {expected[:12]}", found[:12])
        if manifest["format"] != FORMAT or manifest["step"] != step:
            found = f"format {manifest['format']}, step {manifest['step']}"
            raise CorruptCheckpoint(step, MANIFEST, f"format {FORMAT}, step {step}", found)
        return manifest

    def choose(
        self, which: int | str, check: Callable[[int, dict[str, Any]], None] = lambda step, manifest: None
    ) -> tuple[int, dict[str, Any]] | None:
        """`(step, manifest)` of a verified checkpoint, or None where there is none at all.

        which: a step, "latest" (raises CorruptInput where that is damaged), or "latest-good", which walks
        back and says which steps it rejected. check: what else must hold for a verified one, or CorruptInput.
        """
        steps = self.steps()

        def verified(step: int) -> dict[str, Any]:
            manifest = self.verify(step)
            check(step, manifest)
            return manifest

        if isinstance(which, int):
            if which not in steps:
                raise UsageError(f"{self.folder}: no checkpoint {which}; there are {steps}")
            return which, verified(which)
        if which not in ("latest", "latest-good"):
            raise UsageError(f"--from: {which!r} is no step, 'latest' or 'latest-good'")
        for step in reversed(steps):
            try:
                return step, verified(step)
            except CorruptInput as error:
                if which == "latest":
                    raise
                self.say(f"warning: rejected {error}")
        if steps:
            raise CorruptInput(f"{self.folder}: none of the checkpoints {steps} is intact; start a new run")
        return None

    def restore(self, step: int, manifest: dict[str, Any], like: Any) -> Any:
        """The tree of a verified step, bit for bit, with structure, shapes, dtypes and shardings of `like`.

        like: `jax.ShapeDtypeStruct` leaves. Raises UsageError listing the leaves that differ.
        """
        import jax
        import jax.numpy as jnp
        import orbax.checkpoint as ocp

        named = _named_leaves(like)
        wanted = {name: f"{x.dtype}{list(x.shape)}" for name, x in named}
        stored = {name: f"{dtype}{shape}" for name, shape, dtype in manifest["tree"]}
        refuse_differences(f"{self.folder / str(step)}: stored state", stored, wanted)
        self._warn_newer(manifest["versions"])
        targets = {f"{i:04d}": x for i, (_, x) in enumerate(named) if x.size}
        with _quiet():
            try:
                arrays = self._open().restore(step, args=ocp.args.StandardRestore(targets))
            except Exception as error:  # verified files that orbax cannot read
                reason = str(error).splitlines()[0]
                raise CorruptCheckpoint(step, "arrays", "a readable checkpoint", reason) from error
        leaves = [
            arrays[f"{i:04d}"] if x.size else jnp.zeros(x.shape, x.dtype) for i, (_, x) in enumerate(named)
        ]
        return jax.tree.unflatten(jax.tree.structure(like), leaves)

    def _warn_newer(self, versions: dict[str, str]) -> None:
        installed = installed_versions()
        for name in ("jax", "orbax-checkpoint"):
            if _release(versions.get(name, "0")) > _release(installed.get(name, "0")):
                self.say(
                    f"warning: checkpoint written with {name} {versions[name]}, installed {installed[name]}"
                )


def refuse_differences(what: str, stored: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Raise UsageError that lists where what was stored differs from what is asked for now."""
    lines = differences(stored, wanted)
    if lines:
        raise UsageError(f"{what} differs; start a new run or undo the change: {'; '.join(lines)}")


def _named_leaves(tree: Any) -> list[tuple[str, Any]]:
    import jax

    return [(jax.tree_util.keystr(path), x) for path, x in jax.tree_util.tree_leaves_with_path(tree)]


def _digest(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3] if part.isdigit())


def _is_news(record: logging.LogRecord) -> bool:
    return "exception was never retrieved" not in record.getMessage()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the log of orbax and the tracebacks of its threads off the terminal."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
