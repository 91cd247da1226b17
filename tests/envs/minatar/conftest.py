"""MinAtar in its own environment, as the oracle of the games."""

import subprocess

import numpy as np
import pytest


@pytest.fixture(scope="session")
def minatar(tmp_path_factory):
    """`record(game, steps)`: what MinAtar 1.0.15 did with random actions, as arrays by name."""
    peer = pytest.importorskip("benchmarks.meta.setup")
    if not peer.PYTHON.exists():
        pytest.skip("MinAtar is not installed; run python -m benchmarks.meta setup")

    def record(game, steps):
        path = tmp_path_factory.mktemp("minatar") / f"{game}.npz"
        worker = [peer.PYTHON, "-m", "benchmarks.meta.minatar_worker"]
        command = [*worker, game, "--steps", str(steps), "--out", path]
        subprocess.run([str(word) for word in command], check=True, cwd=peer.ROOT)
        with np.load(path, allow_pickle=False) as file:
            return dict(file)

    return record
