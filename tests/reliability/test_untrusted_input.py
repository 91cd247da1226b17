"""Damaged or hostile data ends with exit status 5 and one sentence, and touches nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from jaxrl.core.errors import CorruptInput
from jaxrl.core.spaces import Box
from jaxrl.data import safe
from jaxrl.data.dataset import from_arrays

N = 8
SPACE = Box(-1.0, 1.0, (2,))


def write(path, arrays):
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file.create_dataset(name, data=array)
    return path


def arrays(**changes):
    obs = np.arange(N * 3.0).reshape(N, 3)
    out = {
        "obs": obs,
        "action": np.zeros((N, 2)),
        "reward": np.ones(N),
        "next_obs": obs + 1,
        "terminated": np.arange(N) == 3,
        "truncated": np.arange(N) == 7,
    }
    return out | changes


def with_value(shape, row, value):
    x = np.zeros(shape)
    x[row] = value
    return x


BAD = {
    "shape": (arrays(reward=np.ones((N, 1))), "reward has shape"),
    "nan": (arrays(next_obs=with_value((N, 3), 5, np.nan)), "next_obs in row 5 is not finite"),
    "range": (arrays(action=with_value((N, 2), 6, 1.01)), "action in row 6 lies outside"),
    "missing": ({k: v for k, v in arrays().items() if k != "action"}, "action is missing"),
    "empty": ({k: v[:0] for k, v in arrays().items()}, "has no rows"),
}


def read(path):
    found = safe.read_npz(path) if path.suffix == ".npz" else safe.read_hdf5(path)
    return from_arrays(found, action_space=SPACE, source=str(path))


@pytest.mark.parametrize("suffix", [".npz", ".hdf5"])
@pytest.mark.parametrize("name", BAD)
def test_bad_datasets_are_refused_by_field_and_row(tmp_path, name, suffix):
    content, message = BAD[name]
    path = write(tmp_path / f"data{suffix}", content)
    with pytest.raises(CorruptInput) as error:
        read(path)
    assert error.value.exit_code == 5
    assert str(error.value).startswith(f"{path}: {message}") and "\n" not in str(error.value)
    assert read(write(tmp_path / f"good{suffix}", arrays())).size == N


ATTACK = """
import sys
from pathlib import Path
from jaxrl.core.errors import JaxrlError
from jaxrl.data import safe

opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
read, path = getattr(safe, sys.argv[1]), Path(sys.argv[2])
try:
    read(path, *sys.argv[3:])
except JaxrlError as error:
    status, message = error.exit_code, error
else:
    status, message = 0, ""
print(message)
print([name for name in opened if "secret" in name or "out" in name])
sys.exit(status)
"""


def attack(reader, *args):
    """Status, message and suspicious files opened, of a process that reads one file with `reader`."""
    command = [sys.executable, "-c", ATTACK, reader, *map(str, args)]
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert "Traceback" not in done.stderr, done.stderr
    message, opened = done.stdout.strip().rsplit("\n", 1)
    return done.returncode, message, opened


def files(folder: Path):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


@pytest.mark.parametrize("exists", [True, False])
def test_external_links_are_refused_unseen(tmp_path, exists):
    """The same answer whether or not there is a file behind the link: nobody looked."""
    if exists:
        write(tmp_path / "secret.hdf5", {"a": np.ones(3)})
    with h5py.File(tmp_path / "x.hdf5", "w") as file:
        file["a"] = h5py.ExternalLink(str(tmp_path / "secret.hdf5"), "a")
    status, message, opened = attack("read_hdf5", tmp_path / "x.hdf5")
    assert status == 5 and "'a' is a link to somewhere else; refused" in message
    assert opened == "[]"


def test_object_arrays_are_refused_and_not_run(tmp_path):
    trace = tmp_path / "out"

    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(trace),)

    np.savez(tmp_path / "x.npz", a=np.asarray([Bomb()], object))
    status, message, opened = attack("read_npz", tmp_path / "x.npz")
    assert status == 5 and "'a' is of type object; only arrays of numbers are read" in message
    assert not trace.exists() and opened == "[]"
