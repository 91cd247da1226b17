"""The commands as Python functions."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from jaxrl.cli import api
from jaxrl.core.errors import UsageError
from jaxrl.run.folder import RunFolder
from tests.run import ring


def test_resume_of_a_finished_run_changes_nothing(root, finished):
    result, metrics = finished.load_result(), finished.read_metrics()
    folder = api.resume(finished.path)  # the root is found above the run itself
    assert folder.read_metrics() == metrics
    np.testing.assert_array_equal(folder.load_result()["value"], result["value"])


def fresh(code, *args, cwd):
    """Runs `code` in a process that has chosen no devices, as a notebook's first cell would.

    It compiles as this process does, because bits are compared.
    """
    env = {k: v for k, v in os.environ.items() if k != "JAX_NUM_CPU_DEVICES"}
    flags = env.pop("XLA_FLAGS", "").split()
    env["XLA_FLAGS"] = " ".join(flag for flag in flags if "host_platform_device_count" not in flag)
    env["PYTHONPATH"] = str(ring.REPOSITORY)
    command = [sys.executable, "-c", f"import sys\nfrom jaxrl.cli import api\n{code}", *map(str, args)]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def interrupted(root, tmp_path_factory):
    """A run of a network, and a copy whose last checkpoint and result are gone."""
    whole = api.run("toy/ring", "smoke", root=root, **{"algo.width": 8})
    path = whole.path.parent / tmp_path_factory.mktemp("interrupted").name
    shutil.copytree(whole.path, path)
    shutil.rmtree(path / "checkpoints" / "train" / "6")
    (path / "result.npz").unlink()
    return whole, RunFolder(path)


def test_resume_and_verify_in_fresh_processes_repeat_the_bits_of_several_devices(root, interrupted):
    whole, folder = interrupted
    done = fresh("api.resume(sys.argv[1])", folder.path, cwd=root)
    assert done.returncode == 0, done.stderr
    assert len(folder.meta["devices"]) >= 2
    np.testing.assert_array_equal(folder.load_result()["value"], whole.load_result()["value"])
    done = fresh("print(api.verify(sys.argv[1])['replayed'])", folder.path, cwd=root)
    assert done.stdout.endswith("2\n"), done.stderr


def test_a_process_with_one_device_is_told_that_it_gives_other_bits(root, finished):
    code = (
        "import jax; jax.devices()\n"
        "from jaxrl.core.errors import UsageError\n"
        "for function in (api.resume, api.verify):\n"
        "    try: function(sys.argv[1])\n"
        "    except UsageError as error: print(error)\n"
    )
    done = fresh(code, finished.path, cwd=root)
    made_on = len(finished.meta["devices"])
    sentence = (
        f"devices: the run was made on {made_on} and this process has 1; one and several give other bits"
    )
    assert done.stdout.count(sentence) == 2, done.stderr


def test_devices_that_share_members_are_asked_for_as_on_the_command_line(root, finished, tmp_path):
    module, config, folder = api.begin("toy/ring", "smoke", root=root, out=tmp_path, work=2)
    assert folder.work == 2
    with pytest.raises(UsageError, match="does not share the work of a member"):
        module.run(config, folder)
    before = sorted(tmp_path.rglob("*"))
    for call in (
        lambda: api.run("toy/ring", root=root, out=tmp_path, work=0),
        lambda: api.resume(".", work=0),
    ):
        with pytest.raises(UsageError, match="work: must be an integer >= 1 or None, got 0"):
            call()
    assert sorted(tmp_path.rglob("*")) == before


def test_export_and_figure_need_no_command_line(root, finished, tmp_path):
    (table,) = api.export(finished.path, dest=tmp_path / "tables")
    assert table.read_text().startswith("stage,update,")
    drawn = api.figure(finished.path, dest=tmp_path / "figures", root=root)
    assert {p.parent for p in drawn} == {tmp_path / "figures"}
    for path in drawn:
        assert path.read_bytes() == (finished.figures / path.name).read_bytes()


def test_more_members_than_memory_are_refused_before_a_folder_exists(root, tmp_path):
    with pytest.raises(UsageError, match="memory: 100000000000 members need at least"):
        api.run("toy/ring", "smoke", root=root, out=tmp_path, seeds=10**11)
    assert not list(tmp_path.iterdir())
