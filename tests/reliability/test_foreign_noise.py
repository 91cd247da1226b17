"""Foreign libraries write neither to standard output nor to the folder."""

import json
import os
import subprocess
import sys

import pytest

SCRIPT = """
import json, warnings
escaped = []
warnings.showwarning = lambda message, category, *rest: escaped.append(f"{category.__name__}: {message}")
warnings.simplefilter("always")
import jax
from jaxrl.envs.adapters.brax import Brax
found = {}
for name, backend in (("halfcheetah", "spring"), ("inverted_pendulum", "mjx")):
    env = Brax(name, backend)
    params = env.default_params()
    state, obs = jax.eval_shape(env.reset, jax.random.key(0), params)
    action = jax.ShapeDtypeStruct(env.action_space.shape, "float32")
    _, out = jax.eval_shape(env.step, jax.random.key(0), state, action, params)
    found[name] = out.obs.shape
print(json.dumps({"shapes": found, "escaped": escaped}))
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A process in an empty folder that loads the noisiest model and traces a step on two back-ends."""
    folder = tmp_path_factory.mktemp("a folder ä")
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return folder, done


def test_stdout_is_one_json_document(run):
    """mujoco.mjx prints on import, brax warns at construction and in every trace."""
    found = json.loads(run[1].stdout)
    assert found["shapes"] == {"halfcheetah": [17], "inverted_pendulum": [4]}
    assert [w for w in found["escaped"] if "jaxopt" in w.lower() or "brax" in w.lower()] == []
    assert found["escaped"] == []


def test_no_file_appears_in_the_working_directory(run):
    """Loading half_cheetah would write MUJOCO_LOG.TXT."""
    assert list(run[0].iterdir()) == []


def test_nothing_on_standard_error(run):
    assert run[1].stderr == ""
