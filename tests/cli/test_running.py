"""The commands run, sweep and resume on one tiny experiment."""

import json
import shlex
import sys
import threading
import types

import numpy as np

from jaxrl.cli import running
from jaxrl.cli.main import main
from jaxrl.run.config import config_hash
from jaxrl.run.folder import RunFolder


def test_command_line_and_api_give_the_same_run(root, finished, document):
    """The same bits in the same place, with figures and a page."""
    code, found = document("run", "toy/ring", "smoke", "--root", str(root))
    again = RunFolder.open(found["run"])
    assert (code, found["state"], found["exit_code"]) == (0, "done", 0)
    assert again.path.parent == finished.path.parent
    assert again.path.parent.name == f"smoke-{config_hash(finished.config)[:8]}"
    for name, value in finished.load_result().items():
        np.testing.assert_array_equal(again.load_result()[name], value)
    assert {p.suffix for p in again.figures.iterdir()} == {".png", ".pdf", ".svg"}
    assert (
        [again.path / "report.html"] == list(again.path.glob("*.html")) == [type(again.path)(found["report"])]
    )


def test_a_diverged_member_ends_with_4_after_everything_was_saved(root, tmp_path, capsys):
    options = ["--hyper.lr", "1e38", "--root", str(root), "--out", str(tmp_path)]
    assert main(["run", "toy/ring", "smoke", *options]) == 4
    (run,) = (p.parent for p in tmp_path.glob("**/config.json"))
    assert "NonFinite: run toy/ring, seed 0" in capsys.readouterr().err
    page = (run / "report.html").read_text()
    assert "NonFinite" in page
    assert RunFolder.open(run).load_result()["value"].shape[:2] == (1, 2)


def test_sweep_is_a_run_with_a_grid(root, document):
    code, found = document(
        "sweep",
        "toy/ring",
        "smoke",
        "--grid",
        "hyper.lr=0.05,0.2",
        "--updates",
        "2",
        "--root",
        str(root),
    )
    folder = RunFolder.open(found["run"])
    assert code == 0
    assert folder.config["grid"] == {"hyper.lr": [0.05, 0.2]}
    assert folder.load_result()["value"].shape == (2, 2, 2)


def test_sweep_prints_one_command_per_point_with_the_same_numbers(root, document):
    args = ["sweep", "toy/ring", "smoke", "--updates", "2", "--root", str(root)]
    code, found = document(*args, "--grid", "hyper.lr=0.1,0.3", "--grid", "hyper.gamma=0.5", "--print")
    assert code == 0
    common = f"jaxrl sweep toy/ring smoke --updates 2 --root {root}"
    assert found["commands"] == [
        f"{common} --grid hyper.lr=0.1 --grid hyper.gamma=0.5",
        f"{common} --grid hyper.lr=0.3 --grid hyper.gamma=0.5",
    ]
    _, whole = document(*args, "--grid", "hyper.lr=0.1,0.3", "--grid", "hyper.gamma=0.5")
    _, alone = document(*found["commands"][1].split()[1:])
    together = RunFolder.open(whole["run"]).load_result()["value"]
    np.testing.assert_array_equal(RunFolder.open(alone["run"]).load_result()["value"][0], together[1])


def test_slurm_submits_the_printed_commands(root, document, monkeypatch):
    submitted = []

    class Executor:
        def __init__(self, folder):
            assert folder == root / "runs" / "slurm"

        def batch(self):
            return threading.Lock()  # any context manager

        def submit(self, command):
            submitted.append(command)
            return types.SimpleNamespace(job_id=str(len(submitted)))

    fake = types.SimpleNamespace(
        AutoExecutor=Executor, helpers=types.SimpleNamespace(CommandFunction=lambda command: command)
    )
    monkeypatch.setitem(sys.modules, "submitit", fake)
    args = ("sweep", "toy/ring", "smoke", "--grid", "hyper.lr=0.1,0.3", "--root", str(root))
    code, found = document(*args, "--slurm")
    assert (code, found["jobs"]) == (0, ["1", "2"])
    assert submitted[1] == [
        "jaxrl",
        "sweep",
        "toy/ring",
        "smoke",
        "--root",
        str(root),
        "--grid",
        "hyper.lr=0.3",
    ]


def test_printed_commands_of_a_configuration_file_give_the_results_of_the_sweep(root, tmp_path, document):
    """The file differs from every preset, so that commands without it would run something else."""
    base = ("--root", root, "--out", tmp_path / "a place")
    _, values = document("run", "toy/ring", "smoke", "--hyper.gamma", "0.3", "--print-config", "--root", root)
    file = tmp_path / "my config.json"
    file.write_text(json.dumps({**values, "updates": 2}))
    args = ("sweep", "toy/ring", "--config-file", file, *base, "--grid", "hyper.lr=0.1,0.3", "--seeds", "1")
    _, found = document(*args, "--print")
    _, whole = document(*args)
    together = RunFolder.open(whole["run"]).load_result()["value"]
    assert len(found["commands"]) == len(together) == 2
    for command, expected in zip(found["commands"], together, strict=True):
        assert shlex.split(command)[0] == "jaxrl"
        code, alone = document(*shlex.split(command)[1:])
        assert code == 0
        np.testing.assert_array_equal(RunFolder.open(alone["run"]).load_result()["value"][0], expected)
    assert not np.array_equal(together[0], together[1])


def test_devices_that_share_members_are_refused_where_the_algorithm_shares_nothing(root, tmp_path, capsys):
    assert main(["run", "toy/ring", "smoke", "--work", "2", "--root", str(root), "--out", str(tmp_path)]) == 2
    assert "does not share the work of a member" in capsys.readouterr().err


def test_a_resumed_run_is_told_how_many_devices_share_a_member(root, finished, monkeypatch):
    asked = []
    monkeypatch.setattr(running, "_execute", lambda *args: asked.append(args[2].work) or {})
    assert main(["resume", str(finished.path), "--work", "3", "--root", str(root)]) == 0
    assert asked == [3]
