"""Starts `toy_run.py` in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent / "toy_run.py"


def start(*args: object, limit: str = "", **options: object) -> subprocess.Popen:
    """A process with pipes; `limit` is a shell line run before it, such as `ulimit -f 8`."""
    command = [sys.executable, str(SCRIPT), *map(str, args)]
    if limit:
        command = ["bash", "-c", f'{limit}; exec "$@"', "bash", *command]
    env = {**os.environ, "JAX_NUMPY_RANK_PROMOTION": "raise"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)


def finish(process: subprocess.Popen, seconds: float = 120) -> tuple[int, str]:
    """`(exit status, standard error)`; a process that does not end is killed and fails the test."""
    try:
        _, text = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return process.returncode, text


def run(*args: object, limit: str = "") -> tuple[int, str]:
    """Start and finish."""
    return finish(start(*args, limit=limit))
