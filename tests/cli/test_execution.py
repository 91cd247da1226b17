"""A run from its folder to its page, whatever happens inside."""

import os
import re
import shlex
import shutil
import threading
import time
import types

import jax
import numpy as np
import pytest

from jaxrl.cli import api, execution, policies
from jaxrl.cli.main import main
from jaxrl.core.errors import UsageError
from jaxrl.run import catalogue
from jaxrl.run.folder import RunFolder
from tests.run import ring


def test_an_unexpected_error_is_one_line_and_a_traceback_in_the_log(root, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TOY_BREAKS", "1")
    assert main(["run", "toy/ring", "smoke", "--root", str(root), "--out", str(tmp_path)]) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    (run,) = (p.parent for p in tmp_path.glob("**/config.json"))
    assert last == (
        f"jaxrl: RuntimeError: the experiment broke in two lines; the traceback is in {run / 'log.txt'}"
    )
    assert "Traceback (most recent call last)" in (run / "log.txt").read_text()
    status = RunFolder.open(run).status
    assert (status["state"], status["exit_code"]) == ("failed", 1)
    assert (run / "report.html").exists()
    monkeypatch.delenv("TOY_BREAKS")
    assert main(["resume", str(run), "--root", str(root)]) == 0
    assert RunFolder.open(run).status["state"] == "done"


def test_live_report_reloads_itself_while_the_run_goes_on(root, monkeypatch):
    monkeypatch.setattr(execution, "LIVE_S", 0.05)
    seen = threading.Event()

    def run(config, folder):
        folder.log({"stage": "train", "update": 1, "return": [1.0, 2.0]})
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not seen.is_set():
            page = folder.path / "report.html"
            if page.exists() and "<img" in page.read_text() and "http-equiv='refresh'" in page.read_text():
                seen.set()
            time.sleep(0.02)

    module = types.SimpleNamespace(__doc__="Slow.", run=run)
    config = catalogue.load(root, "toy/ring").PRESETS["smoke"]
    folder = RunFolder.create("toy/ring", config, root / "live", "smoke")
    execution.execute(module, config, folder, live=True)
    assert seen.is_set()
    assert "refresh" not in (folder.path / "report.html").read_text()


def test_a_folder_name_that_is_not_utf8_is_refused_before_anything_is_made(root, tmp_path, capsys):
    name = os.fsdecode(bytes(tmp_path) + b"/caf\xe9")
    assert main(["run", "toy/ring", "smoke", "--root", str(root), "--out", name]) == 2
    assert "no folder name that can be used" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_commands_that_are_printed_quote_the_path(root, tmp_path):
    config = catalogue.load(root, "toy/ring").PRESETS["smoke"]
    folder = RunFolder.create("toy/ring", config, tmp_path / "a place", "smoke")
    with pytest.raises(UsageError) as refused:
        folder.load_result()
    command = re.search(r"`jaxrl (.*?)`", str(refused.value))[1]
    assert shlex.split(command) == ["resume", str(folder.path)]


def test_an_experiment_that_declares_float64_runs_resumes_verifies_and_exports_in_it(tmp_path):
    root = ring.make_root(tmp_path)
    folder = api.run("toy/ring", "smoke", root=root, float64=True)
    result = folder.load_result()
    assert (folder.meta["x64"], folder.status["state"]) == (True, "done")
    assert (folder.path / "report.html").is_file()
    facts = api.verify(folder.path, root=root)
    assert facts["replayed"] == 2
    shutil.rmtree(folder.checkpoints / "train" / "6")
    (folder.path / "result.npz").unlink()
    again = api.resume(folder.path, root=root).load_result()
    assert again["value"].tobytes() == result["value"].tobytes()
    assert not jax.config.read("jax_enable_x64")
    api.export(folder.path, "policy", dest=tmp_path / "policy", root=root)
    with np.load(tmp_path / "policy" / "policy.npz") as file:
        (table,) = (file[name] for name in file.files if name.endswith("q"))
    assert table.dtype == np.float64
    with pytest.raises(UsageError, match=r"computes in float64; load and use it inside `jax\.enable_x64"):
        policies.load_policy(tmp_path / "policy", trust=("tests",))
    with jax.enable_x64(True):
        policy = policies.load_policy(tmp_path / "policy", trust=("tests",))
        assert [int(policy.act(None, s, ())[0]) for s in range(5)] == np.argmax(table, -1).tolist()
