"""Exports of a run: metrics keep every member, policies come from the populations that it trained."""

import csv
import shutil
import sys
import types

import numpy as np
import pytest

from jaxrl.cli import execution, export, policies, verify
from jaxrl.cli.main import main
from jaxrl.core.errors import MissingExtra
from jaxrl.run.folder import RunFolder
from tests.run import ring


@pytest.fixture
def folder(tmp_path):
    """A run with two members, written by hand."""
    root = ring.make_root(tmp_path)
    from jaxrl.run import catalogue

    config = catalogue.load(root, "toy/ring").PRESETS["smoke"]
    run = RunFolder.create("toy/ring", config, root / "runs", "smoke")
    run.log({"stage": "train", "update": 1, "loss": [0.5, float("nan")], "w": [[1.0, 2.0], [3.0, 4.0]]})
    run.log({"stage": "train", "update": 2, "loss": [0.25, 0.125], "eval": [7.0, 8.0]})
    return run


def test_csv_has_a_column_per_member(folder, tmp_path):
    assert main(["export", str(folder.path), "--to", "csv", "--dest", str(tmp_path / "csv")]) == 0
    with open(tmp_path / "csv" / "metrics.csv", newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["loss[0]"], first["loss[1]"], first["nonfinite"]) == ("0.5", "", "loss")
    assert (first["w[1,0]"], first["eval[0]"]) == ("3.0", "")
    assert (second["update"], second["loss[1]"], second["eval[1]"], second["w[0,0]"]) == (
        "2",
        "0.125",
        "8.0",
        "",
    )


def test_parquet_gets_the_same_table_or_says_what_to_install(folder, tmp_path, monkeypatch):
    written = {}
    parquet = types.ModuleType("pyarrow.parquet")
    parquet.write_table = lambda table, path: written.update(table=table, path=path)
    pyarrow = types.ModuleType("pyarrow")
    pyarrow.table, pyarrow.parquet = dict, parquet
    monkeypatch.setitem(sys.modules, "pyarrow", pyarrow)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", parquet)
    export.export_metrics(folder, tmp_path, "parquet")
    assert written["path"] == tmp_path / "metrics.parquet"
    assert written["table"]["loss[1]"] == [None, 0.125]
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match="pip install pyarrow"):
        export.export_metrics(folder, tmp_path, "parquet")


def test_the_policy_of_any_run_is_exported_without_work_of_its_experiment(finished, tmp_path, document):
    before = {p: p.read_bytes() for p in finished.path.rglob("*") if p.is_file()}
    code, found = document("export", finished.path, "--to", "policy", "--member", "1", "--dest", tmp_path)
    assert (code, [p.rsplit("/")[-1] for p in found["files"]]) == (0, ["policy.npz", "policy.json"])
    assert {p: p.read_bytes() for p in finished.path.rglob("*") if p.is_file()} == before
    (checkpoints,) = execution.stage_checkpoints(finished).values()
    arrays = verify.final_arrays(checkpoints, 6)
    (table,) = (a for name, a in arrays.items() if name.endswith("params['q']"))
    loaded = policies.load_policy(tmp_path, trust=("tests",))
    for s in range(5):
        assert int(loaded.act(None, s, ())[0]) == np.argmax(table[1, s])
    code, found = document("export", finished.path, "--to", "policy", "--member", "2", "--dest", tmp_path)
    assert (code, found["error"]) == (2, "member: must be >= 0 and < 2, got 2")
    for option, value in (("--member", 0), ("--stage", "train")):
        code, found = document("export", finished.path, option, value, "--dest", tmp_path / "table")
        assert (code, found["error"].partition(",")[0]) == (2, f"{option[2:]}: chooses a policy")
    assert not (tmp_path / "table").exists()
    code, found = document("export", finished.path, "--to", "policy", "--stage", "tain", "--dest", tmp_path)
    assert (code, found["error"]) == (2, "stage: the run has train; got tain")


def test_an_unfinished_run_is_not_trained_by_an_export(folder, document):
    code, found = document("export", folder.path, "--to", "policy")
    assert (code, "the run has not finished" in found["error"]) == (2, True)


@pytest.mark.parametrize("kind", ["csv", "policy"])
def test_a_destination_that_cannot_be_a_folder_is_refused(finished, tmp_path, document, kind):
    (tmp_path / "file").write_text("precious")
    for dest in (tmp_path / "file", tmp_path / "file" / "below"):
        code, found = document("export", finished.path, "--to", kind, "--dest", dest)
        assert (code, "cannot be a folder" in found["error"]) == (6, True)
    assert (tmp_path / "file").read_text() == "precious"


def test_a_run_that_has_logged_nothing_has_no_table(finished, tmp_path, document):
    path = tmp_path / "run"
    shutil.copytree(finished.path, path)
    (path / "metrics.jsonl").unlink()
    code, found = document("export", path, "--dest", tmp_path / "table")
    assert code == 2 and "the run has logged nothing" in found["error"]
    assert not (tmp_path / "table").exists()
