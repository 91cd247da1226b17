"""The facts about a machine that a bug report needs: `jaxrl doctor`."""

from __future__ import annotations

import ctypes.util
import importlib.util
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

from jaxrl.cli import machine
from jaxrl.core.errors import MissingExtra
from jaxrl.run.folder import installed_versions


def examine(root: Path | None) -> dict[str, Any]:
    """Facts by name; asks jax for its devices, and says what to install where there are none."""
    import jax

    settings: Any = jax.config
    cache = settings.jax_compilation_cache_dir
    here = Path.cwd() if root is None else root
    try:
        machine.require_backend()
        backend, devices = jax.default_backend(), ", ".join(str(d) for d in jax.devices())
    except MissingExtra as error:
        backend, devices = "none", str(error)
    return {
        "python": f"{platform.python_version()} ({sys.executable})",
        "platform": platform.platform(),
        **installed_versions(),
        "backend": backend,
        "devices": devices,
        "cores": f"{machine.cores()} usable of {os.cpu_count()}",
        "memory": _memory(),
        "free disk": f"{shutil.disk_usage(here).free / 2**30:.1f} GiB at {here}",
        "cache": str(cache or "none: neither the root nor the user's cache folder is writable"),
        "EGL": "yes" if ctypes.util.find_library("EGL") else "no: rendering of 3-D scenes needs libEGL",
        "warp": "yes" if importlib.util.find_spec("warp") else "no: MJX runs without it",
        "x64": bool(settings.jax_enable_x64),
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
    }


def _memory() -> str:
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    free = os.sysconf("SC_AVPHYS_PAGES")
    return f"{free * size / 2**30:.1f} GiB free of {pages * size / 2**30:.1f} GiB"
