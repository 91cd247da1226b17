"""The commands about the whole repository: list, theory, reproduce, doctor."""

import sys

from jaxrl.cli.main import main
from tests.run import ring


def test_theory_runs_the_report_of_the_root(tmp_path, monkeypatch, capsys):
    (tmp_path / "experiments").mkdir()
    assert main(["theory", "--root", str(tmp_path)]) == 2
    (tmp_path / "theory").mkdir()
    (tmp_path / "theory" / "__init__.py").write_text("")
    (tmp_path / "theory" / "report.py").write_text("def main(args):\n    return 1 if args else 0\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    for name in [m for m in sys.modules if m == "theory" or m.startswith("theory.")]:
        monkeypatch.delitem(sys.modules, name)
    assert main(["theory", "--root", str(tmp_path)]) == 0
    assert main(["theory", "broken", "--root", str(tmp_path)]) == 1
    assert "theory/<family>/REPORT.md say which" in capsys.readouterr().err
    for name in ("theory", "theory.report"):
        sys.modules.pop(name, None)


def test_reproduce_publishes_what_it_ran(tmp_path, document):
    root = ring.make_root(tmp_path)
    code, found = document("reproduce", "toy/ring", "smoke", "--root", str(root))
    assert code == 0
    assert found["files"][1:] == [
        str(root / "experiments" / "toy" / "results" / "ring-smoke.npz"),
        str(root / "experiments" / "toy" / "README.md"),
    ]


def test_reproduce_goes_on_after_a_diverged_run_and_says_so_at_the_end(tmp_path, document):
    folder = ring.make_root(tmp_path) / "experiments" / "toy"
    broken = ring.SOURCE.replace('grid={"hyper.lr": (0.1, 0.2)}', 'grid={"hyper.lr": (1e38, 0.2)}')
    (folder / "a_ring.py").write_text(broken)
    code, found = document("reproduce", "--root", str(tmp_path))
    assert (code, found["error"].count("NonFinite: run toy/a_ring, ")) == (4, 3), found
    results = sorted(path.name for path in (folder / "results").iterdir())
    assert results == ["a_ring-quick.npz", "ring-quick.npz"]
