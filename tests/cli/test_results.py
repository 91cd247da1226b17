"""The commands that read finished runs: report, export, verify, figure."""

import json
import shutil

import pytest

from jaxrl.cli.main import main
from jaxrl.run.folder import RunFolder
from tests.run import ring


def test_figures_are_drawn_again_with_the_same_bytes(root, finished):
    before = {p.name: p.read_bytes() for p in finished.figures.iterdir()}
    for path in finished.figures.iterdir():
        path.unlink()
    assert main(["figure", str(finished.path), "--root", str(root)]) == 0
    assert {p.name: p.read_bytes() for p in finished.figures.iterdir()} == before


def files_below(folder):
    return {p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts}


def test_a_run_of_another_checkout_is_published_where_root_says(tmp_path, document, monkeypatch):
    """Not silently into the one where the run lies."""
    there, here = (ring.make_root(tmp_path / name) for name in ("there", "here"))
    _, made = document("run", "toy/ring", "smoke", "--root", there)
    monkeypatch.chdir(here)
    code, found = document("report", made["run"], "--publish")
    assert (code, "name the one whose table is to be written with --root" in found["error"]) == (2, True), (
        found
    )
    results = [root / "experiments" / "toy" / "results" / "ring-smoke.npz" for root in (there, here)]
    assert not any(path.exists() for path in results)
    code, _ = document("report", made["run"], "--publish", "--root", here)
    assert code == 0 and [path.exists() for path in results] == [False, True]


def test_only_a_preset_is_published(tmp_path, document):
    root = ring.make_root(tmp_path)
    _, values = document("run", "toy/ring", "smoke", "--print-config", "--root", root)
    file = tmp_path / "config.json"
    file.write_text(json.dumps({**values, "updates": 2}))
    runs = [
        (("toy/ring", "smoke", "--updates", "2"), "the preset smoke (updates: 6 -> 2)"),
        (("toy/ring", "smoke", "--config-file", file), "the preset smoke (updates: 6 -> 2)"),
        (("toy/ring", "--config-file", file), "was not made from a preset"),
    ]
    for args, words in runs:
        _, made = document("run", *args, "--root", root)
        before = files_below(root)
        code, found = document("report", made["run"], "--publish", "--root", root)
        assert (code, words in found["error"]) == (2, True), found
        assert files_below(root) == before
    _, made = document("run", "toy/ring", "smoke", "--root", root)
    code, _ = document("report", made["run"], "--publish", "--root", root)
    assert code == 0
    assert (root / "experiments" / "toy" / "results" / "ring-smoke.npz").exists()


@pytest.mark.parametrize("place", ["folder", "file/below.html", "file/deeper/below.html"])
def test_a_page_where_nothing_can_be_made_is_refused(root, tmp_path, place, document):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("precious")
    code, found = document("report", "--index", "--page", tmp_path / place, "--root", root)
    assert (code, found["exit_code"]) == (6, 6)
    assert (tmp_path / "file").read_text() == "precious"


def test_figures_where_nothing_can_be_made_are_refused_and_go_elsewhere_on_request(
    root, finished, tmp_path, document
):
    (tmp_path / "file").write_text("precious")
    code, found = document("figure", finished.path, "--dest", tmp_path / "file", "--root", root)
    assert (code, "name another --dest" in found["error"]) == (6, True)
    code, found = document("figure", finished.path, "--dest", tmp_path / "figures", "--root", root)
    assert (code, len(found["files"])) == (0, 3)


def test_another_users_run_is_exported_elsewhere_or_refused(root, finished, tmp_path, document):
    """A folder that cannot be made below the run stands for one that belongs to somebody else."""
    run = RunFolder(tmp_path / "run")
    shutil.copytree(finished.path, run.path, ignore=shutil.ignore_patterns("figures"))
    (run.path / "export").write_text("")
    (run.path / "figures").write_text("")
    for command in (("export", run.path), ("figure", run.path)):
        code, found = document(*command, "--root", root)
        assert (code, "name another --dest" in found["error"]) == (6, True), found
        code, _ = document(*command, "--dest", tmp_path / command[0], "--root", root)
        assert code == 0
