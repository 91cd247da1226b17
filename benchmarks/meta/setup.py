"""The environment of the peers: MinAtar, the oracle of four games, and evosax."""

from __future__ import annotations

from pathlib import Path

from benchmarks.workers import ROOT, make_environment

FOLDER = ROOT / ".cache" / "meta"
"""Where the environment lies."""
PYTHON = FOLDER / "bin" / "python"
"""Its interpreter; it does not exist before `setup`."""


def setup() -> None:
    """Builds `.cache/meta`, an environment with the versions of `peers.txt`."""
    make_environment(FOLDER, Path(__file__).with_name("peers.txt"))
