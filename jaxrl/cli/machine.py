"""Devices and the compilation cache of a process, set before jax is first used."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

from jaxrl.core.errors import MissingExtra, UsageError
from jaxrl.run.folder import RunFolder


def configure_jax(root: Path | None, devices: int | None = None, *, single: bool = False) -> None:
    """Sets one CPU device per core and a persistent compilation cache, before jax is first used.

    What is set already, by the environment or the caller, wins over these defaults. devices: another number,
    of which 1 is read as 2. single: exactly one device. Raises `UsageError` where jax is already in use.
    """
    import jax

    settings: Any = jax.config
    forced = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if single or devices is not None or not (forced or settings.jax_num_cpu_devices > 0):
        try:
            # the compiler orders passes otherwise for one device, so one and two would not agree bit for bit
            settings.update("jax_num_cpu_devices", 1 if single else max(2, devices or cores()))
        except RuntimeError as error:
            raise UsageError("devices: jax is already in use; choose before its first call") from error
    if settings.jax_compilation_cache_dir is None:
        cache = cache_folder(root)
        if cache is not None:
            settings.update("jax_compilation_cache_dir", str(cache))
            settings.update("jax_persistent_cache_min_compile_time_secs", 0)
            settings.update("jax_persistent_cache_min_entry_size_bytes", -1)


def set_up(root: Path | None, folder: RunFolder | None = None) -> None:
    """Sets a process up as the command line does, or leaves it as it is where jax is already in use.

    folder: a run that is to be continued or repeated. Raises `UsageError` where the devices of this process
    would give it other bits, `MissingExtra` where there is no device of the platform asked for.
    """
    with contextlib.suppress(UsageError):  # a notebook that has used jax already keeps its devices
        configure_jax(root, single=folder is not None and made_on_one_device(folder))
    require_backend()
    if folder is not None:
        require_same_bits(folder)


def made_on_one_device(folder: RunFolder) -> bool:
    """Whether a run was made on a single device; from two on, their number does not change a bit."""
    return len(folder.meta.get("devices", ())) == 1


def require_same_bits(folder: RunFolder) -> None:
    """Raises `UsageError` where this process has one CPU device and the run several, or the reverse."""
    import jax

    if folder.meta.get("backend") != "cpu" or jax.default_backend() != "cpu":
        return
    made_on, here = len(folder.meta["devices"]), jax.device_count()
    if (made_on == 1) != (here == 1):
        raise UsageError(
            f"devices: the run was made on {made_on} and this process has {here}; one and several give other"
            " bits, so begin with this call in a new process"
        )


def require_backend() -> None:
    """Asks jax for its devices; raises `MissingExtra` where there are none of the platform asked for."""
    import jax

    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        asked = os.environ.get("JAX_PLATFORMS") or "the default platform"
        text = " ".join(str(error).split())[:160] or type(error).__name__
        raise MissingExtra(
            f"JAX_PLATFORMS: jax finds no device of {asked} ({text}); install its plugin, for example"
            " `pip install -U 'jax[cuda13]'`, or set JAX_PLATFORMS=cpu"
        ) from error


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cache_folder(root: Path | None) -> Path | None:
    """`.cache/jax-<version>-<cpu>` below the root or else the user's cache; None where neither is writable.

    Entries are native code and their key does not contain the CPU's features, so that the folder must.
    """
    name = f"jax-{importlib.metadata.version('jax')}-{_cpu_hash()}"
    home = os.path.expanduser("~")  # stays as it is for an id without an account
    users = os.environ.get("XDG_CACHE_HOME") or (home != "~" and f"{home}/.cache")
    places = [] if root is None else [root / ".cache"]
    for base in [*places, *([Path(users) / "jaxrl"] if users else [])]:
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
