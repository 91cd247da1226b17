"""A root folder with one tiny experiment, `toy/ring`: real checkpoints in seconds."""

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent.parent
SOURCE = '''"""Q-learning on a noisy ring.

Six updates and a checkpoint after every second one.
"""

import os
from dataclasses import dataclass, field

import numpy as np

from jaxrl.core.fields import Seed, Size, check_fields
from jaxrl.run.grid import expand
from jaxrl.run.sweep import sweep
from tests.run import toy

print("printed while importing")
os.write(1, b"written by a C library")


@dataclass(frozen=True)
class Config:
    """How the ring is learned."""

    hyper: toy.Hyper = field(default_factory=toy.Hyper)
    """Hyper-parameters of Q-learning."""
    algo: toy.Config = field(default_factory=toy.Config)
    """Static choices of Q-learning."""
    seeds: Size = 2
    """Number of seeds."""
    seed: Seed = 0
    """Root seed."""
    updates: Size = 6
    """Updates of every member."""
    float64: bool = False
    """Whether the run computes in double precision."""
    grid: dict[str, tuple[int | float | bool | str, ...]] = field(default_factory=dict)
    """Swept fields and their values."""

    def __post_init__(self):
        check_fields(self)


PRESETS = {"smoke": Config(), "quick": Config(seeds=3, updates=12, grid={"hyper.lr": (0.1, 0.2)})}


def run(config, folder):
    points = expand(config, config.grid)
    members = sweep(
        toy.make,
        [(point.algo, point.hyper) for point in points],
        seeds=config.seeds,
        seed=config.seed,
        data=toy.data(),
        updates=config.updates,
        folder=folder,
        evaluate=lambda static: toy.evaluate,
        checkpoint_every=2,
        log_every=1,
        eval_every=2,
        progress=False,
        float64=config.float64,
    )
    value = np.stack([m.history["eval/value"] for m in members])
    if "TOY_BREAKS" in os.environ:
        raise RuntimeError("the experiment broke\\nin two lines")
    folder.save_result(value=value.reshape(len(points), config.seeds, -1), update=members[0].update)


def figure(folder):
    from jaxrl.report import plots

    result = folder.load_result()
    with plots.paper():
        fig, axes = plots.subplots()
        rows = np.isfinite(result["value"]).any((0, 1))
        for value in result["value"]:
            plots.learning_curve(axes[0, 0], result["update"][rows], value[:, rows], resamples=20)
        return plots.save(fig, folder.figures / "ring")


def scores(result):
    return {f"point {i}": value[:, -1] for i, value in enumerate(result["value"])}
'''


def make_root(path: Path) -> Path:
    """`path` as a root that holds `experiments/toy/ring.py`."""
    folder = path / "experiments" / "toy"
    folder.mkdir(parents=True)
    (folder / "ring.py").write_text(SOURCE)
    return path


def jaxrl(*args: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    """The command line in a process of its own, on two fake devices."""
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY), "JAX_NUM_CPU_DEVICES": "2", **environment}
    return subprocess.run(
        [sys.executable, "-m", "jaxrl.cli.main", *args],
        cwd=cwd,
        env={k: v for k, v in env.items() if v},
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )
