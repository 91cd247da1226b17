"""The environment of the peers, the algorithms of morl-baselines."""

from __future__ import annotations

from pathlib import Path

from benchmarks.workers import ROOT, make_environment

FOLDER = ROOT / ".cache" / "morl"
"""Where the environment lies."""
PYTHON = FOLDER / "bin" / "python"
"""Its interpreter; it does not exist before `setup`."""


def setup() -> None:
    """Builds `.cache/morl`, an environment with the versions of `peers.txt` and the torch that pip finds."""
    make_environment(FOLDER, Path(__file__).with_name("peers.txt"))
