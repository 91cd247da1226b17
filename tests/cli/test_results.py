"""The commands that read finished runs: report, export, verify, figure."""

import json

from jaxrl.cli.main import main
from tests.run import ring


def test_figures_are_drawn_again_with_the_same_bytes(root, finished):
    before = {p.name: p.read_bytes() for p in finished.figures.iterdir()}
    for path in finished.figures.iterdir():
        path.unlink()
    assert main(["figure", str(finished.path), "--root", str(root)]) == 0
    assert {p.name: p.read_bytes() for p in finished.figures.iterdir()} == before


def files_below(folder):
    return {p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts}


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
