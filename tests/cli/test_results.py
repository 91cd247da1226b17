"""The commands that read finished runs: report, export, verify, figure."""

from jaxrl.cli.main import main


def test_figures_are_drawn_again_with_the_same_bytes(root, finished):
    before = {p.name: p.read_bytes() for p in finished.figures.iterdir()}
    for path in finished.figures.iterdir():
        path.unlink()
    assert main(["figure", str(finished.path), "--root", str(root)]) == 0
    assert {p.name: p.read_bytes() for p in finished.figures.iterdir()} == before
