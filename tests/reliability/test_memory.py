"""A long run holds no more memory than a short one."""

import subprocess
import sys
from pathlib import Path

import pytest

PEAK = """
import resource, sys
sys.path.append(sys.argv[1])
import jax
jax.config.update("jax_num_cpu_devices", 2)
from tests.reliability import toy_run
toy_run.run(toy_run.Config(updates=int(sys.argv[2]), log_every=int(sys.argv[2]) // 100))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(updates):
    """Largest resident set of a run, KiB."""
    command = [sys.executable, "-c", PEAK, str(Path(__file__).parent), str(updates)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.slow
def test_ten_times_the_updates_need_the_same_memory():
    peak(1000)  # fills the compilation cache: compiling needs memory, too
    short, long = peak(1000), peak(10_000)
    assert abs(long - short) < 0.05 * short
