"""The environment of the peers: MinAtar, the oracle of four games, and evosax."""

from __future__ import annotations

import subprocess
import venv
from pathlib import Path

from benchmarks.workers import ROOT

FOLDER = ROOT / ".cache" / "meta"
"""Where the environment lies."""
PYTHON = FOLDER / "bin" / "python"
"""Its interpreter; it does not exist before `setup`."""


def setup() -> None:
    """Builds `.cache/meta`, an environment with the versions of `peers.txt`."""
    venv.create(FOLDER, with_pip=True)
    requirements = Path(__file__).with_name("peers.txt")
    subprocess.run([PYTHON, "-m", "pip", "install", "-r", requirements], check=True)
